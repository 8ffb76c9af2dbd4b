"""A miniature DALL-E: a VQ-VAE turns pictures into tokens, a transformer writes such tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multimodal.dalle.image_tokenizer import ImageTokenizer
    from multimodal.dalle.pipeline import TextToImage


def load(name: str) -> TextToImage:
    """Loads a DALL-E: its `generate(prompt)` yields pictures as they grow.

    Args:
        name: A bundled name (``dalle-toybox``) or a checkpoint folder.

    Raises:
        UserError: if it is not there or cannot be used, with the cure.
    """
    from multimodal.dalle.pipeline import TextToImage

    return TextToImage.load(name)


def load_vqvae(name: str) -> ImageTokenizer:
    """Loads a VQ-VAE: its `encode`, `decode` and `reconstruct` turn pictures to tokens and back.

    Args:
        name: A bundled name (``vqvae-photos``) or a checkpoint folder.

    Raises:
        UserError: if it is not there or cannot be used, with the cure.
    """
    from multimodal.dalle.image_tokenizer import ImageTokenizer

    return ImageTokenizer.load(name)
