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
_AT_ONCE = 50_000  # shapes


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
    ascending, n_shapes = thresholds[order], len(shapes.n)
    lengths = np.empty((n_shapes, len(thresholds)), np.int32)
    # In pieces, so that what is needed in between stays small.
    for first in range(0, n_shapes, _AT_ONCE):
        piece = slice(first, first + _AT_ONCE)
        lengths[piece, order] = _lengths(_cut(shapes, first, min(first + _AT_ONCE, n_shapes)), exact[piece], ascending)
    return lengths


def _cut(shapes: "Shapes", first: int, last: int) -> "Shapes":
    """Return the shapes from ``first`` on, before ``last``."""
    levels = slice(int(shapes.offsets[first]), int(shapes.offsets[last]))
    return shapes._replace(
        n=shapes.n[first:last],
        offsets=shapes.offsets[first : last + 1] - shapes.offsets[first],
        depth=shapes.depth[levels],
        present=shapes.present[levels],
        dominant=shapes.dominant[levels],
    )


def _lengths(shapes: "Shapes", exact: NDArray[np.bool_], ascending: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the prefix at ascending thresholds.

    Of a shape the longest prefix comes first, then ever shorter ones, at last none: a slot each, which says up to which
    threshold it reaches.
    """
    counts, n = np.diff(shapes.offsets), len(ascending)
    begins, ends = shapes.offsets[:-1] + np.arange(len(counts)), shapes.offsets[1:] + np.arange(len(counts))
    slot = np.repeat(ends + shapes.offsets[:-1], counts) - 1 - np.arange(len(shapes.depth))
    depth, upto = np.zeros(len(slot) + len(counts), np.int32), np.full(len(slot) + len(counts), n)
    depth[slot], upto[slot] = shapes.depth, _reached(shapes, exact, ascending)
    widths = np.diff(upto, prepend=0)
    widths[begins] = upto[begins]
    return np.repeat(depth, widths).reshape(len(counts), n)


def _reached(shapes: "Shapes", exact: NDArray[np.bool_], ascending: NDArray[np.float64]) -> Numbers:
    """Return how many of the thresholds each level reaches: always the smallest so many."""
    counts = np.diff(shapes.offsets)
    n, of_exact = np.repeat(shapes.n, counts), np.repeat(exact, counts)
    present = shapes.present.astype(np.int64)
    # Production's order of floating-point operations.
    upto = (present / n) * (shapes.dominant / present)
    upto[of_exact] = _largest_thresholds(present[of_exact], n[of_exact])
    upto[of_exact & (present == n)] = np.inf
    return np.searchsorted(ascending, upto, side="right")


def _largest_thresholds(counts: Numbers, n: Numbers) -> NDArray[np.float64]:
    """Return `acg_lab.core.exact_prefix.largest_threshold` of each row; what is counted is a majority always."""
    found = counts / n
    while (above := found * n > counts).any():
        found[above] = np.nextafter(found[above], 0)
    while (below := np.nextafter(found, np.inf) * n <= counts).any():
        found[below] = np.nextafter(found[below], np.inf)
    return found
