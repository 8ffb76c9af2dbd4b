"""The Ask tab's reasons as HTML: who attended to whom, what mattered, and what can be hidden.

All maps of an answer lie in the page at once, so that stepping through layers and heads needs no
server; `scripts/attention.js` shows them.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from multimodal.ui import pictures
from multimodal.ui.tokens import script

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from multimodal.ui.texts import Texts
    from multimodal.vilbert.answering import Explanation
    from multimodal.vilbert.model import AttentionMap

SCRIPT, HIDE_SCRIPT = script("say", "cells", "attention"), script("cells", "hide")
SIDE = 640  # of the photo in the page
SCALE = 64  # colours from little to most
# what attention.js says about the map it shows
SAID = ("mean", "head", "to", "from", "words_only", "regions_only")


@dataclass(frozen=True)
class Cells:
    """The regions of a photo as the page shows them.

    Attributes:
        boxes: (regions, 4): x1, y1, x2, y2 as shares of the photo.
        names: What each is called.
        columns: Regions in a row; 1 where they are no grid.
    """

    boxes: "Tensor"
    names: list[str]
    columns: int

    @classmethod
    def of(
        cls, boxes: "Tensor", grid: tuple[int, int] | None, text: "Texts", language: str
    ) -> "Cells":
        """Names them by row and column, or by number where they are no grid."""
        count = len(boxes)
        if grid is None:
            names = [text("ask_region", language, n=i + 1) for i in range(count)]
            return cls(boxes, names, 1)
        places = [divmod(i, grid[1]) for i in range(count)]
        names = [text("ask_cell", language, row=r + 1, column=c + 1) for r, c in places]
        return cls(boxes, names, grid[1])


def explorer(
    found: "Explanation",
    photo: "Image.Image",
    plan: Sequence[tuple[str, int]],
    text: "Texts",
    language: str,
) -> str:
    """The diagram of the layers, and words and regions that light each other up.

    Args:
        found: What happened inside.
        photo: The photo.
        plan: The layers in the order they run, see `VilbertConfig.plan`.
        text: All texts.
        language: ``en`` or ``ko``.
    """
    where = columns(plan)
    # as the diagram reads: from left to right, vision first, language second
    maps = sorted(found.maps, key=lambda m: (where[_layer(m)], m.queries != "vision"))
    names = [
        text(f"ask_map_{m.queries}_{m.keys}", language, layer=m.layer, n=m.number) for m in maps
    ]
    last_reading = [i for i, m in enumerate(maps) if (m.queries, m.keys) == ("text", "vision")]
    cells, whole = Cells.of(found.boxes, found.grid, text, language), text("ask_global", language)
    data = {
        "maps": [_packed(m) | {"name": name} for m, name in zip(maps, names, strict=True)],
        "regions": [whole, *cells.names],
        "start": last_reading[-1] if last_reading else len(maps) - 1,
        "colours": _colours(),
        "said": {name: text(f"ask_say_{name}", language) for name in SAID},
    }
    answer = f"“{found.answer.text}”"
    looked = _figure(
        text("ask_attention", language),
        _words(found.words, "piece"),
        _words([whole], "whole"),
        board(photo, cells, text("ask_cells", language)),
        '<p class="lookedsay" aria-live="polite"></p>',
    )
    words, regions = (
        _without_itself(found.relevance.words),
        _without_itself(found.relevance.regions),
    )
    mattered = _figure(
        text("ask_relevance", language, answer=answer),
        _words(found.words, "piece", (words / words.max().clamp(min=1e-9)).tolist()),
        _words([whole], "whole", (regions / regions.max().clamp(min=1e-9)).tolist()[:1]),
        board(photo, cells, text("ask_rated", language, answer=answer), _spread(regions[1:])),
        f"<p>{escape(text('ask_differ', language, answer=answer))}</p>",
    )
    tools = pictures.map_tools(
        text("strength", language), text("bare", language), text("ask_legend", language)
    )
    terms = "".join(
        f"<p>{escape(text(f'ask_term_{name}', language))}</p>" for name in ("layers", "tokens")
    )
    return (
        f'<div class="gaze lookbox" data-found="{escape(json.dumps(data))}">'
        f"{diagram(maps, names, where, text, language)}"
        f'<div class="steppers">{_stepper("layer", text, language)}'
        f"{_stepper('head', text, language)}</div>{tools}"
        f'<div class="pair">{looked}{mattered}</div><div class="fine">{terms}</div></div>'
    )


def columns(plan: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """Where each layer stands in the diagram, counted from 0.

    Blocks of the two streams stand above each other, those before a co-attention layer end beside
    it, and each co-attention layer has a column of its own.

    Args:
        plan: The layers in the order they run.
    """
    found: dict[tuple[str, int], int] = {}
    waiting: dict[str, list[int]] = {"vision": [], "text": []}
    first = 0
    for kind, layer in [*plan, ("end", 0)]:
        if kind in waiting:
            waiting[kind].append(layer)
            continue
        width = max(len(layers) for layers in waiting.values())
        for stream, layers in waiting.items():
            for place, number in enumerate(layers, width - len(layers)):
                found[stream, number] = first + place
            layers.clear()
        first += width
        if kind == "co":
            found["co", layer] = first
            first += 1
    return found


def diagram(
    maps: Sequence["AttentionMap"],
    names: Sequence[str],
    where: dict[tuple[str, int], int],
    text: "Texts",
    language: str,
) -> str:
    """Both streams as rows of blocks, on a phone as columns, with a button for each map.

    Args:
        maps: All maps, in the diagram's order.
        names: What each is called.
        where: See `columns`.
        text: All texts.
        language: ``en`` or ``ko``.
    """
    count = max(where.values()) + 1
    blocks = "".join(
        f'<button type="button" class="block {m.layer.lower()}" aria-pressed="false" '
        f'style="--side:{1 if m.queries == "vision" else 3};--at:{where[_layer(m)] + 2}" '
        f'aria-label="{escape(name)}" title="{escape(name)}">{m.layer}<i>{m.number}</i></button>'
        for m, name in zip(maps, names, strict=True)
    )
    exchanges = "".join(
        f'<svg class="exchange" style="--side:2;--at:{column + 2}" viewBox="0 0 40 24" '
        'aria-hidden="true"><path d="M13 24V3m-4 5 4-5 4 5M27 0v21m-4-5 4 5 4-5"/></svg>'
        for (kind, _), column in where.items()
        if kind == "co"
    )
    streams = "".join(
        f'<span class="stream" style="--side:{side};--at:1">{escape(text(key, language))}</span>'
        f'<span class="rail" style="--side:{side}"></span>'
        for side, key in ((1, "ask_vision"), (3, "ask_language"))
    )
    return (
        f'<div class="scroll"><div class="layers" role="group" style="--columns:{count}" '
        f'aria-label="{escape(text("ask_layers", language))}">{streams}{blocks}{exchanges}'
        f'<span class="product">{escape(text("ask_product", language))}</span></div></div>'
    )


def board(
    photo: "Image.Image", cells: Cells, title: str, heat: Sequence[float] | None = None
) -> str:
    """The photo under its regions.

    Args:
        photo: The photo.
        cells: Its regions.
        title: What they are, for those who do not see them.
        heat: A share 0..1 for each region, shown as a map; None: the regions are buttons.
    """
    shown = []
    for i, (x1, y1, x2, y2) in enumerate(cells.boxes.tolist()):
        place = (
            f"left:{100 * x1:.2f}%;top:{100 * y1:.2f}%;"
            f"width:{100 * (x2 - x1):.2f}%;height:{100 * (y2 - y1):.2f}%"
        )
        if heat is None:
            shown.append(
                f'<button type="button" class="cell" tabindex="{-1 if i else 0}" '
                f'aria-pressed="false" style="{place}" aria-label="{escape(cells.names[i])}">'
                "</button>"
            )
        else:
            colour = _colours()[round(heat[i] * (SCALE - 1))]
            shown.append(f'<span class="cell" style="{place};--heat:{colour}"></span>')
    return (
        f'<div class="board" style="--shape:{photo.width / photo.height:.3f}">'
        f'<img src="{pictures.data_uri(photo, SIDE)}" alt="">'
        f'<div class="cells free" role="{"group" if heat is None else "img"}" '
        f'data-columns="{cells.columns}" aria-label="{escape(title)}">{"".join(shown)}</div></div>'
    )


def hideable(photo: "Image.Image", cells: Cells, hidden: "Tensor", title: str) -> str:
    """The photo under buttons that hide a region each.

    Args:
        photo: The photo.
        cells: Its regions.
        hidden: (regions, regions) bool, which are hidden together.
        title: What the buttons are.
    """
    groups = json.dumps([row.nonzero()[:, 0].tolist() for row in hidden])
    return f'<div class="hideable" data-hidden="{groups}">{board(photo, cells, title)}</div>'


def _layer(m: "AttentionMap") -> tuple[str, int]:
    """A map's layer as the plan names it."""
    return ("co" if m.layer == "Co-TRM" else m.queries), m.number - 1


def _packed(m: "AttentionMap") -> dict[str, Any]:
    """A map small enough for the page: a byte for the root of each weight, so that the weights,
    most of them a few hundredths, are kept to a tenth of a per cent."""
    heads, rows, keys = m.weights.shape[1:]
    roots = (m.weights[0].sqrt() * 255).round().byte().numpy()
    return {
        "queries": m.queries,
        "keys": m.keys,
        "heads": heads,
        "rows": rows,
        "columns": keys,
        "roots": base64.b64encode(roots.tobytes()).decode(),
    }


def _without_itself(shares: "Tensor") -> "Tensor":
    """Relevance, (tokens,), without the one that the first token has for itself by definition."""
    shares = shares.clone()
    shares[0] -= 1
    return shares.clamp(min=0)


def _spread(shares: "Tensor") -> list[float]:
    """Shares (regions,) from 0, the least, to 1, the largest."""
    shares = shares - shares.min()
    return (shares / shares.max().clamp(min=1e-9)).tolist()


def _colours() -> list[str]:
    """Cividis as CSS numbers, from little to most."""
    import matplotlib

    shades = matplotlib.colormaps["cividis"].resampled(SCALE)
    return [" ".join(str(round(255 * c)) for c in shades(i)[:3]) for i in range(SCALE)]


def _words(words: Sequence[str], kind: str, heat: Sequence[float] | None = None) -> str:
    """Words as buttons, or tinted by a share 0..1 of the strongest tint."""
    shown = []
    for i, word in enumerate(words):
        if heat is None:
            shown.append(
                f'<button type="button" class="word {kind}" aria-pressed="false">{escape(word)}'
                '<span class="share"></span></button>'
            )
        else:
            tint = f"--listened:{100 * heat[i]:.0f}%"
            shown.append(f'<span class="word {kind}" style="{tint}">{escape(word)}</span>')
    return f'<div class="words">{"".join(shown)}</div>'


def _figure(title: str, *parts: str) -> str:
    return f"<section><h4>{escape(title)}</h4>{''.join(parts)}</section>"


def _stepper(what: str, text: "Texts", language: str) -> str:
    """A name between two buttons that step back and on."""
    back, on = (
        f'<button type="button" class="step" data-what="{what}" data-by="{by}" '
        f'aria-label="{escape(text(f"ask_{what}_{way}", language))}">{sign}</button>'
        for by, way, sign in ((-1, "back", "‹"), (1, "on", "›"))
    )
    return (
        f'<div class="stepper"><b>{escape(text(f"ask_{what}", language))}</b>{back}'
        f'<span class="now {what}" aria-live="polite"></span>{on}</div>'
    )
