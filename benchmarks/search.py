"""How fast a query finds its neighbours: `python benchmarks/search.py [--rows N ...]`.

Compares the exact search, the compressed index with exact rescoring, and an inverted file, on
vectors that lie as CLIP's do: pictures in clusters, and words apart from all of them. Prints
milliseconds, ratios to the exact search of the same run, and recall at 10 against it.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from multimodal.retrieval.index import ApproximateIndex, search, search_exact
from multimodal.retrieval.rows import Rows

DIM, QUERIES, TOP = 512, 20, 10
CELLS, PROBED = 1024, 16


def vectors(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (rows, DIM) in clusters, and words (QUERIES, DIM) that describe some of them."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((2000, DIM)).astype(np.float32)
    pictures = np.empty((rows, DIM), np.float32)
    for first in range(0, rows, 50_000):
        part = pictures[first : first + 50_000]
        part[:] = centres[rng.integers(len(centres), size=len(part))]
        part += rng.standard_normal(part.shape, dtype=np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    apart = rng.standard_normal(DIM).astype(np.float32) / DIM**0.5
    words = 0.4 * pictures[rng.integers(rows, size=QUERIES)] + apart
    return pictures, (words / np.linalg.norm(words, axis=1, keepdims=True)).astype(np.float32)


def timed(find: Callable[[np.ndarray], np.ndarray], words: np.ndarray) -> tuple[float, list]:
    """Median milliseconds of a query, and what each found."""
    find(words[0])
    spent, found = [], []
    for word in words:
        began = time.perf_counter()
        found.append(find(word))
        spent.append(1000 * (time.perf_counter() - began))
    return float(np.median(spent)), found


def recall(found: list, truth: list) -> float:
    """Share in per cent of the true nearest that were found."""
    hits = [len(set(a.tolist()) & set(b.tolist())) for a, b in zip(found, truth, strict=True)]
    return 100 * sum(hits) / (TOP * len(truth))


def measure(rows: int) -> None:
    """Prints one table."""
    pictures, words = vectors(rows)
    kept = Rows(DIM, np.float32, [pictures])
    view = kept.view()
    exact, truth = timed(lambda word: search_exact(view, word, TOP)[1], words)
    print(f"{rows:,} vectors of {DIM}")
    print(f"  exact                {exact:7.1f} ms   1.00 x   recall@10 100.0 %")
    index = ApproximateIndex.build(view)
    spent, found = timed(lambda word: search(view, word, TOP, index)[1], words)
    print(
        f"  compressed, rescored {spent:7.1f} ms   {spent / exact:.2f} x   "
        f"recall@10 {recall(found, truth):5.1f} %"
    )
    if rows <= 200_000:  # k-means over a million takes minutes and shows the same
        cells = faiss.index_factory(DIM, f"IVF{CELLS},Flat", faiss.METRIC_INNER_PRODUCT)
        cells.train(pictures[:100_000])
        cells.add(pictures)
        cells.nprobe = PROBED
        spent, found = timed(lambda word: cells.search(word[None], TOP)[1][0], words)
        print(
            f"  inverted file        {spent:7.1f} ms   {spent / exact:.2f} x   "
            f"recall@10 {recall(found, truth):5.1f} %"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    for count in parser.parse_args().rows:
        measure(count)
