"""ViLBERT's recipes from end to end at a size of seconds."""

import gzip
import json
import shutil
import tomllib

import pytest
import torch
from curves import curve

from multimodal import checkpoint, vilbert
from multimodal.clip.dual import DualEncoderClip
from multimodal.clip.model import ClipConfig, DualEncoder
from multimodal.data.toybox import draw, make_scene
from multimodal.errors import UserError
from multimodal.progress import drain
from multimodal.text.encoder import TextConfig
from multimodal.text.tokenizer import TextTokenizer, train_wordpiece
from multimodal.training.loop import LoopSettings, TrainingError
from multimodal.training.recipe import RECIPES
from multimodal.training.run import Inputs, train
from multimodal.training.told_pictures import guess_features, text_vectors
from multimodal.training.vilbert import task as vilbert_task
from multimodal.training.vilbert_photos import PhotoSettings, english_part
from multimodal.training.vilbert_toybox import CONCEPTS, ToyboxSettings, concept_shares
from multimodal.vilbert.config import VilbertConfig, VisionConfig
from multimodal.vilbert.regions import grid_boxes

MODEL = {
    "co_text": [1, 2],
    "co_vision": [1, 1],
    "co_width": 16,
    "co_heads": 2,
    "fusion_width": 32,
    "image_size": 32,
    "text": {"width": 32, "layers": 2, "heads": 2, "hidden": 64, "max_tokens": 96},
    "vision": {"width": 32, "layers": 1, "heads": 2, "hidden": 64},
}
TOYBOX = {
    "world": "toybox",
    "task": {
        "image_start": "",
        "scenes": 80,
        "val_scenes": 40,
        "batch": 8,
        "questions": 24,
        "captions": 8,
        "vocab_size": 400,
    },
    "model": MODEL
    | {
        "image_tower": "conv",
        "image_width": 4,
        "rows": 4,
        "columns": 4,
        "region_features": 32,
        "languages": ["en", "ko"],
    },
    "loop": {"steps": 6, "learning_rate": 2e-3, "warmup": 2, "precision": "no"},
}


# --- the toybox --------------------------------------------------------------------------------


def test_what_a_region_of_a_scene_shows():
    scene = make_scene(3)
    shares = concept_shares(scene, grid_boxes(8, 8))
    assert shares.shape == (64, len(CONCEPTS))
    assert torch.allclose(shares.sum(1), torch.ones(64), atol=1e-5)
    thing = scene.things[0]
    cell = int(thing.y * 8) * 8 + int(thing.x * 8)
    assert shares[cell, CONCEPTS.index(thing.kind)] > 0.3
    far = [c for c in range(64) if shares[c, CONCEPTS.index(scene.background)] == 1]
    assert far


def test_the_toybox_recipe_learns_resumes_and_leaves_a_model(tmp_path):
    recipe = {**TOYBOX, "loop": {**TOYBOX["loop"], "save_every": 0.0}}
    for progress in train("vilbert", recipe, Inputs(tmp_path / "whole")):
        if progress.done == 3 and "loss" in progress.note:  # what a kill here would leave
            shutil.copytree(tmp_path / "whole", tmp_path / "stopped")
    log = curve(tmp_path / "whole")
    assert len(log) == 6 and log[-1]["loss"] < log[0]["loss"]
    assert {"val_accuracy", "val_question_only", "val_held_out", "val_worst_type"} <= set(log[-1])
    drain(train("vilbert", recipe, Inputs(tmp_path / "stopped", resume=True)))
    again = [row["loss"] for row in curve(tmp_path / "stopped")]
    assert again == pytest.approx([row["loss"] for row in log], abs=1e-4)
    model = vilbert.load(str(tmp_path / "stopped" / "model"))
    assert model.languages == ("en", "ko") and {"yes", "예", "red"} <= set(model.answers)
    assert len(model.answer(draw(make_scene(1), 64), "이것은 무엇인가요?")) == 5


def test_lessons_come_first_and_ask_nothing_else(tmp_path):
    lessons = [{"forms": ["position", "side"], "steps": 2}, {"steps": 1}]
    recipe = {**TOYBOX, "task": {**TOYBOX["task"], "lessons": lessons}}
    task = vilbert_task(recipe, Inputs(tmp_path), 0)
    drain(task.prepare())
    names = {number: piece for piece, number in task.tokenizer.vocab().items()}

    def asked(step):
        texts = [
            "".join(names[i] for i in row.tolist()) for row in task.batch(step)["question_ids"]
        ]
        where = ["whereis", "어디에있", "leftorright", "왼쪽에있나요,"]
        return [any(w in text.replace("##", "") for w in where) for text in texts]

    assert all(asked(0)) and all(asked(1))
    assert not all(asked(2)) and not all(asked(3))
    assert "caption_ids" not in task.batch(0) and "caption_ids" in task.batch(2)


def test_a_lesson_of_unknown_questions_is_refused(tmp_path):
    lessons = [{"forms": ["nonsense"], "steps": 2}]
    recipe = {**TOYBOX, "task": {**TOYBOX["task"], "lessons": lessons}}
    with pytest.raises(TrainingError, match="nonsense.*position"):
        vilbert_task(recipe, Inputs(tmp_path), 0)


def test_parts_of_a_start_may_begin_anew(tmp_path):
    drain(train("vilbert", TOYBOX, Inputs(tmp_path / "start")))
    start = str(tmp_path / "start" / "model")
    model = TOYBOX["model"]
    deeper = {**model, "text": {**model["text"], "layers": 4}, "co_text": [1, 3]}
    fresh = ["box_line", "language.blocks.2", "language.blocks.3"]
    named = {**TOYBOX["task"], "fresh": fresh}
    task = vilbert_task({**TOYBOX, "task": named, "model": deeper}, Inputs(tmp_path, init=start), 0)
    drain(task.prepare())
    grown, old = task.model.model.state_dict(), vilbert.load(start).model.state_dict()
    anew = {
        name
        for name, value in grown.items()
        if name not in old or not torch.equal(value, old[name])
    }
    assert anew >= {"box_line.weight", "language.blocks.3.expand.weight"}
    assert all(name.startswith(tuple(fresh)) for name in anew)
    with pytest.raises(TrainingError, match="another shape"):  # blocks that nobody named
        drain(vilbert_task({**TOYBOX, "model": deeper}, Inputs(tmp_path, init=start), 0).prepare())


# --- photos ------------------------------------------------------------------------------------


@pytest.fixture
def start(tmp_path):
    """A tiny CLIP model to start from."""
    words = ["a red boat on the sea", "is there a cat?", "two green trees", "빨간 배", "파란 집"]
    tokenizer = TextTokenizer(train_wordpiece(words, 200), 24)
    text = TextConfig(tokenizer.vocab_size, 32, 2, 2, 64, 24)
    config = ClipConfig("conv", 4, 32, 16, 16, ("en", "ko"), text)
    torch.manual_seed(0)
    state = DualEncoder(config).state_dict()
    checkpoint.save(tmp_path / "clip", "clip", config, state, tokenizer=tokenizer.to_json())
    return tmp_path / "clip"


@pytest.fixture
def data(tmp_path):
    """COCO in small: six drawings, captions, objects, questions of both splits."""
    root = tmp_path / "coco"
    (root / "annotations").mkdir(parents=True)
    for split in ("train", "val"):
        (root / split).mkdir()
        images = [{"id": i, "file_name": f"{i:012}.jpg"} for i in range(1, 7)]
        for image in images:
            draw(make_scene(image["id"]), 48).save(root / split / image["file_name"])
        told = ["a red boat", "a red boat", "a blue boat", "a blue boat", "a green car"]
        captions = [{"image_id": i, "caption": text} for i, text in enumerate(told, 1)]
        objects = {str(i): ["boat"] if i < 4 else ["cat"] for i in range(1, 7)}
        asked = [
            {"image_id": i, "question_id": i, "question": "is there a boat?"} for i in range(1, 7)
        ]
        answers = [
            {
                "image_id": i,
                "question_id": i,
                "answers": [{"answer": "yes" if i < 4 else "no"}] * 10,
            }
            for i in range(1, 7)
        ]
        for name, body in (
            ("captions", {"images": images, "annotations": captions}),
            ("objects", objects),
            ("questions", {"questions": asked}),
            ("answers", {"annotations": answers}),
        ):
            (root / "annotations" / f"{name}_{split}.json").write_text(json.dumps(body))
    return tmp_path


def photo_recipe(start, **task):
    return {
        "world": "photos",
        "task": {"start": str(start), "captions": 8, **task},
        "model": {
            **TOYBOX["model"],
            "text": {**MODEL["text"], "max_tokens": 16},
            "languages": ["en"],
        },
        "loop": {"steps": 2, "warmup": 1, "precision": "no"},
    }


def test_the_photo_recipes_pretrain_and_fine_tune(tmp_path, start, data):
    drain(train("vilbert", photo_recipe(start), Inputs(tmp_path / "first", data)))
    log = curve(tmp_path / "first")
    assert {"words", "regions", "alignment"} <= set(log[0]) and "answers" not in log[0]
    assert 0 <= log[-1]["val_aligned"] <= 100
    clip = DualEncoderClip.load(start)
    tower = vilbert.load(str(tmp_path / "first" / "model")).model.image_tower
    for name, tensor in clip.encoder.image_tower.state_dict().items():
        assert torch.allclose(tower.state_dict()[name].float(), tensor.float(), atol=1e-2)

    questions = {"human": 4, "objects": 2, "captions": 2}
    recipe = photo_recipe(start, questions=questions, answers=2)
    drain(
        train(
            "vilbert",
            recipe,
            Inputs(tmp_path / "second", data, init=str(tmp_path / "first" / "model")),
        )
    )
    log = curve(tmp_path / "second")
    assert {"answers", "words"} <= set(log[0]) and {"val_soft", "val_all"} <= set(log[-1])
    model = vilbert.load(str(tmp_path / "second" / "model"))
    assert model.answers == ("no", "yes") and model.languages == ("en",)
    assert len(list((tmp_path / "cache").glob("regions-coco-train-*.features"))) == 1  # kept


def test_dropped_features_go_from_all_regions_of_a_photo(tmp_path, start, data):
    batches = []
    for share in (0.0, 0.5):
        recipe = photo_recipe(start, drop_features=share)
        task = vilbert_task(recipe, Inputs(tmp_path / "out", data), 0)
        drain(task.prepare())
        batches.append(task.batch(3)["features"].float())
    whole, thinned = batches
    gone = (thinned == 0).all(1)  # (photos, features)
    kept = (thinned == 2 * whole).all(1)
    there = (whole != 0).any(1)
    assert (gone | kept).all() and 0.25 < gone[there].float().mean() < 0.75


def test_told_pictures_are_read_as_one_region(tmp_path, start, data):
    """Questions about pictures of which there are captions only, and about those there are not."""
    (data / "text").mkdir()
    asked = "image_id,question,answer,answer_type\n70,is there a boat?,yes,yes/no\n"
    asked += "71,is there a cat?,no,yes/no\n90,is there a car?,yes,yes/no\n"
    told = "image_id,caption\n70,a red boat\n70,a blue boat\n71,a green car\n80,a boat\n"
    for name, table in (("vqa", asked), ("coco_captions", told)):
        with gzip.open(data / "text" / f"{name}_no_photo.csv.gz", "wt") as file:
            file.write(table)
    recipe = photo_recipe(start, questions={"told": 6, "human": 2}, answers=2, drop_regions=0.9)
    task = vilbert_task(recipe, Inputs(tmp_path / "out", data), 0)
    drain(task.prepare())
    assert len(task.guessed) == 2  # nobody asks about 80, nobody tells of 90
    batch = task.batch(0)
    own = batch["question_picture"][2:].unique()  # the others are about photos, by the order
    assert batch["region_mask"][own].sum(1).tolist() == [1] * len(own)
    assert (batch["boxes"][own, 0] == torch.tensor([0, 0, 1, 1, 1])).all()
    assert (batch["features"][own, 1:] == 0).all() and (batch["features"][own, 0] != 0).any()
    loss, parts = task.model(batch)
    assert torch.isfinite(loss) and "answers" in parts


def test_a_guess_follows_from_captions_as_features_do():
    torch.manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(4000, 8), dim=-1)
    features = 3 + vectors @ torch.randn(8, 5)
    guessed = guess_features(vectors[200:], features[200:], vectors[:200])
    assert (guessed - features[:200]).abs().mean() < 0.1 * features.std()
    assert (guess_features(vectors, features - 100, vectors) == 0).all()  # never negative


def test_captions_of_one_picture_share_a_vector():
    table = {"a": [1.0, 0], "bb": [0, 1.0], "ccc": [0, -1.0], "dddd": [9.0, 9]}
    running = text_vectors(
        lambda texts: torch.tensor([table[t] for t in texts]),
        [
            ["bb", "a"],
            ["ccc"],
            ["ccc", "ccc", "ccc", "dddd"],
        ],
    )
    while True:
        try:
            next(running)
        except StopIteration as stop:
            vectors = stop.value
            break
    half = 0.5**0.5
    assert torch.allclose(vectors, torch.tensor([[half, half], [0, -1], [0, -1]]))


def test_what_is_wrong_with_data_or_recipe_is_said(tmp_path, start, data):
    with pytest.raises(UserError, match="--data"):
        drain(train("vilbert", photo_recipe(start), Inputs(tmp_path / "out")))
    with pytest.raises(UserError, match="questions names 'web'"):
        drain(
            train(
                "vilbert", photo_recipe(start, questions={"web": 1}), Inputs(tmp_path / "out", data)
            )
        )
    with pytest.raises(UserError, match="no question of the source 'text'"):
        drain(
            train(
                "vilbert",
                photo_recipe(start, questions={"text": 1}),
                Inputs(tmp_path / "out", data),
            )
        )
    with pytest.raises(UserError, match="Too few scenes"):
        few = {**TOYBOX, "task": {**TOYBOX["task"], "scenes": 10, "batch": 64}}
        drain(train("vilbert", few, Inputs(tmp_path / "out")))


def test_korean_pieces_go_and_english_rows_stay(start):
    tokenizer = DualEncoderClip.load(start).tokenizer
    text, rows = english_part(tokenizer)
    own, old = TextTokenizer.from_json(text, 24), tokenizer.vocab()
    assert 0 < own.vocab_size == len(rows) < tokenizer.vocab_size
    for piece, row in own.vocab().items():
        assert rows[row] == old[piece] and not any("가" <= c <= "힣" for c in piece)
    assert own.pieces("a red boat") == tokenizer.pieces("a red boat")


def test_every_recipe_can_be_read():
    files = [*RECIPES.glob("vilbert-*.toml"), *RECIPES.glob("ablations/vilbert-*.toml")]
    assert len(files) >= 8
    for file in files:
        values = tomllib.loads(file.read_text("utf-8"))
        LoopSettings(**values["loop"])
        VilbertConfig.from_dict(values["model"])
        VisionConfig(**values["model"]["vision"])
        kind = ToyboxSettings if values["world"] == "toybox" else PhotoSettings
        kind(**values["task"])
