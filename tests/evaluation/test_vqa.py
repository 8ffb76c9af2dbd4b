"""The figures of `evaluate vqa` on cases worked out by hand."""

import json

import pytest
import torch
from PIL import Image

from multimodal.data.photos import DataError
from multimodal.data.toybox import Question, Scene, Thing
from multimodal.evaluation import vqa
from multimodal.vilbert.regions import Regions


class Answerer:
    """Knows a photo by its red, and without it always says yes."""

    answers = ("yes", "no", "2", "red")
    languages = ("en", "ko")

    class config:
        image_size = 32

    def encode_images(self, images):
        red = torch.tensor([float(image.getpixel((0, 0))[0]) for image in images])
        ones = torch.ones(len(images), 1, dtype=torch.bool)
        return Regions(red.view(-1, 1, 1), torch.zeros(len(images), 1, 5), ones)

    def blank(self):
        return Regions(torch.zeros(1, 1, 1), torch.zeros(1, 1, 5), torch.zeros(1, 1).bool())

    def logits(self, regions, questions, picture=None):
        rows = [0] * len(questions) if picture is None else picture
        red = regions.features[list(rows), 0, 0]
        return torch.nn.functional.one_hot((red > 100).long() * 3, 4).float()


@pytest.fixture
def files(tmp_path):
    """Two photos, a red and a black one, with four questions."""
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (40, 40), "red").save(photos / "COCO_val2014_000000000001.png")
    Image.new("RGB", (40, 40), "black").save(photos / "000000000002.png")
    cases = [
        (1, ["red"] * 10, True),  # right: 100, blind 0
        (1, ["red"] * 2 + ["2"] * 8, True),  # answered red: 60, blind 0
        (2, ["yes"] * 3 + ["no"] * 7, True),  # answered yes: 90, blind 90
        (2, ["no"] * 10, False),  # not counted: nine of ten are copies
        (3, ["no"] * 10, True),  # not counted: the photo is missing
    ]
    questions = [
        {"image_id": image, "question_id": i, "question": f"what {i}?"}
        for i, (image, _, _) in enumerate(cases)
    ]
    answers = [
        {
            "image_id": image,
            "question_id": i,
            "answers": [{"answer": answer} for answer in given],
            "ten_answers": ten,
        }
        for i, (image, given, ten) in enumerate(cases)
    ]
    (tmp_path / "q.json").write_text(json.dumps({"questions": questions}))
    (tmp_path / "a.json").write_text(json.dumps({"annotations": answers}))
    return photos, tmp_path / "q.json", tmp_path / "a.json"


def test_soft_accuracy_by_type_and_with_the_photo_blanked(files):
    found = vqa.evaluate(Answerer(), *files)
    assert found["questions"] == 3
    assert found["accuracy"] == pytest.approx((100 + 60 + 90) / 3, abs=1e-3)
    assert found["question_only"] == pytest.approx((0 + 0 + 90) / 3, abs=1e-3)
    assert found["yes_no"] == pytest.approx(90) and found["number"] == pytest.approx(60)
    assert found["other"] == pytest.approx(100)
    assert set(found) == {"accuracy", "question_only", "yes_no", "number", "other", "questions"}


def test_questions_without_ten_answers_count_where_there_are_no_others(files):
    photos, questions, answers = files
    body = json.loads(answers.read_text())
    for row in body["annotations"]:
        row["ten_answers"] = False
    answers.write_text(json.dumps(body))
    assert vqa.evaluate(Answerer(), photos, questions, answers)["questions"] == 4


def test_a_folder_without_the_photos_is_named(files, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="--images"):
        vqa.evaluate(Answerer(), tmp_path / "empty", *files[1:])


def test_the_toybox_is_asked_in_both_languages():
    found = vqa.evaluate_toybox(Answerer(), seed=1, scenes=40)
    assert set(found) == {
        "accuracy",
        "question_only",
        "held_out",
        "worst_type",
        "worst_type_name",
    }
    assert found["worst_type_name"] in vqa.QUESTION_TYPES
    assert 0 <= found["worst_type"] <= found["accuracy"] < 60
    assert found == vqa.evaluate_toybox(Answerer(), seed=1, scenes=40)


def test_only_questions_about_the_unseen_thing_are_held_out():
    things = (Thing("cat", "purple", "big", 0.3, 0.5), Thing("boat", "red", "big", 0.7, 0.5))
    scene = Scene("sea", things, 1)
    for text, answer, about in (
        ("what colour is the cat?", "purple", True),
        ("what colour is the boat?", "red", False),
        ("is there a purple boat?", "no", True),
        ("what is left of the boat?", "cat", True),
        ("what place is this?", "sea", False),
    ):
        assert vqa._is_about_held_out(scene, Question(text, answer, "what"), "en") is about
    korean = Question("고양이는 무슨 색인가요?", "보라색", "colour")
    assert vqa._is_about_held_out(scene, korean, "ko")
