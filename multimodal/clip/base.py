"""The small interface that every CLIP model offers, ours and OpenCLIP's alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # menus list models before anything heavy is loaded
    from PIL import Image
    from torch import Tensor

    from multimodal.clip.zero_shot import Prediction


@dataclass(frozen=True)
class ModelInfo:
    """What a menu needs to know of a model without loading it.

    Attributes:
        name: What `multimodal.clip.load` takes.
        title: What the menu shows.
        source: ``bundled``, ``folder`` or ``openclip``.
        languages: Codes of the languages it was trained on.
        note: One line: size and figures.
    """

    name: str
    title: str
    source: str
    languages: tuple[str, ...] = ("en",)
    note: str = ""


class ClipModel(ABC):
    """Two encoders that put pictures and words on one unit sphere (Radford et al. 2021).

    Attributes:
        name: What it was loaded by.
        embed_dim: Width of the shared space.
        image_size: Side in pixels of the square that the image tower reads.
        logit_scale: Learned factor on cosines before the softmax (1 / temperature).
        logit_bias: Learned offset of sigmoid-trained models (SigLIP), else None.
        fingerprint: Digest of weights and preprocessing; keys every cache and gallery.
        languages: Codes of the languages the text tower was trained on.
    """

    name: str
    embed_dim: int
    image_size: int
    logit_scale: float
    logit_bias: float | None = None
    fingerprint: str
    languages: tuple[str, ...] = ("en",)

    @abstractmethod
    def preprocess(self, image: Image.Image) -> Tensor:
        """Turns an RGB picture into the tower's input, (3, image_size, image_size) float32."""

    @abstractmethod
    def encode_pixels(self, pixels: Tensor) -> Tensor:
        """Embeds preprocessed pictures.

        Args:
            pixels: (batch, 3, height, width), as `preprocess` makes them.

        Returns:
            (batch, embed_dim) float32 on the CPU, each row of length 1.
        """

    @abstractmethod
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Embeds sentences: (len(texts), embed_dim) float32 on the CPU, each row of length 1."""

    def encode_images(self, images: Sequence[Image.Image]) -> Tensor:
        """Embeds RGB pictures: (len(images), embed_dim) float32 on the CPU, rows of length 1."""
        import torch

        if not images:
            return torch.zeros(0, self.embed_dim)
        return self.encode_pixels(torch.stack([self.preprocess(image) for image in images]))

    def classify(
        self,
        image: Image.Image,
        labels: Sequence[str],
        *,
        templates: Sequence[str] | None = None,
        ensemble: bool = True,
    ) -> list[Prediction]:
        """Says which label fits a picture best (zero-shot classification).

        Args:
            image: An RGB picture.
            labels: Class names, English and Korean mixed as you like.
            templates: Own sentences with ``{}`` where the label belongs.
            ensemble: Without own templates: seven of the label's language instead of one.

        Returns:
            A prediction per label, best first.

        Raises:
            UserError: if there is no label or a template has no ``{}``.
        """
        from multimodal.clip import prompts, zero_shot

        names = prompts.clean_labels(labels)
        vectors = prompts.embed_labels(self, names, templates=templates, ensemble=ensemble)
        cosine = zero_shot.cosines(self.encode_images([image]), vectors)[0]
        share = zero_shot.probabilities(cosine, self.logit_scale)
        return zero_shot.rank(names, cosine, share)
