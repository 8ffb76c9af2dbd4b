"""Regions of photos computed once: features in half precision that training maps into memory."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from multimodal.data.photos import Photo
from multimodal.images import ImageError, open_image
from multimodal.progress import Progress
from multimodal.vilbert.regions import DetectorRegions, GridRegions, Regions

BATCH = 32


class RegionCache:
    """Regions of a data set's photos on disk.

    Attributes:
        features: (photos, regions, width) float16, mapped from disk.
        boxes: (photos, regions, 5).
        mask: (photos, regions) bool, False where a photo has fewer regions or cannot be read.
        concepts: (photos, regions, concepts) float16, what each region shows, as shares.
    """

    def __init__(self, folder: Path, name: str, photos: Sequence[Photo], key: str) -> None:
        """Names the files of a cache.

        Args:
            folder: Where caches lie.
            name: The data set's name.
            photos: Its photos.
            key: Tells apart what computes the regions and names what they show.
        """
        listed = "\n".join([key, *(f"{photo.file}|{photo.name}" for photo in photos)])
        digest = hashlib.sha256(listed.encode()).hexdigest()[:12]
        self.photos = photos
        self._features = Path(folder) / f"regions-{name}-{digest}.features"
        self._rest = self._features.with_suffix(".safetensors")

    def build(
        self,
        source: GridRegions | DetectorRegions,
        name_regions: Callable[[Regions], Tensor],
    ) -> Iterator[Progress]:
        """Computes what is not there yet and opens the cache.

        Args:
            source: Makes regions of pictures.
            name_regions: What regions show: (photos, regions, concepts).
        """
        if not self._rest.is_file():
            yield from self._compute(source, name_regions)
        rest = load_file(self._rest)
        self.boxes, self.mask, self.concepts = (rest[k] for k in ("boxes", "mask", "concepts"))
        shape = (*self.boxes.shape[:2], int(rest["width"]))
        self.features = np.memmap(self._features, np.float16, "r", shape=shape)

    def _compute(
        self,
        source: GridRegions | DetectorRegions,
        name_regions: Callable[[Regions], Tensor],
    ) -> Iterator[Progress]:
        self._features.parent.mkdir(parents=True, exist_ok=True)
        rest: dict[str, list[Tensor]] = {"boxes": [], "mask": [], "concepts": []}
        part, width = self._features.with_suffix(".part"), 0
        with part.open("wb") as file:
            for first in range(0, len(self.photos), BATCH):
                found = self._look(self.photos[first : first + BATCH], source)
                file.write(found.features.half().numpy().tobytes())
                width = found.features.shape[-1]
                rest["boxes"].append(found.boxes)
                rest["mask"].append(found.mask)
                rest["concepts"].append(name_regions(found).half())
                done = min(first + BATCH, len(self.photos))
                yield Progress(done, len(self.photos), "looking at regions")
        part.replace(self._features)
        tensors = {key: torch.cat(parts).contiguous() for key, parts in rest.items()}
        part = self._rest.with_suffix(".part")
        save_file({**tensors, "width": torch.tensor(width)}, part)
        part.replace(self._rest)  # last, so that a killed run is not taken for a whole one

    def _look(self, photos: Sequence[Photo], source: GridRegions | DetectorRegions) -> Regions:
        """Regions of some photos; one that cannot be read has none that are seen."""
        images, bad = [], []
        for row, photo in enumerate(photos):
            try:
                images.append(open_image(photo.read()))
            except ImageError:
                bad.append(row)
                images.append(open_image(np.zeros((8, 8, 3), np.uint8)))
        found = source(images)
        mask = found.mask.clone()
        mask[bad] = False
        return replace(found, mask=mask)

    def regions(self, rows: Sequence[int] | slice = slice(None)) -> Regions:
        """Regions of some photos, or of all."""
        features = torch.from_numpy(np.array(self.features[rows])).float()
        return Regions(features, self.boxes[rows], self.mask[rows])
