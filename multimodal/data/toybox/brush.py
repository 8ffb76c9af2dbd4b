"""The drawing kit: one brush gives every thing and place the same rounded, softly shaded look."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence

from PIL import Image, ImageChops, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

INK: Colour = (70, 48, 60)  # warm dark: outlines, eyes, tyres
CREAM: Colour = (255, 246, 224)
WOOD: Colour = (160, 108, 72)
BLUSH: Colour = (245, 110, 120)
WHITE: Colour = (255, 255, 255)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """From a (share 0) to b (share 1)."""
    return tuple(round(p + (q - p) * share) for p, q in zip(a, b, strict=True))


def lighter(colour: Colour, share: float) -> Colour:
    """Towards a warm white."""
    return mix(colour, (255, 252, 240), share)


def darker(colour: Colour, share: float) -> Colour:
    """Towards the ink."""
    return mix(colour, INK, share)


def soften(points: Sequence[Point], radius: float, steps: int = 6) -> list[Point]:
    """Round the corners of a closed polygon with quadratic curves."""
    rounded = []
    for i, (x, y) in enumerate(points):
        ends = []
        for ox, oy in (points[i - 1], points[(i + 1) % len(points)]):
            length = math.hypot(ox - x, oy - y) or 1.0
            share = min(radius, length / 2) / length
            ends.append((x + (ox - x) * share, y + (oy - y) * share))
        (ax, ay), (bx, by) = ends
        for step in range(steps + 1):
            t = step / steps
            p, q, r = (1 - t) ** 2, 2 * t * (1 - t), t * t
            rounded.append((p * ax + q * x + r * bx, p * ay + q * y + r * by))
    return rounded


def through(points: Sequence[Point], steps: int = 8) -> list[Point]:
    """A smooth open curve through the points (Catmull-Rom spline)."""
    padded = [points[0], *points, points[-1]]
    curve = []
    for p0, p1, p2, p3 in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for step in range(steps):
            t = step / steps
            curve.append(
                tuple(
                    0.5
                    * (
                        2 * b
                        + (c - a) * t
                        + (2 * a - 5 * b + 4 * c - d) * t * t
                        + (3 * b - a - 3 * c + d) * t**3
                    )
                    for a, b, c, d in zip(p0, p1, p2, p3, strict=True)
                )
            )
    return [*curve, points[-1]]


def ring(x: float, y: float, rx: float, ry: float, steps: int = 48) -> list[Point]:
    """The points of an ellipse."""
    return [
        (x + rx * math.cos(2 * math.pi * i / steps), y + ry * math.sin(2 * math.pi * i / steps))
        for i in range(steps)
    ]


class Brush:
    """Draws in units of the sprite's square, supersampled, on a transparent sheet.

    Args:
        pixels: Side of the square in pixels of the finished drawing.
        margin: Room around the square, in its units, for smoke, whiskers and outlines.
        line: Width of outlines in units.
        paper: Opaque colour to start from; transparent without it.
    """

    def __init__(
        self, pixels: int, *, margin: float = 0.2, line: float = 0.026, paper: Colour | None = None
    ) -> None:
        self.pixels = max(1, round(pixels * (1 + 2 * margin)))
        over = 4 if self.pixels <= 256 else 2
        self.side = self.pixels * over
        self.margin = margin
        self.unit = self.side / (1 + 2 * margin)
        # A hair of a line would vanish in a tiny sprite, so it never gets under 0.55 pixels.
        self.line = max(line * self.unit, 0.55 * over)
        self.image = Image.new("RGBA", (self.side, self.side), (*paper, 255) if paper else 0)
        self.pen = ImageDraw.Draw(self.image)

    def at(self, x: float, y: float) -> Point:
        """Sheet coordinates of a point given in units."""
        return (x + self.margin) * self.unit, (y + self.margin) * self.unit

    def shape(
        self,
        points: Sequence[Point],
        fill: Colour,
        *,
        radius: float = 0.0,
        shade: float = 0.14,
        edge: Colour | None = None,
        outline: bool = True,
        alpha: int = 255,
    ) -> None:
        """A filled closed shape: lighter on top, darker below, with a soft dark outline.

        Args:
            points: Corners in units.
            fill: Its colour.
            radius: How far corners are rounded, in units.
            shade: Strength of the shading from top to bottom.
            edge: Colour of the outline; a dark kind of the fill without it.
            outline: Whether there is one.
            alpha: Opacity, 0 to 255.
        """
        if radius:
            points = soften(points, radius)
        dots = [self.at(*point) for point in points]
        if alpha == 255 and not shade:
            self.pen.polygon(dots, fill=(*fill, 255))
        else:
            mask = Image.new("L", self.image.size)
            ImageDraw.Draw(mask).polygon(dots, fill=alpha)
            self._flood(mask, fill, shade, alpha)
        if outline:
            self._trace([*dots, dots[0], dots[1]], (*(edge or darker(fill, 0.62)), 255), self.line)

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Colour, **style) -> None:
        """A filled ellipse; ``style`` as for :meth:`shape`."""
        self.shape(ring(x, y, rx, ry), fill, **style)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: Colour, **style) -> None:
        """A filled box; ``style`` as for :meth:`shape`."""
        self.shape([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill, **style)

    def puffs(
        self,
        circles: Iterable[tuple[float, float, float]],
        fill: Colour,
        *,
        shade: float = 0.14,
        edge: Colour | None = None,
        outline: bool = True,
        alpha: int = 255,
    ) -> None:
        """Circles (x, y, radius) grown together, as a cloud or a tree's crown, one outline."""
        circles = list(circles)
        for grow, colour in ((self.line, edge or darker(fill, 0.62)), (0.0, fill)):
            if grow and not outline:
                continue
            mask = Image.new("L", self.image.size)
            pen = ImageDraw.Draw(mask)
            for x, y, r in circles:
                (cx, cy), radius = self.at(x, y), r * self.unit - self.line / 2 + grow
                pen.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=alpha)
            self._flood(mask, colour, 0 if grow else shade, alpha)

    def stroke(
        self, points: Sequence[Point], colour: Colour, width: float = 0.03, smooth: bool = True
    ) -> None:
        """A line with round ends; ``width`` in units."""
        curve = through(points) if smooth and len(points) > 2 else points
        self._trace(
            [self.at(*point) for point in curve],
            (*colour, 255),
            max(width * self.unit, self.line * 0.7),
        )

    def dot(self, x: float, y: float, r: float, colour: Colour) -> None:
        """A small flat disc."""
        cx, cy = self.at(x, y)
        r *= self.unit
        self.pen.ellipse((cx - r, cy - r, cx + r, cy + r), fill=(*colour, 255))

    def shine(self, x: float, y: float, rx: float, ry: float, alpha: int = 120) -> None:
        """A patch of light."""
        self.ellipse(x, y, rx, ry, WHITE, shade=0, outline=False, alpha=alpha)

    def face(self, x: float, y: float, size: float, *, smile: float = 1.0) -> None:
        """Two bright eyes, a smile and rosy cheeks, centred on (x, y)."""
        for side in (-1, 1):
            self.ellipse(
                x + side * 0.72 * size,
                y + 0.38 * size,
                0.26 * size,
                0.17 * size,
                BLUSH,
                shade=0,
                outline=False,
                alpha=120,
            )
            self.eye(x + side * 0.42 * size, y, 0.16 * size)
        turns = (math.pi * i / 8 for i in range(9))
        arc = [
            (x - 0.28 * size * math.cos(a), y + (0.28 + 0.26 * smile * math.sin(a)) * size)
            for a in turns
        ]
        self.stroke(arc, INK, 0.1 * size, smooth=False)

    def eye(self, x: float, y: float, r: float) -> None:
        """A round dark eye with a spark in it."""
        self.ellipse(x, y, r, r * 1.25, INK, shade=0, outline=False)
        self.dot(x - r * 0.3, y - r * 0.45, r * 0.4, WHITE)

    def finished(self, tilt: float = 0.0) -> Image.Image:
        """The drawing at its real size, turned by ``tilt`` degrees."""
        image = self.image
        if tilt:
            image = image.rotate(tilt, Image.Resampling.BICUBIC)
        return image.resize((self.pixels, self.pixels), Image.Resampling.LANCZOS)

    def _trace(self, dots: Sequence[Point], colour: tuple[int, ...], width: float) -> None:
        self.pen.line(dots, fill=colour, width=max(1, round(width)), joint="curve")
        r = width / 2
        for x, y in (dots[0], dots[-1]):
            self.pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def _flood(self, mask: Image.Image, fill: Colour, shade: float, alpha: int) -> None:
        """Fill the mask with a vertical gradient around the colour."""
        bounds = mask.getbbox()
        if bounds is None:
            return
        mask = mask.crop(bounds)
        if shade:
            paint = gradient(mask.size, lighter(fill, shade * 0.9), darker(fill, shade))
        else:
            paint = Image.new("RGB", mask.size, fill)
        if alpha == 255:
            self.image.paste(paint.convert("RGBA"), bounds[:2], mask)
        else:  # over a clear sheet, paste would darken the colour
            paint.putalpha(mask)
            self.image.alpha_composite(paint, bounds[:2])


def gradient(size: tuple[int, int], top: Colour, bottom: Colour) -> Image.Image:
    """An RGB picture that goes from one colour at the top to another at the bottom."""
    ramp = Image.linear_gradient("L").resize((1, size[1]), Image.Resampling.BILINEAR)
    column = Image.composite(
        Image.new("RGB", ramp.size, bottom), Image.new("RGB", ramp.size, top), ramp
    )
    return column.resize(size)


def watercolour(picture: Image.Image, rng: random.Random, strength: float = 0.2) -> Image.Image:
    """Mottle an RGB picture softly, like paint that has dried on paper."""
    cells = 9
    noise = Image.frombytes("L", (cells, cells), bytes(rng.randrange(70, 190) for _ in range(81)))
    noise = noise.resize(picture.size, Image.Resampling.BICUBIC).convert("RGB")
    return Image.blend(picture, ImageChops.overlay(picture, noise), strength)


def accent(colour: Colour, share: float) -> Colour:
    """A second tone for stripes: paler, but a cool grey on what is already pale."""
    if min(colour) > 200:
        return mix(colour, (150, 168, 196), share * 0.7)
    return lighter(colour, share)


def star_points(x: float, y: float, outer: float, inner: float) -> list[Point]:
    """The corners of a star with five points."""
    return [
        (x + r * math.sin(math.pi * i / 5), y - r * math.cos(math.pi * i / 5))
        for i, r in enumerate((outer, inner) * 5)
    ]
