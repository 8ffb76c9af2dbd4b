"""The command line: parsing, help, errors, and what it hands to the packages behind it."""

import importlib
import io
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from multimodal import checkpoint, cli, clip, evaluation, terminal
from multimodal.clip.zero_shot import Prediction
from multimodal.dalle.captions import CaptionTokenizer
from multimodal.dalle.transformer import Dalle, DalleConfig
from multimodal.dalle.vqvae import Vqvae, VqvaeConfig
from multimodal.errors import UserError
from multimodal.progress import Progress
from multimodal.training.recipe import read_recipe

ROOT = Path(cli.__file__).resolve().parent.parent


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.new("RGB", (20, 10), "red").save(path)
    return str(path)


class FakeClip:
    """Finds labels the likelier the longer they are."""

    name = "fake"
    image_size = 8

    def classify(self, image, labels):
        assert image.mode == "RGB" and image.size == (20, 10)
        total = sum(map(len, labels))
        return [
            Prediction(label, len(label) / total, 0.25)
            for label in sorted(labels, key=len, reverse=True)
        ]


@pytest.fixture
def fake_clip(monkeypatch):
    asked = []

    def load(name):
        asked.append(name)
        return FakeClip()

    monkeypatch.setattr(clip, "load", load)
    return asked


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
        ([], ["classify", "index", "search", "train", "evaluate", "data", "doctor"]),
        (["--help"], ["classify", "doctor"]),
        (["classify", "--help"], ["IMAGE", "LABEL", "--model", "--json", "clip-photos"]),
        (["index", "--help"], ["DIR", "--out", "--model"]),
        (["search", "--help"], ["GALLERY", "--text", "--image", "--top-k", "--json"]),
        (
            ["train", "--help"],
            ["{clip,vqvae,dalle,vilbert,judge}", "--recipe", "--data", "--out", "--resume"],
        ),
        (["evaluate", "--help"], ["zero-shot", "retrieval", "toybox"]),
        (["evaluate", "zero-shot", "--help"], ["--model", "--images", "--classes", "--json"]),
        (["evaluate", "retrieval", "--help"], ["--model", "--images", "--captions", "--json"]),
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
        ["evaluate", "toybox", "--scenes", "many"],
    ],
)
def test_wrong_usage_exits_with_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert "Traceback" not in captured.err and captured.err


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
        (["train", "clip", "--recipe", "nothing"], "no recipe 'nothing'"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_exit_2(words, said, photo, capsys, tmp_path):
    words = [photo if word == "PHOTO" else word for word in words]
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_torn_picture_reads_the_same(tmp_path, capsys):
    (tmp_path / "torn.jpg").write_bytes(b"")
    assert cli.main(["classify", str(tmp_path / "torn.jpg"), "cat"]) == 2
    assert "empty" in capsys.readouterr().err


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


def test_train_hands_everything_over_and_shows_progress(monkeypatch, capsys):
    training = importlib.import_module("multimodal.training.clip")
    given = {}

    def train(recipe, data, out, **options):
        given.update(recipe=recipe, data=data, out=out, **options)
        yield Progress(1, 2, "loss 4.0", 1.0)
        yield Progress(2, 2, "loss 3.5", 1.0)

    monkeypatch.setattr(training, "train", train)
    words = ["train", "clip", "--recipe", "toybox", "--data", "d", "--out", "o", "--resume"]
    assert cli.main([*words, "--text-start", "t"]) == 0
    assert given == {
        "recipe": read_recipe("clip", "toybox"),
        "data": Path("d"),
        "out": Path("o"),
        "resume": True,
        "init": "",
        "image_start": None,
        "text_start": Path("t"),
        "cache": None,
    }
    assert "loss 3.5" in capsys.readouterr().err


@pytest.fixture
def drawer(tmp_path):
    """A VQ-VAE and a DALL-E of random weights, saved side by side."""
    torch.manual_seed(0)
    shape = VqvaeConfig(
        image_size=32, patch=4, widths=(8,), blocks=(0,), decoder_blocks=(0,), codes=20
    )
    vqvae = Vqvae(shape).train()
    vqvae(torch.rand(8, 3, 32, 32))
    saved = checkpoint.save(tmp_path / "vq", "vqvae", shape, vqvae.state_dict())
    captions = CaptionTokenizer.train(["a red boat", "빨간 배"], 300, 6)
    config = DalleConfig(
        captions.vocab_size, 6, codes=20, grid=8, width=8, layers=1, heads=1,
        image_tokenizer="vq", fingerprint=saved.fingerprint,
    )  # fmt: skip
    tensors = Dalle(config).state_dict()
    checkpoint.save(tmp_path / "da", "dalle", config, tensors, tokenizer=captions.to_json())
    return tmp_path


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


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_on_a_terminal_is_one_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    terminal.show([Progress(1, 4, "a long note", 2.0), Progress(4, 4, "b")], "photos", stream)
    first, last = stream.getvalue().strip("\r\n").split("\r")
    assert first.startswith("[#####---------------]  25 %  1 of 4 photos  2.0 photos/s")
    assert len(first) <= 59 and last.startswith("[####################] 100 %")
    assert stream.getvalue().count("\n") == 1 and len(last) >= len(first)


def test_progress_in_a_log_is_a_line_a_step_and_the_last():
    stream = io.StringIO()
    reports = [Progress(n, 100, f"loss {9 - n / 50:.2f}") for n in range(1, 101)]
    terminal.show([Progress(0, None, "reading"), *reports], stream=stream)
    assert stream.getvalue().splitlines() == [
        "0  reading",
        "  1 %  1 of 100  loss 8.98",
        "100 %  100 of 100  loss 7.00",
    ]


def test_only_the_first_of_several_processes_speaks(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    stream = Terminal()
    terminal.show([Progress(1, 2)], stream=stream)
    assert stream.getvalue() == ""


def test_progress_ends_its_line_when_the_job_fails():
    def job():
        yield Progress(1, 2)
        raise UserError("Out of luck.")

    stream = Terminal()
    with pytest.raises(UserError):
        terminal.show(job(), stream=stream)
    assert stream.getvalue().endswith("\n")


def test_every_recipe_is_valid_toml():
    for file in (ROOT / "multimodal" / "training" / "recipes").glob("*.toml"):
        assert tomllib.loads(file.read_text("utf-8"))
