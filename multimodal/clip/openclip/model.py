"""An OpenCLIP module behind the `ClipModel` interface."""

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor, nn

from multimodal.clip.base import ClipModel
from multimodal.clip.openclip import table
from multimodal.clip.openclip.source import Source, image_side

IMAGE_BATCH = 64
TEXT_BATCH = 128


class OpenClipModel(ClipModel):
    """An OpenCLIP model with its tokenizer and preprocessing.

    Attributes:
        model: OpenCLIP's own module, for eval.
        transform: OpenCLIP's own preprocessing.
        tokenizer: Texts to (batch, context) int64, as OpenCLIP's tokenizers do.
        note: What was put right in loading it, for the user, or an empty string.
    """

    def __init__(
        self,
        model: nn.Module,
        transform: Callable,
        tokenizer: Callable[[list[str]], Tensor],
        source: Source,
        fingerprint: str,
        device: str = "cpu",
    ) -> None:
        self.name, self.fingerprint, self.note = source.reference.name, fingerprint, source.note
        self.device = device
        # parameters keep requires_grad: without it torch takes another attention kernel, and the
        # last bit differs from bare open_clip
        self.model = model.to(device).eval()
        self.transform, self.tokenizer = transform, tokenizer
        self.embed_dim = source.config["embed_dim"]
        self.image_size = image_side(source.config)
        self.logit_scale = model.logit_scale.exp().item()
        bias = getattr(model, "logit_bias", None)
        self.logit_bias = None if bias is None else bias.item()
        self.languages = table.languages(source.config, source.reference.arch or "")

    def preprocess(self, image: Image.Image) -> Tensor:
        return self.transform(image)

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        with torch.inference_mode():
            parts = [
                self.model.encode_image(batch.to(self.device), normalize=True)
                for batch in pixels.split(IMAGE_BATCH)
            ]
        return _joined(parts, self.embed_dim)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        texts = list(texts)
        with torch.inference_mode():
            parts = [
                self.model.encode_text(
                    self.tokenizer(texts[first : first + TEXT_BATCH]).to(self.device),
                    normalize=True,
                )
                for first in range(0, len(texts), TEXT_BATCH)
            ]
        return _joined(parts, self.embed_dim)


def _joined(parts: list[Tensor], width: int) -> Tensor:
    if not parts:
        return torch.zeros(0, width)
    return (parts[0] if len(parts) == 1 else torch.cat(parts)).float().cpu()
