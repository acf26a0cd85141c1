"""Names of blocks on the levels of a step function, where there is room for them.

Belongs here: finding a free place for each name, in inches on the page.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pandas as pd

from acg_lab._format import cut_all, score
from acg_lab.plots.fonts import Size, drawable, text_width
from acg_lab.plots.given import rows

if TYPE_CHECKING:
    from acg_lab.plots.layout import Page

__all__ = ["Box", "Scale", "name_treads"]

_MOST, _NAME = 7, 30
_HALF: Final = 0.06  # half the height of a name
_PAD: Final = 0.07


class Box(NamedTuple):
    """A rectangle on the page, in inches."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        """Whether the two have a place in common."""
        beside = self.left < other.right and other.left < self.right
        return beside and self.top < other.bottom and other.top < self.bottom


class Scale(NamedTuple):
    """A panel, and how far its y axis reaches; its x axis is from 0 to 1."""

    panel: Box
    y_most: float

    def x(self, threshold: float) -> float:
        """Return the place of a threshold."""
        return self.panel.left + min(max(threshold, 0), 1) * (self.panel.right - self.panel.left)

    def y(self, value: float) -> float:
        """Return the place of a value."""
        return self.panel.bottom - value / self.y_most * (self.panel.bottom - self.panel.top)


def name_treads(page: "Page", scale: Scale, treads: pd.DataFrame, current: float) -> int:
    """Name the block that ends each level: the current one first, in orange, then the widest; return how many, up to 7.

    A name stands to the right of its level's end, where the plot is empty, else above its level. One that has no room
    is left out; the current one is not.
    """
    levels = [row for row in rows(treads) if not pd.isna(row.breaking_span)]
    levels.sort(key=lambda row: (not row.above < current <= row.upto, scale.x(row.above) - scale.x(row.upto)))
    names = cut_all((drawable(row.breaking_span, mono=True) for row in levels), _NAME)
    line = scale.x(current)
    taken = [*_lines(scale, treads), Box(line - 0.02, scale.panel.top, line + 0.02, scale.panel.bottom)]
    n_named = 0
    for row in levels:
        now = row.above < current <= row.upto
        verb = " stops it here" if now else ""
        text = f"{names[drawable(row.breaking_span, mono=True)]}{verb} ({score(row.breaking_score, current)})"
        boxes = list(
            _places(scale, row, text_width(text, Size.SMALLEST, mono=True, bold=now), current if now else None)
        )
        free = [box for box in boxes if _inside(box, scale) and not any(box.meets(other) for other in taken)]
        if (free or now) and n_named < _MOST:
            box = (free or boxes[-1:])[0]
            taken.append(box)
            style: Any = {"bold": True, "colour": page.colours.breaking} if now else {"colour": page.colours.text2}
            style |= {"size": Size.SMALLEST, "mono": True, "zorder": 7}
            page.text(box.left, (box.top + box.bottom) / 2, text, gid=f"tread-{n_named}", **style)
            n_named += 1
    return n_named


def _places(scale: Scale, row: Any, width: float, current: float | None) -> Iterator[Box]:
    """Yield where a name may stand, the best place first: for that of the current level all that there are."""
    begin, end, level = scale.x(row.above), scale.x(row.upto), scale.y(row.prefix_tokens)
    if current is None:
        yield Box(end + _PAD, level - 2 * _HALF, end + _PAD + width, level)
        yield Box(end - _PAD - width, level - 3 * _HALF, end - _PAD, level - _HALF)
        return
    below, line = scale.y(row.read_tokens), scale.x(current)
    for right in (line - 2 * _PAD, end - _PAD, begin - _PAD):
        for top in (level - 3 * _HALF, below + _HALF, level - _HALF):
            yield Box(right - width, top, right, top + 2 * _HALF)
    for step in range(int((scale.panel.bottom - below) / _HALF) - 2):
        top = below + step * _HALF
        yield Box(line - 2 * _PAD - width, top, line - 2 * _PAD, top + 2 * _HALF)
    left = min(max(line - width - 2 * _PAD, scale.panel.left), scale.panel.right - width)
    yield Box(left, level - 3 * _HALF, left + width, level - _HALF)


def _inside(box: Box, scale: Scale) -> bool:
    return scale.panel.left <= box.left and box.right <= scale.panel.right and box.top >= scale.panel.top - 0.1


def _lines(scale: Scale, treads: pd.DataFrame) -> Iterator[Box]:
    """Yield the lines of both step functions, as boxes that are all but flat."""
    for column in ("prefix_tokens", "read_tokens"):
        levels = [(scale.x(row.above), scale.x(row.upto), scale.y(getattr(row, column))) for row in rows(treads)]
        for left, right, y in levels:
            yield Box(left, y - 0.015, right, y + 0.015)
        for (_, x, before), (_, _, after) in pairwise(levels):
            yield Box(x - 0.015, min(before, after), x + 0.015, max(before, after))
