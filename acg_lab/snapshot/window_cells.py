"""What each block of a window is among its like: the dominant content, another one, or one seen once.

Belongs here: which blocks of a request agree with the others, as arrays over columns of codes; no text is looked at.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.snapshot.snapshot import Snapshot

__all__ = ["CellContent", "Cells", "find_cells"]

Numbers = NDArray[np.int64]


class CellContent(IntEnum):
    """What the content of a block is among the contents of its span in the window."""

    dominant = 0
    repeated = 1
    once = 2


class Cells(NamedTuple):
    """A row a block of a window, oldest request first, in prompt order; all columns are of shape (n_blocks,).

    Attributes
    ----------
    rows : block rows
        Of the snapshot's observation columns.
    requests, positions : int
        Which request of the window, 0 = oldest; place in its prompt, 0 = first.
    kinds : int
        Of `CellContent`: the commonest content of its span (the one seen first, of several), another that occurs more
        than once, or one that occurs once.
    differs : bool
        Whether it is the first block of its request that is not the commonest one, span and content, at its place:
        there a cached prefix stops matching. Where all requests have different ones, none is the commonest.
    """

    rows: Numbers
    requests: Numbers
    positions: Numbers
    kinds: Numbers
    differs: NDArray[np.bool_]


def find_cells(snapshot: Snapshot, key: str) -> Cells:
    """Compare the blocks of the window of a key."""
    source = snapshot.columns.observations
    window = source.number[key]
    rows, observations = source.blocks_of(window), source.observations_of(window)
    starts = source.block_offsets[observations.start : observations.stop + 1] - rows.start
    requests = np.repeat(np.arange(len(observations)), np.diff(starts))
    positions = np.arange(len(requests)) - starts[requests]
    spans, contents = source.spans[rows].astype(np.int64), source.contents[rows].astype(np.int64)
    dominant, counts = _commonest(spans, contents)
    both = np.unique(spans * max(len(source.content_pool), 1) + contents, return_inverse=True)[1]
    leads, alike = _commonest(positions, both)
    agrees = leads & ((alike > 1) | (np.bincount(positions)[positions] == 1))
    others = np.flatnonzero(~agrees)
    differs = np.zeros(len(requests), bool)
    differs[others[np.unique(requests[others], return_index=True)[1]]] = True
    return Cells(
        rows=np.arange(rows.start, rows.stop),
        requests=requests,
        positions=positions,
        kinds=np.where(counts == 1, CellContent.once, np.where(dominant, CellContent.dominant, CellContent.repeated)),
        differs=differs,
    )


def _commonest(groups: Numbers, values: Numbers) -> tuple[NDArray[np.bool_], Numbers]:
    """Tell of each row whether its value is the commonest of its group, and how often it occurs there."""
    size = int(values.max(initial=0)) + 1
    codes, first, inverse, counts = np.unique(
        groups * size + values, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((first, -counts, codes // size))
    leads = np.zeros(len(codes), bool)
    leads[order[np.unique(codes[order] // size, return_index=True)[1]]] = True
    return leads[inverse], counts[inverse]
