"""ViLBERT: two streams, words and regions, that read each other (Lu et al. 2019).

- words go through the BERT-style blocks of `multimodal.text` (TRM), starting from trained ones
- regions of a picture, each with its features and its box, go through blocks of their own (TRM);
  a global token that sums the picture up stands before them, as [CLS] stands before the words
- between them, co-attention layers (Co-TRM): each stream's queries on the other's keys and values
- [CLS] and the global token are multiplied; on this product stand the answers and the alignment
  of caption and picture, on the single words and regions what was hidden there
- every attention map of every layer and head comes back on request
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from multimodal.attention import attend
from multimodal.clip.image_tower import ConvTower, MobileNetTower
from multimodal.errors import UserError
from multimodal.text.encoder import Block, TextEncoder
from multimodal.vilbert.config import BOX, VilbertConfig


@dataclass(frozen=True)
class AttentionMap:
    """Who attended to whom in one layer.

    Attributes:
        layer: ``TRM`` (within a stream) or ``Co-TRM`` (from one stream to the other).
        number: The layer's number among its like, from 1.
        queries: Stream that attends, ``text`` or ``vision``.
        keys: Stream that is attended to.
        weights: (batch, heads, queries, keys), rows sum to 1; first in the vision stream is the
            global token.
    """

    layer: str
    number: int
    queries: str
    keys: str
    weights: Tensor

    @property
    def name(self) -> str:
        """Such as ``TRM 2 (text)`` or ``Co-TRM 1 (text to vision)``."""
        where = self.keys if self.layer == "TRM" else f"{self.queries} to {self.keys}"
        return f"{self.layer} {self.number} ({where})"


@dataclass(frozen=True)
class VilbertOutput:
    """What the two streams made of texts and pictures.

    Attributes:
        words: (batch, tokens, text width).
        regions: (batch, 1 + regions, vision width), the global token first.
        fused: (batch, fusion_width), the product of the two summaries.
    """

    words: Tensor
    regions: Tensor
    fused: Tensor


class CoAttention(nn.Module):
    """One stream's side of a co-attention layer: its queries on the other's keys and values,
    add & norm, feed-forward, add & norm (Lu et al. 2019, fig. 2b)."""

    def __init__(self, width: int, other: int, hidden: int, config: VilbertConfig) -> None:
        super().__init__()
        self.heads = config.co_heads
        self.query = nn.Linear(width, config.co_width)
        self.key = nn.Linear(other, config.co_width)
        self.value = nn.Linear(other, config.co_width)
        self.output = nn.Linear(config.co_width, width)
        self.attention_norm = nn.LayerNorm(width, eps=1e-12)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.output_norm = nn.LayerNorm(width, eps=1e-12)

    def forward(
        self, x: Tensor, other: Tensor, visible: Tensor, maps: list[Tensor] | None
    ) -> Tensor:
        """Lets one stream read the other.

        Args:
            x: (batch, queries, width), the stream that reads.
            other: (batch, keys, other width), the stream that is read.
            visible: (batch, 1, 1, keys) bool, False where the other stream has padding.
            maps: If a list, the attention map (batch, heads, queries, keys) is appended to it.
        """
        query, key, value = (
            line(stream).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for line, stream in ((self.query, x), (self.key, other), (self.value, other))
        )  # (batch, heads, tokens, co_width / heads)
        mixed = attend(query, key, value, visible, maps)
        x = self.attention_norm(x + self.output(mixed.transpose(1, 2).flatten(2)))
        return self.output_norm(x + self.contract(F.gelu(self.expand(x))))


class CoAttentionLayer(nn.Module):
    """Both streams read each other at once (Co-TRM)."""

    def __init__(self, config: VilbertConfig) -> None:
        super().__init__()
        text, vision = config.text, config.vision
        self.text = CoAttention(text.width, vision.width, text.hidden, config)
        self.vision = CoAttention(vision.width, text.width, vision.hidden, config)


class Vilbert(nn.Module):
    """Texts and the regions of pictures in, answers and more out."""

    def __init__(self, config: VilbertConfig) -> None:
        super().__init__()
        self.config = config
        text, vision, fused = config.text, config.vision, config.fusion_width
        self.image_tower: nn.Module | None = {
            "mobilenet_v2": MobileNetTower,
            "conv": lambda: ConvTower(config.image_width),
            "none": lambda: None,
        }[config.image_tower]()
        self.language = TextEncoder(text)
        self.region_line = nn.Linear(config.region_features, vision.width)
        self.box_line = nn.Linear(BOX, vision.width)
        self.global_token = nn.Parameter(torch.zeros(vision.width))
        self.region_norm = nn.LayerNorm(vision.width, eps=1e-12)
        self.vision = nn.ModuleList(Block(vision) for _ in range(vision.layers))
        self.co = nn.ModuleList(CoAttentionLayer(config) for _ in config.co_text)
        self.text_summary = nn.Linear(text.width, fused)
        self.vision_summary = nn.Linear(vision.width, fused)
        self.answer_head = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(fused, 2 * fused),
            nn.GELU(),
            nn.LayerNorm(2 * fused),
            nn.Dropout(config.dropout),
            nn.Linear(2 * fused, len(config.answers)),
        )
        # nearly all answers are wrong; a head that starts by saying so learns calmly
        nn.init.constant_(self.answer_head[-1].bias, -5.0)
        self.alignment_head = nn.Linear(fused, 1)
        self.word_head = _transform(text.width)
        self.word_bias = nn.Parameter(torch.zeros(text.vocab_size))
        self.region_head = nn.Sequential(
            *_transform(vision.width), nn.Linear(vision.width, len(config.concepts))
        )
        # not `box_line`: its five numbers of at most 1 would start far weaker than the features
        for part in (self.vision, self.co, self.region_line):
            for module in part.modules():
                if isinstance(module, nn.Linear):
                    nn.init.normal_(module.weight, std=0.02)
                    nn.init.zeros_(module.bias)

    # --- the two streams -----------------------------------------------------------------------

    def grid(self, pixels: Tensor) -> Tensor:
        """Features of a picture's cells: (batch, 3, h, w) in 0..1 -> (batch, regions, features)."""
        cells = self.image_tower(pixels)
        rows, columns = self.config.rows, self.config.columns
        if cells.shape[2:] != (rows, columns):
            raise UserError(
                f"The image tower makes {cells.shape[2]} x {cells.shape[3]} cells and "
                f"the configuration says {rows} x {columns}: change rows and columns."
            )
        return cells.flatten(2).transpose(1, 2)

    def embed_words(self, ids: Tensor) -> Tensor:
        """Word pieces (batch, tokens) -> (batch, tokens, text width), positions added."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        language = self.language
        return language.norm(language.words(ids) + language.positions(positions))

    def embed_regions(self, features: Tensor, boxes: Tensor, seen: Tensor) -> Tensor:
        """Regions and their boxes, the global token before them.

        Args:
            features: (batch, regions, region_features).
            boxes: (batch, regions, 5), see `regions.boxes_with_area`.
            seen: (batch, regions) bool; features of the others are hidden: zeroed, and left out
                of the mean that the global token starts from.

        Returns:
            (batch, 1 + regions, vision width).
        """
        kept = seen.unsqueeze(-1).to(features.dtype)
        features = features * kept
        mean = features.sum(1, keepdim=True) / kept.sum(1, keepdim=True).clamp(min=1)
        whole = boxes.new_tensor([0, 0, 1, 1, 1]).expand(len(boxes), 1, BOX)
        x = self.region_line(torch.cat([mean, features], 1))
        x = x + self.box_line(torch.cat([whole, boxes], 1))
        first = torch.zeros(x.shape[1], 1, device=x.device)
        first[0] = 1
        return self.region_norm(x + first * self.global_token)

    def encode(
        self,
        words: Tensor,
        word_mask: Tensor,
        regions: Tensor,
        region_mask: Tensor,
        picture: Tensor | None = None,
        maps: list[AttentionMap] | None = None,
    ) -> VilbertOutput:
        """Runs both streams.

        Args:
            words: (texts, tokens, text width), from `embed_words`.
            word_mask: (texts, tokens) bool, False where padding.
            regions: (pictures, 1 + regions, vision width), from `embed_regions`.
            region_mask: (pictures, 1 + regions) bool, False where padding.
            picture: (texts,) which picture each text is about; None: each its own. What comes
                before the first co-attention is computed once for each picture.
            maps: If a list, the attention maps of all layers are appended to it.

        Returns:
            Both streams' last states and their product, one row per text.
        """
        words_visible, regions_visible = (m[:, None, None, :] for m in (word_mask, region_mask))
        spread = picture is None

        def trace(layer: str, number: int, queries: str, keys: str, found: list[Tensor]) -> None:
            for weights in found:
                if queries == "vision" and not spread:
                    weights = weights[picture]
                maps.append(AttentionMap(layer, number + 1, queries, keys, weights))

        for kind, i in self.config.plan():
            text, vision = (None, None) if maps is None else ([], [])
            if kind == "text":
                words = self.language.blocks[i](words, words_visible, text)
            elif kind == "vision":
                regions = self.vision[i](regions, regions_visible, vision)
            else:
                if not spread:
                    regions, regions_visible = regions[picture], regions_visible[picture]
                    spread = True
                co = self.co[i]
                words, regions = (
                    co.text(words, regions, regions_visible, text),
                    co.vision(regions, words, words_visible, vision),
                )
            if maps is not None:
                layer = "Co-TRM" if kind == "co" else "TRM"
                trace(layer, i, "text", "vision" if kind == "co" else "text", text)
                trace(layer, i, "vision", "text" if kind == "co" else "vision", vision)
        if not spread:
            regions = regions[picture]
        fused = self.text_summary(words[:, 0]) * self.vision_summary(regions[:, 0])
        return VilbertOutput(words, regions, fused)

    def forward(
        self,
        ids: Tensor,
        mask: Tensor,
        features: Tensor,
        boxes: Tensor,
        *,
        region_mask: Tensor | None = None,
        seen: Tensor | None = None,
        picture: Tensor | None = None,
        maps: list[AttentionMap] | None = None,
    ) -> VilbertOutput:
        """Reads texts and pictures together.

        Args:
            ids: (texts, tokens) word-piece numbers.
            mask: (texts, tokens) bool, True where there is a word.
            features: (pictures, regions, region_features).
            boxes: (pictures, regions, 5).
            region_mask: (pictures, regions) bool, False where padding; None: no padding. A blanked
                picture is all padding: only its global token is left.
            seen: (pictures, regions) bool, False where a region is hidden; None: all seen.
            picture: (texts,) which picture each text is about; None: each its own.
            maps: If a list, the attention maps of all layers are appended to it.
        """
        if region_mask is None:
            region_mask = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
        seen = region_mask if seen is None else seen & region_mask
        regions = self.embed_regions(features, boxes, seen)
        region_mask = F.pad(region_mask, (1, 0), value=True)  # the global token is always there
        return self.encode(self.embed_words(ids), mask, regions, region_mask, picture, maps)

    # --- the heads -----------------------------------------------------------------------------

    def answer_logits(self, out: VilbertOutput) -> Tensor:
        """(batch, answers); a sigmoid makes them probabilities of being accepted."""
        return self.answer_head(out.fused)

    def alignment_logits(self, out: VilbertOutput) -> Tensor:
        """(batch,); a sigmoid makes them the probability that text and picture belong together."""
        return self.alignment_head(out.fused)[:, 0]

    def word_logits(self, states: Tensor) -> Tensor:
        """States of hidden words (..., text width) -> (..., vocabulary), tied to the word table."""
        return self.word_head(states) @ self.language.words.weight.T + self.word_bias

    def region_logits(self, states: Tensor) -> Tensor:
        """States of hidden regions (..., vision width) -> (..., concepts)."""
        return self.region_head(states)


def _transform(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
