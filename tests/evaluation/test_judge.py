"""The judge: what it lists from hand-made heat, and how right the shipped one is."""

import json

import pytest
import torch
from PIL import ImageFilter

from multimodal import checkpoint
from multimodal.checkpoint import CheckpointError
from multimodal.data.toybox import (
    BACKGROUNDS,
    COLOURS,
    KINDS,
    Scene,
    Thing,
    draw,
    full_caption,
    hard_negatives,
    make_scene,
    single_scene,
)
from multimodal.errors import UserError
from multimodal.evaluation.judge import (
    Judge,
    JudgeConfig,
    JudgeNetwork,
    Sight,
    decode,
    judge_accuracy,
)

CONFIG = JudgeConfig()
FRESH = 900_000_000  # seeds that neither training nor `judge_accuracy` draws from


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge.load()


def blank(grid: int = 24) -> Sight:
    """A sight of one picture in which nothing is seen, at sea."""
    background = torch.zeros(1, len(BACKGROUNDS))
    background[0, BACKGROUNDS.index("sea")] = 5
    return Sight(
        kinds=torch.full((1, len(KINDS), grid, grid), -6.0),
        colours=torch.zeros(1, len(COLOURS), grid, grid),
        big=torch.full((1, grid, grid), -3.0),
        offset=torch.zeros(1, 2, grid, grid),
        background=background,
    )


def put(sight: Sight, kind: str, colour: str, row: int, column: int, logit: float = 3.0) -> None:
    sight.kinds[0, KINDS.index(kind), row, column] = logit
    sight.colours[0, COLOURS.index(colour), row, column] = 4.0


def test_nothing_sure_is_an_empty_scene():
    assert decode(blank(), CONFIG) == [Scene("sea", (), 0)]


def test_a_middle_is_read_to_a_part_of_a_cell():
    sight = blank()
    put(sight, "boat", "red", row=5, column=11)
    sight.big[0, 5, 11] = 2.0
    sight.offset[0, :, 5, 11] = torch.tensor([0.5, -0.25])
    (scene,) = decode(sight, CONFIG)
    assert scene.things == (Thing("boat", "red", "big", 0.5, round(5.25 / 24, 4)),)


def test_cells_that_point_at_one_middle_are_one_thing_and_the_surest_names_it():
    sight = blank()
    put(sight, "cat", "pink", 10, 10, logit=1.0)
    put(sight, "cat", "orange", 10, 11, logit=4.0)
    put(sight, "bird", "blue", 11, 11, logit=0.5)
    (scene,) = decode(sight, CONFIG)
    assert [(t.kind, t.colour) for t in scene.things] == [("cat", "orange")]


def test_two_alike_near_each_other_stay_two():
    sight = blank()
    put(sight, "ball", "purple", 10, 10)
    put(sight, "ball", "purple", 10, 13)  # 12 pixels away: nearer than any drawn pair
    put(sight, "fish", "white", 13, 12)
    (scene,) = decode(sight, CONFIG)
    assert [t.kind for t in scene.things] == ["ball", "fish", "ball"]  # from left to right


def test_a_middle_outside_the_picture_is_pulled_in():
    sight = blank()
    put(sight, "tree", "green", 0, 23)
    sight.offset[0, :, 0, 23] = torch.tensor([1.5, -2.0])
    thing = decode(sight, CONFIG)[0].things[0]
    assert (thing.x, thing.y) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"side": 90}, "side is 90; it must be a multiple of 8"),
        ({"width": 0}, "width is 0"),
        ({"threshold": 1.0}, "threshold is 1.0; it must be between 0 and 1"),
        ({"separation": "far"}, "separation is 'far'"),
        ({"colour": "red"}, "unknown field 'colour'"),
    ],
)
def test_a_wrong_configuration_is_refused_by_name(values, message):
    with pytest.raises(UserError, match=message):
        JudgeConfig.from_dict(values)


def test_foreign_and_unfitting_checkpoints_are_refused(tmp_path):
    weights = JudgeNetwork(JudgeConfig(width=4)).state_dict()
    checkpoint.save(tmp_path / "m", "judge", JudgeConfig(width=8), weights)
    with pytest.raises(CheckpointError, match="copy the checkpoint folder again"):
        Judge.load(tmp_path / "m")
    checkpoint.save(tmp_path / "m", "clip", {}, weights)
    with pytest.raises(CheckpointError, match="holds a clip model where a judge model is needed"):
        Judge.load(tmp_path / "m")


def test_a_judge_is_the_same_after_a_round_trip(tmp_path):
    torch.manual_seed(0)
    network = JudgeNetwork(JudgeConfig(width=4, threshold=0.01))
    network.half().float()  # as the checkpoint stores it
    checkpoint.save(tmp_path / "m", "judge", network.config, network.state_dict())
    picture = draw(make_scene(3))
    loaded = Judge.load(tmp_path / "m")
    assert loaded.config == network.config
    assert loaded.scenes([picture]) == Judge(network).scenes([picture])


def test_the_shipped_judge_is_right_on_fresh_scenes(judge):
    figures = judge_accuracy(judge, seed=9, scenes=200)
    assert figures["judge_accuracy"] >= 99
    assert figures["judge_accepts_true"] >= 98 and figures["judge_rejects_false"] >= 99


def test_the_shipped_judge_is_right_on_soft_pictures(judge):
    soft = judge_accuracy(judge, 9, 60, lambda image: image.filter(ImageFilter.GaussianBlur(1)))
    assert soft["judge_accuracy"] >= 98


@pytest.mark.parametrize("language", ["en", "ko"])
def test_it_says_yes_and_no_in_both_languages(judge, language):
    scenes = [make_scene(FRESH + i, split=("val", "held-out")[i % 2]) for i in range(40)]
    pictures = [draw(scene) for scene in scenes]
    told = judge.obeys(pictures, [full_caption(scene, language) for scene in scenes])
    assert sum(told) >= 39
    pairs = [
        (p, c) for p, s in zip(pictures, scenes, strict=True) for c in hard_negatives(s, language)
    ]
    told = judge.obeys([p for p, _ in pairs], [c.negative for _, c in pairs])
    assert {c.change for _, c in pairs} >= {"colour", "kind", "size", "relation", "background"}
    assert len(told) - sum(told) >= 0.985 * len(told)


def test_it_knows_every_colour_on_every_kind(judge):
    pairs = [(colour, kind) for colour in COLOURS for kind in KINDS]
    seen = judge.scenes([draw(single_scene(*pair, FRESH)) for pair in pairs])
    wrong = [
        pair
        for pair, scene in zip(pairs, seen, strict=True)
        if [(t.colour, t.kind) for t in scene.things] != [pair]
    ]
    assert len(wrong) <= 1, wrong


def test_any_size_of_picture_is_read(judge):
    scene = make_scene(FRESH + 7)
    for side in (64, 256):
        (seen,) = judge.scenes([draw(scene, side)])
        assert [t.kind for t in seen.things] == [t.kind for t in scene.things]
    assert judge.scenes([]) == []


def test_captions_are_checked_before_pictures(judge):
    picture = draw(make_scene(1))
    with pytest.raises(UserError, match="does not know the word 'dragon'"):
        judge.obeys([picture], ["a red dragon"])
    with pytest.raises(ValueError, match="zip"):
        judge.obeys([picture], ["a red boat", "a blue cat"])


def test_the_shipped_judge_is_small(judge):
    manifest = checkpoint.read_manifest(checkpoint.resolve("judge-toybox"), "judge")
    checkpoint.verify(manifest)
    assert sum(file.stat().st_size for file in manifest.folder.iterdir()) < 1.5e6
    assert json.loads((manifest.folder / "config.json").read_text())["family"] == "judge"
