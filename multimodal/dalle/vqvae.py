"""A VQ-VAE (van den Oord et al. 2017): a picture becomes a small grid of whole numbers and back.

- encoder: strided convolutions, then residual blocks; one vector per cell of the grid
- quantizer: every vector is exchanged for the nearest of a codebook of learned vectors; the number
  of that row is the cell's token
- decoder: the encoder backwards
- gradients pass the quantizer as if it were not there (straight through); the codebook follows the
  vectors that chose it by an exponential moving average (appendix A.1 of the paper)
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from vector_quantize_pytorch import VectorQuantize

from multimodal.errors import UserError


@dataclass(frozen=True)
class VqvaeConfig:
    """Shape of a VQ-VAE.

    Attributes:
        image_size: Side of the pictures in pixels.
        patch: Stride of the first convolution in pixels.
        widths: Channels at each resolution, from the first convolution's on; each further one
            halves the side.
        blocks: Residual blocks at each resolution.
        decoder_blocks: The same in the decoder, where the finer work is done.
        residual_width: Channels inside a residual block as a share of those around it.
        batch_norm: Normalise inside the residual blocks; the paper does not.
        local: The encoder looks at each cell alone, so that a thing cut in the same way gives the
            same tokens whatever is around it; the decoder always looks around.
        codes: Rows of the codebook.
        code_width: Numbers per row.
        decay: Of the moving averages that the codebook follows.
        commitment: Weight that keeps the encoder near its codes (beta in the paper).
        dead_below: A code chosen less often than this per step, on average, starts again from a
            vector of the batch; 0 never.
    """

    image_size: int = 96
    patch: int = 4
    widths: tuple[int, ...] = (128, 256)
    blocks: tuple[int, ...] = (1, 2)
    decoder_blocks: tuple[int, ...] = (2, 3)
    residual_width: float = 0.5
    batch_norm: bool = True
    local: bool = False
    codes: int = 1024
    code_width: int = 64
    decay: float = 0.99
    commitment: float = 0.25
    dead_below: float = 1.0

    def __post_init__(self) -> None:
        for name in ("widths", "blocks", "decoder_blocks"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # JSON and TOML give lists
        if not self.widths or min(self.widths) < 1:
            raise UserError("vqvae.widths must hold at least one positive width.")
        if not len(self.widths) == len(self.blocks) == len(self.decoder_blocks):
            raise UserError("vqvae.blocks and vqvae.decoder_blocks need one number per width.")
        if self.patch < 2 or self.patch % 2:
            raise UserError(f"vqvae.patch is {self.patch}; it must be even and at least 2.")
        if self.image_size < self.cell or self.image_size % self.cell:
            raise UserError(
                f"vqvae.image_size ({self.image_size}) must be a multiple of {self.cell}, "
                "the pixels of a token."
            )
        if self.codes < 2 or self.code_width < 1:
            raise UserError("vqvae.codes must be at least 2 and vqvae.code_width at least 1.")
        if not 0 < self.decay < 1 or self.commitment < 0 or self.dead_below < 0:
            raise UserError(
                "vqvae.decay must lie between 0 and 1, commitment and dead_below not under 0."
            )

    @classmethod
    def from_dict(cls, values: dict) -> "VqvaeConfig":
        """Reads what `config.json` or a recipe holds.

        Raises:
            UserError: naming the field that is unknown or wrong.
        """
        if unknown := sorted(set(values) - set(cls.__dataclass_fields__)):
            raise UserError(f"vqvae.{unknown[0]} is not a field of this model.")
        return cls(**values)

    @property
    def cell(self) -> int:
        """Side in pixels of the square that one token stands for."""
        return self.patch * 2 ** (len(self.widths) - 1)

    @property
    def grid(self) -> int:
        """Tokens per row, and rows per picture."""
        return self.image_size // self.cell


class Output(NamedTuple):
    """What a VQ-VAE makes of a batch.

    Attributes:
        pixels: (batch, 3, side, side), the reconstruction, near 0..1.
        ids: (batch, rows, columns), the tokens.
        commitment_loss: Squared distance of the encoder's vectors to their codes, weighted.
    """

    pixels: Tensor
    ids: Tensor
    commitment_loss: Tensor


class Residual(nn.Module):
    """x + conv 1x1 (relu (conv 3x3 (relu (x)))), the paper's block."""

    def __init__(self, width: int, config: VqvaeConfig, kernel: int = 3) -> None:
        super().__init__()
        inside = max(1, round(width * config.residual_width))
        normalize = config.batch_norm
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, inside, kernel, padding=kernel // 2, bias=not normalize),
            nn.BatchNorm2d(inside) if normalize else nn.Identity(),
            nn.ReLU(),
            nn.Conv2d(inside, width, 1, bias=not normalize),
            nn.BatchNorm2d(width) if normalize else nn.Identity(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Vqvae(nn.Module):
    """Pictures to tokens and tokens to pictures."""

    def __init__(self, config: VqvaeConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = nn.Sequential(
            *self._down(), nn.Conv2d(config.widths[-1], config.code_width, 1)
        )
        # every argument is given: the library's defaults are not the paper's
        self.quantizer = VectorQuantize(
            dim=config.code_width,
            codebook_size=config.codes,
            decay=config.decay,
            commitment_weight=config.commitment,
            eps=1e-5,
            kmeans_init=True,
            kmeans_iters=10,
            threshold_ema_dead_code=config.dead_below,
            use_cosine_sim=False,
            rotation_trick=False,
            ema_update=True,
            learnable_codebook=False,
            stochastic_sample_codes=False,
            channel_last=True,
            accept_image_fmap=False,
        )
        self.decoder = nn.Sequential(*self._up())

    def _down(self) -> list[nn.Module]:
        config, layers, channels, stride = self.config, [], 3, self.config.patch
        kernel = 1 if config.local else 3
        for width, blocks in zip(config.widths, config.blocks, strict=True):
            reach = (stride, stride, 0) if config.local else (2 * stride, stride, stride // 2)
            layers.append(nn.Conv2d(channels, width, *reach))
            layers += [*(Residual(width, config, kernel) for _ in range(blocks)), nn.ReLU()]
            channels, stride = width, 2
        return layers

    def _up(self) -> list[nn.Module]:
        config = self.config
        layers: list[nn.Module] = [nn.Conv2d(config.code_width, config.widths[-1], 3, padding=1)]
        for level in reversed(range(len(config.widths))):
            width = config.widths[level]
            layers += [Residual(width, config) for _ in range(config.decoder_blocks[level])]
            layers.append(nn.ReLU())
            finer, factor = (config.widths[level - 1], 2) if level else (3, config.patch)
            layers += [
                nn.Conv2d(width, finer * factor**2, 3, padding=1),
                nn.PixelShuffle(factor),
            ]
        return layers

    def encode(self, pixels: Tensor) -> Tensor:
        """The encoder's vectors before quantization.

        Args:
            pixels: (batch, 3, side, side) in 0..1.

        Returns:
            (batch, rows, columns, code_width) float32.
        """
        return self.encoder(4 * pixels - 2).float().permute(0, 2, 3, 1)  # about mean 0, variance 1

    def decode_vectors(self, vectors: Tensor) -> Tensor:
        """Pixels (batch, 3, side, side) of code vectors (batch, rows, columns, code_width)."""
        return self.decoder(vectors.permute(0, 3, 1, 2)).float() / 4 + 0.5

    def forward(self, pixels: Tensor) -> Output:
        """Encodes, quantizes and decodes.

        Args:
            pixels: (batch, 3, side, side) in 0..1.
        """
        vectors = self.encode(pixels)
        batch, rows, columns, width = vectors.shape
        with torch.autocast(vectors.device.type, enabled=False):  # distances need all their digits
            quantized, ids, loss = self.quantizer(vectors.reshape(batch, rows * columns, width))
        shape = (batch, rows, columns)
        pixels = self.decode_vectors(quantized.view(*shape, width))
        return Output(pixels, ids.view(shape), loss.squeeze())

    @property
    def codebook(self) -> Tensor:
        """(codes, code_width)."""
        return self.quantizer.codebook

    def tokens(self, pixels: Tensor) -> Tensor:
        """The tokens of pictures: (batch, 3, side, side) in 0..1 to (batch, rows, columns)."""
        vectors = self.encode(pixels)
        flat = vectors.flatten(0, 2)
        # nearest row: |v - e|^2 without |v|^2, which is the same for every row
        distance = self.codebook.square().sum(1) - 2 * flat @ self.codebook.T
        return distance.argmin(1).view(vectors.shape[:3])

    def decode(self, ids: Tensor) -> Tensor:
        """The pictures of tokens: (batch, rows, columns) to (batch, 3, side, side) in 0..1."""
        return self.decode_vectors(F.embedding(ids, self.codebook)).clamp(0, 1)


def perplexity(counts: Tensor) -> float:
    """How many codes are used, evenly weighted: exp of the entropy of their frequencies.

    Args:
        counts: (codes,) how often each was chosen.
    """
    share = counts.double() / counts.sum().clamp(min=1)
    return math.exp(-(share * share.clamp(min=1e-12).log()).sum())


def codes_used(counts: Tensor) -> float:
    """Per cent of the codebook that was chosen at least once; `counts` is (codes,)."""
    return 100 * float((counts > 0).double().mean())
