"""Painters of the places under the open sky, and the clouds, hills and waves they share."""

from __future__ import annotations

import math
import random

from .brush import WHITE, Brush, Colour, Point, darker, gradient, mix
from .scene import ZONES


def wash(b: Brush, top: Colour, bottom: Colour, y0: float = 0.0, y1: float = 1.0) -> None:
    """A band of the sheet that fades from one colour to another."""
    start, end = round(y0 * b.side), round(y1 * b.side)
    b.image.paste(gradient((b.side, end - start), top, bottom), (0, start))


def ridge(rng: random.Random, y: float, height: float, bumps: float) -> list[Point]:
    """A gently rolling line across the sheet, left to right."""
    a, c = rng.uniform(0, 6.3), rng.uniform(0, 6.3)
    return [
        (
            x / 40,
            y - height * (0.5 * math.sin(bumps * x / 6.4 + a) + 0.3 * math.sin(bumps * x / 3 + c)),
        )
        for x in range(-1, 42)
    ]


def land(b: Brush, ridge: list[Point], fill: Colour, shade: float = 0.0) -> None:
    """Everything below a ridge."""
    b.shape([*ridge, (1.05, 1.05), (-0.05, 1.05)], fill, shade=shade, outline=False)


def clouds(b: Brush, rng: random.Random, tint: Colour, count: int, lowest: float = 0.3) -> None:
    """Soft clouds, each with a flat, slightly darker belly."""
    for _ in range(count):
        x, y, s = rng.uniform(0.05, 0.95), rng.uniform(0.06, lowest), rng.uniform(0.7, 1.25)
        bumps = (
            (-0.09, 0.01, 0.035),
            (-0.035, -0.02, 0.05),
            (0.035, -0.012, 0.044),
            (0.09, 0.012, 0.032),
        )
        belly = mix(tint, (150, 180, 205), 0.22)
        for dy, colour in ((0.012, belly), (0.0, tint)):
            b.puffs(
                [(x + dx * s, y + (oy + dy) * s, r * s) for dx, oy, r in bumps],
                colour,
                shade=0,
                outline=False,
            )


def tufts(b: Brush, rng: random.Random, colour: Colour, top: float, count: int) -> None:
    """Little bunches of grass, larger towards the front."""
    for _ in range(count):
        x, y = rng.uniform(0.02, 0.98), rng.uniform(top + 0.05, 0.97)
        h = 0.018 + 0.03 * (y - top)
        for lean in (-0.7, 0, 0.7):
            b.stroke([(x + lean * h * 0.4, y), (x + lean * h, y - h)], colour, 0.006)


def meadow(b: Brush, rng: random.Random) -> None:
    horizon = ZONES["meadow"][0][1]
    warm = rng.random()
    wash(
        b, mix((176, 220, 242), (196, 216, 245), warm), mix((236, 248, 246), (255, 240, 220), warm)
    )
    clouds(b, rng, WHITE, rng.randrange(2, 4))
    land(b, ridge(rng, horizon - 0.04, 0.10, rng.uniform(0.7, 1.3)), (190, 220, 182))
    land(b, ridge(rng, horizon - 0.01, 0.07, rng.uniform(0.8, 1.5)), (200, 226, 172))
    land(b, ridge(rng, horizon + 0.02, 0.025, rng.uniform(0.5, 1.0)), (212, 233, 174), shade=0.05)
    if rng.random() < 0.5:  # a path winds to the front
        x, bend = rng.uniform(0.3, 0.7), rng.uniform(-0.2, 0.2)
        left = [
            (x - 0.012 - 0.1 * t * t + bend * math.sin(2.6 * t), horizon + 0.03 + 0.42 * t)
            for t in steps(12)
        ]
        right = [
            (x + 0.012 + 0.1 * t * t + bend * math.sin(2.6 * t), horizon + 0.03 + 0.42 * t)
            for t in steps(12)
        ]
        b.shape([*left, *reversed(right)], (240, 231, 197), outline=False, shade=0)
    tufts(b, rng, (160, 200, 132), horizon, 16)
    for _ in range(14):
        x, y = rng.uniform(0, 1), rng.uniform(horizon + 0.08, 0.98)
        b.dot(x, y, 0.004 + 0.006 * (y - horizon), rng.choice((WHITE, (255, 244, 200))))


def steps(n: int) -> list[float]:
    return [i / (n - 1) for i in range(n)]


def sea(b: Brush, rng: random.Random) -> None:
    horizon = ZONES["sea"][0][1]
    dusk = rng.random() * 0.8
    wash(
        b,
        mix((178, 222, 244), (205, 205, 240), dusk),
        mix((238, 249, 248), (255, 232, 214), dusk),
        0,
        horizon,
    )
    clouds(b, rng, WHITE, rng.randrange(1, 4), 0.28)
    if rng.random() < 0.6:  # far islands
        for _ in range(rng.randrange(1, 3)):
            x, w = rng.uniform(0.1, 0.9), rng.uniform(0.08, 0.2)
            b.shape(
                [
                    (x - w, horizon + 0.01),
                    (x - w * 0.3, horizon - w * 0.4),
                    (x + w * 0.4, horizon - w * 0.28),
                    (x + w, horizon + 0.01),
                ],
                (188, 212, 214),
                radius=0.05,
                outline=False,
                shade=0,
            )
    wash(b, (186, 230, 230), (126, 200, 216), horizon, 1.0)
    for row in range(7):
        y = horizon + 0.05 + 0.52 * (row / 7) ** 1.1
        waves(b, rng, y, (224, 246, 244) if row % 2 else (156, 216, 224), 0.006 + 0.0015 * row)


def waves(b: Brush, rng: random.Random, y: float, colour: Colour, width: float) -> None:
    """Some short wavelets on one level."""
    x = rng.uniform(-0.1, 0.15)
    while x < 1.0:
        n = rng.randrange(2, 4)
        w = 0.035 + 0.04 * (y - 0.4)
        b.stroke(
            [(x + w * i / 2, y + (0.009 if i % 2 else -0.004)) for i in range(2 * n + 1)],
            colour,
            width,
        )
        x += w * n + rng.uniform(0.12, 0.34)


def night(b: Brush, rng: random.Random) -> None:
    horizon = ZONES["night"][0][1]
    wash(b, (36, 42, 88), mix((98, 92, 150), (66, 104, 150), rng.random()))
    for _ in range(46):
        x, y = rng.random(), rng.uniform(0, horizon)
        b.dot(
            x,
            y,
            rng.choice((0.002, 0.003, 0.004)),
            mix((255, 246, 210), (130, 134, 190), rng.random() * 0.6),
        )
    x, y = rng.choice((rng.uniform(0.08, 0.3), rng.uniform(0.7, 0.92))), rng.uniform(0.09, 0.18)
    for r, share in ((0.1, 0.12), (0.08, 0.2)):
        b.dot(x, y, r, mix((52, 56, 106), (255, 244, 200), share))
    crescent = [
        (x + 0.055 * math.cos(a), y + 0.055 * math.sin(a))
        for a in (0.6 + 4.6 * t for t in steps(24))
    ]
    inner = [
        (x + 0.022 + 0.044 * math.cos(a), y - 0.012 + 0.044 * math.sin(a))
        for a in (5.0 - 4.2 * t for t in steps(24))
    ]
    b.shape([*crescent, *inner], (250, 240, 205), outline=False, shade=0)
    land(b, ridge(rng, horizon - 0.03, 0.10, rng.uniform(0.7, 1.2)), (72, 88, 128))
    land(b, ridge(rng, horizon + 0.01, 0.05, rng.uniform(0.6, 1.2)), (84, 110, 134))
    land(b, ridge(rng, horizon + 0.04, 0.02, 0.8), (96, 128, 138), shade=0.08)
    tufts(b, rng, (126, 158, 158), horizon, 12)
    for _ in range(6):  # fireflies
        b.dot(rng.random(), rng.uniform(horizon, 0.95), 0.005, (236, 240, 170))


def snow(b: Brush, rng: random.Random) -> None:
    horizon = ZONES["snow"][0][1]
    wash(b, mix((184, 206, 232), (204, 202, 234), rng.random()), (236, 240, 248))
    land(b, ridge(rng, horizon - 0.05, 0.10, rng.uniform(0.7, 1.2)), (214, 224, 238))
    drift = ridge(rng, horizon - 0.01, 0.05, rng.uniform(0.7, 1.3))
    for _ in range(rng.randrange(6, 11)):  # a far wood of firs under snow
        x, y = rng.choice(drift)
        h = rng.uniform(0.09, 0.17)
        for k in range(3):
            top, half = y - h * (1 - 0.26 * k), h * (0.17 + 0.08 * k)
            b.shape(
                [(x, top), (x + half, top + h * 0.45), (x - half, top + h * 0.45)],
                (176, 196, 208),
                radius=0.008,
                shade=0,
                outline=False,
            )
            b.shape(
                [(x, top), (x + half * 0.55, top + h * 0.25), (x - half * 0.55, top + h * 0.25)],
                (240, 245, 250),
                radius=0.006,
                shade=0,
                outline=False,
            )
    land(b, drift, (228, 235, 245))
    land(b, ridge(rng, horizon + 0.05, 0.03, rng.uniform(0.4, 0.9)), (238, 243, 249), shade=0.05)
    for _ in range(4):
        x, y = rng.random(), rng.uniform(horizon + 0.12, 0.95)
        b.stroke([(x, y), (x + 0.08, y - 0.012), (x + 0.17, y + 0.004)], (212, 222, 237), 0.008)
    if rng.random() < 0.6:  # somebody has built a snowman
        x, y = rng.uniform(0.1, 0.9), horizon + rng.uniform(0.05, 0.1)
        for dy, r in ((0, 0.05), (-0.062, 0.036)):
            b.ellipse(x, y + dy, r, r, (246, 248, 252), shade=0.08, edge=(186, 198, 216))
        b.stroke(
            [(x - 0.026, y - 0.036), (x, y - 0.03), (x + 0.026, y - 0.036)], (196, 178, 200), 0.014
        )
        for dx, dy in ((-0.012, -0.07), (0.012, -0.07), (0, -0.008), (0, 0.014)):
            b.dot(x + dx, y + dy, 0.0045, (110, 112, 136))
        b.shape(
            [(x - 0.003, y - 0.062), (x + 0.026, y - 0.055), (x, y - 0.053)],
            (232, 178, 140),
            outline=False,
        )
        for s in (-1, 1):
            b.stroke(
                [(x + s * 0.045, y - 0.012), (x + s * 0.082, y - 0.04)], (176, 156, 150), 0.006
            )
    for _ in range(34):
        b.dot(rng.random(), rng.uniform(0, 0.95), rng.uniform(0.003, 0.007), WHITE)
    for _ in range(7):  # flakes near enough to see their arms
        x, y, r = rng.random(), rng.uniform(0.04, horizon), rng.uniform(0.01, 0.016)
        for k in range(3):
            dx, dy = r * math.cos(math.pi * k / 3 + 0.5), r * math.sin(math.pi * k / 3 + 0.5)
            b.stroke([(x - dx, y - dy), (x + dx, y + dy)], WHITE, 0.004)


def beach(b: Brush, rng: random.Random) -> None:
    horizon, shore = ZONES["beach"][0][1], ZONES["beach"][1][1]
    warm = rng.random() * 0.8
    wash(
        b,
        mix((176, 222, 244), (200, 210, 244), warm),
        mix((236, 249, 250), (255, 238, 220), warm),
        0,
        horizon,
    )
    clouds(b, rng, WHITE, rng.randrange(1, 4), 0.24)
    wash(b, (150, 212, 224), (184, 230, 228), horizon, shore + 0.08)
    for row in range(3):
        waves(b, rng, horizon + 0.05 + row * 0.06, (222, 245, 244), 0.006)
    edge = ridge(rng, shore + 0.01, 0.03, rng.uniform(0.6, 1.1))
    land(b, [(x, y - 0.022) for x, y in edge], (236, 249, 246))
    land(b, edge, (232, 214, 172))
    land(b, [(x, y + 0.02) for x, y in edge], (247, 232, 194), shade=0.05)
    for _ in range(30):
        b.dot(rng.random(), rng.uniform(shore + 0.06, 0.99), 0.003, (224, 200, 154))
    for _ in range(rng.randrange(3, 6)):  # shells
        x, y, r = rng.random(), rng.uniform(shore + 0.12, 0.96), rng.uniform(0.011, 0.017)
        fan = [
            (x + r * math.cos(a), y - r * math.sin(a))
            for a in (math.pi * (0.02 + 0.96 * t) for t in steps(10))
        ]
        b.shape([*fan, (x, y + r * 0.6)], (252, 238, 226), edge=(206, 170, 150), shade=0)


def mountains(b: Brush, rng: random.Random) -> None:
    foot = ZONES["mountains"][0][1]
    dawn = rng.random()
    wash(
        b, mix((182, 216, 242), (212, 206, 240), dawn), mix((242, 248, 248), (255, 232, 218), dawn)
    )
    clouds(b, rng, WHITE, rng.randrange(1, 3), 0.2)
    for layer, (colour, tall, count) in enumerate(
        (((206, 212, 230), 0.44, 3), ((184, 196, 218), 0.36, 3))
    ):
        for i in range(count):
            x = (i + 0.5 + rng.uniform(-0.3, 0.3)) / count + 0.12 * layer
            h, w = tall * rng.uniform(0.75, 1.05), rng.uniform(0.26, 0.36)
            top = foot - h
            b.shape(
                [
                    (x - w, foot + 0.08),
                    (x - 0.02, top),
                    (x + 0.03, top + 0.01),
                    (x + w, foot + 0.08),
                ],
                colour,
                radius=0.03,
                shade=0.06,
                outline=False,
            )
            b.shape(
                [
                    (x + 0.005, top),
                    (x + 0.03, top + 0.01),
                    (x + w, foot + 0.08),
                    (x + w * 0.3, foot + 0.08),
                    (x + 0.05, top + h * 0.55),
                    (x - 0.01, top + h * 0.3),
                ],
                darker(colour, 0.07),
                radius=0.02,
                shade=0,
                outline=False,
            )
            s = 0.3
            cap = [
                (x - 0.02 - (w - 0.02) * s, top + (h + 0.08) * s),
                (x - 0.02, top),
                (x + 0.03, top + 0.01),
                (x + 0.03 + (w - 0.03) * s, top + (h + 0.07) * s),
            ]
            zigzag = [
                (x + 0.05, top + h * 0.2),
                (x + 0.015, top + h * 0.31),
                (x - 0.035, top + h * 0.21),
            ]
            b.shape([*cap, *zigzag], (248, 250, 252), radius=0.012, shade=0, outline=False)
    land(b, ridge(rng, foot - 0.01, 0.06, rng.uniform(0.7, 1.3)), (196, 216, 190))
    land(b, ridge(rng, foot + 0.03, 0.025, rng.uniform(0.5, 1.0)), (214, 226, 194), shade=0.05)
    tufts(b, rng, (172, 194, 152), foot, 12)
    for _ in range(rng.randrange(3, 6)):  # stones
        x, y, r = rng.random(), rng.uniform(foot + 0.1, 0.96), rng.uniform(0.012, 0.024)
        b.shape(
            [(x - r, y), (x - r * 0.6, y - r), (x + r * 0.5, y - r * 0.9), (x + r, y)],
            (206, 206, 206),
            radius=0.012,
            shade=0.1,
            edge=(160, 160, 164),
        )
