"""Trains VQ-VAEs by recipe: `python -m multimodal train vqvae --recipe NAME`.

The photo recipes learn from every photo at hand, captioned or not; the toybox draws its own, and
where colours have a codebook of their own, every scene once more in other colours.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from multimodal import checkpoint
from multimodal.clip.image_tower import Normalize, fold_batch_norm
from multimodal.dalle.image_tokenizer import ImageTokenizer
from multimodal.dalle.vqvae import Vqvae, VqvaeConfig, perplexity
from multimodal.data.photos import DataError
from multimodal.data.sets import load_sets
from multimodal.data.toybox import Scene, draw, make_scene, on_grid, recoloured
from multimodal.progress import Progress
from multimodal.training.pixels import PixelCache
from multimodal.training.run import Inputs
from multimodal.training.teacher import read_image_start

# sets of large photos are kept a little larger than they are learned, to cut squares out of them
ROOM = 7 / 6
CROPPED = ("flickr8k", "coco", "folder")
FEATURE_LAYERS = (1, 3, 6)  # of MobileNetV2: a half, a quarter and an eighth of the side
VAL_PHOTOS = 512


@dataclass(frozen=True)
class VqvaeSettings:
    """What a VQ-VAE recipe learns from.

    Attributes:
        batch: Pictures per step by set: ``flickr8k``, ``coco``, ``scenes``, ``tiny_imagenet``,
            ``folder``, ``toybox``; what the data folder lacks is left out.
        scenes: Toybox scenes, drawn once.
        on_grid: Share of them in which things lie on the grid of tokens, as the transformer will
            draw them.
        looks: Looks of every place and thing that are drawn; 0 draws all.
        foreground: How much more an error within a toybox thing's box weighs.
        squared: Weight of the squared error of pixels, in units of their variance (the paper's).
        absolute: Weight of the absolute error.
        features: Weight of the distance of MobileNetV2's early features.
        shapes: Weight of the distance of a scene's shapes to their codes in another colouring;
            0: scenes are seen in one.
        decoder_only: Only the decoder learns, and pictures keep their tokens, so that a
            transformer that knew them still fits.
    """

    batch: dict[str, int] = field(default_factory=lambda: {"toybox": 64})
    scenes: int = 8000
    on_grid: float = 0.5
    looks: int = 0
    foreground: float = 0.0
    squared: float = 1.0
    absolute: float = 0.0
    features: float = 0.0
    shapes: float = 1.0
    decoder_only: bool = False


class FeatureLoss(nn.Module):
    """How different two pictures look to the first layers of an ImageNet network.

    Squared distance of the features' directions, as in Zhang et al. 2018 without learned weights.
    """

    def __init__(self, start: dict[str, Tensor]) -> None:
        super().__init__()
        from torchvision.models import mobilenet_v2

        network = mobilenet_v2(weights=None).eval()
        network.load_state_dict(start)
        fold_batch_norm(network.features)
        self.layers = network.features[: max(FEATURE_LAYERS) + 1].requires_grad_(False)
        self.layers.to(memory_format=torch.channels_last)
        self.normalize = Normalize()

    def forward(self, made: Tensor, true: Tensor) -> Tensor:
        """Mean distance of two batches (batch, 3, side, side) in 0..1."""
        with torch.no_grad():
            wanted = self._features(true)
        seen = self._features(made)
        return sum((a - b).square().sum(1).mean() for a, b in zip(seen, wanted, strict=True))

    def _features(self, pixels: Tensor) -> list[Tensor]:
        x, found = self.normalize(pixels).contiguous(memory_format=torch.channels_last), []
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i in FEATURE_LAYERS:
                found.append(F.normalize(x.float(), dim=1))
        return found


class VqvaeObjective(nn.Module):
    """Reconstruction and commitment."""

    def __init__(
        self, vqvae: Vqvae, settings: VqvaeSettings, features: FeatureLoss | None = None
    ) -> None:
        super().__init__()
        self.vqvae, self.settings = vqvae, settings
        self.looks = [features]  # in a list: its frozen weights are no part of the model

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and its parts.

        Args:
            batch: `pixels` (batch, 3, side, side) uint8; `painted`, the same in other colours;
                `foreground` (batch, 1, side, side) bool, where an error weighs more.
        """
        true, *painted = (
            (batch[name].float() / 255).contiguous(memory_format=torch.channels_last)
            for name in ("pixels", "painted")
            if name in batch
        )
        made, ids, commitment, shapes = self.vqvae(true, *painted)
        true = painted[0] if painted else true
        error = 4 * (made - true)  # the scale at which pixels have about variance 1
        squared = error.square()
        parts = {"mse": squared.mean() / 16, "commitment": commitment}
        loss = self.settings.squared * squared + self.settings.absolute * error.abs()
        if "foreground" in batch:
            weight = 1 + self.settings.foreground * batch["foreground"]
            loss = loss * weight / weight.mean()
        loss = loss.mean() + commitment + self.settings.shapes * shapes
        if self.looks[0] is not None:
            parts["features"] = self.looks[0](made, true)
            loss = loss + self.settings.features * parts["features"]
        if painted:
            parts["shapes"] = shapes
        for name, rows in zip(("perplexity", "colours"), self.vqvae.parts(ids), strict=False):
            parts[name] = torch.tensor(perplexity(torch.bincount(rows.flatten())))
        return loss, parts


class VqvaeTask:
    """Batches, validation and export of a VQ-VAE for the training loop."""

    def __init__(
        self,
        settings: VqvaeSettings,
        config: VqvaeConfig,
        seed: int = 0,
        *,
        data: Path | None = None,
        cache: Path | None = None,
        image_start: Path | None = None,
        init: str = "",
    ) -> None:
        self.settings, self.config, self.seed = settings, config, seed
        self.data, self.cache, self.image_start, self.init = data, cache, image_start, init

    def prepare(self) -> Iterator[Progress]:
        """Draws scenes or decodes photos, and builds the model."""
        self.pictures: dict[str, np.ndarray] = {}
        started = ImageTokenizer.load(self.init).vqvae if self.init else None
        if started is not None:
            self.config = started.config
        if self.settings.batch.get("toybox"):
            yield from self._draw()
        else:
            yield from self._decode()
        torch.manual_seed(self.seed)
        vqvae = Vqvae(self.config) if started is None else started.requires_grad_(True)
        features = (
            FeatureLoss(read_image_start(self.image_start)) if self.settings.features else None
        )
        vqvae.to(memory_format=torch.channels_last).train()
        if self.settings.decoder_only:
            vqvae.eval().requires_grad_(False)  # codebooks do not move, nor do running means
            vqvae.decoder.train().requires_grad_(True)
        self.model = VqvaeObjective(vqvae, self.settings, features)

    def _draw(self) -> Iterator[Progress]:
        side, count = self.config.image_size, self.settings.scenes
        drawn = np.zeros((count + VAL_PHOTOS, side, side, 3), np.uint8)
        twice = self.config.colours and self.settings.shapes
        painted = np.zeros((count if twice else 0, side, side, 3), np.uint8)
        things = np.zeros((count, side, side), bool)
        for i in range(len(drawn)):
            split = "train" if i < count else "val"
            scene = make_scene(self.seed * 1_000_003 + i, split=split)
            if i < count:
                if i % 100 < 100 * self.settings.on_grid:
                    scene = on_grid(scene, self.config.grid)
                things[i] = _boxes(scene, side)
            drawn[i] = np.asarray(draw(scene, side, self.settings.looks or None))
            if i < len(painted):
                other = recoloured(scene, random.Random(f"{self.seed}/{i}"))
                painted[i] = np.asarray(draw(other, side, self.settings.looks or None))
            if i % 50 == 49:
                yield Progress(i + 1, len(drawn), "drawing scenes")
        self.pictures["toybox"], self.val = drawn[:count], drawn[count:]
        self.things, self.painted = things, painted

    def _decode(self) -> Iterator[Progress]:
        side = self.config.image_size
        for name, photos in load_sets(self.data).items():
            if self.settings.batch.get(name):
                stored = round(side * ROOM) if name in CROPPED else side
                pixels = PixelCache(self.cache, f"{name}-train", photos, stored)
                yield from pixels.build()
                self.pictures[name] = pixels.pixels
        try:
            held = load_sets(self.data, "val")
            photos = [photo for name in CROPPED for photo in held.get(name, ())][:VAL_PHOTOS]
            photos = photos or [photo for found in held.values() for photo in found][:VAL_PHOTOS]
        except DataError:
            photos = []
        pixels = PixelCache(self.cache, "vqvae-val", photos, side)
        yield from pixels.build()
        self.val = pixels.pixels

    def parameter_groups(self) -> list[dict]:
        return [{"params": [p for p in self.model.parameters() if p.requires_grad]}]

    def batch(self, step: int, rank: int = 0, world: int = 1) -> dict[str, Tensor]:
        rng = random.Random(f"{self.seed}/{step}/{rank}")
        if self.settings.batch.get("toybox"):
            rows = rng.sample(range(self.settings.scenes), self.settings.batch["toybox"])
            batch = {
                "pixels": torch.from_numpy(self.pictures["toybox"][rows]).permute(0, 3, 1, 2),
                "foreground": torch.from_numpy(self.things[rows])[:, None],
            }
            if len(self.painted):
                batch["painted"] = torch.from_numpy(self.painted[rows]).permute(0, 3, 1, 2)
            return batch
        side, views = self.config.image_size, []
        for name, pictures in self.pictures.items():
            rows = rng.sample(range(len(pictures)), min(len(pictures), self.settings.batch[name]))
            for row in sorted(rows):  # in the order of the file
                picture = pictures[row]
                room = picture.shape[0] - side
                top, left = rng.randint(0, room), rng.randint(0, room)
                view = picture[top : top + side, left : left + side]
                views.append(view[:, ::-1] if rng.random() < 0.5 else view)
        return {"pixels": torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2)}

    def validate(self, model: nn.Module) -> dict[str, float]:
        from multimodal.evaluation.vqvae import figures

        return figures(model.vqvae, torch.from_numpy(np.array(self.val)).permute(0, 3, 1, 2))

    def export(self, model: nn.Module, folder: Path) -> None:
        checkpoint.save(folder, "vqvae", model.vqvae.config, model.vqvae.state_dict())


def _boxes(scene: Scene, side: int) -> np.ndarray:
    """(side, side) bool, True within the box of some thing."""
    inside = np.zeros((side, side), bool)
    for thing in scene.things:
        left, top, right, bottom = (round(side * edge) for edge in thing.box)
        inside[max(0, top) : bottom, max(0, left) : right] = True
    return inside


def task(recipe: dict, inputs: Inputs, seed: int) -> VqvaeTask:
    """What a VQ-VAE learns; arguments as in `run.train`.

    Raises:
        UserError: if the recipe, the data or a start is missing.
    """
    return VqvaeTask(
        VqvaeSettings(**recipe.get("task", {})),
        VqvaeConfig.from_dict(recipe.get("model", {})),
        seed,
        data=inputs.photos if recipe["world"] == "photos" else None,
        cache=inputs.kept,
        image_start=inputs.pixel_start,
        init=inputs.init,
    )
