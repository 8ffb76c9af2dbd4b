import pytest
import torch
from PIL import Image, ImageDraw

from multimodal.clip.explain import enlarge, occluded_embeddings, occlusion_maps
from multimodal.clip.zero_shot import probabilities, rank


def test_softmax_golden_value():
    cosine = torch.tensor([0.30, 0.25, 0.20])
    shares = probabilities(cosine, 100.0)
    assert shares.tolist() == pytest.approx([0.9932, 0.0067, 0.0000454], rel=1e-2)
    assert probabilities(cosine, 1e-6).tolist() == pytest.approx([1 / 3] * 3, rel=1e-3)


def test_independent_labels_do_not_compete():
    two = probabilities(torch.tensor([0.1, 0.1]), 10.0, independent=True, bias=-1.0)
    assert two.tolist() == pytest.approx([0.5, 0.5])
    more = probabilities(torch.tensor([0.1, 0.1, 0.9]), 10.0, independent=True, bias=-1.0)
    assert more[:2].tolist() == pytest.approx([0.5, 0.5])


def test_rank_puts_the_best_first():
    cosine = torch.tensor([0.1, 0.3, 0.2])
    ranked = rank(["a", "b", "c"], cosine, probabilities(cosine, 10.0))
    assert [p.label for p in ranked] == ["b", "c", "a"]
    assert sum(p.probability for p in ranked) == pytest.approx(1.0)


class Redness:
    """A stand-in model whose two labels are "red" and "not red": the answer is known."""

    image_size = 56

    def preprocess(self, image):
        raw = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        return raw.view(56, 56, 3).permute(2, 0, 1).float() / 255

    def encode_pixels(self, pixels):
        red = (pixels[:, 0] - pixels[:, 1]).mean((1, 2))
        return torch.stack([red, 1 - red], 1)


def test_the_map_lights_up_where_the_label_is():
    image = Image.new("RGB", (56, 56), "black")
    ImageDraw.Draw(image).rectangle((40, 8, 48, 16), fill="red")  # row 1 to 2, column 5 to 6
    occluded = occluded_embeddings(Redness(), image)
    maps = occlusion_maps(occluded, torch.eye(2))
    assert maps.shape == (2, 7, 7) and maps.min() >= 0 and maps.max() <= 1
    row, column = divmod(maps[0].argmax().item(), 7)
    assert row in (1, 2) and column in (5, 6)
    assert maps[0, 4:, :3].max() < 0.2
    assert enlarge(maps, 20, 30).shape == (2, 20, 30)
