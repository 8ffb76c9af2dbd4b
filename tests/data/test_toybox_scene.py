"""Scenes: repeatable, natural, and true to their split."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from multimodal.data.toybox import (
    BACKGROUNDS,
    COLOURS,
    HELD_OUT,
    KINDS,
    Thing,
    is_held_out,
    make_scene,
    place,
    plain,
    recoloured,
    relations,
    single_scene,
)


def test_the_same_seed_gives_the_same_scene_and_splits_share_none():
    for seed in range(50):
        assert make_scene(seed) == make_scene(seed, split="train")
    scenes = [
        {make_scene(seed, split=split).things for seed in range(200)}
        for split in ("train", "val", "held-out")
    ]
    assert not scenes[0] & scenes[1] and not scenes[1] & scenes[2]


def test_a_golden_scene_stays_what_it_is():
    scene = make_scene(1)
    assert scene.background == "sea"
    assert [(t.colour, t.kind, t.size) for t in scene.things] == [
        ("red", "boat", "big"),
        ("orange", "fish", "big"),
    ]
    assert (scene.things[0].x, scene.things[0].y) == (0.246, 0.4601)


def test_held_out_combinations_are_a_tenth_and_cover_every_colour():
    assert 0.08 <= len(HELD_OUT) / (len(COLOURS) * len(KINDS)) <= 0.12
    assert len(set(HELD_OUT)) == len(HELD_OUT)
    assert {colour for colour, _ in HELD_OUT} == set(COLOURS)


@pytest.mark.parametrize("split", ["train", "val"])
def test_held_out_combinations_never_train(split):
    for seed in range(3000):
        scene = make_scene(seed, split=split)
        assert not any(is_held_out(thing.colour, thing.kind) for thing in scene.things)


def test_held_out_combinations_are_always_in_held_out_scenes():
    seen = Counter()
    for seed in range(1500):
        scene = make_scene(seed, split="held-out")
        assert scene.held_out
        seen.update((thing.colour, thing.kind) for thing in scene.things)
    assert all(seen[pair] > 50 for pair in HELD_OUT)


def test_scenes_have_one_to_four_things_inside_that_hardly_overlap():
    numbers = Counter()
    for seed in range(1000):
        things = make_scene(seed).things
        numbers[len(things)] += 1
        for i, a in enumerate(things):
            assert a.box[0] >= -0.01 and a.box[2] <= 1.01 and a.box[1] >= -0.01 and a.box[3] <= 1.01
            for b in things[i + 1 :]:
                width = min(a.box[2], b.box[2]) - max(a.box[0], b.box[0])
                height = min(a.box[3], b.box[3]) - max(a.box[1], b.box[1])
                if width > 0 and height > 0:
                    area = (b.box[2] - b.box[0]) * (b.box[3] - b.box[1])
                    other = (a.box[2] - a.box[0]) * (a.box[3] - a.box[1])
                    assert width * height < 0.05 * min(area, other)
    assert set(numbers) == {1, 2, 3, 4} and min(numbers.values()) > 80


def test_everything_occurs_and_every_relation_does_for_every_kind():
    pairs, places, stands = Counter(), Counter(), {kind: set() for kind in KINDS}
    for seed in range(4000):
        scene = make_scene(seed)
        places[scene.background] += 1
        pairs.update((thing.colour, thing.kind) for thing in scene.things)
        for a in scene.things:
            for b in scene.things:
                stands[a.kind] |= relations(a, b) if a is not b else set()
    assert len(pairs) == len(COLOURS) * len(KINDS) - len(HELD_OUT) and min(pairs.values()) > 20
    assert set(places) == set(BACKGROUNDS) and min(places.values()) > 300
    assert all(len(found) == 5 for found in stands.values())


def test_nature_has_its_way_most_of_the_time():
    suns = [t for s in range(3000) for t in make_scene(s).things if t.kind == "sun"]
    assert sum(t.y < 0.5 for t in suns) > 0.7 * len(suns)
    cars = [t for s in range(3000) for t in make_scene(s).things if t.kind == "car"]
    assert sum(t.y > 0.5 for t in cars) > 0.7 * len(cars)


def test_relations_of_places_that_are_plain_to_see():
    middle = Thing("cat", "red", "big", 0.5, 0.5)

    def to_middle(x, y):
        return relations(Thing("sun", "red", "big", x, y), middle)

    assert to_middle(0.1, 0.5) == {"left", "beside"}
    assert to_middle(0.9, 0.52) == {"right", "beside"}
    assert to_middle(0.5, 0.1) == {"above"}
    assert to_middle(0.5, 0.9) == {"under"}
    assert to_middle(0.2, 0.2) == {"left", "above"}
    assert to_middle(0.45, 0.55) == set()
    assert [place(Thing("cat", "red", "big", x, 0.5)) for x in (0.2, 0.4, 0.5, 0.8)] == [
        "left",
        None,
        "middle",
        "right",
    ]


def test_single_scenes_show_what_was_asked_for():
    scene = single_scene("purple", "cat", 3)
    assert [(t.colour, t.kind) for t in scene.things] == [("purple", "cat")]
    assert scene == single_scene("purple", "cat", 3) != single_scene("purple", "cat", 4)


def test_wrong_names_are_refused():
    with pytest.raises(ValueError, match="purple dragon"):
        single_scene("purple", "dragon", 0)
    with pytest.raises(ValueError, match="test"):
        make_scene(0, split="test")


def test_a_repainted_scene_keeps_all_but_its_colours():
    for seed in range(300):
        scene = make_scene(seed, split="held-out" if seed % 2 else "train")
        again, bare = recoloured(scene, random.Random(seed)), plain(scene)
        for other in (again, bare):
            assert not other.held_out and other.background == scene.background
            assert [replace(t, colour="red") for t in other.things] == [
                replace(t, colour="red") for t in scene.things
            ]
        assert len({(t.kind, t.colour) for t in bare.things}) == len({t.kind for t in bare.things})
