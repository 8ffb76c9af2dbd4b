"""The commands that use a model, with models of random weights."""

import json

import pytest
from PIL import Image

from multimodal import checkpoint, cli, vilbert


def test_classify(photo, fake_clip, tmp_path, capsys):
    out = tmp_path / "result.json"
    words = ["classify", photo, "cat", "a small dog", "고양이", "--model", "m", "--json", str(out)]
    assert cli.main(words) == 0
    assert fake_clip == ["m"]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[-1] for line in lines] == ["a small dog", "cat", "고양이"]
    body = json.loads(out.read_text("utf-8"))
    assert body["model"] == "m" and body["image"] == photo
    assert body["predictions"][0] == {
        "label": "a small dog",
        "probability": pytest.approx(11 / 17),
        "cosine": 0.25,
    }
    assert list(tmp_path.glob("*.part")) == []


def test_classify_takes_clip_photos_by_default(photo, fake_clip):
    assert cli.main(["classify", photo, "cat"]) == 0
    assert fake_clip == ["clip-photos"]


def test_a_torn_picture_reads_the_same(tmp_path, capsys):
    (tmp_path / "torn.jpg").write_bytes(b"")
    assert cli.main(["classify", str(tmp_path / "torn.jpg"), "cat"]) == 2
    assert "empty" in capsys.readouterr().err


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for name, colour in {"red": "red", "sea": "blue", "sub/sun": "yellow"}.items():
        Image.new("RGB", (40, 30), colour).save(folder / f"{name}.png")
    (folder / "torn.jpg").write_bytes(b"")
    return folder


def test_index_and_search_with_a_whole_model(photos, tiny_folder, tmp_path, capsys):
    gallery = str(tmp_path / "gallery")
    index = ["index", str(photos), "--out", gallery, "--model", str(tiny_folder)]
    assert cli.main(index) == 0
    captured = capsys.readouterr()
    assert "3 photos" in captured.out and "3 new, 0 there already, 1 could not" in captured.out
    assert "'torn.jpg' is empty" in captured.err
    assert cli.main(index) == 0
    assert "0 new, 3 there already" in capsys.readouterr().out

    out = tmp_path / "hits.json"
    query = ["--image", str(photos / "sea.png"), "--top-k", "2", "--json", str(out)]
    assert cli.main(["search", gallery, *query]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].split() == ["1", "+1.000", str(photos / "sea.png")]
    body = json.loads(out.read_text("utf-8"))
    assert [hit["rank"] for hit in body["hits"]] == [1, 2]
    assert body["hits"][0]["name"] == "sea.png" and body["hits"][0]["captions"] == []
    assert body["hits"][0]["score"] == pytest.approx(1, abs=1e-3)
    assert body["text"] is None and body["image"] == str(photos / "sea.png")

    assert cli.main(["search", gallery, "--text", "노란 해", "--json", str(out)]) == 0
    assert len(json.loads(out.read_text("utf-8"))["hits"]) == 3


def test_classify_with_a_whole_model(photos, tiny_folder, capsys):
    words = ["classify", str(photos / "red.png"), "boat", "집", "--model", str(tiny_folder)]
    assert cli.main(words) == 0
    shares = [float(line.split()[0]) for line in capsys.readouterr().out.splitlines()]
    assert len(shares) == 2 and sum(shares) == pytest.approx(100, abs=0.02)


def test_a_folder_without_photos(tmp_path, tiny_folder, capsys):
    (tmp_path / "empty").mkdir()
    words = ["index", str(tmp_path / "empty"), "--out", str(tmp_path / "g")]
    assert cli.main([*words, "--model", str(tiny_folder)]) == 2
    assert "holds no photo" in capsys.readouterr().err


def test_generate_draws_files_that_tell_how(drawer, capsys):
    out, told = drawer / "pictures", drawer / "told.json"
    words = ["generate", "a red boat", "--model", str(drawer / "da"), "--out", str(out)]
    assert cli.main([*words, "--images", "2", "--seed", "5", "--json", str(told)]) == 0
    files = sorted(out.iterdir())
    assert [file.name for file in files] == ["a-red-boat-5.png", "a-red-boat-6.png"]
    assert Image.open(files[0]).size == (32, 32)
    body = json.loads(told.read_text())
    assert body["prompt"] == "a red boat" and [i["seed"] for i in body["images"]] == [5, 6]
    first = files[0].read_bytes()
    assert cli.main([*words, "--images", "1", "--seed", "5"]) == 0
    assert files[0].read_bytes() == first
    assert cli.main([*words, "--top-p", "7"]) == 2
    assert "top_p" in capsys.readouterr().err


def test_reconstruct_writes_what_is_left(drawer, photo, capsys):
    out = drawer / "left.png"
    words = ["reconstruct", photo, "--model", str(drawer / "vq")]
    assert cli.main([*words, "--out", str(out)]) == 0
    assert Image.open(out).size == (32, 32) and "PSNR" in capsys.readouterr().out
    assert cli.main([*words, "--out", str(drawer / "left.nonsense")]) == 2
    assert "picture.png" in capsys.readouterr().err


def test_answer_with_the_photo_and_without(photo, tiny_vilbert_folder, tmp_path, capsys):
    out = tmp_path / "answers.json"
    words = ["answer", photo, "what is red?", "--model", str(tiny_vilbert_folder)]
    assert cli.main([*words, "--json", str(out)]) == 0
    *lines, hidden = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and hidden.startswith("With the photo hidden: ")
    shares = [float(line.split()[0]) for line in lines]
    assert shares == sorted(shares, reverse=True)
    body = json.loads(out.read_text("utf-8"))
    assert set(body) == {"image", "question", "model", "answers", "question_only"}
    assert body["image"] == photo and body["question"] == "what is red?"
    assert [answer["answer"] for answer in body["answers"]] == [line.split()[-1] for line in lines]
    assert [100 * a["probability"] for a in body["answers"]] == pytest.approx(shares, abs=0.01)
    model = vilbert.load(str(tiny_vilbert_folder))
    blind = model.answer_blind("what is red?")
    assert body["question_only"] == [
        {"answer": one.text, "probability": pytest.approx(one.probability)} for one in blind
    ]
    assert hidden.endswith(blind[0].text)
    assert cli.main([*words, "--top-k", "2", "--json", str(out)]) == 0
    assert len(json.loads(out.read_text("utf-8"))["answers"]) == 2


def test_a_question_in_a_language_never_learned_is_said_to_be_one(
    photo, tiny_vilbert_folder, capsys
):
    file = tiny_vilbert_folder / checkpoint.CONFIG
    words = ["answer", photo, "무엇이 빨간가요?", "--model", str(tiny_vilbert_folder)]
    assert cli.main(words) == 0
    assert capsys.readouterr().err == ""
    body = json.loads(file.read_text("utf-8"))
    body["config"]["languages"] = ["en"]
    file.write_text(json.dumps(body), "utf-8")
    assert cli.main(words) == 0
    assert "not trained on the question's language" in capsys.readouterr().err


def test_answer_refuses_a_model_of_another_family(photo, tiny_folder, capsys):
    assert cli.main(["answer", photo, "what is it?", "--model", str(tiny_folder)]) == 2
    assert "holds a clip model where a vilbert model is needed" in capsys.readouterr().err
