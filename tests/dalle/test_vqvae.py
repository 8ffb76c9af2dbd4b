import numpy as np
import pytest
import torch
from PIL import Image

from multimodal import checkpoint
from multimodal.dalle.image_tokenizer import ImageTokenizer
from multimodal.dalle.vqvae import Vqvae, VqvaeConfig, codes_used, perplexity
from multimodal.errors import UserError

SMALL = {"image_size": 16, "patch": 2, "widths": (8, 8), "blocks": (0, 1), "decoder_blocks": (0, 1)}


def test_shapes_and_range(vqvae):
    out = vqvae(torch.rand(3, 3, 24, 24))
    assert out.pixels.shape == (3, 3, 24, 24) and out.ids.shape == (3, 6, 6)
    assert vqvae.config.cell == 4 and vqvae.config.grid == 6
    made = vqvae.decode(out.ids)
    assert made.min() >= 0 and made.max() <= 1


def test_tokens_are_the_nearest_codes_and_those_of_the_library(vqvae):
    pixels = torch.rand(4, 3, 24, 24)
    ids = vqvae.tokens(pixels)
    vectors, codebook = vqvae.encode(pixels).detach(), vqvae.codebooks[0]
    for row, column in ((0, 0), (3, 5)):
        for picture in range(4):
            distances = [float((vectors[picture, row, column] - code).norm()) for code in codebook]
            assert vqvae.parts(ids)[0][picture, row, column] == int(np.argmin(distances))
    assert torch.equal(ids, vqvae(pixels).ids)


@torch.no_grad()
def test_colours_know_neither_their_places_nor_how_much_there_is_of_each():
    torch.manual_seed(0)
    model = Vqvae(VqvaeConfig(**SMALL, codes=5, colours=4, code_width=4))
    pixels = torch.zeros(1, 3, 16, 16)
    pixels[:, 0, :4, :2] = 1  # the left half of the first cell is red
    mixed = torch.zeros_like(pixels)
    mixed[:, 0, 1, 2] = 1  # one pixel of it is
    assert torch.allclose(model.encode_colours(pixels), model.encode_colours(mixed), atol=1e-6)
    assert not torch.allclose(model.encode(pixels), model.encode(mixed), atol=1e-3)
    pixels[:, 1, :4, :2] = 1  # yellow
    assert not torch.allclose(model.encode_colours(pixels), model.encode_colours(mixed), atol=1e-3)


@torch.no_grad()
def test_a_repainted_drawing_has_the_shapes_of_one_and_the_colours_of_the_other():
    torch.manual_seed(0)
    model = Vqvae(VqvaeConfig(**SMALL, codes=5, colours=4, code_width=4)).train()
    model(torch.rand(8, 3, 16, 16))
    model.eval()
    one, other = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    out = model(one, other)
    shapes, colours = model.parts(out.ids)
    assert torch.equal(shapes, model.parts(model.tokens(one))[0])
    assert torch.equal(colours, model.parts(model.tokens(other))[1])
    codes = model.codebooks[0][shapes]
    away = float((model.encode(other) - codes).square().mean())
    assert out.shape_loss.item() == pytest.approx(away, rel=1e-4)
    assert torch.allclose(model.decode(out.ids), out.pixels.clamp(0, 1), atol=1e-5)


@pytest.mark.parametrize("local", [True, False])
def test_a_local_encoder_looks_at_each_cell_alone(local):
    torch.manual_seed(0)
    model = Vqvae(VqvaeConfig(**SMALL, codes=8, code_width=4, local=local)).eval()
    pixels = torch.rand(1, 3, 16, 16)
    changed = pixels.clone()
    changed[:, :, :4, 4:8] = 0.5  # the second cell of the first row
    moved = (model.encode(pixels) - model.encode(changed))[0].abs().sum(-1) > 1e-6
    assert moved[0, 1] and (moved.sum() == 1) == local


def test_decoding_tokens_is_the_same_as_passing_through(vqvae):
    pixels = torch.rand(2, 3, 24, 24)
    out = vqvae(pixels)
    assert torch.allclose(vqvae.decode(out.ids), out.pixels.clamp(0, 1), atol=1e-5)


def test_gradients_pass_the_quantizer_straight_through():
    model = Vqvae(VqvaeConfig(**SMALL, codes=8, code_width=4, commitment=0.0)).train()
    model(torch.rand(4, 3, 16, 16))
    vectors = torch.randn(1, 16, 4, requires_grad=True)
    quantized, _, _ = model.quantizer(vectors)
    weight = torch.randn_like(quantized)
    (quantized * weight).sum().backward()
    assert torch.allclose(vectors.grad, weight)  # as if the quantizer were not there


def test_the_commitment_loss_is_a_quarter_of_the_squared_distance():
    model = Vqvae(VqvaeConfig(**SMALL, codes=8, code_width=4)).train()
    model(torch.rand(4, 3, 16, 16))
    vectors = torch.randn(1, 16, 4)
    before = model.codebooks[0].clone()
    quantized, ids, loss = model.quantizer(vectors)
    assert torch.allclose(quantized, before[ids[0]][None], atol=1e-6)
    assert loss.item() == pytest.approx(0.25 * float((vectors - before[ids]).square().mean()), 1e-5)


def test_the_codebook_follows_its_vectors_by_a_moving_average():
    model = Vqvae(VqvaeConfig(**SMALL, codes=2, code_width=1, decay=0.9, dead_below=0.0)).train()
    model(torch.rand(4, 3, 16, 16))
    quantizer = model.quantizer._codebook
    quantizer.embed.copy_(torch.tensor([[[0.0], [10.0]]]))
    quantizer.embed_avg.copy_(torch.tensor([[[0.0], [40.0]]]))
    quantizer.cluster_size.copy_(torch.tensor([[4.0, 4.0]]))
    model.quantizer(torch.full((1, 4, 1), 12.0))
    # counts 0.9 * 4 and 0.9 * 4 + 0.1 * 4; sums 0 and 0.9 * 40 + 0.1 * 48
    assert model.codebooks[0][1].item() == pytest.approx(40.8 / 4.0, rel=1e-3)


def test_usage_stays_up_on_pictures_that_all_look_alike():
    """A hard case for a codebook: nearly one colour, so that a few codes could win all."""
    torch.manual_seed(0)
    model = Vqvae(VqvaeConfig(**SMALL, codes=16, code_width=4, decay=0.9)).train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(100):
        pixels = 0.5 + 0.02 * torch.randn(16, 3, 16, 16)
        out = model(pixels)
        loss = (out.pixels - pixels).square().mean() + out.commitment_loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    counts = torch.bincount(
        model.tokens(0.5 + 0.02 * torch.randn(64, 3, 16, 16)).flatten(), minlength=16
    )
    assert codes_used(counts) >= 90 and perplexity(counts) > 8


def test_a_handful_of_pictures_is_learned_by_heart():
    torch.manual_seed(0)
    pixels = torch.rand(4, 3, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    model = Vqvae(VqvaeConfig(**SMALL, codes=64, code_width=8)).train()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(200):
        out = model(pixels)
        loss = 16 * (out.pixels - pixels).square().mean() + out.commitment_loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    error = (model.eval()(pixels).pixels - pixels).square().mean()
    assert error < 0.1 * pixels.var()


def test_perplexity_and_usage_of_known_counts():
    assert perplexity(torch.tensor([5.0, 5, 5, 5])) == pytest.approx(4)
    assert perplexity(torch.tensor([7.0, 0, 0, 0])) == pytest.approx(1)
    assert codes_used(torch.tensor([7, 0, 1, 0])) == 50


@pytest.mark.parametrize(
    "values, field",
    [
        ({"patch": 3}, "patch"),
        ({"widths": ()}, "widths"),
        ({"blocks": (1,)}, "blocks"),
        ({"image_size": 90}, "image_size"),
        ({"codes": 1}, "codes"),
        ({"colours": 1}, "colours"),
        ({"decay": 1.0}, "decay"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_wrong_configuration_names_its_field(values, field):
    with pytest.raises(UserError, match=field):
        VqvaeConfig.from_dict(values)


def test_a_saved_model_gives_the_same_tokens(vqvae, tmp_path):
    folder = tmp_path / "vqvae"
    checkpoint.save(folder, "vqvae", vqvae.config, vqvae.state_dict(), half=False)
    loaded = ImageTokenizer.load(folder)
    pixels = torch.rand(2, 3, 24, 24)
    assert torch.equal(loaded.vqvae.tokens(pixels), vqvae.tokens(pixels))
    assert loaded.fingerprint and loaded.grid == 6 and loaded.codes == 20


def test_photos_of_any_shape_are_reconstructed(tokenizer):
    for size in ((1, 1), (300, 20), (24, 24)):
        photo = Image.new("RGB", size, (200, 30, 30))
        made = tokenizer.reconstruct(photo)
        assert made.size == (24, 24)
    assert 0 < tokenizer.psnr(photo, made) < 100


def test_a_model_of_another_family_is_refused(tmp_path):
    checkpoint.save(tmp_path / "other", "clip", {}, {"a": torch.zeros(1)})
    with pytest.raises(UserError, match="clip"):
        ImageTokenizer.load(tmp_path / "other")
