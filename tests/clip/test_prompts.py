import pytest
import torch
from torch.nn import functional as F

from multimodal.clip.prompts import ENSEMBLE, LabelCache, clean_labels, fill, language_of
from multimodal.errors import UserError


def test_ensemble_is_the_normalised_mean_of_normalised_sentences(tiny_clip):
    sentences = [fill(template, "boat") for template in ENSEMBLE["en"]]
    expected = F.normalize(tiny_clip.encode_texts(sentences).mean(0), dim=0)
    got = LabelCache().embed(tiny_clip, ["boat"], ensemble=True)[0]
    assert torch.allclose(got, expected, atol=1e-5)


def test_each_label_gets_the_templates_of_its_language(tiny_clip):
    got = LabelCache().embed(tiny_clip, ["boat", "배"])
    expected = tiny_clip.encode_texts(["a photo of a boat", "배 사진"])
    assert torch.allclose(got, expected, atol=1e-5)


def test_nothing_is_encoded_twice(tiny_clip, monkeypatch):
    seen = []
    encode = tiny_clip.encode_texts
    monkeypatch.setattr(
        tiny_clip, "encode_texts", lambda texts: seen.extend(texts) or encode(texts)
    )
    cache = LabelCache()
    cache.embed(tiny_clip, ["boat", "cat"])
    cache.embed(tiny_clip, ["cat", "boat", "sun"])
    assert sorted(seen) == ["a photo of a boat", "a photo of a cat", "a photo of a sun"]


def test_own_templates_and_bad_ones(tiny_clip):
    cache = LabelCache()
    got = cache.embed(tiny_clip, ["boat"], templates=["art of {}"])
    assert torch.allclose(got, tiny_clip.encode_texts(["art of boat"]), atol=1e-5)
    with pytest.raises(UserError, match="no {}"):
        cache.embed(tiny_clip, ["boat"], templates=["a boat"])


def test_a_full_cache_still_answers(tiny_clip):
    cache = LabelCache(capacity=2)
    labels = [f"boat {i}" for i in range(6)]
    assert torch.allclose(
        cache.embed(tiny_clip, labels), LabelCache().embed(tiny_clip, labels), atol=1e-6
    )


def test_labels_are_cleaned():
    assert clean_labels([" a  cat ", "dog", "", "dog"]) == ["a cat", "dog"]
    with pytest.raises(UserError, match="no label"):
        clean_labels([" ", ""])
    with pytest.raises(UserError, match="5001 labels"):
        clean_labels([str(i) for i in range(5001)])


def test_language_is_read_off_the_letters():
    assert language_of("고양이 cat") == "ko" and language_of("cat, été") == "en"
