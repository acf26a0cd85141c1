"""From levels and thresholds to lengths: comparisons, and nothing that depends on how long the history is.

Belongs here: production's comparison of a threshold with what was counted, for all thresholds at once.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from acg_lab.replay.walk import Shapes

__all__ = ["prefix_lengths"]

Numbers = NDArray[np.int64]


def prefix_lengths(shapes: "Shapes", exact: NDArray[np.bool_], thresholds: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the stable prefix of every shape at every threshold, in blocks, shape (n_shapes, n_thresholds).

    Parameters
    ----------
    shapes : Shapes
    exact : array of bool, shape (n_shapes,)
        Whether a majority has to share the prefix exactly.
    thresholds : array of float, shape (n_thresholds,)
        In any order; finite.
    """
    order = np.argsort(thresholds, kind="stable")
    reached = _reached(shapes, exact, thresholds[order])
    # Of each shape the longest prefix comes first, then ever shorter ones, at last none: read from the back.
    counts = np.diff(shapes.offsets)
    shape = np.repeat(np.arange(len(counts)), counts)
    ends = shapes.offsets[1:] + np.arange(len(counts))  # one more a shape: what no level reaches
    depth, upto = np.zeros(len(shape) + len(counts), np.int32), np.zeros(len(shape) + len(counts), np.int64)
    at = ends[shape] - 1 - (np.arange(len(shape)) - shapes.offsets[shape])
    depth[at], upto[at] = shapes.depth, reached
    upto[ends] = len(thresholds)
    widths = np.diff(upto, prepend=0)
    widths[shapes.offsets[:-1] + np.arange(len(counts))] = upto[shapes.offsets[:-1] + np.arange(len(counts))]
    lengths = np.empty((len(counts), len(thresholds)), np.int32)
    lengths[:, order] = np.repeat(depth, widths).reshape(lengths.shape)
    return lengths


def _reached(shapes: "Shapes", exact: NDArray[np.bool_], ascending: NDArray[np.float64]) -> Numbers:
    """Return how many of the thresholds each level reaches: always the smallest so many."""
    n = np.repeat(shapes.n, np.diff(shapes.offsets))
    present = shapes.present.astype(np.int64)
    # Production's order of floating-point operations.
    reached = np.searchsorted(ascending, (present / n) * (shapes.dominant / present), side="right")
    of_exact = np.repeat(exact, np.diff(shapes.offsets))
    reached[of_exact & (present == n)] = len(ascending)
    for size in np.unique(n[of_exact]):
        rows = np.flatnonzero(of_exact & (n == size) & (present < size))
        # Needed are ceil(threshold * n) observations; what is counted is a majority always.
        with np.errstate(over="ignore"):
            needed = ascending * size
        reached[rows] = np.searchsorted(needed, present[rows], side="right")
    return reached
