"""Scaled dot-product attention."""

import math

import pytest
import torch

from multimodal.attention import attend

BATCH, HEADS, QUERIES, KEYS, SIZE = 2, 3, 4, 5, 8


@pytest.fixture
def tokens():
    """Queries, keys, values, and which keys are seen: all but the last of the second row."""
    make = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(BATCH, HEADS, count, SIZE, generator=make) for count in (QUERIES, KEYS, KEYS)
    )
    visible = torch.ones(BATCH, 1, 1, KEYS, dtype=torch.bool)
    visible[1, ..., -1] = False
    return query, key, value, visible


def by_loops(query, key, value, visible):
    mixed = torch.zeros(BATCH, HEADS, QUERIES, SIZE)
    for b in range(BATCH):
        for h in range(HEADS):
            for q in range(QUERIES):
                seen = [k for k in range(KEYS) if visible[b, 0, 0, k]]
                fits = [
                    math.exp(float(query[b, h, q] @ key[b, h, k]) / math.sqrt(SIZE)) for k in seen
                ]
                for fit, k in zip(fits, seen, strict=True):
                    mixed[b, h, q] += fit / sum(fits) * value[b, h, k]
    return mixed


def test_it_mixes_values_as_loops_do(tokens):
    torch.testing.assert_close(attend(*tokens), by_loops(*tokens))


@pytest.mark.parametrize("queries", [1, 3, KEYS])
def test_causal_queries_see_no_key_that_comes_after_them(tokens, queries):
    _, key, value, _ = tokens
    query = key[:, :, -queries:].flip(-1)
    mask = torch.tensor([[k <= KEYS - queries + q for k in range(KEYS)] for q in range(queries)])
    maps = []
    mixed = attend(query, key, value)
    torch.testing.assert_close(mixed, attend(query, key, value, mask))
    torch.testing.assert_close(mixed, attend(query, key, value, maps=maps))
    assert ((maps[0] > 0) == mask).all()


def test_asking_for_maps_changes_nothing_but_that_they_come(tokens):
    maps = []
    torch.testing.assert_close(attend(*tokens, maps), attend(*tokens))
    (weights,) = maps
    assert weights.shape == (BATCH, HEADS, QUERIES, KEYS)
    torch.testing.assert_close(weights.sum(-1), torch.ones(BATCH, HEADS, QUERIES))
    assert (weights[1, ..., -1] == 0).all()


def test_learning_in_half_the_bits_takes_the_plain_way_to_the_same_gradients(tokens):
    *parts, visible = tokens
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        inputs = [part.to(dtype).detach().clone().requires_grad_() for part in parts]
        mixed = attend(*inputs, visible)
        (mixed.float() ** 2).sum().backward()
        found.append([mixed.detach().float(), *(part.grad.float() for part in inputs)])
        fused = "ScaledDotProduct" in mixed.grad_fn.name()
        assert fused == (dtype == torch.float32)
    for exact, rounded in zip(*found, strict=True):
        torch.testing.assert_close(rounded, exact, atol=0.05, rtol=0.05)
