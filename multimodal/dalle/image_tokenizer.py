"""A trained VQ-VAE with its preprocessing: photos to tokens, tokens to photos."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from multimodal import checkpoint
from multimodal.dalle.vqvae import Vqvae, VqvaeConfig

BATCH = 32


class ImageTokenizer:
    """Pictures as grids of tokens.

    Attributes:
        name: What it was loaded by.
        fingerprint: Digest of all that gives pictures their tokens, the decoder left out: a
            transformer only fits the tokens it was trained on, but the decoder may learn on.
        image_size: Side of the pictures in pixels.
        grid: Tokens per row, and rows per picture.
        codes: How many tokens there are: the size of the codebook, or the product of two.
        colours: Size of the codebook of colours, 0 where there is none.
    """

    def __init__(self, vqvae: Vqvae, name: str) -> None:
        self.vqvae = vqvae.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.name, self.fingerprint = name, _digest(vqvae)
        config = vqvae.config
        self.image_size, self.grid = config.image_size, config.grid
        self.codes, self.colours = config.vocabulary, config.colours

    @classmethod
    def load(cls, name: str | Path) -> "ImageTokenizer":
        """Loads a bundled VQ-VAE or a checkpoint folder.

        Raises:
            UserError: if it is missing, torn, foreign or not a VQ-VAE.
        """
        loaded = checkpoint.load(name, "vqvae")
        vqvae = Vqvae(VqvaeConfig.from_dict(loaded.manifest.config))
        checkpoint.fill(vqvae, loaded)
        return cls(vqvae, str(name))

    def preprocess(self, image: Image.Image) -> Tensor:
        """An RGB picture squeezed square: (3, image_size, image_size) float32 in 0..1."""
        side = self.image_size
        image = image.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0)
        return torch.from_numpy(np.array(image, np.float32) / 255).permute(2, 0, 1)

    @torch.inference_mode()
    def encode(self, images: Sequence[Image.Image]) -> Tensor:
        """The tokens of RGB pictures: (len(images), grid, grid)."""
        pixels = torch.stack([self.preprocess(image) for image in images])
        return torch.cat([self.vqvae.tokens(_fast(part)) for part in pixels.split(BATCH)])

    @torch.inference_mode()
    def decode(self, ids: Tensor) -> list[Image.Image]:
        """The pictures of tokens (batch, grid, grid)."""
        pixels = torch.cat([self.vqvae.decode(part) for part in ids.split(BATCH)])
        return [to_image(picture) for picture in pixels]

    def reconstruct(self, image: Image.Image) -> Image.Image:
        """A picture after the way through the tokens and back, image_size pixels square."""
        return self.decode(self.encode([image]))[0]

    def psnr(self, image: Image.Image, made: Image.Image) -> float:
        """Peak signal-to-noise ratio in dB of a reconstruction, at the model's own size."""
        true = self.preprocess(image)
        error = (true - self.preprocess(made)).square().mean().clamp(min=1e-10)
        return float(-10 * error.log10())


def _digest(vqvae: Vqvae) -> str:
    config = vqvae.config
    digest = hashlib.sha256(f"{config.image_size} {config.patch} {config.local}".encode())
    for name, tensor in sorted(vqvae.state_dict().items()):
        if not name.startswith("decoder."):
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def to_image(pixels: Tensor) -> Image.Image:
    """(3, height, width) in 0..1 as an RGB picture."""
    return Image.fromarray((255 * pixels).round().to(torch.uint8).permute(1, 2, 0).numpy())


def _fast(pixels: Tensor) -> Tensor:
    return pixels.contiguous(memory_format=torch.channels_last)
