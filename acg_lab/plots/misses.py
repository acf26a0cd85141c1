"""What is paid for in vain: agents by loss, split by what the loss is for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from acg_lab import frames
from acg_lab._format import counted, cut_all
from acg_lab.plots.amounts import Unit
from acg_lab.plots.canvas import HEADING, MARGIN, BoxStyle, Swatch
from acg_lab.plots.compact import compact_place
from acg_lab.plots.empty import draw_unknown, explain_unknown
from acg_lab.plots.inputs import check_columns, check_source
from acg_lab.plots.mpl_canvas import MplCanvas
from acg_lab.plots.text import Size, drawable, text_width
from acg_lab.plots.theme import Palette, drawing, palette
from acg_lab.simulation.origins import CHANGES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.plots.mpl_canvas import Place
    from acg_lab.simulation import CacheSimulation

__all__ = ["misses"]

_COLUMNS: Final = ("agent_id", "cause", "block", "tokens", "lost", "lost_tokens", "words", "first_seen", "last_seen")
_MOST_ROWS: Final = 25
_ROW, _BAR = 0.235, 0.62
_LINE, _COMPACT_ROW = 0.14, 0.05  # least heights of a row with and without words
_ABOVE, _BELOW = 0.34, 0.36
_NAME: Final = 30
_GAP: Final = 0.8 / 72  # of paper between segments
_MIN_BAR: Final = 0.9
_FEW: Final = 0.2  # of the loss: a dearest miss below that is not what matters
_ALL: Final = 0.995
_NOTE: Final = "Lost: cost as billed less the least it could have been, with every prefix that was sent again cached."
_TOKENS_NOTE: Final = "Tokens that earlier requests held too and that were not read; what they cost is not known."
_SHORT: Final = {
    "breakpoint_short": "a short breakpoint",
    "no_breakpoint": "missing breakpoints",
    "expired": "expired entries",
    "below_minimum": "short prefixes",
    "model_changed": "another model",
    "unexplained": "unexplained misses",
    "tools_changed": "changed tools",
    "system_changed": "a changed system prompt",
    "history_changed": "changed messages",
    "in_flight": "parallel requests",
    "not_written": "entries never written",
}


class _Part(NamedTuple):
    """One class of causes: its name in the legend, and its fill."""

    name: str
    causes: frozenset[str]
    colour: str


def _parts(colours: Palette) -> tuple[_Part, ...]:
    """Return the classes in the order of the bars; the last one takes all other causes."""
    breakpoints = {"breakpoint_short", "no_breakpoint", "not_written", "lookback_exceeded", "boundary_absent"}
    return (
        _Part("content changed", frozenset(map(str, CHANGES)), colours.breaking),
        _Part("breakpoints", frozenset(breakpoints), colours.base),
        _Part("expired or in flight", frozenset({"expired", "in_flight"}), colours.once),
        _Part("other", frozenset(), colours.uncached),
    )


def misses(
    data: "CacheSimulation | pd.DataFrame", *, cost: float | None = None, heading: bool = True, ax: "Place" = None
) -> "Axes":
    """Draw what each agent pays in vain, dearest first, split by what it is paid for.

    Parameters
    ----------
    data : CacheSimulation or DataFrame
        What to draw; or rows of `acg_lab.frames.misses`, the table behind the figure.
    cost : float, optional
        What all requests cost, in the unit of the frame; known from a simulation.
    heading : bool
        Whether to draw title and subtitle; `acg_lab.plots.alt_text` has them in any case.
    ax : Axes or Figure, optional
        Where to draw. An axes gives its place; a figure keeps its width. A new figure when left out.

    Returns
    -------
    Axes
        Of the bars: x in US dollars, or in uncached tokens where a request has no price; y in agents.

    Raises
    ------
    UsageError
        If the data is neither a simulation nor a frame of misses.

    Examples
    --------
    >>> import acg_lab as acg
    >>> axes = misses(acg.simulate(acg.load("data/sample", agent_id="support-mail")))
    >>> acg.plots.alt_text(axes).split(" · ")[0]
    '$1.01 of $2.04 is paid for nothing, $0.76 of it for a short breakpoint in support-mail'
    """
    check_source(data, "frames.misses", expected="CacheSimulation (of acg.simulate)", attribute="verdicts")
    why = None if isinstance(data, pd.DataFrame) else explain_unknown(data)
    if isinstance(data, pd.DataFrame):
        losses = _Losses.of(check_columns(data, _COLUMNS, "frames.misses"), cost)
        words: tuple[str, ...] = ()
    else:
        losses = _Losses.of_simulation(data)
        listed = data.history.price_list.source if losses.unit is Unit.MONEY else ""
        words = (counted(len(data), "request"), listed)
    with drawing():
        if why is not None:
            return draw_unknown(ax, why, gid="misses", show=heading)
        return _draw(losses, words, ax, heading=heading)


class _Losses(NamedTuple):
    """Losses by agent and class of cause, in one unit.

    ``of_agent`` holds each agent's loss over all requests: misses less what the limit pays more for others. ``changed``
    has the misses for changes of content, those too that lose nothing, since no breakpoint could have helped.
    """

    frame: pd.DataFrame
    unit: Unit
    cost: float | None
    of_agent: Mapping[str, float]
    changed: pd.DataFrame

    @property
    def lost(self) -> float:
        """What is lost in all."""
        return sum(self.of_agent.values())

    @classmethod
    def of(cls, frame: pd.DataFrame, cost: float | None) -> "_Losses":
        """Return the losses of rows of misses alone."""
        unit = _unit(bool(frame["lost"].isna().any()), bool(frame["lost_tokens"].isna().any()))
        made = cls(_with_amounts(frame, unit), unit, cost, {}, _changes(frame))
        return made._replace(of_agent=_sums(made.frame, "agent_id"))

    @classmethod
    def of_simulation(cls, sim: "CacheSimulation") -> "_Losses":
        """Return the losses of a simulation, those of each agent over all of its requests."""
        unit = _unit(bool(np.isnan(sim.cost_as_was).any()), bool(np.isnan(sim.lost_tokens).any()))
        misses = frames.misses(sim)
        made = cls(_with_amounts(misses, unit), unit, None, {}, _changes(misses))
        if unit is Unit.TOKENS:
            known = _sums(made.frame, "agent_id")
            lost = {agent_id: float(known.get(agent_id, 0.0)) for agent_id in dict.fromkeys(sim.agent_ids)}
            return made._replace(cost=float(sim.tokens.sum()), of_agent=lost)
        money = unit is Unit.MONEY
        lost = {agent_id: of.totals(money=money).lost for agent_id, of in sim.by_agent().items()}
        return made._replace(cost=sim.totals(money=money).as_was, of_agent=lost)


def _with_amounts(frame: pd.DataFrame, unit: Unit) -> pd.DataFrame:
    """Return the rows that lose something, dearest first, with what they lose as ``amount``."""
    column = {Unit.MONEY: "lost", Unit.RELATIVE: "lost_tokens", Unit.TOKENS: "tokens"}[unit]
    frame = frame.assign(amount=frame[column].astype(float), agent_id=frame["agent_id"].astype(str))
    return frame[frame["amount"] > 0].sort_values("amount", ascending=False, kind="stable", ignore_index=True)


def _changes(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the misses for changes of content, most tokens first."""
    return frame[frame["cause"].isin(list(map(str, CHANGES)))].sort_values("tokens", ascending=False, kind="stable")


def _sums(frame: pd.DataFrame, by: str) -> dict[str, float]:
    """Return what is lost by the values of a column."""
    return {str(name): float(amount) for name, amount in frame.groupby(by)["amount"].sum().items()}


def _unit(no_price: bool, no_rate: bool) -> Unit:  # noqa: FBT001
    return Unit.TOKENS if no_price and no_rate else Unit.RELATIVE if no_price else Unit.MONEY


class _Row(NamedTuple):
    """One bar."""

    name: str
    amounts: Mapping[str, float]
    words: str
    lost: float

    @property
    def total(self) -> float:
        return sum(self.amounts.values())


def _rows(losses: _Losses, parts: tuple[_Part, ...]) -> list[_Row]:
    """Return the dearest agents, and all others as one row."""
    frame = losses.frame
    part_of = {cause: part.name for part in parts for cause in part.causes}
    frame = frame.assign(part=[part_of.get(str(cause), parts[-1].name) for cause in frame["cause"]])
    order = frame.groupby("agent_id")["amount"].sum().sort_values(ascending=False, kind="stable").index.tolist()
    shown = order if len(order) <= _MOST_ROWS else order[: _MOST_ROWS - 1]
    rows = [_row(agent_id, frame[frame["agent_id"] == agent_id], losses.of_agent[agent_id]) for agent_id in shown]
    if others := order[len(shown) :]:
        lost = sum(losses.of_agent[agent_id] for agent_id in others)
        # No bar: it would dwarf the others.
        rows.append(_Row("", {}, f"in {counted(len(others), 'other agent')}", lost))
    return rows


def _row(name: str, frame: pd.DataFrame, lost: float) -> _Row:
    amounts = _sums(frame, "part")
    return _Row(name, amounts, str(frame["words"].iloc[0]), lost)


def _draw(losses: _Losses, words: tuple[str, ...], place: "Place", *, heading: bool) -> "Axes":
    canvas = MplCanvas(place)
    base = (HEADING if heading else MARGIN) + _ABOVE
    parts = _parts(palette())
    rows = _rows(losses, parts)
    least = base + _LINE * max(len(rows), 1) + _BELOW
    canvas.begin(base + _ROW * max(len(rows), 1) + _BELOW, gid="misses", least=least)
    title, name = _title(losses)
    span = _period(losses.frame)
    without = len(losses.of_agent) - len(set(losses.frame["agent_id"]))
    spared = f"{counted(without, 'agent')} {'loses' if without == 1 else 'lose'} nothing" if without and rows else ""
    end = canvas.heading(title, *words[:1], spared, span, *words[1:], name=name, show=heading)
    if canvas.is_compact:
        return _draw_compact(canvas, losses.unit, [row for row in rows if row.amounts], parts, end)
    drawn = [part for part in parts if any(part.name in row.amounts for row in rows)]
    canvas.legend([Swatch(part.name, BoxStyle(part.colour)) for part in drawn], base - _ABOVE + 0.13)
    each = max(canvas.height - base - _BELOW, 0.1) / max(len(rows), 1)
    axes = _draw_rows(canvas, losses.unit, rows, parts, (base, each))
    canvas.note(_TOKENS_NOTE if losses.unit is Unit.TOKENS else _NOTE)
    return axes


def _draw_compact(canvas: MplCanvas, unit: Unit, rows: list[_Row], parts: tuple[_Part, ...], top: float) -> "Axes":
    """Draw the bars, as many as have room, with what is lost where it can be read."""
    left, top, width, height = compact_place(canvas, top, below=0.0)
    rows = rows[: max(int(height / _COMPACT_ROW), 1)]
    each = min(height / max(len(rows), 1), _ROW)
    totals = [unit.text(row.lost) for row in rows] if each >= _LINE else [""] * len(rows)
    scale = _scale(rows, [text_width(total, Size.ROW, bold=True) + 0.1 for total in totals], width)
    panel = canvas.panel(left, top, width, max(each * len(rows), 0.1), gid="agents", x_axis=False)
    panel.set_limits((0, width / scale if scale else 1.0), (max(len(rows), 1) - 0.5, -0.5))
    panel.axes.set_xticks([])
    for number, row in enumerate(rows):
        y = top + each * (number + 0.5)
        end = _draw_bar(canvas, number, row, parts, (left, y, scale, each * _BAR))
        if totals[number]:
            canvas.text(end + 0.08, y, totals[number], gid=f"lost-{number}", size=Size.ROW, bold=number == 0)
    axes: Axes = panel.axes
    return axes


def _draw_rows(
    canvas: MplCanvas, unit: Unit, rows: list[_Row], parts: tuple[_Part, ...], place: tuple[float, float]
) -> "Axes":
    top, each = place
    names = cut_all((drawable(row.name, mono=True) for row in rows), _NAME)
    left = MARGIN + max([text_width(name, Size.NAME, mono=True) for name in names.values()] or [0.0]) + 0.1
    totals = [unit.text(row.lost) for row in rows]
    labels = [drawable(row.words) for row in rows]
    widths = [text_width(t, Size.ROW) + text_width(w, Size.NOTE) + 0.3 for t, w in zip(totals, labels, strict=True)]
    # The widest bar leaves room for its own words, and so do all others; where names are long, for the amounts alone.
    room = canvas.right - left
    scale = _scale(rows, widths, room)
    if scale * max((row.total for row in rows), default=0.0) < _MIN_BAR:
        scale = _scale(rows, [text_width(total, Size.ROW, bold=True) + 0.1 for total in totals], room)
    height = each * len(rows)
    panel = canvas.panel(left, top, room, max(height, 0.1), gid="agents", x_axis=False)
    panel.set_limits((0, room / scale if scale else 1.0), (max(len(rows), 1) - 0.5, -0.5))
    panel.axes.set_xticks([])
    for number, row in enumerate(rows):
        y = top + each * (number + 0.5)
        name = names[drawable(row.name, mono=True)]
        canvas.text(left - 0.1, y, name, gid=f"agent-{number}", size=Size.NAME, mono=True, ha="right")
        end = _draw_bar(canvas, number, row, parts, (left, y, scale, each * _BAR))
        canvas.text(end + 0.08, y, totals[number], gid=f"lost-{number}", size=Size.ROW, bold=number == 0)
        after = end + 0.08 + text_width(totals[number], Size.ROW, bold=number == 0) + 0.1
        if after + text_width(labels[number], Size.NOTE) <= canvas.right:
            canvas.label(after, y, labels[number], gid=f"words-{number}", size=Size.NOTE)
    axes: Axes = panel.axes
    return axes


def _scale(rows: list[_Row], widths: list[float], room: float) -> float:
    """Return inches per amount, so that each bar has room for a text of some width behind it."""
    scales = [(room - width) / row.total for row, width in zip(rows, widths, strict=True) if row.amounts]
    return max(min(scales, default=0.0), 0.0)


def _draw_bar(
    canvas: MplCanvas, number: int, row: _Row, parts: tuple[_Part, ...], place: tuple[float, float, float, float]
) -> float:
    """Draw the segments of one bar; return where it ends."""
    x, y, scale, height = place
    for part in parts:
        width = row.amounts.get(part.name, 0.0) * scale
        if width:
            shown = max(width - _GAP, 0.01)
            gid = f"bar-{number}-{part.name.replace(' ', '-')}"
            canvas.rectangle(x, y - height / 2, shown, height, part.colour, gid=gid)
        x += width
    return x


# --- words ---


def _title(losses: _Losses) -> tuple[str, str]:
    """Return the title, and the name that stands for ``{name}`` in it."""
    unit, frame = losses.unit, losses.frame
    if frame.empty or losses.lost <= 0:
        if losses.changed.empty:
            return "Nothing is paid for misses: every prefix that could be read was read", ""
        changed: Any = losses.changed.iloc[0]
        return f"No breakpoint could save more; {{name}} misses for {_reason(changed)}", str(changed.agent_id)
    of = "" if losses.cost is None else f" of {unit.text(losses.cost)}"
    kind = "" if unit is Unit.MONEY else f" {unit.value}"
    total = f"{unit.text(losses.lost)}{of}{kind} {'missed' if unit is Unit.TOKENS else 'is paid for nothing'}"
    worst: Any = frame.iloc[0]
    alike = frame[frame["words"] == worst.words]
    is_common = worst.amount < _FEW * losses.lost and len(alike) > 1
    amount = float(alike["amount"].sum()) if is_common else float(worst.amount)
    most = "all" if amount > _ALL * losses.lost else unit.text(amount)
    where = counted(len(set(alike["agent_id"])), "agent") if is_common else "{name}"
    return f"{total}, {most} of it for {_reason(worst)} in {where}", str(worst.agent_id)


def _reason(worst: Any) -> str:
    cause = str(worst.cause)
    if cause in map(str, CHANGES) and " in " in str(worst.words):
        kind = str(worst.words).partition(" in ")[0]
        return f"{'an' if kind[:1] in 'aeiou' else 'a'} {kind}"
    return "reordered tools" if worst.words == "tools reordered" else _SHORT.get(cause, cause.replace("_", " "))


def _period(frame: pd.DataFrame) -> str:
    if frame.empty or frame["first_seen"].isna().all():
        return ""
    first, last = frame["first_seen"].min(), frame["last_seen"].max()
    days = f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}"
    return f"on {days[0]}" if days[0] == days[1] else f"misses from {days[0]} to {days[1]}"
