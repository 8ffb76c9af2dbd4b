import pytest
import torch

from multimodal.dalle.transformer import Cache, Dalle, DalleConfig
from multimodal.errors import UserError


@pytest.fixture
def stream(dalle, captions):
    text = captions(["a red boat", "파란 집"])
    image = torch.randint(0, 20, (2, 36), generator=torch.Generator().manual_seed(3))
    return text, image


@torch.no_grad()
def test_cached_logits_equal_uncached_ones(dalle, stream):
    text, image = stream
    _, (whole, *_) = dalle(text, image)
    cache = Cache(dalle.config, 2, dalle.codes.weight)
    x = dalle.stream(dalle.embed_text(text), cache)
    steps = [dalle.image_head(x[:, -1])]
    for place in range(35):
        x = dalle.stream(dalle.embed_image(image[:, place : place + 1], place), cache)
        steps.append(dalle.image_head(x[:, -1]))
    assert torch.allclose(torch.stack(steps, 1), whole, atol=1e-4)
    assert cache.length == 10 + 36


@torch.no_grad()
def test_a_chunk_after_a_cached_start_equals_one_pass(dalle, stream):
    text, image = stream
    _, (whole, *_) = dalle(text, image)
    cache = Cache(dalle.config, 2, dalle.codes.weight)
    dalle.stream(dalle.embed_text(text), cache)
    x = dalle.stream(dalle.embed_image(image[:, :12]), cache)
    assert torch.allclose(dalle.image_head(x), whole[:, 1:13], atol=1e-4)


@torch.no_grad()
def test_one_prompt_fanned_out_equals_many(dalle, stream):
    text, image = stream
    cache = Cache(dalle.config, 1, dalle.codes.weight)
    dalle.stream(dalle.embed_text(text[:1]), cache)
    wide = cache.fan_out(3)
    x = dalle.stream(dalle.embed_image(image[:1, :1].repeat(3, 1)), wide)
    _, (whole, *_) = dalle(text[:1], image[:1])
    assert torch.allclose(dalle.image_head(x[:, -1]), whole[:, 1].repeat(3, 1), atol=1e-4)


@torch.no_grad()
def test_nothing_sees_what_comes_after_it(dalle, stream):
    text, image = stream
    changed = image.clone()
    changed[:, 20:] = (changed[:, 20:] + 1) % 20
    _, (before, *_) = dalle(text, image)
    _, (after, *_) = dalle(text, changed)
    assert torch.allclose(before[:, :21], after[:, :21], atol=1e-6)
    assert not torch.allclose(before[:, 22:], after[:, 22:], atol=1e-3)


@torch.no_grad()
def test_the_colour_of_a_cell_is_foretold_from_its_shape_and_what_came_before(captions):
    torch.manual_seed(0)
    config = DalleConfig(
        captions.vocab_size, 10, codes=20, colours=4, grid=6, width=16, layers=2, heads=2
    )
    dalle = Dalle(config).eval()
    for parameter in dalle.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    text, image = captions(["a red boat"]), torch.arange(36)[None] % 20
    changed = image.clone()
    changed[:, 20] = image[:, 20] // 4 * 4 + (image[:, 20] + 1) % 4  # another colour
    other = image.clone()
    other[:, 20] = (image[:, 20] + 4) % 20  # another shape
    (_, own), (_, repainted), (_, reshaped) = (dalle(text, i)[1] for i in (image, changed, other))
    assert own.shape == (1, 36, 4)
    assert torch.allclose(own[:, :21], repainted[:, :21], atol=1e-6)
    assert not torch.allclose(own[:, 21], repainted[:, 21], atol=1e-3)
    assert torch.allclose(own[:, :20], reshaped[:, :20], atol=1e-6)
    assert not torch.allclose(own[:, 20], reshaped[:, 20], atol=1e-3)


@torch.no_grad()
def test_the_loss_of_pairs_is_that_of_the_joint_distribution(dalle, stream):
    text, image = stream
    _, logits = dalle(text, image)
    colours = max(dalle.config.colours, 1)
    chance = logits[0].softmax(-1).gather(2, image[..., None] // colours)
    if dalle.config.colours:
        chance = chance * logits[1].softmax(-1).gather(2, image[..., None] % colours)
    expected = float(-chance.log().mean())
    assert dalle.image_loss(logits, image).item() == pytest.approx(expected, abs=1e-4)


@torch.no_grad()
def test_attention_maps_sum_to_one_and_look_back_only(dalle, stream):
    maps = []
    _, places = dalle.read(*stream, maps)
    assert len(maps) == 2 and maps[0].shape == (2, 2, 46, 46)
    for layer in maps:
        assert torch.allclose(layer.sum(-1), torch.ones(2, 2, 46), atol=1e-5)
        assert float(layer.triu(1).abs().max()) == 0
    assert torch.allclose(dalle.image_head(places), dalle(*stream)[1][0], atol=1e-4)


def test_every_image_place_is_told_by_its_row_and_column(dalle):
    same = torch.zeros(1, 36, dtype=torch.long)
    vectors = dalle.embed_image(same)[0]
    assert len({tuple(v.tolist()) for v in vectors}) == 36
    assert torch.allclose(dalle.embed_image(same[:, :4], first=12)[0], vectors[12:16])


@pytest.mark.parametrize(
    "values, field",
    [
        ({"heads": 5}, "heads"),
        ({"colours": 7}, "colours"),
        ({"layers": 0}, "layers"),
        ({"size": 3}, "size"),
    ],
)
def test_a_wrong_configuration_names_its_field(values, field):
    with pytest.raises(UserError, match=field):
        DalleConfig.from_dict(values)


def test_a_caption_and_its_picture_are_learned_by_heart(captions):
    torch.manual_seed(0)
    config = DalleConfig(captions.vocab_size, 10, codes=20, grid=4, width=32, layers=2, heads=2)
    model = Dalle(config)
    text = captions(["a red boat", "a blue cat"])
    image = torch.randint(0, 20, (2, 16))
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(120):
        _, logits = model(text, image)
        loss = model.image_loss(logits, image)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss < 0.1
    assert torch.equal(model(text, image)[1][0].argmax(-1), image)
