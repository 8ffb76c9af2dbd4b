"""Parsing, help, errors, and the commands that need no model."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from multimodal import checkpoint, cli
from multimodal.progress import Progress

ROOT = Path(cli.__file__).resolve().parents[2]
VQA = ("evaluate", "vqa", "--images")


def run_in_shell(*words: str, **options) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environment, **options
    )


def test_importing_the_command_line_imports_nothing_heavy():
    code = (
        "import sys, multimodal.cli; "
        "heavy = {'torch', 'torchvision', 'open_clip', 'faiss', 'matplotlib', 'gradio', 'PIL'}; "
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    assert run_in_shell("-c", code).returncode == 0


@pytest.mark.parametrize(
    "words, wanted",
    [
        ([], ["classify", "index", "search", "answer", "train", "evaluate", "data", "doctor"]),
        (["--help"], ["classify", "doctor"]),
        (["classify", "--help"], ["IMAGE", "LABEL", "--model", "--json", "clip-photos"]),
        (["index", "--help"], ["DIR", "--out", "--model"]),
        (["search", "--help"], ["GALLERY", "--text", "--image", "--top-k", "--json"]),
        (["answer", "--help"], ["IMAGE", "QUESTION", "--model", "--top-k", "--json"]),
        (
            ["train", "--help"],
            ["{clip,vqvae,dalle,vilbert,judge}", "--recipe", "--data", "--out", "--resume"],
        ),
        (["evaluate", "--help"], ["zero-shot", "retrieval", "vqa", "alignment", "toybox"]),
        (["evaluate", "zero-shot", "--help"], ["--model", "--images", "--classes", "--json"]),
        (["evaluate", "retrieval", "--help"], ["--model", "--images", "--captions", "--json"]),
        (
            ["evaluate", "vqa", "--help"],
            ["--model", "--images", "--questions", "--answers", "vilbert-photos"],
        ),
        (
            ["evaluate", "alignment", "--help"],
            ["--model", "--images", "--captions", "--seed", "--json"],
        ),
        (["evaluate", "toybox", "--help"], ["--model", "--seed", "--scenes", "--json"]),
        (["evaluate", "vqvae", "--help"], ["--model", "--images", "--json"]),
        (
            ["evaluate", "dalle", "--help"],
            ["--model", "--images", "--captions", "--scenes", "--json"],
        ),
        (
            ["generate", "--help"],
            ["--images", "--seed", "--temperature", "--top-k", "--top-p", "--guidance-scale"],
        ),
        (["reconstruct", "--help"], ["--out", "--model"]),
        (["data", "fetch", "--help"], ["coco", "flickr8k", "tiny-imagenet", "--out"]),
    ],
)
def test_help(words, wanted, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    text = capsys.readouterr().out
    assert stop.value.code == 0
    assert all(word in text for word in wanted), text


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["evaluate"],
        ["evaluate", "zero-shot"],
        ["train", "clip"],
        ["train", "bert", "--recipe", "x"],
        ["data", "fetch", "imagenet"],
        ["index", "photos"],
        ["answer", "photo.jpg"],
        ["evaluate", "vqa", "--images", ".", "--questions", "q.json"],
        ["evaluate", "toybox", "--scenes", "many"],
    ],
)
def test_wrong_usage_exits_with_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert "Traceback" not in captured.err and captured.err


@pytest.mark.parametrize(
    "words, said",
    [
        (["classify", "nowhere.jpg", "cat"], "There is no file 'nowhere.jpg'"),
        (["classify", "PHOTO"], "No label was given"),
        (["classify", "PHOTO", " "], "No label was given"),
        (["classify", "PHOTO", "cat", "--json", "no/such/x.json"], "no folder"),
        (["classify", "PHOTO", "cat", "--json", "."], "is a folder"),
        (["classify", "PHOTO", "cat", "--model", "no-model"], "no model named 'no-model'"),
        (["evaluate", "zero-shot", "--images", "nowhere"], "--images nowhere"),
        (["evaluate", "zero-shot", "--images", ".", "--classes", "nowhere"], "--classes nowhere"),
        (["evaluate", "retrieval", "--images", ".", "--captions", "no.txt"], "--captions no.txt"),
        (["evaluate", "toybox", "--scenes", "0"], "--scenes is 0"),
        (["index", "nowhere", "--out", "x"], "nowhere"),
        (["search", "nowhere", "--text", "a dog"], "nowhere"),
        (["search", ".", "--text", "a", "--image", "b"], "--text or --image"),
        (["search", "."], "--text or --image"),
        (["search", ".", "--text", "a", "--top-k", "0"], "--top-k is 0"),
        (["answer", "nowhere.jpg", "what is it?"], "There is no file 'nowhere.jpg'"),
        (["answer", "PHOTO", " "], "The question is empty"),
        (["answer", "PHOTO", "what is it?", "--top-k", "0"], "--top-k is 0"),
        (["answer", "PHOTO", "what is it?", "--json", "."], "is a folder"),
        (["answer", "PHOTO", "what is it?", "--model", "no-model"], "no model named 'no-model'"),
        ([*VQA, "nowhere", "--questions", "q", "--answers", "a"], "--images nowhere"),
        ([*VQA, ".", "--questions", "no.json", "--answers", "a"], "--questions no.json"),
        ([*VQA, ".", "--questions", ".", "--answers", "no.json"], "--answers no.json"),
        (["train", "clip", "--recipe", "nothing"], "no recipe 'nothing'"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_exit_2(words, said, photo, capsys, tmp_path):
    words = [photo if word == "PHOTO" else word for word in words]
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1
    assert captured.out == ""


def test_an_unwritable_place_is_one_line_too(photo, fake_clip, capsys, tmp_path):
    (tmp_path / "x.json.part").mkdir()
    assert cli.main(["classify", photo, "cat", "--json", str(tmp_path / "x.json")]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and "x.json" in captured.err


def test_ctrl_c_exits_with_130_and_no_stack_trace(monkeypatch, capsys):
    def stop(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.Doctor, "run", stop)
    assert cli.main(["doctor"]) == 130
    assert capsys.readouterr().err.strip() == "Stopped."


def test_data_fetch(monkeypatch, capsys, tmp_path):
    fetching = importlib.import_module("multimodal.data.fetch")
    given = []

    def fetch(*arguments):
        given.extend(arguments)
        yield Progress(5_000_000, 10_000_000, "a.zip", 2e6)

    monkeypatch.setattr(fetching, "fetch", fetch)
    assert cli.main(["data", "fetch", "flickr8k", "--out", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert given == ["flickr8k", tmp_path]
    assert "non-commercial" in captured.out and str(tmp_path / "flickr8k") in captured.out
    assert captured.err.strip() == "50 %  5 of 10 MB  2.0 MB/s  0:00:02 left  a.zip"


def test_doctor(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path)
    assert cli.main(["doctor"]) == 1
    assert "clip-photos" in capsys.readouterr().out


def test_as_a_program():
    done = run_in_shell("-m", "multimodal", "classify", "nowhere.jpg", "cat")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "There is no file 'nowhere.jpg': check the path.\n"


def test_a_reader_that_goes_away_is_no_error():
    program = f"{sys.executable} -m multimodal doctor | head -n 1"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(program, shell=True, capture_output=True, text=True, env=environment)
    assert done.stderr == "" and done.stdout.startswith("ok")
