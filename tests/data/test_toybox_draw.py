"""Drawings: repeatable, of any side, and coloured as they say."""

import time

import numpy as np
import pytest
from PIL import Image

from multimodal.data.toybox import (
    BACKGROUNDS,
    COLOURS,
    KINDS,
    PALETTE,
    Scene,
    Thing,
    draw,
    make_scene,
    pairs,
    shows,
)
from multimodal.data.toybox.draw import carrier


@pytest.mark.parametrize("side", [32, 64, 96, 130, 256])
def test_any_side_gives_a_square_colour_picture(side):
    picture = draw(make_scene(5), side)
    assert picture.size == (side, side) and picture.mode == "RGB"


def test_the_largest_side_is_drawn_too():
    assert draw(make_scene(2), 1024).size == (1024, 1024)


@pytest.mark.parametrize("side", [0, 31, 1025])
def test_sides_out_of_range_are_refused(side):
    with pytest.raises(ValueError, match=str(side)):
        draw(make_scene(0), side)


def test_drawing_twice_gives_the_same_pixels_and_leaves_the_cache_alone():
    scenes = [make_scene(seed) for seed in range(30)]
    first = [draw(scene).tobytes() for scene in scenes]
    assert [draw(scene).tobytes() for scene in scenes] == first
    assert len(set(first)) == len(first)


def test_sides_agree_on_what_is_where():
    for seed in range(6):
        small = draw(make_scene(seed), 96)
        large = draw(make_scene(seed), 384).resize((96, 96), Image.Resampling.BOX)
        difference = np.abs(np.asarray(small, float) - np.asarray(large, float)).mean()
        assert difference < 8


def _nearest_colour(box: np.ndarray, empty: np.ndarray) -> str:
    """The palette colour most common among the pixels that the thing has changed."""
    changed = np.abs(box.astype(float) - empty).sum(-1) > 40
    pixels = box[changed].astype(float)
    pixels = pixels[pixels.sum(-1) > 200]  # outlines and eyes are dark in every colour
    palette = np.array([PALETTE[colour] for colour in COLOURS], float)
    bright = pixels / pixels.max(-1, keepdims=True) * 255  # shading changes the brightness only
    bright = (bright + pixels) / 2
    nearest = ((bright[:, None] - palette) ** 2).sum(-1).argmin(1)
    return COLOURS[np.bincount(nearest, minlength=len(COLOURS)).argmax()]


@pytest.mark.parametrize("colour", COLOURS)
def test_every_kind_shows_its_colour_before_every_background(colour):
    right = total = 0
    for i, kind in enumerate(KINDS):
        for j in range(4):
            background = BACKGROUNDS[(i + 2 * j) % len(BACKGROUNDS)]
            thing = Thing(kind, colour, "big", 0.5, 0.6)
            box = tuple(round(96 * edge) for edge in thing.box)
            scene = Scene(background, (thing,), j)
            shown = np.asarray(draw(scene).crop(box))
            empty = np.asarray(draw(Scene(background, (), j)).crop(box), float)
            right += _nearest_colour(shown, empty) == colour
            total += 1
    assert right / total >= 0.9, f"{right} of {total}"


def test_the_mean_colour_of_a_ball_is_near_its_palette_colour():
    for colour in COLOURS:
        thing = Thing("ball", colour, "big", 0.5, 0.5)
        box = tuple(round(192 * edge) for edge in (0.4, 0.4, 0.6, 0.6))
        shown = [
            np.asarray(draw(Scene("meadow", (thing,), seed), 192).crop(box)) for seed in range(8)
        ]
        mean = np.mean(shown, axis=(0, 1, 2))
        distances = {c: float(np.abs(mean - PALETTE[c]).mean()) for c in COLOURS}
        assert min(distances, key=distances.get) == colour
        assert distances[colour] < 60


def test_kinds_and_sizes_look_different():
    pictures = [
        np.asarray(draw(Scene("meadow", (Thing(kind, "red", "big", 0.5, 0.5),), 1)), float)
        for kind in KINDS
    ]
    for i, one in enumerate(pictures):
        for other in pictures[i + 1 :]:
            assert np.abs(one - other).mean() > 2
    for kind in KINDS:
        empty = np.asarray(draw(Scene("snow", (), 1)), float)
        areas = [
            (np.abs(np.asarray(draw(Scene("snow", (t,), 1)), float) - empty).sum(-1) > 30).sum()
            for t in (Thing(kind, "red", size, 0.5, 0.6) for size in ("small", "big"))
        ]
        assert areas[1] > 2 * areas[0]


def test_what_cannot_float_is_carried():
    assert carrier("meadow", Thing("cat", "red", "big", 0.5, 0.25)) == "cloud"
    assert carrier("room", Thing("cat", "red", "big", 0.5, 0.25)) == "shelf"
    assert carrier("room", Thing("sun", "red", "big", 0.5, 0.25)) == "string"
    assert carrier("sea", Thing("house", "red", "big", 0.5, 0.6)) == "islet"
    assert carrier("sea", Thing("boat", "red", "big", 0.5, 0.6)) == "ripple"
    assert carrier("meadow", Thing("boat", "red", "big", 0.5, 0.7)) == "pond"
    assert carrier("meadow", Thing("fish", "red", "big", 0.5, 0.7)) == "bubble"
    assert carrier("sea", Thing("fish", "red", "big", 0.5, 0.7)) is None
    assert carrier("meadow", Thing("sun", "red", "big", 0.5, 0.2)) is None


def test_drawing_is_fast_once_the_sprites_are_known():
    scenes = [make_scene(seed) for seed in range(100)]
    for scene in scenes:
        draw(scene)
    start = time.perf_counter()
    for scene in scenes:
        draw(scene)
    assert 100 / (time.perf_counter() - start) > 150


def test_pairs_give_true_captions_in_both_languages():
    found = list(pairs(40, 3, "val", side=48))
    assert [scene for *_, scene in found] == [make_scene(3 + i, split="val") for i in range(40)]
    for picture, caption, language, scene in found:
        assert picture.size == (48, 48)
        assert shows(scene, caption)
        assert (language == "ko") == any("가" <= letter <= "힣" for letter in caption)


def test_fewer_looks_draw_the_same_things_with_less_variety():
    few, all_looks = (
        {draw(Scene("sea", (), seed), 32, looks).tobytes() for seed in range(40)}
        for looks in (2, None)
    )
    assert len(few) == 2 and len(all_looks) > 5
    scene = make_scene(7)
    assert draw(scene, 32).tobytes() == draw(scene, 32, 100).tobytes()
