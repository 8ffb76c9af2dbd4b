"""The VQ-VAE recipes from end to end, at a size of seconds."""

import numpy as np
import pytest
import torch
from curves import curve
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import mobilenet_v2

from multimodal.dalle import load_vqvae
from multimodal.dalle.vqvae import VqvaeConfig
from multimodal.data.toybox import draw, make_scene
from multimodal.errors import UserError
from multimodal.progress import drain
from multimodal.training import vqvae as training
from multimodal.training.loop import LoopSettings
from multimodal.training.recipe import read_recipe, recipes
from multimodal.training.run import Inputs, train

MODEL = """
[model]
image_size = 32
patch = 4
widths = [8, 8]
blocks = [0, 1]
decoder_blocks = [0, 1]
codes = 16
code_width = 4
[loop]
steps = 6
learning_rate = 3e-3
warmup = 1
weight_decay = 0.0
precision = "no"
save_every = 0
"""
TOYBOX = 'world = "toybox"\n[task]\nbatch = { toybox = 8 }\nscenes = 20\nforeground = 3.0\n' + MODEL
PHOTOS = 'world = "photos"\n[task]\nbatch = { folder = 4 }\nfeatures = 0.1\n' + MODEL


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(training, "VAL_PHOTOS", 8)


def test_the_toybox_recipe_leaves_a_model_that_reconstructs(tmp_path):
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TOYBOX.replace("steps = 6", "steps = 60"))
    drain(train("vqvae", read_recipe("vqvae", str(recipe)), Inputs(tmp_path / "out")))
    log = curve(tmp_path / "out")
    assert log[-1]["mse"] < 0.7 * log[0]["mse"]
    assert {"val_psnr", "val_codes_used", "val_perplexity"} <= set(log[-1])
    model = load_vqvae(tmp_path / "out" / "model")
    picture = draw(make_scene(3), 32)
    assert model.psnr(picture, model.reconstruct(picture)) > 8


def test_a_killed_training_goes_on_as_if_it_had_not_been(tmp_path):
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TOYBOX)
    drain(train("vqvae", read_recipe("vqvae", str(recipe)), Inputs(tmp_path / "whole")))
    running = train("vqvae", read_recipe("vqvae", str(recipe)), Inputs(tmp_path / "killed"))
    for progress in running:
        if progress.done == 3 and progress.total == 6:
            break
    running.close()
    drain(
        train("vqvae", read_recipe("vqvae", str(recipe)), Inputs(tmp_path / "killed", resume=True))
    )
    whole, killed = (curve(tmp_path / name) for name in ("whole", "killed"))
    assert [line["step"] for line in killed] == [1, 2, 3, 4, 5, 6]
    for a, b in zip(whole, killed, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-3)


def test_a_decoder_that_learns_alone_leaves_every_picture_its_tokens(tmp_path):
    recipe, first = tmp_path / "tiny.toml", tmp_path / "out" / "model"
    recipe.write_text(TOYBOX.replace("codes = 16", "codes = 16\ncolours = 8"))
    drain(train("vqvae", read_recipe("vqvae", str(recipe)), Inputs(tmp_path / "out")))
    alone = TOYBOX.replace("scenes = 20", "scenes = 20\ndecoder_only = true")
    recipe.write_text(alone.replace("steps = 6", "steps = 40"))
    inputs = Inputs(tmp_path / "more", init=str(first))
    drain(train("vqvae", read_recipe("vqvae", str(recipe)), inputs))
    before, after = load_vqvae(first), load_vqvae(tmp_path / "more" / "model")
    assert before.fingerprint == after.fingerprint
    pictures = [draw(make_scene(i), 32) for i in range(20)]
    ids = before.encode(pictures)
    assert torch.equal(ids, after.encode(pictures))
    old, new = (
        sum(model.psnr(a, b) for a, b in zip(pictures, model.decode(ids), strict=True)) / 20
        for model in (before, after)
    )
    assert new > old + 0.1


def test_the_photo_recipe_learns_from_a_folder_with_the_feature_loss(tmp_path):
    data = tmp_path / "pairs"
    data.mkdir()
    for i in range(6):
        draw(make_scene(i), 48).save(data / f"{i}.jpg")
        (data / f"{i}.txt").write_text("a boat\n")
    torch.manual_seed(0)
    save_file(mobilenet_v2(weights=None).state_dict(), tmp_path / "start.safetensors")
    recipe = tmp_path / "photos.toml"
    recipe.write_text(PHOTOS)
    start = tmp_path / "start.safetensors"
    drain(
        train(
            "vqvae",
            read_recipe("vqvae", str(recipe)),
            Inputs(tmp_path / "out", data, image_start=start),
        )
    )
    log = curve(tmp_path / "out")
    assert log[0]["features"] > 0
    weights = (tmp_path / "out" / "model" / "model.safetensors").read_bytes()
    assert b"looks" not in weights  # the judge of looks is no part of the model


def test_the_feature_loss_is_nought_for_the_same_picture_and_grows_with_the_difference():
    torch.manual_seed(0)
    looks = training.FeatureLoss(mobilenet_v2(weights=None).state_dict())
    pixels = torch.rand(2, 3, 32, 32)
    near = (pixels + 0.02 * torch.randn_like(pixels)).requires_grad_(True)
    far = torch.rand(2, 3, 32, 32)
    assert float(looks(pixels, pixels)) == pytest.approx(0, abs=1e-6)
    loss = looks(near, pixels)
    assert 0 < float(loss.detach()) < float(looks(far, pixels))
    loss.backward()
    assert near.grad.abs().sum() > 0


def test_an_error_within_a_thing_weighs_more():
    torch.manual_seed(0)
    config = VqvaeConfig(
        image_size=16, patch=2, widths=(8, 8), blocks=(0, 0), decoder_blocks=(0, 0), codes=4
    )
    vqvae = training.Vqvae(config).train()
    objective = training.VqvaeObjective(vqvae, training.VqvaeSettings(foreground=9.0))
    pixels = torch.randint(0, 255, (2, 3, 16, 16), dtype=torch.uint8)
    inside = torch.zeros(2, 1, 16, 16, dtype=torch.bool)
    inside[:, :, 4:8, 4:8] = True
    objective({"pixels": pixels})  # the first batch places the codes
    with torch.no_grad():
        vqvae.eval()
        error = (4 * (vqvae(pixels / 255).pixels - pixels / 255)).square()
        loss, parts = objective({"pixels": pixels, "foreground": inside})
    weight = 1 + 9 * inside.expand_as(error)
    expected = (error * weight).sum() / weight.sum()
    assert float((loss - parts["commitment"]).detach()) == pytest.approx(float(expected), rel=1e-4)


def test_photos_need_a_folder(tmp_path):
    recipe = tmp_path / "photos.toml"
    recipe.write_text(PHOTOS)
    with pytest.raises(UserError, match="--data"):
        drain(train("vqvae", read_recipe("vqvae", str(recipe)), Inputs(tmp_path / "out")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"name\.jpg"):
        drain(
            train(
                "vqvae",
                read_recipe("vqvae", str(recipe)),
                Inputs(tmp_path / "out", tmp_path / "empty"),
            )
        )


def test_every_recipe_can_be_read():
    for name in recipes("vqvae"):
        values = read_recipe("vqvae", name)
        LoopSettings(**values["loop"])
        training.VqvaeSettings(**values["task"])
        assert VqvaeConfig.from_dict(values["model"]).grid ** 2 <= 1024
    assert {"toybox", "photos", "paper-32"} <= set(recipes("vqvae"))


def test_things_are_where_the_boxes_say(tmp_path):
    scene = make_scene(7)
    inside = training._boxes(scene, 64)
    blank = np.asarray(draw(scene, 64)).astype(int)
    assert inside.any() and not inside.all() and blank.shape == (64, 64, 3)
    for thing in scene.things:
        assert inside[int(thing.y * 64), int(thing.x * 64)]
    assert Image.fromarray(inside).size == (64, 64)
