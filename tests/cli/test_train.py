"""The command `train`."""

import tomllib
from pathlib import Path

import pytest

from multimodal import cli
from multimodal.progress import Progress
from multimodal.training import run
from multimodal.training.recipe import RECIPES, read_recipe


def test_train_hands_everything_over_and_shows_progress(monkeypatch, capsys):
    given = []

    def train(*all_of_it):
        given.extend(all_of_it)
        yield Progress(1, 2, "loss 4.0", 1.0)
        yield Progress(2, 2, "loss 3.5", 1.0)

    monkeypatch.setattr(run, "train", train)
    words = ["train", "clip", "--recipe", "toybox", "--data", "d", "--out", "o", "--resume"]
    assert cli.main([*words, "--text-start", "t"]) == 0
    inputs = run.Inputs(Path("o"), Path("d"), resume=True, text_start=Path("t"))
    assert given == ["clip", read_recipe("clip", "toybox"), inputs]
    assert "loss 3.5" in capsys.readouterr().err


def test_every_recipe_is_valid_toml():
    for file in RECIPES.glob("*.toml"):
        assert tomllib.loads(file.read_text("utf-8"))


@pytest.mark.parametrize(
    "recipe, said", [("nothing", "no recipe 'nothing' for vilbert"), ("photos", "--data")]
)
def test_vilbert_errors_are_said_before_the_work(recipe, said, tmp_path, capsys):
    words = ["train", "vilbert", "--recipe", recipe, "--out", str(tmp_path / "run")]
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1
    assert not (tmp_path / "run").exists()
