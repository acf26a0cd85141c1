"""Whether a recommendation is real: what settings cost on requests that they were not chosen on."""

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab._format import counted, percent, setting
from acg_lab.advice import Recommendation, Sweep
from acg_lab.core.errors import UsageError
from acg_lab.plots.canvas import HEADING, MARGIN, BoxStyle, Swatch
from acg_lab.plots.compact import compact_place
from acg_lab.plots.cost_curve import sweep_of
from acg_lab.plots.mpl_canvas import MplCanvas, MplPanel
from acg_lab.plots.text import Size
from acg_lab.plots.theme import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.plots.mpl_canvas import Place

__all__ = ["threshold_surface"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_LEFT, _SPLIT, _CELLS = 0.5, 0.42, 0.42  # inches, inches between the panels, share of the width for the cells
_ABOVE, _CHART, _BELOW, _LEAST = 0.75, 1.95, 0.92, 1.4
_MOST: Final = 6  # rows and columns of cells
_BAR: Final = 0.05


class _Shares(NamedTuple):
    """Costs by setting as shares of no caching: all held-out periods, each of them, and the first part."""

    held_out: Floats
    low: Floats
    high: Floats
    tuning: Floats


def threshold_surface(data: Recommendation, *, heading: bool = True, ax: "Place" = None) -> "Axes":
    """Draw what settings cost on held-out requests, by ``stable_threshold`` and ``observation_window``.

    Left: the cost over thresholds on held-out requests, its range over the held-out periods, and the cost on the first
    part of the history. Right: the cost in per cent of no caching in each cell, threshold by window.

    Parameters
    ----------
    data : Recommendation
        What to draw.
    heading : bool
        Whether to draw title and subtitle; `acg_lab.plots.alt_text` has them in any case.
    ax : Axes or Figure, optional
        Where to draw. Axes give their place; a figure keeps its width. A new figure when left out.

    Returns
    -------
    Axes
        Of the costs over thresholds: x is the threshold, 0 to 1; y the share of the cost without a cache.

    Raises
    ------
    UsageError
        If it is no Recommendation, no governor acts, or too few runs are recorded to hold some out.

    Examples
    --------
    >>> import acg_lab as acg
    >>> best = acg.recommend(acg.load("data/sample", agent_id="claims-triage"), progress=False)
    >>> axes = threshold_surface(best)
    >>> acg.plots.alt_text(axes).split(" · ")[1]
    'Cheaper than the current setting in 6 of 6 held-out periods'
    """
    if not isinstance(data, Recommendation):
        msg = f"Expected a Recommendation (of acg.recommend); got {type(data).__name__}."
        raise UsageError(msg)
    sweep = sweep_of(data)
    if not data.periods:
        msg = "There are no held-out requests to draw: too few runs are recorded to hold some out."
        raise UsageError(msg)
    with drawing():
        return _draw(data, sweep, ax, heading=heading)


def _draw(best: Recommendation, sweep: Sweep, place: "Place", *, heading: bool) -> "Axes":
    base = (HEADING if heading else MARGIN) + _ABOVE
    canvas = MplCanvas(place)
    canvas.begin(base + _CHART + _BELOW, gid="threshold-surface", least=base + _LEAST + _BELOW)
    end = canvas.heading(_title(best), *_words(best, sweep), show=heading)
    shares = _shares(best)
    if canvas.is_compact:
        return _draw_compact(canvas, best, sweep, shares, end)
    colours = canvas.colours
    canvas.legend(
        [
            Swatch("held out", BoxStyle(colours.stable)),
            Swatch(f"{counted(len(best.periods), 'held-out period')}, min to max", BoxStyle(colours.dominant)),
            Swatch("first part (dashed)", BoxStyle(colours.base)),
        ],
        base - _ABOVE + 0.13,
    )
    height = max(canvas.height - base - _BELOW, 0.5)
    cells = (canvas.right - MARGIN) * _CELLS
    width = canvas.right - cells - _SPLIT - _LEFT
    canvas.label(MARGIN, base - 0.22, "input cost, share of no caching", gid="y-label")
    panel = canvas.panel(_LEFT, base, width, height, gid="held-out")
    panel.set_x_ticks([0, 0.2, 0.4, 0.6, 0.8, 1], ["0", "0.2", "0.4", "0.6", "0.8", "1"])
    top = _draw_curve(canvas, panel, best, sweep, shares)
    _name_marks(canvas, panel, best, sweep, shares, top)
    canvas.label(
        _LEFT + width / 2,
        base + height + 0.34,
        "stable_threshold",
        gid="x-label",
        ha="center",
        mono=True,
        size=Size.ROW,
    )
    _draw_cells(canvas, (canvas.right - cells, base, cells, height), best, sweep, shares)
    canvas.note(*_notes(best))
    axes: Axes = panel.axes
    return axes


def _draw_compact(canvas: MplCanvas, best: Recommendation, sweep: Sweep, shares: _Shares, end: float) -> "Axes":
    """Draw the costs over thresholds without names, and leave out the cells, which would be too small to read."""
    panel = canvas.panel(*compact_place(canvas, end, widest=percent(1.0)), gid="held-out")
    panel.set_x_ticks([0, 0.5, 1], ["0", "0.5", "1"])
    _draw_curve(canvas, panel, best, sweep, shares, most_ticks=2)
    axes: Axes = panel.axes
    return axes


def _shares(best: Recommendation) -> _Shares:
    costs, whole = best.period_costs, best.period_costs_without_cache
    each = costs[:, 1:] / np.maximum(whole[1:], 1e-12)
    return _Shares(
        costs[:, 1:].sum(axis=1) / max(float(whole[1:].sum()), 1e-12),
        each.min(axis=1),
        each.max(axis=1),
        costs[:, 0] / max(float(whole[0]), 1e-12),
    )


def _alike(sweep: Sweep, row: int) -> Ints:
    """Return the settings with the window and count of a row, by threshold."""
    points = sweep.points
    same = points.acts & (points.windows == points.windows[row]) & (points.minimums == points.minimums[row])
    rows = np.flatnonzero(same & (np.arange(len(points)) > 1))
    return rows[np.argsort(sweep.upto[rows], kind="stable")]


def _draw_curve(
    canvas: MplCanvas, panel: MplPanel, best: Recommendation, sweep: Sweep, shares: _Shares, *, most_ticks: int = 5
) -> float:
    """Draw costs over thresholds and the marks of settings; return the upper end of the y axis."""
    colours, rows = canvas.colours, _alike(sweep, best.row)
    edges = np.concatenate(([0.0], sweep.upto[rows[:-1]], [1.0]))
    top = max(float(np.nanmax(shares.high[rows])), float(shares.held_out[0]), 0.05) * 1.18
    panel.set_limits((0, 1), (0, top))
    step = next(step for step in (0.05, 0.1, 0.25, 0.5, 1.0, 2.0) if top / step <= most_ticks)
    ticks = np.arange(0, top, step)
    panel.axes.set_yticks(ticks, [percent(tick) for tick in ticks.tolist()])
    panel.draw_grid()
    panel.steps(shares.high[rows], edges, colours.dominant, baseline=shares.low[rows], alpha=0.55, gid="range")
    dash: Any = {"linewidth": 1.4, "linestyle": (0, (3, 2)), "zorder": 3}
    panel.steps(shares.tuning[rows], edges, colours.base, gid="first-part", **dash)
    panel.steps(shares.held_out[rows], edges, colours.stable, linewidth=2.0, gid="held-out-cost", zorder=4)
    now = float(sweep.points.stable[0])
    hollow: Any = {"edge": colours.ink, "edge_width": 1.4, "size": 8, "zorder": 6}
    panel.dots([now], [float(shares.held_out[0])], colours.paper, gid="current-mark", **hollow)
    if best.is_change:
        stable, share = best.settings.thresholds.stable_threshold, float(shares.held_out[best.row])
        filled: Any = {"edge": colours.paper, "edge_width": 1.2, "size": 8, "zorder": 6}
        panel.dots([stable], [share], colours.stable, gid="recommended-mark", **filled)
        low, high = best.plateau
        panel.rectangle(low, 0, high - low, top * _BAR / 2, colours.stable, gid="plateau", zorder=3)
    return top


def _name_marks(
    canvas: MplCanvas, panel: MplPanel, best: Recommendation, sweep: Sweep, shares: _Shares, top: float
) -> None:
    """Name the current setting, the recommended one, and the thresholds that are as good."""
    colours, now = canvas.colours, float(sweep.points.stable[0])
    panel.lines([[(now, top * 0.93), (now, float(shares.held_out[0]))]], colours.ink, gid="current-line", linewidth=0.8)
    _name(panel, now, top * 0.97, f"current {setting(now)}: {percent(shares.held_out[0])}", "current")
    if not best.is_change:
        return
    stable, share = best.settings.thresholds.stable_threshold, float(shares.held_out[best.row])
    _name(
        panel,
        stable,
        max(min(share, float(shares.tuning[best.row])) - top * 0.09, top * 0.16),
        f"recommended {setting(stable)}: {percent(share)}",
        "recommended",
        colours.stable,
    )
    low, _ = best.plateau
    panel.text(low + 0.02, top * 0.075, "as good", gid="plateau-name", size=Size.LABEL, colour=colours.stable, zorder=5)


def _name(panel: MplPanel, x: float, y: float, words: str, gid: str, colour: str | None = None) -> None:
    """Write a name at a mark, towards the middle of the panel."""
    ha = "right" if x > 0.5 else "left"  # noqa: PLR2004 - the middle
    at = min(x + 0.03, 1.0) if ha == "right" else max(x - 0.03, 0.0)
    panel.text(
        at, y, words, gid=f"{gid}-name", size=Size.LABEL, ha=ha, bold=colour is not None, colour=colour, zorder=7
    )


# --- cells ---


def _draw_cells(
    canvas: MplCanvas, place: tuple[float, float, float, float], best: Recommendation, sweep: Sweep, shares: _Shares
) -> None:
    """Draw threshold by window, the cost in per cent in each cell; bluer is cheaper."""
    left, top, width, height = place
    colours, points = canvas.colours, sweep.points
    canvas.label(left, top - 0.22, "held out, in %; bluer is cheaper", gid="cells-label")
    minimum = int(points.minimums[best.row])
    acting = points.acts & (points.minimums == minimum) & (np.arange(len(points)) > 1)
    windows = _spread(np.unique(points.windows[acting]), (int(points.windows[0]), int(points.windows[best.row])))
    wanted = _thresholds(sweep, best)
    names = 0.34
    wide, tall = (width - names) / max(len(windows), 1), height / max(len(wanted), 1)
    found = np.array([[_share_at(sweep, acting, shares, stable, window) for window in windows] for stable in wanted])
    least, most = float(np.nanmin(found)), float(np.nanmax(found))
    for i, stable in enumerate(wanted):
        y = top + i * tall
        canvas.label(left + names - 0.07, y + tall / 2, setting(stable), gid=f"row-{i}", ha="right", size=Size.ROW)
        for k, window in enumerate(windows):
            share = float(found[i, k])
            weight = (most - share) / (most - least) if most > least else 0.5
            fill = _mixed(colours.paper, colours.stable, 0.08 + 0.92 * weight)
            x = left + names + k * wide
            canvas.rectangle(x + 0.01, y + 0.01, wide - 0.02, tall - 0.02, fill, gid=f"cell-{i}-{k}")
            canvas.text(
                x + wide / 2,
                y + tall / 2,
                f"{share * 100:.0f}",
                gid=f"cell-{i}-{k}-number",
                ha="center",
                colour=colours.text_on(fill),
            )
            if stable == points.stable[0] and window == points.windows[0]:
                _outline(canvas, (x, y, wide, tall), gid="current-cell", dash=(3, 2))
            is_chosen = best.is_change and stable == best.settings.thresholds.stable_threshold
            if is_chosen and window == points.windows[best.row]:
                _outline(canvas, (x, y, wide, tall), gid="recommended-cell", dash=None)
    for k, window in enumerate(windows):
        canvas.label(
            left + names + (k + 0.5) * wide,
            top + height + 0.12,
            f"{window}",
            gid=f"column-{k}",
            ha="center",
            size=Size.ROW,
        )
    middle = left + names + (width - names) / 2
    canvas.label(
        middle, top + height + 0.34, "observation_window", gid="window-label", ha="center", mono=True, size=Size.ROW
    )


def _outline(
    canvas: MplCanvas, cell: tuple[float, float, float, float], *, gid: str, dash: "tuple[float, float] | None"
) -> None:
    x, y, wide, tall = cell
    corners = [(x, y), (x + wide, y), (x + wide, y + tall), (x, y + tall), (x, y)]
    sides = [corners[i : i + 2] for i in range(4)]
    canvas.lines(sides, canvas.colours.ink, gid=gid, linewidth=1.8, dash=dash, zorder=6)


def _spread(values: Ints, kept: tuple[int, ...]) -> list[int]:
    """Return at most six of the values, evenly spread, with those that must be there."""
    must = sorted({value for value in kept if value in values})
    others = [value for value in values.tolist() if value not in must]
    room = max(_MOST - len(must), 0)
    chosen = (
        [others[i] for i in np.unique(np.linspace(0, len(others) - 1, room).astype(int))] if others and room else []
    )
    return sorted({*must, *chosen})


def _thresholds(sweep: Sweep, best: Recommendation) -> list[float]:
    """Return at most six thresholds, highest first: current and recommended ones, and some between and beside."""
    must = {float(sweep.points.stable[0]), best.settings.thresholds.stable_threshold}
    for one in (1.0, 0.9, 0.7, 0.5, 0.8, 0.6):
        if len(must) < _MOST and all(abs(one - other) > 0.02 for other in must):  # noqa: PLR2004 - else the same row
            must.add(one)
    return sorted(must, reverse=True)


def _share_at(sweep: Sweep, acting: NDArray[np.bool_], shares: _Shares, stable: float, window: int) -> float:
    rows = np.flatnonzero(acting & (sweep.points.windows == window))
    rows = rows[np.argsort(sweep.upto[rows], kind="stable")]
    at = min(int(np.searchsorted(sweep.upto[rows], stable)), len(rows) - 1)
    return float(shares.held_out[rows[at]])


def _mixed(paper: str, colour: str, weight: float) -> str:
    parts = ((int(paper[i : i + 2], 16), int(colour[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * weight):02X}" for a, b in parts)


# --- words ---


def _title(best: Recommendation) -> str:
    if not best.is_change:
        return "No setting beats the current one on held-out requests"
    changed = " and ".join(f"{name} {_text(new)}" for name, (_, new) in best.changes.items())
    verb = "cut" if len(best.changes) > 1 else "cuts"
    return f"{changed} {verb} input cost by {percent(best.share.value)} on held-out requests"


def _text(value: object) -> str:
    return setting(value) if isinstance(value, int | float) else str(value)


def _words(best: Recommendation, sweep: Sweep) -> tuple[str, ...]:
    n_won = sum(period.cost < period.current for period in best.periods)
    periods = counted(len(best.periods), "held-out period")
    agents = sweep.agent_ids
    whose = agents[0] if len(agents) == 1 else counted(len(agents), "agent")
    if not best.is_change:
        share = best.best / best.cost if best.cost else 0.0
        return f"In {periods} the best setting in hindsight would have saved {percent(share)}", whose
    return f"Cheaper than the current setting in {n_won} of {periods}", whose


def _notes(best: Recommendation) -> tuple[str, ...]:
    n_runs = sum(period.n_runs for period in best.periods)
    held = f"Held out: {counted(n_runs, 'run')}, each judged with a setting chosen on the runs before it."
    if not best.is_change:
        return "Dashed box: the current setting.", held
    how = (
        "Recommended (solid box): of the settings nearly as good as the best, the smallest change from the current one"
    )
    return f"{how} (dashed box).", held
