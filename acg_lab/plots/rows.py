"""Rows of `prefix_stability`, one below the other: which there are, their names, and the message below one of them.

Belongs here: measuring, in inches. No drawing.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from acg_lab._format import cut, cut_all
from acg_lab.plots.folding import Row, fold_blocks
from acg_lab.plots.fonts import Size, drawable, text_width
from acg_lab.plots.layout import MARGIN
from acg_lab.plots.notes import wrap
from acg_lab.plots.spans import Block, Profile

__all__ = ["BREAKS", "ROW_HEIGHT", "Line", "Rows", "place_rows"]

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


def place_rows(profile: Profile, width: float, *, most: int, scale: float = 1.0) -> Rows:
    """Place the rows of a profile, with room for the message below the breaking one.

    Parameters
    ----------
    profile : Profile
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
