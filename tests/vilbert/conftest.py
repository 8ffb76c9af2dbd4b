"""A tiny two-stream model, by short names."""

import pytest
import torch

from multimodal.vilbert.answering import VisualQuestionAnswerer
from multimodal.vilbert.config import VilbertConfig
from multimodal.vilbert.model import Vilbert


@pytest.fixture(scope="session")
def config(tiny_vilbert_config) -> VilbertConfig:
    return tiny_vilbert_config


@pytest.fixture
def model(config) -> Vilbert:
    torch.manual_seed(0)
    return Vilbert(config).eval()


@pytest.fixture
def folder(tiny_vilbert_folder):
    return tiny_vilbert_folder


@pytest.fixture
def answerer(folder) -> VisualQuestionAnswerer:
    return VisualQuestionAnswerer.load(folder)
