"""What the Ask tab's events compute, with a tiny ViLBERT."""

import base64
import json
import re
import shutil
from html import unescape
from pathlib import Path

import gradio as gr
import pytest
import torch
from PIL import Image

from multimodal import checkpoint
from multimodal.errors import UserError
from multimodal.ui import ask, attention
from multimodal.ui.asker import Asked, Asker
from multimodal.ui.context import Context
from multimodal.ui.settings import Settings
from multimodal.ui.texts import Texts, read_texts
from multimodal.vilbert.answering import Answer

TINY = "vilbert-toybox"
QUESTION = "a red boat"


@pytest.fixture
def context(tmp_path, tiny_vilbert_folder, monkeypatch):
    shutil.copytree(tiny_vilbert_folder, tmp_path / "models" / TINY)
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path / "models")
    return Context(Settings(data=tmp_path), Texts())


@pytest.fixture
def run(context):
    return Asker(context)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.radial_gradient("L").resize((60, 40)).convert("RGB").save(path)
    return str(path)


def asked(photo, question=QUESTION, model=TINY, only=""):
    return Asked(photo, question, model, only)


def names(html):
    return re.findall(r'<span class="name">([^<]*)</span>', html)


def found(html):
    return json.loads(unescape(re.search(r'data-found="([^"]+)"', html)[1]))


def test_an_answer_has_five_bars_and_five_without_the_photo(run, photo):
    html = run.answer(asked(photo), "en")
    model = run.context.vilbert(TINY)
    seen = [one.text for one in model.answer(Image.open(photo), QUESTION)]
    blind = [one.text for one in model.answer_blind(QUESTION)]
    assert names(html) == seen + blind and len(seen) == len(blind) == 5
    assert "With the photo hidden" in html and TINY in html
    assert "사진을 가리면" in run.answer(asked(photo), "ko")


@pytest.mark.parametrize(
    "shares, said",
    [
        ((0.9, 0.1), "<b>a</b>, and the model is sure"),
        ((0.5, 0.1), "Probably <b>a</b>"),
        ((0.3, 0.1), "Perhaps <b>a</b>"),
        ((0.1, 0.09), "does not know"),
        ((0.5, 0.4), "close call between <b>a</b> and <b>b</b>"),
        ((1.0,), "<b>a</b>, and the model is sure"),
    ],
)
def test_how_sure_it_is_stands_in_words(run, shares, said):
    answers = [Answer(name, share) for name, share in zip("ab", shares, strict=False)]
    assert said in run._sure(answers, "en")


@pytest.mark.parametrize(
    "seen, blind, said",
    [
        (
            ("a", 0.6),
            ("b", 0.6),
            "changes the answer: from the question alone it would be <b>b</b>",
        ),
        (("a", 0.6), ("a", 0.4), "less sure"),
        (("a", 0.4), ("a", 0.6), "makes it doubt"),
        (("a", 0.6), ("a", 0.6), "changes nothing"),
    ],
)
def test_what_the_photo_changes_stands_in_words(run, seen, blind, said):
    assert said in run._changed([Answer(*seen)], [Answer(*blind)], "en")


def test_only_the_answers_of_a_list_are_chosen_from(run, photo):
    html = run.answer(asked(photo, only=" red, blue ,, "), "en")
    assert set(names(html)) == {"red", "blue"} and len(names(html)) == 4
    assert "share out 100" in html
    with pytest.raises(UserError, match="does not know the answer 'mauve'"):
        run.answer(asked(photo, only="red, mauve"), "en")


@pytest.mark.parametrize(
    "change, said",
    [
        ({"photo": None}, "There is no photo"),
        ({"question": ""}, "There is no question"),
        ({"question": " \x00\n"}, "There is no question"),
        ({"question": None}, "There is no question"),
        ({"model": None}, "There is no ViLBERT here yet"),
        ({"model": "vilbert-none"}, "no model named"),
    ],
)
def test_what_cannot_be_answered_is_said(run, photo, change, said):
    with pytest.raises(UserError, match=said):
        run.answer(asked(**{"photo": photo, **change}), "en")


def test_a_torn_photo_is_named(run, tmp_path, photo):
    torn = tmp_path / "torn.png"
    torn.write_bytes(Path(photo).read_bytes()[:60])
    with pytest.raises(UserError, match=r"torn\.png"):
        run.answer(asked(str(torn)), "en")


@pytest.mark.parametrize(
    "question, cut, unknown",
    [
        ("a red boat", False, False),
        ("boat " * 1000, True, False),
        ("빨간 배", False, False),
        ("ሰላም ልዑል", False, True),
        ("<b>a\ud800 boat</b>\u2028", False, True),
    ],
    ids=["short", "long", "korean", "script", "html"],
)
def test_any_question_is_answered_and_what_is_not_read_is_said(run, photo, question, cut, unknown):
    html = run.answer(asked(photo, question), "en") + run.explain(asked(photo, question), "en")
    html.encode()
    assert ("at most" in html) == cut
    assert ("unknown to this model" in html) == unknown
    assert "<b>a" not in html and len(names(html)) == 10


def test_korean_is_unknown_to_a_model_of_english(run, photo):
    model = run.context.vilbert(TINY)
    assert run._notes(model, "빨간 배", "en") == []
    model.languages = ("en",)
    assert "unknown to this model" in run._notes(model, "빨간 배", "en")[0]
    assert run._notes(model, "a red boat", "en") == []


def test_a_one_pixel_photo_is_answered(run, tmp_path):
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    assert len(names(run.answer(asked(str(tmp_path / "dot.png")), "en"))) == 10


def test_all_maps_lie_in_the_page(run, photo):
    data = found(run.explain(asked(photo), "en"))
    model = run.context.vilbert(TINY)
    maps = {m.name: m for m in model.maps(Image.open(photo), QUESTION).maps}
    assert len(data["maps"]) == len(maps)
    shown = next(
        m for m in data["maps"] if m["name"] == "Co-TRM 2, language: words look at regions"
    )
    roots = torch.frombuffer(bytearray(base64.b64decode(shown["roots"])), dtype=torch.uint8)
    weights = (roots.view(shown["heads"], shown["rows"], shown["columns"]) / 255) ** 2
    true = maps["Co-TRM 2 (text to vision)"].weights[0]
    assert weights.shape == true.shape == (2, len(model.tokenizer.pieces(QUESTION)), 17)
    assert (weights - true).abs().max() < 0.004
    assert data["maps"][data["start"]] is shown
    assert data["regions"][0] == "global token" and data["regions"][5] == "row 2, column 1"


def test_words_and_regions_can_be_clicked(run, photo):
    html = run.explain(asked(photo), "en")
    assert html.count('class="cell" tabindex=') == 16 and html.count('tabindex="0"') == 1
    pieces = run.context.vilbert(TINY).tokenizer.pieces(QUESTION)
    words = re.findall(r'<button type="button" class="word piece"[^>]*>([^<]*)<', html)
    assert words == pieces and words[0] == "[CLS]" and words[-1] == "[SEP]"
    rated = re.findall(r'<span class="cell" style="[^"]*--heat:(\d+ \d+ \d+)"', html)
    assert len(rated) == 16 and len(set(rated)) > 2
    assert "Chefer" in html and 'class="word whole"' in html


def test_the_answer_of_the_list_is_the_one_explained(run, photo):
    model = run.context.vilbert(TINY)
    best = model.answer(Image.open(photo), QUESTION, 1)[0].text
    other = next(answer for answer in model.answers if answer != best)
    assert f"Relevance for “{best}”" in run.explain(asked(photo), "en")
    assert f"Relevance for “{other}”" in run.explain(asked(photo, only=other), "en")


def test_the_diagram_stands_as_the_layers_run():
    papers = [("text", i) for i in range(3)] + [("vision", 0), ("co", 0), ("text", 3), ("co", 1)]
    where = attention.columns([*papers, ("vision", 1)])
    assert [where["text", i] for i in range(4)] == [0, 1, 2, 4]
    assert (where["vision", 0], where["co", 0], where["co", 1], where["vision", 1]) == (2, 3, 5, 6)
    assert attention.columns([("text", 0), ("vision", 0), ("vision", 1)]) == {
        ("text", 0): 1, ("vision", 0): 0, ("vision", 1): 1,
    }  # fmt: skip


def test_regions_that_are_no_grid_have_numbers():
    boxes = torch.tensor([[0, 0, 0.5, 1], [0.25, 0, 1, 1]])
    cells = attention.Cells.of(boxes, None, Texts(), "ko")
    assert cells.names == ["1번 영역", "2번 영역"] and cells.columns == 1
    html = attention.board(Image.new("RGB", (40, 20)), cells, "regions")
    assert "left:25.00%;top:0.00%;width:75.00%;height:100.00%" in html


def test_captions_are_ranked_by_how_well_they_fit(run, photo):
    html = run.fits(photo, "a red boat\n\n the cat \na red boat", TINY, "en")
    shares = run.context.vilbert(TINY).aligned(Image.open(photo), ["a red boat", "the cat"])
    best = max(zip(shares, ["a red boat", "the cat"], strict=True))[1]
    assert names(html)[0] == best and sorted(names(html)) == ["a red boat", "the cat"]
    fitting = sum(share >= 0.5 for share in shares)
    assert (f"{fitting} of 2 fit" if fitting else "None of them") in html
    with pytest.raises(UserError, match="There is no caption"):
        run.fits(photo, " \n ", TINY, "en")
    with pytest.raises(UserError, match="at most 20"):
        run.fits(photo, "\n".join(map(str, range(21))), TINY, "en")
    with pytest.raises(UserError, match="There is no photo"):
        run.fits(None, "a boat", TINY, "en")


def test_a_blank_is_filled_with_and_without_the_photo(run, photo):
    html = run.fill(photo, "a [mask] boat", TINY, "en")
    model = run.context.vilbert(TINY)
    seen, blind = (model.fill_mask(image, "a [MASK] boat") for image in (Image.open(photo), None))
    assert names(html) == [one.text for one in [*seen, *blind]]
    with pytest.raises(UserError, match=r"\[MASK\] once"):
        run.fill(photo, "a boat", TINY, "en")


def test_a_hidden_region_is_guessed(run, photo):
    html = run.hideable(photo, TINY, "en")
    groups = json.loads(re.search(r'data-hidden="([^"]+)"', html)[1])
    assert len(groups) == 16 and groups[0] == [0, 1, 4, 5] and len(groups[5]) == 9
    html = run.expected(photo, 5, "", TINY, "en")
    assert sorted(names(html)) == ["boat", "house", "sky"]
    with pytest.raises(UserError, match="no region 99"):
        run.expected(photo, 99, "", TINY, "en")


def test_the_page_says_which_languages_a_model_reads(run):
    assert run.reads(TINY, "en") == "This model reads questions in English, Korean."
    assert "영어, 한국어" in run.reads(TINY, "ko") and run.reads(None, "en") == ""
    assert run.context._models == {}  # without loading it


def test_examples_are_of_the_worlds_that_are_here(context):
    tried = ask._examples(context)
    assert [model for _, _, model in tried] == [TINY] * 4
    assert all(set(questions) == {"en", "ko"} for _, questions, _ in tried)


def test_the_page_is_laid_out_without_any_model(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path)
    context = Context(Settings(data=tmp_path), Texts())
    with gr.Blocks() as page:
        ask.build(context, gr.Radio(["en", "ko"], value="en"))
    assert any("There is no ViLBERT here yet" in str(b.get_config()) for b in page.blocks.values())


def test_texts_name_the_same_values_in_both_languages():
    for key, texts in read_texts().items():
        if key.startswith("ask_"):
            english, korean = (set(re.findall(r"{(\w+)}", texts[code])) for code in ("en", "ko"))
            assert english == korean, key
