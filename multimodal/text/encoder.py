"""A BERT-style text encoder (Devlin et al. 2019), small enough to read in one sitting.

- post-norm transformer blocks: attention, add & norm, feed-forward, add & norm
- learned positions, one segment, GELU
- loads the weights of any BERT by name (`load_bert`)
- the attention maps of every layer and head come back on request
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from multimodal.attention import attend
from multimodal.errors import UserError


@dataclass(frozen=True)
class TextConfig:
    """Shape of a text encoder.

    Attributes:
        vocab_size: Rows of the word-piece table.
        width: Size of a token's vector.
        layers: Transformer blocks.
        heads: Attention heads per block; they divide the width.
        hidden: Width inside the feed-forward part.
        max_tokens: Longest input in tokens, [CLS] and [SEP] included.
    """

    vocab_size: int = 30522
    width: int = 384
    layers: int = 6
    heads: int = 12
    hidden: int = 1536
    max_tokens: int = 64

    def __post_init__(self) -> None:
        for name in ("vocab_size", "width", "layers", "heads", "hidden", "max_tokens"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise UserError(f"text.{name} must be a positive whole number.")
        if self.width % self.heads:
            raise UserError(f"text.heads ({self.heads}) must divide text.width ({self.width}).")


class SelfAttention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017)."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)
        self.output = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor, visible: Tensor, maps: list[Tensor] | None) -> Tensor:
        """Mixes tokens.

        Args:
            x: (batch, tokens, width).
            visible: (batch, 1, 1, tokens) bool, False where a token is padding.
            maps: If a list, the attention map (batch, heads, tokens, tokens) is appended to it.
        """
        batch, tokens, width = x.shape
        split = (batch, tokens, self.heads, width // self.heads)
        query = self.query(x).view(split).transpose(1, 2)  # (batch, heads, tokens, width / heads)
        key = self.key(x).view(split).transpose(1, 2)
        value = self.value(x).view(split).transpose(1, 2)
        mixed = attend(query, key, value, visible, maps)
        return self.output(mixed.transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    """Attention and feed-forward, each followed by add & norm."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config)
        self.attention_norm = nn.LayerNorm(config.width, eps=1e-12)
        self.expand = nn.Linear(config.width, config.hidden)
        self.contract = nn.Linear(config.hidden, config.width)
        self.output_norm = nn.LayerNorm(config.width, eps=1e-12)

    def forward(self, x: Tensor, visible: Tensor, maps: list[Tensor] | None) -> Tensor:
        x = self.attention_norm(x + self.attention(x, visible, maps))
        return self.output_norm(x + self.contract(F.gelu(self.expand(x))))


class TextEncoder(nn.Module):
    """Word pieces in, one vector per token out."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.words = nn.Embedding(config.vocab_size, config.width)
        self.positions = nn.Embedding(config.max_tokens, config.width)
        self.norm = nn.LayerNorm(config.width, eps=1e-12)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(
        self, ids: Tensor, mask: Tensor, *, return_maps: bool = False
    ) -> Tensor | tuple[Tensor, list[Tensor]]:
        """Encodes tokens.

        Args:
            ids: (batch, tokens) word-piece numbers.
            mask: (batch, tokens) bool, True where there is a word, False where padding.
            return_maps: Return every layer's attention map too.

        Returns:
            (batch, tokens, width); with `return_maps` also a list with one
            (batch, heads, tokens, tokens) map per layer, each row summing to 1.
        """
        maps: list[Tensor] | None = [] if return_maps else None
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = self.norm(self.words(ids) + self.positions(positions))
        visible = mask[:, None, None, :]
        for block in self.blocks:
            x = block(x, visible, maps)
        return x if maps is None else (x, maps)


def mean_pool(tokens: Tensor, mask: Tensor) -> Tensor:
    """Average over the real tokens: (batch, tokens, width), (batch, tokens) -> (batch, width)."""
    weights = mask.unsqueeze(-1).to(tokens.dtype)
    return (tokens * weights).sum(1) / weights.sum(1).clamp(min=1)


# BERT's names on the left, ours on the right.
_BERT_NAMES = (
    (r"^bert\.", ""),
    (r"^embeddings\.word_embeddings\.", "words."),
    (r"^embeddings\.position_embeddings\.", "positions."),
    (r"^embeddings\.LayerNorm\.", "norm."),
    (r"^encoder\.layer\.(\d+)\.", r"blocks.\1."),
    (r"attention\.self\.", "attention."),
    (r"attention\.output\.dense\.", "attention.output."),
    (r"attention\.output\.LayerNorm\.", "attention_norm."),
    (r"intermediate\.dense\.", "expand."),
    (r"(\d)\.output\.dense\.", r"\1.contract."),
    (r"(\d)\.output\.LayerNorm\.", r"\1.output_norm."),
)


def load_bert(
    encoder: TextEncoder, tensors: Mapping[str, Tensor], rows: Tensor | None = None
) -> None:
    """Starts an encoder from the weights of a BERT, matched by name.

    Args:
        encoder: The encoder to fill.
        tensors: The BERT's weights under its own names.
        rows: (vocab_size,) for each of our word pieces its row in the BERT's table, or -1 for a
            piece that the BERT does not have, which keeps its fresh row. None: the same table.

    Raises:
        UserError: if a weight is missing or has another shape.
    """
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, replacement in _BERT_NAMES:
            name = re.sub(pattern, replacement, name)
        renamed[name] = tensor.float()
    own = encoder.state_dict()
    if missing := [name for name in own if name not in renamed]:
        raise UserError(f"The text start has no {missing[0]}: is it a BERT of this many layers?")
    segment = renamed.get("embeddings.token_type_embeddings.weight")
    if segment is not None:  # there is one segment here, so its vector joins every position
        renamed["positions.weight"] = renamed["positions.weight"] + segment[0]
    renamed["positions.weight"] = renamed["positions.weight"][: encoder.config.max_tokens]
    if rows is not None:
        table = own["words.weight"].clone()
        known = rows >= 0
        table[known] = renamed["words.weight"][rows[known]]
        # fresh rows start at the size of the trained ones
        table[~known] *= table[known].std() / table[~known].std().clamp(min=1e-6)
        renamed["words.weight"] = table
    for name, tensor in own.items():
        if renamed[name].shape != tensor.shape:
            raise UserError(
                f"The text start's {name} is {tuple(renamed[name].shape)}, "
                f"this encoder needs {tuple(tensor.shape)}."
            )
    encoder.load_state_dict({name: renamed[name] for name in own})
