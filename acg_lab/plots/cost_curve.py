"""What input would have cost at each stable threshold, and where the recommended one stands."""

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab._format import counted, percent, setting
from acg_lab.advice import Recommendation, Sweep
from acg_lab.advice.planned_breakpoints import NO_BREAKPOINTS
from acg_lab.config import AcgSettings
from acg_lab.core.errors import UsageError
from acg_lab.core.planner import PlanReason
from acg_lab.plots.amounts import Unit
from acg_lab.plots.canvas import HEADING, MARGIN, BoxStyle, Swatch
from acg_lab.plots.compact import compact_place
from acg_lab.plots.mpl_canvas import MplCanvas, MplPanel
from acg_lab.plots.text import Size, text_width
from acg_lab.plots.theme import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.plots.mpl_canvas import Place

__all__ = ["cost_curve", "sweep_of"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_LEFT, _RIGHT = 0.66, 0.46
_ABOVE, _CHART, _BELOW, _LEAST = 0.55, 2.1, 0.66, 1.0
_BAR: Final = 0.06
_NEAR: Final = 0.3  # thresholds whose names would meet
_LEVEL: Final = 1.02  # costs within it count as level
_REASONS: Final = {
    PlanReason.FINGERPRINT: "the prefix is bound to whole requests",
    PlanReason.NO_PREFIX: "no block is stable",
    PlanReason.NO_CANDIDATE: "prefixes are below the minimum",
    PlanReason.NOT_WORTH_IT: "too few reads pay for a write",
    PlanReason.NO_MODEL: "requests name no model",
    PlanReason.UNKNOWN_MODEL_FAMILY: "the model is not known to the governor",
}
_TICKS: Final = (0, 0.2, 0.4, 0.6, 0.8, 1)


class _Steps(NamedTuple):
    """Costs over thresholds, ascending: one step per distinct setting, and whether anything is planned on it."""

    rows: Ints
    edges: Floats
    costs: Floats
    plans: NDArray[np.bool_]


def cost_curve(
    data: "Sweep | Recommendation", *, tried: AcgSettings | None = None, heading: bool = True, ax: "Place" = None
) -> "Axes":
    """Draw what the input of the recorded history would have cost at each ``stable_threshold``.

    Window and observations for full confidence are those tried, else recommended, else current. The line
    is dashed where the governor plans no breakpoint at all. The bar on the axis is the range of thresholds that are as
    good as the recommended one.

    Parameters
    ----------
    data : Sweep or Recommendation
        What to draw; a Recommendation adds what it recommends.
    tried : AcgSettings, optional
        Settings to mark in place of the recommended ones.
    heading : bool
        Whether to draw title and subtitle; `acg_lab.plots.alt_text` has them in any case.
    ax : Axes or Figure, optional
        Where to draw. Axes give their place; a figure keeps its width. A new figure when left out.

    Returns
    -------
    Axes
        x is the threshold, 0 to 1; y is the cost, from 0, in US dollars or uncached tokens.

    Raises
    ------
    UsageError
        If it is neither, holds no settings because no governor acts, or none with the window and the number of
        observations that are tried.

    Examples
    --------
    >>> import acg_lab as acg
    >>> axes = cost_curve(acg.sweep(acg.load("data/sample", agent_id="support-mail"), progress=False))
    >>> acg.plots.alt_text(axes).split(" · ")[0]
    'No stable_threshold is 1% cheaper than the current 0.95'
    """
    sweep = sweep_of(data)
    best = data if isinstance(data, Recommendation) and data.is_change and tried is None else None
    with drawing():
        return _draw(sweep, best, tried, ax, heading=heading)


def sweep_of(data: Any) -> Sweep:
    """Return the sweep to draw.

    Raises
    ------
    UsageError
        If there is none.
    """
    if isinstance(data, Recommendation):
        if data.sweep is None:
            msg = "There are no settings to draw: nothing shows that a governor acts. See the repairs instead."
            raise UsageError(msg)
        return data.sweep
    if not isinstance(data, Sweep):
        msg = f"Expected a Sweep (of acg.sweep) or a Recommendation (of acg.recommend); got {type(data).__name__}."
        raise UsageError(msg)
    return data


def _draw(
    sweep: Sweep, best: Recommendation | None, tried: AcgSettings | None, place: "Place", *, heading: bool
) -> "Axes":
    unit = _unit(sweep)
    steps = _steps(sweep, _row_of(sweep, tried) if tried is not None else 0 if best is None else best.row)
    chosen = _recommended(sweep, best) if best is not None else None if tried is None else _tried(steps, tried)
    base = (HEADING if heading else MARGIN) + _ABOVE
    canvas = MplCanvas(place)
    canvas.begin(base + _CHART + _BELOW, gid="cost-curve", least=base + _LEAST + _BELOW)
    end = canvas.heading(_title(sweep, steps, best, chosen, unit), *_words(sweep), show=heading)
    top = max(float(np.nanmax(steps.costs)), float(sweep.cost[0]), 1e-9) * 1.15
    if canvas.is_compact:
        return _draw_compact(canvas, sweep, steps, chosen, (end, top))
    height = max(canvas.height - base - _BELOW, 0.5)
    panel = canvas.panel(_LEFT, base, canvas.right - _LEFT - _RIGHT, height, gid="costs")
    panel.set_x_ticks(list(_TICKS), [setting(tick) for tick in _TICKS])
    _draw_costs(panel, canvas, steps, top, np.linspace(0, top / 1.15, 4), unit)
    canvas.label(MARGIN, base - 0.2, f"input cost of the history, in {unit.value}", gid="y-label")
    middle = (_LEFT + canvas.right - _RIGHT) / 2
    canvas.label(middle, base + height + 0.34, "stable_threshold", gid="x-label", ha="center", mono=True, size=Size.ROW)
    swatches = [Swatch("cost", BoxStyle(canvas.colours.stable))]
    if not steps.plans.all():
        swatches.append(Swatch(f"dashed: no breakpoint, {_why(sweep, steps)}", BoxStyle(canvas.colours.base)))
    canvas.legend(swatches, base - _ABOVE + 0.13)
    _mark(panel, canvas, sweep, chosen)
    _name_marks(canvas, _Frame(base, height, top, steps), sweep, chosen)
    if chosen is not None and chosen.plateau is not None:
        _draw_plateau(canvas, base + height, chosen.plateau)
    axes: Axes = panel.axes
    return axes


def _draw_compact(
    canvas: MplCanvas, sweep: Sweep, steps: _Steps, chosen: "_Chosen | None", ends: tuple[float, float]
) -> "Axes":
    """Draw steps and marks without names, below a heading and up to a cost."""
    (end, top), unit = ends, _unit(sweep)
    ticks = np.array([0, top / 1.15])
    left, above, width, height = compact_place(canvas, end, widest=unit.text(float(ticks[1])))
    panel = canvas.panel(left, above, width, height, gid="costs")
    panel.set_x_ticks([0, 0.5, 1], ["0", "0.5", "1"])
    _draw_costs(panel, canvas, steps, top, ticks, unit)
    _mark(panel, canvas, sweep, chosen)
    if chosen is not None and chosen.plateau is not None:
        low, high = chosen.plateau
        panel.rectangle(low, 0, high - low, top * _BAR / height, canvas.colours.stable, gid="plateau", zorder=3)
    axes: Axes = panel.axes
    return axes


def _unit(sweep: Sweep) -> Unit:
    return Unit.MONEY if sweep.currency == "USD" else Unit.RELATIVE


def _draw_costs(panel: MplPanel, canvas: MplCanvas, steps: _Steps, top: float, ticks: Floats, unit: Unit) -> None:
    """Draw the steps, with their axis and grid."""
    panel.set_limits((0, 1), (0, top))
    _draw_steps(panel, canvas, steps)
    panel.axes.set_yticks(ticks, [unit.text(tick) for tick in ticks.tolist()])
    panel.draw_grid()


def _steps(sweep: Sweep, row: int) -> _Steps:
    """Return the costs over thresholds, with window and count of a setting."""
    points = sweep.points
    rows = np.flatnonzero(
        points.acts & (points.windows == points.windows[row]) & (points.minimums == points.minimums[row])
    )
    rows = rows[rows > 1]  # the first two are the current setting, which its step holds, and the one without a governor
    rows = rows[np.argsort(sweep.upto[rows], kind="stable")]
    rows = rows[~np.isnan(sweep.cost[rows])]
    if not len(rows):
        rows = np.array([0])
    edges = np.concatenate(([0.0], sweep.upto[rows[:-1]], [1.0]))
    plans = np.array((sweep.numbers[rows] != NO_BREAKPOINTS).any(axis=1), bool)
    return _Steps(rows, edges, sweep.cost[rows], plans)


class _Chosen(NamedTuple):
    """A setting to mark beside the current one: what it is called, its threshold, its cost, and what is as good."""

    role: str
    stable: float
    cost: float
    plateau: tuple[float, float] | None = None


def _recommended(sweep: Sweep, best: Recommendation) -> _Chosen:
    stable = best.settings.thresholds.stable_threshold
    return _Chosen("recommended", stable, float(sweep.cost[best.row]), best.plateau)


def _tried(steps: _Steps, tried: AcgSettings) -> _Chosen:
    stable = tried.thresholds.stable_threshold
    at = min(int(np.searchsorted(steps.edges[1:], stable)), len(steps.costs) - 1)
    return _Chosen("tried", stable, float(steps.costs[at]))


def _row_of(sweep: Sweep, tried: AcgSettings) -> int:
    """Return a setting of the sweep with the window and the number of observations that are tried."""
    points, minimum = sweep.points, tried.thresholds.min_observations_for_full_confidence
    rows = np.flatnonzero(points.acts & (points.windows == tried.observation_window) & (points.minimums == minimum))
    if not len(rows):
        msg = (
            f"The sweep has no setting with observation_window {tried.observation_window} and "
            f"min_observations_for_full_confidence {minimum}, which are tried: pass a sweep of such settings."
        )
        raise UsageError(msg)
    return int(rows[-1])


def _draw_steps(panel: MplPanel, canvas: MplCanvas, steps: _Steps) -> None:
    """Draw the steps, dashed and pale where the governor plans nothing."""
    colours = canvas.colours
    acting, idle = np.where(steps.plans, steps.costs, np.nan), np.where(steps.plans, np.nan, steps.costs)
    if steps.plans.any():
        panel.steps(acting, steps.edges, colours.stable, linewidth=2.0, gid="cost", zorder=4)
    if not steps.plans.all():
        panel.steps(idle, steps.edges, colours.base, linewidth=1.4, linestyle=(0, (3, 2)), gid="cost-idle", zorder=4)


class _Frame(NamedTuple):
    """Where the panel stands on the page, the upper end of its y axis, and what is drawn in it."""

    top: float
    height: float
    most: float
    steps: _Steps


def _mark(panel: MplPanel, canvas: MplCanvas, sweep: Sweep, chosen: _Chosen | None) -> None:
    """Mark the current setting, and the one that is recommended or tried."""
    colours = canvas.colours
    hollow: Any = {"edge": colours.ink, "edge_width": 1.4, "size": 8, "zorder": 6}
    panel.dots([float(sweep.points.stable[0])], [float(sweep.cost[0])], colours.paper, gid="current-mark", **hollow)
    if chosen is None:
        return
    filled: Any = {"edge": colours.paper, "edge_width": 1.2, "size": 8, "zorder": 6}
    panel.dots([chosen.stable], [chosen.cost], _colour(canvas, sweep, chosen), gid=f"{chosen.role}-mark", **filled)


def _colour(canvas: MplCanvas, sweep: Sweep, chosen: _Chosen) -> str:
    """Return the colour of a setting's mark: a cost that rounds to the current one is not dearer."""
    now, unit = float(sweep.cost[0]), _unit(sweep)
    is_dearer = chosen.cost > now and unit.text(chosen.cost) != unit.text(now)
    return canvas.colours.breaking if is_dearer else canvas.colours.stable


def _name_marks(canvas: MplCanvas, frame: _Frame, sweep: Sweep, chosen: _Chosen | None) -> None:
    """Name the current setting, and the one that is recommended or tried."""
    now, cost, unit = float(sweep.points.stable[0]), float(sweep.cost[0]), _unit(sweep)
    current = _Name(now, cost, f"current {setting(now)}: {unit.text(cost)}", "current-name", canvas.colours.ink)
    is_above = _name(canvas, frame, current, above=chosen is None or chosen.cost <= cost)
    if chosen is None:
        return
    words = f"{chosen.role} {setting(chosen.stable)}: {unit.text(chosen.cost)}"
    colour = _colour(canvas, sweep, chosen)
    named = _Name(chosen.stable, chosen.cost, words, f"{chosen.role}-name", colour, bold=True)
    is_near = abs(chosen.stable - now) < _NEAR
    _name(canvas, frame, named, above=chosen.cost > cost, other=is_above if is_near else None)


def _draw_plateau(canvas: MplCanvas, bottom: float, plateau: tuple[float, float]) -> None:
    """Draw the range of thresholds that are as good as the recommended one."""
    colours, (low, high) = canvas.colours, plateau
    width = canvas.right - _RIGHT - _LEFT
    canvas.rectangle(
        _LEFT + low * width, bottom - _BAR, (high - low) * width, _BAR, colours.stable, gid="plateau", zorder=3
    )
    left = min(_LEFT + low * width + 0.05, canvas.right - text_width("as good", Size.LABEL) - 0.1)
    canvas.text(
        left, bottom - _BAR - 0.1, "as good", gid="plateau-name", size=Size.LABEL, colour=colours.stable, zorder=5
    )


class _Name(NamedTuple):
    """What a mark is called, where it stands, and how the name looks."""

    stable: float
    cost: float
    words: str
    gid: str
    colour: str
    bold: bool = False


def _name(canvas: MplCanvas, frame: _Frame, name: _Name, *, above: bool, other: bool | None = None) -> bool:
    """Write a name above or below its mark, inside the page; return whether it stands above.

    ``other``: on which side a name nearby stands, which it would meet on the same side.
    """
    width = canvas.right - _RIGHT - _LEFT
    half = text_width(name.words, Size.LABEL, bold=name.bold) / 2
    x = min(max(_LEFT + name.stable * width, _LEFT + half), canvas.right - half)  # beside the numbers of the axis
    left, right = (x - half - _LEFT) / width, (x + half - _LEFT) / width
    is_above = not other if other is not None else _is_above(frame.steps, name.cost, left, right, wanted=above)
    y = frame.top + frame.height * (1 - name.cost / frame.most) + (-0.17 if is_above else 0.17)
    style: Any = {"size": Size.LABEL, "ha": "center", "bold": name.bold, "colour": name.colour, "zorder": 7}
    canvas.text(x, y, name.words, gid=name.gid, **style)
    return is_above


def _is_above(steps: _Steps, cost: float, left: float, right: float, *, wanted: bool) -> bool:
    """Whether a name that reaches from one threshold to another is to stand above its mark, not to meet the steps."""
    near = steps.costs[(steps.edges[:-1] < right) & (steps.edges[1:] > left)]
    is_free = {True: not (near > cost * _LEVEL).any(), False: not (near < cost / _LEVEL).any()}
    return wanted if is_free[wanted] or not is_free[not wanted] else not wanted


# --- words ---


def _why(sweep: Sweep, steps: _Steps) -> str:
    """Return why the governor plans nothing, at the widest step without a breakpoint."""
    widths = np.where(steps.plans, 0.0, np.diff(steps.edges))
    reason = sweep.evaluation.why_nothing(sweep.setting(int(steps.rows[widths.argmax()])))
    return "nothing is planned" if reason is None else _REASONS.get(reason, "nothing is planned")


def _title(sweep: Sweep, steps: _Steps, best: Recommendation | None, chosen: _Chosen | None, unit: Unit) -> str:
    now = float(sweep.cost[0])
    if chosen is not None and best is None:
        return f"stable_threshold {setting(chosen.stable)}: {unit.named(chosen.cost)} instead of {unit.text(now)}"
    if best is not None:
        what = " and ".join(f"{name} {_text(new)}" for name, (_, new) in best.changes.items())
        return f"{what}: {unit.named(float(sweep.cost[best.row]))} instead of {unit.text(now)}"
    least = float(np.nanmin(steps.costs))
    if now <= 0 or (now - least) / now < 0.01:  # noqa: PLR2004 - what no recommendation is made for
        return f"No stable_threshold is 1% cheaper than the current {setting(float(sweep.points.stable[0]))}"
    return f"The best stable_threshold saves {percent((now - least) / now)} of this history, in hindsight"


def _text(value: object) -> str:
    return setting(value) if isinstance(value, int | float) else str(value)


def _words(sweep: Sweep) -> tuple[str, ...]:
    agents = sweep.agent_ids
    whose = agents[0] if len(agents) == 1 else counted(len(agents), "agent")
    return f"replayed history of {counted(sweep.evaluation.n_requests, 'request')}", whose
