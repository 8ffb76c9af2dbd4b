"""Nearest vectors by inner product: exact, or through a compressed index for large galleries.

The approximate index is a product quantiser (Jegou et al. 2011): every two numbers of a vector
become 4 bits, a sixteenth of its size, all of them are scanned, and the best few hundred are
scored again exactly. Unlike an inverted file, which looks into some cells only, it has no blind
cells: words lie far from every picture in CLIP's space, and cells chosen by words miss pictures
(measured in `benchmarks/search.py`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from multimodal.retrieval.rows import View

APPROXIMATE_FROM = 200_000  # rows; below, the exact search is fast enough
REFINED = 500  # candidates that are scored again exactly
TRAINED_ON = 20_000  # rows that the quantiser learns from
ADD_ROWS = 50_000


def faiss_or_none() -> Any:
    """The faiss module, or None where it is not installed."""
    try:
        import faiss
    except ImportError:
        return None
    return faiss


def search_exact(view: View, query: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest inner products.

    Args:
        view: (rows, dim) float32.
        query: (dim,) float32.
        k: How many; fewer come back where there are fewer rows.

    Returns:
        Scores and rows, (k,) each, best first; of equals the earlier row first.
    """
    faiss = faiss_or_none()
    scores, ids, start = [], [], 0
    for block in view.blocks:
        best = min(k, len(block))
        if best and faiss is not None:
            with _one_thread(faiss):
                found = faiss.knn(query[None], block, best, metric=faiss.METRIC_INNER_PRODUCT)
            scores.append(found[0][0])
            ids.append(found[1][0] + start)
        elif best:
            product = block @ query
            rows = np.argpartition(product, len(block) - best)[len(block) - best :]
            scores.append(product[rows])
            ids.append(rows + start)
        start += len(block)
    if not ids:
        return np.empty(0, np.float32), np.empty(0, np.int64)
    return _best(np.concatenate(scores), np.concatenate(ids), k)


def search(
    view: View, query: np.ndarray, k: int, index: "ApproximateIndex | None" = None
) -> tuple[np.ndarray, np.ndarray]:
    """The k largest inner products, through an index for the rows that it covers.

    Args, Returns: as `search_exact`.
    """
    if index is None or index.rows > len(view) or k > REFINED:
        return search_exact(view, query, k)
    rows = index.candidates(query, max(REFINED, 4 * k))
    scores = view.gather(rows) @ query
    later, ids = search_exact(view.tail(index.rows), query, k)
    return _best(np.concatenate([scores, later]), np.concatenate([rows, ids + index.rows]), k)


class ApproximateIndex:
    """A product quantiser over the first rows of a gallery; the rest is searched exactly."""

    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def build(cls, view: View, seed: int = 0) -> "ApproximateIndex":
        """Learns the quantiser from a sample and encodes all rows.

        Args:
            view: (rows, dim) float32 unit vectors.
            seed: Chooses the sample.
        """
        faiss = faiss_or_none()
        sample = np.random.default_rng(seed).choice(
            len(view), min(len(view), TRAINED_ON), replace=False
        )
        index = faiss.index_factory(view.width, cls.kind(view.width), faiss.METRIC_INNER_PRODUCT)
        with _one_thread(faiss):
            index.train(view.gather(np.sort(sample)))
        built = cls(index)
        built._encode(view)
        return built

    @staticmethod
    def kind(width: int) -> str:
        """faiss's name of the index for vectors of a width."""
        return f"PQ{width // 2 if width % 2 == 0 else width}x4fs"

    def extended(self, view: View) -> "ApproximateIndex":
        """A copy that covers the rows that came since as well; searches may go on in this one."""
        faiss = faiss_or_none()
        longer = ApproximateIndex(faiss.clone_index(self._index))
        longer._encode(view)
        return longer

    def _encode(self, view: View) -> None:
        faiss = faiss_or_none()
        for block in view.tail(self.rows).blocks:
            for first in range(0, len(block), ADD_ROWS):
                with _one_thread(faiss):
                    self._index.add(np.ascontiguousarray(block[first : first + ADD_ROWS]))

    @property
    def rows(self) -> int:
        """How many of the first rows it covers."""
        return self._index.ntotal

    def candidates(self, query: np.ndarray, k: int) -> np.ndarray:
        """Rows that are likely among the k nearest, in their own order."""
        faiss = faiss_or_none()
        with _one_thread(faiss):
            rows = self._index.search(query[None], min(k, self.rows))[1][0]
        return np.sort(rows[rows >= 0])

    def write(self, path: Path) -> None:
        """Writes a faiss file."""
        faiss_or_none().write_index(self._index, str(path))

    @classmethod
    def read(cls, path: Path, width: int) -> "ApproximateIndex | None":
        """Reads a faiss file; None where it cannot be used here, then search is exact."""
        faiss = faiss_or_none()
        if faiss is None:
            return None
        try:
            index = faiss.read_index(str(path))
        except RuntimeError:
            return None
        return cls(index) if index.d == width else None


@contextmanager
def _one_thread(faiss: Any) -> Iterator[None]:
    """A single query is bound by memory: more threads wait for each other, and for other users."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # of the calling thread only
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _best(scores: np.ndarray, ids: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort((ids, -scores))[:k]
    return scores[order], ids[order]
