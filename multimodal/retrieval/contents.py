"""What is in a gallery right now: grows in memory, is committed to the folder from time to time.

One thread adds; any number of threads search, each in the snapshot that it began with.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from multimodal.retrieval.index import ApproximateIndex
from multimodal.retrieval.indexing import Known
from multimodal.retrieval.items import Item, Items
from multimodal.retrieval.manifest import GalleryError
from multimodal.retrieval.rows import Rows, View
from multimodal.retrieval.store import Store, digest


@dataclass(frozen=True)
class Snapshot:
    """A gallery at one moment.

    Attributes:
        images: (rows, dim) unit vectors.
        captions: (lines, dim) unit vectors, in the order of their pictures.
        owners: (lines, 1) row of each caption's picture, never falling.
        removed: Rows that no longer count.
        index: Approximate index over the first rows, or None.
    """

    images: View
    captions: View
    owners: View
    removed: frozenset[int]
    index: ApproximateIndex | None

    def __len__(self) -> int:
        return len(self.images) - len(self.removed)


class Contents:
    """The pictures of a gallery, with or without a folder behind them."""

    def __init__(self, embed_dim: int, store: Store | None) -> None:
        self.embed_dim, self.store = embed_dim, store
        self.kept: dict[str, bytes] = {}  # picture files of a gallery without a folder
        self.load()

    def load(self) -> None:
        """Reads everything from the folder, if there is one.

        Raises:
            GalleryError: if a file is missing or torn.
        """
        lines, tensors = self.store.read() if self.store else (b"", [])
        self.items = Items(lines)
        self._images = Rows(self.embed_dim, np.float32, _joined(tensors, "images"))
        self._captions = Rows(self.embed_dim, np.float32, _joined(tensors, "captions"))
        self._owners = Rows(1, np.int32, [owners[:, None] for owners in _joined(tensors, "owners")])
        self._removed = set(self.store.manifest.removed) if self.store else set()
        self._index = self._read_index()
        self._publish()
        self._saved = self.now

    def _read_index(self) -> ApproximateIndex | None:
        entry = self.store.manifest.index if self.store else None
        path = self.store.folder / entry.file if self.store and entry else None
        if path is None or not path.is_file() or digest(path) != entry.sha256:
            return None  # the search is exact until the next indexing makes a new one
        return ApproximateIndex.read(path, self.embed_dim)

    def reload(self) -> None:
        """Reads again what another program has written.

        Raises:
            GalleryError: if the gallery was made anew by another model meanwhile.
        """
        fresh = Store.open(self.store.folder)
        if fresh.manifest.fingerprint != self.store.manifest.fingerprint:
            raise GalleryError(
                f"{self.store.folder} was made anew by another model meanwhile: open it again."
            )
        self.store.manifest = fresh.manifest
        self.load()

    def file(self, item: Item) -> Path | None:
        """Where an item's file lies, None where it lies in memory."""
        return item.file(self.store.folder if self.store else None)

    def relative(self, path: Path) -> str:
        """How an item names a file: relative where it lies beside the gallery, so that both can
        be moved together."""
        if self.store and path.is_relative_to(self.store.folder.parent):
            return Path(os.path.relpath(path, self.store.folder)).as_posix()
        return str(path)

    def vector(self, row: int) -> np.ndarray:
        """(dim,) embedding of one row, the newest included."""
        return self._images.view().gather([row])[0]

    def learn_all(self, known: Known) -> None:
        """Notes everything that need not be embedded again."""
        for row in range(len(self.items)):
            if row not in self._removed:
                self.learn(known, self.items[row])

    def learn(self, known: Known, item: Item) -> None:
        """Notes one item as known."""
        path = self.file(item)
        if path is not None:
            known.paths[str(path)] = (item.file_size, item.mtime, item.id)
        known.digests.setdefault(item.sha256, item.id)

    def append(self, item: Item, vector: np.ndarray, captions: np.ndarray | None) -> None:
        """Adds the next row; it is seen by searches after `publish`."""
        self.items.append(item)
        self._images.append(vector[None])
        if captions is not None and len(captions):
            self._captions.append(captions)
            self._owners.append(np.full((len(captions), 1), item.id, np.int32))

    def remove(self, rows: Iterable[int]) -> None:
        """Marks rows as gone."""
        self._removed.update(rows)

    def publish(self) -> None:
        """Lets searches see what was added and removed."""
        if len(self.items) != len(self.now.images) or len(self._removed) != len(self.now.removed):
            self._publish()

    def _publish(self) -> None:
        self.now = Snapshot(
            self._images.view(),
            self._captions.view(),
            self._owners.view(),
            frozenset(self._removed),
            self._index,
        )

    @property
    def unsaved(self) -> int:
        """Rows since the last commit."""
        return len(self.items) - len(self._saved.images)

    def commit(self) -> None:
        """Saves what was added and removed since the last commit.

        Raises:
            GalleryError: if it cannot be written; it then stays in memory for the next commit.
        """
        self.publish()
        now, saved = self.now, self._saved
        if self.store and (self.unsaved or now.removed != saved.removed):
            tensors = {
                "images": now.images.tail(len(saved.images)).array(),
                "captions": now.captions.tail(len(saved.captions)).array(),
                "owners": now.owners.tail(len(saved.owners)).array()[:, 0],
            }
            items = [self.items[row] for row in range(len(saved.images), len(now.images))]
            self.store.append(items, tensors, sorted(now.removed))
        self._saved = now

    def update_index(self) -> None:
        """Makes the approximate index, or encodes the rows that came since.

        Raises:
            GalleryError: if it cannot be written.
        """
        images = self.now.images
        if self._index is None:
            index = ApproximateIndex.build(images)
        else:
            index = self._index.extended(images)
        if self.store:
            self.store.set_index(index.rows, index.kind(self.embed_dim), index.write)
        self._index = index
        self._publish()


def _joined(tensors: list[dict[str, np.ndarray]], name: str) -> list[np.ndarray]:
    """Blocks of one kind; those in memory as one, those mapped from files as they are."""
    blocks = [part[name] for part in tensors if len(part[name])]
    if len(blocks) > 1 and not any(isinstance(block, np.memmap) for block in blocks):
        return [np.concatenate(blocks)]
    return blocks
