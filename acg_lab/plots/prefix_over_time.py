"""The stable prefix before every recorded request, under one setting or two."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from acg_lab._format import counted, setting, tokens
from acg_lab.config.thresholds import check_share
from acg_lab.core.errors import UsageError
from acg_lab.core.stability import StabilityThresholds
from acg_lab.plots.canvas import HEADING, MARGIN
from acg_lab.plots.compact import compact_place, compact_ticks
from acg_lab.plots.cost_over_time import CostPanel, cost_shares, draw_cost_shares
from acg_lab.plots.empty import draw_empty
from acg_lab.plots.inputs import check_columns, check_source, profile_words, select_agent, shared_words
from acg_lab.plots.mpl_canvas import MplCanvas
from acg_lab.plots.over_time_series import (
    Series,
    draw_changes,
    draw_dates,
    draw_periods,
    draw_series,
    is_same,
    mark_changes,
    name_series,
)
from acg_lab.plots.theme import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.history import Trace
    from acg_lab.plots.mpl_canvas import Place

__all__ = ["prefix_over_time"]

_DEFAULT_WINDOW: Final = 100  # production's
_LEFT, _RIGHT = 0.58, 1.33
_ABOVE, _CHART, _BELOW = 0.44, 1.9, 0.72
_LEAST: Final = 0.8  # height of the chart with names
_GAP, _COSTS = 0.62, 1.15  # above the panel of costs, and its height
_COLUMNS: Final = ("step", "stable_threshold", "prefix_tokens")


def prefix_over_time(
    data: "Trace | pd.DataFrame",
    *,
    agent_id: str | None = None,
    current: float | None = None,
    tuned: float | None = None,
    n_tuning: int = 0,
    changes: pd.DataFrame | None = None,
    heading: bool = True,
    ax: "Place" = None,
) -> "Axes":
    """Draw how many tokens the stable prefix had before each request, under one setting or two.

    Parameters
    ----------
    data : Trace or DataFrame
        What to draw; or rows of `acg_lab.frames.steps` for one or two settings, the table behind the figure. Settings
        differ in ``stable_threshold`` or in ``window``. A frame with ``cost`` and ``cost_without_cache`` of each step,
        NaN where unknown, gets a second panel: the input cost as a share of that without a cache.
    agent_id : str, optional
        Whose requests to draw; may be left out if there is only one agent.
    current : float, optional
        The ``stable_threshold`` in force; production's default when left out.
    tuned : float, optional
        The ``stable_threshold`` to compare it with. The second setting of a frame need not be named.
    n_tuning : int
        How many of the first requests were used for tuning. All numbers in words are means over the others.
    changes : DataFrame, optional
        Content changes to mark: ``step``, ``span_id``, and ``tokens`` to name the largest.
    heading : bool
        Whether to draw title and subtitle; `acg_lab.plots.alt_text` has them in any case.
    ax : Axes or Figure, optional
        Where to draw. Axes give their place; a figure keeps its width. A new figure when left out.

    Returns
    -------
    Axes
        x in requests, y in tokens.

    Raises
    ------
    UsageError
        If there are several agents and none is named; if there are more than two settings, or not those asked for; if
        they have different steps; if ``n_tuning`` is negative; if a threshold is written in per cent; or if a frame is
        not one of steps.

    Examples
    --------
    >>> import acg_lab as acg
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> steps = pd.DataFrame({"step": [0, 1], "stable_threshold": 0.95, "prefix_tokens": [0, 200]})
    >>> acg.plots.alt_text(acg.plots.prefix_over_time(steps, ax=Figure()))
    'Default settings keep 100 tokens in the prefix · mean of 2 requests'
    """
    for name, value in (("current", current), ("tuned", tuned)):
        if value is not None:
            check_share(name, value)
    check_source(data, "frames.steps", expected="Trace (of acg.replay)", attribute="to_frame")
    default = StabilityThresholds().stable_threshold
    if not isinstance(data, pd.DataFrame):
        wanted = [default if current is None else current, *([] if tuned is None else [tuned])]
        data = data.to_frame(list(dict.fromkeys(wanted)))
    frame = select_agent(check_columns(data, _COLUMNS, "frames.steps"), agent_id, several=False)
    if n_tuning < 0:
        msg = f"The 'n_tuning' option must be a non-negative number of requests; got {n_tuning!r}."
        raise UsageError(msg)
    with drawing():
        if frame.empty:
            next_step = "The trace has no steps: replay a source with runs, or with windows"
            return draw_empty(ax, gid="prefix-over-time", show=heading, next_step=next_step)
        series = _series(frame, default if current is None else current, tuned, n_tuning)
        series = [series[0]._replace(name="default" if current is None else "current"), *series[1:]]
        return _draw(frame, series, n_tuning, changes, ax, heading=heading)


def _series(frame: pd.DataFrame, current: float, tuned: float | None, n_tuning: int) -> list[Series]:
    """Return one or two settings, the current one first."""
    by = [name for name in ("stable_threshold", "window") if name in frame]
    in_order = frame.sort_values("step", kind="stable")
    found = [_one_setting(key, steps, n_tuning) for key, steps in in_order.groupby(by, sort=False)]
    found.sort(key=lambda one: (one.stable_threshold != current, one.window not in (None, _DEFAULT_WINDOW)))
    drawn = found if tuned is None else [*found[:1], *(one for one in found[1:] if one.stable_threshold == tuned)]
    if tuned == found[0].stable_threshold and len(drawn) == 1:
        drawn = drawn * 2
    if len(drawn) not in {1, 2} or (tuned is not None and len(drawn) == 1):
        there = ", ".join(setting(one.stable_threshold) for one in found)
        msg = f"Expected the steps of one setting or two, with those asked for; the frame has stable_threshold {there}."
        raise UsageError(msg)
    if len({len(one.heights) for one in drawn}) > 1:
        msg = "Expected the same steps of both settings; one of them has fewer."
        raise UsageError(msg)
    return drawn


def _one_setting(key: Any, steps: pd.DataFrame, n_tuning: int) -> Series:
    matched = steps["matched_tokens"].to_numpy() if "matched_tokens" in steps else None
    return Series(
        name="tuned",
        stable_threshold=float(key[0]),
        window=int(key[1]) if len(key) > 1 else None,
        heights=steps["prefix_tokens"].to_numpy(float),
        mean=float(steps["prefix_tokens"].iloc[n_tuning:].mean()) if len(steps) > n_tuning else float("nan"),
        matched=None if matched is None or len(matched) <= n_tuning else float(matched[n_tuning:].mean()),
    )


def _draw(
    frame: pd.DataFrame,
    series: Sequence[Series],
    n_tuning: int,
    changes: pd.DataFrame | None,
    place: "Place",
    *,
    heading: bool,
) -> "Axes":
    n = len(series[0].heights)
    base = (HEADING if heading else MARGIN) + _ABOVE
    canvas = MplCanvas(place)
    costs = cost_shares(frame, series)
    more = _GAP + _COSTS if costs else 0.0
    canvas.begin(base + _CHART + more + _BELOW, gid="prefix-over-time", least=base + _LEAST + more + _BELOW)
    end = canvas.heading(_title(series), *_words(frame, series, n, n_tuning), show=heading)
    if changes is not None:
        places = np.searchsorted(np.unique(frame["step"]), changes["step"])
        changes = changes.assign(place=places).reset_index(drop=True)
    if canvas.is_compact:
        return _draw_compact(canvas, series, n_tuning, changes, end)
    height, width = max(canvas.height - base - more - _BELOW, 0.5), canvas.right - _RIGHT - _LEFT
    panel = canvas.panel(_LEFT, base, width, height, gid="prefix")
    panel.set_limits((0, n), (0, _highest(series)))
    panel.use_round_ticks("x")
    panel.use_round_ticks("y")
    panel.draw_grid()
    draw_periods(panel, n, n_tuning, width)
    draw_series(panel, canvas.colours, series, round(width * 96))
    name_series(canvas, panel, series, (canvas.right - _RIGHT + 0.07, base, height))
    if changes is not None:
        draw_changes(canvas, panel, changes, (_LEFT, base, width))
    canvas.label(MARGIN, base - _ABOVE + 0.14, "tokens in the stable prefix", gid="y-label")
    draw_dates(panel, frame, n, width)
    if costs:
        draw_cost_shares(canvas, series, costs, CostPanel(_LEFT, base + height + _GAP, width, _COSTS))
        height += more
    canvas.label(_LEFT + width / 2, base + height + 0.32, _x_label(frame), gid="x-label", ha="center")
    canvas.note(_note(series, n_tuning))
    axes: Axes = panel.axes
    return axes


def _draw_compact(
    canvas: MplCanvas, series: Sequence[Series], n_tuning: int, changes: pd.DataFrame | None, top: float
) -> "Axes":
    n, highest = len(series[0].heights), _highest(series)
    left, top, width, height = compact_place(canvas, top, widest=tokens(highest))
    panel = canvas.panel(left, top, width, height, gid="prefix")
    panel.set_limits((0, n), (0, highest))
    compact_ticks(panel)
    draw_periods(panel, n, n_tuning, 0.0)
    draw_series(panel, canvas.colours, series, round(width * 96))
    if changes is not None:
        mark_changes(panel, changes)
    axes: Axes = panel.axes
    return axes


def _highest(series: Sequence[Series]) -> float:
    """Return the upper end of the y axis."""
    return max(1.0, *(float(one.heights.max()) for one in series)) * 1.1


def _title(series: Sequence[Series]) -> str:
    first, last = series[0], series[-1]
    if np.isnan(last.mean):
        return "No request came after the tuning period"
    if len(series) == 1 or is_same(series):
        kept = f"{tokens(last.mean)} tokens in the prefix"
        return f"{first.name.capitalize()} settings keep {kept}" if len(series) == 1 else f"Both settings keep {kept}"
    only = "" if last.mean > first.mean else "only "
    if tokens(first.mean) == tokens(last.mean):
        return f"Tuned and {first.name} settings both keep {tokens(last.mean)} tokens in the prefix"
    return f"Tuned settings keep {only}{tokens(last.mean)} tokens in the prefix instead of {tokens(first.mean)}"


def _words(frame: pd.DataFrame, series: Sequence[Series], n: int, n_tuning: int) -> tuple[str, ...]:
    later = counted(max(n - n_tuning, 0), "request")
    measured = f"{later} after the tuning period" if n_tuning else later
    first, last = series[0].matched, series[-1].matched
    repeated = ""
    if first is not None and last is not None:
        instead = "" if len(series) == 1 or is_same(series) else f" instead of {tokens(first)}"
        repeated = f"requests repeated {tokens(last)} of them{instead}"
    if not {"learning_key", "agent_id"} <= set(frame):
        return f"mean of {measured}", repeated
    profiles = frame.drop_duplicates("learning_key")
    whose = profile_words(profiles) if len(profiles) == 1 else shared_words(profiles)
    return f"mean of {measured}", repeated, *whose


def _x_label(frame: pd.DataFrame) -> str:
    order = "request, in order of arrival"
    return f"{order}; dates in UTC" if "started_at" in frame and frame["started_at"].notna().any() else order


def _note(series: Sequence[Series], n_tuning: int) -> str:
    """Return the settings in full."""
    parts = []
    for one in series:
        window = f", window {one.window:,}" if one.window is not None else ""
        parts.append(f"{one.name}: stable_threshold {setting(one.stable_threshold)}{window}.")
    return "  ".join([*parts, "Means: held out." if n_tuning else "Means: of all requests."])
