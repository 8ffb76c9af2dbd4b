"""A VQ-VAE and a DALL-E of random weights, small enough to draw in milliseconds."""

import pytest
import torch

from multimodal.dalle.captions import CaptionTokenizer
from multimodal.dalle.image_tokenizer import ImageTokenizer
from multimodal.dalle.pipeline import TextToImage
from multimodal.dalle.transformer import Dalle, DalleConfig
from multimodal.dalle.vqvae import Vqvae, VqvaeConfig
from multimodal.data.toybox import full_caption, make_scene

CODES = 20


@pytest.fixture(params=[0, 4], ids=["one-codebook", "shapes-and-colours"])
def colours(request):
    return request.param


@pytest.fixture
def vqvae(colours):
    torch.manual_seed(0)
    config = VqvaeConfig(
        image_size=24, patch=2, widths=(8, 8), blocks=(0, 1), decoder_blocks=(0, 1),
        codes=CODES // max(colours, 1), colours=colours, code_width=4,
    )  # fmt: skip
    model = Vqvae(config).train()
    model(torch.rand(8, 3, 24, 24))  # the first batch places the codes
    return model.eval()


@pytest.fixture
def tokenizer(vqvae):
    return ImageTokenizer(vqvae, "tiny")


@pytest.fixture(scope="session")
def captions():
    texts = [full_caption(make_scene(i), code) for i in range(150) for code in ("en", "ko")]
    return CaptionTokenizer.train(texts, 800, 10)


@pytest.fixture
def dalle(captions, colours):
    torch.manual_seed(1)
    config = DalleConfig(
        vocab_size=captions.vocab_size, text_tokens=10, codes=CODES, colours=colours, grid=6,
        width=16, layers=2, heads=2, top_k=0, guidance_scale=2.0,
    )  # fmt: skip
    model = Dalle(config).eval()
    for parameter in model.parameters():  # larger than at the start, so that logits differ
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture
def drawer(dalle, tokenizer, captions):
    return TextToImage(dalle, tokenizer, captions, "tiny")
