"""A tiny two-stream model, made on the spot."""

import pytest
import torch

from multimodal import checkpoint
from multimodal.text.encoder import TextConfig
from multimodal.vilbert.answering import VisualQuestionAnswerer
from multimodal.vilbert.config import VilbertConfig, VisionConfig
from multimodal.vilbert.model import Vilbert


@pytest.fixture(scope="session")
def config(tiny_tokenizer) -> VilbertConfig:
    return VilbertConfig(
        text=TextConfig(
            vocab_size=tiny_tokenizer.vocab_size,
            width=16,
            layers=3,
            heads=2,
            hidden=32,
            max_tokens=32,
        ),
        vision=VisionConfig(width=24, layers=2, heads=2, hidden=32),
        co_text=(1, 3),
        co_vision=(1, 2),
        co_width=8,
        co_heads=2,
        fusion_width=16,
        image_tower="conv",
        image_width=4,
        image_size=32,
        rows=4,
        columns=4,
        region_features=32,
        concepts=("sky", "boat", "house"),
        answers=("no", "yes", "red", "blue", "2", "boat"),
        languages=("en", "ko"),
    )


@pytest.fixture
def model(config) -> Vilbert:
    torch.manual_seed(0)
    return Vilbert(config).eval()


@pytest.fixture
def folder(tmp_path, model, config, tiny_tokenizer):
    """A whole checkpoint folder of the tiny model."""
    place = tmp_path / "vilbert-tiny"
    checkpoint.save(
        place, "vilbert", config, model.state_dict(), tokenizer=tiny_tokenizer.to_json()
    )
    return place


@pytest.fixture
def answerer(folder) -> VisualQuestionAnswerer:
    return VisualQuestionAnswerer.load(folder)
