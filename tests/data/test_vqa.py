"""Answers as the official evaluation reads them, on cases worked out by hand."""

import gzip
import json
import random
from collections import Counter
from pathlib import Path

import pytest

from multimodal.data import vqa
from multimodal.data.photos import DataError, Photo


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Yes", "yes"),
        ("  The red  car. ", "red car"),
        ("two", "2"),
        ("none", "0"),
        ("dont know", "don't know"),
        ("I'm", "i'm"),
        ("black/white", "black white"),
        ("1,000", "1000"),
        ("3.5", "3.5"),
        ("a", ""),
        ("t-shirt", "t shirt"),
        ("red, white", "red white"),
        ("what?", "what"),
    ],
)
def test_normalisation(written, read):
    assert vqa.normalise(written) == read


def people(**counts):
    return tuple(answer for answer, count in counts.items() for _ in range(count))


def test_leave_one_out_accuracy_on_cases_by_hand():
    for agree, expected in ((0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)):
        given = people(cat=agree, dog=10 - agree)
        assert vqa.accuracy("cat", given) == pytest.approx(expected)
    assert vqa.accuracy("The cat.", people(cat=10)) == 1.0


def test_soft_targets_are_the_same_five_values():
    given = people(a=1, b=2, c=3, d=4)
    assert vqa.soft_targets(given) == {"a": 0.3, "b": 0.6, "c": 0.9, "d": 1.0}
    assert vqa.soft_targets(people(yes=10)) == {"yes": 1.0}


def question(answer, **more):
    return vqa.VqaQuestion("?", people(**{answer: 10}), "other", **more)


def test_vocabulary_is_by_frequency_then_alphabet():
    asked = [question(a) for a in ("dog", "cat", "dog", "ant", "cow", "cow")]
    assert vqa.answer_vocabulary(asked, 3) == ("cow", "dog", "ant")


@pytest.fixture
def official(tmp_path):
    """The official layout and file names."""
    folder = tmp_path / "annotations"
    folder.mkdir()
    questions = [
        {"image_id": 9, "question_id": 90, "question": "What is it?"},
        {"image_id": 9, "question_id": 91, "question": "How many?"},
        {"image_id": 25, "question_id": 250, "question": "Unanswered?"},
    ]
    answers = [
        {
            "image_id": 9,
            "question_id": 90,
            "answer_type": "other",
            "answers": [{"answer_id": i, "answer": "A Cat"} for i in range(10)],
        },
        {
            "image_id": 9,
            "question_id": 91,
            "answers": [{"answer_id": i, "answer": "two"} for i in range(10)],
            "source": "okvqa",
            "ten_answers": False,
        },
    ]
    names = ("v2_OpenEnded_mscoco_val2014_questions", "v2_mscoco_val2014_annotations")
    (folder / f"{names[0]}.json").write_text(json.dumps({"questions": questions}))
    (folder / f"{names[1]}.json").write_text(json.dumps({"annotations": answers}))
    return tmp_path


def test_official_files_are_read(official):
    what, many = vqa.load(official, "val")
    assert (what.text, what.answers[0], what.type, what.image) == ("What is it?", "cat", "other", 9)
    assert what.ten_answers and what.source == "vqa2"
    assert (many.answers[0], many.type, many.ten_answers) == ("2", "number", False)
    with pytest.raises(DataError, match="questions_train.json"):
        vqa.load(official, "train")


def test_plain_names_come_first_and_foreign_files_are_named(official):
    folder = official / "annotations"
    for kind in ("questions", "annotations"):
        (old,) = folder.glob(f"v2_*{kind}.json")
        new = "questions_val.json" if kind == "questions" else "answers_val.json"
        old.rename(folder / new)
    assert len(vqa.load(official, "val")) == 2
    (folder / "answers_val.json").write_text('{"annotations": [{"a": 1}]}')
    with pytest.raises(DataError, match=r"answers_val.json is not a VQA v2 file"):
        vqa.load(official, "val")
    (folder / "answers_val.json").write_text('{"annotations": [{"question_id": 1}]}')
    with pytest.raises(DataError, match="files that belong together"):
        vqa.load(official, "val")
    (folder / "answers_val.json").write_text('{"annotations": [{"question_id": 90}]}')
    with pytest.raises(DataError, match="question 90 lacks 'answers'"):
        vqa.load(official, "val")


def test_questions_without_photos(tmp_path):
    assert list(vqa.text_only(tmp_path)) == []
    (tmp_path / "text").mkdir()
    rows = "image_id,question,answer,answer_type\n1,Is it?,Yes,yes/no\n2,Who?,a,\n3,Sum?,three,\n"
    with gzip.open(tmp_path / "text" / "vqa_no_photo.csv.gz", "wt") as file:
        file.write(rows)
    found = list(vqa.text_only(tmp_path))
    assert [(q.text, q.answers[0], q.type) for q in found] == [
        ("Is it?", "yes", "yes/no"),
        ("Sum?", "3", "number"),
    ]
    assert [q.image for q in found] == [1, 3] and not any(q.ten_answers for q in found)


def test_photo_numbers():
    assert vqa.image_number("COCO_val2014_000000000009.jpg") == 9
    assert vqa.image_number("000000000581.jpg") == 581 and vqa.image_number("cat.jpg") is None


def test_presence_is_balanced_for_every_thing():
    rng = random.Random(0)
    kinds = ["cat", "dog", "elephant", "boat"]
    photos = [
        Photo(Path("x"), f"{i}.jpg", objects=tuple(k for k in kinds if rng.random() < 0.3))
        for i in range(200)
    ]
    asked = vqa.presence_questions(photos, random.Random(1))
    shown = {photo.name: photo.objects for photo in photos}
    counts = Counter()
    for q in asked:
        (kind,) = (k for k in kinds if k in q.text)
        counts[kind, q.answers[0]] += 1
        assert (q.answers[0] == "yes") == (kind in shown[q.image])
        assert q.source == "objects" and not q.ten_answers and q.type == "yes/no"
        assert ("an elephant" in q.text) == (kind == "elephant")
    assert all(counts[kind, "yes"] == counts[kind, "no"] > 20 for kind in kinds)
    assert asked == vqa.presence_questions(photos, random.Random(1))
