"""OpenCLIP models from the disk: the same numbers as bare open_clip, and refusals in words."""

import json
import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from multimodal import clip
from multimodal.clip import openclip
from multimodal.clip.openclip import source, table, weights_file
from multimodal.errors import UserError

WEIGHTS, CONFIG = "open_clip_model.safetensors", "open_clip_config.json"
LAION = "openclip:ViT-B-32/laion2b_s34b_b79k"
REPO = "models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K"
TEXTS = ["a photo of a cat", "빨간 배", "a diagram of " + "very " * 100 + "long", ""]
PREPROCESS = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
TINY = {
    "embed_dim": 16,
    "vision_cfg": {
        "image_size": 32, "layers": 2, "width": 32, "patch_size": 16, "head_width": 16,
    },
    "text_cfg": {
        "context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2,
    },
}  # fmt: skip


def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    sizes = ((300, 200), (60, 500), (32, 32))
    return [Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)) for size in sizes]


def kind_of(config: dict) -> type:
    if "multimodal_cfg" in config:
        return open_clip.CoCa
    return open_clip.CustomTextCLIP if config.get("custom_text") else open_clip.CLIP


def write_folder(folder, config: dict, *, half=False, preprocess=PREPROCESS, seed=0):
    """A model with random weights in OpenCLIP's own layout."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    config = json.loads(json.dumps(config))
    body = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / CONFIG).write_text(json.dumps(body))
    config["vision_cfg"].pop("timm_model_pretrained", None)
    state = kind_of(config)(**{k: v for k, v in config.items() if k != "custom_text"}).state_dict()
    save_file({key: t.half() if half else t for key, t in state.items()}, folder / WEIGHTS)
    return folder


@pytest.fixture(scope="session")
def full_size(tmp_path_factory):
    """A full-size ViT-B-32 of random weights; half precision halves the file, not the model."""
    folder = tmp_path_factory.mktemp("openclip") / "vit-b-32"
    write_folder(folder, open_clip.get_model_config("ViT-B-32"), half=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def tiny(tmp_path, cache):
    return write_folder(tmp_path / "tiny", TINY)


@pytest.fixture
def unreachable(monkeypatch):
    """Any attempt to reach anything over the network is an error."""

    def refuse(*args, **kwargs):
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)


def put_in_cache(cache, repo: str, path, name: str = WEIGHTS):
    snapshot = cache / repo / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True, exist_ok=True)
    (snapshot / name).symlink_to(path)
    (cache / repo / "refs").mkdir(exist_ok=True)
    (cache / repo / "refs" / "main").write_text("0" * 40)


def assert_same_as_bare(ours, bare, transform, tokenize):
    """Bit for bit, on the same batch."""
    pixels = torch.stack([transform(picture) for picture in pictures()])
    bare.eval()
    with torch.inference_mode():
        images = bare.encode_image(pixels, normalize=True)
        texts = bare.encode_text(tokenize(TEXTS), normalize=True)
    assert torch.equal(torch.stack([ours.preprocess(p) for p in pictures()]), pixels)
    assert torch.equal(ours.encode_images(pictures()), images)
    assert torch.equal(ours.encode_texts(TEXTS), texts)
    assert torch.allclose(images.norm(dim=1), torch.ones(len(images)))
    assert ours.logit_scale == bare.logit_scale.exp().item()


def test_full_size_folder_equals_bare_open_clip(full_size, cache, unreachable):
    ours = clip.load(f"openclip:{full_size}")
    bare, _, transform = open_clip.create_model_and_transforms(f"local-dir:{full_size}")
    assert_same_as_bare(ours, bare, transform, open_clip.get_tokenizer("ViT-B-32"))
    assert (ours.embed_dim, ours.image_size, ours.logit_bias) == (512, 224, None)
    assert ours.languages == ("en",) and ours.note == ""
    assert next(ours.model.parameters()).dtype == torch.float32


def test_full_size_tag_from_the_cache_equals_bare_open_clip(full_size, cache, unreachable):
    put_in_cache(cache, REPO, full_size / WEIGHTS)
    assert [info.name for info in clip.available() if info.source == "openclip"] == [LAION]
    ours = clip.load(LAION)
    bare, _, transform = open_clip.create_model_and_transforms(
        "ViT-B-32", pretrained=str(full_size / WEIGHTS)
    )
    assert_same_as_bare(ours, bare, transform, open_clip.get_tokenizer("ViT-B-32"))


def test_a_quickgelu_run_under_the_plain_name_is_put_right(full_size, cache, unreachable, caplog):
    put_in_cache(cache, "models--timm--vit_base_patch32_clip_224.openai", full_size / WEIGHTS)
    ours = clip.load("openclip:ViT-B-32/openai")
    assert "QuickGELU" in ours.note and ours.note in caplog.text
    bare, _, transform = open_clip.create_model_and_transforms(
        "ViT-B-32-quickgelu", pretrained=str(full_size / WEIGHTS)
    )
    assert_same_as_bare(ours, bare, transform, open_clip.get_tokenizer("ViT-B-32"))


def test_a_full_size_file_of_another_architecture_is_refused_with_both_names(full_size, cache):
    path = full_size / WEIGHTS
    with pytest.raises(UserError, match=r"does not fit ViT-B-16: it looks like ViT-B-32 "):
        openclip.load(f"openclip:ViT-B-16/laion2b_s34b_b88k@{path}")
    # the same tensors but for the number of places: bare open_clip would stretch them in silence
    with pytest.raises(UserError, match=r"not fit ViT-B-32-256: it looks like ViT-B-32 .*50x768"):
        openclip.load(f"openclip:ViT-B-32-256@{path}")


KINDS = {
    "timm": {
        **TINY,
        "custom_text": True,
        "init_logit_bias": -10,
        "vision_cfg": {
            "timm_model_name": "test_vit", "timm_model_pretrained": True, "image_size": 160,
        },
    },
    "resnet": {
        **TINY,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 16},
    },
    "coca": {
        "embed_dim": 16,
        "custom_text": True,
        "vision_cfg": {
            **TINY["vision_cfg"],
            "attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True,
        },
        "text_cfg": {
            **TINY["text_cfg"], "context_length": 76, "embed_cls": True, "output_tokens": True,
        },
        "multimodal_cfg": {
            **TINY["text_cfg"], "context_length": 76, "attn_pooler_heads": 2,
        },
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_other_kinds_of_towers_equal_bare_open_clip(tmp_path, cache, unreachable, kind):
    way = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear"}
    way["resize_mode"] = {"timm": "squash", "resnet": "longest", "coca": "shortest"}[kind]
    folder = write_folder(tmp_path / kind, KINDS[kind], preprocess=way)
    ours = openclip.load(f"openclip:{folder}")
    bare, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    assert_same_as_bare(ours, bare, transform, open_clip.get_tokenizer(f"local-dir:{folder}"))


def test_no_copy_of_the_batch_and_no_gradient(tiny, monkeypatch):
    model = openclip.load(f"openclip:{tiny}")
    seen = []
    forward = model.model.encode_image

    def spy(pixels, normalize):
        seen.append((pixels.data_ptr(), torch.is_inference_mode_enabled(), normalize))
        return forward(pixels, normalize=normalize)

    monkeypatch.setattr(model.model, "encode_image", spy)
    pixels = torch.rand(5, 3, 32, 32)
    model.encode_pixels(pixels)
    assert seen == [(pixels.data_ptr(), True, True)]


def test_many_are_embedded_in_batches_and_none_in_none(tiny):
    model = openclip.load(f"openclip:{tiny}")
    pixels = torch.rand(70, 3, 32, 32)
    together = model.encode_pixels(pixels)
    assert torch.allclose(together[66], model.encode_pixels(pixels[66:67])[0], atol=1e-5)
    texts = [f"number {i}" for i in range(130)]
    assert torch.allclose(
        model.encode_texts(texts)[129], model.encode_texts(texts[129:])[0], atol=1e-5
    )
    assert model.encode_texts([]).shape == model.encode_images([]).shape == (0, 16)


def test_a_file_is_loaded_by_its_neighbouring_configuration(tiny):
    by_file, by_folder = (openclip.load(f"openclip:{p}") for p in (tiny / WEIGHTS, tiny))
    assert by_file.fingerprint == by_folder.fingerprint
    assert torch.equal(by_file.encode_texts(TEXTS), by_folder.encode_texts(TEXTS))


def test_sigmoid_models_have_their_bias(tmp_path, cache):
    folder = write_folder(tmp_path / "sigmoid", {**TINY, "init_logit_bias": -10})
    assert openclip.load(f"openclip:{folder}").logit_bias == -10


def test_the_fingerprint_tells_weights_and_preprocessing_apart(tiny, tmp_path):
    def print_of(folder):
        return openclip.load(f"openclip:{folder}").fingerprint

    first = print_of(tiny)
    assert first == print_of(shutil.copytree(tiny, tmp_path / "copy"))
    assert first != print_of(write_folder(tmp_path / "other", TINY, seed=1))
    state = load_file(tiny / WEIGHTS)
    state["visual.proj"][0, 0] += 1e-3
    save_file(state, tiny / WEIGHTS)
    touched = print_of(tiny)
    assert touched != first
    body = json.loads((tiny / CONFIG).read_text())
    body["preprocess_cfg"]["interpolation"] = "bilinear"
    (tiny / CONFIG).write_text(json.dumps(body))
    assert print_of(tiny) not in (first, touched)


def change_config(folder, **changes):
    body = json.loads((folder / CONFIG).read_text())
    for path, value in changes.items():
        *parents, key = path.split("__")
        place = body
        for parent in parents:
            place = place[parent]
        if value is None:
            del place[key]
        else:
            place[key] = value
    (folder / CONFIG).write_text(json.dumps(body))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preprocess_cfg": None}, "does not say how pictures were preprocessed: add the"),
        ({"preprocess_cfg__mean": None}, "does not say how pictures were preprocessed"),
        ({"preprocess_cfg__mean": [0.5, 0.5]}, "as mean: give three numbers"),
        ({"preprocess_cfg__std": [0, 0, 0]}, "as std: give three numbers"),
        ({"preprocess_cfg__std": "wide"}, "as std: give three numbers"),
        ({"preprocess_cfg__resize_mode": "stretch"}, "choose one of shortest, longest, squash"),
        ({"preprocess_cfg__interpolation": "cubic"}, "choose one of bicubic, bilinear"),
        ({"preprocess_cfg__size": [64, 64]}, r"to \[64, 64\] pixels and its image tower reads 32"),
        ({"model_cfg": None}, "no whole configuration of OpenCLIP"),
        ({"model_cfg__text_cfg": None}, "no whole configuration of OpenCLIP"),
        ({"model_cfg__vision_cfg__colour": "red"}, "no configuration that OpenCLIP can build"),
        ({"model_cfg__vision_cfg__layers": 3}, "does not fit .*image size 32"),
        ({"model_cfg__embed_dim": 8}, "does not fit .*embed dim 16"),
        (
            {"model_cfg__vision_cfg__image_size": 64},
            "visual.positional_embedding is 5x32, not 17x32",
        ),
    ],
)
def test_a_configuration_that_cannot_be_right_is_refused(tiny, changes, message):
    change_config(tiny, **changes)
    with pytest.raises(UserError, match=message) as caught:
        openclip.load(f"openclip:{tiny}")
    assert "\n" not in str(caught.value)


def test_an_older_configuration_says_mean_and_deviation_only(tiny):
    before = openclip.load(f"openclip:{tiny}")
    change_config(tiny, preprocess_cfg__interpolation=None, preprocess_cfg__resize_mode=None)
    after = openclip.load(f"openclip:{tiny}")
    assert torch.equal(before.preprocess(pictures()[0]), after.preprocess(pictures()[0]))


@pytest.mark.parametrize("bytes_left", [0, 5, 1000, 200_000])
def test_a_torn_file_is_refused(tiny, bytes_left):
    whole = (tiny / WEIGHTS).read_bytes()
    (tiny / WEIGHTS).write_bytes(whole[:bytes_left])
    with pytest.raises(UserError, match=r"(is torn|not a whole safetensors).*download or copy it"):
        openclip.load(f"openclip:{tiny}")


@pytest.mark.parametrize(
    "content", [b"\xff" * 100, b"\x10" + b"\0" * 7 + b"[1, 2, 3, 4, 56]", b"hello, this is text"]
)
def test_a_foreign_file_is_refused(tiny, content):
    (tiny / WEIGHTS).write_bytes(content)
    with pytest.raises(UserError, match=r"(not a whole safetensors|is torn)"):
        openclip.load(f"openclip:{tiny}")


def test_bytes_behind_the_end_are_refused(tiny):
    with (tiny / WEIGHTS).open("ab") as file:
        file.write(b"more")
    with pytest.raises(UserError, match="not a whole safetensors"):
        openclip.load(f"openclip:{tiny}")


def test_weights_of_something_else_are_refused(tiny):
    save_file({"a": torch.zeros(3), "b": torch.zeros(2)}, tiny / WEIGHTS)
    with pytest.raises(UserError, match=r"looks like no CLIP model \("):
        openclip.load(f"openclip:{tiny}")


def test_pickles_are_not_opened(tiny, tmp_path, cache):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save(Trap(), tmp_path / "model.pt")
    shutil.copy(tmp_path / "model.pt", tmp_path / "model.safetensors")
    names = [
        f"openclip:{tmp_path / 'model.pt'}",
        f"openclip:ViT-B-32/openai@{tmp_path / 'model.pt'}",
        f"openclip:ViT-B-32/openai@{tmp_path / 'model.safetensors'}",
    ]
    (tiny / WEIGHTS).unlink()
    shutil.copy(tmp_path / "model.pt", tiny / "open_clip_pytorch_model.bin")
    for name in (*names, f"openclip:{tiny}"):
        with pytest.raises(UserError, match=r"can run any code.*take the \.safetensors"):
            openclip.load(name)
    assert not (tmp_path / "ran").exists()


def test_a_bare_file_must_say_how_it_was_trained(tmp_path, cache):
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(3)}, path)
    with pytest.raises(UserError, match=r"openclip:ViT-B-32/openai@.* or openclip:ViT-B-32/laion"):
        openclip.load(f"openclip:ViT-B-32@{path}")
    with pytest.raises(UserError, match=r"put its open_clip_config\.json beside it"):
        openclip.load(f"openclip:ViT-S-16@{path}")
    with pytest.raises(UserError, match=r"openclip:ARCHITECTURE/TAG@"):
        openclip.load(f"openclip:{path}")
    # beyond doubt where every run of an architecture was trained in one way
    assert source.locate(source.parse(f"openclip:ViT-B-16-plus-240@{path}")).preprocess
    found = source.locate(source.parse(f"openclip:ViT-B-32-quickgelu@{path}"))
    assert found.config["quick_gelu"] is True
    with pytest.raises(UserError, match="is a folder: name it openclip:"):
        openclip.load(f"openclip:ViT-B-32/openai@{tmp_path}")
    with pytest.raises(UserError, match="does not exist"):
        openclip.load(f"openclip:ViT-B-32/openai@{tmp_path / 'none.safetensors'}")


def test_a_run_without_quickgelu_is_refused_under_the_quickgelu_name(tmp_path, cache):
    with pytest.raises(UserError, match=f"wrong embeddings: name it {LAION}"):
        openclip.load("openclip:ViT-B-32-quickgelu/laion2b_s34b_b79k")
    with pytest.raises(UserError, match="wrong embeddings"):
        openclip.load(f"openclip:ViT-B-32-quickgelu/laion2b_s34b_b79k@{tmp_path / 'x.safetensors'}")


@pytest.mark.parametrize(
    ("name", "quick", "message"),
    [
        ("vit_base_patch32_clip_224.openai", False, 'with QuickGELU .* set "quick_gelu": true'),
        ("CLIP-ViT-B-32-laion2B-s34B-b79K", True, 'without QuickGELU .* set "quick_gelu": false'),
    ],
)
def test_a_published_folder_with_the_wrong_activation_is_refused(tiny, name, quick, message):
    folder = tiny.rename(tiny.parent / name)
    openclip_name = f"openclip:{folder}"
    change_config(folder, model_cfg__quick_gelu=not quick)
    openclip.load(openclip_name)
    change_config(folder, model_cfg__quick_gelu=quick)
    with pytest.raises(UserError, match=message):
        openclip.load(openclip_name)


def test_siglip_with_the_wrong_preprocessing_is_refused(tiny):
    change_config(tiny, model_cfg__vision_cfg__timm_model_name="vit_base_patch16_siglip_224")
    with pytest.raises(UserError, match=r"SigLIP .*another mean and std and resize_mode"):
        openclip.load(f"openclip:{tiny}")


def test_every_published_run_has_its_own_activation_and_preprocessing(cache):
    """What the table says, held to OpenCLIP's own functions."""
    assert len(table.all_tags()) > 150
    for arch, tag in open_clip.list_pretrained():
        run = table.find_tag(arch, tag)
        published = open_clip.get_pretrained_cfg(arch, tag)
        assert run.preprocess == {key: published[key] for key in table.PREPROCESS}
        config = {"quick_gelu": False, **open_clip.get_model_config(arch)}
        if published.get("quick_gelu"):
            assert run.config() == {**config, "quick_gelu": True}
        else:
            assert run.config() == config
        assert run.weights.endswith(".safetensors") and run.repo.count("/") == 1
        reference = source.parse(run.name)
        found = source.Source(reference, arch, run.config(), run.preprocess, None)
        source._check_preprocess(found)


@pytest.mark.parametrize(
    ("name", "arch", "tag", "path"),
    [
        (LAION, "ViT-B-32", "laion2b_s34b_b79k", None),
        ("openclip:ViT-B/32/OpenAI", "ViT-B-32", "openai", None),
        ("openclip:ViT-B-32-quickgelu/openai", "ViT-B-32-quickgelu", "openai", None),
        ("openclip:ViT-B-32/openai@m.safetensors", "ViT-B-32", "openai", "m.safetensors"),
        ("openclip:ViT-B-32@a@b.safetensors", "ViT-B-32", None, "a@b.safetensors"),
        ("openclip:me@home/m.safetensors", None, None, "me@home/m.safetensors"),
        ("openclip:.", None, None, "."),
    ],
)
def test_names(name, arch, tag, path):
    found = openclip.parse(name)
    assert (found.arch, found.tag and found.tag.tag) == (arch, tag)
    assert (found.path and str(found.path)) == path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("openclip:ViT-B-32", "names no pretrained tag of ViT-B-32: .* openai, laion400m_e31"),
        ("openclip:ViT-B-32/unknown", "names no pretrained tag of ViT-B-32"),
        (
            "openclip:vit-b-32/laion2b-s34b-b79k",
            "for example .*openclip:ViT-B-32/laion2b_s34b_b79k",
        ),
        ("openclip:/nowhere/at/all", "no such folder or file"),
        ("openclip:", "give openclip:ARCHITECTURE/TAG"),
        ("openclip:missing.safetensors", "does not exist"),
    ],
)
def test_names_that_name_nothing(name, message, cache):
    with pytest.raises(UserError, match=message) as caught:
        openclip.load(name)
    assert "\n" not in str(caught.value)


def test_a_model_that_is_not_here_says_its_size_and_how_to_get_it(cache, unreachable):
    with pytest.raises(openclip.ModelNotDownloaded, match=r"about 0\.6 GB.*Download") as caught:
        clip.load(LAION)
    assert caught.value.name == LAION and caught.value.size == 605_109_252


def test_a_pickle_in_the_cache_is_said_to_be_one(cache, tmp_path, unreachable):
    (tmp_path / "weights.bin").write_bytes(b"x")
    put_in_cache(cache, REPO, tmp_path / "weights.bin", "open_clip_pytorch_model.bin")
    with pytest.raises(openclip.ModelNotDownloaded, match="but as a pickle file"):
        clip.load(LAION)
    assert openclip.openclip_models() == []


def test_the_menu_lists_every_run_once_without_loading_torch(cache):
    code = (
        "import sys; from multimodal.clip import openclip, available; available()\n"
        "names = [info.name for info in openclip.openclip_models(present_only=False)]\n"
        "assert len(names) == len(set(names)) > 150\n"
        "print(names.count('openclip:ViT-B-32/openai'), 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]
    spoken = {info.name: info.languages for info in openclip.openclip_models(present_only=False)}
    assert spoken["openclip:ViT-B-16-SigLIP2/webli"] == ("en", "ko")
    assert spoken["openclip:ViT-B-16-SigLIP/webli"] == ("en",)


WORDS = ("<pad>", "</s>", "<unk>", "a", "photo", "of", "cat", "dog")


def write_tokenizer(folder, *, pad="<pad>"):
    """A tokenizer of whole words that ends every text, in the layout of the hub."""
    words = {word: index for index, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    if pad:
        settings = {"pad_token": {"content": pad, "lstrip": False}, "sep_token": "</s>"}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))


WORDY = {
    **TINY,
    "custom_text": True,
    "text_cfg": {
        **TINY["text_cfg"],
        "context_length": 6,
        "vocab_size": len(WORDS),
        "hf_tokenizer_name": "owner/words",
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "pool_type": "last",
    },
}


@pytest.mark.parametrize("where", ["beside", "cache"])
def test_a_tokenizer_from_the_hub_is_read_from_the_disk(tmp_path, cache, unreachable, where):
    folder = write_folder(tmp_path / "wordy", WORDY)
    name = f"openclip:{folder}"
    with pytest.raises(UserError, match=r"needs tokenizer\.json of owner/words"):
        openclip.load(name)
    snapshot = cache / "models--owner--words" / "snapshots" / "2"
    write_tokenizer(folder if where == "beside" else snapshot)
    model = openclip.load(name)
    assert model.tokenizer(["A photo, of a CAT!", "a bird", "a dog a dog a dog", ""]).tolist() == [
        [3, 4, 5, 3, 6, 1],
        [3, 2, 1, 0, 0, 0],
        [3, 7, 3, 7, 3, 1],
        [1, 0, 0, 0, 0, 0],
    ]
    bare = open_clip.create_model(f"local-dir:{folder}").eval()
    with torch.inference_mode():
        expected = bare.encode_text(torch.tensor([[3, 4, 5, 3, 6, 1]]), normalize=True)
    assert torch.equal(model.encode_texts(["a photo of a cat"]), expected)


def test_tokenizers_that_cannot_be_right_are_refused(tmp_path, cache):
    folder = write_folder(tmp_path / "wordy", WORDY)
    name = f"openclip:{folder}"
    write_tokenizer(folder, pad="")
    with pytest.raises(UserError, match=r"pads texts with: put the tokenizer_config\.json"):
        openclip.load(name)
    write_tokenizer(folder)
    change_config(folder, model_cfg__text_cfg__vocab_size=5)
    with pytest.raises(UserError, match="up to number 7 and the model knows 5"):
        openclip.load(name)
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="is torn or no tokenizer"):
        openclip.load(name)


def test_a_separator_is_stripped_where_the_configuration_says_so(tmp_path, cache):
    options = {"clean": "lower", "strip_sep_token": True}
    config = {**WORDY, "text_cfg": {**WORDY["text_cfg"], "tokenizer_kwargs": options}}
    folder = write_folder(tmp_path / "wordy", config)
    write_tokenizer(folder)
    assert openclip.load(f"openclip:{folder}").tokenizer(["a dog"]).tolist() == [[3, 7, 0, 0, 0, 0]]
    change_config(folder, model_cfg__text_cfg__tokenizer_kwargs={"colour": "red"})
    with pytest.raises(UserError, match="tokenizer_kwargs that are not known"):
        openclip.load(f"openclip:{folder}")


def test_a_text_tower_of_transformers_needs_its_files_and_the_package(tmp_path, cache, monkeypatch):
    folder = write_folder(tmp_path / "tower", TINY)
    change_config(
        folder,
        model_cfg__text_cfg__hf_model_name="owner/tower",
        model_cfg__text_cfg__hf_tokenizer_name="owner/words",
    )
    write_tokenizer(folder)
    monkeypatch.setattr("multimodal.clip.openclip.build.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install transformers"):
        openclip.load(f"openclip:{folder}")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"needs tokenizer\.json of owner/words"):
        openclip.load(f"openclip:{folder}")


@pytest.mark.parametrize("arch", ["ViT-L-14", "RN50", "coca_ViT-B-32", "ViT-B-16-plus-240"])
def test_what_a_file_looks_like(arch):
    config = open_clip.get_model_config(arch)
    kind = kind_of(config)
    config.pop("custom_text", None)
    with torch.device("meta"):
        state = kind(**config).state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert weights_file.looks_like(shapes, table.architectures()) == arch
