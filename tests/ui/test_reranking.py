"""Reranking in the Search tab, with tiny models."""

import re

import gradio as gr
import pytest
from PIL import Image

from multimodal import checkpoint
from multimodal.errors import UserError
from multimodal.ui import reranking
from multimodal.ui.context import Context
from multimodal.ui.galleries import FOLDER, SCENES, Galleries
from multimodal.ui.reranking import Asked, Reranker
from multimodal.ui.settings import Settings
from multimodal.ui.texts import Texts
from multimodal.vilbert.rerank import Reranking

COLOURS = ("red", "green", "blue", "yellow")


@pytest.fixture
def models(tiny_vilbert_folder, monkeypatch):
    """The folder of the bundled models, with `vilbert-photos` alone in it."""
    folder = tiny_vilbert_folder.parent / "checkpoints"
    folder.mkdir()
    tiny_vilbert_folder.rename(folder / "vilbert-photos")
    monkeypatch.setattr(checkpoint, "BUNDLED", folder)
    return folder


@pytest.fixture
def context(tmp_path, tiny_clip):
    photos = tmp_path / "photos"
    photos.mkdir()
    for colour in COLOURS:
        Image.new("RGB", (40, 30), colour).save(photos / f"{colour}.png")
    settings = Settings(data=tmp_path / "data", model="tiny", gallery=photos)
    return Context(settings, Texts(), load=lambda name: tiny_clip)


@pytest.fixture
def run(context, models):
    found = Reranker(context, Galleries(context))
    list(found.galleries.fill(FOLDER))
    return found


def orders(html):
    """Names of the photos in both orders."""
    left, right = re.findall(r"<ol>.*?</ol>", html, re.DOTALL)
    return [re.findall(r'alt="(\w+)\.png"', side) for side in (left, right)]


def test_both_orders_stand_side_by_side(run, monkeypatch):
    hits = run.galleries.open(FOLDER).search("a red boat").hits
    monkeypatch.setattr(
        "multimodal.vilbert.rerank.rerank",
        lambda *given: Reranking((3, 1, 0, 2), (0.2, 0.5, 0.03, 0.9), 1.0, 2.0),
    )
    html = run.rerank(Asked(FOLDER, "a red boat", False), "en")
    names = [hit.name.removesuffix(".png") for hit in hits]
    assert orders(html) == [names, [names[i] for i in (3, 1, 0, 2)]]
    assert "CLIP&#x27;s number 4 first; 3 of 4 photos change places" in html
    assert f"1 · {hits[0].score:.3f}" in html and "1 · 90 %" in html and "4 · 3.0 %" in html
    assert html.count('class="up"') == 1 and 'title="up by 3"' in html
    assert html.count('class="down"') == 2 and "▼2" in html and "▼1" in html


def test_a_whole_model_reranks_in_both_languages(run):
    for words, language in (("a red boat", "en"), ("빨간 배", "ko")):
        left, right = orders(run.rerank(Asked(FOLDER, words, False), language))
        assert sorted(left) == sorted(right) == sorted(COLOURS)


def test_only_the_first_hits_are_read(run, monkeypatch):
    monkeypatch.setattr(reranking, "FIRST", 2)
    left, right = orders(run.rerank(Asked(FOLDER, "a red boat", False), "en"))
    assert len(left) == 2 and sorted(left) == sorted(right)


def test_a_language_that_the_model_does_not_read_is_said(run):
    run.context.vilbert("vilbert-photos").languages = ("en",)
    with pytest.raises(UserError, match="vilbert-photos reads English only"):
        run.rerank(Asked(FOLDER, "빨간 배", False), "en")
    assert orders(run.rerank(Asked(FOLDER, "a red boat", False), "ko"))


def test_without_a_search_by_words_it_says_what_to_do(run):
    with pytest.raises(UserError, match="Search with words alone first"):
        run.rerank(None, "en")


def test_each_gallery_has_the_model_of_its_world(run, models):
    assert run.model(SCENES) == run.model(FOLDER) == "vilbert-photos"
    (models / "vilbert-photos").rename(models / "vilbert-toybox")
    assert run.model(FOLDER) == "vilbert-toybox"


@pytest.mark.parametrize("there", [True, False])
def test_the_control_is_there_where_a_model_is(context, models, there):
    if not there:
        (models / "vilbert-photos" / checkpoint.CONFIG).unlink()
    with gr.Blocks() as page:
        emptied = reranking.build(context, Galleries(context), gr.State(), gr.Radio())
    ids = {getattr(block, "elem_id", None) for block in page.blocks.values()}
    assert ("search-rerank" in ids) is there and len(emptied) == there
