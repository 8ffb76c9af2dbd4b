"""What a gallery knows of each picture: one JSON line per picture, in the order of the vectors."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from multimodal.retrieval.manifest import GalleryError


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a gallery.

    Attributes:
        id: Its row in the embeddings, and the number of its line.
        name: What to call it: its path inside the indexed folder or zip.
        path: Its file, absolute or relative to the gallery's folder; None where the gallery keeps
            it in memory.
        width: Pixels, upright.
        height: Pixels, upright.
        file_size: Bytes of its file.
        mtime: When its file was last changed, nanoseconds since 1970; 0 for one without a file.
        sha256: Digest of its file, or of its pixels where it came without one.
        captions: What people wrote about it.
    """

    id: int
    name: str
    path: str | None
    width: int
    height: int
    file_size: int
    mtime: int
    sha256: str
    captions: tuple[str, ...] = ()

    def to_line(self) -> bytes:
        """The item as a line of `items.jsonl`."""
        return json.dumps(asdict(self), ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Item":
        """Reads a line of `items.jsonl`.

        Raises:
            GalleryError: if it is not one.
        """
        try:
            values = json.loads(line.decode("utf-8", "surrogatepass"))
            values["captions"] = tuple(values.get("captions", ()))
            return cls(**values)
        except (ValueError, TypeError, AttributeError) as error:
            raise GalleryError(
                "A line of the gallery's items.jsonl is damaged: copy the whole gallery folder "
                "again, or index the photos into a new folder."
            ) from error

    def file(self, gallery: Path | None) -> Path | None:
        """Where its file lies, given the gallery's folder; it may have been moved since."""
        if self.path is None:
            return None
        path = Path(self.path)
        if path.is_absolute() or gallery is None:
            return path
        return Path(os.path.normpath(gallery / path))


class Items:
    """Items by row. Lines from a file are parsed when asked for: a million open in a moment."""

    def __init__(self, lines: bytes = b"") -> None:
        self._lines = lines
        ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == 0x0A)
        self._starts = np.concatenate([[0], ends + 1]).astype(np.int64)
        self._added: list[Item] = []

    def __len__(self) -> int:
        return len(self._starts) - 1 + len(self._added)

    def __getitem__(self, row: int) -> Item:
        read = len(self._starts) - 1
        if not 0 <= row < len(self):
            raise IndexError(row)
        if row >= read:
            return self._added[row - read]
        return Item.from_line(self._lines[self._starts[row] : self._starts[row + 1]])

    def append(self, item: Item) -> None:
        """Adds the next item."""
        self._added.append(item)
