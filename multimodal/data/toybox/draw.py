"""From a scene to a picture: the place, then every thing with what carries it."""

from __future__ import annotations

import random
from functools import lru_cache

from PIL import Image, ImageFilter

from . import backgrounds, things
from .brush import INK, WHITE, WOOD, Brush, lighter
from .scene import EXTENT, SCALE, Scene, Thing, zone

MIN_SIDE, MAX_SIDE = 32, 1024
_MARGIN = 0.2  # of a sprite, on every side of its square
_NO_FLIP = {"house", "chair", "flower", "balloon"}
_LIGHT = {"sun", "star", "balloon", "bird", "fish", "ball", "umbrella"}  # stay up by themselves


def draw(scene: Scene, side: int = 96, looks: int | None = None) -> Image.Image:
    """Draw a scene.

    Args:
        scene: What to draw; its seed chooses the details.
        side: Width and height in pixels, 32 to 1024.
        looks: Only the first so many looks of every place and thing; None: all of them.

    Returns:
        An RGB picture; the same scene and side always give the same one.

    Raises:
        ValueError: The side is out of range.
    """
    if not MIN_SIDE <= side <= MAX_SIDE:
        raise ValueError(f"A drawing is {MIN_SIDE} to {MAX_SIDE} pixels wide, not {side}.")
    rng = random.Random(f"draw/{scene.background}/{scene.seed}")
    places, sprites = (
        min(count, looks or count) for count in (backgrounds.VARIANTS, things.VARIANTS)
    )
    place = backgrounds.background(scene.background, rng.randrange(places), side)
    picture = place.copy()
    chosen = [(rng.randrange(sprites), rng.random() < 0.5) for _ in scene.things]
    # Far things first: what stands lower in the picture is nearer.
    for thing, (variant, flipped) in sorted(
        zip(scene.things, chosen, strict=True), key=lambda pair: pair[0].box[3]
    ):
        _put(picture, scene, thing, variant, flipped and thing.kind not in _NO_FLIP)
    return picture


def carrier(background: str, thing: Thing) -> str | None:
    """What a thing is on, in or hung from, by its kind and by where it is.

    Returns:
        ``"shadow"``, ``"ripple"``, ``"islet"``, ``"pond"``, ``"cloud"``, ``"shelf"``,
        ``"bubble"``, ``"string"``, or None where it needs nothing.
    """
    # What merely dips below the horizon is still in the air in front of it.
    dip = 0.05 if thing.kind in _LIGHT else 0.0
    where = zone(background, thing.box[3] - dip)
    if thing.kind == "fish":
        return None if zone(background, thing.y) == "water" else "bubble"
    if where == "air":
        if thing.kind in _LIGHT:
            hung = background == "room" and thing.kind in ("sun", "star", "bird")
            return "string" if hung else None
        return "shelf" if background == "room" else "cloud"
    if thing.kind == "balloon":
        return None
    if where == "water":
        afloat = thing.kind in _LIGHT or thing.kind == "boat"
        return "ripple" if afloat else "islet"
    return "pond" if thing.kind == "boat" and background != "room" else "shadow"


def _put(picture: Image.Image, scene: Scene, thing: Thing, variant: int, flipped: bool) -> None:
    side = picture.width
    pixels = max(4, round(SCALE[thing.size] * side))
    carried = carrier(scene.background, thing)
    art = things.sprite(thing.kind, thing.colour, pixels, variant, flipped)
    foot = thing.y + SCALE[thing.size] * EXTENT[thing.kind][1] / 2

    if carried == "string":
        _string(picture, thing)
    elif carried and carried != "bubble":
        width = max(4, round(pixels * EXTENT[thing.kind][0]))
        behind = support(carried, width, variant, scene.background == "night")
        _paste(picture, behind, thing.x, foot)
    _paste(picture, art, thing.x, thing.y)
    if carried == "bubble":
        _paste(picture, support("bubble", pixels, variant, False), thing.x, thing.y)
    elif carried == "ripple":
        width = max(4, round(pixels * EXTENT[thing.kind][0]))
        _paste(picture, support("lap", width, variant, False), thing.x, foot)


def _paste(picture: Image.Image, art: Image.Image, x: float, y: float) -> None:
    """Lay a sheet over the picture with its middle at (x, y)."""
    side = picture.width
    picture.paste(art, (round(x * side - art.width / 2), round(y * side - art.height / 2)), art)


def _string(picture: Image.Image, thing: Thing) -> None:
    """Hang a thing from the ceiling."""
    side = picture.width
    length = round((thing.box[1] + 0.03) * side)
    if length <= 0:
        return
    width = max(1, round(side * 0.007))
    thread = Image.new("RGB", (width, length), lighter(INK, 0.45))
    picture.paste(thread, (round(thing.x * side - width / 2), 0))


@lru_cache(maxsize=1024)
def support(name: str, pixels: int, variant: int, dark: bool) -> Image.Image:
    """What carries a thing, on a clear sheet whose middle is the thing's foot.

    Args:
        name: One of the names that :func:`carrier` returns, or ``"lap"``: water before a hull.
        pixels: Width of the thing.
        variant: Other details.
        dark: Whether it is night.

    Returns:
        An RGBA picture that is shared: copy it before changing it.
    """
    rng = random.Random(f"support/{name}/{variant}")
    b = Brush(pixels, margin=0.35, line=0.022)
    if name == "shadow":
        b.ellipse(0.5, 0.49, 0.52, 0.075, (60, 50, 80), shade=0, outline=False, alpha=80)
        return b.finished().filter(ImageFilter.GaussianBlur(max(0.4, pixels * 0.02)))
    if name == "ripple":
        b.ellipse(0.5, 0.47, 0.62, 0.1, WHITE, shade=0, outline=False, alpha=120)
        b.ellipse(0.5, 0.48, 0.5, 0.07, (70, 150, 180), shade=0, outline=False, alpha=90)
    elif name == "lap":
        for x0, x1, y in ((-0.08, 0.4, 0.47), (0.34, 0.74, 0.5), (0.68, 1.08, 0.46)):
            b.shape(
                [
                    (x0, y),
                    (x0 + 0.1, y - 0.035),
                    (x1 - 0.1, y - 0.03),
                    (x1, y),
                    ((x0 + x1) / 2, y + 0.05),
                ],
                WHITE,
                radius=0.05,
                shade=0,
                outline=False,
                alpha=200,
            )
    elif name == "islet":
        sand = (246, 226, 178)
        b.ellipse(0.5, 0.55, 0.74, 0.15, WHITE, shade=0, outline=False, alpha=150)
        b.shape(
            [(-0.15, 0.56), (0.1, 0.42), (0.5, 0.39), (0.9, 0.42), (1.15, 0.56), (0.5, 0.64)],
            sand,
            radius=0.14,
        )
        for x in (0.02, 0.95):
            for lean in (-0.04, 0, 0.04):
                b.stroke([(x + lean * 0.5, 0.5), (x + lean * 1.6, 0.41)], (120, 172, 112), 0.022)
    elif name == "pond":
        b.ellipse(0.5, 0.48, 0.66, 0.14, (140, 206, 222), edge=(110, 160, 160))
        for x, y in ((0.05, 0.5), (0.75, 0.54), (0.35, 0.57)):
            b.stroke([(x, y), (x + 0.08, y - 0.015), (x + 0.16, y)], (226, 246, 248), 0.022)
    elif name == "cloud":
        tint = (206, 206, 236) if dark else (255, 255, 255)
        lift = rng.uniform(-0.02, 0.02)
        bumps = [
            (0.04, 0.6, 0.15),
            (0.26, 0.62 + lift, 0.18),
            (0.5, 0.6, 0.2),
            (0.74, 0.62 - lift, 0.18),
            (0.96, 0.6, 0.15),
        ]
        b.puffs(bumps, tint, shade=0.1, edge=(150, 158, 190))
    elif name == "shelf":
        for x in (0.14, 0.86):
            b.shape([(x - 0.03, 0.53), (x + 0.03, 0.53), (x, 0.66)], WOOD, radius=0.01)
        b.box(-0.1, 0.475, 1.1, 0.55, lighter(WOOD, 0.15), radius=0.025)
    elif name == "bubble":
        b.ellipse(0.5, 0.5, 0.6, 0.6, (200, 236, 248), shade=0, outline=False, alpha=26)
        for r, alpha in ((0.6, 170), (0.575, 60)):  # a rim of light, without filling it
            rim = Brush(pixels, margin=0.35, line=0.03)
            rim.ellipse(0.5, 0.5, r, r, (230, 248, 255), shade=0, outline=False, alpha=alpha)
            rim.pen.ellipse(
                (
                    *rim.at(0.5 - r + 0.035, 0.5 - r + 0.035),
                    *rim.at(0.5 + r - 0.035, 0.5 + r - 0.035),
                ),
                fill=0,
            )
            b.image.alpha_composite(rim.image)
        b.shape(
            [(0.1, 0.36), (0.2, 0.16), (0.32, 0.06), (0.34, 0.12), (0.24, 0.22), (0.16, 0.38)],
            WHITE,
            radius=0.04,
            shade=0,
            outline=False,
            alpha=190,
        )
        b.shine(0.86, 0.78, 0.035, 0.05, 170)
    return b.finished()
