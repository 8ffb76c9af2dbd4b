"""Painters of what grows, lives and shines: tree, flower, cat, fish, bird, sun, star."""

from __future__ import annotations

import math
import random

from .brush import BLUSH, INK, WHITE, WOOD, Brush, Colour, accent, darker, lighter, mix, star_points

LEAF: Colour = (104, 158, 84)
SUNNY: Colour = (255, 214, 110)


def tree(b: Brush, c: Colour, rng: random.Random) -> None:
    b.shape(
        [(0.44, 0.55), (0.56, 0.55), (0.58, 0.9), (0.66, 0.99), (0.34, 0.99), (0.42, 0.9)],
        WOOD,
        radius=0.04,
    )
    if rng.random() < 0.3:  # a fir in three skirts
        for top, bottom, half in ((0.4, 0.82, 0.4), (0.2, 0.6, 0.33), (0.01, 0.38, 0.25)):
            b.shape(
                [(0.5, top), (0.5 + half, bottom), (0.5, bottom + 0.05), (0.5 - half, bottom)],
                c,
                radius=0.07,
            )
            b.stroke(
                [(0.5 - half * 0.2, top + 0.2), (0.5 - half * 0.45, bottom - 0.07)],
                lighter(c, 0.4),
                0.025,
            )
        return
    crown = [
        (0.5, 0.24, 0.23),
        (0.3, 0.36, 0.19),
        (0.7, 0.36, 0.19),
        (0.27, 0.5, 0.165),
        (0.73, 0.5, 0.165),
        (0.5, 0.48, 0.23),
    ]
    b.puffs(crown, c)
    b.puffs([(0.4, 0.2, 0.09), (0.31, 0.3, 0.075)], lighter(c, 0.35), shade=0, outline=False)
    for x, y in ((0.5, 0.32), (0.3, 0.45), (0.64, 0.46), (0.46, 0.54), (0.66, 0.3)):
        x += rng.uniform(-0.03, 0.03)
        b.stroke([(x - 0.045, y), (x, y + 0.035), (x + 0.045, y)], darker(c, 0.3), 0.018)
    if rng.random() < 0.4:
        b.face(0.5, 0.36, 0.13)


def flower(b: Brush, c: Colour, rng: random.Random) -> None:
    b.stroke([(0.5, 0.4), (0.52, 0.7), (0.49, 0.99)], darker(LEAF, 0.45), 0.085)
    b.stroke([(0.5, 0.4), (0.52, 0.7), (0.49, 0.985)], LEAF, 0.045)
    for side, y in ((-1, 0.86), (1, 0.78)):
        b.shape(
            [
                (0.505, y + 0.07),
                (0.5 + side * 0.13, y - 0.1),
                (0.5 + side * 0.27, y - 0.07),
                (0.5 + side * 0.2, y + 0.06),
            ],
            LEAF,
            radius=0.07,
        )
    petals = rng.choice((6, 7, 8))
    turn = rng.uniform(0, 1)
    for i in range(petals):
        angle = 2 * math.pi * (i + turn) / petals
        b.ellipse(0.5 + 0.21 * math.cos(angle), 0.345 + 0.21 * math.sin(angle), 0.125, 0.125, c)
    b.ellipse(0.5, 0.345, 0.145, 0.145, SUNNY)
    b.face(0.5, 0.325, 0.12)


def cat(b: Brush, c: Colour, rng: random.Random) -> None:
    dark = darker(c, 0.3)
    tail = [(0.66, 0.92), (0.88, 0.9), (0.9, 0.68), (0.82, 0.56)]
    b.stroke(tail, darker(c, 0.62), 0.125)
    b.stroke(tail, c, 0.08)
    b.shape(
        [(0.36, 0.5), (0.64, 0.5), (0.77, 0.8), (0.74, 0.985), (0.26, 0.985), (0.23, 0.8)],
        c,
        radius=0.13,
    )
    b.ellipse(0.5, 0.8, 0.13, 0.16, lighter(c, 0.55), outline=False, shade=0.05)
    for x in (0.38, 0.62):
        b.ellipse(x, 0.945, 0.085, 0.05, lighter(c, 0.2))
    for side in (-1, 1):
        ear = [(0.5 + side * 0.29, 0.02), (0.5 + side * 0.05, 0.18), (0.5 + side * 0.32, 0.34)]
        b.shape(ear, c, radius=0.04)
        inner = [(0.5 + side * 0.26, 0.09), (0.5 + side * 0.13, 0.19), (0.5 + side * 0.28, 0.25)]
        b.shape(inner, mix(c, BLUSH, 0.45), radius=0.03, outline=False)
    b.ellipse(0.5, 0.36, 0.335, 0.27, c)
    if rng.random() < 0.6:
        for x, length in ((0.42, 0.075), (0.5, 0.1), (0.58, 0.075)):
            b.stroke([(x, 0.125), (x, 0.125 + length)], dark, 0.028)
    b.ellipse(0.5, 0.46, 0.15, 0.1, lighter(c, 0.55), outline=False, shade=0)
    for side in (-1, 1):
        b.eye(0.5 + side * 0.15, 0.345, 0.05)
        b.ellipse(0.5 + side * 0.235, 0.44, 0.05, 0.032, BLUSH, shade=0, outline=False, alpha=120)
        for dy in (-0.03, 0.035):
            b.stroke(
                [(0.5 + side * 0.2, 0.45 + dy * 0.5), (0.5 + side * 0.42, 0.44 + dy * 1.6)],
                INK,
                0.012,
            )
        b.stroke([(0.5, 0.45), (0.5 + side * 0.035, 0.495), (0.5 + side * 0.08, 0.475)], INK, 0.018)
    b.shape([(0.46, 0.415), (0.54, 0.415), (0.5, 0.46)], BLUSH, radius=0.02, outline=False)


def fish(b: Brush, c: Colour, rng: random.Random) -> None:
    fin = darker(c, 0.16)
    b.shape([(0.68, 0.5), (0.98, 0.22), (0.92, 0.5), (0.98, 0.78)], fin, radius=0.07)
    b.shape([(0.28, 0.3), (0.46, 0.14), (0.66, 0.2), (0.66, 0.36)], fin, radius=0.07)
    b.shape([(0.4, 0.72), (0.58, 0.86), (0.6, 0.66)], fin, radius=0.05)
    b.ellipse(0.41, 0.5, 0.385, 0.27, c)
    if rng.random() < 0.5:
        for x, half in ((0.46, 0.2), (0.58, 0.17), (0.69, 0.1)):
            b.stroke([(x, 0.5 - half), (x + 0.05, 0.5), (x, 0.5 + half)], accent(c, 0.55), 0.05)
    else:
        for x, y in (
            (0.44, 0.4),
            (0.44, 0.56),
            (0.55, 0.48),
            (0.55, 0.63),
            (0.65, 0.42),
            (0.65, 0.56),
        ):
            b.stroke([(x, y - 0.05), (x + 0.05, y), (x, y + 0.05)], darker(c, 0.32), 0.02)
    b.shape([(0.4, 0.52), (0.56, 0.5), (0.52, 0.64)], fin, radius=0.04)
    b.ellipse(0.21, 0.43, 0.078, 0.083, WHITE, shade=0)
    b.ellipse(0.195, 0.435, 0.042, 0.048, INK, shade=0, outline=False)
    b.dot(0.18, 0.415, 0.016, WHITE)
    b.ellipse(0.26, 0.575, 0.05, 0.032, BLUSH, shade=0, outline=False, alpha=130)
    b.stroke([(0.06, 0.57), (0.12, 0.615), (0.185, 0.595)], INK, 0.024)


def bird(b: Brush, c: Colour, rng: random.Random) -> None:
    for x in (0.44, 0.55):
        b.stroke([(x, 0.8), (x, 0.9)], (226, 130, 50), 0.028)
        b.stroke([(x - 0.06, 0.91), (x, 0.895), (x + 0.05, 0.91)], (226, 130, 50), 0.026)
    b.shape([(0.66, 0.52), (0.97, 0.3), (0.98, 0.44), (0.76, 0.72)], darker(c, 0.18), radius=0.05)
    b.shape([(0.13, 0.36), (0.02, 0.43), (0.14, 0.48)], (248, 160, 50), radius=0.015)
    b.shape(
        [
            (0.13, 0.24),
            (0.36, 0.09),
            (0.55, 0.26),
            (0.83, 0.48),
            (0.74, 0.8),
            (0.34, 0.86),
            (0.14, 0.62),
        ],
        c,
        radius=0.19,
    )
    b.ellipse(0.34, 0.66, 0.15, 0.13, lighter(c, 0.6), outline=False, shade=0.04)
    up = rng.random() < 0.45
    wing = (
        [(0.42, 0.5), (0.62, 0.14), (0.84, 0.1), (0.72, 0.52)]
        if up
        else [(0.42, 0.44), (0.7, 0.42), (0.86, 0.6), (0.6, 0.7)]
    )
    b.shape(wing, darker(c, 0.18), radius=0.11)
    b.stroke([(0.58, 0.5), (0.66, 0.4) if up else (0.72, 0.56)], lighter(c, 0.35), 0.022)
    b.eye(0.27, 0.33, 0.045)
    b.ellipse(0.24, 0.45, 0.045, 0.03, BLUSH, shade=0, outline=False, alpha=130)
    b.stroke([(0.36, 0.1), (0.38, 0.03), (0.45, 0.04)], darker(c, 0.5), 0.025)


def sun(b: Brush, c: Colour, rng: random.Random) -> None:
    rays = rng.choice((10, 12))
    for i in range(rays):
        angle, half = 2 * math.pi * i / rays, 0.62 * math.pi / rays
        far = 0.49 if i % 2 else 0.43
        corners = [(angle - half, 0.32), (angle, far), (angle + half, 0.32)]
        b.shape(
            [(0.5 + r * math.cos(a), 0.5 + r * math.sin(a)) for a, r in corners], c, radius=0.03
        )
    b.ellipse(0.5, 0.5, 0.315, 0.315, c)
    b.shine(0.4, 0.31, 0.09, 0.045, 90)
    b.face(0.5, 0.47, 0.25)


def star(b: Brush, c: Colour, rng: random.Random) -> None:
    b.shape(star_points(0.5, 0.53, 0.53, 0.265), c, radius=0.085)
    b.shine(0.43, 0.31, 0.035, 0.075, 90)
    b.face(0.5, 0.5, 0.19, smile=rng.uniform(0.7, 1.2))
