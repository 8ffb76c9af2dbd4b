import pytest
import torch
from torch import nn

from multimodal.clip.image_tower import ConvTower, MobileNetTower, fold_batch_norm
from multimodal.clip.model import ClipConfig, DualEncoder
from multimodal.errors import UserError


def test_towers_end_in_the_grid_they_promise():
    pixels = torch.rand(2, 3, 64, 96)
    for tower, shape in ((ConvTower(8), (2, 64, 8, 12)), (MobileNetTower(), (2, 1280, 2, 3))):
        cells = tower(pixels)
        assert cells.shape == shape
        assert tower.pool(cells).shape == (2, tower.channels)


def test_one_cell_is_seen_by_the_maximum():
    tower = ConvTower(8)
    cells = torch.zeros(1, 64, 8, 8)
    cells[0, 5, 3, 3] = 1
    pooled = tower.pool(cells)[0]
    assert pooled[5] == pytest.approx(1 / 64) and pooled[64 + 5] == 1


def test_folding_batch_norm_keeps_the_function():
    torch.manual_seed(0)
    plain = nn.Sequential(
        nn.Conv2d(3, 5, 3, bias=False),
        nn.BatchNorm2d(5),
        nn.ReLU(),
        nn.Conv2d(5, 4, 1),
        nn.BatchNorm2d(4),
    )
    for norm in (plain[1], plain[4]):
        nn.init.uniform_(norm.weight, 0.5, 2)
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    plain.eval()
    x = torch.randn(2, 3, 8, 8)
    expected = plain(x)
    fold_batch_norm(plain)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in plain.modules())
    assert torch.allclose(plain(x), expected, atol=1e-5)


def test_both_sides_end_on_the_unit_sphere(tiny_encoder, tiny_tokenizer):
    images = tiny_encoder.encode_pixels(torch.rand(3, 3, 32, 32))
    texts = tiny_encoder.encode_tokens(*tiny_tokenizer(["a red boat", "빨간 배"]))
    assert images.shape == (3, 24) and texts.shape == (2, 24)
    for vectors in (images, texts):
        assert torch.allclose(vectors.norm(dim=1), torch.ones(len(vectors)), atol=1e-5)


def test_scale_starts_at_the_papers_and_is_clamped(tiny_encoder):
    assert tiny_encoder.logit_scale.item() == pytest.approx(1 / 0.07, rel=1e-4)
    tiny_encoder.log_scale.data.fill_(9.0)
    assert tiny_encoder.logit_scale.item() == pytest.approx(100, rel=1e-4)


def test_config_survives_a_dict_and_names_wrong_fields(tiny_config):
    from dataclasses import asdict

    assert ClipConfig.from_dict(asdict(tiny_config)) == tiny_config
    with pytest.raises(UserError, match="unknown field 'colour'"):
        ClipConfig.from_dict({"colour": 1})
    with pytest.raises(UserError, match="image_tower"):
        ClipConfig(image_tower="resnet")
    with pytest.raises(UserError, match="embed_dim"):
        ClipConfig(embed_dim=0)


def test_loaded_model_does_what_the_trained_one_did(tiny_clip, tiny_folder, tiny_tokenizer):
    pixels = torch.rand(2, 3, 32, 32)
    first = tiny_clip.encode_pixels(pixels)
    again = type(tiny_clip).load(tiny_folder)
    assert torch.equal(first, again.encode_pixels(pixels))
    assert again.fingerprint == tiny_clip.fingerprint


def test_batching_of_texts_keeps_their_order(tiny_clip):
    texts = ["a red boat", "a big blue house under a yellow sun", "cat"] * 40
    together = tiny_clip.encode_texts(texts)
    alone = torch.cat([tiny_clip.encode_texts([text]) for text in texts[:3]])
    assert torch.allclose(together[:3], alone, atol=1e-5)
    assert torch.allclose(together[3:6], alone, atol=1e-5)
    assert tiny_clip.encode_texts([]).shape == (0, 24)
    assert tiny_clip.encode_images([]).shape == (0, 24)


def test_gradients_reach_both_towers(tiny_encoder: DualEncoder, tiny_tokenizer):
    images = tiny_encoder.encode_pixels(torch.rand(2, 3, 32, 32))
    texts = tiny_encoder.encode_tokens(*tiny_tokenizer(["a red boat", "빨간 배"]))
    (tiny_encoder.logit_scale * images @ texts.T).trace().backward()
    assert all(p.grad is not None for p in tiny_encoder.image_tower.parameters())
    assert tiny_encoder.text_tower.words.weight.grad.abs().sum() > 0
    assert tiny_encoder.log_scale.grad is not None
