"""The galleries behind the Search tab, with a tiny model."""

import io
import zipfile

import pytest
from PIL import Image

from multimodal.errors import UserError
from multimodal.ui import galleries as module
from multimodal.ui.context import Context
from multimodal.ui.galleries import FOLDER, MINE, SCENES, Galleries
from multimodal.ui.searcher import Searcher
from multimodal.ui.settings import Settings
from multimodal.ui.texts import Texts


def png(colour):
    file = io.BytesIO()
    Image.new("RGB", (40, 40), colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for colour in ("red", "green", "blue"):
        (folder / f"{colour}.png").write_bytes(png(colour))
    (folder / "red.txt").write_text("a red square\n빨간 네모\n", "utf-8")
    (folder / "green.txt").write_text("a green square\n", "utf-8")
    return folder


@pytest.fixture
def context(tmp_path, tiny_clip, photos, monkeypatch):
    monkeypatch.setattr(module, "SCENE_COUNT", 6)
    monkeypatch.setattr(module, "SCENE_MODEL", "none")
    settings = Settings(data=tmp_path / "data", model="tiny", gallery=photos)
    return Context(settings, Texts(), load=lambda name: tiny_clip)


def test_drawn_scenes_are_made_once(context):
    scenes = Galleries(context).open(SCENES)
    assert len(scenes) == 6 and scenes.captions == 12
    assert len(Galleries(context).open(SCENES)) == 6


def test_the_servers_folder_is_filled_with_its_captions(context, photos):
    found = Galleries(context)
    assert (found.text("search_folder", "en"), FOLDER) in found.choices("en")
    reports = list(found.fill(FOLDER))
    assert reports[-1].added == 3 and found.open(FOLDER).captions == 3
    assert list(found.fill(FOLDER))[-1].skipped == 3
    (photos / "blue.png").unlink()
    list(found.fill(FOLDER))
    assert len(found.open(FOLDER)) == 2
    assert list(found.fill(SCENES)) == []


@pytest.mark.parametrize("key", ["folder-x", "../scenes", "mine-../x", "mine-nobody", "", None])
def test_only_galleries_of_the_menu_can_be_opened(context, key):
    with pytest.raises(UserError, match="There is no gallery"):
        Galleries(context).open(key)


def test_uploads_and_zips_become_a_gallery_that_is_found_again(context, photos, tmp_path):
    archive = tmp_path / "more.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("pink.png", png("pink"))
        packed.writestr("pink.txt", "a pink square")
        packed.writestr("torn.png", b"nothing")
        packed.writestr("captions.txt", "image,caption\npink.png,another of it\n")
    run = Searcher(context)
    files = [str(photos / "red.png"), str(archive)]
    html = [html for html, name in run.index(files, "  My/Photos ", "en")]
    assert "2 photos are searchable" in html[-1] and "torn.png" in html[-1]
    korean = [html for html, name in run.index(files, "내 사진", "ko")][-1]
    assert "torn.png&#x27;: 읽을 수 있는 사진이 아닙니다" in korean
    again = Searcher(context)
    assert ("My Photos", MINE + "My Photos") in again.galleries.choices("ko")
    gallery = again.galleries.open(MINE + "My Photos")
    assert len(gallery) == 2 and gallery.captions >= 1
    hits = again.search(MINE + "My Photos", "a pink square", None, "", "", 5, False).hits
    assert {hit.name for hit in hits} == {"red.png", "pink.png"}


def test_names_that_nobody_gave_do_not_meet(context, photos):
    run = Searcher(context)
    files = [str(photos / "red.png")]
    first = [name for _, name in run.index(files, "", "en")][-1]
    second = [name for _, name in run.index(files, "", "en")][-1]
    assert first != second


def test_stopping_keeps_what_there_is_and_goes_on(context, tmp_path):
    files = []
    for i in range(100):
        path = tmp_path / f"{i}.png"
        path.write_bytes(png((i, 2 * i, 100)))
        files.append(str(path))
    run = Searcher(context)
    for count, (html, name) in enumerate(run.index(files, "many", "en")):  # noqa: B007
        if count == 0:
            run.galleries.stop(MINE + name)
    assert "Stopped" in html
    kept = len(run.galleries.open(MINE + "many"))
    assert 0 < kept < 100
    html = [html for html, _ in run.index(files, "many", "en")][-1]
    assert "100 photos are searchable" in html


def test_nothing_to_index(context):
    with pytest.raises(UserError, match="There are no photos"):
        next(Searcher(context).index([], "x", "en"))


def test_the_whys_of_a_search(context):
    run = Searcher(context)
    result = run.search(SCENES, "a red boat", None, "", "", 3, True)
    assert "<b>&lt;i&gt;</b>" in run.said(result, "<i>", "en")
    assert run.histogram(result, "en").count("<span") >= 40
    assert "altogether" in run.times(result, "en")
    ids = [hit.id for hit in result.hits]
    assert run.matrix(SCENES, ids, "", "en").count("<tr>") == len(ids) + 1
    assert run.matrix(SCENES, ids, "one\ntwo", "en").count('scope="col"') == 2
    assert "R@10" in run.report(SCENES, "en")
    assert "<ol>" in run.captions(SCENES, ids[0])
    with pytest.raises(UserError, match="no hits"):
        run.matrix(SCENES, [], "", "en")


def test_a_sum_may_begin_with_plus(context):
    run = Searcher(context)
    plain = run.search(SCENES, "a red boat", None, "the sea", "", 3, False)
    summed = run.search(SCENES, "", None, "a red boat, the sea", "", 3, False)
    assert [hit.id for hit in plain.hits] == [hit.id for hit in summed.hits]
    with pytest.raises(UserError, match="nothing to search with"):
        run.search(SCENES, " ", None, "", "people", 3, False)
