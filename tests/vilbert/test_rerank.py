"""Photos in the order of the two-stream model."""

import pytest
import torch
from PIL import Image

from multimodal.errors import UserError
from multimodal.vilbert.rerank import rerank

COLOURS = ("red", "green", "blue", "yellow")


@pytest.fixture
def photos():
    return [Image.new("RGB", (40, 30), colour) for colour in COLOURS]


def test_the_order_is_that_of_the_alignment_of_each_pair(answerer, photos):
    found = rerank(answerer, photos, "a red boat")
    each = [answerer.aligned(photo, ["a red boat"])[0] for photo in photos]
    assert found.probabilities == pytest.approx(each, abs=1e-5)
    assert sorted(found.order) == [0, 1, 2, 3]
    assert [each[i] for i in found.order] == sorted(each, reverse=True)


def test_the_order_does_not_depend_on_the_order_given(answerer, photos):
    forth, back = rerank(answerer, photos, "a boat"), rerank(answerer, photos[::-1], "a boat")
    assert forth.order == tuple(3 - i for i in back.order)


def test_photos_that_fit_alike_stay_as_they_were(answerer, photos, monkeypatch):
    monkeypatch.setattr(answerer, "alignment", lambda *given: torch.tensor([0.0, 1.0, 0.0, 1.0]))
    assert rerank(answerer, photos, "a boat").order == (1, 3, 0, 2)


def test_regions_are_computed_once_for_many_words(answerer, photos, monkeypatch):
    seen, source = [], answerer._source
    monkeypatch.setattr(answerer, "_source", lambda images: seen.append(images) or source(images))
    for words in ("a red boat", "a blue house", "파란 집"):
        found = rerank(answerer, photos, words)
        assert found.regions_ms > 0 and found.pairs_ms > 0
    assert len(seen) == len(photos)


def test_nothing_to_rerank_is_said(answerer, photos):
    with pytest.raises(UserError, match="no words"):
        rerank(answerer, photos, " ")
    with pytest.raises(UserError, match="no photos"):
        rerank(answerer, [], "a boat")
