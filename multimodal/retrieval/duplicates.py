"""Near duplicates: pictures whose vectors almost agree are joined, and the best of each stays."""

import numpy as np

BLOCK = 1024


def duplicate_groups(vectors: np.ndarray, threshold: float) -> np.ndarray:
    """Joins rows whose cosine is at least a threshold, and whatever they are joined to.

    A range search gives every row its neighbours; a union-find turns them into the connected
    components.

    Args:
        vectors: (rows, dim) unit vectors.
        threshold: Least cosine of near duplicates, 0 to 1.

    Returns:
        (rows,) the first row of each row's group; a row without duplicates is its own.
    """
    parent = np.arange(len(vectors))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]  # halves the path
            row = parent[row]
        return row

    for first in range(0, len(vectors), BLOCK):
        near = vectors[first : first + BLOCK] @ vectors[first:].T >= threshold
        for row, neighbours in enumerate(near, first):
            # of many equal pictures most share a parent already: one union for all of them
            for other in np.unique(parent[first:][neighbours]):
                a, b = root(row), root(other)
                parent[max(a, b)] = min(a, b)
    return np.array([root(row) for row in range(len(vectors))], dtype=np.int64)
