"""What is asked of a gallery and what comes back; the arithmetic of photos and words."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from multimodal.errors import UserError
from multimodal.retrieval.rows import View

SAMPLE = 50_000  # rows that a histogram of a large gallery is drawn from
LEAST_LENGTH = 1e-4  # of a sum of unit vectors; below, its direction is noise


@dataclass(frozen=True)
class Hit:
    """One picture that was found.

    Attributes:
        rank: 1 is best.
        score: Cosine with the query, -1 to 1.
        id: The picture's id in the gallery; `Gallery.search(example=id)` searches from it.
        name: What to call it.
        path: Its file, or None where it lies in memory.
        captions: What people wrote about it.
        hidden: Ids of the near duplicates that were left out in favour of it.
    """

    rank: int
    score: float
    id: int
    name: str
    path: Path | None
    captions: tuple[str, ...] = ()
    hidden: tuple[int, ...] = ()

    @property
    def caption(self) -> str:
        """Its first caption, or nothing."""
        return self.captions[0] if self.captions else ""


@dataclass(frozen=True)
class CaptionHit:
    """One caption that was found for a photo.

    Attributes:
        rank: 1 is best.
        score: Cosine with the photo, -1 to 1.
        caption: The words.
        id: The picture in the gallery that they were written about.
    """

    rank: int
    score: float
    caption: str
    id: int


@dataclass(frozen=True)
class SearchResult:
    """The answer to one query.

    Attributes:
        hits: Best first.
        query: (dim,) the unit vector that was searched with.
        timings: Stage to milliseconds: ``model`` (loading it, once), ``words``, ``photo``,
            ``search``, ``duplicates``, ``details``, and ``total``.
        count: Pictures in the gallery.
    """

    hits: tuple[Hit, ...]
    query: np.ndarray
    timings: dict[str, float]
    count: int
    _view: View = field(repr=False, compare=False, default=View((), 0, np.dtype(np.float32)))
    _removed: frozenset[int] = field(repr=False, compare=False, default=frozenset())

    @property
    def is_sample(self) -> bool:
        """Whether `scores` are those of a sample only."""
        return len(self._view) > SAMPLE

    @cached_property
    def scores(self) -> np.ndarray:
        """Cosines of all pictures with the query for a histogram, computed when asked for.

        Of a large gallery, those of `SAMPLE` pictures chosen once by chance.
        """
        if self.is_sample:
            rows = np.random.default_rng(0).choice(len(self._view), SAMPLE, replace=False)
            rows.sort()
            scores = self._view.gather(rows) @ self.query
        else:
            rows = np.arange(len(self._view))
            scores = np.concatenate(
                [block @ self.query for block in self._view.blocks] or [np.empty(0, np.float32)]
            )
        return scores[~np.isin(rows, list(self._removed))] if self._removed else scores


class Stages:
    """A stopwatch that tells where the milliseconds went."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._stages: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Times a part of the work; the same stage may come several times."""
        before = time.perf_counter()
        try:
            yield
        finally:
            spent = 1000 * (time.perf_counter() - before)
            self._stages[stage] = self._stages.get(stage, 0.0) + spent

    def finish(self) -> dict[str, float]:
        """Stage to milliseconds, with the ``total``."""
        return {**self._stages, "total": 1000 * (time.perf_counter() - self._began)}


def combine(vectors: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """One query from several: normalise(sum of weight * part), every part of length 1.

    A photo, "+ at night" and "- people" give normalise(photo + at_night - people). What is added
    and subtracted alike cancels exactly.

    Args:
        vectors: Parts, (dim,) each.
        weights: As many; 1 adds, -1 subtracts.

    Returns:
        (dim,) float32 of length 1.

    Raises:
        UserError: if the parts cancel each other out.
    """
    total = np.zeros_like(vectors[0], dtype=np.float64)
    for vector, weight in zip(vectors, weights, strict=True):
        part = np.asarray(vector, dtype=np.float64)
        total += weight * part / np.linalg.norm(part)
    length = np.linalg.norm(total)
    if not length > LEAST_LENGTH:  # written so that NaN is refused as well
        raise UserError(
            "What is added and what is taken away cancel each other out: change one of them.",
            "더하는 것과 빼는 것이 서로 지워집니다. 하나를 바꾸세요.",
        )
    return (total / length).astype(np.float32)
