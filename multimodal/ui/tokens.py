"""The Draw tab's reasons as HTML: the token grid over a picture, and the wall of all codes.

Everything that a pointer may ask for lies in the page; the scripts show it.
"""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from multimodal.ui import pictures

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from multimodal.dalle.explain import Codebook
    from multimodal.dalle.image_tokenizer import ImageTokenizer
    from multimodal.dalle.pipeline import TextToImage
    from multimodal.ui.drawer import Drawn
    from multimodal.ui.texts import Texts

SCRIPTS = Path(__file__).parent / "scripts"


def script(*names: str) -> str:
    """Several scripts as one, for `js_on_load`."""
    return "".join((SCRIPTS / f"{name}.js").read_text("utf-8") for name in names)


GRID_SCRIPT, WALL_SCRIPT = script("say", "cells", "tokens"), script("wall")
SHOWN_ALTERNATIVES = 5
WALL_COLUMNS = 32


def picture_grid(
    model: "TextToImage", drawn: "Drawn", number: int, text: "Texts", language: str
) -> str:
    """A finished picture under its grid of cells, with what each could have been and listened to.

    Args:
        model: The DALL-E that drew it.
        drawn: What it drew.
        number: Which of its pictures.
        text: All texts.
        language: ``en`` or ``ko``.
    """
    from multimodal.dalle import explain, export

    drawing = drawn.drawing
    ids, grid, colours = drawing.ids[number], model.config.grid, model.config.colours
    found = explain.explain(model, drawn.prompt, ids, drawing.settings, SHOWN_ALTERNATIVES)
    patches = explain.alternatives(model.tokenizer, ids, found.codes)
    cells = [
        {
            "code": _name(code, colours),
            "chance": round(chance, 4),
            "codes": [_name(code, colours) for code in codes],
            "chances": [round(c, 4) for c in chances],
            "words": [round(w, 3) for w in words],
        }
        for code, chance, codes, chances, words in zip(
            ids.flatten().tolist(),
            found.chance.tolist(),
            found.codes.tolist(),
            found.chances.tolist(),
            found.words.tolist(),
            strict=True,
        )
    ]
    sheet = pictures.data_uri(_sheet(patches, grid), 4096)
    picture = pictures.data_uri(export.enlarge(drawing.images[number]), export.SIDE)
    buttons = "".join(
        f'<button type="button" class="cell" tabindex="-1" aria-label="'
        f'{escape(text("draw_cell", language, row=i // grid + 1, column=i % grid + 1))}"></button>'
        for i in range(grid * grid)
    )
    words = "".join(
        f'<button type="button" class="word" aria-pressed="false" '
        f'data-heat="{_heat(found.words[:, i].view(grid, grid))}">{escape(piece)}</button>'
        for i, piece in enumerate(found.pieces)
    )
    alternatives = (
        '<div class="alternative"><span class="patch"></span><span class="track"><span '
        'class="fill"></span></span><span class="share"></span><span class="code"></span></div>'
    ) * found.codes.shape[1]
    listened = "draw_words" if found.pieces else "draw_no_words"
    kind = "draw_pairs_say" if colours else "draw_alternatives_say"
    return (
        f'<div class="tokens" style="--grid:{grid};--sheet:url({sheet})" '
        f'data-cells="{escape(json.dumps(cells))}" '
        f'data-say="{escape(text("draw_cell_say", language))}" '
        f'data-code="{escape(text("draw_code", language))}" '
        f'data-drawn="{escape(text("draw_cell_drawn", language))}">'
        f'<div class="board"><img src="{picture}" alt="">'
        f'<img class="heat" alt="{escape(text("draw_heat", language))}" hidden>'
        f'<div class="cells" role="group" data-columns="{grid}" '
        f'aria-label="{escape(text("draw_cells", language))}">'
        f"{buttons}</div></div>"
        f'<div class="reasons"><p class="cellsay" aria-live="polite"></p>{alternatives}'
        f'<p class="fine">{escape(text(kind, language))}</p>'
        f'<p class="wordsay">{escape(text(listened, language))}</p><div class="words">{words}</div>'
        f'<p class="fine"><span class="legend"></span> {escape(text("draw_legend", language))}</p>'
        "</div></div>"
    )


def _name(token: int, colours: int) -> str:
    """A token's number, or those of its shape and its colours."""
    return f"{token // colours}·{token % colours}" if colours else str(token)


def _sheet(patches: "Sequence[Image.Image]", grid: int) -> "Image.Image":
    """The patches of all cells as one picture, a row of them per row of cells."""
    from PIL import Image

    size, across = patches[0].width, len(patches) // grid
    sheet = Image.new("RGB", (across * size, grid * size))
    for i, patch in enumerate(patches):
        sheet.paste(patch, (i % across * size, i // across * size))
    return sheet


def walls(tokenizer: "ImageTokenizer", order: str, text: "Texts", language: str) -> str:
    """All codes of a VQ-VAE as patches, rarely used ones dark; each codebook by itself.

    Args:
        tokenizer: The VQ-VAE.
        order: ``usage`` or ``colour``.
        text: All texts.
        language: ``en`` or ``ko``.
    """
    from multimodal.dalle import explain

    return "".join(_wall(book, order, text, language) for book in explain.codebooks(tokenizer))


def _wall(book: "Codebook", order: str, text: "Texts", language: str) -> str:
    from PIL import Image

    from multimodal.dalle.vqvae import codes_used, perplexity

    patches, shares = book.patches, book.usage
    places = shares.argsort(descending=True).tolist() if order == "usage" else _by_colour(patches)
    side, rows = patches[0].width, -(-len(places) // WALL_COLUMNS)
    sheet = Image.new("RGB", (WALL_COLUMNS * side, rows * side))
    shade = Image.new("RGBA", (WALL_COLUMNS, rows))
    most = float(shares.max())
    for i, code in enumerate(places):
        row, column = divmod(i, WALL_COLUMNS)
        sheet.paste(patches[code], (column * side, row * side))
        brightness = (float(shares[code]) / most) ** 0.5
        shade.putpixel((column, row), (0, 0, 0, round(225 * (1 - brightness))))
    say = text(
        f"draw_wall_{book.name}",
        language,
        codes=len(places),
        used=f"{codes_used(shares):.0f}",
        perplexity=f"{perplexity(shares):.0f}",
    )
    data = json.dumps([[code, round(float(shares[code]), 5)] for code in places])
    return (
        f'<p>{escape(say)}</p><div class="wall" tabindex="0" role="img" '
        f'aria-label="{escape(say)}" data-codes="{data}" '
        f'data-columns="{WALL_COLUMNS}" data-rows="{rows}" '
        f'data-say="{escape(text("draw_wall_code", language))}" '
        f'style="--columns:{WALL_COLUMNS};--rows:{rows}">'
        f'<img src="{pictures.data_uri(sheet, 4096, alpha=True)}" alt="">'
        f'<img src="{pictures.data_uri(shade, 4096, alpha=True)}" alt="">'
        '<span class="mark" hidden></span></div>'
        f'<p class="wallsay" aria-live="polite"><span class="patch"></span><span class="what">'
        f"{escape(text('draw_wall_hint', language))}</span></p>"
    )


def _by_colour(patches: "Sequence[Image.Image]") -> list[int]:
    """Dark rows first; within a row by hue."""
    import colorsys

    from PIL import ImageStat

    means = [[value / 255 for value in ImageStat.Stat(patch).mean] for patch in patches]
    codes = sorted(range(len(means)), key=lambda code: sum(means[code]))
    rows = [codes[i : i + WALL_COLUMNS] for i in range(0, len(codes), WALL_COLUMNS)]
    return [
        code for row in rows for code in sorted(row, key=lambda c: colorsys.rgb_to_hsv(*means[c]))
    ]


def _heat(shares: "Tensor") -> str:
    """A cividis picture of one pixel per cell, from the least to the largest of (rows, columns)."""
    import matplotlib
    import numpy as np
    from PIL import Image

    shares = shares - shares.min()
    colours = matplotlib.colormaps["cividis"]((shares / shares.max().clamp(min=1e-9)).numpy())
    picture = Image.fromarray((colours[..., :3] * 255).astype(np.uint8))
    return pictures.data_uri(picture, alpha=True)
