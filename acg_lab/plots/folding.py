"""Folding: of many blocks the rows worth reading, as a diff shows them (LOOK.md section 5).

Belongs here: which blocks keep a row of their own. No drawing.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple, TypeAlias

from acg_lab.plots.spans import Block

__all__ = ["MOST_ROWS", "Fold", "Row", "fold_blocks"]

_FIRST, _BEFORE, _BEHIND = 2, 2, 5
MOST_ROWS: Final = 36


class Fold(NamedTuple):
    """Several blocks in one row."""

    blocks: tuple[Block, ...]


Row: TypeAlias = Block | Fold


def fold_blocks(blocks: Sequence[Block], break_at: int, *, most: int = MOST_ROWS) -> tuple[Row, ...]:
    """Fold blocks into at most so many rows, if that can be.

    Kept are the first 2, 2 before the break and 5 after it, and the ends of runs of one kind. Where runs are so short
    that this is still too long, the shortest runs keep their ends no longer.

    Parameters
    ----------
    blocks : sequence of Block
        In prompt order.
    break_at : int
        Position of the breaking block; their number if none breaks.
    most : int
        So many blocks or fewer are not folded.
    """
    if len(blocks) <= most:
        return tuple(blocks)
    n = len(blocks)
    around = {*range(_FIRST), *range(break_at - _BEFORE, break_at + _BEHIND + 1), n - 1}
    runs = [list(run) for _, run in groupby(range(n), lambda i: blocks[i].kind)]
    shortest = 1
    while True:
        ends = {end for run in runs if len(run) >= shortest for end in (run[0], run[-1])}
        rows = tuple(_rows(blocks, around | ends))
        if len(rows) <= most or not ends:
            return rows
        shortest = min(len(run) for run in runs if len(run) >= shortest) + 1


def _rows(blocks: Sequence[Block], kept: set[int]) -> Iterator[Row]:
    """Yield the rows; a single block is never folded."""
    for is_kept, group in groupby(enumerate(blocks), lambda item: item[0] in kept):
        found = tuple(block for _, block in group)
        if is_kept or len(found) == 1:
            yield from found
        else:
            yield Fold(found)
