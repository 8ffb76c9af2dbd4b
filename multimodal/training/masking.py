"""What ViLBERT's pretraining hides: words of captions and regions of pictures (Lu et al. 2019)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from multimodal.text.tokenizer import MASK, SPECIAL, TextTokenizer, pad

WORDS, REGIONS = 0.15, 0.15  # shares that are to be guessed
IGNORED = -1  # target of a word that is not


def hide_words(
    ids: Tensor, mask: Tensor, special: int, mask_id: int, vocab_size: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Hides words as BERT does: of 15 %, 80 % become [MASK], 10 % another word, 10 % stay.

    Args:
        ids: (batch, tokens) word pieces.
        mask: (batch, tokens) bool, False where padding.
        special: Pieces below this number are marks, not words.
        mask_id: Number of [MASK].
        vocab_size: Number of word pieces.
        rng: Chooses.

    Returns:
        What is shown, and the targets: the true piece where it is to be guessed, else `IGNORED`.
    """
    chosen, fate = (torch.from_numpy(rng.random(ids.shape)) for _ in range(2))
    guessed = (chosen < WORDS) & mask & (ids >= special)
    other = torch.from_numpy(rng.integers(special, vocab_size, ids.shape))
    shown = torch.where(guessed & (fate < 0.8), mask_id, ids)
    shown = torch.where(guessed & (fate >= 0.8) & (fate < 0.9), other, shown)
    return shown, torch.where(guessed, ids, IGNORED)


def hide_regions(
    centres: Tensor, giveaways: Tensor, mask: Tensor, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Hides a patch of a picture: 15 % of its regions are to be guessed, in nine of ten pictures
    hidden together with all that would give them away.

    Scattered regions, as in the paper, would have a grid hidden whole: each cell is known by all
    cells around it. A patch costs one rim for all of its cells.

    Args:
        centres: (regions, 2) middles of the boxes.
        giveaways: (regions, regions) bool, see `multimodal.vilbert.regions.giveaways`.
        mask: (regions,) bool, False where there is no region.
        rng: Chooses.

    Returns:
        seen and guessed, both (regions,) bool.
    """
    there = mask.nonzero()[:, 0]
    guessed = torch.zeros_like(mask)
    if not len(there):
        return mask.clone(), guessed
    start = there[int(rng.integers(len(there)))]
    # a little noise gives patches of different shapes
    noise = torch.from_numpy(rng.normal(0, 0.02, len(there)))
    distance = (centres[there] - centres[start]).norm(dim=1) + noise
    count = max(1, round(REGIONS * len(there)))
    guessed[there[distance.argsort()[:count]]] = True
    if rng.random() < 0.1:
        return mask.clone(), guessed
    return mask & ~giveaways[guessed].any(0), guessed


def add_captions(
    batch: dict[str, Tensor],
    tokenizer: TextTokenizer,
    ids: Sequence[Sequence[int]],
    kinds: Sequence[str],
    picture: Tensor,
    mask: Tensor,
    boxes: Tensor,
    giveaways: Tensor,
    rng: np.random.Generator,
) -> None:
    """Puts captions into a batch as `VilbertObjective` reads them.

    The paper hides words and regions of the very pairs whose alignment is judged; here a pair is
    for one or the other, because what is hidden may be what does not fit.

    Args:
        batch: Gets the captions.
        tokenizer: For its marks.
        ids: Word pieces of each caption.
        kinds: For each ``hidden``, to guess what is hidden; ``fits`` or ``not``, to judge whether
            it belongs to its picture.
        picture: (captions,) the picture of each.
        mask: (pictures, regions) bool, False where there is no region.
        boxes: (pictures, regions, 5) or (1, regions, 5).
        giveaways: (pictures, regions, regions) or (1, regions, regions) bool.
        rng: Chooses what is hidden.
    """
    words, there = pad(ids)
    shown, targets = hide_words(
        words, there, len(SPECIAL), tokenizer.vocab()[MASK], tokenizer.vocab_size, rng
    )
    hidden = torch.tensor([kind == "hidden" for kind in kinds])
    seen, guessed = mask[picture].clone(), torch.zeros_like(mask[picture])
    centres = (boxes[..., :2] + boxes[..., 2:4]) / 2
    for row in hidden.nonzero()[:, 0].tolist():
        own = int(picture[row])
        seen[row], guessed[row] = hide_regions(
            centres[own % len(centres)], giveaways[own % len(giveaways)], mask[own], rng
        )
    batch["caption_ids"] = torch.where(hidden[:, None], shown, words)
    batch["caption_mask"], batch["caption_picture"] = there, picture
    batch["words"] = torch.where(hidden[:, None], targets, IGNORED)
    batch["seen"], batch["guessed"] = seen, guessed
    batch["judged"] = ~hidden
    batch["aligned"] = torch.tensor([kind != "not" for kind in kinds])
