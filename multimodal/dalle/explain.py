"""Why a picture came out as it did: what a cell could have been, and what it listened to."""

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from multimodal.dalle import sampling
from multimodal.dalle.image_tokenizer import ImageTokenizer, to_image
from multimodal.dalle.pipeline import Settings, TextToImage

ALONE = 5  # cells per side of the field that shows one code, so that its own edges do not matter
AROUND, SHOWN = 5, 3  # cells per side that are decoded around another code, and that are shown
BATCH = 128


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
    image = ids.view(1, -1)
    _, logits, maps = model.dalle(text, image.expand(len(text), -1), return_maps=True)
    logits = sampling.guide(*logits, settings.guidance_scale) if guided else logits[0]
    chances = sampling.shape(logits, settings.temperature, settings.top_k, settings.top_p)
    best, codes = chances.topk(min(k, chances.shape[1]), 1)
    pieces, places = model.captions.pieces(prompt), model.config.text_tokens
    heard = torch.stack([layer[0].mean(0) for layer in maps]).mean(0)
    heard = heard[places:, 1 : 1 + len(pieces)]  # the start mark and the pads are no words
    return Explanation(
        pieces,
        heard / heard.sum(1, keepdim=True).clamp(min=1e-9),
        codes,
        best,
        chances.gather(1, image[0, :, None])[:, 0],
    )


@torch.inference_mode()
def codebook(tokenizer: ImageTokenizer) -> list[Image.Image]:
    """What each code looks like: the middle cell of a field that consists of it alone."""
    cell = tokenizer.vqvae.config.cell
    middle, patches = ALONE // 2 * cell, []
    for codes in torch.arange(tokenizer.codes).split(BATCH):
        pixels = tokenizer.vqvae.decode(codes[:, None, None].repeat(1, ALONE, ALONE))
        patches += [to_image(p[:, middle : middle + cell, middle : middle + cell]) for p in pixels]
    return patches


def usage(tokenizer: ImageTokenizer) -> Tensor:
    """(codes,) how often each code was chosen at the end of training, as a share of all."""
    counts = tokenizer.vqvae.quantizer._codebook.cluster_size.flatten()
    return counts / counts.sum().clamp(min=1e-9)


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
