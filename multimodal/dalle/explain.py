"""Why a picture came out as it did: what a cell could have been, and what it listened to."""

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from multimodal.dalle import pairs
from multimodal.dalle.image_tokenizer import ImageTokenizer, to_image
from multimodal.dalle.pipeline import Settings, TextToImage
from multimodal.data.toybox import draw, make_scene, on_grid

ALONE = 5  # cells per side of the field that shows one code, so that its own edges do not matter
AROUND, SHOWN = 5, 3  # cells per side that are decoded around another code, and that are shown
BATCH = 128
SCENES = 300  # of the drawn world, to see which shape goes with which colours


@dataclass(frozen=True)
class Explanation:
    """A finished picture, cell by cell, in the order of drawing.

    Attributes:
        pieces: The caption as the model read it.
        words: (cells, pieces) share of attention that each cell paid to each piece, averaged over
            layers and heads; rows sum to 1.
        codes: (cells, k) the likeliest tokens there.
        chances: (cells, k) their probabilities, as they were drawn from.
        chance: (cells,) probability of the token that was drawn.
    """

    pieces: list[str]
    words: Tensor
    codes: Tensor
    chances: Tensor
    chance: Tensor


@torch.inference_mode()
def explain(
    model: TextToImage, prompt: str, ids: Tensor, settings: Settings, k: int = 5
) -> Explanation:
    """Reads a finished picture once more and notes what the model thought at each cell.

    Args:
        model: The DALL-E that drew it.
        prompt: The caption.
        ids: (grid, grid) its tokens.
        settings: How it was drawn.
        k: Alternatives per cell.
    """
    guided = settings.guidance_scale != 1
    text = model.captions([prompt, ""] if guided else [prompt])
    image, maps = ids.view(1, -1), []
    _, places = model.dalle.read(text, image.expand(len(text), -1), maps)
    codes, chances, chance = _likeliest(model, places, image[0], settings, k)
    pieces = model.captions.pieces(prompt)
    owner = torch.tensor([i for i, (_, n) in enumerate(pieces) for _ in range(n)], dtype=torch.long)
    heard = torch.stack([layer[0].mean(0) for layer in maps]).mean(0)
    # the start mark and the pads are no words
    heard = heard[model.config.text_tokens :, 1 : 1 + len(owner)]
    words = heard.new_zeros(len(heard), len(pieces)).index_add_(1, owner, heard)
    words = words / words.sum(1, keepdim=True).clamp(min=1e-9)
    return Explanation([piece for piece, _ in pieces], words, codes, chances, chance)


def _likeliest(
    model: TextToImage, x: Tensor, ids: Tensor, settings: Settings, k: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The k likeliest tokens of every cell.

    Args:
        model: The DALL-E.
        x: (branches, cells, width), what the stream made of the places before.
        ids: (cells,) what was drawn.
        settings: How.
        k: How many.

    Returns:
        The tokens (cells, k), their probabilities (cells, k), and that of what was drawn (cells,).
    """
    colours = model.config.colours
    shape, *colour = (row[:, None] for row in pairs.split(ids, colours))
    shapes = model.chances(model.dalle.image_head(x).flatten(0, 1), settings)  # (cells, shapes)
    chance = shapes.gather(1, shape)
    best, codes = shapes.topk(min(k, shapes.shape[1]), 1)
    if colour:  # of a pair the shape was drawn first, then a colour for it
        seen = torch.cat([shape, codes], 1)  # (cells, 1 + k)
        logits = model.dalle.colour_logits(x[:, :, None], seen.expand(len(x), -1, -1))
        painted = model.chances(logits.flatten(0, 2), settings).view(*seen.shape, colours)
        chance = chance * painted[:, 0].gather(1, colour[0])
        both = (best[:, :, None] * painted[:, 1:]).flatten(1)  # (cells, k x colours)
        best, place = both.topk(min(k, both.shape[1]), 1)
        codes = pairs.join([codes.gather(1, place // colours), place % colours], colours)
    return codes, best, chance[:, 0]


@dataclass(frozen=True)
class Codebook:
    """One codebook of a VQ-VAE.

    Attributes:
        name: ``codes``, or of two ``shapes`` or ``colours``.
        patches: What each row looks like.
        usage: (rows,) how often each was chosen at the end of training, as a share of all.
    """

    name: str
    patches: list[Image.Image]
    usage: Tensor


@torch.inference_mode()
def codebooks(tokenizer: ImageTokenizer) -> list[Codebook]:
    """What each row of a codebook looks like: the middle cell of a field that consists of it alone.

    Of pairs, a shape is shown in its commonest colours, and colours on their commonest shape.
    """
    counts = [q._codebook.cluster_size.flatten() for q in tokenizer.vqvae.quantizers]
    names, tokens = ("codes",), (torch.arange(tokenizer.codes),)
    if tokenizer.colours:
        names, tokens = ("shapes", "colours"), _commonest_pairs(tokenizer)
    return [
        Codebook(name, _patches(tokenizer, some), count / count.sum().clamp(min=1e-9))
        for name, some, count in zip(names, tokens, counts, strict=True)
    ]


def _commonest_pairs(tokenizer: ImageTokenizer) -> tuple[Tensor, Tensor]:
    """The commonest token of each shape (shapes,) and of each set of colours (colours,), in scenes
    of the drawn world, which alone has such tokens."""
    scenes = (on_grid(make_scene(seed), tokenizer.grid) for seed in range(SCENES))
    ids = tokenizer.encode([draw(scene) for scene in scenes])
    counts = torch.bincount(ids.flatten(), minlength=tokenizer.codes).view(-1, tokenizer.colours)
    shapes, colours = (torch.arange(size) for size in counts.shape)
    return (
        pairs.join([shapes, counts.argmax(1)], tokenizer.colours),
        pairs.join([counts.argmax(0), colours], tokenizer.colours),
    )


def _patches(tokenizer: ImageTokenizer, tokens: Tensor) -> list[Image.Image]:
    cell = tokenizer.vqvae.config.cell
    middle, patches = ALONE // 2 * cell, []
    for some in tokens.split(BATCH):
        pixels = tokenizer.vqvae.decode(some[:, None, None].repeat(1, ALONE, ALONE))
        patches += [to_image(p[:, middle : middle + cell, middle : middle + cell]) for p in pixels]
    return patches


def alternatives(tokenizer: ImageTokenizer, ids: Tensor, codes: Tensor) -> list[Image.Image]:
    """Every cell among its neighbours, three cells square, had another code been drawn there.

    A cell hardly depends on what is farther away, so only a small field around each is decoded.

    Args:
        tokenizer: The VQ-VAE.
        ids: (grid, grid) tokens of the picture.
        codes: (cells, k) codes to put into each cell.

    Returns:
        cells x k patches, those of the first cell first.
    """
    grid, side, k = tokenizer.grid, tokenizer.vqvae.config.cell, codes.shape[1]
    around, shown = min(AROUND, grid), min(SHOWN, grid)
    fields, corners = [], []
    for cell in range(grid * grid):
        place = divmod(cell, grid)
        top, left = (_within(p - around // 2, grid - around) for p in place)
        changed = ids[top : top + around, left : left + around].repeat(k, 1, 1)
        changed[:, place[0] - top, place[1] - left] = codes[cell]
        fields.append(changed)
        up, back = (_within(p - shown // 2, grid - shown) for p in place)
        corners += [((back - left) * side, (up - top) * side)] * k
    size, decoded = shown * side, tokenizer.decode(torch.cat(fields))
    return [
        picture.crop((x, y, x + size, y + size))
        for picture, (x, y) in zip(decoded, corners, strict=True)
    ]


def _within(place: int, last: int) -> int:
    return min(max(place, 0), last)
