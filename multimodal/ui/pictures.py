"""Answers as HTML: bars, maps over photos, tables; every text of a user is escaped."""

import base64
import io
import zlib
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor


def colour(label: str) -> str:
    """A label's colour, the same everywhere on the page; dark enough for white, light and dark."""
    hue = zlib.crc32(label.encode()) % 360
    return f"hsl({hue} 62% 42%)"


def percent(share: float) -> str:
    """A share as people say it: no decimals, one below 10 %."""
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.1f} %"


def row(name: str, share: float, paint: str, value: str, more: str | None = None) -> str:
    """One row of a chart: a name, a bar of a share of the width, a value, and one more."""
    last = "" if more is None else f'<span class="cosine">{escape(more)}</span>'
    return (
        f'<div class="bar"><span class="name">{escape(name)}</span>'
        f'<span class="track"><span class="fill" style="display:block;width:{100 * share:.2f}%;'
        f'background:{paint}"></span></span>'
        f'<span class="share">{escape(value)}</span>{last}</div>'
    )


def bar(label: str, share: float, cosine: float | None = None) -> str:
    """One row: label, bar, share in per cent, and the raw cosine where it is given."""
    more = None if cosine is None else f"{cosine:.3f}"
    return row(label, share, colour(label), percent(share), more)


def histogram(counts: Sequence[int], edges: Sequence[float], least: float, say: str) -> str:
    """How many scores fall where.

    Args:
        counts: Scores per bin.
        edges: Bounds of the bins, one more than there are bins.
        least: Bins above it are marked as hits.
        say: What is shown, in a sentence.
    """
    tallest = max(counts)
    bars = "".join(
        f'<span title="{edges[i]:.3f}: {n}" class="{"hit" if edges[i + 1] > least else ""}" '
        f'style="height:{100 * n / tallest:.1f}%"></span>'
        for i, n in enumerate(counts)
    )
    return (
        f'<p>{escape(say)}</p><div class="histogram" role="img" aria-label="{escape(say)}">{bars}'
        f'</div><div class="axis"><span>{edges[0]:.3f}</span><span>{edges[-1]:.3f}</span></div>'
    )


def empty(text: str) -> str:
    """What an answer's place says before there is one."""
    return f'<div class="empty"><div>{escape(text)}</div></div>'


def problem(text: str) -> str:
    """An error in the answer's place."""
    return f'<div class="problem" role="alert">{escape(text)}</div>'


def data_uri(image: "Image.Image", side: int = 360, alpha: bool = False) -> str:
    """A picture inside the page, at most `side` pixels wide and high."""
    image = image.copy()
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    kind = "PNG" if alpha else "JPEG"
    image.save(buffer, kind, quality=86)
    text = base64.b64encode(buffer.getvalue()).decode()
    return f"data:image/{kind.lower()};base64,{text}"


def heat(image: "Image.Image", weights: "Tensor") -> "Image.Image":
    """A map (rows, columns) of 0..1 as a cividis picture of the photo's shape."""
    import matplotlib
    import numpy as np
    from PIL import Image

    from multimodal.clip.explain import enlarge

    width, height = image.size
    scale = 360 / max(width, height)
    big = enlarge(weights[None], max(1, round(height * scale)), max(1, round(width * scale)))[0]
    colours = matplotlib.colormaps["cividis"](big.numpy())
    return Image.fromarray((colours[..., :3] * 255).astype(np.uint8))


def maps(
    image: "Image.Image",
    named: Sequence[tuple[str, "Tensor"]],
    strength: str,
    bare: str,
    legend: str,
) -> str:
    """The photo once per label with where the model looked, a strength slider and a legend.

    Args:
        image: The photo.
        named: Labels and their maps (rows, columns) of 0..1.
        strength: Text of the slider.
        bare: Text of the switch that shows the bare photo.
        legend: Text of the colour scale.
    """
    photo = data_uri(image)
    figures = "".join(
        f'<figure><div class="photo"><img src="{photo}" alt="">'
        f'<img class="heat" src="{data_uri(heat(image, weights))}" alt="{escape(legend)}: '
        f'{escape(label)}"></div><figcaption style="color:{colour(label)}">{escape(label)}'
        "</figcaption></figure>"
        for label, weights in named
    )
    tools = map_tools(strength, bare, legend)
    return f'<div class="lookbox">{tools}<div class="maps">{figures}</div></div>'


def map_tools(strength: str, bare: str, legend: str) -> str:
    """The tools of the maps in one ``lookbox``; arguments as `maps`."""
    set_strength = "this.closest('.lookbox').style.setProperty('--strength', this.value)"
    set_bare = "this.closest('.lookbox').classList.toggle('bare', this.checked)"
    return (
        '<div class="maps-tools">'
        f'<label>{escape(strength)} <input type="range" min="0" max="1" step="0.02" value="0.62" '
        f'oninput="{set_strength}"></label>'
        f'<label><input type="checkbox" onchange="{set_bare}"> {escape(bare)}</label>'
        f'<span><span class="legend"></span> {escape(legend)}</span></div>'
    )


def matrix(
    rows: Sequence[str],
    columns: Sequence[str],
    values: "Tensor",
    diagonal: bool = False,
    notes: Sequence[str] | None = None,
) -> str:
    """A heat map as a table, the best of each row outlined, or the diagonal.

    Args:
        rows: Names of the rows, or data URIs of pictures.
        columns: Names of the columns, or data URIs of pictures.
        values: (rows, columns) cosines.
        diagonal: Outline what belongs together instead of what fits best.
        notes: What to say beside each row's name.
    """
    import matplotlib

    low, high = float(values.min()), float(values.max())
    scale = matplotlib.colormaps["cividis"]

    def cell(value: float, best: bool) -> str:
        place = (value - low) / max(high - low, 1e-6)
        r, g, b, _ = (round(255 * c) for c in scale(place))
        ink = "#fff" if place < 0.55 else "#111"
        mark = ' class="best"' if best else ""
        return f'<td{mark} style="background:rgb({r},{g},{b});color:{ink}">{value:.3f}</td>'

    def head(name: str) -> str:
        return f'<img src="{name}" alt="">' if name.startswith("data:") else escape(name)

    def note(row: int) -> str:
        return f'<th scope="row" class="note">{escape(notes[row])}</th>' if notes else ""

    top = "".join(f'<th scope="col">{head(name)}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{head(name)}</th>{note(r)}'
        + "".join(
            cell(float(value), i == (r if diagonal else int(values[r].argmax())))
            for i, value in enumerate(values[r])
        )
        + "</tr>"
        for r, name in enumerate(rows)
    )
    corner = "<td></td>" * (2 if notes else 1)
    return f'<div class="scroll"><table class="grid"><tr>{corner}{top}</tr>{body}</table></div>'
