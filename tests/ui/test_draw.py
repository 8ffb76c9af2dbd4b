"""What the Draw tab's events compute, with a tiny DALL-E."""

import json
import re
from dataclasses import replace
from html import unescape

import gradio as gr
import pytest
from PIL import Image

from multimodal import checkpoint
from multimodal.errors import UserError
from multimodal.ui import draw
from multimodal.ui.context import Context
from multimodal.ui.drawer import DEFAULTS, Asked, Drawer
from multimodal.ui.settings import Settings
from multimodal.ui.texts import Texts, read_texts

BOAT = Asked("a red boat", "dalle-toybox", 3, 5)


@pytest.fixture
def context(tmp_path, tiny_clip, tiny_world, monkeypatch):
    monkeypatch.setattr(checkpoint, "BUNDLED", tiny_world)
    return Context(Settings(data=tmp_path, model="tiny"), Texts(), load=lambda name: tiny_clip)


@pytest.fixture
def run(context):
    return Drawer(context)


@pytest.fixture
def done(run):
    *_, last = run.drawings(BOAT)
    return last


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.linear_gradient("L").convert("RGB").save(path)
    return str(path)


def test_pictures_grow_by_rows_and_scores_come_last(run):
    steps = list(run.drawings(BOAT))
    assert [step.drawing.rows for step in steps] == [1, 2, 3, 4, 5, 6, 6]
    assert [bool(step.scores) for step in steps] == [False] * 6 + [True]
    assert steps[-1].drawing.seeds == (5, 6, 7) and len(steps[-1].scores) == 3


def test_reranking_changes_the_order_and_nothing_else(run, done):
    scored = replace(done, scores=(0.1, 0.3, 0.2))
    assert scored.order(True) == [1, 2, 0] and scored.order(False) == [0, 1, 2]
    assert replace(done, scores=()).order(True) == [0, 1, 2]
    html = run.sheet(scored, True, "en")
    assert re.findall(r"<span>seed (\d) · CLIP (0\.\d+)", html) == [
        ("6", "0.300"), ("7", "0.200"), ("5", "0.100"),
    ]  # fmt: skip
    assert "first" in run.said(scored, True, "en") and "first" not in run.said(scored, False, "en")


def test_a_finished_picture_can_be_downloaded_and_tells_how_it_was_made(run, done, tmp_path):
    html = run.sheet(done, False, "ko")
    names = re.findall(r'download="([^"]+)"', html)
    assert names == ["a-red-boat-5.png", "a-red-boat-6.png", "a-red-boat-7.png"]
    files = run.files(done, tmp_path)
    assert [file.name for file in files] == names
    notes = json.loads(Image.open(files[1]).text["multimodal"])
    assert (notes["prompt"], notes["seed"], notes["model"]) == ("a red boat", 6, "dalle-toybox")


def test_an_unfinished_picture_has_no_download(run):
    first = next(run.drawings(BOAT))
    html = run.sheet(first, True, "en")
    assert "download" not in html and html.count("<img") == 3
    assert "row 1 of 6" in run.said(first, True, "en", growing=True)
    assert "Stopped after row 1 of 6" in run.said(first, True, "en")


def test_stop_ends_within_a_row_and_only_ones_own(run):
    run.begin(BOAT, "me")
    run.begin(BOAT, "you")
    mine, yours = run.turn(BOAT, "me"), run.turn(BOAT, "you")
    growing = run.draw(mine, "me", "en")
    assert next(growing).drawing.rows == 1
    run.stop("me")
    assert list(growing) == []
    *_, last = run.draw(yours, "you", "en")
    assert last.drawing.done
    assert run.turn(BOAT, "me") is None and run.turn(BOAT, "you") is None


def test_a_drawing_that_still_waits_can_be_stopped(run):
    run.begin(BOAT, "me")
    run.stop("me")
    assert list(run.draw(run.turn(BOAT, "me"), "me", "en")) == []


def test_a_newer_wish_replaces_one_that_waits_and_ends_one_that_runs(run):
    house = replace(BOAT, prompt="a blue house")
    run.begin(BOAT, "me")
    growing = run.draw(run.turn(BOAT, "me"), "me", "en")
    next(growing)
    run.begin(house, "me")
    assert list(growing) == []
    assert run.turn(BOAT, "me") is None and run.turn(house, "me").asked == house
    *_, last = run.draw(run.turn(house, "me"), "me", "en")
    assert last.prompt == "a blue house" and last.drawing.done


@pytest.mark.parametrize("prompt", ["", "  ", "\x00\x07", None, "\u200b"])
def test_an_empty_prompt_draws_freely_and_says_so(run, prompt):
    *_, last = run.drawings(replace(BOAT, prompt=prompt, images=1))
    assert last.drawing.done and last.scores == ()
    assert "whatever it likes" in run.said(last, True, "en")
    assert "no prompt to listen to" in run.explain(last, 1, True, "en")


@pytest.mark.parametrize(
    "prompt",
    ["a boat " * 1500, "🐈" * 40, "ሰላም ልዑል", "a\ud800b", "<b>&\"'"],
    ids=["long", "emoji", "script", "surrogate", "html"],
)
def test_any_prompt_is_drawn(run, prompt, tmp_path):
    *_, last = run.drawings(replace(BOAT, prompt=prompt, images=1))
    html = run.sheet(last, True, "en") + run.explain(last, 1, True, "en")
    html.encode()
    assert "<b>" not in html.replace("<b>&amp;", "")
    assert ("at most" in run.said(last, True, "en")) == (last.pieces == 10)
    run.files(last, tmp_path)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"model": None}, "There is no DALL-E here yet"),
        ({"model": "dalle-none"}, "no model named"),
        ({"images": 0}, "images"),
        ({"images": 5}, "images"),
        ({"seed": None}, "There is no seed"),
        ({"temperature": 99}, "temperature"),
        ({"top_p": 2}, "top_p"),
        ({"picture": b"no picture", "rows": 2}, "picture"),
    ],
)
def test_what_cannot_be_drawn_is_said(run, change, said):
    with pytest.raises(UserError, match=said):
        list(run.drawings(replace(BOAT, **change)))


def test_an_own_picture_is_completed(run, photo):
    first, *_, last = run.drawings(replace(BOAT, picture=photo, rows=4))
    assert first.drawing.rows == 5 and last.drawing.done
    kept = run.context.vqvae("vqvae-toybox").encode([Image.open(photo)])[0, :4]
    assert all((ids[:4] == kept).all() for ids in last.drawing.ids)


def test_a_models_own_settings_are_read_without_its_weights(run):
    assert run.defaults("dalle-toybox") == {
        "temperature": 1.0, "top_k": 0, "top_p": 1.0, "guidance_scale": 2.0, "grid": 6,
    }  # fmt: skip
    assert run.defaults(None) == run.defaults("nothing") == DEFAULTS
    assert run.context._models == {}


def test_the_token_grid_knows_every_cell(run, done):
    html = run.explain(done, 2, False, "en")
    cells = json.loads(unescape(re.search(r'data-cells="([^"]+)"', html)[1]))
    colours = run.context.dalle("dalle-toybox").config.colours
    drawn = done.drawing.ids[1].flatten().tolist()
    assert [cell["code"] for cell in cells] == [
        f"{token // colours}·{token % colours}" if colours else str(token) for token in drawn
    ]
    assert ("A token is a pair here" in html) == bool(colours)
    assert all(len(cell["codes"]) == 5 for cell in cells)
    assert all(cell["chances"] == sorted(cell["chances"], reverse=True) for cell in cells)
    words = html.count('class="word"')
    assert words == done.pieces and all(len(cell["words"]) == words for cell in cells)
    assert html.count('class="cell"') == 36 and 'aria-label="row 6, column 6"' in html
    assert run.explain(done, 2, False, "en") is html  # kept
    assert run.explain(done, 1, False, "en") != html


@pytest.mark.parametrize("order", ["usage", "colour"])
def test_the_wall_holds_every_code_once(run, order):
    html = run.codebook("vqvae-toybox", order, "en")
    walls = [json.loads(codes) for codes in re.findall(r'data-codes="([^"]+)"', html)]
    colours = run.context.vqvae("vqvae-toybox").colours
    assert [len(wall) for wall in walls] == ([5, 4] if colours else [20])
    assert ("alphabet of shapes: 5 codes" in html and "palette: 4 codes" in html) == bool(colours)
    for codes in walls:
        assert sorted(code for code, _ in codes) == list(range(len(codes)))
        shares = [share for _, share in codes]
        assert sum(shares) == pytest.approx(1, abs=1e-3)
        assert order != "usage" or shares == sorted(shares, reverse=True)
    with pytest.raises(UserError, match="no VQ-VAE"):
        run.codebook(None, order, "en")


def test_a_photo_goes_through_the_tokens_and_back(run, photo):
    (true, made), say = run.reconstruct(photo, "vqvae-toybox", "en")
    assert true.size == made.size
    assert "36 tokens of 5 bits" in say and "22 bytes" in say and "dB" in say
    with pytest.raises(UserError, match="사진이 없습니다"):
        run.reconstruct(None, "vqvae-toybox", "ko")


def test_menus_name_the_worlds(context):
    assert context.worlds("dalle", "ko") == [("그린 세계", "dalle-toybox")]
    assert context.worlds("vqvae", "en") == [("drawn world", "vqvae-toybox")]
    assert context.first("vqvae", "photos") == "vqvae-toybox" and context.first("x", "y") is None


def test_the_page_is_laid_out_without_any_model(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path)
    context = Context(Settings(data=tmp_path), Texts())
    with gr.Blocks():
        draw.build(context, gr.Radio(["en", "ko"], value="en"))
    with pytest.raises(UserError, match="There is no DALL-E here yet"):
        next(Drawer(context).drawings(Asked("a red boat", None)))


def test_texts_name_the_same_values_in_both_languages():
    for key, texts in read_texts().items():
        if key.startswith("draw_"):
            english, korean = (set(re.findall(r"{(\w+)}", texts[code])) for code in ("en", "ko"))
            assert english == korean, key
