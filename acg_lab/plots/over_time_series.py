"""What a panel over time shows, whatever it measures: settings as steps, their names, periods, and content changes."""

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from acg_lab._format import cut_all, tokens
from acg_lab.plots.inputs import rows_of
from acg_lab.plots.text import Size, drawable, spread, text_width
from acg_lab.plots.theme import palette

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acg_lab.plots.mpl_canvas import MplCanvas, MplPanel
    from acg_lab.plots.theme import Palette

    Floats = NDArray[np.float64]

__all__ = [
    "Series",
    "draw_changes",
    "draw_dates",
    "draw_periods",
    "draw_series",
    "is_same",
    "mark_changes",
    "name_series",
]

_MOST: Final = 2000  # requests; more are drawn pixel by pixel
_FINER: Final = 0.6  # factor for lines of medians
_DATE: Final = 0.7  # inches from one date to the next
_LINE: Final = 0.165  # of text, in inches
_NAMED, _NAMES, _GAP = 5, (30, 22, 16, 10), 0.1


class Series(NamedTuple):
    """One setting.

    Attributes
    ----------
    name : str
        ``default``, ``current`` or ``tuned``.
    stable_threshold, window : float, int or None
    heights : (n_requests,)
        Tokens in the stable prefix before each request.
    mean, matched : float
        Over the held-out requests: mean height, and mean of the tokens that the request itself repeated, None if
        unknown.
    """

    name: str
    stable_threshold: float
    window: int | None
    heights: "Floats"
    mean: float
    matched: float | None


def is_same(series: Sequence[Series]) -> bool:
    """Whether there are two settings that never differ."""
    return len(series) > 1 and np.array_equal(series[0].heights, series[-1].heights)


def draw_series(panel: "MplPanel", colours: "Palette", series: Sequence[Series], n_pixels: int) -> None:
    """Draw each setting as steps; beyond 2,000 requests, the median and the range of each pixel."""
    n = len(series[0].heights)
    styles = [(colours.base, 1.4, colours.rule), (colours.stable, 2.0, colours.dominant)]
    drawn = series[-1:] if is_same(series) else series
    if n <= _MOST and len(drawn) > 1:
        _fill_gap(panel, colours, drawn)
    for number, one in enumerate(drawn):
        colour, width, band = styles[number - len(drawn)]
        heights, edges = one.heights, np.arange(n + 1)
        if n > _MOST:
            edges = np.unique(np.linspace(0, n, n_pixels + 1).round().astype(int))
            least, heights, most = _summarize_pixels(one.heights, edges)
            panel.steps(most, edges, band, baseline=least, alpha=0.7, gid=f"range-{one.name}", zorder=2)
        line: Any = {"linewidth": width if n <= _MOST else width * _FINER, "zorder": 3}
        panel.steps(heights, edges, colour, gid=f"line-{one.name}", **line)


def _summarize_pixels(heights: "Floats", edges: "NDArray[np.int64]") -> tuple["Floats", "Floats", "Floats"]:
    """Return the least, the median and the greatest height of each run."""
    sizes = np.diff(edges)
    ordered = heights[np.lexsort((heights, np.repeat(np.arange(len(sizes)), sizes)))]
    begin, end = edges[:-1], edges[1:] - 1
    middles = (ordered[begin + (sizes - 1) // 2] + ordered[begin + sizes // 2]) / 2
    return ordered[begin], middles, ordered[end]


def _fill_gap(panel: "MplPanel", colours: "Palette", series: Sequence[Series]) -> None:
    """Fill between the first setting and the last: where the last has more, and where it has less."""
    base, other = series[0].heights, series[-1].heights
    edges = np.arange(len(base) + 1)
    if (other > base).any():
        more: Any = {"baseline": base, "alpha": 0.8, "zorder": 1.5}
        panel.steps(np.maximum(base, other), edges, colours.dominant, gid="gain", **more)
    if (other < base).any():
        panel.steps(base, edges, colours.breaking_tint, baseline=np.minimum(base, other), gid="loss", zorder=1.5)


def draw_periods(panel: "MplPanel", n: int, n_tuning: int, width: float) -> None:
    """Shade the requests that were used for tuning, and name both periods."""
    if not n_tuning:
        return
    axes, colours = panel.axes, palette()
    axes.axvspan(0, min(n_tuning, n), color=colours.grid, alpha=0.55, linewidth=0, gid="tuning-period", zorder=0.5)
    foot: Any = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom", "fontsize": Size.NOTE}
    periods = ((0, n_tuning, "tuned on these requests", "tuning"), (n_tuning, n, "held out", "held-out"))
    for begin, end, text, gid in periods:
        if text_width(text, Size.NOTE) < (end - begin) / n * width:
            axes.text((begin + end) / 2, 0.03, text, color=colours.text2, gid=f"{gid}-name", zorder=4, **foot)


def draw_dates(panel: "MplPanel", frame: pd.DataFrame, n: int, width: float) -> None:
    """Put the dates of requests at the ticks, where they are known: each day's first request, as far as it fits."""
    if "started_at" not in frame:
        return
    times = frame.drop_duplicates("step").sort_values("step", kind="stable")["started_at"].reset_index(drop=True)
    if len(times) != n or times.isna().all():
        return
    days = times.dt.strftime("%d %b")
    places, last = [], -_DATE
    for place in np.flatnonzero((days != days.shift()) & times.notna()).tolist():
        if (at := place / n * width) - last >= _DATE:
            places.append(place)
            last = at
    panel.set_x_ticks(places, [f"{days[place]}" for place in places])


def name_series(
    canvas: "MplCanvas", panel: "MplPanel", series: Sequence[Series], place: tuple[float, float, float]
) -> None:
    """Name each setting at its right end, with its mean."""
    x, top, height = place
    shown = series[-1:] if is_same(series) else series
    least, most = panel.axes.get_ylim()
    ends = [top + height * (1 - (one.heights[-1] - least) / (most - least)) for one in shown]
    order = np.lexsort(([-one.mean for one in shown], ends))
    middles = spread([ends[i] for i in order], [2 * _LINE] * len(shown), 0.03, top - _LINE, top + height)
    for i, middle in zip(order.tolist(), middles, strict=True):
        one, last = shown[i], i == len(shown) - 1 and len(series) > 1
        colour = canvas.colours.stable if last or len(series) == 1 else canvas.colours.text2
        style: Any = {"size": Size.LABEL, "colour": colour, "bold": last}
        name = f"{series[0].name} = tuned" if is_same(series) else one.name
        canvas.text(x, middle - _LINE / 2, name, gid=f"name-{one.name}", **style)
        mean = "" if np.isnan(one.mean) else f"mean {tokens(one.mean)}"
        canvas.text(x, middle + _LINE / 2, mean, gid=f"mean-{one.name}", **style)


def draw_changes(
    canvas: "MplCanvas", panel: "MplPanel", changes: pd.DataFrame, place: tuple[float, float, float]
) -> None:
    """Mark content changes: the largest by a line and a name above, the others by a tick."""
    (left, top, width), axes = place, panel.axes
    if "tokens" in changes:
        changes = changes.sort_values("tokens", ascending=False, kind="stable")
    named, texts, widths = _fitting(changes, canvas.right)
    colour = canvas.colours.breaking
    style: Any = {"linewidth": 0.9, "zorder": 3.5}
    for number, change in enumerate(rows_of(named)):
        axes.axvline(change.place, color=colour, linestyle=(0, (4, 2.5)), gid=f"change-{number}", **style)
    if len(others := changes.drop(index=named.index)):
        ends: Any = {"transform": axes.get_xaxis_transform()}
        axes.vlines(others["place"], 0.95, 1, colors=colour, gid="other-changes", **ends, **style)
    scale = width / (axes.get_xlim()[1] or 1)
    middles = spread([left + change.place * scale for change in rows_of(named)], widths, _GAP, 0.09, canvas.right)
    for number, (text, middle) in enumerate(zip(texts, middles, strict=True)):
        label: Any = {"size": Size.NAME, "mono": True, "bold": True, "colour": colour, "ha": "center"}
        canvas.text(middle, top - 0.08, text, gid=f"change-{number}-name", **label)


def mark_changes(panel: "MplPanel", changes: pd.DataFrame) -> None:
    """Mark content changes by lines without names, the largest 5."""
    if "tokens" in changes:
        changes = changes.sort_values("tokens", ascending=False, kind="stable")
    for number, change in enumerate(rows_of(changes.iloc[:_NAMED])):
        line: Any = {"linewidth": 0.9, "linestyle": (0, (4, 2.5)), "zorder": 3.5}
        panel.axes.axvline(change.place, color=palette().breaking, gid=f"change-{number}", **line)


def _fitting(changes: pd.DataFrame, room: float) -> tuple[pd.DataFrame, list[str], list[float]]:
    """Return the changes to name, in order of time: as many as fit into one line, with names cut as needed."""
    for most, longest in product(range(_NAMED, 0, -1), _NAMES):
        named = changes.iloc[:most].sort_values("place", kind="stable")
        names = [drawable(span_id, mono=True) for span_id in named["span_id"]]
        cut = cut_all(names, longest)
        texts = [f"{cut[name]} changes" for name in names]
        widths = [text_width(text, Size.NAME, mono=True, bold=True) for text in texts]
        if sum(widths) + _GAP * len(widths) <= room:
            break
    return named, texts, widths
