"""Which words and regions an answer rests on: gradient-weighted relevance for co-attention.

An attention map says where a layer looked, not whether that mattered. Chefer et al. 2021,
"Generic Attention-model Explainability for Interpreting Bi-Modal and Encoder-Decoder
Transformers", weigh each map by the gradient of the answer's score, keep what helped it, and
follow it through the layers. Four matrices remember how much each token rests on each: R_tt and
R_ii within words and within regions, R_ti of words on regions, R_it of regions on words.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from multimodal.vilbert.model import AttentionMap, Vilbert
from multimodal.vilbert.regions import Regions

OTHER = {"text": "vision", "vision": "text"}


@dataclass(frozen=True)
class Relevance:
    """How much each token rests on each; the global token is the first region.

    Attributes:
        tt: (words, words).
        ii: (regions, regions).
        ti: (words, regions).
        it: (regions, words).
    """

    tt: Tensor
    ii: Tensor
    ti: Tensor
    it: Tensor

    @property
    def words(self) -> Tensor:
        """(words,) what the two summaries, [CLS] and the global token, rest on among the words."""
        return self.tt[0] + self.it[0]

    @property
    def regions(self) -> Tensor:
        """(regions,) the same among the regions, the global token first."""
        return self.ti[0] + self.ii[0]


def follow(maps: Sequence[AttentionMap], gradients: Sequence[Tensor]) -> Relevance:
    """Follows relevance through the layers (equations 5 to 11 of the paper).

    Args:
        maps: Attention maps of one text and one picture, in the order the layers run; the two
            maps of a co-attention layer follow each other.
        gradients: Of the answer's score by each map.
    """
    sizes = {m.queries: m.weights.shape[-2] for m in maps}
    rest = {
        (a, b): torch.eye(sizes[a]) if a == b else torch.zeros(sizes[a], sizes[b])
        for a in sizes
        for b in sizes
    }
    before = rest
    for m, gradient in zip(maps, gradients, strict=True):
        mean = (gradient * m.weights)[0].clamp(min=0).mean(0)  # (queries, keys), over the heads
        own, other = m.queries, OTHER[m.queries]
        if m.layer == "TRM":
            rest = rest | {
                (own, own): rest[own, own] + mean @ rest[own, own],
                (own, other): rest[own, other] + mean @ rest[own, other],
            }
            before = rest
        else:
            # both sides of a layer read the state before it, the second side's map comes second
            through = _share(before[own, own]).T @ mean @ _share(before[other, other])
            rest = rest | {
                (own, other): rest[own, other] + through,
                (own, own): rest[own, own] + mean @ before[other, own],
            }
            if own == "vision":
                before = rest
    return Relevance(
        rest["text", "text"],
        rest["vision", "vision"],
        rest["text", "vision"],
        rest["vision", "text"],
    )


def _share(matrix: Tensor) -> Tensor:
    """Rows of what was added to the identity, scaled to sum to 1, and the identity again."""
    one = torch.eye(len(matrix))
    added = matrix - one
    return added / added.sum(1, keepdim=True).clamp(min=1e-9) + one


def relevance(model: Vilbert, ids: Tensor, regions: Regions, answer: int) -> Relevance:
    """What one answer to one question about one picture rests on.

    Args:
        model: The model.
        ids: (1, tokens) word pieces of the question.
        regions: Of one picture.
        answer: Number of the answer.
    """
    maps: list[AttentionMap] = []
    with torch.enable_grad():
        words = model.embed_words(ids).detach().requires_grad_()
        seen = model.embed_regions(regions.features, regions.boxes, regions.mask)
        mask = torch.nn.functional.pad(regions.mask, (1, 0), value=True)
        out = model.encode(
            words,
            torch.ones_like(ids, dtype=torch.bool),
            seen.detach().requires_grad_(),
            mask,
            maps=maps,
        )
        score = model.answer_logits(out)[0, answer]
        gradients = torch.autograd.grad(
            score, [m.weights for m in maps], allow_unused=True, materialize_grads=True
        )
    plain = [AttentionMap(m.layer, m.number, m.queries, m.keys, m.weights.detach()) for m in maps]
    return follow(plain, gradients)
