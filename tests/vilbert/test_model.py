from dataclasses import asdict, replace

import pytest
import torch
from torch.nn import functional as F

from multimodal.errors import UserError
from multimodal.vilbert.config import VilbertConfig
from multimodal.vilbert.model import CoAttention, Vilbert
from multimodal.vilbert.regions import grid_boxes


@pytest.fixture
def inputs(config):
    """Three texts of 6 tokens about two pictures of 16 regions."""
    torch.manual_seed(1)
    return {
        "ids": torch.randint(5, config.text.vocab_size, (3, 6)),
        "mask": torch.ones(3, 6, dtype=torch.bool),
        "features": torch.rand(2, 16, 32),
        "boxes": grid_boxes(4, 4).expand(2, -1, -1),
        "picture": torch.tensor([0, 1, 1]),
    }


def test_shapes(model, inputs, config):
    out = model(**inputs)
    assert out.words.shape == (3, 6, 16) and out.regions.shape == (3, 17, 24)
    assert model.answer_logits(out).shape == (3, 6)
    assert model.alignment_logits(out).shape == (3,)
    assert model.word_logits(out.words).shape == (3, 6, config.text.vocab_size)
    assert model.region_logits(out.regions).shape == (3, 17, 3)
    assert model.grid(torch.rand(2, 3, 32, 32)).shape == (2, 16, 32)


def test_padding_is_never_attended(model, inputs):
    torch.manual_seed(2)
    mask, regions = inputs["mask"].clone(), torch.ones(2, 16, dtype=torch.bool)
    mask[0, 4:], regions[0, 10:] = False, False
    maps = []
    first = model(**{**inputs, "mask": mask}, region_mask=regions, maps=maps)
    for m in maps:
        hidden = m.weights[0, ..., 4:] if m.keys == "text" else m.weights[0, ..., 11:]
        assert torch.equal(hidden, torch.zeros_like(hidden))
    # whatever stands there changes nothing that is not padding
    ids, features = inputs["ids"].clone(), inputs["features"].clone()
    ids[0, 4:], features[0, 10:] = 7, 100.0
    changed = {**inputs, "ids": ids, "features": features, "mask": mask}
    second = model(**changed, region_mask=regions)
    assert torch.allclose(first.fused, second.fused, atol=1e-6)
    assert torch.allclose(first.words[0, :4], second.words[0, :4], atol=1e-6)
    assert torch.allclose(first.regions[0, :11], second.regions[0, :11], atol=1e-6)


def test_maps_sum_to_one_and_change_nothing(model, inputs, config):
    maps = []
    out = model(**inputs, maps=maps)
    assert torch.allclose(out.fused, model(**inputs).fused, atol=1e-6)
    assert [m.name for m in maps] == [
        "TRM 1 (text)",
        "TRM 1 (vision)",
        "Co-TRM 1 (text to vision)",
        "Co-TRM 1 (vision to text)",
        "TRM 2 (text)",
        "TRM 3 (text)",
        "TRM 2 (vision)",
        "Co-TRM 2 (text to vision)",
        "Co-TRM 2 (vision to text)",
    ]
    sizes = {"text": 6, "vision": 17}
    for m in maps:
        assert m.weights.shape == (3, 2, sizes[m.queries], sizes[m.keys])
        assert torch.allclose(m.weights.sum(-1), torch.ones(()), atol=1e-5)


def test_co_attention_equals_a_reference_written_with_loops(config):
    torch.manual_seed(3)
    side = CoAttention(width=6, other=10, hidden=12, config=config)
    x, other = torch.randn(2, 3, 6), torch.randn(2, 5, 10)
    visible = torch.ones(2, 1, 1, 5, dtype=torch.bool)
    visible[1, ..., 3:] = False
    expected = torch.zeros(2, 3, 6)
    size = config.co_width // config.co_heads
    for b in range(2):
        for i in range(3):
            mixed = []
            for h in range(config.co_heads):
                part = slice(h * size, (h + 1) * size)
                query = side.query(x[b, i])[part]
                seen = [j for j in range(5) if visible[b, 0, 0, j]]
                scores = torch.stack(
                    [query @ side.key(other[b, j])[part] / size**0.5 for j in seen]
                )
                shares = scores.exp() / scores.exp().sum()
                mixed.append(
                    sum(
                        share * side.value(other[b, j])[part]
                        for share, j in zip(shares, seen, strict=True)
                    )
                )
            state = side.attention_norm(x[b, i] + side.output(torch.cat(mixed)))
            hidden = F.gelu(side.expand(state))
            expected[b, i] = side.output_norm(state + side.contract(hidden))
    for maps in (None, []):
        assert torch.allclose(side(x, other, visible, maps), expected, atol=1e-5)


def test_each_stream_reads_the_other(model, inputs):
    before = model(**inputs)
    other = model(**{**inputs, "features": inputs["features"].flip(0)})
    assert not torch.allclose(before.words, other.words, atol=1e-4)
    ids = inputs["ids"].clone()
    ids[0, 3] += 1
    other = model(**{**inputs, "ids": ids})
    assert not torch.allclose(before.regions[0], other.regions[0], atol=1e-5)
    assert torch.allclose(before.regions[1:], other.regions[1:], atol=1e-6)


def test_without_co_attention_the_streams_meet_only_at_the_end(config, inputs):
    plain = Vilbert(replace(config, co_text=(), co_vision=())).eval()
    before = plain(**inputs)
    other = plain(**{**inputs, "features": inputs["features"].flip(0)})
    assert torch.equal(before.words, other.words)
    assert not torch.allclose(before.fused, other.fused, atol=1e-4)


def test_pictures_once_equal_pictures_for_each_text(model, inputs):
    once = model(**inputs)
    rows = inputs.pop("picture")
    inputs |= {"features": inputs["features"][rows], "boxes": inputs["boxes"][rows]}
    assert torch.allclose(once.fused, model(**inputs).fused, atol=1e-6)


def test_a_hidden_region_is_not_seen_anywhere(model, inputs):
    seen = torch.ones(2, 16, dtype=torch.bool)
    seen[:, 5] = False
    first = model(**inputs, seen=seen)
    inputs["features"][:, 5] = 9.0
    assert torch.equal(first.fused, model(**inputs, seen=seen).fused)


def test_gradients_reach_both_streams_and_every_part(model, inputs):
    pixels = torch.rand(2, 3, 32, 32)
    out = model(**{**inputs, "features": model.grid(pixels)})
    loss = model.answer_logits(out).square().sum() + model.alignment_logits(out).sum()
    loss = loss + model.word_logits(out.words).square().sum()
    (loss + model.region_logits(out.regions).square().sum()).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]
    for part in (
        model.language.words.weight,
        model.region_line.weight,
        model.co[0].text.key.weight,
    ):
        assert part.grad.abs().sum() > 0


def test_config_survives_a_dict_and_names_wrong_fields(config):
    assert VilbertConfig.from_dict(asdict(config)) == config
    with pytest.raises(UserError, match="unknown field 'colour'"):
        VilbertConfig.from_dict({"colour": 1})
    for wrong, message in (
        ({"co_text": (1,)}, "co_text and co_vision"),
        ({"co_text": (3, 1)}, "co_text must be rising"),
        ({"co_vision": (1, 9)}, "co_vision must be rising"),
        ({"co_heads": 3}, "co_heads"),
        ({"regions": "pixels"}, "regions is 'pixels'"),
        ({"image_tower": "none"}, "grid needs an image_tower"),
        ({"answers": ("yes", "yes")}, "answers must name"),
        ({"dropout": 1.0}, "dropout"),
        ({"rows": 0}, "rows must be"),
    ):
        with pytest.raises(UserError, match=message):
            replace(config, **wrong)
