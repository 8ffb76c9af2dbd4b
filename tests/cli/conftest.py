"""What the tests of the commands share: a photo, and a CLIP whose answers are known."""

import pytest
import torch
from PIL import Image

from multimodal import checkpoint, clip
from multimodal.clip.zero_shot import Prediction
from multimodal.dalle.captions import CaptionTokenizer
from multimodal.dalle.image_tokenizer import ImageTokenizer
from multimodal.dalle.transformer import Dalle, DalleConfig
from multimodal.dalle.vqvae import Vqvae, VqvaeConfig


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.new("RGB", (20, 10), "red").save(path)
    return str(path)


class FakeClip:
    """Finds labels the likelier the longer they are."""

    name = "fake"
    image_size = 8

    def classify(self, image, labels):
        assert image.mode == "RGB" and image.size == (20, 10)
        total = sum(map(len, labels))
        return [
            Prediction(label, len(label) / total, 0.25)
            for label in sorted(labels, key=len, reverse=True)
        ]


@pytest.fixture
def fake_clip(monkeypatch):
    asked = []

    def load(name):
        asked.append(name)
        return FakeClip()

    monkeypatch.setattr(clip, "load", load)
    return asked


@pytest.fixture
def drawer(tmp_path):
    """A VQ-VAE and a DALL-E of random weights, saved side by side."""
    torch.manual_seed(0)
    shape = VqvaeConfig(
        image_size=32, patch=4, widths=(8,), blocks=(0,), decoder_blocks=(0,), codes=20
    )
    vqvae = Vqvae(shape).train()
    vqvae(torch.rand(8, 3, 32, 32))
    checkpoint.save(tmp_path / "vq", "vqvae", shape, vqvae.state_dict())
    captions = CaptionTokenizer.train(["a red boat", "빨간 배"], 300, 6)
    config = DalleConfig(
        captions.vocab_size, 6, codes=20, grid=8, width=8, layers=1, heads=1,
        image_tokenizer="vq", fingerprint=ImageTokenizer.load(tmp_path / "vq").fingerprint,
    )  # fmt: skip
    tensors = Dalle(config).state_dict()
    checkpoint.save(tmp_path / "da", "dalle", config, tensors, tokenizer=captions.to_json())
    return tmp_path
