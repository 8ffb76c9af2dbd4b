"""What ViLBERT learns by, in both worlds.

- answers: binary cross-entropy over all answers, with soft targets, summed as in the paper's code
- words: what was hidden of a caption, cross-entropy
- regions: what a hidden region shows, Kullback-Leibler divergence from a class distribution
- alignment: does the caption belong to the picture, also against captions that nearly fit

Words and regions count only where caption and picture belong together, and each loss is a mean
over what there is to guess, which may be nothing.
"""

import copy
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from multimodal import checkpoint
from multimodal.text.tokenizer import TextTokenizer
from multimodal.training.masking import IGNORED
from multimodal.vilbert.answering import VisualQuestionAnswerer
from multimodal.vilbert.model import Vilbert


def answer_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy (questions, answers), summed over answers, mean over questions."""
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / max(
        len(targets), 1
    )


def word_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of hidden words, (words, vocabulary) and (words,); 0 where none is hidden."""
    return F.cross_entropy(logits, targets, reduction="sum") / max(len(targets), 1)


def region_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Divergence KL(target || prediction) of hidden regions, both (regions, concepts); 0 where
    none is hidden."""
    return F.kl_div(logits.log_softmax(-1), targets, reduction="sum") / max(len(targets), 1)


def alignment_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy of judged captions, both (captions,); 0 where none is judged."""
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / max(
        len(targets), 1
    )


CAPTION_LOSSES = {"words": word_loss, "regions": region_loss, "alignment": alignment_loss}


class VilbertObjective(nn.Module):
    """The model with its losses, as the training loop wants it.

    A batch holds pictures: `pixels` (pictures, 3, side, side) uint8, or `features`
    (pictures, regions, region_features) with `boxes` and `region_mask`; and of these kinds of
    texts what the recipe uses:

    - questions: `question_ids`, `question_mask`, `question_picture` (questions,), -1 where the
      question has no picture, and `question_targets` (questions, answers)
    - captions: `caption_ids` with words hidden, `caption_mask`, `caption_picture`, `aligned`
      and `judged` (captions,) bool, `words` (captions, tokens) targets or `IGNORED`, `seen` and
      `guessed` (captions, regions) bool, `concepts` (pictures, regions, concepts) shares
    """

    def __init__(
        self, model: Vilbert, weights: dict[str, float] | None = None, rows: int = 32
    ) -> None:
        """Wraps a model.

        Args:
            model: The model to train.
            weights: Weight of each loss; what is not named counts 1.
            rows: Texts of like length that share a pass.
        """
        super().__init__()
        self.model, self.rows = model, rows
        self.weights = weights or {}

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        features, boxes, mask = self._pictures(batch)
        losses: dict[str, Tensor] = {}
        if "question_ids" in batch:
            losses["answers"] = self._answers(batch, features, boxes, mask)
        if "caption_ids" in batch:
            losses |= self._captions(batch, features, boxes, mask)
        total = sum(self.weights.get(name, 1.0) * loss for name, loss in losses.items())
        return total, {name: loss.detach() for name, loss in losses.items()}

    def _pictures(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Regions of the batch's pictures, and last those of a blank one."""
        if "pixels" in batch:
            pixels = batch["pixels"].float() / 255
            features = self.model.grid(pixels.contiguous(memory_format=torch.channels_last))
            boxes, mask = batch["boxes"], torch.ones_like(features[..., 0], dtype=torch.bool)
            boxes = boxes.expand(len(features), -1, -1)
        else:
            features, boxes, mask = batch["features"], batch["boxes"], batch["region_mask"]
        return (
            F.pad(features.float(), (0, 0, 0, 0, 0, 1)),
            F.pad(boxes, (0, 0, 0, 0, 0, 1)),
            F.pad(mask, (0, 0, 0, 1), value=False),
        )

    def _answers(
        self, batch: dict[str, Tensor], features: Tensor, boxes: Tensor, mask: Tensor
    ) -> Tensor:
        ids, words = batch["question_ids"], batch["question_mask"]
        picture = batch["question_picture"] % len(features)  # -1 is the blank one, the last
        lengths, loss = words.sum(1), features.new_zeros(())
        count = torch.arange(1, mask.shape[1] + 1, device=mask.device)
        reach = (mask * count).amax(1)  # so many first regions hold all that are there
        # questions about pictures of one region or none come last and share passes, in which no
        # other regions are read
        few = (2 - reach[picture]).clamp(min=0)
        for rows in (lengths + few * words.shape[1]).argsort().split(self.rows):
            longest = int(lengths[rows].max())
            wanted, index = picture[rows].unique(return_inverse=True)
            regions = int(reach[wanted].max())
            out = self.model(
                ids[rows, :longest],
                words[rows, :longest],
                features[wanted, :regions],
                boxes[wanted, :regions],
                region_mask=mask[wanted, :regions],
                picture=index,
            )
            targets = batch["question_targets"][rows]
            loss = loss + len(rows) * answer_loss(self.model.answer_logits(out).float(), targets)
        return loss / max(len(ids), 1)

    def _captions(
        self, batch: dict[str, Tensor], features: Tensor, boxes: Tensor, mask: Tensor
    ) -> dict[str, Tensor]:
        words = batch["caption_mask"]
        lengths = words.sum(1)
        hidden = (batch["words"] != IGNORED) & batch["aligned"][:, None]
        guessed = batch["guessed"] & batch["aligned"][:, None]
        found: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in CAPTION_LOSSES}
        for rows in lengths.argsort().split(self.rows):
            longest = int(lengths[rows[-1]])
            picture = batch["caption_picture"][rows]
            out = self.model(
                batch["caption_ids"][rows, :longest],
                words[rows, :longest],
                features[picture],
                boxes[picture],
                region_mask=mask[picture],
                seen=batch["seen"][rows],
            )
            here, there, judged = hidden[rows, :longest], guessed[rows], batch["judged"][rows]
            for name, logits, targets in (
                (
                    "words",
                    self.model.word_logits(out.words[here]),
                    batch["words"][rows, :longest][here],
                ),
                (
                    "regions",
                    self.model.region_logits(out.regions[:, 1:][there]),
                    batch["concepts"][picture][there].float(),
                ),
                (
                    "alignment",
                    self.model.alignment_logits(out)[judged],
                    batch["aligned"][rows][judged].float(),
                ),
            ):
                found[name].append((logits.float(), targets))
        return {
            name: CAPTION_LOSSES[name](*(torch.cat(part) for part in zip(*pairs, strict=True)))
            for name, pairs in found.items()
        }


def as_answerer(objective: VilbertObjective, tokenizer: TextTokenizer) -> VisualQuestionAnswerer:
    """A copy of the model in training, on the CPU, for measuring it as it will be used."""
    model = copy.deepcopy(objective.model).float().cpu()
    return VisualQuestionAnswerer(model, tokenizer, "training", "training")


def save_vilbert(objective: VilbertObjective, tokenizer: TextTokenizer, folder: Path) -> None:
    """Writes the model in training as a checkpoint folder."""
    model = objective.model
    checkpoint.save(
        folder,
        "vilbert",
        model.config,
        model.state_dict(),
        tokenizer=tokenizer.to_json(),
        tables=("language.words.weight",),  # two fifths of the model
    )
