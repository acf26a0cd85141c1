"""The numbers that decide, as HTML: each as it would be, as it is, and the difference.

Tiles for the profile and for all profiles, which profiles change, and a table of agents. What the numbers are:
`acg_lab.widgets.prefixes`.
"""

from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

from acg_lab._format import change, counted, cut, cut_all, percent, tokens
from acg_lab.widgets.prefixes import Matched, PrefixChange, ProfileMetrics
from acg_lab.widgets.state import TunerState

__all__ = ["Tile", "agents_table", "changes_line", "format_difference", "numbers_row"]

_NAMED, _AGENTS, _NAME = 3, 12, 36  # profiles named per change, agents listed, characters of a name


class Tile(NamedTuple):
    """One number.

    Attributes
    ----------
    name : str
        ``data-name`` of the element, for programs.
    label, unit, below : str
        Plain text above, after and below the number.
    tried, current : float
        Under the settings being tried, and under those they are compared with.
    write : callable
        Returns a number as text.
    role : str
        Name of the settings compared with: ``current`` or ``default``.
    is_stale : bool
        Whether the number still belongs to older settings.
    """

    name: str
    label: str
    tried: float
    current: float
    write: Callable[[float], str]
    role: str
    unit: str = ""
    below: str = ""
    is_stale: bool = False

    def html(self) -> str:
        """Return the element."""
        stale = " acg-stale" if self.is_stale else ""
        unit = f' <span class="acg-unit">{escape(self.unit)}</span>' if self.unit else ""
        below = " · ".join(filter(None, (escape(self.below), self._compared())))
        return (
            f'<div class="acg-number{stale}" data-name="{self.name}" title="{escape(self.label)}">'
            f'<div class="acg-label">{escape(self.label)}</div>'
            f'<div class="acg-value"><span data-part="tried">{escape(self.write(self.tried))}</span>{unit}</div>'
            f'<div class="acg-below">{below}</div></div>'
        )

    def _compared(self) -> str:
        mark = format_difference(self.tried, self.current, self.write)
        return f'{self.role} <span data-part="current">{escape(self.write(self.current))}</span> {mark}'


def format_difference(tried: float, current: float, write: Callable[[float], str]) -> str:
    """Return the difference with its sign, marked as better or worse; empty if both numbers read the same."""
    if write(tried) == write(current):
        return ""
    is_share = write is percent
    size = (tried - current) * 100 if is_share else tried - current
    exact = abs(size) < (10 if is_share else 1)  # 97% and 96% may be 1.7 points apart
    text = change(f"{abs(size):.1f}" if exact else tokens(abs(size)), size) + (" pts" if is_share else "")
    return f'<span data-part="change" class="{"acg-better" if size > 0 else "acg-worse"}">{escape(text)}</span>'


def numbers_row(state: TunerState, role: str, matched: tuple[Matched, Matched] | None, *, is_stale: bool) -> str:
    """Return a row of tiles; ``matched`` comes from replay: under the settings being tried, and the current ones."""
    tiles = _profile_tiles(state, role) if state.learning_key else []
    tried, current = (state.metrics(settings, state.agent_id) for settings in (state.settings, state.current))
    if tried is not None and current is not None:
        tiles += _profiles_tiles(tried, current, role)
    if matched is not None and matched[0].requests:
        one, other = matched
        below = f"{one.matched:,} of {counted(one.requests, 'request')}"
        label = "Requests that match it"
        tiles.append(Tile("matched", label, one.share, other.share, percent, role, below=below, is_stale=is_stale))
    return f'<div class="acg-numbers">{"".join(tile.html() for tile in tiles)}</div>'


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
        rows.append((abs(tried.share - current.share), agent_id, tried, current))
    rows.sort(key=lambda row: (-row[0], row[1]))
    names = cut_all(agents, _NAME)
    body = "".join(_row(agent_id, names[agent_id], tried, current) for _, agent_id, tried, current in rows[:_AGENTS])
    rest = f"; {len(rows) - _AGENTS:,} more change less" if len(rows) > _AGENTS else ""
    caption = f"One setting holds for all agents of a process; what it does to each{rest}:"
    head = "".join(f'<th scope="col">{text}</th>' for text in ("agent", "with a prefix", "share in it", role, ""))
    return (
        f'<div class="acg-note">{caption}</div><table class="acg-agents"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _row(agent_id: str, name: str, tried: ProfileMetrics, current: ProfileMetrics) -> str:
    mark = format_difference(tried.share, current.share, percent)
    return (
        f'<tr data-agent="{escape(agent_id)}"><td title="{escape(agent_id)}">{escape(name)}</td>'
        f'<td data-part="profiles">{tried.with_prefix:,} of {tried.profiles:,}</td>'
        f'<td data-part="tried">{escape(percent(tried.share))}</td>'
        f'<td data-part="current">{escape(percent(current.share))}</td><td>{mark}</td></tr>'
    )
