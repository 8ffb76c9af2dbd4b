import pytest
import torch
from torch.nn import functional as F

from multimodal.retrieval.metrics import recall_at_k


def test_perfect_and_golden_cases():
    vectors = torch.eye(4)
    figures = recall_at_k(
        vectors, vectors.repeat_interleave(2, 0), torch.arange(4).repeat_interleave(2)
    )
    assert figures["t2i_r1"] == figures["i2t_r1"] == 100 and figures["median_rank"] == 1
    assert (figures["images"], figures["captions"]) == (4, 8)
    # the second caption lies nearer to the first picture than to its own
    texts = F.normalize(torch.tensor([[1.0, 0.1], [0.9, 0.5]]), dim=1)
    figures = recall_at_k(torch.eye(2), texts, torch.tensor([0, 1]))
    assert figures["t2i_r1"] == 50 and figures["t2i_r5"] == 100
    assert figures["i2t_r1"] == 100


def test_it_agrees_with_sorting():
    torch.manual_seed(0)
    images, owner = F.normalize(torch.randn(30, 8), dim=1), torch.arange(90) % 30
    texts = F.normalize(images[owner] + torch.randn(90, 8), dim=1)
    ranks = [
        (texts[i] @ images.T).argsort(descending=True).tolist().index(int(owner[i])) + 1
        for i in range(90)
    ]
    figures = recall_at_k(images, texts, owner)
    for k in (1, 5, 10):
        assert figures[f"t2i_r{k}"] == pytest.approx(100 * sum(r <= k for r in ranks) / 90)


def test_a_tie_counts_against_the_model():
    same = torch.ones(3, 2) / 2**0.5
    assert recall_at_k(same, same, torch.arange(3))["t2i_r1"] == 0
