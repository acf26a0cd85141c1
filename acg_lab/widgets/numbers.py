"""The numbers that decide, as HTML: each as it would be, as it is, and the difference.

Tiles for the profile and for all profiles, which profiles change, and a table of agents. What the numbers are:
`acg_lab.widgets.prefixes`.
"""

from collections.abc import Callable, Sequence
from html import escape

from acg_lab._format import counted, cut, cut_all, money, percent, tokens
from acg_lab.widgets.cost_tiles import cost_tiles
from acg_lab.widgets.money import AgentCost
from acg_lab.widgets.prefixes import Matched, PrefixChange, ProfileMetrics
from acg_lab.widgets.state import TunerState
from acg_lab.widgets.tile import Tile, format_difference

__all__ = ["agents_table", "changes_line", "numbers_row"]

Costs = tuple[AgentCost | None, AgentCost | None]  # as tried, and as now
_IN_A_ROW = {"wide": 7, "columns": 4, "narrow": 2}  # tiles at most: on a wide page, in a notebook, on a small screen
_NAMED, _AGENTS, _NAME = 3, 12, 36  # profiles named per change, agents listed, characters of a name


def numbers_row(
    state: TunerState,
    role: str,
    matched: tuple[Matched, Matched] | None,
    *,
    is_stale: bool,
    is_warned: bool = False,
) -> str:
    """Return a row of tiles, money first; ``matched`` comes from replay: under the settings being tried, and now.

    ``is_warned``: production will not act on the settings for the profile, so that no difference is a gain.
    """
    tiles = cost_tiles(state, role, is_warned=is_warned, is_stale=is_stale)
    mine = _profile_tiles(state, role) if state.learning_key else []
    tiles += [tile._replace(is_warned=is_warned) for tile in mine]
    tried, current = (state.metrics(settings, state.agent_id) for settings in (state.settings, state.current))
    if tried is not None and current is not None and tried.profiles > 1:
        tiles += _profiles_tiles(tried, current, role)
    if matched is not None and matched[0].requests:
        one, other = matched
        below = f"{one.matched:,} of {counted(one.requests, 'request')}"
        label = "Requests that match it"
        tiles.append(Tile("matched", label, one.share, other.share, percent, role, below=below, is_stale=is_stale))
    return f'<div class="acg-numbers" style="{_columns(len(tiles))}">{"".join(tile.html() for tile in tiles)}</div>'


def _columns(n: int) -> str:
    """Return how many tiles stand in a row, where there is room for all and where not, as CSS: no tile stands alone."""
    columns = {name: -(-n // max(-(-n // most), 1)) for name, most in _IN_A_ROW.items()}
    return "; ".join(f"--acg-{name}: {max(number, 1)}" for name, number in columns.items())


def _profile_tiles(state: TunerState, role: str) -> list[Tile]:
    tried, current = ((state.profile(s), s.thresholds) for s in (state.settings, state.current))
    (one, one_at), (other, other_at) = tried, current
    blocks = one.result(one_at).stable_prefix_length
    prefix, was = one.prefix_tokens(one_at), other.prefix_tokens(other_at)
    share, share_was = (
        p / total if total else 0.0 for p, total in ((prefix, one.prompt_tokens), (was, other.prompt_tokens))
    )
    return [
        Tile("prefix", "Stable prefix", prefix, was, tokens, role, unit="tokens", below=counted(blocks, "block")),
        Tile("share", "Share of the prompt", share, share_was, percent, role),
    ]


def _profiles_tiles(tried: ProfileMetrics, current: ProfileMetrics, role: str) -> list[Tile]:
    unit = f"of {tried.profiles:,}"
    return [
        Tile("profiles", "Profiles with a prefix", tried.with_prefix, current.with_prefix, tokens, role, unit=unit),
        Tile("median", "Median prefix", tried.median_tokens, current.median_tokens, tokens, role, "tokens"),
    ]


def changes_line(changes: Sequence[PrefixChange], name: Callable[[str], str]) -> str:
    """Return a line on the profiles that lose, gain or change their prefix, the first of each by name."""
    lost = [change for change in changes if not change.after]
    gained = [change for change in changes if not change.before]
    longer = [change for change in changes if 0 < change.before < change.after]
    shorter = [change for change in changes if 0 < change.after < change.before]
    parts = [
        _count_changes(lost, "profile loses its prefix", "profiles lose their prefix", name),
        _count_changes(gained, "profile gets one", "profiles get one", name),
        _count_changes(longer, "prefix gets longer", "prefixes get longer", name),
        _count_changes(shorter, "prefix gets shorter", "prefixes get shorter", name),
    ]
    return f'<div class="acg-note" data-name="changes">{"; ".join(filter(None, parts)) or "No prefix changes."}</div>'


def _count_changes(found: Sequence[PrefixChange], one: str, many: str, name: Callable[[str], str]) -> str:
    if not found:
        return ""
    names = [escape(cut(name(change.learning_key), 48)) for change in found[:_NAMED]]
    more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    return f"<b>{len(found):,} {one if len(found) == 1 else many}</b>: {', '.join(names)}{more}"


def agents_table(state: TunerState, role: str) -> str:
    """Return a table of what the settings do to each agent; empty if there is only one."""
    agents = state.snap.agent_ids
    if len(agents) < 2:  # noqa: PLR2004
        return ""
    rows = []
    for agent_id in agents:
        tried, current = state.metrics(state.settings, agent_id), state.metrics(state.current, agent_id)
        if tried is None or current is None:
            return ""
        costs = state.cost(state.settings, agent_id), state.cost(state.current, agent_id)
        more = costs[0].cost - costs[1].cost if costs[0] is not None and costs[1] is not None else 0.0
        rows.append(((-abs(more), -abs(tried.share - current.share), agent_id), costs, tried, current))
    rows.sort(key=lambda row: row[0])
    has_costs = any(None not in costs for _, costs, *_ in rows)
    names = cut_all(agents, _NAME)
    body = "".join(
        _row(order[2], names[order[2]], (tried, current), costs, _cost_cells(costs) if has_costs else "")
        for order, costs, tried, current in rows[:_AGENTS]
    )
    rest = f"; {len(rows) - _AGENTS:,} more change less" if len(rows) > _AGENTS else ""
    caption = f"One setting holds for all agents of a process; what it does to each{rest}:"
    money_heads = ("input cost", role, "") if has_costs else ()
    heads = ("agent", *money_heads, "with a prefix", "share in it", role, "")
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    return (
        f'<div class="acg-note">{caption}</div><table class="acg-agents"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _cost_cells(costs: Costs) -> str:
    """Return the cells of what an agent pays: over the recorded requests, as tried and as now."""
    tried, current = costs
    if tried is None or current is None:
        return "<td></td><td></td><td></td>"
    write = money if current.currency == "USD" else tokens
    mark = format_difference(tried.cost, current.cost, write, is_cost=True)
    return f"<td>{escape(write(tried.cost))}</td><td>{escape(write(current.cost))}</td><td>{mark}</td>"


def _row(
    agent_id: str, name: str, metrics: tuple[ProfileMetrics, ProfileMetrics], costs: Costs, cost_cells: str
) -> str:
    tried, current = metrics
    # A longer prefix that makes nothing cheaper is no gain: production does not act on it, or it costs more.
    is_vain = costs[0] is not None and costs[1] is not None and costs[0].cost >= costs[1].cost
    mark = format_difference(tried.share, current.share, percent, is_warned=is_vain)
    return (
        f'<tr data-agent="{escape(agent_id)}"><td title="{escape(agent_id)}">{escape(name)}</td>{cost_cells}'
        f'<td data-part="profiles">{tried.with_prefix:,} of {tried.profiles:,}</td>'
        f'<td data-part="tried">{escape(percent(tried.share))}</td>'
        f'<td data-part="current">{escape(percent(current.share))}</td><td>{mark}</td></tr>'
    )
