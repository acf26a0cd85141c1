"""The window of one profile: when and where did content change."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from acg_lab import frames
from acg_lab._format import counted
from acg_lab.core.stability import StabilityThresholds
from acg_lab.plots.canvas import HEADING, MARGIN, Page, Swatch, open_page
from acg_lab.plots.empty import draw_nothing, title_of
from acg_lab.plots.heatmap_columns import (
    GROUPS_HEIGHT,
    HeatmapColumns,
    column_names,
    draw_groups,
    draw_names,
    draw_scores,
    names_height,
)
from acg_lab.plots.inputs import check_columns, check_source, confidence_of, one_key, one_profile, profile_words
from acg_lab.plots.theme import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.plots.canvas import Place
    from acg_lab.snapshot.snapshot import Snapshot

__all__ = ["window_heatmap"]

_LEFT: Final = 0.98
_ABOVE: Final = 0.62  # legend and bracket, above the scores
_STRIP: Final = 0.42  # the scores above the cells
_GAP, _NOTE = 0.10, 0.30
_MOST_COLUMNS, _BEHIND = 120, 20
_MOST_NAMES = 40
_CELLS: Final = ("request", "content", "first_difference")
_SCORES: Final = ("learning_key", "score", "breaks")
_APART: Final = 0.16  # between labels of time
_LINED: Final = 0.10  # rows at least so high have lines between them


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
    """Draw the window of one profile: a row a request, oldest on top, and a column a block, in prompt order.

    A cell is the dominant content of the block, another content, one seen once, or blank where the request has no such
    block. Orange is the first block of a request that is not the most frequent one at its position: there a cached
    prefix stops matching. Above stand the scores, and the stable prefix that the result has.

    Parameters
    ----------
    data : Snapshot or DataFrame
        What to draw; or the rows of `acg_lab.frames.cells`, which is the table behind the figure.
    learning_key : str, optional
        The profile, by learning key or display name; may be left out where there is only one.
    agent_id : str, optional
        Its agent; enough where the agent has one profile.
    scores : DataFrame, optional
        Rows of `acg_lab.frames.scores`: needed with a frame, and to draw a result that is there already.
    thresholds : StabilityThresholds, optional
        That the scores are judged by; production's defaults when left out.
    heading : bool
        Whether to draw title and subtitle; `acg_lab.plots.alt_text` has them in any case.
    ax : Axes or Figure, optional
        Where to draw. An axes gives its place; a figure keeps its width. A new figure when left out.

    Returns
    -------
    Axes
        Of the cells: x in columns, y in requests.

    Raises
    ------
    UsageError
        If there are several profiles and none is named, or a frame is none of the kind expected.
    """
    thresholds = thresholds or StabilityThresholds()
    check_source(data, "frames.cells")
    if isinstance(data, pd.DataFrame):
        cells = one_profile(check_columns(data, _CELLS, "frames.cells"), learning_key, agent_id)
        key = learning_key if cells.empty else str(cells["learning_key"].iloc[0])
    else:
        key = one_key(data, learning_key, agent_id)
        if key is None:
            with drawing():
                return draw_nothing(ax, gid="window-heatmap", show=heading)
        cells = frames.cells(data, key)
        scores = frames.scores(data, thresholds=thresholds, learning_key=key) if scores is None else scores
    scores = check_columns(scores, _SCORES, "frames.scores")
    scores = one_profile(scores, key if len(scores["learning_key"].unique()) > 1 else None)
    with drawing():
        if cells.empty or scores.empty:
            return draw_nothing(ax, *profile_words(scores), gid="window-heatmap", show=heading)
        return _draw(cells, scores, thresholds, ax, heading=heading)


def _draw(
    cells: pd.DataFrame, scores: pd.DataFrame, thresholds: StabilityThresholds, place: "Place", *, heading: bool
) -> "Axes":
    n = int(scores["requests"].iloc[0])
    before, spans = _choose(scores)
    named = len(spans) <= _MOST_NAMES
    names = column_names(spans)
    foot = names_height(names) if named else GROUPS_HEIGHT
    top = (HEADING if heading else MARGIN) + _ABOVE + _STRIP + _GAP
    page = open_page(place, top + min(max(3.4 / n, 0.028), 0.16) * n + foot + _NOTE, gid="window-heatmap")
    height = max(page.height - top - foot - _NOTE, 0.2)
    columns = HeatmapColumns(spans, before, _LEFT, page.right - _LEFT, top, height)
    title = title_of(scores, thresholds.stable_threshold)
    oldest = ", oldest at the top, UTC" if n > 1 else ""
    blocks = f"{counted(len(scores), 'block')} in prompt order"
    words = (f"{counted(n, 'request')}{oldest}", blocks, confidence_of(scores), *profile_words(scores))
    page.heading(title.text, *words, name=title.name, show=heading)
    draw_scores(page, columns, top - _GAP - _STRIP, _STRIP, thresholds, alone=n == 1)
    axes = _draw_cells(page, columns, cells, n)
    _draw_times(page, columns, cells)
    (draw_names if named else draw_groups)(page, columns, names)
    _say_the_rest(page, columns, cells, scores)
    return axes


def _choose(scores: pd.DataFrame) -> tuple[int, pd.DataFrame]:
    """Return how many leading columns are left out, and the scores of those drawn: the breaking one is among them."""
    breaks = scores["breaks"].to_numpy()
    last = int(breaks.argmax()) + _BEHIND if breaks.any() else len(scores)
    before = max(min(last, len(scores)) - _MOST_COLUMNS, 0) if len(scores) > _MOST_COLUMNS else 0
    return before, scores.iloc[before : before + _MOST_COLUMNS]


def _draw_cells(page: Page, columns: HeatmapColumns, cells: pd.DataFrame, n: int) -> "Axes":
    from matplotlib.colors import to_rgb

    colours = page.colours
    axes = page.panel(columns.left, columns.top, columns.width, columns.height, gid="cells", x_axis=False)
    fills = np.array([to_rgb(fill) for fill in (colours.dominant, colours.semi_stable, colours.once, colours.breaking)])
    drawn = columns.place_of(cells["span_id"])
    cells, drawn = cells[drawn >= 0], drawn[drawn >= 0]
    kinds = np.where(cells["first_difference"], 3, cells["content"].cat.codes)
    picture = np.full((n, len(columns.spans), 3), to_rgb(colours.paper))
    # A span that a request repeats shows what stands first.
    picture[cells["request"].to_numpy()[::-1], drawn[::-1]] = fills[kinds[::-1]]
    extent = (0, len(columns.spans), n, 0)
    image: Any = {"aspect": "auto", "interpolation": "nearest", "extent": extent, "zorder": 1}
    axes.imshow(picture, gid="cells-image", **image)
    axes.set(xlim=extent[:2], ylim=extent[2:], xticks=[], yticks=[])
    line: Any = {"colors": colours.paper, "zorder": 2}
    between = np.arange(1, len(columns.spans))
    axes.vlines(between, 0, n, linewidth=min(1.6, columns.each * 6), gid="cells-columns", **line)
    if columns.height / n >= _LINED:
        axes.hlines(np.arange(1, n), 0, len(columns.spans), linewidth=0.8, gid="cells-rows", **line)
    return axes


def _draw_times(page: Page, columns: HeatmapColumns, cells: pd.DataFrame) -> None:
    """Write the first and the last time and each new day, where there is room."""
    times = cells.groupby("request")["created_at"].first()
    each = columns.height / len(times)
    days = times.dt.as_unit("s").dt.floor("D")  # the first and last nanoseconds that there are have no day
    last_y, labels = columns.top + columns.height - 0.03, [(columns.top + 0.04, f"{times.iloc[0]:%d %b %H:%M}")]
    for place in np.flatnonzero((days.diff() > pd.Timedelta(0)).to_numpy()).tolist():
        y = columns.top + (place + 0.5) * each
        if y - labels[-1][0] >= _APART and last_y - y >= _APART:
            labels.append((y, f"{times.iloc[place]:%d %b}"))
    told = labels[-1][1].startswith(f"{times.iloc[-1]:%d %b}")
    if last_y - labels[-1][0] >= _APART:
        labels.append((last_y, f"{times.iloc[-1]:%H:%M}" if told else f"{times.iloc[-1]:%d %b %H:%M}"))
    for number, (y, text) in enumerate(labels):
        if "NaT" not in text:
            page.label(columns.left - 0.06, y, text, ha="right", gid=f"time-{number}")


def _say_the_rest(page: Page, columns: HeatmapColumns, cells: pd.DataFrame, scores: pd.DataFrame) -> None:
    """Draw the legend, of what is drawn, and the note."""
    colours, difference = page.colours, cells["first_difference"]
    there = set(cells["content"][~difference])
    swatches = [
        Swatch("dominant content", colours.dominant) if "dominant" in there else None,
        Swatch("another content, seen before", colours.semi_stable) if "repeated" in there else None,
        Swatch("content seen once", colours.once) if "once" in there else None,
        Swatch("first difference of the request", colours.breaking) if difference.any() else None,
    ]
    page.legend([swatch for swatch in swatches if swatch], columns.top - _GAP - _STRIP - _ABOVE + 0.12)
    behind = len(scores) - columns.before - len(columns.spans)
    unseen = [f"{count:,} {where}" for count, where in ((columns.before, "before"), (behind, "behind")) if count]
    more = f"  Not drawn: {' and '.join(unseen)} of {counted(len(scores), 'block')}." if unseen else ""
    blank = cells.groupby("request")["span_id"].nunique().min() < len(scores)
    page.note(f"{'Blank: the request has no such block.' if blank else ''}{more}".strip())
