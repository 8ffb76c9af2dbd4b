"""Recall at k, both ways, as the CLIP paper counts it."""

import torch
from torch import Tensor


def recall_at_k(images: Tensor, texts: Tensor, image_of_text: Tensor) -> dict[str, float]:
    """How often the right one is among the first 1, 5 and 10.

    Args:
        images: (images, dim) unit vectors.
        texts: (texts, dim) unit vectors.
        image_of_text: (texts,) number of the picture that each caption describes.

    Returns:
        t2i_r1, t2i_r5, t2i_r10: share in per cent of captions that find their picture;
        i2t_r1, i2t_r5, i2t_r10: share of pictures that find any of their captions;
        median_rank of the picture for a caption (1 is best); images, captions: their numbers.
        A tie counts against the model.
    """
    text_ranks, best = [], torch.full((len(images),), len(texts))
    for rows in torch.arange(len(texts)).split(4096):
        scores = texts[rows] @ images.T
        right = scores.gather(1, image_of_text[rows, None])
        text_ranks.append((scores >= right).sum(1))
    for rows in torch.arange(len(images)).split(1024):
        scores = images[rows] @ texts.T
        own = image_of_text[None, :] == rows[:, None]
        right = scores.masked_fill(~own, -torch.inf).amax(1, keepdim=True)
        best[rows] = 1 + ((scores >= right) & ~own).sum(1)
    ranks = torch.cat(text_ranks)
    captioned = best[image_of_text.unique()]
    figures = {f"t2i_r{k}": 100 * (ranks <= k).float().mean().item() for k in (1, 5, 10)}
    figures |= {f"i2t_r{k}": 100 * (captioned <= k).float().mean().item() for k in (1, 5, 10)}
    return figures | {
        "median_rank": ranks.float().median().item(),
        "images": len(images),
        "captions": len(texts),
    }
