"""The judge's training: what it is asked, how pictures are spoilt, and that it learns."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from curves import curve
from PIL import Image

from multimodal.data.toybox import COLOURS, HELD_OUT, KINDS, Thing, draw, make_scene
from multimodal.evaluation.judge import Judge, JudgeConfig, Sight, decode
from multimodal.training.judge_toybox import (
    JudgeSettings,
    JudgeTask,
    blur,
    degrade,
    heat_loss,
    move,
    targets,
    training_scene,
)
from multimodal.training.loop import TrainingError
from multimodal.training.run import Inputs, train


def pixels_of(*pictures: Image.Image) -> torch.Tensor:
    return torch.stack(
        [torch.from_numpy(np.array(p)).permute(2, 0, 1).float() / 255 for p in pictures]
    )


def test_what_is_asked_decodes_to_the_things_themselves():
    things = make_scene(5, split="held-out").things
    asked = targets([things], 24)
    picture, row, column = asked["cell"].unbind(1)
    sight = Sight(
        kinds=torch.logit(asked["heat"], eps=1e-4),
        colours=torch.zeros(1, len(COLOURS), 24, 24),
        big=torch.zeros(1, 24, 24),
        offset=torch.zeros(1, 2, 24, 24),
        background=torch.zeros(1, 8),
    )
    sight.colours[picture, asked["colour"], row, column] = 1
    sight.big[picture, row, column] = 2 * asked["big"] - 1
    sight.offset[picture, :, row, column] = asked["offset"]
    (seen,) = decode(sight, JudgeConfig())
    assert len(seen.things) == len(things)
    for found, true in zip(seen.things, things, strict=True):
        assert replace(found, x=0, y=0) == replace(true, x=0, y=0)
        assert (found.x, found.y) == pytest.approx((true.x, true.y), abs=1e-3)


def test_a_thing_in_the_corner_and_an_empty_picture_have_targets():
    asked = targets([[Thing("cat", "red", "big", 0.01, 0.99)], []], 12)
    assert len(asked["cell"]) == 4 and (asked["heat"] == 1).sum() == 1
    assert asked["heat"][0, KINDS.index("cat"), 11, 0] == 1 and asked["heat"][1].max() == 0
    assert len(targets([[]], 12)["cell"]) == 0


def test_heat_loss_asks_for_the_middle_and_forgives_its_neighbours():
    heat = torch.tensor([1.0, 0.8, 0.0]).view(1, 1, 1, 3)

    def loss(*logits: float) -> float:
        return heat_loss(torch.tensor(logits, dtype=torch.float32).view(1, 1, 1, 3), heat).item()

    right, missed = loss(9, -9, -9), loss(-9, -9, -9)
    beside, astray = loss(9, 1, -9), loss(9, -9, 1)
    assert right < 1e-3 < beside < astray / 100 < missed
    sure = 1 / (1 + math.exp(-1))
    assert astray == pytest.approx(-(sure**2) * math.log(1 - sure), rel=1e-3)


def test_things_follow_their_picture():
    """A white dot is where its thing is said to be, mirrored, shifted and scaled."""
    generator = torch.Generator().manual_seed(3)
    spots = [(0.3, 0.4), (0.7, 0.2), (0.5, 0.8)] * 8
    pixels = torch.zeros(len(spots), 3, 96, 96)
    y, x = torch.meshgrid(*[(torch.arange(96) + 0.5) / 96] * 2, indexing="ij")
    for i, (cx, cy) in enumerate(spots):
        pixels[i] = torch.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 0.001)
    moved, things = move(pixels, [[Thing("ball", "white", "small", *s)] for s in spots], generator)
    for i, (thing,) in enumerate(things):
        light = moved[i, 0] / moved[i, 0].sum()
        assert (light * x).sum().item() == pytest.approx(thing.x, abs=0.002)
        assert (light * y).sum().item() == pytest.approx(thing.y, abs=0.002)
    assert len({round(thing.x, 2) for (thing,) in things}) > 8


def test_spoiling_is_mild_repeatable_and_keeps_hues():
    pixels = pixels_of(*(draw(make_scene(i)) for i in range(24)))
    one = degrade(pixels.clone(), torch.Generator().manual_seed(1))
    same = degrade(pixels.clone(), torch.Generator().manual_seed(1))
    assert torch.equal(one, same) and one.min() >= 0 and one.max() <= 1
    assert 0.01 < (one - pixels).abs().mean() < 0.08
    tint = (one - pixels).mean((2, 3))  # the same for all three colours, but for a few per cent
    assert (tint - tint.mean(1, keepdim=True)).abs().max() < 0.04


def test_blur_is_the_gaussian_that_it_says():
    dot = torch.zeros(2, 1, 15, 15)
    dot[:, :, 7, 7] = 1
    soft = blur(dot, torch.tensor([0.0, 1.0]))
    assert torch.allclose(soft[0], dot[0])
    assert soft[1].sum() == pytest.approx(1, abs=1e-5)
    assert soft[1, 0, 7, 8] / soft[1, 0, 7, 7] == pytest.approx(np.exp(-0.5), rel=1e-4)


def test_training_scenes_hold_every_combination_and_none():
    scenes = [training_scene(i) for i in range(1200)]
    pairs = {(t.colour, t.kind) for scene in scenes for t in scene.things}
    assert len(pairs) == len(COLOURS) * len(KINDS) and pairs >= set(HELD_OUT)
    assert sum(not scene.things for scene in scenes) == 30
    assert scenes[17] == training_scene(17) != training_scene(17, seed=1)


def test_a_batch_depends_on_its_step_alone():
    task = JudgeTask(JudgeSettings(scenes=20, batch=8), JudgeConfig(width=4))
    list(task.prepare())
    first, again, other = task.batch(3), task.batch(3), task.batch(4)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["pixels"], other["pixels"])
    assert first["pixels"].shape == (8, 3, 96, 96) and first["heat"].shape == (8, 14, 24, 24)


@pytest.mark.parametrize("values", [{"batch": 0}, {"scenes": 4, "batch": 8}, {"degraded": 2}])
def test_wrong_settings_are_refused(values):
    with pytest.raises(TrainingError, match="must be"):
        JudgeSettings(**values)


def test_a_handful_of_scenes_is_learned_by_heart(tmp_path, monkeypatch):
    monkeypatch.setattr(JudgeTask, "validate", lambda self, model: {})
    recipe = {
        "task": {"scenes": 12, "batch": 12, "degraded": 0.0},
        "model": {"width": 8, "side": 64},
        "loop": {"steps": 100, "learning_rate": 8e-3, "warmup": 10, "ema": 0.9},
    }
    steps = list(train("judge", recipe, Inputs(tmp_path)))
    assert steps[-1].done == steps[-1].total == 100
    log = curve(tmp_path)
    assert log[-1]["loss"] < 0.15 * log[0]["loss"]
    scenes = [training_scene(i) for i in range(12)]
    seen = Judge.load(tmp_path / "model").scenes([draw(scene, 64) for scene in scenes])
    right = [
        sorted((t.kind, t.colour, t.size) for t in a.things)
        == sorted((t.kind, t.colour, t.size) for t in b.things)
        for a, b in zip(seen, scenes, strict=True)
    ]
    assert sum(right) >= 11
