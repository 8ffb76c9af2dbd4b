"""Photos decoded once: a file of square 8-bit pictures that training maps into memory."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from multimodal.data.photos import Photo
from multimodal.images import ImageError, open_image
from multimodal.progress import Progress


class PixelCache:
    """Pictures of one size, squeezed square: `pixels` is (photos, side, side, 3) uint8."""

    def __init__(self, folder: Path, name: str, photos: Sequence[Photo], side: int) -> None:
        self.photos, self.side = photos, side
        digest = hashlib.sha256(
            "\n".join(f"{photo.file}|{photo.name}" for photo in photos).encode()
        ).hexdigest()[:12]
        self._path = Path(folder) / f"{name}-{side}-{digest}.pixels"

    def build(self) -> Iterator[Progress]:
        """Decodes what is not there yet; unreadable photos stay grey and are listed."""
        if self._path.is_file():
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        shape = (len(self.photos), self.side, self.side, 3)
        pixels = np.memmap(part, np.uint8, "w+", shape=shape)
        bad: list[str] = []

        def decode(i: int) -> None:
            try:
                image = open_image(self.photos[i].read(), at_least=self.side)
            except ImageError as error:
                bad.append(f"{self.photos[i].name}: {error}")
                pixels[i] = 128
                return
            pixels[i] = np.asarray(image.resize((self.side, self.side), Image.Resampling.BICUBIC))

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for done, _ in enumerate(pool.map(decode, range(len(self.photos))), 1):
                if done % 64 == 0 or done == len(self.photos):
                    yield Progress(done, len(self.photos), "decoding photos")
        pixels.flush()
        self._path.with_suffix(".bad.json").write_text(json.dumps(bad, ensure_ascii=False))
        os.replace(part, self._path)

    @property
    def pixels(self) -> np.ndarray:
        """(photos, side, side, 3) uint8, mapped from disk."""
        return np.memmap(
            self._path, np.uint8, "r", shape=(len(self.photos), self.side, self.side, 3)
        )
