"""What settings would cost, as HTML: tiles of input cost, and who would pay more.

Amounts are a month at the recorded traffic, or for 1,000 requests where less than a day was recorded.
"""

from collections.abc import Callable
from html import escape

from acg_lab._format import change, counted, cut, money, percent, tokens
from acg_lab.config import AcgSettings
from acg_lab.widgets.money import AgentCost
from acg_lab.widgets.state import TunerState
from acg_lab.widgets.tile import Tile

__all__ = ["cost_tiles", "dearer_line", "find_dearer", "name_dearer"]

_DEARER = 1.005  # a cost that reads the same is no loss
_NAMED, _NAME = 3, 40
_THOUSAND = 1000


def cost_tiles(state: TunerState, role: str, *, is_warned: bool, is_stale: bool) -> list[Tile]:
    """Return the tiles of input cost: of the agent being shown, and of all agents where there are several.

    The agent's follows the drag; that of all agents keeps no older number while the new one is unknown.
    """
    agent_id = state.shown_agent
    wanted: list[str | None] = [agent_id] if agent_id is not None else []
    wanted += [None] if len(state.snap.agent_ids) > 1 else []
    tiles = []
    for name in wanted:
        current, tried = state.cost(state.current, name), state.cost(state.settings, name)
        if current is None:
            continue
        label = "Input cost, all agents" if name is None else f"Input cost, {name}"
        tile = _tile(label, "cost" if name else "cost_of_all", (tried, current), role, is_warned=is_warned)
        held_out = (
            f"{tile.below} · {_held_out(state)}" if name == state.agent_id and state.is_recommended else tile.below
        )
        tiles.append(tile._replace(is_stale=tried is None or (is_stale and name is None), below=held_out))
    return tiles + _read_tiles(state, role, is_warned=is_warned)


def _read_tiles(state: TunerState, role: str, *, is_warned: bool) -> list[Tile]:
    """Return the tile of the share of the agent's tokens that the provider would read from its cache."""
    current, tried = (state.cost(settings, state.shown_agent) for settings in (state.current, state.settings))
    if state.shown_agent is None or current is None:
        return []
    shown = current if tried is None else tried
    is_warned |= shown.cost > current.cost * _DEARER  # reads that cost more than they save are no gain
    tile = Tile(
        "read", "Read from the cache", shown.read_share, current.read_share, percent, role, unit="of its tokens"
    )
    return [tile._replace(is_stale=tried is None, is_warned=is_warned)]


def _held_out(state: TunerState) -> str:
    """Return what the recommended settings saved on requests that their choice had not seen."""
    found = state.recommendation
    return "" if found is None else f"held out {change(percent(abs(found.share.value)), -found.share.value)}"


def _tile(label: str, name: str, costs: tuple[AgentCost | None, AgentCost], role: str, *, is_warned: bool) -> Tile:
    tried, current = costs
    write, factor, unit = _measure(current)
    shown = current if tried is None else tried
    each = write(shown.cost / max(shown.requests, 1) * _THOUSAND)
    least = f"at best {write(shown.limit * factor)}"
    below = f"{each} per 1,000 requests · {least}" if unit == "a month" else least
    is_dearer = shown.cost > current.cost * _DEARER
    return Tile(
        name,
        label,
        shown.cost * factor,
        current.cost * factor,
        write,
        role,
        unit=unit,
        below=below,
        is_cost=True,
        is_warned=is_dearer or is_warned,
    )


def _measure(cost: AgentCost) -> tuple[Callable[[float], str], float, str]:
    """Return how amounts are written, what the recorded cost is to be multiplied by, and per what that is."""
    write = money if cost.currency == "USD" else tokens
    if cost.months:
        return write, 1 / cost.months, "a month"
    return write, _THOUSAND / max(cost.requests, 1), "per 1,000 requests"


def find_dearer(state: TunerState, settings: AcgSettings) -> list[tuple[str, float, float]]:
    """Return the agents that would pay more than now: name, what more, and its share; the largest loss first."""
    found = []
    for agent_id in state.snap.agent_ids:
        tried, current = state.cost(settings, agent_id), state.cost(state.current, agent_id)
        if tried is not None and current is not None and tried.cost > current.cost * _DEARER:
            found.append((agent_id, tried.cost - current.cost, tried.cost / current.cost - 1))
    return sorted(found, key=lambda row: -row[1])


def dearer_line(state: TunerState) -> str:
    """Return a line of HTML that names the agents that would pay more; empty if none would."""
    found = name_dearer(state, state.settings)
    return f'<div class="acg-line acg-can" role="status">{found[0].upper()}{found[1:]}</div>' if found else ""


def name_dearer(state: TunerState, settings: AcgSettings) -> str:
    """Return who would pay more with settings, and how much, as HTML; empty if nobody would or nothing is priced."""
    found = find_dearer(state, settings)
    base = state.cost(state.current, None)
    if not found or base is None:
        return ""
    write, factor, unit = _measure(base)
    if not base.months:
        factor, unit = 1.0, "over the recorded requests"
    named = [
        f"<b>{escape(cut(name, _NAME))}</b> +{escape(write(more * factor))} {unit} (+{percent(share)})"
        for name, more, share in found[:_NAMED]
    ]
    rest = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    return f"dearer for {counted(len(found), 'agent')}: {', '.join(named)}{rest}."
