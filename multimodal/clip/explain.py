"""Where the model looked: hide a part of the photo and see which labels suffer.

Occlusion (Zeiler & Fergus 2014) asks the model itself and so works for every tower, ours or
OpenCLIP's. One set of occluded photos serves every label: a new label costs one product.
"""

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from multimodal.clip.base import ClipModel


@torch.inference_mode()
def occluded_embeddings(model: ClipModel, image: Image.Image, grid: int = 7) -> Tensor:
    """Embeds the photo with each cell of a grid hidden in turn, and last the photo as it is.

    Args:
        model: Any CLIP model.
        image: An RGB picture.
        grid: Cells per side; the hidden window is two cells wide so that maps are smooth.

    Returns:
        (grid * grid + 1, embed_dim).
    """
    pixels = model.preprocess(image)  # (3, side, side)
    side = pixels.shape[-1]
    # the photo's own mean colour hides without adding an edge of its own
    blank = pixels.mean((1, 2), keepdim=True)
    views = pixels.repeat(grid * grid + 1, 1, 1, 1)
    step = side / grid
    for row in range(grid):
        for column in range(grid):
            top, left = round((row - 0.5) * step), round((column - 0.5) * step)
            bottom, right = round((row + 1.5) * step), round((column + 1.5) * step)
            views[row * grid + column, :, max(top, 0) : bottom, max(left, 0) : right] = blank
    return model.encode_pixels(views)


def occlusion_maps(occluded: Tensor, labels: Tensor) -> Tensor:
    """How much each label's cosine falls when a cell is hidden, relative to the other labels.

    Args:
        occluded: (grid * grid + 1, dim), from `occluded_embeddings`.
        labels: (labels, dim) unit vectors.

    Returns:
        (labels, grid, grid), each map from 0 (hiding it changes nothing, or helps) to 1
        (hiding it hurts most).
    """
    cosine = occluded @ labels.T  # (cells + 1, labels)
    if labels.shape[0] > 1:  # what hurts every label alike says nothing of this one
        cosine = cosine - cosine.mean(1, keepdim=True)
    drop = (cosine[-1] - cosine[:-1]).clamp(min=0).T
    grid = round(drop.shape[1] ** 0.5)
    maps = drop.reshape(-1, grid, grid)
    return maps / maps.amax((1, 2), keepdim=True).clamp(min=1e-6)


def enlarge(maps: Tensor, height: int, width: int) -> Tensor:
    """Smoothly enlarges maps (labels, grid, grid) to (labels, height, width)."""
    big = F.interpolate(maps[:, None], (height, width), mode="bicubic", align_corners=False)
    return big[:, 0].clamp(0, 1)
