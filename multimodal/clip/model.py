"""Our CLIP: a dual encoder that puts pictures and words on one unit sphere.

- Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision"
- pictures: a convolutional tower, pooled over its grid; words: the BERT-style encoder, averaged
  over its tokens
- each side ends in a projection to the shared width: a line plus one hidden layer
- the temperature is learned: logits = exp(log_scale) * cosine, at most 100
"""

import math
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from multimodal.clip.image_tower import ConvTower, MobileNetTower
from multimodal.errors import UserError
from multimodal.text.encoder import TextConfig, TextEncoder, mean_pool

IMAGE_TOWERS = ("mobilenet_v2", "conv")
MAX_LOG_SCALE = math.log(100)


@dataclass(frozen=True)
class ClipConfig:
    """Shape of a dual encoder.

    Attributes:
        image_tower: ``mobilenet_v2`` or ``conv``.
        image_width: Channels of the conv tower's first layer; MobileNetV2 has its own.
        image_size: Side in pixels that pictures are resized to, the whole picture squeezed square.
        embed_dim: Width of the shared space.
        head_hidden: Hidden width of the two projections.
        languages: Codes of the languages it is trained on.
        text: Shape of the text encoder.
    """

    image_tower: str = "mobilenet_v2"
    image_width: int = 24
    image_size: int = 160
    embed_dim: int = 512
    head_hidden: int = 1024
    languages: tuple[str, ...] = ("en", "ko")
    text: TextConfig = field(default_factory=TextConfig)

    def __post_init__(self) -> None:
        if self.image_tower not in IMAGE_TOWERS:
            raise UserError(
                f"image_tower is {self.image_tower!r}; it must be one of {', '.join(IMAGE_TOWERS)}."
            )
        for name in ("image_width", "image_size", "embed_dim", "head_hidden"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise UserError(f"{name} must be a positive whole number.")

    @classmethod
    def from_dict(cls, values: dict) -> "ClipConfig":
        """Reads a `config.json`'s configuration.

        Raises:
            UserError: naming a field that is unknown or wrong.
        """
        values = dict(values)
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise UserError(f"The CLIP configuration has an unknown field {sorted(unknown)[0]!r}.")
        if "languages" in values:
            values["languages"] = tuple(values["languages"])
        try:
            values["text"] = TextConfig(**values.get("text", {}))
            return cls(**values)
        except TypeError as error:
            raise UserError(f"The CLIP configuration cannot be read: {error}.") from error


class Projection(nn.Module):
    """From a tower's width to the shared space: a line plus one hidden layer."""

    def __init__(self, width: int, hidden: int, embed_dim: int) -> None:
        super().__init__()
        self.line = nn.Linear(width, embed_dim, bias=False)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.line(x) + self.contract(F.gelu(self.expand(x)))


class DualEncoder(nn.Module):
    """Two towers, one sphere."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        self.image_tower: nn.Module = (
            MobileNetTower()
            if config.image_tower == "mobilenet_v2"
            else ConvTower(config.image_width)
        )
        self.text_tower = TextEncoder(config.text)
        self.image_projection = Projection(
            self.image_tower.channels, config.head_hidden, config.embed_dim
        )
        self.text_projection = Projection(config.text.width, config.head_hidden, config.embed_dim)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    @property
    def logit_scale(self) -> Tensor:
        """Factor on cosines before the softmax, at most 100."""
        return self.log_scale.clamp(max=MAX_LOG_SCALE).exp()

    def image_cells(self, pixels: Tensor) -> Tensor:
        """Grid features of pictures: (batch, 3, h, w) in 0..1 -> (batch, channels, rows, cols)."""
        return self.image_tower(pixels)

    def project_image(self, pooled: Tensor) -> Tensor:
        """Pooled cells (batch, channels) -> unit vectors (batch, embed_dim)."""
        return F.normalize(self.image_projection(pooled).float(), dim=-1)

    def project_text(self, pooled: Tensor) -> Tensor:
        """Averaged tokens (batch, width) -> unit vectors (batch, embed_dim)."""
        return F.normalize(self.text_projection(pooled).float(), dim=-1)

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        """(batch, 3, h, w) in 0..1 -> unit vectors (batch, embed_dim)."""
        return self.project_image(self.image_tower.pool(self.image_cells(pixels)))

    def encode_tokens(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Word pieces and their mask, both (batch, tokens) -> unit vectors (batch, embed_dim)."""
        return self.project_text(mean_pool(self.text_tower(ids, mask), mask))
