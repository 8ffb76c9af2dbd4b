"""A matrix that only grows, so that searching and indexing never wait for each other."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class View:
    """The rows that were there at one moment; later rows do not change it.

    Attributes:
        blocks: Arrays of shape (rows, width) that follow one another; in memory or mapped from
            a file.
        width: Columns.
        dtype: Type of the values.
    """

    blocks: tuple[np.ndarray, ...]
    width: int
    dtype: np.dtype

    def __len__(self) -> int:
        return sum(len(block) for block in self.blocks)

    def gather(self, ids: np.ndarray) -> np.ndarray:
        """Some rows, (len(ids), width), as a new array."""
        ids = np.asarray(ids, dtype=np.int64)
        out = np.empty((len(ids), self.width), self.dtype)
        start = 0
        for block in self.blocks:
            here = (ids >= start) & (ids < start + len(block))
            if here.any():
                out[here] = block[ids[here] - start]
            start += len(block)
        if len(ids) and (ids.min() < 0 or ids.max() >= start):
            raise IndexError(f"row {int(ids.max())} of {start}")
        return out

    def tail(self, first: int) -> "View":
        """The rows from `first` on."""
        kept = []
        for block in self.blocks:
            kept.append(block[first:])
            first = max(0, first - len(block))
        return View(tuple(block for block in kept if len(block)), self.width, self.dtype)

    def array(self) -> np.ndarray:
        """All rows as one array, without a copy where they are one block."""
        if len(self.blocks) == 1:
            return self.blocks[0]
        return np.concatenate(self.blocks or (np.empty((0, self.width), self.dtype),))


class Rows:
    """Blocks as they were read from files, then a tail in memory that doubles when it is full."""

    def __init__(self, width: int, dtype: type, blocks: Iterable[np.ndarray] = ()) -> None:
        self._width, self._dtype = width, np.dtype(dtype)
        self._blocks = tuple(block for block in blocks if len(block))
        self._tail = np.empty((0, width), dtype)
        self._used = 0

    def append(self, rows: np.ndarray) -> None:
        """Adds rows, (n, width). Only one thread may append; any number may read views."""
        needed = self._used + len(rows)
        if needed > len(self._tail):
            grown = np.empty((max(needed, 2 * len(self._tail), 256), self._width), self._dtype)
            grown[: self._used] = self._tail[: self._used]
            self._tail = grown  # earlier views keep the old array
        self._tail[self._used : needed] = rows
        self._used = needed

    def view(self) -> View:
        """The rows so far."""
        tail = (self._tail[: self._used],) if self._used else ()
        return View(self._blocks + tail, self._width, self._dtype)
