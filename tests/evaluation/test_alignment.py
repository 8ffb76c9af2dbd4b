"""Alignment on pairs worked out by hand."""

import pytest
import torch
from PIL import Image

from multimodal.data.photos import DataError
from multimodal.evaluation import alignment
from multimodal.vilbert.regions import Regions


class Matcher:
    """Prefers captions whose length is the photo's red."""

    class config:
        image_size = 8

    def encode_images(self, images):
        red = torch.tensor([float(image.getpixel((0, 0))[0]) for image in images])
        ones = torch.ones(len(images), 1, dtype=torch.bool)
        return Regions(red.view(-1, 1, 1), torch.zeros(len(images), 1, 5), ones)

    def alignment(self, regions, captions, picture):
        red = regions.features[list(picture), 0, 0]
        return -(red - torch.tensor([float(len(caption)) for caption in captions])).abs()


@pytest.fixture
def photos(tmp_path):
    """Four photos, redder and redder; the caption of the last is further off than any other."""
    lines = ["image,caption"]
    for i, length in enumerate((10, 20, 30, 400)):
        Image.new("RGB", (16, 16), (10 * (i + 1), 0, 0)).save(tmp_path / f"{i}.png")
        lines += [f"{i}.png,{'a' * length}", f"{i}.png,another one"]
    lines.append("missing.png,of a photo that is not there")
    (tmp_path / "captions.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_the_share_of_photos_whose_own_caption_is_preferred(photos):
    for seed in range(5):
        found = alignment.evaluate(Matcher(), photos, photos / "captions.txt", seed)
        assert found == {"aligned": 75, "images": 4}  # whichever captions they are shown
    assert found == alignment.evaluate(Matcher(), photos, photos / "captions.txt", seed)


def test_no_caption_is_compared_with_itself():
    regions = Regions(torch.zeros(3, 1, 1), torch.zeros(3, 1, 5), torch.ones(3, 1).bool())
    shown = []

    class Listener(Matcher):
        def alignment(self, regions, captions, picture):
            shown.append(list(captions))
            return torch.zeros(len(captions))

    for seed in range(20):
        assert alignment.alignment(Listener(), regions, ["a", "b", "c"], seed) == 0  # no tie wins
    own, others = shown[::2], shown[1::2]
    assert all(
        a != b
        for mine, other in zip(own, others, strict=True)
        for a, b in zip(mine, other, strict=True)
    )


def test_one_photo_is_too_few(photos):
    (photos / "one.txt").write_text("image,caption\n0.png,a\n")
    with pytest.raises(DataError, match="--images"):
        alignment.evaluate(Matcher(), photos, photos / "one.txt")
