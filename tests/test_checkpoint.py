import json
import struct

import pytest
import torch

from multimodal import checkpoint
from multimodal.checkpoint import CheckpointError
from multimodal.clip.dual import DualEncoderClip


def test_round_trip_keeps_weights_and_config(tmp_path):
    tensors = {"a": torch.randn(3, 4), "n": torch.arange(5)}
    checkpoint.save(tmp_path / "m", "vqvae", {"side": 3}, tensors, card="# card\n")
    loaded = checkpoint.load(tmp_path / "m", "vqvae")
    assert loaded.manifest.config == {"side": 3}
    assert torch.equal(loaded.tensors["n"], tensors["n"])
    assert loaded.tensors["a"].dtype == torch.float32
    assert torch.allclose(loaded.tensors["a"], tensors["a"], atol=2e-3)  # stored in 16 bits
    assert (tmp_path / "m" / "README.md").read_text() == "# card\n"


def test_others_may_read_what_is_saved(tmp_path):
    checkpoint.save(tmp_path, "clip", {}, {"a": torch.zeros(2)})
    assert all(file.stat().st_mode & 0o044 == 0o044 for file in tmp_path.iterdir())


def test_full_precision_is_exact(tmp_path):
    tensors = {"a": torch.randn(3, 4)}
    checkpoint.save(tmp_path / "m", "clip", {}, tensors, half=False)
    assert torch.equal(checkpoint.load(tmp_path / "m").tensors["a"], tensors["a"])


def test_a_table_is_kept_in_8_bits_with_a_scale_per_row(tmp_path):
    table = torch.randn(50, 64) * torch.logspace(-3, 2, 50)[:, None]
    table[7] = 0
    tensors = {"words": table, "a": torch.randn(3, 4)}
    checkpoint.save(tmp_path / "m", "vilbert", {}, tensors, tables=["words"])
    found = checkpoint.load(tmp_path / "m").tensors
    assert set(found) == {"words", "a"} and found["words"].dtype == torch.float32
    error = (found["words"] - table).abs().amax(1)
    assert (error <= table.abs().amax(1) / 127 * 0.6 + 1e-6).all()
    assert (tmp_path / "m" / "model.safetensors").stat().st_size < 50 * 64 + 1000


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_torn_file_is_refused(tiny_folder, file):
    whole = (tiny_folder / file).read_bytes()
    (tiny_folder / file).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="torn"):
        checkpoint.load(tiny_folder)


def test_one_flipped_bit_is_refused(tiny_folder):
    weights = bytearray((tiny_folder / "model.safetensors").read_bytes())
    weights[-100] ^= 1
    (tiny_folder / "model.safetensors").write_bytes(bytes(weights))
    with pytest.raises(CheckpointError, match="SHA-256"):
        checkpoint.load(tiny_folder)


def test_missing_weights_are_named(tiny_folder):
    (tiny_folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors is missing"):
        checkpoint.load(tiny_folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"family": "clip"}', "null"])
def test_foreign_config_is_refused(tiny_folder, text):
    (tiny_folder / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match="not a configuration"):
        checkpoint.load(tiny_folder)


def test_other_family_is_refused(tiny_folder):
    with pytest.raises(CheckpointError, match="holds a clip model where a vqvae"):
        checkpoint.load(tiny_folder, "vqvae")


def test_newer_format_is_refused(tiny_folder):
    body = json.loads((tiny_folder / "config.json").read_text())
    (tiny_folder / "config.json").write_text(json.dumps(body | {"format": 99}))
    with pytest.raises(CheckpointError, match="update the project"):
        checkpoint.load(tiny_folder)


def test_weights_of_another_config_are_refused(tiny_folder):
    body = json.loads((tiny_folder / "config.json").read_text())
    body["config"]["embed_dim"] = 99
    (tiny_folder / "config.json").write_text(json.dumps(body))
    with pytest.raises(CheckpointError, match="do not fit"):
        DualEncoderClip.load(tiny_folder)


def test_unknown_name_lists_what_there_is():
    with pytest.raises(CheckpointError, match="no model named 'nothing-here'"):
        checkpoint.resolve("nothing-here")


def test_killed_save_is_not_mistaken_for_whole(tiny_folder, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "replace", full_disk)
    with pytest.raises(CheckpointError, match="No space left"):
        checkpoint.save(tiny_folder, "clip", {}, {"a": torch.zeros(1)})
    with pytest.raises(CheckpointError):
        checkpoint.resolve(tiny_folder)


def test_header_that_claims_too_much_is_refused(tmp_path):
    checkpoint.save(tmp_path / "m", "clip", {}, {"a": torch.zeros(1)})
    (tmp_path / "m" / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    body = json.loads((tmp_path / "m" / "config.json").read_text())
    body["sha256"] = {"model.safetensors": checkpoint._digest(tmp_path / "m/model.safetensors")}
    (tmp_path / "m" / "config.json").write_text(json.dumps(body))
    with pytest.raises(CheckpointError, match="not a readable safetensors"):
        checkpoint.load(tmp_path / "m")


def test_fingerprint_follows_weights(tmp_path):
    prints = {
        checkpoint.save(tmp_path / "m", "clip", {}, {"a": torch.full((1,), v)}).fingerprint
        for v in (0.0, 1.0, 0.0)
    }
    assert len(prints) == 2


def test_every_bundled_model_is_whole():
    for name in checkpoint.bundled():
        manifest = checkpoint.read_manifest(checkpoint.resolve(name))
        checkpoint.verify(manifest)
        assert (manifest.folder / "README.md").is_file()
