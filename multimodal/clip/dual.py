"""Our own dual encoder behind the `ClipModel` interface."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from multimodal import checkpoint
from multimodal.clip.base import ClipModel
from multimodal.clip.model import ClipConfig, DualEncoder
from multimodal.text.tokenizer import TextTokenizer, pad

TEXT_BATCH = 64
IMAGE_BATCH = 32


class DualEncoderClip(ClipModel):
    """A dual encoder with its tokenizer and preprocessing."""

    def __init__(
        self, encoder: DualEncoder, tokenizer: TextTokenizer, name: str, fingerprint: str
    ) -> None:
        config = encoder.config
        self.name, self.fingerprint = name, fingerprint
        self.embed_dim, self.image_size = config.embed_dim, config.image_size
        self.languages = config.languages
        self.encoder = encoder.eval().requires_grad_(False)
        self.encoder.image_tower.to(memory_format=torch.channels_last)
        self.tokenizer = tokenizer
        self.logit_scale = float(encoder.logit_scale)

    @classmethod
    def load(cls, name: str | Path) -> "DualEncoderClip":
        """Loads a bundled model or a checkpoint folder.

        Raises:
            CheckpointError: if it is missing, torn, foreign or not a CLIP model.
        """
        loaded = checkpoint.load(name, "clip")
        config = ClipConfig.from_dict(loaded.manifest.config)
        encoder = DualEncoder(config)
        checkpoint.fill(encoder, loaded)
        tokenizer = TextTokenizer.from_json(loaded.tokenizer or "", config.text.max_tokens)
        if tokenizer.vocab_size != config.text.vocab_size:
            raise checkpoint.CheckpointError(
                f"The tokenizer in {loaded.manifest.folder} has {tokenizer.vocab_size} pieces, "
                f"the model {config.text.vocab_size}: copy the checkpoint folder again."
            )
        return cls(encoder, tokenizer, str(name), loaded.manifest.fingerprint)

    def preprocess(self, image: Image.Image) -> Tensor:
        side = self.image_size
        # reducing_gap speeds up large photos at no visible cost
        image = image.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0)
        return (
            torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
            .view(side, side, 3)
            .permute(2, 0, 1)
            .float()
            .div_(255)
        )

    @torch.inference_mode()
    def encode_pixels(self, pixels: Tensor) -> Tensor:
        batches = pixels.split(IMAGE_BATCH)
        return torch.cat(
            [
                self.encoder.encode_pixels(batch.contiguous(memory_format=torch.channels_last))
                for batch in batches
            ]
        )

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        out = torch.zeros(len(texts), self.embed_dim)
        ids = self.tokenizer.ids(texts)
        # texts of like length share a batch, so that little padding is computed
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for first in range(0, len(order), TEXT_BATCH):
            rows = order[first : first + TEXT_BATCH]
            out[rows] = self.encoder.encode_tokens(*pad([ids[i] for i in rows]))
        return out
