"""What is in a drawn scene: things, places, and the rules by which they are put there."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass, replace
from enum import StrEnum

PALETTE: dict[str, tuple[int, int, int]] = {
    "red": (219, 50, 47),
    "orange": (246, 138, 31),
    "yellow": (253, 212, 58),
    "green": (62, 160, 74),
    "blue": (45, 118, 214),
    "purple": (126, 74, 178),
    "pink": (246, 140, 184),
    "white": (252, 249, 243),
}
COLOURS = tuple(PALETTE)
SIZES = ("small", "big")
#: Side of a thing's square as a fraction of the picture's side.
SCALE = {"small": 0.21, "big": 0.38}

#: Width and height of each kind's drawing as fractions of its square.
EXTENT: dict[str, tuple[float, float]] = {
    "house": (0.92, 1.0),
    "tree": (0.82, 1.0),
    "flower": (0.70, 1.0),
    "car": (1.0, 0.68),
    "boat": (0.94, 1.0),
    "cat": (0.86, 1.0),
    "fish": (1.0, 0.70),
    "bird": (0.96, 0.84),
    "ball": (0.84, 0.84),
    "balloon": (0.62, 1.0),
    "umbrella": (1.0, 0.98),
    "chair": (0.66, 1.0),
    "sun": (1.0, 1.0),
    "star": (1.0, 0.96),
}
KINDS = tuple(EXTENT)

#: Where air ends and ground or water begins, top to bottom, as fractions of the picture's height.
ZONES: dict[str, tuple[tuple[str, float], ...]] = {
    "meadow": (("air", 0.56), ("ground", 1.0)),
    "sea": (("air", 0.44), ("water", 1.0)),
    "night": (("air", 0.66), ("ground", 1.0)),
    "room": (("air", 0.64), ("ground", 1.0)),
    "snow": (("air", 0.58), ("ground", 1.0)),
    "beach": (("air", 0.36), ("water", 0.60), ("ground", 1.0)),
    "city": (("air", 0.68), ("ground", 1.0)),
    "mountains": (("air", 0.62), ("ground", 1.0)),
}
BACKGROUNDS = tuple(ZONES)

#: Combinations that no training scene shows: the test of composition.
HELD_OUT: tuple[tuple[str, str], ...] = (
    ("purple", "cat"),
    ("blue", "tree"),
    ("green", "house"),
    ("pink", "car"),
    ("orange", "boat"),
    ("blue", "sun"),
    ("red", "fish"),
    ("white", "ball"),
    ("yellow", "chair"),
    ("green", "umbrella"),
    ("orange", "flower"),
    ("pink", "star"),
)
_HELD_OUT = frozenset(HELD_OUT)
SEEN = tuple((c, k) for c in COLOURS for k in KINDS if (c, k) not in _HELD_OUT)
_FREE = {kind: [c for c, k in SEEN if k == kind] for kind in KINDS}

#: Kinds that one expects in a place are drawn there more often; every kind may be anywhere.
_AT_HOME = {
    "meadow": {"house", "tree", "flower", "cat", "sun", "ball", "bird"},
    "sea": {"boat", "fish", "sun", "bird"},
    "night": {"star", "house", "cat", "tree"},
    "room": {"chair", "cat", "ball", "balloon", "umbrella"},
    "snow": {"tree", "house", "star", "bird"},
    "beach": {"umbrella", "chair", "boat", "fish", "ball", "sun"},
    "city": {"car", "house", "umbrella", "balloon"},
    "mountains": {"tree", "flower", "bird", "sun", "car"},
}
_AIRBORNE = {"sun": 0.86, "star": 0.8, "balloon": 0.85, "bird": 0.65}  # chance of being up
_LIFTED = 0.2  # chance that another kind is up: on a cloud, a shelf, in a soap bubble
_AT_SEA = {"boat": 0.8, "fish": 0.85}  # chance of water where there is some and something else
_COUNTS = (1, 2, 3, 4)
_COUNT_WEIGHTS = (24, 32, 27, 17)
_CLEAR = 0.12  # least distance of two centres for a relation to be worth telling


class Split(StrEnum):
    """Which scenes: the two first never show a held-out combination, the last always does."""

    TRAIN = "train"
    VAL = "val"
    HELD_OUT = "held-out"


@dataclass(frozen=True)
class Thing:
    """One object of a scene.

    Attributes:
        kind: One of ``KINDS``.
        colour: One of ``COLOURS``.
        size: ``"small"`` or ``"big"``.
        x: Centre, from 0 (left edge) to 1 (right edge).
        y: Centre, from 0 (top edge) to 1 (bottom edge).
    """

    kind: str
    colour: str
    size: str
    x: float
    y: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom as fractions of the picture."""
        width, height = (SCALE[self.size] * side for side in EXTENT[self.kind])
        return self.x - width / 2, self.y - height / 2, self.x + width / 2, self.y + height / 2


@dataclass(frozen=True)
class Scene:
    """A background and the things in front of it, ordered from left to right."""

    background: str
    things: tuple[Thing, ...]
    seed: int

    @property
    def held_out(self) -> bool:
        """Whether some thing has a combination of colour and kind that training never shows."""
        return any(is_held_out(thing.colour, thing.kind) for thing in self.things)


def is_held_out(colour: str, kind: str) -> bool:
    """Whether this combination is kept out of every training scene."""
    return (colour, kind) in _HELD_OUT


def zone(background: str, y: float) -> str:
    """``"air"``, ``"water"`` or ``"ground"``: what is at this height of a background."""
    for name, until in ZONES[background]:
        if y < until:
            return name
    return ZONES[background][-1][0]


def relations(a: Thing, b: Thing) -> frozenset[str]:
    """How a stands to b: a subset of left, right, above, under, beside.

    On a diagonal two of them hold. "beside" is left or right of it at about the same height.
    """
    dx, dy = b.x - a.x, b.y - a.y
    found = set()
    if abs(dx) >= _CLEAR and abs(dx) >= 0.5 * abs(dy):
        found.add("left" if dx > 0 else "right")
    if abs(dy) >= _CLEAR and abs(dy) >= 0.5 * abs(dx):
        found.add("above" if dy > 0 else "under")
    if abs(dx) >= _CLEAR and abs(dx) >= 2 * abs(dy):
        found.add("beside")
    return frozenset(found)


def place(thing: Thing) -> str | None:
    """``"left"``, ``"middle"`` or ``"right"`` of the picture; None between two of them."""
    if thing.x <= 0.37:
        return "left"
    if 0.43 <= thing.x <= 0.57:
        return "middle"
    return "right" if thing.x >= 0.63 else None


def make_scene(seed: int, *, split: str | Split = Split.TRAIN) -> Scene:
    """Make up a scene; the same seed and split always give the same one.

    Args:
        seed: Any integer. The splits do not share scenes for the same seed.
        split: ``"train"``, ``"val"`` or ``"held-out"``.

    Returns:
        A scene of one to four things that hardly overlap.

    Raises:
        ValueError: The split is none of the three.
    """
    split = Split(split)
    rng = random.Random(f"toybox/{split}/{seed}")
    background = rng.choice(BACKGROUNDS)
    wanted = rng.choices(_COUNTS, _COUNT_WEIGHTS)[0]
    things: list[Thing] = []
    for turn in range(60):
        if len(things) == wanted:
            break
        if not things and split is Split.HELD_OUT:
            colour, kind = rng.choice(HELD_OUT)
        else:
            colour, kind = _choose(rng, background, things, split)
        crowded = wanted >= 3 and sum(t.size == "big" for t in things) >= 2
        size = "small" if crowded or turn > 30 else rng.choice(SIZES)
        placed = _put(rng, background, kind, colour, size, things)
        if placed:
            things.append(placed)
    return Scene(background, tuple(sorted(things, key=lambda t: (t.x, t.y))), seed)


def small_scenes(split: str | Split, first: int, count: int, most: int = 2) -> list[Scene]:
    """Scenes of few things, such as short prompts describe.

    Args:
        split: See `make_scene`.
        first: The first seed.
        count: How many scenes.
        most: Things in a scene at most.
    """
    made = (make_scene(first + i, split=split) for i in itertools.count())
    return list(itertools.islice((scene for scene in made if len(scene.things) <= most), count))


def single_scene(colour: str, kind: str, seed: int) -> Scene:
    """A scene with one thing of this colour and kind: a picture for zero-shot tests.

    Args:
        colour: One of ``COLOURS``.
        kind: One of ``KINDS``.
        seed: Chooses background, size and place.

    Returns:
        A scene of exactly one thing.

    Raises:
        ValueError: The colour or the kind does not exist.
    """
    if colour not in PALETTE or kind not in EXTENT:
        raise ValueError(f"There is no {colour} {kind} in the toybox.")
    rng = random.Random(f"toybox/single/{colour}/{kind}/{seed}")
    background = rng.choices(BACKGROUNDS, [3 if kind in _AT_HOME[b] else 1 for b in BACKGROUNDS])[0]
    placed = None
    while placed is None:
        placed = _put(rng, background, kind, colour, rng.choice(SIZES), [])
    return Scene(background, (placed,), seed)


def on_grid(scene: Scene, cells: int) -> Scene:
    """The scene with every thing nudged so that its centre lies on a grid of cells.

    A picture model that sees cells then meets a thing cut in the same way wherever it stands.

    Args:
        scene: Any scene.
        cells: Cells per side; a centre moves by at most half a cell.
    """

    def snap(centre: float, half: float) -> float:
        low, high = math.ceil(half * cells), math.floor((1 - half) * cells)
        return min(max(round(centre * cells), low), high) / cells

    moved = []
    for thing in scene.things:
        left, top, right, bottom = thing.box
        x, y = snap(thing.x, (right - left) / 2), snap(thing.y, (bottom - top) / 2)
        moved.append(replace(thing, x=x, y=y))
    return replace(scene, things=tuple(sorted(moved, key=lambda t: (t.x, t.y))))


def recoloured(scene: Scene, rng: random.Random) -> Scene:
    """The scene with other colours, of combinations that training may show."""
    things = (replace(thing, colour=rng.choice(_FREE[thing.kind])) for thing in scene.things)
    return replace(scene, things=tuple(things))


def plain(scene: Scene) -> Scene:
    """The scene with all things of a kind in one colour, so that only shapes tell scenes apart."""
    things = (replace(thing, colour=_FREE[thing.kind][0]) for thing in scene.things)
    return replace(scene, things=tuple(things))


def _choose(
    rng: random.Random, background: str, things: list[Thing], split: Split
) -> tuple[str, str]:
    """Colour and kind of the next thing; sometimes like one that is there, for counting."""
    while True:
        if things and rng.random() < 0.28:
            like = rng.choice(things)
            kind = like.kind
            colour = like.colour if rng.random() < 0.5 else rng.choice(COLOURS)
        elif things and rng.random() < 0.15:
            colour, kind = rng.choice(things).colour, rng.choice(KINDS)
        else:
            weights = [2.5 if kind in _AT_HOME[background] else 1 for kind in KINDS]
            kind, colour = rng.choices(KINDS, weights)[0], rng.choice(COLOURS)
        if split is Split.HELD_OUT or not is_held_out(colour, kind):
            return colour, kind


def _put(
    rng: random.Random, background: str, kind: str, colour: str, size: str, others: list[Thing]
) -> Thing | None:
    """Find a natural free place, or None after some tries."""
    for _ in range(24):
        y = _height(rng, background, kind, size)
        half = SCALE[size] * EXTENT[kind][0] / 2
        x = rng.uniform(half + 0.015, 1 - half - 0.015)
        thing = Thing(kind, colour, size, round(x, 4), round(y, 4))
        if all(_overlap(thing.box, other.box) < 0.04 for other in others):
            return thing
    return None


def _height(rng: random.Random, background: str, kind: str, size: str) -> float:
    """A natural height of the centre: the zone is chosen first, then a place within it."""
    half = SCALE[size] * EXTENT[kind][1] / 2
    spans, top = {}, 0.0
    for name, bottom in ZONES[background]:
        spans[name] = (top, bottom)
        top = bottom
    if rng.random() < _AIRBORNE.get(kind, _LIFTED):
        low, high = half + 0.03, spans["air"][1] - half * 0.5
        return rng.uniform(low, max(low, high))
    if "ground" not in spans:
        name = "water"
    else:
        name = "water" if "water" in spans and rng.random() < _AT_SEA.get(kind, 0) else "ground"
    top, bottom = spans[name]
    if kind == "fish" and name == "water":  # swims: all of it under water where that is deep enough
        low, high = top + half + 0.01, bottom - half - 0.03
        return rng.uniform(low, high) if low < high else (top + bottom) / 2 + 0.02
    base_low, base_high = top + 0.06, min(bottom, 0.96)  # stands: its foot is in the zone
    base_low = max(base_low, 2 * half + 0.03)
    return rng.uniform(base_low, max(base_low, base_high)) - half


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Shared area as a fraction of the smaller box."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
