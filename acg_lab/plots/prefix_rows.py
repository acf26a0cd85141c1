"""Folding: of many blocks the rows worth reading, as a diff shows them (LOOK.md section 5).

Belongs here: which blocks keep a row of their own. No drawing.


Rows of `prefix_stability`, one below the other: which there are, their names, and the message below one of them.

Belongs here: measuring, in inches. No drawing.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple, TypeAlias

from acg_lab._format import cut, cut_all
from acg_lab.plots.canvas import MARGIN, wrap
from acg_lab.plots.prefix_profile import Block, PlottedProfile
from acg_lab.plots.text import Size, drawable, text_width

__all__ = ["BREAKS", "MOST_ROWS", "ROW_HEIGHT", "Fold", "Line", "Row", "Rows", "fold_blocks", "place_rows"]

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


BREAKS: Final = "▲ breaks the prefix"
ROW_HEIGHT: Final = 0.185
_NAME = 36
_MOST_NAME: Final = 0.45  # of the page
_ABOVE_BREAK, _RULE = 0.07, 0.035
_MESSAGE: Final = 0.16
_GAP: Final = 0.11


class Line(NamedTuple):
    """A row with its place: ``top`` and ``height`` in inches below the first row's top."""

    row: Row
    top: float
    height: float

    @property
    def middle(self) -> float:
        """Where its bar lies."""
        return self.top + self.height / 2


class Rows(NamedTuple):
    """All rows, as they stand; places are in inches below the first row's top, or from the page's left edge.

    Attributes
    ----------
    lines : tuple of Line
        In prompt order.
    message : tuple of str
        Lines of text below the breaking block.
    rule, message_top, band_end : float
        Where the orange line is (None without a breaking block), and where the message begins and ends.
    height : float
        Of all.
    names : mapping of str to str
        What is written of each span id.
    names_end, left : float
        Where names end, and where bars and message begin.
    scale : float
        Of the heights.
    """

    lines: tuple[Line, ...]
    message: tuple[str, ...]
    rule: float | None
    message_top: float
    band_end: float
    height: float
    names: Mapping[str, str]
    names_end: float
    left: float
    scale: float


def place_rows(profile: PlottedProfile, width: float, *, most: int, scale: float = 1.0) -> Rows:
    """Place the rows of a profile, with room for the message below the breaking one.

    Parameters
    ----------
    profile : PlottedProfile
        Whose blocks they are.
    width : float
        Of the page, in inches.
    most : int
        So many rows or fewer are not folded.
    scale : float
        Of the heights, below 1 where there is less room than they need.
    """
    rows = fold_blocks(profile.blocks, profile.length, most=most)
    names = _names(rows, width)
    labels = [text_width(name, Size.NAME, mono=True, bold=True) for name in names.values()]
    names_end = MARGIN + 0.13 + max([text_width(BREAKS, Size.ROW, bold=True), *labels])
    left = names_end + _GAP
    message = tuple(part for text in profile.reasons for part in wrap(text, Size.ROW, width - MARGIN - left))
    lines: list[Line] = []
    rule, message_top, band_end, y = None, 0.0, 0.0, 0.0
    for row in rows:
        breaks = isinstance(row, Block) and row.kind == "breaks"
        if breaks:
            rule = y + _ABOVE_BREAK * scale
            y = rule + _RULE * scale
        lines.append(Line(row, y, ROW_HEIGHT * scale))
        y += ROW_HEIGHT * scale
        if breaks:
            message_top = y
            y = band_end = y + (len(message) * _MESSAGE + 0.025) * scale
    return Rows(tuple(lines), message, rule, message_top, band_end, y, names, names_end, left, scale)


def _names(rows: Sequence[Row], width: float) -> dict[str, str]:
    """Return the names of rows by span id, cut; one that would still take too much room ends in its position."""
    blocks = [row for row in rows if isinstance(row, Block)]
    shown = {block.name: drawable(block.name, mono=True) for block in blocks}
    cuts = cut_all(shown.values(), _NAME)
    most = math.floor(_MOST_NAME * width / text_width("0", Size.NAME, mono=True))
    names = {}
    for block in blocks:
        name, tail = cuts[shown[block.name]], f"#{block.position}"
        names[block.name] = name if len(name) <= most else cut(shown[block.name], most - len(tail)) + tail
    return names
