import io
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from multimodal import clip
from multimodal.errors import UserError
from multimodal.retrieval import Gallery, GalleryError

CAPTIONS = {
    "red.png": ["a red thing", "something red"],
    "blue.png": ["blue as the sea"],
    "white.png": ["a white wall"],
}


def names(result) -> list[str]:
    return [hit.name for hit in result.hits]


def test_words_find_pictures(add, place, model, photos):
    gallery = Gallery.create(place, model)
    last = add(gallery, photos)
    assert (last.done, last.total, last.added, last.skipped, last.bad) == (5, 5, 5, 0, ())
    assert len(gallery) == 5
    for colour in ("red", "green", "blue", "yellow"):
        best = gallery.search(f"something {colour}").hits[0]
        assert best.name == f"{colour}.png" and best.rank == 1
        assert best.path == photos / f"{colour}.png"
        assert best.score == pytest.approx(1, abs=1e-4)
    assert names(gallery.search("white", top_k=1)) == ["sub/white.png"]


def test_a_gallery_reopens_as_it_was(add, tmp_path, model, photos, monkeypatch):
    gallery = Gallery.create(tmp_path / "g", model)
    add(gallery, photos, CAPTIONS)
    before = gallery.search("red")
    monkeypatch.setattr(clip, "load", {"colours": model}.__getitem__)
    opened = Gallery.open(tmp_path / "g")
    after = opened.search("red")
    assert after.hits == before.hits
    assert np.array_equal(after.query, before.query)
    assert [opened.item(i) for i in opened.ids] == [gallery.item(i) for i in gallery.ids]
    assert opened.captions == 4
    body = json.loads((tmp_path / "g" / "manifest.json").read_text())
    assert body["count"] == 5 and body["embed_dim"] == 8 and body["normalised"] is True
    assert body["model"] == "colours" and body["fingerprint"] == "colours-1"


def test_opening_loads_no_model(add, tmp_path, model, photos, monkeypatch):
    add(Gallery.create(tmp_path / "g", model), photos)
    asked = []
    monkeypatch.setattr(clip, "load", lambda name: asked.append(name) or model)
    gallery = Gallery.open(tmp_path / "g")
    assert gallery.search(example=0).hits[0].id == 0  # its vector is there already
    assert asked == []
    gallery.search("red")
    gallery.search("blue")
    assert asked == ["colours"]


def test_items_know_their_picture(add, tmp_path, model):
    turned = picture_with_exif(size=(64, 40), orientation=6)
    gallery = Gallery.create(tmp_path / "g", model)
    add(gallery, [("a/turned.jpg", turned)])
    item = gallery.item(0)
    assert (item.width, item.height) == (40, 64) == gallery.picture(0).size
    assert item.file_size == len(turned) and item.name == "a/turned.jpg"
    assert gallery.path(0).read_bytes() == turned
    assert gallery.path(0).is_relative_to(tmp_path / "g")


def picture_with_exif(size, orientation) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, "JPEG", exif=exif)
    return file.getvalue()


def test_photos_and_gallery_can_be_moved_together(add, tmp_path, model, photos):
    add(Gallery.create(tmp_path / "g", model), photos)
    (tmp_path / "stick").mkdir()
    (tmp_path / "g").rename(tmp_path / "stick" / "g")
    photos.rename(tmp_path / "stick" / "photos")
    gallery = Gallery.open(tmp_path / "stick" / "g", model)
    assert gallery.search("red").hits[0].path == tmp_path / "stick" / "photos" / "red.png"
    assert add(gallery, tmp_path / "stick" / "photos").skipped == 5


# ------------------------------------------------------------------------------------- refusing


def test_another_model_is_refused_with_the_cure(add, tmp_path, model, photos):
    add(Gallery.create(tmp_path / "g", model), photos)
    retrained = type(model)("colours-2")
    with pytest.raises(GalleryError, match="another version of it.*index the photos again"):
        Gallery.open(tmp_path / "g", retrained)
    retrained.name = "shapes"
    with pytest.raises(GalleryError, match="'colours'.*cannot be searched with 'shapes'"):
        Gallery.open(tmp_path / "g", retrained)


def test_no_gallery_there(tmp_path, model, photos):
    with pytest.raises(GalleryError, match="is not a gallery"):
        Gallery.open(tmp_path / "nowhere")
    with pytest.raises(GalleryError, match="not empty"):
        Gallery.create(photos, model)
    Gallery.create(tmp_path / "g", model)
    with pytest.raises(GalleryError, match="already"):
        Gallery.create(tmp_path / "g", model)
    assert len(Gallery.open_or_create(tmp_path / "g", model)) == 0
    assert len(Gallery.open_or_create(tmp_path / "h", model)) == 0


@pytest.mark.parametrize(
    "query, said",
    [
        ({}, "nothing to search with"),
        ({"text": "   "}, "nothing to search with"),
        ({"minus": ["red"]}, "nothing to search with"),
        ({"text": "red", "minus": ["red"]}, "cancel"),
        ({"text": "red", "top_k": 0}, "top_k"),
        ({"text": "red", "top_k": 1.5}, "top_k"),
        ({"text": "red", "duplicate_threshold": 7}, "duplicate_threshold"),
        ({"example": 99}, "no picture number 99"),
        ({"example": "0"}, "not the number"),
        ({"image": b"nonsense"}, "not a picture"),
    ],
)
def test_bad_queries(add, model, photos, query, said):
    gallery = Gallery.create(None, model)
    add(gallery, photos)
    with pytest.raises(UserError, match=said):
        gallery.search(**query)


def test_an_empty_gallery(add, place, model):
    gallery = Gallery.create(place, model)
    assert len(gallery) == 0 and gallery.ids == [] and gallery.captions == 0
    result = gallery.search("red", hide_duplicates=True)
    assert result.hits == () and len(result.scores) == 0
    assert add(gallery, []).done == 0
    with pytest.raises(UserError, match="captions"):
        gallery.captions_for(Image.new("RGB", (5, 5)))
    with pytest.raises(UserError, match="captions"):
        gallery.report()
    if place:
        assert len(Gallery.open(place, model)) == 0


def test_a_picture_that_is_gone(add, model, photos, tmp_path):
    gallery = Gallery.create(tmp_path / "g", model)
    add(gallery, photos)
    hit = gallery.search("red").hits[0]
    (photos / "red.png").unlink()
    with pytest.raises(UserError, match=r"red\.png"):
        gallery.picture(hit.id)


# ------------------------------------------------------------------------------------ searching


def test_exact_search_is_brute_force(add, model, many, tmp_path):
    gallery = Gallery.create(tmp_path / "g", model)
    add(gallery, many)
    result = gallery.search("yellow", top_k=20)
    everything = gallery.vectors(gallery.ids) @ result.query
    order = np.argsort(-everything, kind="stable")[:20]
    assert [hit.score for hit in result.hits] == pytest.approx(everything[order].tolist())
    assert {hit.id for hit in result.hits} == set(order.tolist())
    assert np.allclose(result.scores, everything) and not result.is_sample
    assert len(gallery.search("yellow", top_k=10**9).hits) == 60


def test_photo_to_photo_and_from_a_hit(add, model, photos):
    gallery = Gallery.create(None, model)
    add(gallery, photos)
    red = Image.new("RGB", (300, 200), (250, 0, 0))
    hit = gallery.search(image=red).hits[0]
    assert hit.name == "red.png"
    again = gallery.search(example=hit.id)
    assert again.hits[0].id == hit.id and again.hits[0].score == pytest.approx(1)


def test_arithmetic(add, model, photos):
    gallery = Gallery.create(None, model)
    add(gallery, photos)
    plain = gallery.search("red")
    same = gallery.search("red", plus=["blue"], minus=["blue"])
    assert np.allclose(plain.query, same.query, atol=1e-6)
    assert names(plain) == names(same)
    words = model.encode_texts(["red", "blue", "green"]).numpy()
    formula = words[0] + words[1] - words[2]
    mixed = gallery.search("red", plus=["blue"], minus=["green"]).query
    assert np.allclose(mixed, formula / np.linalg.norm(formula), atol=1e-6)
    assert np.linalg.norm(mixed) == pytest.approx(1, abs=1e-6)
    photo = Image.new("RGB", (20, 20), (0, 0, 255))
    both = gallery.search("red", photo, minus=[photo]).query
    assert np.allclose(both, words[0], atol=1e-6)
    half = gallery.search("red", plus=["blue"], strength=0.5).query
    formula = words[0] + 0.5 * words[1]
    assert np.allclose(half, formula / np.linalg.norm(formula), atol=1e-6)
    toward = gallery.search("yellow", minus=["green"], top_k=1)
    assert names(toward) == ["red.png"]


def test_near_duplicates_are_hidden_behind_the_best(add, model):
    gallery = Gallery.create(None, model)
    near = [(f"red {i}", Image.new("RGB", (8, 8), (255 - 5 * i, 0, 0))) for i in range(4)]
    add(gallery, [*near, ("green", Image.new("RGB", (8, 8), (0, 255, 0)))])
    assert len(gallery.search("red", top_k=3).hits) == 3
    result = gallery.search("red", top_k=3, hide_duplicates=True)
    assert names(result) == ["red 0", "green"]
    assert result.hits[0].hidden == (1, 2, 3) and result.hits[1].hidden == ()
    assert [hit.rank for hit in result.hits] == [1, 2]
    all_apart = gallery.search("red", top_k=9, hide_duplicates=True, duplicate_threshold=1)
    assert len(all_apart.hits) == 5


def test_hiding_looks_further_where_many_are_alike(add, model):
    gallery = Gallery.create(None, model)
    alike = [(f"{i}", Image.new("RGB", (8, 8), (255, i % 10, i // 10))) for i in range(100)]
    others = [(c, Image.new("RGB", (8, 8), c)) for c in ("blue", "green")]
    add(gallery, alike + others)
    result = gallery.search("red", top_k=3, hide_duplicates=True)
    assert len(result.hits) == 3 and {hit.name for hit in result.hits[1:]} == {"blue", "green"}


def test_timings_add_up(add, model, photos):
    gallery = Gallery.create(None, model)
    add(gallery, photos)
    timings = gallery.search("red", image=Image.new("RGB", (9, 9)), hide_duplicates=True).timings
    assert set(timings) == {
        "model",
        "words",
        "photo",
        "search",
        "duplicates",
        "details",
        "total",
    }
    assert all(value >= 0 for value in timings.values())
    assert sum(timings.values()) - timings["total"] <= timings["total"]


def test_words_are_embedded_once(add, model, photos, monkeypatch):
    gallery = Gallery.create(None, model)
    add(gallery, photos)
    asked, encode = [], model.encode_texts
    monkeypatch.setattr(model, "encode_texts", lambda texts: asked.extend(texts) or encode(texts))
    for _ in range(3):
        gallery.search("a red boat", minus=["people"])
    assert asked == ["a red boat", "people"]


def test_searching_from_many_threads_while_adding(add, tmp_path, model, many, photos):
    gallery = Gallery.create(tmp_path / "g", model)
    add(gallery, photos)
    queries = ["red", "green", "blue", "yellow"] * 30

    def ask(words):
        result = gallery.search(words, hide_duplicates=words == "red")
        assert [hit.rank for hit in result.hits] == list(range(1, len(result.hits) + 1))
        scores = [hit.score for hit in result.hits]
        assert scores == sorted(scores, reverse=True) and len(result.scores) == result.count
        return scores[0] > 0.99

    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(ask, queries)
        last = add(gallery, many)
        assert all(answers)
    assert last.added == 60 and len(gallery) == 65


# ------------------------------------------------------------------------------------- captions


def test_photo_to_captions(add, place, model, photos):
    gallery = Gallery.create(place, model)
    add(gallery, photos, CAPTIONS)
    if place:
        gallery = Gallery.open(place, model)
    red = next(i for i in gallery.ids if gallery.item(i).name == "red.png")
    hits = gallery.captions_for(red, top_k=2)
    assert {hit.caption for hit in hits} == set(CAPTIONS["red.png"])
    assert [hit.rank for hit in hits] == [1, 2] and hits[0].id == red
    blue = gallery.captions_for(Image.new("RGB", (30, 30), "blue"))
    assert blue[0].caption == "blue as the sea" and len(blue) == 4
    assert gallery.search("red").hits[0].caption == "a red thing"


def test_captions_can_be_added_later(add, tmp_path, model, photos):
    gallery = Gallery.create(tmp_path / "g", model)
    add(gallery, photos)
    assert gallery.captions == 0
    last = add(gallery, photos, CAPTIONS)
    assert (last.added, last.skipped) == (3, 2) and model.seen == 5
    for opened in (gallery, Gallery.open(tmp_path / "g", model)):
        assert len(opened) == 5 and opened.captions == 4
        assert opened.captions_for(Image.new("RGB", (9, 9), "blue"))[0].caption == "blue as the sea"
    assert add(gallery, photos, CAPTIONS).skipped == 5
    assert add(gallery, photos).skipped == 5 and gallery.captions == 4


def test_the_matrix_of_photos_and_captions(add, model, photos):
    gallery = Gallery.create(None, model)
    add(gallery, photos, CAPTIONS)
    ids = [i for i in gallery.ids if gallery.item(i).captions]
    matrix = gallery.similarity(ids)
    assert matrix.shape == (3, 3) and (matrix.argmax(1) == np.arange(3)).all()
    assert gallery.similarity(ids, ["red", "blue"]).shape == (3, 2)
    with pytest.raises(UserError, match="has no caption"):
        gallery.similarity(gallery.ids)
    with pytest.raises(UserError, match="at least one"):
        gallery.similarity([])


def test_the_report(add, tmp_path, model, photos):
    gallery = Gallery.create(tmp_path / "g", model)
    add(gallery, photos)
    add(gallery, photos, CAPTIONS)  # leaves removed rows behind
    report = gallery.report()
    assert report["t2i_r1"] == report["i2t_r1"] == 100
    assert (report["images"], report["captions"], report["median_rank"]) == (3, 4, 1)
