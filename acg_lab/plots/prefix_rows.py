"""Rows of `prefix_stability`, one below the other: which there are, their names, and where each stands.

Long prompts are folded as a diff is (acg_lab/docs/look.md, section 5). Measures in inches; nothing here draws.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple, TypeAlias

from acg_lab._format import cut, cut_all
from acg_lab.plots.canvas import MARGIN
from acg_lab.plots.prefix_profile import Block, PlottedProfile
from acg_lab.plots.text import Size, drawable, text_width, wrap

__all__ = [
    "BREAKS",
    "MOST_ROWS",
    "ROW_HEIGHT",
    "Fold",
    "Line",
    "Row",
    "Rows",
    "fold_blocks",
    "is_tool_result",
    "place_rows",
]

MOST_ROWS: Final = 36
ROW_HEIGHT: Final = 0.185
BREAKS: Final = "▲ breaks the prefix"
_KEPT_FIRST, _KEPT_BEFORE, _KEPT_AFTER = 2, 2, 5  # at the start, and around the break
_NAME: Final = 36  # characters
_RUN: Final = 3  # tool results that fold into one row
_match_tool_result = re.compile(r"tool-\d+-.+", re.DOTALL).fullmatch
_WIDEST_NAME: Final = 0.45  # of the page
_ABOVE_BREAK, _RULE = 0.07, 0.035
_MESSAGE: Final = 0.16
_GAP: Final = 0.11


class Fold(NamedTuple):
    """Several blocks in one row."""

    blocks: tuple[Block, ...]


Row: TypeAlias = Block | Fold


def fold_blocks(blocks: Sequence[Block], break_at: int, *, most: int | None = MOST_ROWS) -> tuple[Row, ...]:
    """Fold runs of tool results, and other blocks into at most ``most`` rows, if possible.

    Tool results have the id of their call as name, which says nothing: runs of them fold however few blocks there are.
    The first 2 blocks keep a row, 2 before the break and 5 after it, and the ends of runs of one kind. If that is still
    too many, the shortest runs are folded with their ends.

    Parameters
    ----------
    blocks : sequence of Block
        In prompt order.
    break_at : int
        Position of the breaking block; the number of blocks if none breaks the prefix.
    most : int or None
        Up to this number, other blocks are not folded; with None, nothing is.

    Returns
    -------
    tuple of Block or Fold
        In prompt order.
    """
    if most is None:
        return tuple(blocks)
    n = len(blocks)
    results = _find_results(blocks)
    rows = tuple(_rows(blocks, {*range(n)} - results))
    if len(rows) <= most:
        return rows
    around = {*range(_KEPT_FIRST), *range(break_at - _KEPT_BEFORE, break_at + _KEPT_AFTER + 1), n - 1}
    runs = [list(run) for _, run in groupby(range(n), lambda i: blocks[i].kind)]
    shortest = 1
    while True:
        ends = {end for run in runs if len(run) >= shortest for end in (run[0], run[-1])}
        rows = tuple(_rows(blocks, (around | ends) - results))
        if len(rows) <= most or not ends:
            return rows
        shortest = min(len(run) for run in runs if len(run) >= shortest) + 1


def _find_results(blocks: Sequence[Block]) -> set[int]:
    """Return the numbers of the tool results that stand in runs of one kind."""
    runs = groupby(range(len(blocks)), lambda i: blocks[i].kind if is_tool_result(blocks[i].name) else None)
    wholes = [list(run) for kind, run in runs if kind not in (None, "breaking")]
    return {i for run in wholes if len(run) >= _RUN for i in run}


def is_tool_result(name: str) -> bool:
    """Whether a block is the result of a tool call, by its span id.

    >>> is_tool_result("tool-14-call_7MqM"), is_tool_result("system-1-book")
    (True, False)
    """
    return _match_tool_result(name) is not None


def _rows(blocks: Sequence[Block], kept: set[int]) -> Iterator[Row]:
    """Yield the rows; a block between two that are kept is not folded alone."""
    for is_kept, group in groupby(enumerate(blocks), lambda item: item[0] in kept):
        found = tuple(block for _, block in group)
        if is_kept or len(found) == 1:
            yield from found
        else:
            yield Fold(found)


class Line(NamedTuple):
    """A row and its place: ``top`` is measured in inches from the top of the first row."""

    row: Row
    top: float
    height: float

    @property
    def middle(self) -> float:
        """Where its bar stands."""
        return self.top + self.height / 2


class Rows(NamedTuple):
    """All rows in place, in inches: down from the top of the first row, and from the left edge of the page.

    Attributes
    ----------
    lines : tuple of Line
        In prompt order.
    message : tuple of str
        Lines of text below the breaking block.
    rule, message_top, band_end : float
        Where the orange line is (None without a breaking block), and where the message begins and ends.
    height : float
        Of all rows.
    names : mapping of str to str
        The text of each span id, cut; empty in a compact form.
    names_end, left : float
        Where names end, and where bars and message begin.
    scale : float
        Factor of all heights.
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


def place_rows(
    profile: PlottedProfile, width: float, *, most: int | None, scale: float = 1.0, with_words: bool = True
) -> Rows:
    """Place the rows of a profile, with room for the message below the breaking block.

    Parameters
    ----------
    profile : PlottedProfile
        Whose blocks they are.
    width : float
        Of the page, in inches.
    most : int or None
        Rows that may be drawn before blocks are folded; None folds none.
    scale : float
        Factor of all heights, below 1 if there is less room than they need.
    with_words : bool
        Whether rows have names, and the breaking block its message.
    """
    rows = fold_blocks(profile.blocks, profile.prefix_length, most=most)
    names: dict[str, str] = {}
    message: tuple[str, ...] = ()
    names_end, left = MARGIN, MARGIN + _GAP
    if with_words:
        names = _names(rows, width)
        labels = [text_width(name, Size.NAME, mono=True, bold=True) for name in names.values()]
        names_end = MARGIN + 0.13 + max([text_width(BREAKS, Size.ROW, bold=True), *labels])
        left = names_end + _GAP
        message = tuple(part for text in profile.message for part in wrap(text, Size.ROW, width - MARGIN - left))
    lines: list[Line] = []
    rule, message_top, band_end, y = None, 0.0, 0.0, 0.0
    for row in rows:
        is_breaking = isinstance(row, Block) and row.kind == "breaking"
        if is_breaking:
            rule = y + _ABOVE_BREAK * scale
            y = rule + _RULE * scale
        lines.append(Line(row, y, ROW_HEIGHT * scale))
        y += ROW_HEIGHT * scale
        if is_breaking and not with_words:
            message_top = band_end = y
        elif is_breaking:
            message_top = y
            y = band_end = y + (len(message) * _MESSAGE + 0.025) * scale
    return Rows(tuple(lines), message, rule, message_top, band_end, y, names, names_end, left, scale)


def _names(rows: Sequence[Row], width: float) -> dict[str, str]:
    """Return the names of rows by span id, cut; a name that is still too wide ends in its position."""
    blocks = [row for row in rows if isinstance(row, Block)]
    shown = {block.name: drawable(block.name, mono=True) for block in blocks}
    cuts = cut_all(shown.values(), _NAME)
    most = math.floor(_WIDEST_NAME * width / text_width("0", Size.NAME, mono=True))
    names = {}
    for block in blocks:
        name, tail = cuts[shown[block.name]], f"#{block.position}"
        names[block.name] = name if len(name) <= most else cut(shown[block.name], most - len(tail)) + tail
    return names
