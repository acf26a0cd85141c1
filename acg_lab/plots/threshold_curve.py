"""The stable prefix of one profile over all thresholds, to find the one that suits its window.

Each level of the step function names the block that ends it, where the plot has a free place for the name.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np
import pandas as pd

from acg_lab import frames
from acg_lab._format import between, counted, cut_all, score, setting, tokens
from acg_lab.config.thresholds import check_thresholds
from acg_lab.core.errors import UsageError
from acg_lab.core.stability import StabilityThresholds
from acg_lab.plots.canvas import HEADING, MARGIN, BoxStyle, Swatch
from acg_lab.plots.compact import compact_place
from acg_lab.plots.empty import draw_empty
from acg_lab.plots.inputs import check_columns, check_source, profile_words, rows_of, select_key, select_profile
from acg_lab.plots.mpl_canvas import MplCanvas, MplPanel
from acg_lab.plots.text import Size, drawable, text_width
from acg_lab.plots.theme import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.plots.mpl_canvas import Place
    from acg_lab.plots.theme import Palette
    from acg_lab.snapshot.snapshot import Snapshot

__all__ = ["threshold_curve"]

_LEFT, _RIGHT = 0.66, 0.46
_ABOVE, _CHART, _BELOW = 0.50, 2.0, 0.66
_LEAST: Final = 1.0  # height of the chart with names
_WORTHWHILE: Final = 1.05  # the best threshold must read more than this factor
_COLUMNS: Final = ("above", "upto", "prefix_tokens", "read_tokens", "matching", "breaking_span", "breaking_score")
_MOST_NAMES, _NAME = 7, 30
_HALF_NAME: Final = 0.06  # half the height of a name, in inches
_PAD: Final = 0.07


class _Choice(NamedTuple):
    """The threshold in force and the best one, and the tokens that a request would read at each."""

    current: float
    read: float
    best: float
    best_text: str
    best_read: float

    @property
    def is_worthwhile(self) -> bool:
        return self.best_read > self.read * _WORTHWHILE


def threshold_curve(
    data: "Snapshot | pd.DataFrame",
    learning_key: str | None = None,
    agent_id: str | None = None,
    *,
    thresholds: StabilityThresholds | None = None,
    role: Literal["current", "tuned"] = "current",
    heading: bool = True,
    ax: "Place" = None,
) -> "Axes":
    """Draw the length of one profile's prefix over ``stable_threshold``, and how much of it a request would read.

    Grey steps are the length in tokens. Blue steps are the length times the share of requests that match all of it: a
    long prefix that few requests share is worth nothing, and the pale area between is what is lost. Each level names
    the block that ends it.

    Parameters
    ----------
    data : Snapshot or DataFrame
        What to draw; or rows of `acg_lab.frames.threshold_curve`, the table behind the figure.
    learning_key : str, optional
        The profile, by learning key or display name; may be left out if there is only one.
    agent_id : str, optional
        Its agent; enough if the agent has one profile.
    thresholds : StabilityThresholds, optional
        Those to mark; production's defaults when left out.
    role : {"current", "tuned"}
        Whether the thresholds are in force or being tried.
    heading : bool
        Whether to draw title and subtitle; `acg_lab.plots.alt_text` has them in any case.
    ax : Axes or Figure, optional
        Where to draw. Axes give their place; a figure keeps its width. A new figure when left out.

    Returns
    -------
    Axes
        x is the threshold, 0 to 1; y is in tokens.

    Raises
    ------
    UsageError
        If there are several profiles and none is named, if there is no such role, if a frame is not one of threshold
        curves, or if a threshold is written in per cent.

    Examples
    --------
    >>> import acg_lab as acg
    >>> from matplotlib.figure import Figure
    >>> axes = acg.plots.threshold_curve(acg.load(acg.MemoryBackend()), ax=Figure())
    >>> acg.plots.alt_text(axes).partition(" · ")[0]
    'No requests observed yet'
    """
    if role not in {"current", "tuned"}:
        msg = f"The 'role' option must be 'current' or 'tuned'; got {role!r}."
        raise UsageError(msg)
    checked = check_thresholds(thresholds)
    check_source(data, "frames.threshold_curve")
    if isinstance(data, pd.DataFrame):
        frame = data
    elif (key := select_key(data, learning_key, agent_id)) is not None:
        frame = frames.threshold_curve(data, key)
    else:
        with drawing():
            return draw_empty(ax, gid="threshold-curve", show=heading)
    frame = select_profile(check_columns(frame, _COLUMNS, "frames.threshold_curve"), learning_key, agent_id)
    with drawing():
        if frame.empty or not frame["requests"].iloc[0]:
            return draw_empty(ax, *profile_words(frame), gid="threshold-curve", show=heading)
        return _draw(frame, checked.stable_threshold, "default" if thresholds is None else role, ax, heading=heading)


def _draw(frame: pd.DataFrame, current: float, role: str, place: "Place", *, heading: bool) -> "Axes":
    base = (HEADING if heading else MARGIN) + _ABOVE
    canvas = MplCanvas(place)
    canvas.begin(base + _CHART + _BELOW, gid="threshold-curve", least=base + _LEAST + _BELOW)
    choice, n = _choose(frame, current), int(frame["requests"].iloc[0])
    words = _title(frame, choice), f"{counted(n, 'request')} in the window", *profile_words(frame)
    end = canvas.heading(*words, show=heading)
    shown = frame[(frame["above"] < 1) & (frame["upto"] > 0)]
    if canvas.is_compact:
        return _draw_compact(canvas, shown, choice, end)
    height = max(canvas.height - base - _BELOW, 0.5)
    panel = canvas.panel(_LEFT, base, canvas.right - _LEFT - _RIGHT, height, gid="curve")
    _draw_steps(panel, canvas.colours, shown)
    _draw_legend(canvas, base - _ABOVE + 0.12, drops=bool(shown["matching"].lt(n).any()))
    canvas.label(MARGIN, base - 0.18, "tokens", gid="y-label")
    x_label: Any = {"ha": "center", "mono": True, "size": Size.ROW}
    middle = (_LEFT + canvas.right - _RIGHT) / 2
    canvas.label(middle, base + height + 0.32, "stable_threshold", gid="x-label", **x_label)
    _mark(canvas, panel, choice)
    at = _LEFT + min(max(choice.current, 0), 1) * (canvas.right - _RIGHT - _LEFT)
    name = f"{role} {setting(choice.current)}"
    canvas.text(at, base - 0.08, name, gid="current-name", ha="center", size=Size.LABEL)
    scale = _Scale(_Box(_LEFT, base, canvas.right - _RIGHT, base + height), panel.axes.get_ylim()[1])
    if _name_levels(canvas, scale, shown, current):
        canvas.note("Names: the block that ends the prefix at that threshold, with its score.")
    return panel.axes


def _draw_compact(canvas: MplCanvas, shown: pd.DataFrame, choice: _Choice, top: float) -> "Axes":
    place = compact_place(canvas, top, widest=tokens(shown["prefix_tokens"].max()))
    panel = canvas.panel(*place, gid="curve")
    _draw_steps(panel, canvas.colours, shown)
    panel.set_x_ticks([0, 0.5, 1], ["0", "0.5", "1"])
    panel.use_round_ticks("y", 3)
    _mark(canvas, panel, choice)
    return panel.axes


def _choose(frame: pd.DataFrame, current: float) -> _Choice:
    """Compare the current threshold with the best: the nearest threshold on the level that reads most."""
    now = next(row for row in rows_of(frame) if row.above < current <= row.upto)
    # What one of several requests has is read by no other.
    levels = [row for row in rows_of(frame) if row.above < 1 and (row.matching > 1 or row.requests == 1)]
    best = max(
        levels or [now], key=lambda row: (row.read_tokens, -abs(min(max(current, row.above), row.upto) - current))
    )
    text = between(max(best.above, 0.0), min(best.upto, 1.0), current)
    return _Choice(current, now.read_tokens, float(text), text, best.read_tokens)


def _title(frame: pd.DataFrame, choice: _Choice) -> str:
    if frame["requests"].iloc[0] == 1:
        return "One request so far: every block looks stable, nothing is known yet"
    if not choice.best_read:
        return "No threshold gives this window a prefix that requests share"
    if not choice.is_worthwhile:
        return f"{setting(choice.current)} is within 5% of the best threshold for this window"
    read = f"{tokens(choice.best_read)} tokens instead of {tokens(choice.read)}"
    return f"At threshold {choice.best_text} a request would read {read}"


def _draw_steps(panel: MplPanel, colours: "Palette", frame: pd.DataFrame) -> None:
    edges = np.clip([*frame["above"], frame["upto"].iloc[-1]], 0, 1)
    length, read = frame["prefix_tokens"].to_numpy(), frame["read_tokens"].to_numpy()
    panel.steps(length, edges, colours.grid, baseline=read, alpha=0.8, gid="lost")
    panel.steps(length, edges, colours.base, linewidth=1.4, gid="length", zorder=3)
    panel.steps(read, edges, colours.stable, linewidth=2.0, gid="read", zorder=4)
    panel.set_limits((0, 1), (0, max(float(length.max()), 1) * 1.1))
    panel.set_x_ticks(np.linspace(0, 1, 6).tolist(), ["0", "0.2", "0.4", "0.6", "0.8", "1"])
    panel.use_round_ticks("y")
    panel.draw_grid()


def _draw_legend(canvas: MplCanvas, y: float, *, drops: bool) -> None:
    read = BoxStyle(canvas.colours.stable)
    if not drops:
        canvas.legend([Swatch("prefix length: all requests match it", read)], y)
        return
    words = "read per request: length \N{MULTIPLICATION SIGN} share of requests that match it"
    canvas.legend([Swatch("prefix length", BoxStyle(canvas.colours.base)), Swatch(words, read)], y)


def _mark(canvas: MplCanvas, panel: MplPanel, choice: _Choice) -> None:
    """Mark the current threshold and, if it reads clearly more, the best one."""
    colours, x = canvas.colours, min(max(choice.current, 0), 1)
    panel.axes.axvline(x, color=colours.ink, linewidth=0.9, gid="current", zorder=3.5)
    hollow: Any = {"edge": colours.ink, "edge_width": 1.4, "size": 8, "zorder": 6}
    panel.dots([x], [choice.read], colours.paper, gid="current-mark", **hollow)
    if choice.is_worthwhile:
        filled: Any = {"edge": colours.paper, "edge_width": 1.2, "size": 8, "zorder": 6}
        panel.dots([choice.best], [choice.best_read], colours.stable, gid="best-mark", **filled)


# --- names of levels ---


class _Box(NamedTuple):
    """A rectangle on the page, in inches."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "_Box") -> bool:
        """Whether the two overlap."""
        beside = self.left < other.right and other.left < self.right
        return beside and self.top < other.bottom and other.top < self.bottom


class _Scale(NamedTuple):
    """A panel and the upper end of its y axis; its x axis runs from 0 to 1."""

    panel: _Box
    y_most: float

    def x(self, threshold: float) -> float:
        """Return where a threshold stands on the page."""
        return self.panel.left + min(max(threshold, 0), 1) * (self.panel.right - self.panel.left)

    def y(self, value: float) -> float:
        """Return where a number of tokens stands on the page."""
        return self.panel.bottom - value / self.y_most * (self.panel.bottom - self.panel.top)


def _name_levels(canvas: MplCanvas, scale: _Scale, levels: pd.DataFrame, current: float) -> int:
    """Name the block that ends each level; return the number of names, at most 7.

    The current level comes first, in orange, then the widest. A name stands to the right of its level's end, where the
    plot is empty, else above its level. A name without a free place is left out, but never that of the current level.
    """
    named = [row for row in rows_of(levels) if not pd.isna(row.breaking_span)]
    named.sort(key=lambda row: (not row.above < current <= row.upto, scale.x(row.above) - scale.x(row.upto)))
    names = cut_all((drawable(row.breaking_span, mono=True) for row in named), _NAME)
    line = scale.x(current)
    taken = [*_lines(scale, levels), _Box(line - 0.02, scale.panel.top, line + 0.02, scale.panel.bottom)]
    n_named = 0
    for row in named:
        is_current = row.above < current <= row.upto
        verb, at = (" stops it here", current) if is_current else ("", None)
        text = f"{names[drawable(row.breaking_span, mono=True)]}{verb} ({score(row.breaking_score, current)})"
        boxes = list(_places(scale, row, text_width(text, Size.SMALLEST, mono=True, bold=is_current), at))
        free = [box for box in boxes if _inside(box, scale) and not any(box.meets(other) for other in taken)]
        if (free or is_current) and n_named < _MOST_NAMES:
            box = (free or boxes[-1:])[0]
            taken.append(box)
            style: Any = {"size": Size.SMALLEST, "mono": True, "bold": is_current, "zorder": 7}
            style["colour"] = canvas.colours.breaking if is_current else canvas.colours.text2
            canvas.text(box.left, (box.top + box.bottom) / 2, text, gid=f"level-{n_named}", **style)
            n_named += 1
    return n_named


def _places(scale: _Scale, row: Any, width: float, current: float | None) -> Iterator[_Box]:
    """Yield where a name may stand, the best place first; the current level's name has more places than others."""
    begin, end, level = scale.x(row.above), scale.x(row.upto), scale.y(row.prefix_tokens)
    if current is None:
        yield _Box(end + _PAD, level - 2 * _HALF_NAME, end + _PAD + width, level)
        yield _Box(end - _PAD - width, level - 3 * _HALF_NAME, end - _PAD, level - _HALF_NAME)
        return
    below, line = scale.y(row.read_tokens), scale.x(current)
    for right in (line - 2 * _PAD, end - _PAD, begin - _PAD):
        for top in (level - 3 * _HALF_NAME, below + _HALF_NAME, level - _HALF_NAME):
            yield _Box(right - width, top, right, top + 2 * _HALF_NAME)
    for step in range(int((scale.panel.bottom - below) / _HALF_NAME) - 2):
        top = below + step * _HALF_NAME
        yield _Box(line - 2 * _PAD - width, top, line - 2 * _PAD, top + 2 * _HALF_NAME)
    left = min(max(line - width - 2 * _PAD, scale.panel.left), scale.panel.right - width)
    yield _Box(left, level - 3 * _HALF_NAME, left + width, level - _HALF_NAME)


def _inside(box: _Box, scale: _Scale) -> bool:
    return scale.panel.left <= box.left and box.right <= scale.panel.right and box.top >= scale.panel.top - 0.1


def _lines(scale: _Scale, levels: pd.DataFrame) -> Iterator[_Box]:
    """Yield the lines of both step functions, as narrow boxes."""
    for column in ("prefix_tokens", "read_tokens"):
        treads = [(scale.x(row.above), scale.x(row.upto), scale.y(getattr(row, column))) for row in rows_of(levels)]
        for left, right, y in treads:
            yield _Box(left, y - 0.015, right, y + 0.015)
        for (_, x, before), (_, _, after) in pairwise(treads):
            yield _Box(x - 0.015, min(before, after), x + 0.015, max(before, after))
