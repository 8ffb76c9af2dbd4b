"""A CLIP model that sees mean colours and knows their names, so that every answer is known."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from multimodal.clip.base import ClipModel
from multimodal.retrieval import IndexProgress

COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "white": (255, 255, 255),
}


class ColourClip(ClipModel):
    """Pictures and colour names as points in colour space; other words as what they hash to."""

    name, embed_dim, image_size, logit_scale = "colours", 8, 16, 10.0

    def __init__(self, fingerprint: str = "colours-1") -> None:
        self.fingerprint = fingerprint
        self.seen = 0
        self.lock = threading.Lock()

    def preprocess(self, image):
        small = image.resize((self.image_size, self.image_size), Image.Resampling.BOX)
        return torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 255

    def encode_pixels(self, pixels):
        with self.lock:
            self.seen += len(pixels)
        return self._unit(pixels.mean((2, 3)))

    def encode_texts(self, texts):
        rows = []
        for text in texts:
            known = [np.array(COLOURS[word]) for word in text.split() if word in COLOURS]
            seed = sum(text.encode()) % 2**16
            rows.append(
                np.mean(known, axis=0) / 255
                if known
                else np.random.default_rng(seed).uniform(0, 1, 3)
            )
        return self._unit(torch.tensor(np.array(rows), dtype=torch.float32))

    def _unit(self, colours):
        out = torch.zeros(len(colours), self.embed_dim)
        out[:, :3] = colours - 0.4
        out[:, 3] = 0.1
        return torch.nn.functional.normalize(out, dim=-1)


def picture(colour, size=(40, 30), seed=None) -> Image.Image:
    """A picture of one colour, with a little noise where a seed is given."""
    pixels = np.full((size[1], size[0], 3), colour, np.int16)
    if seed is not None:
        rng = np.random.default_rng(seed)
        pixels = pixels + rng.integers(-40, 41, 3) + rng.integers(-9, 10, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture
def model() -> ColourClip:
    return ColourClip()


@pytest.fixture
def photos(tmp_path):
    """A folder of five pictures named after their colour, one in a subfolder."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for name, colour in COLOURS.items():
        place = folder / "sub" if name == "white" else folder
        picture(colour).save(place / f"{name}.png")
    return folder


@pytest.fixture
def many(tmp_path):
    """A folder of 60 pictures of various colours."""
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(60):
        picture(list(COLOURS.values())[i % 5], seed=i).save(folder / f"{i:03}.jpg", quality=95)
    return folder


@pytest.fixture(params=["folder", "memory"])
def place(request, tmp_path):
    """Where a gallery is kept; None is the memory."""
    return tmp_path / "gallery" if request.param == "folder" else None


@pytest.fixture
def add():
    """Puts photos into a gallery and gives the last progress."""

    def add(gallery, sources, *args, **options) -> IndexProgress:
        return list(gallery.add(sources, *args, **options))[-1]

    return add
