"""How much of a picture survives the way through its tokens."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from multimodal.dalle.image_tokenizer import ImageTokenizer
from multimodal.dalle.vqvae import Vqvae, codes_used, perplexity
from multimodal.data.photos import DataError
from multimodal.data.toybox import Split, draw, full_caption, make_scene, on_grid, small_scenes
from multimodal.evaluation.judge import Judge
from multimodal.images import ImageError, list_images, open_image

BATCH = 32
# far from the seeds that training draws from
SEED_OFFSET = 500_000_000
GRID_LOOKS = 2  # what the toybox recipe of the VQ-VAE draws for scenes on the grid


@torch.inference_mode()
def figures(vqvae: Vqvae, pictures: Tensor) -> dict[str, float]:
    """Measures reconstructions.

    Args:
        vqvae: The model, in evaluation mode.
        pictures: (pictures, 3, side, side) uint8.

    Returns:
        mse of pixels in 0..1; mse_over_variance, in units of the pictures' variance; psnr in dB
        and ssim, means over pictures; perplexity of the codes and codes_used in per cent, and
        the same of the colours where they have a codebook of their own; tokens_per_image; images.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure as ssim

    was_training = vqvae.training
    counts = [torch.zeros(len(book)) for book in vqvae.codebooks]
    vqvae.eval()
    errors, alike, variance = [], [], _variance(pictures)
    for part in pictures.split(BATCH):
        true = (part.float() / 255).contiguous(memory_format=torch.channels_last)
        ids = vqvae.tokens(true)
        made = vqvae.decode(ids)
        for count, rows in zip(counts, vqvae.parts(ids), strict=True):
            count += torch.bincount(rows.flatten(), minlength=len(count))
        errors.append((made - true).square().mean((1, 2, 3)))
        alike.append(ssim(made, true, data_range=1.0, reduction="none").view(-1))
    vqvae.train(was_training)
    error = torch.cat(errors)
    books = {}
    if vqvae.config.colours:
        books = {"colour_perplexity": perplexity(counts[1]), "colours_used": codes_used(counts[1])}
    return {
        "mse": float(error.mean()),
        "mse_over_variance": float(error.mean() / variance),
        "psnr": float(-10 * error.clamp(min=1e-10).log10().mean()),
        "ssim": float(torch.cat(alike).mean()),
        "perplexity": perplexity(counts[0]),
        "codes_used": codes_used(counts[0]),
        **books,
        "tokens_per_image": vqvae.config.grid**2,
        "images": len(pictures),
    }


def evaluate(model: ImageTokenizer, images: Path) -> dict[str, float]:
    """`figures` for a folder of photos, squeezed square as the app does.

    Args:
        model: A VQ-VAE.
        images: The folder; subfolders count.

    Raises:
        DataError: if no picture in it can be read.
    """
    return figures(model.vqvae, _stack(_read(Path(images), model.image_size), images))


def evaluate_toybox(
    model: ImageTokenizer, judge: Judge, seed: int = 0, scenes: int = 1000
) -> dict[str, float]:
    """Scores a VQ-VAE on scenes drawn afresh.

    Args:
        model: A VQ-VAE.
        judge: The detector of the drawn world.
        seed: Chooses the scenes.
        scenes: How many.

    Returns:
        What `figures` gives. And in per cent how often the judge still sees all of a scene of one
        or two things after its way through the tokens, the most that a DALL-E on these tokens can
        reach: redrawn_obeyed, and redrawn_obeyed_held_out with a combination of colour and kind
        that training never showed.
    """
    first, side = SEED_OFFSET + seed * 1_000_003, model.image_size

    def redrawn_obeyed(split: Split) -> float:
        small = [on_grid(s, model.grid) for s in small_scenes(split, first, max(scenes // 5, 1))]
        redrawn = model.decode(model.encode([draw(scene, side, GRID_LOOKS) for scene in small]))
        return 100 * float(np.mean(judge.obeys(redrawn, [full_caption(s, "en") for s in small])))

    drawn = (draw(make_scene(first + i, split=Split.VAL), side) for i in range(scenes))
    return {
        **figures(model.vqvae, _stack(drawn, "the toybox")),
        "redrawn_obeyed": redrawn_obeyed(Split.VAL),
        "redrawn_obeyed_held_out": redrawn_obeyed(Split.HELD_OUT),
    }


def _read(folder: Path, side: int) -> Iterable[Image.Image]:
    for file in list_images(folder):
        try:
            image = open_image(file, at_least=side)
        except ImageError:  # one torn file is no reason to measure nothing
            continue
        yield image.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0)


def _stack(images: Iterable[Image.Image], source: object) -> Tensor:
    pictures = [np.asarray(image) for image in images]
    if not pictures:
        raise DataError(f"{source} holds no picture that can be read: give another --images.")
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def _variance(pictures: Tensor) -> float:
    """Variance of all pixel values in 0..1, in one pass."""
    numbers = pictures.numel()
    total = sum(float(p.double().sum()) for p in pictures.split(BATCH)) / 255
    squares = sum(float(p.double().square().sum()) for p in pictures.split(BATCH)) / 255**2
    return squares / numbers - (total / numbers) ** 2
