"""Where input tokens go and what they cost: without a cache, as it was, under a change, and at the limit."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from acg_lab import frames
from acg_lab._format import change, counted, cut_all, percent, tokens
from acg_lab.core.errors import UsageError
from acg_lab.plots.amounts import Unit
from acg_lab.plots.canvas import HEADING, MARGIN, BoxStyle, Swatch
from acg_lab.plots.compact import compact_place
from acg_lab.plots.empty import NO_REQUESTS, draw_empty, draw_unknown, explain_unknown
from acg_lab.plots.inputs import check_columns, select_agent
from acg_lab.plots.mpl_canvas import MplCanvas
from acg_lab.plots.text import Size, drawable, text_width
from acg_lab.plots.theme import drawing
from acg_lab.simulation import CacheSimulation
from acg_lab.simulation.policies import AS_IT_WAS, LIMIT, NO_CACHING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.plots.mpl_canvas import Place

__all__ = ["cost_breakdown"]

_PARTS: Final = ("read", "written", "uncached")
_COLUMNS: Final = (
    "policy",
    "agent_id",
    "requests",
    "tokens",
    *_PARTS,
    *(f"{p}_cost" for p in _PARTS),
    "cost",
    "currency",
)
_ROW, _BAR = 0.4, 0.24
_LEAST: Final = 0.25  # height of a row with words
_LINE: Final = 0.13  # of text
_ABOVE, _BELOW = 0.52, 0.34
_NAME: Final = 22
_LEFT_SHARE: Final = 0.42  # of what the two panels have
_BETWEEN: Final = 0.3
_PAD, _GAP = 0.05, 0.8 / 72
_NOTE: Final = "Limit: knows the next request, and caches exactly what will be read again within the cache's lifetime."


def cost_breakdown(
    data: "CacheSimulation | Mapping[str, CacheSimulation] | Iterable[CacheSimulation] | pd.DataFrame",
    *,
    agent_id: str | None = None,
    heading: bool = True,
    ax: "Place" = None,
) -> "Axes":
    """Draw how many tokens each policy reads, writes and leaves uncached, and what they cost.

    Parameters
    ----------
    data : CacheSimulation, mapping of names to them, iterable, or DataFrame
        What to draw, as `acg_lab.frames.costs` takes it; or its rows, the table behind the figure.
    agent_id : str, optional
        This agent only; all together when left out.
    heading : bool
        Whether to draw title and subtitle; `acg_lab.plots.alt_text` has them in any case.
    ax : Axes or Figure, optional
        Where to draw. An axes gives its place; a figure keeps its width. A new figure when left out.

    Returns
    -------
    Axes
        Of the costs: x in US dollars, or in uncached tokens where a request has no price; y in policies.

    Raises
    ------
    UsageError
        If the data is no simulation and no frame of costs, amounts have different currencies, or the agent has no row.

    Examples
    --------
    >>> import acg_lab as acg
    >>> axes = cost_breakdown(acg.simulate(acg.load("data/sample", agent_id="support-mail")))
    >>> acg.plots.alt_text(axes).split(" · ")[0]
    'Caching saves 27% of the input cost, 42% of what is possible'
    """
    frame = _frame(data, agent_id)
    why = explain_unknown(data.select(agent_id=agent_id)) if isinstance(data, CacheSimulation) else None
    with drawing():
        if why is not None:
            return draw_unknown(ax, why, gid="cost-breakdown", show=heading)
        if frame.empty or not frame["requests"].sum():
            return draw_empty(ax, gid="cost-breakdown", show=heading, next_step=NO_REQUESTS)
        return _draw(frame, agent_id, ax, heading=heading)


def _frame(data: Any, agent_id: str | None) -> pd.DataFrame:
    is_sim = isinstance(data, CacheSimulation | Mapping) or (
        isinstance(data, Iterable) and not isinstance(data, pd.DataFrame | str | bytes)
    )
    if is_sim:
        sims = data if isinstance(data, CacheSimulation | Mapping) else list(data)  # a generator can be read once
        frame = frames.costs(sims)
        if len(set(frame["currency"])) > 1:
            frame = frames.costs(sims, money=False)
    elif isinstance(data, pd.DataFrame):
        frame = check_columns(data, _COLUMNS, "frames.costs")
    else:
        msg = f"Expected a CacheSimulation (of acg.simulate), or a frame of frames.costs; got {type(data).__name__}."
        raise UsageError(msg)
    frame = select_agent(frame, agent_id)
    if len(set(frame["currency"])) > 1:
        msg = (
            "The frame mixes dollars and uncached tokens: choose one agent (agent_id=), or make it with "
            "frames.costs(sim, money=False)."
        )
        raise UsageError(msg)
    return frame


class _Policy(NamedTuple):
    """One row: tokens per request and costs, each read, written, uncached."""

    name: str
    tokens: tuple[float, ...]
    costs: tuple[float, ...]

    @property
    def cost(self) -> float:
        """The sum of the costs."""
        return sum(self.costs)


def _policies(frame: pd.DataFrame) -> list[_Policy]:
    """Return the policies, all agents together."""
    found = []
    for name in dict.fromkeys(frame["policy"].astype(str)):
        rows = frame[frame["policy"].astype(str) == name]
        n = max(int(rows["requests"].sum()), 1)
        per_request = tuple(float(rows[part].sum()) / n for part in _PARTS)
        costs = tuple(float(rows[f"{part}_cost"].sum(skipna=False)) for part in _PARTS)
        found.append(_Policy(name, per_request, costs))
    return found


def _draw(frame: pd.DataFrame, agent_id: str | None, place: "Place", *, heading: bool) -> "Axes":
    policies = _policies(frame)
    unit = Unit.MONEY if str(frame["currency"].iloc[0]) == "USD" else Unit.RELATIVE
    canvas = MplCanvas(place)
    base = (HEADING if heading else MARGIN) + _ABOVE
    canvas.begin(
        base + _ROW * len(policies) + _BELOW, gid="cost-breakdown", least=base + _LEAST * len(policies) + _BELOW
    )
    end = canvas.heading(_title(policies), *_words(frame, policies, unit, agent_id), show=heading)
    fills = (canvas.colours.cache_read, canvas.colours.cache_write, canvas.colours.uncached)
    if canvas.is_compact:
        return _draw_compact(canvas, policies, unit, fills, end)
    names = ("cache read", "cache write", "uncached")
    canvas.legend([Swatch(name, BoxStyle(fill)) for name, fill in zip(names, fills, strict=True)], base - _ABOVE + 0.13)
    each = max(canvas.height - base - _BELOW, 0.1) / len(policies)
    left, split, right = _columns(canvas, policies, unit)
    canvas.label(left, base - 0.12, "input tokens per request", gid="head-tokens")
    canvas.label(split, base - 0.12, f"what they cost, in {unit.value}", gid="head-cost")
    token_scale = (split - _BETWEEN - left) / max(*(sum(policy.tokens) for policy in policies), 1e-9)
    cost_scale = (right - split) / max(*(np.nan_to_num(policy.cost) for policy in policies), 1e-9)
    shown = cut_all((drawable(policy.name) for policy in policies), _NAME)
    for number, policy in enumerate(policies):
        y = base + each * (number + 0.5)
        style: Any = _style(canvas, policy.name)
        canvas.text(left - 0.12, y, shown[drawable(policy.name)], gid=f"policy-{number}", ha="right", **style)
        _draw_bar(canvas, f"tokens-{number}", policy.tokens, fills, (left, y, token_scale), Unit.TOKENS)
        if not np.isnan(policy.cost):
            _draw_bar(canvas, f"cost-{number}", policy.costs, fills, (split, y, cost_scale), unit)
        _draw_total(canvas, number, policy, policies[0], (split + np.nan_to_num(policy.cost) * cost_scale, y), unit)
    canvas.note(_NOTE)
    panel = canvas.panel(split, base, right - split, each * len(policies), gid="costs", x_axis=False)
    panel.set_limits((0, (right - split) / cost_scale), (len(policies) - 0.5, -0.5))
    panel.axes.set_xticks([])
    axes: Axes = panel.axes
    return axes


def _draw_compact(canvas: MplCanvas, policies: list[_Policy], unit: Unit, fills: tuple[str, ...], top: float) -> "Axes":
    """Draw the costs alone, one bar for each policy, with its total."""
    texts = [unit.text(np.nan_to_num(policy.cost)) for policy in policies]
    total = max(text_width(text, Size.ROW, bold=True) for text in texts) + 0.1
    left, top, width, height = compact_place(canvas, top, below=0.0)
    each, scale = height / len(policies), (width - total) / max(*(np.nan_to_num(p.cost) for p in policies), 1e-9)
    for number, policy in enumerate(policies):
        y, end = top + each * (number + 0.5), left
        if not np.isnan(policy.cost):
            _draw_bar(canvas, f"cost-{number}", policy.costs, fills, (left, y, scale), unit, min(_BAR, each * 0.7))
            end += policy.cost * scale
        if each >= _LINE and not np.isnan(policy.cost):
            canvas.text(end + 0.07, y, texts[number], gid=f"total-{number}", **_style(canvas, policy.name))
    panel = canvas.panel(left, top, width, height, gid="costs", x_axis=False)
    panel.set_limits((0, width / scale), (len(policies) - 0.5, -0.5))
    panel.axes.set_xticks([])
    return panel.axes


def _columns(canvas: MplCanvas, policies: list[_Policy], unit: Unit) -> tuple[float, float, float]:
    """Return where the bars of tokens begin, where those of costs begin, and where the longest of these ends."""
    names = cut_all((drawable(policy.name) for policy in policies), _NAME).values()
    left = MARGIN + max(text_width(name, Size.ROW, bold=True) for name in names) + 0.16
    totals = [text_width(unit.text(np.nan_to_num(policy.cost)), Size.ROW, bold=True) for policy in policies]
    right = canvas.right - max(totals) - text_width("\N{MINUS SIGN}99%", Size.ROW, bold=True) - 0.3
    room = max(right - left - _BETWEEN, 1.0)
    return left, left + room * _LEFT_SHARE + _BETWEEN, right


def _style(canvas: MplCanvas, name: str) -> dict[str, Any]:
    """Return how the words of a row are written: what is tried is bold, what can't be had is paler."""
    if name in (NO_CACHING, LIMIT):
        return {"size": Size.ROW, "colour": canvas.colours.text2}
    return {"size": Size.ROW, "bold": name != AS_IT_WAS}


def _draw_bar(
    canvas: MplCanvas,
    gid: str,
    amounts: tuple[float, ...],
    fills: tuple[str, ...],
    place: tuple[float, float, float],
    unit: Unit,
    height: float = _BAR,
) -> None:
    """Draw read, written and uncached as one bar, with their numbers where they fit."""
    x, y, scale = place
    for part, amount, fill in zip(_PARTS, amounts, fills, strict=True):
        width = amount * scale
        if not width > 0:
            continue
        canvas.rectangle(x, y - height / 2, max(width - _GAP, 0.01), height, fill, gid=f"{gid}-{part}")
        text = unit.text(amount)
        if height >= _LINE and text_width(text, Size.NOTE) + 2 * _PAD <= width - _GAP:
            colour = canvas.colours.text_on(fill)
            middle = x + (width - _GAP) / 2
            canvas.text(middle, y, text, gid=f"{gid}-{part}-number", size=Size.NOTE, ha="center", colour=colour)
        x += width


def _draw_total(
    canvas: MplCanvas, number: int, policy: _Policy, without: _Policy, end: tuple[float, float], unit: Unit
) -> None:
    x, y = end
    if np.isnan(policy.cost):
        canvas.label(x, y, "rates are not known", gid=f"total-{number}")
        return
    style = _style(canvas, policy.name)
    total = unit.text(policy.cost)
    canvas.text(x + 0.07, y, total, gid=f"total-{number}", **style)
    if policy is without or not without.cost:
        return
    difference = policy.cost / without.cost - 1
    colour = canvas.colours.cache_read if difference <= 0 else canvas.colours.breaking
    after = x + 0.07 + text_width(total, Size.ROW, bold=bool(style.get("bold"))) + 0.09
    words = change(percent(abs(difference)), difference)
    canvas.text(after, y, words, gid=f"change-{number}", **{**style, "colour": colour})


# --- words ---


def _title(policies: list[_Policy]) -> str:
    by_name = {policy.name: policy for policy in policies}
    without, limit = by_name[NO_CACHING].cost, by_name[LIMIT].cost if LIMIT in by_name else np.nan
    tried = [policy for policy in policies if policy.name not in (NO_CACHING, AS_IT_WAS, LIMIT)]
    best = min(tried, key=lambda policy: policy.cost, default=by_name.get(AS_IT_WAS, by_name[NO_CACHING]))
    if np.isnan(best.cost) or not without:
        return f"{percent(best.tokens[0] / max(sum(best.tokens), 1e-9))} of the input is read from the cache"
    saves = "saves" if best.name == AS_IT_WAS else f"as {best.name} saves"
    saved, possible = without - best.cost, without - limit
    share = saved / without
    if share < 0:
        costs = saves.replace("saves", "costs")
        return f"Caching {costs} {percent(-share)} more than none"
    if not possible > 0:
        return f"Caching {saves} {percent(share)} of the input cost; the prompts as they are allow no more"
    return (
        f"Caching {saves} {percent(share)} of the input cost, {percent(min(saved / possible, 1.0))} of what is possible"
    )


def _words(frame: pd.DataFrame, policies: list[_Policy], unit: Unit, agent_id: str | None) -> tuple[str, ...]:
    by_name = {policy.name: policy for policy in policies}
    first = frame[frame["policy"].astype(str) == policies[0].name]
    n, agents = int(first["requests"].sum()), first["agent_id"].astype(str).tolist()
    whose = agent_id or (agents[0] if len(agents) == 1 else counted(len(agents), "agent"))
    was, limit = by_name.get(AS_IT_WAS), by_name.get(LIMIT)
    known = was is not None and limit is not None and not np.isnan(was.cost + limit.cost)
    costs = f"{unit.named(was.cost)} as it was, {unit.text(limit.cost)} is possible" if known and was and limit else ""
    return costs, f"{counted(n, 'request')}", f"{tokens(sum(policies[0].tokens))} tokens each", whose
