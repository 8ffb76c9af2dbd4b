import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from multimodal.dalle.sampling import draw, guide, keep_top_k, keep_top_p, shape

ROWS = st.lists(st.floats(-20, 20, width=32, allow_nan=False), min_size=2, max_size=12).map(
    lambda row: torch.tensor([row])
)


@settings(deadline=None)
@given(ROWS, st.integers(0, 20))
def test_top_k_keeps_exactly_k_ties_or_not(logits, k):
    kept = keep_top_k(logits, k).isfinite().sum().item()
    assert kept == (min(k, logits.shape[1]) if k else logits.shape[1])


@settings(deadline=None)
@given(st.integers(1, 9))
def test_top_k_of_equal_logits_keeps_k(k):
    assert keep_top_k(torch.zeros(1, 9), k).isfinite().sum() == k


@settings(deadline=None)
@given(ROWS, st.integers(1, 20))
def test_what_top_k_keeps_is_no_less_likely_than_what_it_drops(logits, k):
    kept = keep_top_k(logits, k).isfinite()
    if not kept.all():
        assert logits[kept].min() >= logits[~kept].max()


@settings(deadline=None)
@given(ROWS, st.floats(0, 1))
def test_top_p_keeps_the_smallest_set_that_reaches_p(logits, p):
    kept = keep_top_p(logits, p).isfinite()
    share = logits.softmax(-1)
    assert kept.sum() >= 1
    assert float(share[kept].sum()) >= min(p, 1) - 1e-4
    if kept.sum() > 1 and p < 1:  # without its least likely token it would not reach p
        assert float(share[kept].sum() - share[kept].min()) < p + 1e-4


def test_top_p_of_nought_is_the_likeliest_token_and_of_one_all():
    logits = torch.tensor([[1.0, 3.0, 2.0], [5.0, 5.0, 5.0]])
    assert keep_top_p(logits, 0).isfinite().sum(1).tolist() == [1, 1]
    assert keep_top_p(logits, 0)[0].argmax() == 1
    assert torch.equal(keep_top_p(logits, 1), logits)


@settings(deadline=None)
@given(ROWS, st.floats(0, 3), st.integers(0, 15), st.floats(0, 1))
def test_the_distribution_is_one(logits, temperature, k, p):
    chances = shape(logits, temperature, k, p)
    assert chances.isfinite().all() and float(chances.sum()) == pytest.approx(1, abs=1e-4)


def test_temperature_nought_is_certain():
    assert shape(torch.tensor([[0.1, 0.3, 0.2]]), 0, 0, 1).tolist() == [[0, 1, 0]]


def test_guidance_of_one_is_the_caption_and_of_nought_none():
    with_caption, without = torch.randn(2, 5), torch.randn(2, 5)
    assert torch.allclose(guide(with_caption, without, 1), with_caption)
    assert torch.equal(guide(with_caption, without, 0), without)
    assert torch.allclose(guide(with_caption, without, 3), without + 3 * (with_caption - without))


def test_each_row_has_its_own_seed():
    chances = torch.full((3, 50), 1 / 50)

    def drawn(*seeds):
        return draw(chances[: len(seeds)], [torch.Generator().manual_seed(s) for s in seeds])

    assert torch.equal(drawn(1, 2, 3)[1:], drawn(2, 3))


def test_tokens_are_drawn_as_often_as_they_are_likely():
    generator = torch.Generator().manual_seed(0)
    chances = torch.tensor([[0.7, 0.2, 0.1]])
    counts = torch.bincount(torch.cat([draw(chances, [generator]) for _ in range(3000)]))
    assert torch.allclose(counts / 3000, chances[0], atol=0.03)
