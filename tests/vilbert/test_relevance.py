import torch

from multimodal.vilbert.model import AttentionMap
from multimodal.vilbert.regions import GridRegions
from multimodal.vilbert.relevance import follow, relevance


def attention(layer, queries, keys, rows):
    return AttentionMap(layer, 1, queries, keys, torch.tensor([[rows]], dtype=torch.float))


def test_self_attention_adds_what_helped():
    """One layer within words: R = I + positive part of gradient times attention."""
    maps = [
        attention("TRM", "text", "text", [[0.5, 0.5], [0.2, 0.8]]),
        attention("TRM", "vision", "vision", [[1.0]]),
    ]
    gradients = [torch.tensor([[[[2.0, -1.0], [1.0, 0.0]]]]), torch.zeros(1, 1, 1, 1)]
    found = follow(maps, gradients)
    assert torch.allclose(found.tt, torch.tensor([[2.0, 0.0], [0.2, 1.0]]))
    assert torch.allclose(found.ii, torch.eye(1)) and found.ti.abs().sum() == 0


def test_co_attention_names_the_region_that_mattered():
    """[CLS] reads three regions; only the middle one raised the score."""
    maps = [
        attention("Co-TRM", "text", "vision", [[0.2, 0.5, 0.3]]),
        attention("Co-TRM", "vision", "text", [[1.0]] * 3),
    ]
    gradients = [torch.tensor([[[[-1.0, 2.0, 0.0]]]]), torch.zeros(1, 1, 3, 1)]
    found = follow(maps, gradients)
    assert torch.allclose(found.ti, torch.tensor([[0.0, 1.0, 0.0]]))
    assert torch.equal(found.it, torch.zeros(3, 1))
    # beside the global token itself, which always rests on itself
    assert torch.allclose(found.regions, torch.tensor([1.0, 1.0, 0.0]))


def test_relevance_goes_on_through_later_layers():
    """A word takes from region 1, then [CLS] takes from that word: [CLS] rests on region 1."""
    maps = [
        attention("Co-TRM", "text", "vision", [[0.5, 0.5], [0.1, 0.9]]),
        attention("Co-TRM", "vision", "text", [[0.5, 0.5], [0.5, 0.5]]),
        attention("TRM", "text", "text", [[0.0, 1.0], [0.0, 1.0]]),
    ]
    gradients = [
        torch.tensor([[[[0.0, 0.0], [0.0, 1.0]]]]),
        torch.zeros(1, 1, 2, 2),
        torch.tensor([[[[0.0, 1.0], [0.0, 0.0]]]]),
    ]
    found = follow(maps, gradients)
    assert torch.allclose(found.ti, torch.tensor([[0.0, 0.9], [0.0, 0.9]]))
    assert torch.allclose(found.words, torch.tensor([1.0, 1.0]))


def test_both_sides_of_a_co_attention_read_the_state_before_it():
    maps = [
        attention("Co-TRM", "text", "vision", [[1.0]]),
        attention("Co-TRM", "vision", "text", [[1.0]]),
    ]
    found = follow(maps, [torch.ones(1, 1, 1, 1)] * 2)
    # R_it and R_ti were zero before, so nothing is added within a stream
    assert torch.equal(found.tt, torch.eye(1)) and torch.equal(found.ii, torch.eye(1))
    assert torch.equal(found.ti, torch.ones(1, 1)) and torch.equal(found.it, torch.ones(1, 1))


def test_what_cannot_be_seen_is_not_relevant(model, tiny_tokenizer):
    model.requires_grad_(False)
    regions = GridRegions(model).of_pixels(torch.rand(1, 3, 32, 32))
    regions.mask[0, 7:] = False
    ids, _ = tiny_tokenizer(["a red boat"])
    found = relevance(model, ids, regions, answer=2)
    assert found.words.shape == (ids.shape[1],) and found.regions.shape == (17,)
    assert torch.isfinite(found.regions).all() and found.ti[0].sum() > 0
    assert found.ti[:, 8:].abs().sum() == 0
