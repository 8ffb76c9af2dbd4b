"""The CLIP recipes from end to end, at a size of seconds."""

import pytest
import torch
from curves import curve
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import mobilenet_v2

from multimodal import checkpoint, clip
from multimodal.clip.model import ClipConfig
from multimodal.data.toybox import draw, make_scene
from multimodal.errors import UserError
from multimodal.progress import drain
from multimodal.text.tokenizer import train_wordpiece
from multimodal.training.loop import LoopSettings
from multimodal.training.recipe import read_recipe, recipes
from multimodal.training.run import Inputs, train

TOYBOX = """
world = "toybox"
[task]
scenes = 40
singles = 112
batch = 16
single_batch = 32
[model]
image_tower = "conv"
image_width = 8
image_size = 32
embed_dim = 32
head_hidden = 32
[model.text]
width = 32
layers = 1
heads = 2
hidden = 64
max_tokens = 96
[loop]
steps = 30
learning_rate = 4e-3
warmup = 5
"""
PHOTOS = """
world = "photos"
[task]
starts = false
train_side = 64
batch = { captioned = 4, objects = 2, tiny_imagenet = 2, scenes = 2 }
concepts = 8
memory = 0
[model]
image_size = 64
embed_dim = 32
head_hidden = 32
[model.text]
width = 32
layers = 1
heads = 2
hidden = 64
max_tokens = 32
[loop]
steps = 2
warmup = 1
precision = "no"
"""


def test_the_toybox_recipe_learns_and_leaves_a_model(tmp_path):
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TOYBOX)
    drain(train("clip", read_recipe("clip", str(recipe)), Inputs(tmp_path / "out")))
    log = curve(tmp_path / "out")
    assert len(log) == 30 and log[-1]["loss"] < 0.8 * log[0]["loss"]
    assert {"val_zero_shot", "val_t2i_r1", "val_held_out", "val_korean_t2i_r1"} <= set(log[-1])
    model = clip.load(str(tmp_path / "out" / "model"))
    best = model.classify(draw(make_scene(1), 64), ["a red boat", "파란 집"])
    assert sum(p.probability for p in best) == pytest.approx(1, abs=1e-5)


def test_a_killed_training_goes_on_with_the_same_words(tmp_path):
    """Learned twice, word pieces may be numbered differently and would read other rows."""
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TOYBOX.replace("steps = 30", "steps = 4\nsave_every = 0"))
    out, values = tmp_path / "out", read_recipe("clip", str(recipe))
    running = train("clip", values, Inputs(out))
    for progress in running:
        if progress.total == 4 and progress.done == 2:
            break
    running.close()
    pieces = (out / "model" / "tokenizer.json").read_text("utf-8")
    drain(train("clip", values, Inputs(out, resume=True)))
    assert (out / "model" / "tokenizer.json").read_text("utf-8") == pieces
    assert [line["step"] for line in curve(out)] == [1, 2, 3, 4]


@pytest.fixture
def starts(tmp_path):
    """Files in the layout of the two public starts; their weights are not read here."""
    texts = ["a red boat on the sea", "a blue house", "a cat under the sun", "two green trees"]
    folder = tmp_path / "text-start"
    folder.mkdir()
    (folder / "tokenizer.json").write_text(train_wordpiece(texts, 200).to_str(), "utf-8")
    torch.manual_seed(0)
    save_file(mobilenet_v2(weights=None).state_dict(), tmp_path / "image-start.safetensors")
    return {"text_start": folder, "image_start": tmp_path / "image-start.safetensors"}


def test_the_photo_recipe_trains_on_a_folder_of_pairs(tmp_path, starts):
    data = tmp_path / "pairs"
    data.mkdir()
    for i in range(6):
        draw(make_scene(i), 96).save(data / f"{i}.jpg")
        (data / f"{i}.txt").write_text(f"a red boat number {i}\na blue house\n")
    Image.new("RGB", (9, 9)).save(data / "alone.jpg")
    recipe = tmp_path / "pairs.toml"
    recipe.write_text(PHOTOS)
    drain(train("clip", read_recipe("clip", str(recipe)), Inputs(tmp_path / "out", data, **starts)))
    log = curve(tmp_path / "out")
    assert len(log) == 2 and {"captions", "imagenet", "everyday", "translation"} <= set(log[0])
    model = clip.load(str(tmp_path / "out" / "model"))
    assert model.encode_texts(["a red boat", "빨간 배"]).shape == (2, 32)
    frozen = PHOTOS.replace("starts = false", "frozen = true\nstarts = false")
    recipe.write_text(frozen)
    drain(
        train("clip", read_recipe("clip", str(recipe)), Inputs(tmp_path / "heads", data, **starts))
    )
    assert len(curve(tmp_path / "heads")) == 2


def test_the_korean_recipe_moves_korean_rows_and_nothing_else(tmp_path, starts):
    data = tmp_path / "pairs"
    data.mkdir()
    for i in range(3):
        draw(make_scene(i), 64).save(data / f"{i}.jpg")
        (data / f"{i}.txt").write_text("a red boat\n")
    recipe = tmp_path / "photos.toml"
    recipe.write_text(PHOTOS)
    drain(train("clip", read_recipe("clip", str(recipe)), Inputs(tmp_path / "out", data, **starts)))
    scales = "scales = { heads = 0, words = 1.0 }\nconcepts = 8"
    recipe.write_text(PHOTOS.replace("concepts = 8", scales))
    first = str(tmp_path / "out" / "model")
    drain(
        train(
            "clip",
            read_recipe("clip", str(recipe)),
            Inputs(tmp_path / "ko", data, init=first, **starts),
        )
    )
    before, after = (checkpoint.load(tmp_path / name / "model") for name in ("out", "ko"))
    moved = [n for n, t in after.tensors.items() if not torch.equal(t, before.tensors[n])]
    assert moved == ["text_tower.words.weight"]
    rows = (after.tensors[moved[0]] != before.tensors[moved[0]]).any(1).nonzero()[:, 0].tolist()
    pieces = {row: piece for piece, row in clip.load(first).tokenizer.vocab().items()}
    assert rows and all(any("가" <= c <= "힣" for c in pieces[row]) for row in rows)


def test_a_folder_without_any_captions_says_what_was_looked_for(tmp_path, starts):
    recipe = tmp_path / "none.toml"
    recipe.write_text(PHOTOS)
    (tmp_path / "data").mkdir()
    with pytest.raises(UserError) as caught:
        drain(
            train(
                "clip",
                read_recipe("clip", str(recipe)),
                Inputs(tmp_path / "out", tmp_path / "data", **starts),
            )
        )
    assert "captions" in str(caught.value) and "name.jpg" in str(caught.value)


def test_every_recipe_can_be_read():
    for name in recipes("clip"):
        values = read_recipe("clip", name)
        LoopSettings(**values["loop"])
        ClipConfig.from_dict(values["model"])
    assert {"toybox", "photos-heads", "photos-cpu", "photos-gpu"} <= set(recipes("clip"))
