"""What the Classify tab's events compute, with a tiny model."""

import csv
from pathlib import Path

import pytest
from PIL import Image

from multimodal.errors import UserError
from multimodal.labels import read_label_set
from multimodal.ui.classifier import Classifier
from multimodal.ui.context import Context
from multimodal.ui.settings import Settings
from multimodal.ui.texts import Texts, preferred, read_texts

ASKED = {
    "model": "tiny",
    "template": "",
    "ensemble": True,
    "temperature": 1.0,
    "independent": False,
    "strictness": 0,
    "language": "en",
}


@pytest.fixture
def context(tmp_path, tiny_clip):
    return Context(Settings(data=tmp_path, model="tiny"), Texts(), load=lambda name: tiny_clip)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.linear_gradient("L").convert("RGB").save(path)
    return str(path)


def test_shares_sum_to_one_and_temperature_keeps_the_order(context, photo):
    run = Classifier(context)
    result = run.classify(photo, ["boat", "house", "고양이"], **ASKED)
    assert float(result.share.sum()) == pytest.approx(1)
    hot = run.classify(photo, ["boat", "house", "고양이"], **{**ASKED, "temperature": 10.0})
    assert hot.share.argsort().tolist() == result.share.argsort().tolist()
    assert hot.share.max() < result.share.max()
    assert hot.cosine.tolist() == result.cosine.tolist()


def test_a_slider_never_runs_the_model_again(context, photo, tiny_clip, monkeypatch):
    run = Classifier(context)
    run.classify(photo, ["boat", "house"], **{**ASKED, "strictness": 100})

    def refuse(*_):
        raise AssertionError("the model ran again")

    monkeypatch.setattr(tiny_clip, "encode_pixels", refuse)
    monkeypatch.setattr(tiny_clip, "encode_texts", refuse)
    for change in (
        {"temperature": 0.2},
        {"independent": True},
        {"strictness": 500},
        {"language": "ko"},
    ):
        run.classify(photo, ["house", "boat"], **{**ASKED, **change})


def test_independent_labels_do_not_share(context, photo):
    result = Classifier(context).classify(
        photo, ["boat", "boat "], **{**ASKED, "independent": True}
    )
    assert len(result.labels) == 1 and 0 < float(result.share[0]) < 1


def test_none_of_these_counts_better_names(context, photo):
    run = Classifier(context)
    result = run.classify(photo, ["boat"], **{**ASKED, "strictness": 1})
    assert 0 <= result.better <= len(read_label_set("imagenet"))
    best = run.classify(
        photo, [label.en for label in read_label_set("imagenet")], **{**ASKED, "strictness": 1}
    )
    assert best.better == 0


def test_the_answer_escapes_what_users_type(context, photo):
    asked = {k: v for k, v in ASKED.items() if k not in ("language",)}
    order = ("model", "template", "ensemble", "temperature")
    html = Classifier(context).answer(
        "en",
        photo,
        ["<script>alert(1)</script>", "house"],
        *(asked[key] for key in order),
        independent=False,
        strictness=0,
    )
    assert "<script>" not in html and "&lt;script&gt;" in html


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"image": None}, "There is no photo"),
        ({"labels": []}, "There is no label"),
        ({"labels": ["  "]}, "There is no label"),
        ({"labels": [f"label {i}" for i in range(5001)]}, "at most 5000"),
        ({"template": "no place", "ensemble": False}, "no {}"),
    ],
)
def test_bad_input_is_one_sentence(context, photo, changes, said):
    given = {"image": photo, "labels": ["boat"], **ASKED, **changes}
    with pytest.raises(UserError) as caught:
        Classifier(context).classify(**given)
    assert said in str(caught.value)


def test_endless_and_odd_labels_are_answered(context, photo):
    labels = ["x" * 100_000, "🙂", "\x00\x07", "кошка", "ゆき", "a\nb"]
    result = Classifier(context).classify(photo, labels, **ASKED)
    assert len(result.labels) == 6 and float(result.share.sum()) == pytest.approx(1)


def test_many_photos_make_a_matrix_and_a_csv(context, photo, tmp_path):
    formula = tmp_path / "=1+1.png"
    Image.new("RGB", (9, 9), "blue").save(formula)
    torn = tmp_path / "torn.png"
    torn.write_bytes(b"\x89PNG\r\n\x1a\n")
    html, file = Classifier(context).many(
        [photo, str(formula), str(torn)], ["boat", "house"], "tiny", "", True, "en"
    )
    assert html.count("<tr>") == 3 and "torn.png" in html and "photo.png: " in html
    with Path(file).open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.reader(lines))
    assert rows[0] == ["photo", "best", "boat", "house"]
    assert [row[0] for row in rows[1:]] == ["photo.png", "'=1+1.png"]
    assert sum(map(float, rows[1][2:])) == pytest.approx(1, abs=1e-3)


def test_maps_and_templates(context, photo):
    run = Classifier(context)
    html = run.where(photo, ["boat", "house"], "tiny", "", True, "en")
    assert html.count("<figure>") == 2
    assert run.compare_templates(photo, ["boat"], "tiny", "art of {}", "en").count("<h4>") == 3


def test_every_text_is_in_both_languages():
    for key, text in read_texts().items():
        assert set(text) == {"en", "ko"}, key
        names = {language: sorted(part.split("}")[0] for part in value.split("{")[1:])
                 for language, value in text.items()}  # fmt: skip
        assert names["en"] == names["ko"], key


@pytest.mark.parametrize(
    "header, language",
    [("ko-KR,ko;q=0.9", "ko"), ("en-US", "en"), ("de,ko;q=0.5", "en"), (None, "en")],
)
def test_the_browsers_language(header, language):
    assert preferred(header) == language
