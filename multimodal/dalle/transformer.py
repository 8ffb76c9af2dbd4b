"""The DALL-E transformer (Ramesh et al. 2021): one stream of text tokens, then image tokens.

- a GPT: every position looks at itself and at what came before
- the caption fills the first places; each place that it leaves empty has a pad token of its own
- image tokens know their row and their column
- two heads: one foretells text tokens, the other image tokens; where an image token is a pair of a
  shape and a colour, the shape comes first and a third head foretells its colour
- for drawing, keys and values of earlier positions are kept in a cache that is allocated once
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from multimodal.attention import attend
from multimodal.dalle import pairs
from multimodal.errors import UserError


@dataclass(frozen=True)
class DalleConfig:
    """Shape of the transformer, and the image tokens that it speaks.

    Attributes:
        vocab_size: Text tokens, the start mark included, the pads not.
        text_tokens: Places for the caption; longer ones are cut.
        codes: How many image tokens the image tokenizer has.
        colours: Where they are pairs of a shape and a colour, how many colours; else 0.
        grid: Image tokens per row, and rows.
        width: Size of a position's vector.
        layers: Transformer blocks.
        heads: Attention heads per block; they divide the width.
        image_tokenizer: The VQ-VAE that made its tokens: a bundled name or a folder.
        fingerprint: Digest of what gives pictures their tokens there.
        languages: Codes of the languages that its captions were in.
        temperature, top_k, top_p, guidance_scale: Defaults of its sampling.
    """

    vocab_size: int = 1024
    text_tokens: int = 32
    codes: int = 1024
    colours: int = 0
    grid: int = 12
    width: int = 256
    layers: int = 8
    heads: int = 4
    image_tokenizer: str = ""
    fingerprint: str = ""
    languages: tuple[str, ...] = ("en", "ko")
    temperature: float = 1.0
    top_k: int = 200
    top_p: float = 1.0
    guidance_scale: float = 3.0

    def __post_init__(self) -> None:
        for name in ("vocab_size", "text_tokens", "codes", "grid", "width", "layers", "heads"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise UserError(f"dalle.{name} must be a positive whole number.")
        if self.colours and (self.colours < 2 or self.codes % self.colours):
            raise UserError(
                f"dalle.colours ({self.colours}) must divide dalle.codes ({self.codes})."
            )
        if self.width % self.heads:
            raise UserError(f"dalle.heads ({self.heads}) must divide dalle.width ({self.width}).")
        object.__setattr__(self, "languages", tuple(self.languages))

    @classmethod
    def from_dict(cls, values: dict) -> "DalleConfig":
        """Reads what `config.json` or a recipe holds.

        Raises:
            UserError: naming the field that is unknown or wrong.
        """
        if unknown := sorted(set(values) - set(cls.__dataclass_fields__)):
            raise UserError(f"dalle.{unknown[0]} is not a field of this model.")
        return cls(**values)

    @property
    def image_tokens(self) -> int:
        """Tokens of a picture."""
        return self.grid**2


class Cache:
    """Keys and values of all earlier positions, allocated once.

    Attributes:
        keys, values: (layers, batch, heads, positions, width / heads).
        length: Positions filled.
    """

    def __init__(self, config: DalleConfig, batch: int, like: Tensor) -> None:
        positions = config.text_tokens + config.image_tokens  # the last token is never read
        shape = (config.layers, batch, config.heads, positions, config.width // config.heads)
        self.keys, self.values = like.new_zeros(shape), like.new_zeros(shape)
        self.length = 0

    def add(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Stores new positions (batch, heads, new, width / heads) and returns all up to them."""
        until = self.length + keys.shape[2]
        self.keys[layer, :, :, self.length : until] = keys
        self.values[layer, :, :, self.length : until] = values
        return self.keys[layer, :, :, :until], self.values[layer, :, :, :until]

    def fan_out(self, times: int) -> "Cache":
        """The cache with each row repeated: prompts are read once, for many pictures."""
        wide = object.__new__(Cache)
        wide.keys = self.keys.repeat_interleave(times, 1)
        wide.values = self.values.repeat_interleave(times, 1)
        wide.length = self.length
        return wide


class Attention(nn.Module):
    """Causal multi-head attention (Vaswani et al. 2017)."""

    def __init__(self, config: DalleConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.output = nn.Linear(config.width, config.width)

    def forward(
        self, x: Tensor, layer: int, cache: Cache | None, maps: list[Tensor] | None
    ) -> Tensor:
        """Mixes positions.

        Args:
            x: (batch, positions, width); with a cache only the new positions.
            layer: Number of the block, its place in the cache.
            cache: Keys and values so far.
            maps: If a list, the map (batch, heads, positions, all positions) is appended to it.
        """
        batch, positions, width = x.shape
        qkv = self.qkv(x).view(batch, positions, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (batch, heads, positions, ...)
        if cache is not None:
            key, value = cache.add(layer, key, value)
        mixed = attend(query, key, value, maps=maps)
        return self.output(mixed.transpose(1, 2).reshape(batch, positions, width))


class Block(nn.Module):
    """Attention and feed-forward; each reads normalised input and adds to the stream."""

    def __init__(self, config: DalleConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = Attention(config)
        self.feed_norm = nn.LayerNorm(config.width)
        self.expand = nn.Linear(config.width, 4 * config.width)
        self.contract = nn.Linear(4 * config.width, config.width)

    def forward(
        self, x: Tensor, layer: int, cache: Cache | None, maps: list[Tensor] | None
    ) -> Tensor:
        x = x + self.attention(self.attention_norm(x), layer, cache, maps)
        return x + self.contract(F.gelu(self.expand(self.feed_norm(x))))


class Dalle(nn.Module):
    """Text tokens and image tokens in, logits of the next ones out.

    The stream of `text_tokens + image_tokens` positions is the start mark, the caption, and all
    image tokens but the last; position i foretells token i of caption + picture.
    """

    def __init__(self, config: DalleConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        # after the words come the pads, one for each place
        self.words = nn.Embedding(config.vocab_size + config.text_tokens, width)
        self.places = nn.Embedding(config.text_tokens + 1, width)
        shapes = config.codes // max(config.colours, 1)
        self.codes = nn.Embedding(shapes, width)
        self.rows = nn.Embedding(config.grid, width)
        self.columns = nn.Embedding(config.grid, width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.text_head = nn.Linear(width, config.vocab_size + config.text_tokens)
        self.image_head = nn.Linear(width, shapes)
        if config.colours:
            self.colours = nn.Embedding(config.colours, width)
            self.paint = nn.Linear(width, width)
            self.colour_head = nn.Linear(width, config.colours)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                # what adds to the stream starts smaller, the deeper the model (GPT-2)
                deep = name.endswith(("output", "contract"))
                std = 0.02 / (2 * config.layers) ** 0.5 if deep else 0.02
                nn.init.normal_(module.weight, std=std)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def embed_text(self, text: Tensor) -> Tensor:
        """(batch, text_tokens + 1) of start mark and caption to vectors."""
        return self.words(text) + self.places.weight[: text.shape[1]]

    def embed_image(self, ids: Tensor, first: int = 0) -> Tensor:
        """(batch, n) image tokens to vectors; `first` is the place of the first in the picture."""
        place = torch.arange(first, first + ids.shape[1], device=ids.device)
        grid = self.config.grid
        shapes, *colours = pairs.split(ids, self.config.colours)
        x = self.codes(shapes) + self.rows(place // grid) + self.columns(place % grid)
        return x + self.colours(colours[0]) if colours else x

    def colour_logits(self, x: Tensor, shapes: Tensor) -> Tensor:
        """What colour a shape will have: (..., colours).

        Args:
            x: (..., width), what the stream made of the place before.
            shapes: (...), the shapes there.
        """
        return self.colour_head(F.gelu(self.paint(x + self.codes(shapes))))

    def stream(
        self, x: Tensor, cache: Cache | None = None, maps: list[Tensor] | None = None
    ) -> Tensor:
        """Runs embedded positions (batch, positions, width) through all blocks."""
        for layer, block in enumerate(self.blocks):
            x = block(x, layer, cache, maps)
        if cache is not None:
            cache.length += x.shape[1]
        return self.norm(x)

    def read(
        self, text: Tensor, image: Tensor, maps: list[Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """What the stream makes of a caption and a picture.

        Args:
            text: (batch, text_tokens + 1): the start mark and the caption, pads filled in.
            image: (batch, n) image tokens, n up to image_tokens.
            maps: If a list, every layer's map (batch, heads, positions, positions) is appended.

        Returns:
            Vectors that foretell the caption (batch, text_tokens, width), and image tokens
            (batch, n or n + 1 places, width): place i foretells image token i.
        """
        seen = image[:, : self.config.image_tokens - 1]  # nothing follows the last
        x = torch.cat([self.embed_text(text), self.embed_image(seen)], 1)
        x, places = self.stream(x, maps=maps), self.config.text_tokens
        return x[:, :places], x[:, places:]

    def forward(self, text: Tensor, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits of every next token; the arguments are those of `read`.

        Returns:
            Logits of the caption (batch, text_tokens, vocab_size + text_tokens), and of image
            tokens (batch, n or n + 1 places, codes), or where they are pairs of shapes
            (batch, n or n + 1 places, shapes) and, given the shapes, of colours
            (batch, n places, colours).
        """
        words, places = self.read(text, image)
        logits = [self.image_head(places)]
        if self.config.colours:
            shapes, _ = pairs.split(image, self.config.colours)
            logits.append(self.colour_logits(places[:, : shapes.shape[1]], shapes))
        return self.text_head(words), logits

    def image_loss(self, logits: list[Tensor], image: Tensor) -> Tensor:
        """Cross-entropy of whole pictures in nats per image token.

        Args:
            logits: Of image tokens, as `forward` gives them.
            image: (batch, image_tokens).
        """
        rows = pairs.split(image, self.config.colours)
        return sum(
            F.cross_entropy(each.float().flatten(0, 1), row.flatten())
            for each, row in zip(logits, rows, strict=True)
        )
