"""The command `evaluate`: what it hands over, prints and writes."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from multimodal import cli, evaluation


def fake_evaluation(monkeypatch, name: str, answer: dict) -> list:
    """Replaces one evaluation by one that records what it was given."""
    given = []

    def evaluate(*arguments):
        given.extend(arguments)
        return answer

    monkeypatch.setattr(evaluation, name, SimpleNamespace(evaluate=evaluate), raising=False)
    return given


@pytest.mark.parametrize(
    "name, task, options, rest, answer",
    [
        (
            "zero_shot",
            "zero-shot",
            ["--images", "DIR", "--classes", "FILE", "--template", "art of {}"],
            ["DIR", "FILE", ["art of {}"]],
            {"top1": 78.25, "top5": 97.0, "mean_per_class": 78.25, "images": 2000},
        ),
        (
            "retrieval",
            "retrieval",
            ["--images", "DIR", "--captions", "FILE"],
            ["DIR", "FILE"],
            {"t2i_r1": 28.1, "median_rank": 4.0, "images": 10, "captions": 50},
        ),
    ],
)
def test_evaluate(name, task, options, rest, answer, fake_clip, tmp_path, monkeypatch, capsys):
    (tmp_path / "classes.txt").write_text("a\tb\n")
    places = {"DIR": str(tmp_path), "FILE": str(tmp_path / "classes.txt")}
    options = [places.get(word, word) for word in options]
    given = fake_evaluation(monkeypatch, name, answer)
    out = tmp_path / "figures.json"
    words = ["evaluate", task, "--model", "m", *options, "--json", str(out)]
    assert cli.main(words) == 0
    assert fake_clip == ["m"]
    assert given[0].name == "fake"
    places = {word: Path(place) for word, place in places.items()}
    assert given[1:] == [places.get(str(word), word) for word in rest]
    assert json.loads(out.read_text()) == answer
    printed = capsys.readouterr().out
    assert all(key in printed for key in answer)


def test_evaluate_toybox_hands_the_name_over(tmp_path, monkeypatch, capsys):
    answer = {"zero_shot": 99.0, "t2i_r1": 96.5, "held_out": 91.0, "korean_t2i_r1": 95.5}
    given = fake_evaluation(monkeypatch, "toybox", answer)
    words = ["evaluate", "toybox", "--model", "m", "--seed", "7", "--scenes", "20"]
    assert cli.main([*words, "--json", str(tmp_path / "f.json")]) == 0
    assert given == ["m", 7, 20] and json.loads((tmp_path / "f.json").read_text()) == answer


def test_a_vqvae_is_measured(drawer, photo, capsys):
    told = drawer / "told.json"
    words = [
        "evaluate",
        "vqvae",
        "--model",
        str(drawer / "vq"),
        "--images",
        str(Path(photo).parent),
    ]
    assert cli.main([*words, "--json", str(told)]) == 0
    assert {
        *("mse", "mse_over_variance", "psnr", "ssim", "perplexity", "codes_used"),
        "tokens_per_image",
    } <= set(json.loads(told.read_text()))
    (drawer / "none").mkdir()
    assert cli.main([*words[:-1], str(drawer / "none")]) == 2
    assert cli.main(["evaluate", "toybox", "--model", str(drawer / "vq"), "--scenes", "4"]) == 0


def test_a_vilbert_is_measured_on_questions_about_photos(tiny_vilbert_folder, tmp_path, capsys):
    photos, told = tmp_path / "photos", tmp_path / "told.json"
    photos.mkdir()
    Image.new("RGB", (40, 40), "red").save(photos / "000000000001.png")
    asked = [{"image_id": 1, "question_id": i, "question": "what is red?"} for i in range(2)]
    given = [
        {"image_id": 1, "question_id": i, "answers": [{"answer": answer}] * 10}
        for i, answer in enumerate(("yes", "2"))
    ]
    (tmp_path / "q.json").write_text(json.dumps({"questions": asked}))
    (tmp_path / "a.json").write_text(json.dumps({"annotations": given}))
    files = ["--questions", str(tmp_path / "q.json"), "--answers", str(tmp_path / "a.json")]
    model = ["--model", str(tiny_vilbert_folder), "--json", str(told)]
    assert cli.main(["evaluate", "vqa", *model, "--images", str(photos), *files]) == 0
    found = json.loads(told.read_text())
    assert set(found) == {"accuracy", "question_only", "yes_no", "number", "other", "questions"}
    assert found["questions"] == 2
    assert found["accuracy"] == pytest.approx((found["yes_no"] + found["number"]) / 2)
    assert "question_only" in capsys.readouterr().out
    answers = json.loads((tmp_path / "a.json").read_text())
    answers["annotations"][0]["ten_answers"] = False
    (tmp_path / "a.json").write_text(json.dumps(answers))
    for options, asked in (([], 1), (["--all-questions"], 2)):
        words = ["evaluate", "vqa", *model, "--images", str(photos), *files, *options]
        assert cli.main(words) == 0
        assert json.loads(told.read_text())["questions"] == asked
    (tmp_path / "empty").mkdir()
    words = ["evaluate", "vqa", *model, "--images", str(tmp_path / "empty"), *files]
    assert cli.main(words) == 2
    assert "--images" in capsys.readouterr().err


def test_a_vilbert_is_measured_on_captions(tiny_vilbert_folder, tmp_path, capsys):
    photos, told = tmp_path / "photos", tmp_path / "told.json"
    photos.mkdir()
    for colour in ("red", "blue"):
        Image.new("RGB", (40, 40), colour).save(photos / f"{colour}.png")
    captions = tmp_path / "captions.txt"
    captions.write_text("image,caption\nred.png,a red wall\nblue.png,a blue wall\n")
    words = ["evaluate", "alignment", "--model", str(tiny_vilbert_folder), "--images", str(photos)]
    assert cli.main([*words, "--captions", str(captions), "--json", str(told)]) == 0
    found = json.loads(told.read_text())
    assert found["images"] == 2 and found["aligned"] in (0, 50, 100)
    captions.write_text("image,caption\nred.png,a red wall\n")
    assert cli.main([*words, "--captions", str(captions)]) == 2
    assert "--images" in capsys.readouterr().err


def test_a_vilbert_is_measured_on_the_drawn_world(tiny_vilbert_folder, tmp_path, capsys):
    words = ["evaluate", "toybox", "--model", str(tiny_vilbert_folder), "--scenes", "12"]
    assert cli.main([*words, "--json", str(tmp_path / "f.json")]) == 0
    found = json.loads((tmp_path / "f.json").read_text())
    keys = {"accuracy", "question_only", "held_out", "worst_type", "worst_type_name"}
    assert set(found) == keys
    assert found["worst_type_name"] in capsys.readouterr().out
