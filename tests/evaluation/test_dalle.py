"""The measures, tried on drawers whose answers are known."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from multimodal.data.toybox import Split, draw, full_caption, on_grid, small_scenes
from multimodal.errors import UserError
from multimodal.evaluation import dalle as measure
from multimodal.evaluation.judge import Judge

COLOURS = {
    "buildings": (200, 60, 60),
    "forest": (40, 160, 40),
    "glacier": (230, 240, 250),
    "mountain": (120, 90, 60),
    "sea": (30, 60, 220),
    "street": (220, 200, 40),
}


class Drawer:
    """Draws what `paint` makes of a prompt."""

    tokenizer = SimpleNamespace(image_size=32)

    def __init__(self, paint):
        self.paint = paint

    def draw_each(self, prompts, seed=0):
        images = [self.paint(prompt) for prompt in prompts]
        return SimpleNamespace(images=images, tokens_per_second=1.0)


class ColourClip:
    """Sees nothing but the mean colour."""

    embed_dim = 3

    def encode_images(self, images):
        means = [np.asarray(i.convert("RGB"), np.float32).mean((0, 1)) / 255 for i in images]
        return torch.from_numpy(np.stack(means))


@pytest.fixture
def scenes(tmp_path):
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 4)):
        for kind, colour in COLOURS.items():
            folder = tmp_path / "scenes-6" / split / kind
            folder.mkdir(parents=True)
            for i in range(count):
                shade = np.clip(np.array(colour) + rng.integers(-12, 13, 3), 0, 255)
                Image.new("RGB", (16, 16), tuple(int(v) for v in shade)).save(folder / f"{i}.png")
    return tmp_path


def paint(prompt):
    kind = next(kind for kind in COLOURS if kind in prompt)
    factor = 0.6 if "dark" in prompt else 1.0
    return Image.new("RGB", (32, 32), tuple(int(factor * v) for v in COLOURS[kind]))


def test_a_drawer_of_scenes_that_obeys_scores_all(scenes):
    found = measure.evaluate_scenes(Drawer(paint), ColourClip(), scenes, pictures=3)
    assert found["scene_judge_accuracy"] > 95
    assert found["scene_obeyed"] == 100 and found["light_obeyed"] == 100


def test_a_drawer_that_always_draws_the_sea_scores_a_sixth(scenes):
    found = measure.evaluate_scenes(Drawer(lambda _: paint("sea")), ColourClip(), scenes, 3)
    assert found["scene_obeyed"] == pytest.approx(100 / 6) and found["light_obeyed"] == 0


def test_scene_photos_without_splits_are_halved(scenes):
    found = measure.evaluate_scenes(Drawer(paint), ColourClip(), scenes / "scenes-6" / "train", 2)
    assert found["scene_obeyed"] == 100
    with pytest.raises(UserError, match="street"):
        measure.evaluate_scenes(Drawer(paint), ColourClip(), scenes / "scenes-6" / "val" / "sea")


def known_scenes(count, seed=0):
    first = measure.SEED_OFFSET + seed * 1_000_003
    scenes = [s for split in (Split.VAL, Split.HELD_OUT) for s in small_scenes(split, first, count)]
    return {full_caption(s, code): on_grid(s, 12) for s in scenes for code in ("en", "ko")}


def test_a_perfect_drawer_of_the_toybox_obeys_and_a_confused_one_does_not():
    known = known_scenes(20)
    judge = Judge.load()
    found = measure.evaluate_toybox(Drawer(lambda p: draw(known[p], 96)), judge, 0, 20)
    assert min(found["obeyed"], found["obeyed_korean"], found["obeyed_held_out"]) >= 90
    pictures = list(known.values())
    turned = dict(zip(known, pictures[7:] + pictures[:7], strict=True))
    found = measure.evaluate_toybox(Drawer(lambda p: draw(turned[p], 96)), judge, 0, 20)
    assert max(found["obeyed"], found["obeyed_korean"], found["obeyed_held_out"]) <= 15
    assert found["judge_accuracy"] > 97


def test_prompts_name_one_or_two_things_and_held_out_ones_a_combination_never_shown():
    usual = small_scenes(Split.VAL, 0, 30)
    unseen = small_scenes(Split.HELD_OUT, 0, 30)
    assert all(1 <= len(scene.things) <= 2 for scene in usual + unseen)
    assert not any(s.held_out for s in usual) and all(s.held_out for s in unseen)


def test_adjectives_stand_before_the_noun():
    assert measure._with("dark", "a forest") == "a dark forest"
    assert measure._with("dark", "buildings") == "dark buildings"


def test_too_few_captioned_photos_are_refused(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "captions.txt").write_text("image,caption\na.png,a boat\n")
    with pytest.raises(UserError, match="100"):
        measure.evaluate(Drawer(paint), ColourClip(), tmp_path, tmp_path / "captions.txt")
