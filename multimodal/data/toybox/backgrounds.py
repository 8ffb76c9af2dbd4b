"""The eight places: pale and calm, so that things of every colour stand out before them."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import lru_cache

from PIL import Image

from . import landscapes
from .brush import WHITE, Brush, darker, lighter, mix, watercolour
from .landscapes import clouds, wash
from .scene import ZONES

VARIANTS = 10
_CACHED_UP_TO = 256  # pixels; larger ones are rare and would fill the memory

Painter = Callable[[Brush, random.Random], None]


def background(name: str, variant: int, side: int) -> Image.Image:
    """An empty place as an RGB picture of ``side`` pixels; shared, so copy it before drawing."""
    return _kept(name, variant, side) if side <= _CACHED_UP_TO else _paint(name, variant, side)


def _paint(name: str, variant: int, side: int) -> Image.Image:
    rng = random.Random(f"background/{name}/{variant}")
    brush = Brush(side, margin=0.0, line=0.006, paper=WHITE)
    _PAINTERS[name](brush, rng)
    return watercolour(brush.finished().convert("RGB"), rng)


_kept = lru_cache(maxsize=160)(_paint)


def _room(b: Brush, rng: random.Random) -> None:
    floor = ZONES["room"][0][1]
    wall = rng.choice(((246, 232, 212), (226, 236, 230), (244, 226, 224), (230, 230, 244)))
    wash(b, lighter(wall, 0.25), wall, 0, floor)
    paper = mix(wall, (170, 150, 150), 0.16)
    if rng.random() < 0.5:
        for i in range(9):
            b.box(
                i / 8 - 0.016,
                0,
                i / 8 + 0.016,
                floor,
                mix(wall, paper, 0.5),
                shade=0,
                outline=False,
            )
    else:
        for row in range(7):
            for i in range(11):
                b.dot(i / 10 + (0.05 if row % 2 else 0), 0.05 + row * 0.09, 0.008, paper)
    boards = (226, 196, 160)
    wash(b, lighter(boards, 0.12), darker(boards, 0.06), floor, 1.0)
    for i in range(-3, 14):  # floor boards run towards us
        b.stroke(
            [(0.5 + (i - 5.5) * 0.09, floor), (0.5 + (i - 5.5) * 0.17, 1.02)],
            darker(boards, 0.14),
            0.005,
        )
    b.box(
        -0.05,
        floor - 0.028,
        1.05,
        floor + 0.008,
        lighter(wall, 0.6),
        shade=0.08,
        edge=darker(wall, 0.25),
    )
    x = rng.choice((0.24, 0.5, 0.76)) + rng.uniform(-0.05, 0.05)
    curtain = rng.choice(((214, 190, 200), (196, 208, 196), (222, 204, 176)))
    b.box(
        x - 0.13,
        0.1,
        x + 0.13,
        0.42,
        (250, 246, 236),
        radius=0.02,
        shade=0.05,
        edge=(170, 146, 130),
    )
    b.box(
        x - 0.11, 0.12, x + 0.11, 0.4, (196, 228, 242), radius=0.01, shade=0.1, edge=(170, 146, 130)
    )
    b.puffs(
        [(x - 0.03, 0.25, 0.028), (x + 0.005, 0.235, 0.034), (x + 0.04, 0.25, 0.026)],
        WHITE,
        shade=0,
        outline=False,
    )
    b.stroke([(x, 0.12), (x, 0.4)], (250, 246, 236), 0.014)
    b.stroke([(x - 0.11, 0.26), (x + 0.11, 0.26)], (250, 246, 236), 0.014)
    for s in (-1, 1):
        b.shape(
            [
                (x + s * 0.2, 0.07),
                (x + s * 0.05, 0.07),
                (x + s * 0.1, 0.26),
                (x + s * 0.13, 0.46),
                (x + s * 0.2, 0.46),
            ],
            curtain,
            radius=0.02,
            edge=darker(curtain, 0.3),
        )
    b.stroke([(x - 0.22, 0.068), (x + 0.22, 0.068)], (170, 130, 100), 0.014)
    other = x - 0.42 if x > 0.5 else x + 0.42
    if 0.1 < other < 0.9:  # a framed picture of hills
        b.box(other - 0.08, 0.16, other + 0.08, 0.31, (186, 150, 118), radius=0.008, shade=0.05)
        b.box(other - 0.065, 0.175, other + 0.065, 0.295, (236, 240, 232), shade=0, outline=False)
        b.shape(
            [
                (other - 0.065, 0.295),
                (other - 0.02, 0.225),
                (other + 0.02, 0.265),
                (other + 0.04, 0.24),
                (other + 0.065, 0.295),
            ],
            (186, 204, 186),
            shade=0,
            outline=False,
        )
    rug = rng.choice(((236, 218, 214), (214, 224, 232), (228, 230, 208)))
    rx = rng.uniform(0.3, 0.42)
    middle = rng.uniform(0.4, 0.6)
    for grow, colour in ((0.0, darker(rug, 0.18)), (0.018, lighter(rug, 0.4)), (0.034, rug)):
        b.ellipse(middle, 0.84, rx - grow, 0.105 - grow * 0.45, colour, shade=0, outline=False)


def _city(b: Brush, rng: random.Random) -> None:
    street = ZONES["city"][0][1]
    warm = rng.random()
    wash(
        b, mix((190, 218, 240), (212, 208, 238), warm), mix((242, 244, 244), (255, 236, 216), warm)
    )
    clouds(b, rng, WHITE, rng.randrange(1, 3), 0.2)
    for layer, colour in ((0, (214, 214, 226)), (1, (198, 198, 214))):
        x = -0.05 - rng.random() * 0.05
        while x < 1.05:
            w, h = rng.uniform(0.09, 0.17), rng.uniform(0.2, 0.46) - 0.13 * layer
            top = street - h
            tint = mix(
                colour, rng.choice(((226, 204, 200), (200, 214, 214), (222, 216, 196))), 0.35
            )
            b.box(x, top, x + w, street, tint, shade=0.04, outline=False)
            if rng.random() < 0.35:
                b.shape(
                    [(x, top + 0.003), (x + w / 2, top - 0.055), (x + w, top + 0.003)],
                    darker(tint, 0.08),
                    shade=0,
                    outline=False,
                )
            elif rng.random() < 0.4:
                b.stroke([(x + w / 2, top), (x + w / 2, top - 0.05)], darker(tint, 0.15), 0.006)
            rows, columns = int(h / 0.055), max(2, int(w / 0.04))
            for row in range(rows):
                for column in range(columns):
                    cx, cy = x + w * (column + 0.5) / columns, top + 0.035 + row * 0.055
                    lit = (255, 238, 190) if rng.random() < 0.3 else lighter(tint, 0.4)
                    if cy < street - 0.03:
                        b.box(
                            cx - 0.009,
                            cy - 0.013,
                            cx + 0.009,
                            cy + 0.013,
                            lit,
                            shade=0,
                            outline=False,
                        )
            x += w + rng.uniform(0, 0.012)
    b.box(-0.05, street, 1.05, street + 0.085, (232, 228, 224), shade=0.03, outline=False)
    for i in range(12):
        b.stroke([(i / 11, street), (i / 11 - 0.02, street + 0.08)], (214, 208, 206), 0.004)
    b.box(-0.05, street + 0.08, 1.05, street + 0.098, (206, 200, 200), shade=0, outline=False)
    wash(b, (186, 184, 196), (172, 170, 184), street + 0.098, 1.0)
    start = rng.uniform(-0.1, 0.05)
    for i in range(6):
        x = start + i * 0.21
        b.box(x, 0.9, x + 0.11, 0.918, (246, 242, 230), shade=0, outline=False, radius=0.006)


_PAINTERS: dict[str, Painter] = {
    "meadow": landscapes.meadow,
    "sea": landscapes.sea,
    "night": landscapes.night,
    "room": _room,
    "snow": landscapes.snow,
    "beach": landscapes.beach,
    "city": _city,
    "mountains": landscapes.mountains,
}
