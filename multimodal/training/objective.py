"""What CLIP learns from: pairs of photo and caption, and photos whose names are known.

The encoder of every recipe is trained by this one module, so that it is one forward pass for
`accelerate` whatever the batch holds.
"""

import copy
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from multimodal import checkpoint
from multimodal.clip.dual import DualEncoderClip
from multimodal.clip.model import DualEncoder
from multimodal.text.encoder import mean_pool
from multimodal.text.tokenizer import TextTokenizer

TEXT_ROWS, PIXEL_ROWS = 48, 32
RARE = 0.1  # least share of a name, relative to an even share


def contrastive_loss(
    images: Tensor,
    captions: Tensor,
    scale: Tensor,
    photo: Tensor,
    memory: tuple[Tensor, Tensor, Tensor] | None = None,
) -> Tensor:
    """Symmetric cross-entropy over cosines (Radford et al. 2021, fig. 3), with a memory.

    Without a memory and with distinct photos it is `open_clip.ClipLoss`. The memory (Wang et al.
    2020, cross-batch memory) lends a small batch the negatives of the batches before it. Two
    captions of one photo are never each other's negatives.

    Args:
        images: (pairs, dim) unit vectors.
        captions: (pairs, dim) unit vectors.
        scale: Factor on cosines.
        photo: (pairs,) number of each pair's photo.
        memory: Earlier images (m, dim), captions (m, dim) and photo numbers (m,), -1 if empty.
    """
    all_images, all_captions, all_photos = images, captions, photo
    if memory is not None:
        all_images = torch.cat([images, memory[0]])
        all_captions = torch.cat([captions, memory[1]])
        all_photos = torch.cat([photo, memory[2]])
    own = torch.arange(len(photo), device=photo.device)
    same = photo[:, None] == all_photos[None, :]
    same[own, own] = False
    same |= all_photos[None, :] < 0
    to_captions = (scale * images @ all_captions.T).masked_fill(same, float("-inf"))
    to_images = (scale * captions @ all_images.T).masked_fill(same, float("-inf"))
    return (F.cross_entropy(to_captions, own) + F.cross_entropy(to_images, own)) / 2


class ClipObjective(nn.Module):
    """Losses over one batch; the encoder inside is what is exported.

    A batch may hold, all optional:
        pixels (b, 3, h, w) uint8, or image_features (b, channels) of a frozen tower
        caption_ids, caption_mask (p, tokens), or caption_features (p, width): one caption for
            each of the first p images; photo (p,) their photo numbers
        right_ids, right_mask, wrong_ids, wrong_mask (p, tokens): for each of those images two
            captions that differ in one word, of which the first is true
        concept_row, concept_language (m,): concepts to embed afresh, with concept_ids and
            concept_mask (m, tokens), or concept_features (m, width)
        target_NAME (rows, names) and rows_NAME (rows,): what the images of those rows show,
            as shares over vocabulary NAME
    """

    def __init__(
        self,
        encoder: DualEncoder,
        vocabularies: dict[str, list[int]],
        concepts: int,
        *,
        memory: int = 0,
        weights: dict[str, float] | None = None,
        followers: bool = False,
        shares: dict[str, Tensor] | None = None,
    ) -> None:
        """Sets the losses up.

        Args:
            encoder: What is trained.
            vocabularies: Vocabulary name to concept numbers.
            concepts: Number of concepts.
            memory: Earlier pairs kept as negatives.
            weights: Weight of each loss; what is not named counts 1.
            followers: Languages after the first learn their word rows only, and pictures and
                towers learn from the first alone: for a start that knows English and meets
                another language's random rows, whose noise would wash it out.
            shares: (names,) how often each name of a vocabulary is shown in training. Frequent
                names are then not preferred for being frequent (logit adjustment, Menon et al.
                2021): without it, ImageNet's 118 breeds make a dog of every blurred animal.
        """
        super().__init__()
        self.followers = followers
        self.encoder = encoder
        self.weights = weights or {}
        self.vocabularies = list(vocabularies)
        dim = encoder.config.embed_dim
        for name, rows in vocabularies.items():
            self.register_buffer(f"vocabulary_{name}", torch.tensor(rows, dtype=torch.long))
            share = (shares or {}).get(name, torch.ones(len(rows)))
            smooth = share / share.sum() + RARE / len(rows)
            self.register_buffer(f"log_share_{name}", smooth.log(), persistent=False)
        # every concept's latest embedding, by language: what is not embedded afresh is read here
        self.register_buffer("bank", torch.zeros(len(encoder.config.languages), concepts, dim))
        self.register_buffer("memory_images", torch.zeros(memory, dim))
        self.register_buffer("memory_captions", torch.zeros(memory, dim))
        self.register_buffer("memory_photo", torch.full((memory,), -1))

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of the losses, and each by name."""
        scale = self.encoder.logit_scale
        images = self._images(batch)
        losses: dict[str, Tensor] = {}
        if "photo" in batch:
            captions = self._texts(batch, "caption")
            pairs = images[: len(captions)]
            losses["captions"] = contrastive_loss(
                pairs, captions, scale, batch["photo"], self._memory()
            )
            self._remember(pairs, captions, batch["photo"])
        if "right_ids" in batch:
            right, wrong = self._texts(batch, "right"), self._texts(batch, "wrong")
            pairs = images[: len(right)]
            choice = scale * torch.stack([(pairs * right).sum(1), (pairs * wrong).sum(1)], 1)
            losses["negatives"] = F.cross_entropy(choice, choice.new_zeros(len(right)).long())
        table = self._fresh_table(batch)
        for name in self.vocabularies:
            if f"target_{name}" in batch and len(batch[f"rows_{name}"]):
                chosen = images[batch[f"rows_{name}"]]
                names = table[:, getattr(self, f"vocabulary_{name}")]  # (languages, names, dim)
                other = chosen.detach() if self.followers else chosen
                seen = torch.stack([chosen, *[other] * (len(names) - 1)])
                logits = scale * torch.einsum("lbd,lnd->lbn", seen, names)
                logits = logits + getattr(self, f"log_share_{name}")
                target = batch[f"target_{name}"].float().expand(len(names), -1, -1)
                losses[name] = F.cross_entropy(logits.flatten(0, 1), target.flatten(0, 1))
        if "concept_row" in batch and len(table) > 1:
            rows = batch["concept_row"].unique()
            # Korean names follow the English ones, not the other way round
            anchor = table[0, rows].detach()
            logits = scale * table[1:, rows].flatten(0, 1) @ anchor.T
            target = torch.arange(len(rows), device=logits.device).repeat(len(table) - 1)
            losses["translation"] = F.cross_entropy(logits, target)
        total = sum(self.weights.get(name, 1.0) * loss for name, loss in losses.items())
        return total, {name: loss.detach() for name, loss in losses.items()}

    def _images(self, batch: dict[str, Tensor]) -> Tensor:
        if "image_features" in batch:
            return self.encoder.project_image(batch["image_features"].float())
        pixels = batch["pixels"].float() / 255
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        # what a pass leaves for the backward pass should stay in a CPU's cache
        rows = PIXEL_ROWS if pixels.device.type == "cpu" else len(pixels)
        return torch.cat([self.encoder.encode_pixels(part) for part in pixels.split(rows)])

    def _texts(self, batch: dict[str, Tensor], kind: str) -> Tensor:
        if f"{kind}_features" in batch:
            return self.encoder.project_text(batch[f"{kind}_features"].float())
        ids, mask = batch[f"{kind}_ids"], batch[f"{kind}_mask"]
        lengths = mask.sum(1)
        order = lengths.argsort()
        # texts of like length share a pass, so that little padding is computed
        parts = [
            self.encoder.encode_tokens(ids[rows, :longest], mask[rows, :longest])
            for rows in order.split(TEXT_ROWS)
            for longest in (int(lengths[rows[-1]]),)
        ]
        return torch.cat(parts)[order.argsort()]

    def _fresh_table(self, batch: dict[str, Tensor]) -> Tensor:
        """The bank with this batch's concepts embedded afresh, gradients included."""
        if "concept_row" not in batch:
            return self.bank.clone()
        where = (batch["concept_language"], batch["concept_row"])
        if self.followers and "concept_ids" in batch:
            first = batch["concept_language"] == 0
            ids, mask = batch["concept_ids"], batch["concept_mask"]
            fresh = self.bank.new_zeros(len(first), self.bank.shape[-1])
            fresh = fresh.index_put((first,), self.encoder.encode_tokens(ids[first], mask[first]))
            fresh = fresh.index_put((~first,), self._follow(ids[~first], mask[~first]))
        else:
            fresh = self._texts(batch, "concept")
        table = self.bank.clone().index_put(where, fresh)
        with torch.no_grad():
            self.bank[where] = fresh.detach()
        return table

    def _follow(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Text embeddings whose gradient reaches the word rows and nothing else."""
        tower, head = self.encoder.text_tower, self.encoder.text_projection
        still = {n: p.detach() for n, p in tower.named_parameters() if n != "words.weight"}
        pooled = mean_pool(functional_call(tower, still, (ids, mask)), mask)
        still = {n: p.detach() for n, p in head.named_parameters()}
        return F.normalize(functional_call(head, still, (pooled,)).float(), dim=-1)

    def _memory(self) -> tuple[Tensor, Tensor, Tensor] | None:
        if not len(self.memory_photo):
            return None
        # copies, because the memory is written to before the backward pass reads them
        return (self.memory_images.clone(), self.memory_captions.clone(), self.memory_photo.clone())

    @torch.no_grad()
    def _remember(self, images: Tensor, captions: Tensor, photo: Tensor) -> None:
        size = len(self.memory_photo)
        if size and self.training:
            for memory, value in (
                (self.memory_images, images),
                (self.memory_captions, captions),
                (self.memory_photo, photo),
            ):
                memory.copy_(torch.cat([value.detach().to(memory.dtype), memory])[:size])


def as_clip(objective: ClipObjective, tokenizer: TextTokenizer) -> DualEncoderClip:
    """A copy of the encoder in training, on the CPU, for measuring it as it will be used."""
    encoder = copy.deepcopy(objective.encoder).float().cpu()
    return DualEncoderClip(encoder, tokenizer, "training", "training")


def save_clip(objective: ClipObjective, tokenizer: TextTokenizer, folder: Path) -> None:
    """Writes the encoder in training as a checkpoint folder."""
    encoder = objective.encoder
    checkpoint.save(
        folder, "clip", encoder.config, encoder.state_dict(), tokenizer=tokenizer.to_json()
    )
