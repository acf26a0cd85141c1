"""How each block of a window compares with the other requests: dominant, repeated or unique content.

Blocks are compared by code; no text is read.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.snapshot.snapshot import Snapshot

__all__ = ["CellContent", "Cells", "find_cells"]

Numbers = NDArray[np.int64]


class CellContent(IntEnum):
    """How common the content of a block is among the contents of its span in the window."""

    dominant = 0
    repeated = 1
    once = 2


class Cells(NamedTuple):
    """The blocks of a window, oldest request first, in prompt order; all columns have shape (n_blocks,).

    Attributes
    ----------
    rows : int
        Row of the block in the snapshot's observation columns.
    requests, positions : int
        Request in the window, 0 = oldest; position in its prompt, 0 = first.
    kinds : int
        Value of `CellContent`: the dominant content of its span (of several, the one seen first), another content that
        occurs more than once, or one that occurs once.
    differs : bool
        Whether the block is the first of its request that differs from the commonest block (span and content) at its
        position: there a cached prefix stops matching. If all requests differ at a position, all of them count.
    """

    rows: Numbers
    requests: Numbers
    positions: Numbers
    kinds: Numbers
    differs: NDArray[np.bool_]


def find_cells(snapshot: Snapshot, key: str) -> Cells:
    """Compare the blocks of a profile's window."""
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
    """Return for each row whether its value is the commonest of its group, and how often it occurs in the group."""
    size = int(values.max(initial=0)) + 1
    codes, first, inverse, counts = np.unique(
        groups * size + values, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((first, -counts, codes // size))
    leads = np.zeros(len(codes), bool)
    leads[order[np.unique(codes[order] // size, return_index=True)[1]]] = True
    return leads[inverse], counts[inverse]
