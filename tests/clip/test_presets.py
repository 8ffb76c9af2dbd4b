import json

import torch

from multimodal import checkpoint, clip
from multimodal.clip import presets
from multimodal.clip.prompts import LabelCache
from multimodal.labels import read_label_set


def test_stored_labels_are_used_until_the_weights_change(tiny_folder, monkeypatch):
    presets.build(str(tiny_folder), ("colours",))
    names = [label.en for label in read_label_set("colours")]
    model = clip.load(str(tiny_folder))
    expected = LabelCache().embed(model, names, ensemble=True)
    cache = LabelCache()
    presets.prime(cache, model)
    with monkeypatch.context() as without_model:
        without_model.setattr(model, "encode_texts", None)
        assert torch.allclose(cache.embed(model, names, ensemble=True), expected, atol=2e-3)
    config = tiny_folder / checkpoint.CONFIG
    body = json.loads(config.read_text())
    body["config"]["image_size"] += 8  # another model by its sum
    config.write_text(json.dumps(body))
    cache, other = LabelCache(), clip.load(str(tiny_folder))
    presets.prime(cache, other)
    monkeypatch.setattr(other, "encode_texts", lambda texts: torch.ones(len(texts), 24))
    assert not torch.allclose(cache.embed(other, names, ensemble=True), expected, atol=2e-3)


def test_the_shipped_labels_belong_to_the_shipped_weights():
    model = clip.load("clip-photos")
    cache = LabelCache()
    presets.prime(cache, model)
    names = [label.ko for label in read_label_set("coco80")]
    kept = cache.embed(model, names, ensemble=True)
    fresh = LabelCache().embed(model, names, ensemble=True)
    assert torch.allclose(kept, fresh, atol=2e-3)
