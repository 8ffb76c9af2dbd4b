"""A VQ-VAE (van den Oord et al. 2017): a picture becomes a small grid of whole numbers and back.

- encoder: strided convolutions, then residual blocks; one vector per cell of the grid
- quantizer: every vector is exchanged for the nearest of a codebook of learned vectors; the number
  of that row is the cell's token
- decoder: the encoder backwards
- gradients pass the quantizer as if it were not there (straight through); the codebook follows the
  vectors that chose it by an exponential moving average (appendix A.1 of the paper)
- a cell may have two codebooks, one for its shape and one for its colours; its token is the pair
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from vector_quantize_pytorch import VectorQuantize

from multimodal.dalle import pairs
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
        colours: Rows of a second codebook, for which colours are in a cell, whatever their places;
            the first then holds shapes. 0: one codebook for all.
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
    colours: int = 0
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
        if self.colours < 0 or self.colours == 1:
            raise UserError("vqvae.colours must be 0, for one codebook, or at least 2.")
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
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return self.codes * max(self.colours, 1)

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
        shape_loss: Squared distance of the encoder's vectors of the drawing in other colours to the
            same codes; 0 where it is not given.
    """

    pixels: Tensor
    ids: Tensor
    commitment_loss: Tensor
    shape_loss: Tensor


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
        self.quantizer = self._quantizer(config.codes)
        if config.colours:
            self.colour_encoder = self._colour_encoder()
            self.colour_quantizer = self._quantizer(config.colours)
        self.decoder = nn.Sequential(*self._up())

    def _quantizer(self, codes: int) -> VectorQuantize:
        # every argument is given: the library's defaults are not the paper's
        config = self.config
        return VectorQuantize(
            dim=config.code_width,
            codebook_size=codes,
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

    def _colour_encoder(self) -> nn.Module:
        """Looks at single pixels and keeps the strongest answers of a cell: it can tell which
        colours are there, but neither where nor how much of each."""
        width = self.config.code_width
        return nn.Sequential(
            nn.Conv2d(3, width, 1),
            nn.ReLU(),
            nn.Conv2d(width, width, 1),
            nn.MaxPool2d(self.config.cell),
            nn.Conv2d(width, width, 1),
        )

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
        width = config.code_width * (2 if config.colours else 1)
        layers: list[nn.Module] = [nn.Conv2d(width, config.widths[-1], 3, padding=1)]
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

    def encode_colours(self, pixels: Tensor) -> Tensor:
        """The same of the colour encoder, where there is one."""
        return self.colour_encoder(4 * pixels - 2).float().permute(0, 2, 3, 1)

    def decode_vectors(self, vectors: Tensor) -> Tensor:
        """Pixels (batch, 3, side, side) of a cell's code vectors, one behind the other: (batch,
        rows, columns, code_width or twice that)."""
        return self.decoder(vectors.permute(0, 3, 1, 2)).float() / 4 + 0.5

    def forward(self, pixels: Tensor, painted: Tensor | None = None) -> Output:
        """Encodes, quantizes and decodes.

        Args:
            pixels: (batch, 3, side, side) in 0..1.
            painted: The same drawings in other colours, where there is a codebook for colours.
                The shapes are then taken from `pixels` and the colours from `painted`, which the
                reconstruction should equal: so shapes learn to hold no colour.
        """
        shapes = self.encode(pixels)
        quantized, ids, loss = self._quantized(self.quantizer, shapes)
        shape_loss = loss.new_zeros(())
        if self.config.colours:
            colours = self.encode_colours(pixels if painted is None else painted)
            beside, painted_ids, more = self._quantized(self.colour_quantizer, colours)
            if painted is not None:
                codes = F.embedding(ids, self.quantizer.codebook)
                shape_loss = (self.encode(painted) - codes).square().mean()
            quantized = torch.cat([quantized, beside], -1)
            ids, loss = pairs.join([ids, painted_ids], self.config.colours), loss + more
        return Output(self.decode_vectors(quantized), ids, loss, shape_loss)

    def _quantized(
        self, quantizer: VectorQuantize, vectors: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Code vectors (batch, rows, columns, code_width), their rows, and the commitment loss."""
        batch, rows, columns, width = vectors.shape
        with torch.autocast(vectors.device.type, enabled=False):  # distances need all their digits
            quantized, ids, loss = quantizer(vectors.reshape(batch, rows * columns, width))
        shape = (batch, rows, columns)
        return quantized.view(*shape, width), ids.view(shape), loss.squeeze()

    @property
    def quantizers(self) -> list[VectorQuantize]:
        """That of the codes, and where there is one that of the colours."""
        found = [self.quantizer]
        return [*found, self.colour_quantizer] if self.config.colours else found

    @property
    def codebooks(self) -> list[Tensor]:
        """The rows of each, (codes, code_width) and (colours, code_width)."""
        return [quantizer.codebook for quantizer in self.quantizers]

    def parts(self, ids: Tensor) -> list[Tensor]:
        """The rows of each codebook that tokens of any shape stand for."""
        return pairs.split(ids, self.config.colours)

    def tokens(self, pixels: Tensor, painted: Tensor | None = None) -> Tensor:
        """The tokens of pictures: (batch, 3, side, side) in 0..1 to (batch, rows, columns);
        `painted` as in `forward`."""
        vectors = [self.encode(pixels)]
        if self.config.colours:
            vectors.append(self.encode_colours(pixels if painted is None else painted))
        rows = [_nearest(*each) for each in zip(vectors, self.codebooks, strict=True)]
        return pairs.join(rows, self.config.colours)

    def decode(self, ids: Tensor) -> Tensor:
        """The pictures of tokens: (batch, rows, columns) to (batch, 3, side, side) in 0..1."""
        rows = zip(self.parts(ids), self.codebooks, strict=True)
        vectors = torch.cat([F.embedding(part, book) for part, book in rows], -1)
        return self.decode_vectors(vectors).clamp(0, 1)


def _nearest(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Rows of a codebook (codes, width) that are nearest to vectors (..., width)."""
    flat = vectors.flatten(0, -2)
    # |v - e|^2 without |v|^2, which is the same for every row
    distance = codebook.square().sum(1) - 2 * flat @ codebook.T
    return distance.argmin(1).view(vectors.shape[:-1])


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
