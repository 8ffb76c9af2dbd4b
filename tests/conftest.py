"""Pieces that many tests share: tiny models made on the spot."""

import pytest
import torch

from multimodal import checkpoint
from multimodal.clip.dual import DualEncoderClip
from multimodal.clip.model import ClipConfig, DualEncoder
from multimodal.text.encoder import TextConfig
from multimodal.text.tokenizer import TextTokenizer, train_wordpiece

WORDS = (
    "a photo of a red boat",
    "a big blue house under a yellow sun",
    "the cat sits on the green chair",
    "빨간 배 사진",
    "노란 해 아래 파란 집",
)


@pytest.fixture(scope="session")
def tiny_tokenizer() -> TextTokenizer:
    return TextTokenizer(train_wordpiece(WORDS, 200), 32)


@pytest.fixture(scope="session")
def tiny_config(tiny_tokenizer) -> ClipConfig:
    text = TextConfig(
        vocab_size=tiny_tokenizer.vocab_size, width=32, layers=2, heads=4, hidden=64, max_tokens=32
    )
    return ClipConfig(
        image_tower="residual",
        image_width=8,
        image_size=32,
        embed_dim=24,
        head_hidden=32,
        text=text,
    )


@pytest.fixture
def tiny_encoder(tiny_config) -> DualEncoder:
    torch.manual_seed(0)
    return DualEncoder(tiny_config)


@pytest.fixture
def tiny_folder(tmp_path, tiny_encoder, tiny_config, tiny_tokenizer):
    """A whole checkpoint folder of a tiny CLIP model."""
    folder = tmp_path / "clip-tiny"
    checkpoint.save(
        folder,
        "clip",
        tiny_config,
        tiny_encoder.state_dict(),
        tokenizer=tiny_tokenizer.to_json(),
        card="# tiny\n",
    )
    return folder


@pytest.fixture
def tiny_clip(tiny_folder) -> DualEncoderClip:
    return DualEncoderClip.load(tiny_folder)
