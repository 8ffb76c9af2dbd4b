import math

import numpy as np
import pytest
import torch
from PIL import Image

from multimodal.dalle.image_tokenizer import ImageTokenizer
from multimodal.dalle.vqvae import Vqvae, VqvaeConfig
from multimodal.evaluation import vqvae
from multimodal.evaluation.judge import Judge
from multimodal.evaluation.vqvae import evaluate, evaluate_toybox, figures


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = VqvaeConfig(
        image_size=32, patch=4, widths=(8,), blocks=(0,), decoder_blocks=(0,), codes=20
    )
    network = Vqvae(config).train()
    network(torch.rand(8, 3, 32, 32))
    return ImageTokenizer(network, "tiny")


@pytest.fixture(scope="module")
def judge():
    return Judge.load()


def test_figures_agree_with_their_formulas(model):
    pictures = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    found = figures(model.vqvae, pictures)
    true = pictures.float() / 255
    ids = model.vqvae.tokens(true)
    error = (model.vqvae.decode(ids) - true).square().mean((1, 2, 3))
    assert found["mse"] == pytest.approx(float(error.mean()), rel=1e-4)
    wanted = float(error.mean() / true.var(unbiased=False))
    assert found["mse_over_variance"] == pytest.approx(wanted, rel=1e-3)
    decibels = [-10 * math.log10(float(e)) for e in error]
    assert found["psnr"] == pytest.approx(np.mean(decibels), rel=1e-4)
    assert found["codes_used"] == pytest.approx(100 * len(ids.unique()) / 20)
    assert found["tokens_per_image"] == 64 and found["images"] == 5
    assert -1 <= found["ssim"] <= 1 and 1 <= found["perplexity"] <= 20


def test_a_perfect_reconstruction_scores_the_most(model, monkeypatch):
    pictures = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    monkeypatch.setattr(model.vqvae, "decode", lambda ids: pictures.float() / 255)
    found = figures(model.vqvae, pictures)
    assert found["mse"] == 0 and found["psnr"] > 90 and found["ssim"] == pytest.approx(1, abs=1e-4)


def test_a_folder_with_a_torn_photo_is_measured_without_it(model, tmp_path):
    Image.new("RGB", (50, 40), "red").save(tmp_path / "a.png")
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    assert evaluate(model, tmp_path)["images"] == 1


def test_toybox_scenes_follow_from_the_seed(model, judge):
    one, same, other = (evaluate_toybox(model, judge, seed, 3) for seed in (1, 1, 2))
    assert one == same and one["psnr"] != other["psnr"] and vqvae.SEED_OFFSET > 1e8


def test_the_judge_sees_what_survives_the_tokens(model, judge, monkeypatch):
    monkeypatch.setattr(model, "image_size", 96)
    monkeypatch.setattr(model, "encode", lambda images: images)
    monkeypatch.setattr(model, "decode", lambda images: images)
    monkeypatch.setattr(vqvae, "figures", lambda *_: {})
    found = evaluate_toybox(model, judge, 0, 100)
    assert found["redrawn_obeyed"] >= 90 and found["redrawn_obeyed_held_out"] >= 90
    monkeypatch.setattr(model, "decode", lambda images: [*images[1:], images[0]])
    found = evaluate_toybox(model, judge, 0, 100)
    assert found["redrawn_obeyed"] <= 10 and found["redrawn_obeyed_held_out"] <= 10
