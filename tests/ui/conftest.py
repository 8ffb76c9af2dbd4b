"""A drawn world of random weights, on disk as the app expects its models."""

import pytest
import torch

from multimodal import checkpoint
from multimodal.dalle.captions import CaptionTokenizer
from multimodal.dalle.image_tokenizer import ImageTokenizer
from multimodal.dalle.transformer import Dalle, DalleConfig
from multimodal.dalle.vqvae import Vqvae, VqvaeConfig


@pytest.fixture(scope="session", params=[0, 4], ids=["one-codebook", "shapes-and-colours"])
def tiny_world(tmp_path_factory, request):
    """A folder with `vqvae-toybox` and `dalle-toybox`: 6 x 6 tokens of 20, one codebook or two."""
    colours = request.param
    folder = tmp_path_factory.mktemp("checkpoints")
    torch.manual_seed(0)
    shape = VqvaeConfig(
        image_size=24, patch=2, widths=(8, 8), blocks=(0, 1), decoder_blocks=(0, 1),
        codes=20 // max(colours, 1), colours=colours, code_width=4,
    )  # fmt: skip
    vqvae = Vqvae(shape).train()
    vqvae(torch.rand(8, 3, 24, 24))  # the first batch places the codes
    place = folder / "vqvae-toybox"
    checkpoint.save(place, "vqvae", shape, vqvae.eval().state_dict(), card="# tiny\n")
    captions = CaptionTokenizer.train(["a red boat", "a blue house", "빨간 배"], 300, 10)
    config = DalleConfig(
        vocab_size=captions.vocab_size, text_tokens=10, codes=20, colours=colours, grid=6,
        width=16, layers=2, heads=2, top_k=0, guidance_scale=2.0, image_tokenizer="vqvae-toybox",
        fingerprint=ImageTokenizer.load(place).fingerprint,
    )  # fmt: skip
    dalle = Dalle(config)
    for parameter in dalle.parameters():  # larger than at the start, so that chances differ
        torch.nn.init.normal_(parameter, std=0.3)
    checkpoint.save(
        folder / "dalle-toybox",
        "dalle",
        config,
        dalle.state_dict(),
        tokenizer=captions.to_json(),
        card="# tiny\n",
    )
    return folder
