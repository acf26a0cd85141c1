"""What stands above and below the cells of a heatmap: the score of each block, its name, and the stable prefix."""

from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from acg_lab._format import counted, cut_all, setting
from acg_lab.plots.canvas import BoxStyle
from acg_lab.plots.inputs import rows_of
from acg_lab.plots.text import Size, drawable, text_width

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acg_lab.core.stability import StabilityThresholds
    from acg_lab.plots.mpl_canvas import MplCanvas
    from acg_lab.plots.theme import Palette

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
_BAR: Final = 0.82  # of the width of a column
_LINE: Final = 0.13  # of text, in inches
_BRACKET: Final = 3 / 72


class HeatmapColumns(NamedTuple):
    """The blocks that are drawn, and where their columns stand, in inches.

    Attributes
    ----------
    scores : DataFrame
        Of these blocks, in prompt order.
    n_before : int
        Leading blocks of the prompt that are not drawn.
    left, width, top, height : float
        Of all the cells.
    """

    scores: pd.DataFrame
    n_before: int
    left: float
    width: float
    top: float
    height: float

    @property
    def each(self) -> float:
        """Width of a column."""
        return self.width / len(self.scores)

    def x(self, column: float) -> float:
        """Return where a column begins."""
        return self.left + column * self.each

    def find(self, span_ids: "pd.Series[Any]") -> "NDArray[np.intp]":
        """Return the column of each span id, -1 for those not drawn."""
        columns = pd.Index(self.scores["span_id"].astype(object))
        return np.asarray(columns.get_indexer(pd.Index(span_ids.astype(object))), np.intp)


def column_names(scores: pd.DataFrame) -> Mapping[str, str]:
    """Return the names of the columns, cut, by span id."""
    shown = {span_id: drawable(span_id, mono=True) for span_id in scores["span_id"]}
    cut = cut_all(shown.values(), _NAME)
    return {span_id: cut[name] for span_id, name in shown.items()}


def names_height(names: Mapping[str, str]) -> float:
    """Return the height of upright names."""
    return max(text_width(name, Size.NAME, mono=True) for name in names.values()) + 0.1


def draw_scores(
    canvas: "MplCanvas",
    columns: HeatmapColumns,
    top: float,
    height: float,
    thresholds: "StabilityThresholds",
    *,
    is_single_request: bool,
) -> None:
    """Draw the score of each column, the stable line, and the prefix."""
    colours, bottom = canvas.colours, top + height
    for column, block in enumerate(rows_of(columns.scores)):
        size = min(block.score, 1) * height
        bar = (columns.x(column + (1 - _BAR) / 2), bottom - size, columns.each * _BAR, size)
        gid = f"score-{columns.n_before + column}"
        style = _style_of(block, colours, is_single_request=is_single_request)
        canvas.rectangle(*bar, gid=gid, **style._asdict())
        if block.score > 1 and not canvas.is_compact:
            canvas.text(columns.x(column + 0.5), top - 0.02, "▴", gid=f"{gid}-above-1", size=Size.SMALLEST, ha="center")
    canvas.lines([[(columns.left, bottom), (canvas.right, bottom)]], colours.rule, gid="scores-axis", linewidth=0.8)
    line = bottom - min(max(thresholds.stable_threshold, 0), 1) * height
    canvas.lines([[(columns.left, line), (canvas.right, line)]], colours.ink, gid="stable-threshold")
    if not canvas.is_compact:
        canvas.label(columns.left - 0.06, bottom, "0", gid="scores-0", ha="right")
        text = setting(thresholds.stable_threshold)
        canvas.label(columns.left - 0.06, line, text, gid="stable-threshold-value", ha="right")
        if bottom - line > 2.4 * _LINE:
            canvas.label(columns.left - 0.36, (line + bottom) / 2, "score", gid="scores-label", ha="right")
    if not is_single_request:
        _draw_prefix(canvas, columns, top)


def _style_of(block: Any, colours: "Palette", *, is_single_request: bool) -> BoxStyle:
    if is_single_request:
        return BoxStyle(colours.paper, colours.stable, 0.8)
    if block.in_prefix:
        return BoxStyle(colours.stable)
    if block.breaks:
        return BoxStyle(colours.breaking)
    if block.classification == "stable":
        return BoxStyle(colours.paper, colours.stable, 0.8, hatched=True)
    return BoxStyle(colours.of_class(str(block.classification)))


def _draw_prefix(canvas: "MplCanvas", columns: HeatmapColumns, top: float) -> None:
    """Draw the bracket over the stable prefix, and a vertical line through the cells at its end."""
    length = int(columns.scores["in_prefix"].sum())
    if not length:
        return
    colour, end = canvas.colours.stable, columns.x(length)
    whole = columns.n_before + length
    above = 0.06 if canvas.is_compact else 0.12
    canvas.rectangle(columns.left, top - above, end - columns.left, _BRACKET, colour, gid="prefix")
    if not canvas.is_compact:
        text = f"stable prefix, {counted(whole, 'block')}"
        canvas.text(columns.left, top - 0.22, text, gid="prefix-label", colour=colour, bold=True)
    if length < len(columns.scores):
        through = [[(end, top), (end, columns.top + columns.height)]]
        canvas.lines(through, colour, gid="prefix-end", linewidth=1.4, zorder=4)


def draw_names(canvas: "MplCanvas", columns: HeatmapColumns, names: Mapping[str, str]) -> None:
    """Write the name of each column upright below it."""
    for column, block in enumerate(rows_of(columns.scores)):
        style: Any = {"bold": True, "colour": canvas.colours.breaking} if block.breaks else {}
        canvas.text(
            columns.x(column + 0.5),
            columns.top + columns.height + 0.05,
            names[block.span_id],
            gid=f"name-{columns.n_before + column}",
            size=Size.NAME,
            mono=True,
            rotation=90,
            ha="right",
            va="center",
            **style,
        )


def draw_groups(canvas: "MplCanvas", columns: HeatmapColumns, names: Mapping[str, str]) -> None:
    """Name groups of columns that are too narrow for names of their own, and the breaking block."""
    y, begin = columns.top + columns.height + 0.06, 0
    for number, (kind, group) in enumerate(groupby(rows_of(columns.scores), _kind_of)):
        n = len(list(group))
        left, right = columns.x(begin) + 0.015, columns.x(begin + n) - 0.015
        begin += n
        canvas.lines([[(left, y), (right, y)]], canvas.colours.rule, gid=f"group-{number}", linewidth=1.4)
        for text in (counted(n, f"{kind[0]} {kind[1]}"), counted(n, kind[0])):
            if text_width(text, Size.HEADING) <= right - left:
                canvas.label((left + right) / 2, y + 0.11, text, gid=f"group-{number}-name", ha="center")
                break
    for column, block in enumerate(rows_of(columns.scores)):
        if block.breaks:
            _name_below(canvas, columns.x(column + 0.5), y + 0.28, names[block.span_id])


def _kind_of(block: Any) -> tuple[str, str]:
    if block.content_type == "tool_schema":
        return "tool", "schema"
    return ("system", "block") if block.role == "system" else ("message", "block")


def _name_below(canvas: "MplCanvas", x: float, y: float, name: str) -> None:
    """Point at the column of the breaking block, with its name on the side that has room."""
    style: Any = {"size": Size.NAME, "bold": True, "colour": canvas.colours.breaking}
    canvas.text(x, y, "▲", gid="breaking-mark", ha="center", **style)
    fits = x + 0.1 + text_width(name, Size.NAME, mono=True) <= canvas.right
    side: Any = {"ha": "left" if fits else "right", "mono": True}
    canvas.text(x + (0.1 if fits else -0.1), y, name, gid="breaking-name", **side, **style)
