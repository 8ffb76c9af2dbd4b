"""The judge of the drawn world: it looks at a picture and lists what it sees.

A small detector in the manner of CenterNet (Zhou et al. 2019, "Objects as Points"): every cell of
a grid says how sure it is to hold the middle of a thing of each kind, and which colour and size
that thing has. What it lists is a scene, so the exact checker of the drawn world can say whether
a picture, drawn or generated, shows what a prompt names.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from os import PathLike
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from multimodal import checkpoint
from multimodal.data.toybox import (
    BACKGROUNDS,
    COLOURS,
    KINDS,
    LANGUAGES,
    Scene,
    Split,
    Thing,
    draw,
    full_caption,
    hard_negatives,
    make_scene,
    parse,
    shows,
)
from multimodal.errors import UserError

STRIDE = 4  # pixels per cell of the grid
BATCH = 64
# far from the seeds that training draws from
SEED_OFFSET = 700_000_000


@dataclass(frozen=True)
class JudgeConfig:
    """What the judge is made of.

    Attributes:
        side: Width and height in pixels of the pictures that it reads; a multiple of 8.
        width: Channels of the first convolution; the others are multiples of it.
        threshold: How sure a cell must be, 0 to 1, for its thing to be listed.
        separation: Least distance of two things' middles, as a fraction of the picture. Nearer
            ones are one thing seen twice; the middles of drawn things are 0.14 apart or more.
    """

    side: int = 96
    width: int = 20
    threshold: float = 0.35
    separation: float = 0.09

    def __post_init__(self) -> None:
        if not isinstance(self.side, int) or self.side < 32 or self.side % 8:
            raise UserError(f"side is {self.side!r}; it must be a multiple of 8 from 32 up.")
        if not isinstance(self.width, int) or self.width < 1:
            raise UserError(f"width is {self.width!r}; it must be a positive whole number.")
        for name in ("threshold", "separation"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < 1:
                raise UserError(f"{name} is {value!r}; it must be between 0 and 1.")

    @classmethod
    def from_dict(cls, values: dict) -> "JudgeConfig":
        """Reads a `config.json`'s configuration.

        Raises:
            UserError: naming a field that is unknown or wrong.
        """
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise UserError(f"The judge's configuration has an unknown field {min(unknown)!r}.")
        return cls(**values)


class Sight(NamedTuple):
    """What the network says of a batch of pictures; its grid has side / 4 cells each way.

    Attributes:
        kinds: (batch, kinds, rows, columns) logits: the middle of such a thing is in this cell.
        colours: (batch, colours, rows, columns) logits of that thing's colour.
        big: (batch, rows, columns) logit of that thing being big.
        offset: (batch, 2, rows, columns) from the cell's middle to the thing's, x and y in cells.
        background: (batch, backgrounds) logits.
    """

    kinds: Tensor
    colours: Tensor
    big: Tensor
    offset: Tensor
    background: Tensor


class JudgeNetwork(nn.Module):
    """Convolutions down to cells of 8 pixels, which see far, and back up to cells of 4."""

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.fine = nn.Sequential(
            _convolution(3, width, stride=2),
            _convolution(width, 2 * width, stride=2),
            _convolution(2 * width, 4 * width),
        )
        self.deep = nn.Sequential(
            _convolution(4 * width, 6 * width, stride=2),
            *(_convolution(6 * width, 6 * width) for _ in range(3)),
        )
        self.rise = nn.Conv2d(6 * width, 4 * width, 1)
        self.join = _convolution(4 * width, 4 * width)
        self.head = nn.Conv2d(4 * width, len(KINDS) + len(COLOURS) + 3, 1)
        self.background = nn.Linear(6 * width, len(BACKGROUNDS))
        # nearly all cells hold nothing; a network that starts by saying so learns calmly
        nn.init.constant_(self.head.bias[: len(KINDS)], -4.0)
        self.to(memory_format=torch.channels_last)

    def forward(self, pixels: Tensor) -> Sight:
        """(batch, 3, side, side) with values 0 to 1 -> what is seen."""
        pixels = (2 * pixels - 1).contiguous(memory_format=torch.channels_last)
        fine = self.fine(pixels)
        deep = self.deep(fine)
        cells = self.join(fine + F.interpolate(self.rise(deep), scale_factor=2.0))
        parts = self.head(cells).split([len(KINDS), len(COLOURS), 1, 2], 1)
        kinds, colours, big, offset = parts
        return Sight(kinds, colours, big[:, 0], offset, self.background(deep.mean((2, 3))))


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def decode(sight: Sight, config: JudgeConfig) -> list[Scene]:
    """Lists the things that the network is sure of, each once.

    The surest cell comes first, and cells whose things are nearer to it than `separation` speak
    of the same one.

    Args:
        sight: What the network said of a batch.
        config: Its threshold and separation.

    Returns:
        A scene for each picture, its things from left to right, its seed 0.
    """
    score, kind = sight.kinds.sigmoid().max(1)  # (batch, rows, columns)
    colour, big, background = sight.colours.argmax(1), sight.big > 0, sight.background.argmax(1)
    rows, columns = score.shape[1:]
    scenes = []
    for i in range(len(score)):
        sure = (score[i] > config.threshold).nonzero().tolist()
        things: list[Thing] = []
        for row, column in sorted(sure, key=lambda cell: -score[i, cell[0], cell[1]].item()):
            x = (column + 0.5 + sight.offset[i, 0, row, column].item()) / columns
            y = (row + 0.5 + sight.offset[i, 1, row, column].item()) / rows
            if any(math.dist((x, y), (t.x, t.y)) < config.separation for t in things):
                continue
            things.append(
                Thing(
                    KINDS[kind[i, row, column]],
                    COLOURS[colour[i, row, column]],
                    "big" if big[i, row, column] else "small",
                    round(min(max(x, 0.0), 1.0), 4),
                    round(min(max(y, 0.0), 1.0), 4),
                )
            )
        things.sort(key=lambda thing: (thing.x, thing.y))
        scenes.append(Scene(BACKGROUNDS[background[i]], tuple(things), 0))
    return scenes


class Judge:
    """Says what pictures of the drawn world show, and whether they obey their prompts."""

    def __init__(self, network: JudgeNetwork) -> None:
        self.network = network.eval()
        self.config = network.config

    @classmethod
    def load(cls, name: str | PathLike = "judge-toybox") -> "Judge":
        """Reads a judge.

        Args:
            name: A bundled name or a checkpoint folder.

        Raises:
            CheckpointError: if it is missing, torn, foreign or no judge.
        """
        found = checkpoint.load(name, "judge")
        network = JudgeNetwork(JudgeConfig.from_dict(found.manifest.config))
        checkpoint.fill(network, found)
        return cls(network)

    def scenes(self, images: Sequence[Image.Image]) -> list[Scene]:
        """What is seen in each picture.

        Args:
            images: Pictures of any size; they are squeezed to `side` x `side` pixels.

        Returns:
            A scene for each, its seed 0.
        """
        found: list[Scene] = []
        for first in range(0, len(images), BATCH):
            pixels = torch.stack([self._pixels(image) for image in images[first : first + BATCH]])
            with torch.inference_mode():
                found += decode(self.network(pixels), self.config)
        return found

    def obeys(self, images: Sequence[Image.Image], captions: Sequence[str]) -> list[bool]:
        """Whether each picture shows all that its caption says.

        Args:
            images: Pictures of any size.
            captions: One for each, in English or Korean.

        Raises:
            UserError: if a caption has words that the drawn world does not know.
            ValueError: if there are more or fewer captions than pictures.
        """
        facts = [parse(caption) for caption in captions]  # a bad caption fails before the work
        return [shows(s, f) for s, f in zip(self.scenes(images), facts, strict=True)]

    def _pixels(self, image: Image.Image) -> Tensor:
        """(3, side, side) with values 0 to 1."""
        side = self.config.side
        image = image.convert("RGB")
        if image.size != (side, side):
            image = image.resize((side, side), Image.Resampling.LANCZOS)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


def judge_accuracy(
    judge: Judge,
    seed: int = 0,
    scenes: int = 900,
    view: Callable[[Image.Image], Image.Image] | None = None,
) -> dict[str, float]:
    """How often the judge is right, on scenes that it was never trained on.

    Every scene is shown with its full caption, which is true, and with its hard negatives, which
    are false by one word, in both languages.

    Args:
        judge: The judge to try.
        seed: Chooses the scenes.
        scenes: How many; the three splits take turns.
        view: Changes every picture before it is judged, such as a blur; None: as drawn.

    Returns:
        In per cent: judge_accepts_true, of the true captions; judge_rejects_false, of the false
        ones; judge_accuracy, the mean of the two; judge_scenes, the pictures of which background
        and all things were seen right in kind, colour, size and number.
    """
    first, splits = SEED_OFFSET + seed * 1_000_003, tuple(Split)
    drawn = [make_scene(first + i, split=splits[i % len(splits)]) for i in range(scenes)]
    pictures = [draw(scene, judge.config.side) for scene in drawn]
    seen = judge.scenes([view(picture) for picture in pictures] if view else pictures)
    accepted, rejected = [], []
    for scene, what in zip(drawn, seen, strict=True):
        for language in LANGUAGES:
            accepted.append(shows(what, full_caption(scene, language)))
            rejected += [not shows(what, c.negative) for c in hard_negatives(scene, language)]
    accepts, rejects = 100 * np.mean(accepted), 100 * np.mean(rejected)
    alike = [_named(scene) == _named(what) for scene, what in zip(drawn, seen, strict=True)]
    return {
        "judge_accuracy": float(accepts + rejects) / 2,
        "judge_accepts_true": float(accepts),
        "judge_rejects_false": float(rejects),
        "judge_scenes": float(100 * np.mean(alike)),
    }


def _named(scene: Scene) -> tuple[str, list[tuple[str, str, str]]]:
    """All of a scene but the places."""
    return scene.background, sorted((t.kind, t.colour, t.size) for t in scene.things)
