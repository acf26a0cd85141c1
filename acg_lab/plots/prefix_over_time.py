"""The stable prefix before every recorded request: what would other settings have done."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from acg_lab._format import counted, setting, tokens
from acg_lab.core.errors import UsageError
from acg_lab.core.stability import StabilityThresholds
from acg_lab.plots.canvas import HEADING, MARGIN, open_page
from acg_lab.plots.empty import draw_nothing
from acg_lab.plots.inputs import check_columns, check_source, profile_words, shared_words
from acg_lab.plots.over_time_series import Series, draw_changes, draw_periods, draw_series, name_series, same
from acg_lab.plots.theme import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.history import Trace
    from acg_lab.plots.canvas import Place

__all__ = ["prefix_over_time"]

_DEFAULT_WINDOW: Final = 100  # production's
_LEFT, _RIGHT = 0.58, 1.33
_ABOVE, _CHART, _BELOW = 0.44, 1.9, 0.72
_COLUMNS: Final = ("step", "stable_threshold", "prefix_tokens")


def prefix_over_time(
    data: "Trace | pd.DataFrame",
    *,
    current: float | None = None,
    tuned: float | None = None,
    n_tuning: int = 0,
    changes: pd.DataFrame | None = None,
    heading: bool = True,
    ax: "Place" = None,
) -> "Axes":
    """Draw how many tokens the stable prefix had before each request, with one setting or with two.

    Parameters
    ----------
    data : Trace or DataFrame
        What to draw; or rows of `acg_lab.frames.steps` for one or two settings, which is the table behind the figure.
        They differ in ``stable_threshold`` or in ``window``.
    current : float, optional
        The ``stable_threshold`` in force; production's default when left out.
    tuned : float, optional
        The one to compare it with. A frame's second setting need not be named.
    n_tuning : int
        How many of the first requests were used for tuning. All numbers told are means of the others.
    changes : DataFrame, optional
        Changes of content to mark: ``step``, ``span_id``, and ``tokens`` to name the largest.
    heading : bool
        Whether to draw title and subtitle; `acg_lab.plots.alt_text` has them in any case.
    ax : Axes or Figure, optional
        Where to draw. An axes gives its place; a figure keeps its width. A new figure when left out.

    Returns
    -------
    Axes
        x in requests, y in tokens.

    Raises
    ------
    UsageError
        If there are more than two settings, one asked for is not there, they have different steps, ``n_tuning`` is
        negative, or a frame is none of the kind expected.
    """
    check_source(data, "frames.steps", kind="Trace (of acg.replay)", has="to_frame")
    default = StabilityThresholds().stable_threshold
    if not isinstance(data, pd.DataFrame):
        wanted = [default if current is None else current, *([] if tuned is None else [tuned])]
        data = data.to_frame(list(dict.fromkeys(wanted)))
    frame = check_columns(data, _COLUMNS, "frames.steps")
    if n_tuning < 0:
        msg = f"The 'n_tuning' option must be a number of requests from 0 on; got {n_tuning!r}."
        raise UsageError(msg)
    with drawing():
        if frame.empty:
            todo = "The trace has no steps: replay a source with runs, or with windows"
            return draw_nothing(ax, gid="prefix-over-time", show=heading, todo=todo)
        series = _series(frame, default if current is None else current, tuned, n_tuning)
        series = [series[0]._replace(name="default" if current is None else "current"), *series[1:]]
        return _draw(frame, series, n_tuning, changes, ax, heading=heading)


def _series(frame: pd.DataFrame, current: float, tuned: float | None, n_tuning: int) -> list[Series]:
    """Return one or two settings, the current one first."""
    by = [name for name in ("stable_threshold", "window") if name in frame]
    in_order = frame.sort_values("step", kind="stable")
    found = [_one(key, steps, n_tuning) for key, steps in in_order.groupby(by, sort=False)]
    found.sort(key=lambda one: (one.stable_threshold != current, one.window not in (None, _DEFAULT_WINDOW)))
    wanted = found if tuned is None else [*found[:1], *(one for one in found[1:] if one.stable_threshold == tuned)]
    if tuned == found[0].stable_threshold and len(wanted) == 1:
        wanted = wanted * 2
    if len(wanted) not in {1, 2} or (tuned is not None and len(wanted) == 1):
        there = ", ".join(setting(one.stable_threshold) for one in found)
        msg = f"Expected the steps of one setting or two, with those asked for; the frame has stable_threshold {there}."
        raise UsageError(msg)
    if len({len(one.heights) for one in wanted}) > 1:
        msg = "Expected the same steps of both settings; one of them has fewer."
        raise UsageError(msg)
    return wanted


def _one(key: Any, steps: pd.DataFrame, n_tuning: int) -> Series:
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
    page = open_page(place, base + _CHART + _BELOW, gid="prefix-over-time")
    page.heading(_title(series), *_words(frame, series, n, n_tuning), show=heading)
    height, width = max(page.height - base - _BELOW, 0.5), page.right - _RIGHT - _LEFT
    axes = page.panel(_LEFT, base, width, height, gid="prefix")
    axes.set(xlim=(0, n), ylim=(0, max(1.0, *(float(one.heights.max()) for one in series)) * 1.1))
    page.ticks(axes.xaxis)
    page.ticks(axes.yaxis)
    page.grid(axes)
    draw_periods(page, axes, n, n_tuning, width)
    draw_series(page, axes, series, round(width * 96))
    name_series(page, axes, series, (page.right - _RIGHT + 0.07, base, height))
    if changes is not None:
        steps = np.unique(frame["step"])
        draw_changes(
            page,
            axes,
            changes.assign(place=np.searchsorted(steps, changes["step"])).reset_index(drop=True),
            (_LEFT, base, width),
        )
    page.label(MARGIN, base - _ABOVE + 0.14, "tokens in the stable prefix", gid="y-label")
    page.label(_LEFT + width / 2, base + height + 0.32, "request, in order of arrival", gid="x-label", ha="center")
    page.note(_note(series, n_tuning))
    return axes


def _title(series: Sequence[Series]) -> str:
    first, last = series[0], series[-1]
    if np.isnan(last.mean):
        return "No request came after the tuning period"
    if len(series) == 1 or same(series):
        kept = f"{tokens(last.mean)} tokens in the prefix"
        return f"{first.name.capitalize()} settings keep {kept}" if len(series) == 1 else f"Both settings keep {kept}"
    only = "" if last.mean > first.mean else "only "
    if tokens(first.mean) == tokens(last.mean):
        return f"Tuned and {first.name} settings both keep {tokens(last.mean)} tokens in the prefix"
    return f"Tuned settings keep {only}{tokens(last.mean)} tokens in the prefix instead of {tokens(first.mean)}"


def _words(frame: pd.DataFrame, series: Sequence[Series], n: int, n_tuning: int) -> tuple[str, ...]:
    later = counted(max(n - n_tuning, 0), "request")
    held_out = f"{later} after the tuning period" if n_tuning else later
    first, last = series[0].matched, series[-1].matched
    repeated = ""
    if first is not None and last is not None:
        instead = "" if len(series) == 1 or same(series) else f" instead of {tokens(first)}"
        repeated = f"requests repeated {tokens(last)} of them{instead}"
    if not {"learning_key", "agent_id"} <= set(frame):
        return f"mean of {held_out}", repeated
    profiles = frame.drop_duplicates("learning_key")
    whose = profile_words(profiles) if len(profiles) == 1 else shared_words(profiles)
    return f"mean of {held_out}", repeated, *whose


def _note(series: Sequence[Series], n_tuning: int) -> str:
    said = []
    for one in series:
        window = f", window {one.window:,}" if one.window is not None else ""
        said.append(f"{one.name}: stable_threshold {setting(one.stable_threshold)}{window}.")
    return "  ".join([*said, "Means: held out." if n_tuning else "Means: of all requests."])
