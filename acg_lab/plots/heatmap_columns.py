"""Blocks side by side: their scores above, their names below.

Belongs here: what stands over and under the cells of a heatmap, a column a block.
"""

from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from acg_lab._format import counted, cut_all, setting
from acg_lab.plots.inputs import rows
from acg_lab.plots.text import Size, drawable, text_width

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acg_lab.core.stability import StabilityThresholds
    from acg_lab.plots.canvas import Page

__all__ = [
    "GROUPS_HEIGHT",
    "HeatmapColumns",
    "column_names",
    "draw_groups",
    "draw_names",
    "draw_scores",
    "names_height",
]

GROUPS_HEIGHT: Final = 0.44
_NAME = 26
_BAR: Final = 0.82  # of the column
_LINE: Final = 0.13  # of text, in inches
_BRACKET: Final = 3 / 72


class HeatmapColumns(NamedTuple):
    """Where the columns stand, in inches, and whose they are.

    Attributes
    ----------
    spans : DataFrame
        Their scores, in prompt order.
    before : int
        Blocks of the prompt that are left out before them.
    left, width, top, height : float
        Of all the cells.
    """

    spans: pd.DataFrame
    before: int
    left: float
    width: float
    top: float
    height: float

    @property
    def each(self) -> float:
        """Width of a column."""
        return self.width / len(self.spans)

    def x(self, column: float) -> float:
        """Return where a column begins."""
        return self.left + column * self.each

    def place_of(self, span_ids: "pd.Series[Any]") -> "NDArray[np.intp]":
        """Return the columns of spans, -1 for those not drawn."""
        columns = pd.Index(self.spans["span_id"].astype(object))
        return np.asarray(columns.get_indexer(pd.Index(span_ids.astype(object))), np.intp)


def column_names(spans: pd.DataFrame) -> Mapping[str, str]:
    """Return the names of the columns, cut, by span id."""
    shown = {span_id: drawable(span_id, mono=True) for span_id in spans["span_id"]}
    cut = cut_all(shown.values(), _NAME)
    return {span_id: cut[name] for span_id, name in shown.items()}


def names_height(names: Mapping[str, str]) -> float:
    """Return how high the names are when they stand upright."""
    return max(text_width(name, Size.NAME, mono=True) for name in names.values()) + 0.1


def draw_scores(
    page: "Page", columns: HeatmapColumns, top: float, height: float, thresholds: "StabilityThresholds", *, alone: bool
) -> None:
    """Draw the score of each column, the stable line, and the prefix."""
    colours, bottom = page.colours, top + height
    for column, span in enumerate(rows(columns.spans)):
        size = min(span.score, 1) * height
        bar = (columns.x(column + (1 - _BAR) / 2), bottom - size, columns.each * _BAR, size)
        gid = f"score-{columns.before + column}"
        if alone:
            page.rectangle(*bar, colours.paper, gid=gid, edgecolor=colours.stable, linewidth=0.8)
        elif span.classification == "stable" and not span.in_prefix and not span.breaks:
            page.out_of_reach(*bar, gid=gid)
        else:
            fill = colours.breaking if span.breaks else colours.of_class(str(span.classification))
            page.rectangle(*bar, colours.stable if span.in_prefix else fill, gid=gid)
        if span.score > 1:
            page.text(columns.x(column + 0.5), top - 0.02, "▴", gid=f"{gid}-above-1", size=Size.SMALLEST, ha="center")
    page.lines([[(columns.left, bottom), (page.right, bottom)]], colours.rule, gid="scores-axis", linewidth=0.8)
    page.label(columns.left - 0.06, bottom, "0", gid="scores-0", ha="right")
    line = bottom - min(max(thresholds.stable_threshold, 0), 1) * height
    page.lines([[(columns.left, line), (page.right, line)]], colours.ink, gid="stable-threshold")
    page.label(
        columns.left - 0.06, line, setting(thresholds.stable_threshold), gid="stable-threshold-value", ha="right"
    )
    if bottom - line > 2.4 * _LINE:
        page.label(columns.left - 0.36, (line + bottom) / 2, "score", gid="scores-label", ha="right")
    if not alone:
        _draw_prefix(page, columns, top)


def _draw_prefix(page: "Page", columns: HeatmapColumns, top: float) -> None:
    """Draw the bracket over the stable prefix, and its end as a vertical line through the cells."""
    length = int(columns.spans["in_prefix"].sum())
    if not length:
        return
    colour, end = page.colours.stable, columns.x(length)
    whole = columns.before + length
    page.rectangle(columns.left, top - 0.12, end - columns.left, _BRACKET, colour, gid="prefix")
    text = f"stable prefix, {counted(whole, 'block')}"
    page.text(columns.left, top - 0.22, text, gid="prefix-label", colour=colour, bold=True)
    if length < len(columns.spans):
        through = [[(end, top), (end, columns.top + columns.height)]]
        page.lines(through, colour, gid="prefix-end", linewidth=1.4, zorder=4)


def draw_names(page: "Page", columns: HeatmapColumns, names: Mapping[str, str]) -> None:
    """Write the name of each column upright below it."""
    for column, span in enumerate(rows(columns.spans)):
        style: Any = {"bold": True, "colour": page.colours.breaking} if span.breaks else {}
        page.text(
            columns.x(column + 0.5),
            columns.top + columns.height + 0.05,
            names[span.span_id],
            gid=f"name-{columns.before + column}",
            size=Size.NAME,
            mono=True,
            rotation=90,
            ha="right",
            va="center",
            **style,
        )


def draw_groups(page: "Page", columns: HeatmapColumns, names: Mapping[str, str]) -> None:
    """Name groups of columns that are too narrow to have names, and the breaking block."""
    y, begin = columns.top + columns.height + 0.06, 0
    for number, (kind, group) in enumerate(groupby(rows(columns.spans), _kind_of)):
        n = len(list(group))
        left, right = columns.x(begin) + 0.015, columns.x(begin + n) - 0.015
        begin += n
        page.lines([[(left, y), (right, y)]], page.colours.rule, gid=f"group-{number}", linewidth=1.4)
        for text in (counted(n, f"{kind[0]} {kind[1]}"), counted(n, kind[0])):
            if text_width(text, Size.HEADING) <= right - left:
                page.label((left + right) / 2, y + 0.11, text, gid=f"group-{number}-name", ha="center")
                break
    for column, span in enumerate(rows(columns.spans)):
        if span.breaks:
            _name_below(page, columns.x(column + 0.5), y + 0.28, names[span.span_id])


def _kind_of(span: Any) -> tuple[str, str]:
    if span.content_type == "tool_schema":
        return "tool", "schema"
    return ("system", "block") if span.role == "system" else ("message", "block")


def _name_below(page: "Page", x: float, y: float, name: str) -> None:
    """Point at the breaking block's column, and name it beside, on the side that has room."""
    style: Any = {"size": Size.NAME, "bold": True, "colour": page.colours.breaking}
    page.text(x, y, "▲", gid="breaking-mark", ha="center", **style)
    fits = x + 0.1 + text_width(name, Size.NAME, mono=True) <= page.right
    side: Any = {"ha": "left" if fits else "right", "mono": True}
    page.text(x + (0.1 if fits else -0.1), y, name, gid="breaking-name", **side, **style)
