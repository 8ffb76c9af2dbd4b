"""From logits to the next token: temperature, top-k, top-p and guidance. Pure functions."""

from collections.abc import Sequence

import torch
from torch import Tensor

COLDEST = 1e-3  # below it, dividing by the temperature could overflow


def guide(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance (Ho & Salimans 2022) on logits: away from what any caption gives.

    Args:
        conditional: Logits under the caption.
        unconditional: Logits under no caption, of the same shape.
        scale: 1 leaves the first as they are, 0 gives the second, more exaggerates the caption.
    """
    return unconditional + scale * (conditional - unconditional)


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Rules out all but exactly k tokens of each row; 0 or the whole vocabulary keeps all.

    Where several tie for the last place, as many as fit are kept.

    Args:
        logits: (batch, tokens).
        k: How many to keep.
    """
    if k <= 0 or k >= logits.shape[-1]:
        return logits
    best, places = logits.topk(k, -1)
    return torch.full_like(logits, float("-inf")).scatter(-1, places, best)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Keeps the likeliest tokens that together have probability p (Holtzman et al. 2020).

    The token that crosses p is kept, so at least one always is: p = 0 keeps the likeliest alone,
    p = 1 keeps all.

    Args:
        logits: (batch, tokens).
        p: Probability, 0 to 1.
    """
    if p >= 1:
        return logits
    ordered, places = logits.sort(dim=-1, descending=True, stable=True)
    share = ordered.softmax(-1)
    before = share.cumsum(-1) - share  # probability of all likelier tokens
    cut = before >= p
    cut[..., 0] = False
    return torch.full_like(logits, float("-inf")).scatter(
        -1, places, ordered.masked_fill(cut, float("-inf"))
    )


def shape(logits: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    """The distribution that is sampled from: (batch, tokens) probabilities.

    Args:
        logits: (batch, tokens).
        temperature: Divides the logits; next to 0 it leaves the likeliest token alone.
        top_k: As in `keep_top_k`, first.
        top_p: As in `keep_top_p`, on what top_k left.
    """
    if temperature < COLDEST:
        logits, temperature = keep_top_k(logits, 1), 1.0
    return keep_top_p(keep_top_k(logits / temperature, top_k), top_p).softmax(-1)


def draw(probabilities: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """One token for each row, (batch,), from a random generator of its own.

    Args:
        probabilities: (batch, tokens).
        generators: One per row, so that a picture depends on its own seed alone.
    """
    rows = zip(probabilities, generators, strict=True)
    return torch.cat([torch.multinomial(row, 1, generator=one) for row, one in rows])
