"""`judge-toybox`: the judge of the drawn world, trained from nothing in minutes.

It judges and is not judged, so it sees every combination of colour and kind, those too that the
models it judges never see. It is to read what a small decoder paints, so it learns from pictures
that are blurred, noisy, shifted and a little off in colour.
"""

import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from multimodal import checkpoint
from multimodal.data.toybox import (
    BACKGROUNDS,
    COLOURS,
    KINDS,
    Scene,
    Split,
    Thing,
    draw,
    make_scene,
    single_scene,
)
from multimodal.evaluation.judge import STRIDE, Judge, JudgeConfig, JudgeNetwork, judge_accuracy
from multimodal.progress import Progress
from multimodal.training.loop import TrainingError
from multimodal.training.run import Inputs

SPREAD = 0.7  # of a thing's heat around its middle, in cells
WEIGHTS = {"heat": 1.0, "colour": 1.0, "size": 0.5, "offset": 1.0, "background": 0.5}
BLUR_TAPS = 7


@dataclass(frozen=True)
class JudgeSettings:
    """What the recipe draws.

    Attributes:
        scenes: Training scenes, drawn once.
        batch: Scenes per step.
        degraded: Share of the pictures that are made soft, noisy or off in colour.
    """

    scenes: int = 12_000
    batch: int = 64
    degraded: float = 0.7

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= self.scenes:
            raise TrainingError("batch must be at least 1 and at most scenes.")
        if not 0 <= self.degraded <= 1:
            raise TrainingError("degraded must be from 0 to 1.")


def task(recipe: dict, inputs: Inputs, seed: int) -> "JudgeTask":
    """What a judge learns; arguments as in `run.train`. It draws its own pictures.

    Raises:
        UserError: if a value of the recipe is wrong.
    """
    config = JudgeConfig.from_dict(recipe.get("model", {}))
    return JudgeTask(JudgeSettings(**recipe.get("task", {})), config, seed)


class JudgeTask:
    """Batches, validation and export of `judge-toybox` for the training loop."""

    def __init__(self, settings: JudgeSettings, config: JudgeConfig, seed: int = 0) -> None:
        self.settings, self.config, self.seed = settings, config, seed

    def prepare(self) -> Iterator[Progress]:
        """Draws the scenes and builds the model."""
        side, count = self.config.side, self.settings.scenes
        self.pictures = np.zeros((count, side, side, 3), np.uint8)
        self.things: list[tuple[Thing, ...]] = []
        self.backgrounds = torch.zeros(count, dtype=torch.long)
        for i in range(count):
            scene = training_scene(i, self.seed)
            self.pictures[i] = np.asarray(draw(scene, side))
            self.things.append(scene.things)
            self.backgrounds[i] = BACKGROUNDS.index(scene.background)
            if i % 50 == 49:
                yield Progress(i + 1, count, "drawing scenes")
        torch.manual_seed(self.seed)
        self.model = JudgeObjective(JudgeNetwork(self.config).train())

    def parameter_groups(self) -> list[dict]:
        return [{"params": list(self.model.parameters())}]

    def batch(self, step: int, rank: int = 0, world: int = 1) -> dict[str, Tensor]:
        rng = random.Random(f"{self.seed}/{step}/{rank}")
        generator = Generator().manual_seed(rng.getrandbits(62))
        rows = rng.sample(range(self.settings.scenes), self.settings.batch)
        pixels = torch.from_numpy(self.pictures[rows]).permute(0, 3, 1, 2).float() / 255
        pixels, things = move(pixels, [self.things[row] for row in rows], generator)
        degraded = torch.rand(len(rows), generator=generator) < self.settings.degraded
        pixels[degraded] = degrade(pixels[degraded], generator)
        return {
            "pixels": pixels,
            "background": self.backgrounds[rows],
            **targets(things, self.config.side // STRIDE),
        }

    def validate(self, model: nn.Module) -> dict[str, float]:
        judge = Judge(model.network)
        sharp = judge_accuracy(judge, seed=self.seed + 77, scenes=600)
        soft = judge_accuracy(
            judge, self.seed + 77, 300, lambda image: image.filter(ImageFilter.GaussianBlur(1))
        )
        return {**sharp, **{f"{name}_blurred": value for name, value in soft.items()}}

    def export(self, model: nn.Module, folder: Path) -> None:
        checkpoint.save(folder, "judge", self.config, model.network.state_dict())


class JudgeObjective(nn.Module):
    """Losses over one batch; the network inside is what is exported."""

    def __init__(self, network: JudgeNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        sight = self.network(batch["pixels"])
        picture, row, column = batch["cell"].unbind(1)
        colours = sight.colours[picture, :, row, column].float()
        big = sight.big[picture, row, column].float()
        offset = sight.offset[picture, :, row, column].float()
        losses = {
            "heat": heat_loss(sight.kinds.float(), batch["heat"]),
            "colour": F.cross_entropy(colours, batch["colour"]),
            "size": F.binary_cross_entropy_with_logits(big, batch["big"]),
            "offset": F.l1_loss(offset, batch["offset"]),
            "background": F.cross_entropy(sight.background.float(), batch["background"]),
        }
        loss = sum(WEIGHTS[name] * value for name, value in losses.items())
        return loss, {name: value.detach() for name, value in losses.items()}


def heat_loss(logits: Tensor, heat: Tensor) -> Tensor:
    """Focal loss that is mild to cells next to a middle (Zhou et al. 2019, equation 1).

    Args:
        logits: (batch, kinds, rows, columns).
        heat: The same shape; 1 where the middle of a thing is, less around it, 0 elsewhere.

    Returns:
        The mean over things.
    """
    sure = logits.sigmoid()
    there = heat == 1
    found = (1 - sure).square() * F.logsigmoid(logits)
    empty = (1 - heat).pow(4) * sure.square() * F.logsigmoid(-logits)
    return -torch.where(there, found, empty).sum() / there.sum().clamp(min=1)


def training_scene(i: int, seed: int = 0) -> Scene:
    """The i-th scene to learn from: crowded and plain ones, every colour on every kind.

    One in five shows a single thing, all combinations in turn; one in forty shows none.
    """
    number = seed * 1_000_003 + i
    rng = random.Random(f"judge/{number}")
    if i % 5 == 0:
        pair = i // 5 % (len(COLOURS) * len(KINDS))
        return single_scene(COLOURS[pair % len(COLOURS)], KINDS[pair // len(COLOURS)], number)
    scene = make_scene(number, split=rng.choice((Split.TRAIN, Split.HELD_OUT)))
    if i % 40 == 1:
        return replace(scene, things=())
    # half of them keep their colours, so that things alike in kind and colour stay frequent
    if rng.random() < 0.5:
        return scene
    return replace(
        scene, things=tuple(replace(t, colour=rng.choice(COLOURS)) for t in scene.things)
    )


def targets(scenes: Sequence[Sequence[Thing]], grid: int) -> dict[str, Tensor]:
    """What the network should say of the things in a batch of pictures.

    Colour, size and offset are asked of the cell that holds the middle and of its neighbours: any
    of these may turn out the surest.

    Returns:
        heat (batch, kinds, grid, grid); and of each cell that is asked: cell (n, 3) its picture,
        row and column, colour (n,), big (n,), offset (n, 2) x and y in cells.
    """
    heat = np.zeros((len(scenes), len(KINDS), grid, grid), np.float32)
    middles = np.arange(grid) + 0.5
    cells, colours, big, offsets = [], [], [], []
    for picture, things in enumerate(scenes):
        for thing in things:
            x, y = thing.x * grid, thing.y * grid
            column, row = (min(max(int(value), 0), grid - 1) for value in (x, y))
            far = (middles[None, :] - x) ** 2 + (middles[:, None] - y) ** 2
            warmth = np.exp(-far / (2 * SPREAD**2))
            warmth[row, column] = 1
            kind = heat[picture, KINDS.index(thing.kind)]
            np.maximum(kind, warmth, out=kind)
            for r in range(max(row - 1, 0), min(row + 2, grid)):
                for c in range(max(column - 1, 0), min(column + 2, grid)):
                    cells.append((picture, r, c))
                    colours.append(COLOURS.index(thing.colour))
                    big.append(float(thing.size == "big"))
                    offsets.append((x - c - 0.5, y - r - 0.5))
    return {
        "heat": torch.from_numpy(heat),
        "cell": torch.tensor(cells, dtype=torch.long).reshape(-1, 3),
        "colour": torch.tensor(colours, dtype=torch.long),
        "big": torch.tensor(big),
        "offset": torch.tensor(offsets, dtype=torch.float32).reshape(-1, 2),
    }


def move(
    pixels: Tensor, scenes: Sequence[Sequence[Thing]], generator: Generator
) -> tuple[Tensor, list[list[Thing]]]:
    """Mirrors half of the pictures and shifts all by up to 4 % of the side; the things follow.

    Half of the shifts are of whole pixels, which keeps pictures sharp; the others also scale by
    up to 5 %.

    Args:
        pixels: (batch, 3, side, side).
        scenes: The things in each picture.
        generator: Source of chance.
    """
    count, side = len(pixels), pixels.shape[-1]
    mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
    sharp = torch.rand(count, generator=generator) < 0.5
    shift = 0.04 * (2 * torch.rand(count, 2, generator=generator) - 1)  # in pictures
    shift = torch.where(sharp[:, None], (shift * side).round() / side, shift)
    scale = torch.where(sharp, 1.0, 1 + 0.05 * (2 * torch.rand(count, generator=generator) - 1))
    # grid_sample asks where each new pixel comes from; its coordinates run from -1 to 1
    back = torch.zeros(count, 2, 3)
    back[:, 0, 0], back[:, 1, 1] = mirror / scale, 1 / scale
    back[:, 0, 2], back[:, 1, 2] = -2 * shift[:, 0] * mirror / scale, -2 * shift[:, 1] / scale
    grid = F.affine_grid(back, list(pixels.shape), align_corners=False)
    moved = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    placed = []
    for i, things in enumerate(scenes):
        dx, dy = shift[i].tolist()
        sx, sy = (scale[i] * mirror[i]).item(), scale[i].item()
        placed.append(
            [
                replace(t, x=0.5 + sx * (t.x - 0.5) + dx, y=0.5 + sy * (t.y - 0.5) + dy)
                for t in things
            ]
        )
    return moved, placed


def degrade(pixels: Tensor, generator: Generator) -> Tensor:
    """Makes pictures look as a small decoder paints them; hues stay as they are.

    Args:
        pixels: (batch, 3, side, side), 0 to 1.
        generator: Source of chance.

    Returns:
        Pictures that were scaled down and up by up to 1.5, blurred by up to a pixel, changed in
        brightness, contrast and tint by a few per cent, made noisy; one in ten through JPEG.
    """
    count, side = len(pixels), pixels.shape[-1]
    if not count:
        return pixels

    def chance(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    parts = list(pixels.split(max(1, count // 4)))
    for i in range(0, len(parts), 2):  # every other part, each by its own factor
        small = round(side / (1 + 0.5 * chance(1).item()))
        small = F.interpolate(parts[i], (small, small), mode="bilinear", antialias=True)
        parts[i] = F.interpolate(small, (side, side), mode="bilinear")
    pixels = blur(torch.cat(parts), chance(count))
    contrast = 1 + 0.16 * (chance(count, 1, 1, 1) - 0.5)
    tint = 1 + 0.08 * (chance(count, 3, 1, 1) - 0.5)
    light = 0.1 * (chance(count, 1, 1, 1) - 0.5)
    pixels = (pixels - 0.5) * contrast * tint + 0.5 + light
    pixels = pixels + 0.03 * chance(count, 1, 1, 1) * torch.randn(pixels.shape, generator=generator)
    pixels = pixels.clamp(0, 1)
    for i in (chance(count) < 0.1).nonzero().flatten().tolist():
        pixels[i] = _through_jpeg(pixels[i], quality=int(30 + 60 * chance(1).item()))
    return pixels


def blur(pixels: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur, (batch, channels, side, side) by (batch,) standard deviations in pixels."""
    count, channels = pixels.shape[:2]
    far = torch.arange(BLUR_TAPS) - BLUR_TAPS // 2
    taps = torch.exp(-far.square() / (2 * sigma.clamp(min=0.05).square()[:, None]))
    taps = (taps / taps.sum(1, keepdim=True)).repeat_interleave(channels, 0)[:, None]
    half = BLUR_TAPS // 2
    flat = F.pad(pixels, (half,) * 4, mode="replicate").reshape(
        1, count * channels, *(size + 2 * half for size in pixels.shape[2:])
    )
    flat = F.conv2d(flat, taps[:, :, None, :], groups=count * channels)
    flat = F.conv2d(flat, taps[:, :, :, None], groups=count * channels)
    return flat.reshape(pixels.shape)


def _through_jpeg(pixels: Tensor, quality: int) -> Tensor:
    """(3, side, side), as it comes back from a JPEG file."""
    buffer = io.BytesIO()
    picture = Image.fromarray((pixels * 255).round().byte().permute(1, 2, 0).numpy())
    picture.save(buffer, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(buffer))).permute(2, 0, 1).float() / 255
