"""Names of blocks on the levels of a step function, where there is room for them.

Belongs here: finding a free place for each name, in inches on the page.


The stable prefix of one profile over all thresholds: which one suits this window.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np
import pandas as pd

from acg_lab import frames
from acg_lab._format import between, counted, cut_all, score, setting, tokens
from acg_lab.core.stability import StabilityThresholds
from acg_lab.plots.canvas import HEADING, MARGIN, Page, Swatch, open_page
from acg_lab.plots.empty import draw_nothing
from acg_lab.plots.inputs import check_columns, check_source, one_key, one_profile, profile_words, rows
from acg_lab.plots.text import Size, drawable, text_width
from acg_lab.plots.theme import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.plots.canvas import Place
    from acg_lab.snapshot.snapshot import Snapshot

__all__ = ["Box", "Scale", "name_treads", "threshold_curve"]

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


_LEFT, _RIGHT = 0.66, 0.46
_ABOVE, _CHART, _BELOW = 0.50, 2.0, 0.66
_WORTH: Final = 1.05  # what is gained must be more than a twentieth
_COLUMNS: Final = ("above", "upto", "prefix_tokens", "read_tokens", "matching", "breaking_span", "breaking_score")


class _Choice(NamedTuple):
    """The threshold in force and the best one, each with what a request would read."""

    current: float
    read: float
    best: float
    best_text: str
    best_read: float

    @property
    def is_worth_it(self) -> bool:
        return self.best_read > self.read * _WORTH


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
    """Draw the length of one profile's prefix over ``stable_threshold``, and what a request would read of it.

    Grey steps are the length in tokens; blue ones the length times the share of requests that match it all: a long
    prefix that few requests share is worth nothing, and the pale area between is what is lost. Each level names the
    block that ends it.

    Parameters
    ----------
    data : Snapshot or DataFrame
        What to draw; or the rows of `acg_lab.frames.threshold_curve`, which is the table behind the figure.
    learning_key : str, optional
        The profile, by learning key or display name; may be left out where there is only one.
    agent_id : str, optional
        Its agent; enough where the agent has one profile.
    thresholds : StabilityThresholds, optional
        Those to mark; production's defaults when left out.
    role : {"current", "tuned"}
        What they are: those in force, or those being tried.
    heading : bool
        Whether to draw title and subtitle; `acg_lab.plots.alt_text` has them in any case.
    ax : Axes or Figure, optional
        Where to draw. An axes gives its place; a figure keeps its width. A new figure when left out.

    Returns
    -------
    Axes
        x is the threshold, y in tokens.

    Raises
    ------
    UsageError
        If there are several profiles and none is named, or a frame is none of the kind expected.
    """
    check_source(data, "frames.threshold_curve")
    if isinstance(data, pd.DataFrame):
        frame = data
    elif (key := one_key(data, learning_key, agent_id)) is not None:
        frame = frames.threshold_curve(data, key)
    else:
        with drawing():
            return draw_nothing(ax, gid="threshold-curve", show=heading)
    frame = one_profile(check_columns(frame, _COLUMNS, "frames.threshold_curve"), learning_key, agent_id)
    current = (thresholds or StabilityThresholds()).stable_threshold
    with drawing():
        if frame.empty or not frame["requests"].iloc[0]:
            return draw_nothing(ax, *profile_words(frame), gid="threshold-curve", show=heading)
        return _draw(frame, current, "default" if thresholds is None else role, ax, heading=heading)


def _draw(frame: pd.DataFrame, current: float, role: str, place: "Place", *, heading: bool) -> "Axes":
    base = (HEADING if heading else MARGIN) + _ABOVE
    page = open_page(place, base + _CHART + _BELOW, gid="threshold-curve")
    choice, n = _choose(frame, current), int(frame["requests"].iloc[0])
    page.heading(_title(frame, choice), f"{counted(n, 'request')} in the window", *profile_words(frame), show=heading)
    height = max(page.height - base - _BELOW, 0.5)
    axes = page.panel(_LEFT, base, page.right - _LEFT - _RIGHT, height, gid="curve")
    shown = frame[(frame["above"] < 1) & (frame["upto"] > 0)]
    _draw_steps(page, axes, shown)
    _draw_legend(page, base - _ABOVE + 0.12, drops=bool(shown["matching"].lt(n).any()))
    page.label(MARGIN, base - 0.18, "tokens", gid="y-label")
    x_label: Any = {"ha": "center", "mono": True, "size": Size.ROW}
    middle = (_LEFT + page.right - _RIGHT) / 2
    page.label(middle, base + height + 0.32, "stable_threshold", gid="x-label", **x_label)
    _mark(page, axes, choice, role, base)
    scale = Scale(Box(_LEFT, base, page.right - _RIGHT, base + height), axes.get_ylim()[1])
    if name_treads(page, scale, shown, current):
        page.note("Names: the block that ends the prefix at that threshold, with its score.")
    return axes


def _choose(frame: pd.DataFrame, current: float) -> _Choice:
    """Return the level at the current threshold, and the best: the nearest threshold on the highest level."""
    now = next(row for row in rows(frame) if row.above < current <= row.upto)
    # What one of many requests has is read by no other.
    levels = [row for row in rows(frame) if row.above < 1 and (row.matching > 1 or row.requests == 1)]
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
    if not choice.is_worth_it:
        return f"{setting(choice.current)} is within 5% of the best threshold for this window"
    read = f"{tokens(choice.best_read)} tokens instead of {tokens(choice.read)}"
    return f"At threshold {choice.best_text} a request would read {read}"


def _draw_steps(page: Page, axes: "Axes", frame: pd.DataFrame) -> None:
    colours = page.colours
    edges = np.clip([*frame["above"], frame["upto"].iloc[-1]], 0, 1)
    length, read = frame["prefix_tokens"].to_numpy(), frame["read_tokens"].to_numpy()
    page.steps(axes, length, edges, colours.grid, baseline=read, alpha=0.8, gid="lost")
    page.steps(axes, length, edges, colours.base, linewidth=1.4, gid="length", zorder=3)
    page.steps(axes, read, edges, colours.stable, linewidth=2.0, gid="read", zorder=4)
    axes.set(xlim=(0, 1), ylim=(0, max(float(length.max()), 1) * 1.1))
    axes.set_xticks(np.linspace(0, 1, 6), ["0", "0.2", "0.4", "0.6", "0.8", "1"])
    page.ticks(axes.yaxis)
    page.grid(axes)


def _draw_legend(page: Page, y: float, *, drops: bool) -> None:
    if not drops:
        page.legend([Swatch("prefix length: all requests match it", page.colours.stable)], y)
        return
    read = "read per request: length \N{MULTIPLICATION SIGN} share of requests that match it"
    page.legend([Swatch("prefix length", page.colours.base), Swatch(read, page.colours.stable)], y)


def _mark(page: Page, axes: "Axes", choice: _Choice, role: str, top: float) -> None:
    """Mark the current threshold and, where it is worth it, the best one."""
    colours, x = page.colours, min(max(choice.current, 0), 1)
    axes.axvline(x, color=colours.ink, linewidth=0.9, gid="current", zorder=3.5)
    place = _LEFT + x * (page.right - _RIGHT - _LEFT)
    page.text(place, top - 0.08, f"{role} {setting(choice.current)}", gid="current-name", ha="center", size=Size.LABEL)
    dot: Any = {"marker": "o", "markersize": 8, "linestyle": "none", "clip_on": False, "zorder": 6}
    hollow: Any = {"markerfacecolor": colours.paper, "markeredgecolor": colours.ink, "markeredgewidth": 1.4}
    axes.plot([x], [choice.read], gid="current-mark", **dot, **hollow)
    if choice.is_worth_it:
        filled: Any = {"markerfacecolor": colours.stable, "markeredgecolor": colours.paper, "markeredgewidth": 1.2}
        axes.plot([choice.best], [choice.best_read], gid="best-mark", **dot, **filled)
