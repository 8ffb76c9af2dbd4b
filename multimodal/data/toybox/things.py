"""Sprites of all things, and the painters of what people make: house, car, boat, ball ..."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import lru_cache

from PIL import Image

from . import nature
from .brush import (
    BLUSH,
    CREAM,
    INK,
    WHITE,
    WOOD,
    Brush,
    Colour,
    accent,
    darker,
    lighter,
    mix,
    ring,
    star_points,
)
from .nature import SUNNY
from .scene import PALETTE

VARIANTS = 6
GLASS: Colour = (190, 225, 238)

Painter = Callable[[Brush, Colour, random.Random], None]


@lru_cache(maxsize=4096)
def sprite(kind: str, colour: str, pixels: int, variant: int, flipped: bool) -> Image.Image:
    """A thing on a clear sheet; its square has a margin of a fifth on every side.

    Args:
        kind: One of ``KINDS``.
        colour: One of ``COLOURS``.
        pixels: Side of the thing's square in pixels.
        variant: 0 to ``VARIANTS`` - 1: other details, a slight tilt.
        flipped: Whether it looks the other way.

    Returns:
        An RGBA picture that is shared: copy it before changing it.
    """
    rng = random.Random(f"sprite/{kind}/{variant}")
    brush = Brush(pixels)
    tint = PALETTE[colour]
    shift = rng.uniform(-0.05, 0.05)
    tint = lighter(tint, shift) if shift > 0 else darker(tint, -shift)
    PAINTERS[kind](brush, tint, rng)
    image = brush.finished(rng.uniform(-1, 1) * _SWAY.get(kind, 0))
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flipped else image


_SWAY = {
    "boat": 5,
    "balloon": 7,
    "umbrella": 8,
    "star": 12,
    "sun": 14,
    "fish": 8,
    "bird": 5,
    "ball": 30,
    "flower": 4,
}


def _house(b: Brush, c: Colour, rng: random.Random) -> None:
    roof = darker(c, 0.34)
    if rng.random() < 0.7:
        for i, r in enumerate((0.045, 0.06, 0.075)):
            b.ellipse(
                0.75 + 0.035 * i, 0.03 - 0.075 * i, r, r * 0.85, WHITE, outline=False, alpha=190
            )
    b.box(0.68, 0.1, 0.81, 0.42, mix(roof, WOOD, 0.5), radius=0.02)
    b.box(0.15, 0.42, 0.85, 0.985, c, radius=0.05)
    b.shape([(0.03, 0.52), (0.5, 0.04), (0.97, 0.52)], roof, radius=0.075)
    for row, (left, right) in ((0.3, (0.36, 0.64)), (0.41, (0.24, 0.76))):
        steps = 4 if row < 0.35 else 6
        for i in range(steps):  # a hint of tiles
            x = left + (right - left) * (i + 0.5) / steps
            b.stroke(
                [(x - 0.03, row), (x, row + 0.025), (x + 0.03, row)], darker(roof, 0.25), 0.014
            )
    b.ellipse(0.5, 0.33, 0.062, 0.062, SUNNY)
    door = 0.34 if rng.random() < 0.5 else 0.62
    b.shape(
        [
            (door - 0.1, 0.98),
            (door - 0.1, 0.68),
            (door, 0.61),
            (door + 0.1, 0.68),
            (door + 0.1, 0.98),
        ],
        WOOD,
        radius=0.07,
    )
    b.dot(door + 0.055, 0.82, 0.018, SUNNY)
    window = 1.0 - door
    b.box(window - 0.11, 0.62, window + 0.11, 0.82, SUNNY, radius=0.03)
    b.stroke([(window, 0.63), (window, 0.81)], darker(SUNNY, 0.5), 0.018)
    b.stroke([(window - 0.1, 0.72), (window + 0.1, 0.72)], darker(SUNNY, 0.5), 0.018)
    b.box(window - 0.13, 0.83, window + 0.13, 0.875, CREAM, radius=0.02)


def _car(b: Brush, c: Colour, rng: random.Random) -> None:
    b.shape([(0.2, 0.52), (0.3, 0.17), (0.68, 0.17), (0.84, 0.52)], c, radius=0.11)
    b.shape([(0.27, 0.47), (0.34, 0.245), (0.485, 0.245), (0.485, 0.47)], GLASS, radius=0.04)
    b.shape([(0.54, 0.47), (0.54, 0.245), (0.65, 0.245), (0.76, 0.47)], GLASS, radius=0.04)
    b.stroke([(0.59, 0.41), (0.63, 0.31)], WHITE, 0.025)
    b.shape(
        [(0.02, 0.74), (0.03, 0.49), (0.2, 0.45), (0.8, 0.45), (0.97, 0.51), (0.98, 0.74)],
        c,
        radius=0.1,
    )
    b.stroke([(0.08, 0.64), (0.92, 0.64)], lighter(c, 0.5), 0.022)
    b.stroke([(0.51, 0.49), (0.51, 0.7)], darker(c, 0.4), 0.015)
    b.stroke([(0.56, 0.53), (0.62, 0.53)], darker(c, 0.55), 0.022)
    b.ellipse(0.915, 0.565, 0.045, 0.05, SUNNY)
    b.ellipse(0.05, 0.57, 0.025, 0.045, BLUSH)
    for x in (0.25, 0.75):
        b.ellipse(x, 0.735, 0.118, 0.118, INK, shade=0.0, edge=darker(INK, 0.2))
        b.ellipse(x, 0.735, 0.056, 0.056, CREAM, outline=False)
        b.dot(x, 0.735, 0.02, INK)
    if rng.random() < 0.4:  # off on a holiday
        b.box(0.38, 0.07, 0.62, 0.165, WOOD, radius=0.03)
        b.stroke([(0.45, 0.08), (0.45, 0.155)], darker(WOOD, 0.4), 0.018)
        b.stroke([(0.55, 0.08), (0.55, 0.155)], darker(WOOD, 0.4), 0.018)


def _boat(b: Brush, c: Colour, rng: random.Random) -> None:
    b.box(0.475, 0.05, 0.52, 0.7, WOOD, radius=0.015)
    stripes = rng.random() < 0.65
    b.shape([(0.545, 0.12), (0.92, 0.6), (0.545, 0.62)], CREAM, radius=0.035)
    if stripes:
        b.shape(
            [(0.557, 0.27), (0.655, 0.27), (0.735, 0.375), (0.557, 0.38)], c, outline=False, shade=0
        )
        b.shape(
            [(0.557, 0.475), (0.81, 0.475), (0.885, 0.58), (0.557, 0.595)],
            c,
            outline=False,
            shade=0,
        )
    else:
        b.ellipse(0.645, 0.46, 0.07, 0.07, c)
    b.shape([(0.45, 0.2), (0.45, 0.61), (0.14, 0.6)], lighter(c, 0.25), radius=0.035)
    b.shape([(0.5, 0.02), (0.5, 0.12), (0.33, 0.07)], c, radius=0.01)
    b.shape(
        [(0.04, 0.67), (0.96, 0.67), (0.93, 0.78), (0.79, 0.97), (0.22, 0.97), (0.08, 0.8)],
        c,
        radius=0.07,
    )
    b.stroke([(0.09, 0.745), (0.91, 0.745)], CREAM, 0.03)
    for x in (0.33, 0.5, 0.67):
        b.ellipse(x, 0.85, 0.038, 0.038, GLASS)


def _ball(b: Brush, c: Colour, rng: random.Random) -> None:
    pale = accent(c, 0.58)
    b.ellipse(0.5, 0.5, 0.42, 0.42, c)
    style = rng.randrange(3)
    if style == 0:  # a beach ball's wedges
        for start in (0.1, 0.433, 0.767):
            angles = [2 * math.pi * (start + i * 0.166 / 8) for i in range(9)]
            rim = [(0.5 + 0.405 * math.cos(a), 0.5 + 0.405 * math.sin(a)) for a in angles]
            b.shape([(0.5, 0.5), *rim], pale, outline=False, shade=0.06)
        b.ellipse(0.5, 0.5, 0.075, 0.075, c)
    elif style == 1:  # a band with a star
        band = [(0.1, 0.45), (0.5, 0.36), (0.9, 0.45), (0.9, 0.57), (0.5, 0.66), (0.1, 0.57)]
        b.shape(band, pale, radius=0.12, outline=False, shade=0.05)
        b.shape(star_points(0.5, 0.51, 0.15, 0.07), c, radius=0.02)
    else:  # seams
        for side in (-1, 1):
            b.stroke(
                [(0.5 + side * 0.3, 0.21), (0.5 + side * 0.1, 0.5), (0.5 + side * 0.3, 0.79)],
                pale,
                0.05,
            )
    b.shine(0.35, 0.29, 0.09, 0.06)


def _balloon(b: Brush, c: Colour, rng: random.Random) -> None:
    sway = rng.uniform(-0.05, 0.05)
    b.stroke(
        [(0.5, 0.72), (0.5 + sway + 0.03, 0.82), (0.5 + sway - 0.03, 0.9), (0.5 + sway, 0.99)],
        darker(c, 0.6),
        0.02,
    )
    b.shape([(0.5, 0.66), (0.57, 0.76), (0.43, 0.76)], darker(c, 0.15), radius=0.02)
    body = ring(0.5, 0.355, 0.305, 0.345)
    b.shape(
        [(0.5 + (x - 0.5) * (1 - 0.22 * max(0, y - 0.4) / 0.3), y) for x, y in body], c, shade=0.2
    )
    b.shine(0.37, 0.2, 0.06, 0.09)
    b.dot(0.325, 0.335, 0.022, lighter(c, 0.55))
    if rng.random() < 0.4:
        b.face(0.5, 0.36, 0.15)


def _umbrella(b: Brush, c: Colour, rng: random.Random) -> None:
    b.stroke([(0.5, 0.05), (0.5, 0.01)], darker(c, 0.6), 0.045)
    shaft = [(0.5, 0.4), (0.5, 0.82), (0.52, 0.93), (0.6, 0.955), (0.66, 0.87)]
    b.stroke(shaft, darker(WOOD, 0.5), 0.075)
    b.stroke(shaft, WOOD, 0.035)
    dome = [
        (0.5 - 0.5 * math.cos(math.pi * i / 24), 0.53 - 0.47 * math.sin(math.pi * i / 24))
        for i in range(25)
    ]
    scallops = []
    for k in range(4):  # the hem, right to left
        right = 1.0 - 0.25 * k
        scallops += [
            (right - 0.25 * t, 0.53 - 0.075 * math.sin(math.pi * t))
            for t in (0.17, 0.33, 0.5, 0.67, 0.83, 1.0)
        ]
    b.shape([*dome, *scallops], c)
    pale = accent(c, 0.5)
    for left, right in (
        ((0.25, 0.5), (0.75, 1.0)) if rng.random() < 0.6 else ((0.0, 0.25), (0.5, 0.75))
    ):
        panel = []
        for edge, ts in ((left, range(0, 11)), (right, range(10, -1, -1))):
            # A rib leaves the tip and bends to its place at the hem.
            panel += [
                (
                    0.5 + (edge - 0.5) * math.sin(math.pi / 2 * t / 10),
                    0.53 - 0.47 * math.cos(math.pi / 2 * t / 10),
                )
                for t in ts
            ]
            if edge == left:
                panel += [
                    (left + (right - left) * t, 0.53 - 0.075 * math.sin(math.pi * t))
                    for t in (0.17, 0.33, 0.5, 0.67, 0.83)
                ]
        b.shape(panel, pale, shade=0.08, edge=darker(c, 0.5))


def _chair(b: Brush, c: Colour, rng: random.Random) -> None:
    dark = darker(c, 0.14)
    for x, foot in ((0.3, 0.87), (0.7, 0.87)):
        b.box(x - 0.035, 0.55, x + 0.035, foot, darker(c, 0.28), radius=0.02)
    b.box(0.21, 0.04, 0.3, 0.62, c, radius=0.04)
    b.box(0.7, 0.04, 0.79, 0.62, c, radius=0.04)
    if rng.random() < 0.5:
        for y in (0.1, 0.25, 0.4):
            b.box(0.25, y, 0.75, y + 0.1, c, radius=0.045)
    else:
        b.box(0.25, 0.08, 0.75, 0.5, c, radius=0.07)
        heart = [
            (0.5, 0.36),
            (0.43, 0.27),
            (0.43, 0.21),
            (0.47, 0.19),
            (0.5, 0.22),
            (0.53, 0.19),
            (0.57, 0.21),
            (0.57, 0.27),
        ]
        b.shape(heart, accent(c, 0.6), radius=0.03)
    b.box(0.19, 0.62, 0.28, 0.985, c, radius=0.03)
    b.box(0.72, 0.62, 0.81, 0.985, c, radius=0.03)
    b.shape([(0.22, 0.55), (0.78, 0.55), (0.85, 0.7), (0.15, 0.7)], dark, radius=0.05)
    b.shape([(0.26, 0.51), (0.74, 0.51), (0.79, 0.63), (0.21, 0.63)], accent(c, 0.5), radius=0.06)


PAINTERS: dict[str, Painter] = {
    "house": _house,
    "tree": nature.tree,
    "flower": nature.flower,
    "car": _car,
    "boat": _boat,
    "cat": nature.cat,
    "fish": nature.fish,
    "bird": nature.bird,
    "ball": _ball,
    "balloon": _balloon,
    "umbrella": _umbrella,
    "chair": _chair,
    "sun": nature.sun,
    "star": nature.star,
}
