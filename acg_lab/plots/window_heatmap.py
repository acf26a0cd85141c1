"""The window of one profile: when and where did content change."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from acg_lab import frames
from acg_lab._format import counted
from acg_lab.config.thresholds import check_thresholds
from acg_lab.core.stability import StabilityThresholds
from acg_lab.plots.canvas import HEADING, MARGIN, BoxStyle, Swatch
from acg_lab.plots.compact import compact_place
from acg_lab.plots.empty import draw_empty, title_of
from acg_lab.plots.heatmap_columns import (
    GROUPS_HEIGHT,
    HeatmapColumns,
    column_names,
    draw_groups,
    draw_names,
    draw_scores,
    names_height,
)
from acg_lab.plots.inputs import (
    check_columns,
    check_source,
    confidence_words,
    profile_words,
    select_key,
    select_profile,
)
from acg_lab.plots.mpl_canvas import MplCanvas
from acg_lab.plots.theme import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from acg_lab.plots.mpl_canvas import Place
    from acg_lab.snapshot.snapshot import Snapshot

__all__ = ["window_heatmap"]

_LEFT: Final = 0.98
_ABOVE: Final = 0.62  # legend and bracket, above the scores
_STRIP: Final = 0.42  # the scores above the cells
_GAP, _NOTE = 0.10, 0.30
_MOST_COLUMNS, _AFTER_BREAK = 120, 20
_MOST_NAMES = 40
_CELLS: Final = ("request", "content", "first_difference")
_SCORES: Final = ("learning_key", "score", "breaks")
_APART: Final = 0.16  # between labels of time
_HIGHEST, _LEAST = 10.0, 0.8  # inches: of all the cells, and the least with words
_COMPACT_STRIP, _COMPACT_GAP = 0.2, 0.12
_PIXELS: Final = 72  # an inch, of the coarsest picture that is made
_DIFFERENCE: Final = 3  # the kind of a cell that is the first difference of its request
_LINED: Final = 0.10  # height of a row from which lines are drawn between rows


def window_heatmap(
    data: "Snapshot | pd.DataFrame",
    learning_key: str | None = None,
    agent_id: str | None = None,
    *,
    scores: pd.DataFrame | None = None,
    thresholds: StabilityThresholds | None = None,
    heading: bool = True,
    ax: "Place" = None,
) -> "Axes":
    """Draw the window of one profile: one row per request, oldest on top, and one column per block, in prompt order.

    A cell is the dominant content of the block, another content, content seen once, or blank if the request has no such
    block. Orange is the first block of a request that is not the most frequent one at its position: there a cached
    prefix stops matching. Above stand the scores, and the stable prefix of the result.

    Parameters
    ----------
    data : Snapshot or DataFrame
        What to draw; or rows of `acg_lab.frames.cells`, the table behind the figure.
    learning_key : str, optional
        The profile, by learning key or display name; may be left out if there is only one.
    agent_id : str, optional
        Its agent; enough if the agent has one profile.
    scores : DataFrame, optional
        Rows of `acg_lab.frames.scores`: needed with a frame, and to draw a result that exists already.
    thresholds : StabilityThresholds, optional
        By which blocks are classified; production's defaults when left out.
    heading : bool
        Whether to draw title and subtitle; `acg_lab.plots.alt_text` has them in any case.
    ax : Axes or Figure, optional
        Where to draw. Axes give their place; a figure keeps its width. A new figure when left out.

    Returns
    -------
    Axes
        Of the cells: x in columns, y in requests.

    Raises
    ------
    UsageError
        If there are several profiles and none is named, if a frame is not one of cells or of scores, or if a threshold
        is written in per cent.

    Examples
    --------
    >>> import acg_lab as acg
    >>> from matplotlib.figure import Figure
    >>> axes = acg.plots.window_heatmap(acg.load(acg.MemoryBackend()), ax=Figure())
    >>> acg.plots.alt_text(axes).partition(" · ")[0]
    'No requests observed yet'
    """
    thresholds = check_thresholds(thresholds)
    check_source(data, "frames.cells")
    if isinstance(data, pd.DataFrame):
        cells = select_profile(check_columns(data, _CELLS, "frames.cells"), learning_key, agent_id)
        key = learning_key if cells.empty else str(cells["learning_key"].iloc[0])
    else:
        key = select_key(data, learning_key, agent_id)
        if key is None:
            with drawing():
                return draw_empty(ax, gid="window-heatmap", show=heading)
        cells = frames.cells(data, key)
        scores = frames.scores(data, thresholds=thresholds, learning_key=key) if scores is None else scores
    scores = check_columns(scores, _SCORES, "frames.scores")
    scores = select_profile(scores, key if len(scores["learning_key"].unique()) > 1 else None)
    with drawing():
        if cells.empty or scores.empty:
            return draw_empty(ax, *profile_words(scores), gid="window-heatmap", show=heading)
        return _draw(cells, scores, thresholds, ax, heading=heading)


def _draw(
    cells: pd.DataFrame, scores: pd.DataFrame, thresholds: StabilityThresholds, place: "Place", *, heading: bool
) -> "Axes":
    n = int(scores["requests"].iloc[0])
    n_before, shown = _select_columns(scores)
    is_named = len(shown) <= _MOST_NAMES
    names = column_names(shown)
    foot = names_height(names) if is_named else GROUPS_HEIGHT
    top = (HEADING if heading else MARGIN) + _ABOVE + _STRIP + _GAP
    canvas = MplCanvas(place)
    cells_height = min(max(3.4 / n, 0.028) * n, 0.16 * n, _HIGHEST)
    least = top + min(cells_height, _LEAST) + foot + _NOTE
    canvas.begin(top + cells_height + foot + _NOTE, gid="window-heatmap", least=least)
    title, words = title_of(scores, thresholds.stable_threshold), _words(scores, n)
    end = canvas.heading(title.text, *words, name=title.name, show=heading)
    if canvas.is_compact:
        return _draw_compact(canvas, (n_before, shown, cells, n), thresholds, end)
    height = max(canvas.height - top - foot - _NOTE, 0.2)
    columns = HeatmapColumns(shown, n_before, _LEFT, canvas.right - _LEFT, top, height)
    draw_scores(canvas, columns, top - _GAP - _STRIP, _STRIP, thresholds, is_single_request=n == 1)
    axes = _draw_cells(canvas, columns, cells, n)
    _draw_times(canvas, columns, cells)
    (draw_names if is_named else draw_groups)(canvas, columns, names)
    _draw_legend_and_note(canvas, columns, cells, scores)
    return axes


def _words(scores: pd.DataFrame, n: int) -> tuple[str | None, ...]:
    oldest = ", oldest at the top, UTC" if n > 1 else ""
    blocks = f"{counted(len(scores), 'block')} in prompt order"
    return f"{counted(n, 'request')}{oldest}", blocks, confidence_words(scores), *profile_words(scores)


def _draw_compact(
    canvas: MplCanvas,
    drawn: tuple[int, pd.DataFrame, pd.DataFrame, int],
    thresholds: StabilityThresholds,
    top: float,
) -> "Axes":
    """Draw scores, prefix and cells without names and times."""
    n_before, shown, cells, n = drawn
    left, top, width, height = compact_place(canvas, top + _COMPACT_STRIP + _COMPACT_GAP, below=0.0)
    columns = HeatmapColumns(shown, n_before, left, width, top, height)
    strip = top - 0.05 - _COMPACT_STRIP, _COMPACT_STRIP
    draw_scores(canvas, columns, *strip, thresholds, is_single_request=n == 1)
    return _draw_cells(canvas, columns, cells, n)


def _select_columns(scores: pd.DataFrame) -> tuple[int, pd.DataFrame]:
    """Return the number of leading blocks that are not drawn, and the scores of those drawn, with the breaking one."""
    breaks = scores["breaks"].to_numpy()
    last = int(breaks.argmax()) + _AFTER_BREAK if breaks.any() else len(scores)
    n_before = max(min(last, len(scores)) - _MOST_COLUMNS, 0) if len(scores) > _MOST_COLUMNS else 0
    return n_before, scores.iloc[n_before : n_before + _MOST_COLUMNS]


def _draw_cells(canvas: MplCanvas, columns: HeatmapColumns, cells: pd.DataFrame, n: int) -> "Axes":
    from matplotlib.colors import to_rgb

    colours = canvas.colours
    axes = canvas.panel(columns.left, columns.top, columns.width, columns.height, gid="cells", x_axis=False).axes
    kinds = (colours.dominant, colours.semi_stable, colours.once, colours.breaking, colours.paper)
    fills = np.array([to_rgb(fill) for fill in kinds])
    picture = fills[_picture(columns, cells, n)]
    extent = (0, len(columns.scores), n, 0)
    image: Any = {"aspect": "auto", "interpolation": "nearest", "extent": extent, "zorder": 1}
    axes.imshow(picture, gid="cells-image", **image)
    axes.set(xlim=extent[:2], ylim=extent[2:], xticks=[], yticks=[])
    line: Any = {"colors": colours.paper, "zorder": 2}
    between = np.arange(1, len(columns.scores))
    axes.vlines(between, 0, n, linewidth=min(1.6, columns.each * 6), gid="cells-columns", **line)
    if columns.height / n >= _LINED:
        axes.hlines(np.arange(1, n), 0, len(columns.scores), linewidth=0.8, gid="cells-rows", **line)
    return axes


def _picture(columns: HeatmapColumns, cells: pd.DataFrame, n: int) -> "NDArray[np.int64]":
    """Return the kind of each cell, -1 where a request has no such block.

    Where there are more requests than pixels, those of one pixel are one row, in which the worst cell wins, so that no
    difference vanishes. A column holds the first block of that name in each request.
    """
    n_rows = min(n, max(int(columns.height * _PIXELS), 1))
    drawn = columns.find(cells["span_id"])
    kinds = np.where(cells["first_difference"], _DIFFERENCE, cells["content"].cat.codes)
    places = cells["request"].to_numpy(np.int64) * len(columns.scores) + drawn
    _, firsts = np.unique(places[drawn >= 0], return_index=True)
    rows = cells["request"].to_numpy(np.int64)[drawn >= 0][firsts] * n_rows // n
    picture = np.full((n_rows, len(columns.scores)), -1, np.int64)
    np.maximum.at(picture, (rows, drawn[drawn >= 0][firsts]), kinds[drawn >= 0][firsts])
    return picture


def _draw_times(canvas: MplCanvas, columns: HeatmapColumns, cells: pd.DataFrame) -> None:
    """Write the first and the last time, and each new day that has room."""
    times = cells.groupby("request")["created_at"].first()
    each = columns.height / len(times)
    days = times.dt.as_unit("s").dt.floor("D")  # pandas has no day for its first and last nanoseconds
    if times.isna().all():
        return
    last_y, labels = columns.top + columns.height - 0.03, [(columns.top + 0.04, _written(times.iloc[0], "%d %b %H:%M"))]
    for place in np.flatnonzero((days.diff() > pd.Timedelta(0)).to_numpy()).tolist():
        y = columns.top + (place + 0.5) * each
        if y - labels[-1][0] >= _APART and last_y - y >= _APART:
            labels.append((y, _written(times.iloc[place], "%d %b")))
    has_day = labels[-1][1].startswith(day := _written(times.iloc[-1], "%d %b")) and bool(day)
    if last_y - labels[-1][0] >= _APART:
        labels.append((last_y, _written(times.iloc[-1], "%H:%M" if has_day else "%d %b %H:%M")))
    for number, (y, text) in enumerate(labels):
        if text:
            canvas.label(columns.left - 0.06, y, text, ha="right", gid=f"time-{number}")


def _written(time: Any, form: str) -> str:
    """Return a time as text, empty where there is none."""
    return "" if pd.isna(time) else f"{time:{form}}"


def _draw_legend_and_note(
    canvas: MplCanvas, columns: HeatmapColumns, cells: pd.DataFrame, scores: pd.DataFrame
) -> None:
    """Draw a swatch for each kind of cell that is drawn, and say which blocks are not."""
    colours, difference = canvas.colours, cells["first_difference"]
    kinds = set(cells["content"][~difference])
    swatches = [
        Swatch("dominant content", BoxStyle(colours.dominant)) if "dominant" in kinds else None,
        Swatch("another content, seen before", BoxStyle(colours.semi_stable)) if "repeated" in kinds else None,
        Swatch("content seen once", BoxStyle(colours.once)) if "once" in kinds else None,
        Swatch("first difference of the request", BoxStyle(colours.breaking)) if difference.any() else None,
    ]
    canvas.legend([swatch for swatch in swatches if swatch], columns.top - _GAP - _STRIP - _ABOVE + 0.12)
    n_after = len(scores) - columns.n_before - len(columns.scores)
    hidden = [f"{n:,} {where}" for n, where in ((columns.n_before, "before"), (n_after, "behind")) if n]
    more = f"  Not drawn: {' and '.join(hidden)} of {counted(len(scores), 'block')}." if hidden else ""
    has_blanks = cells.groupby("request")["span_id"].nunique().min() < len(scores)
    canvas.note(f"{'Blank: the request has no such block.' if has_blanks else ''}{more}".strip())
