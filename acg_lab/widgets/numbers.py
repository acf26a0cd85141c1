"""The numbers that decide, as HTML: each as it is now, as it is in production, and the difference.

Belongs here: words and marks of numbers. What they are is told by `acg_lab.widgets.prefixes`.


The numbers of a state, as HTML: beside the plot, what changed, and what each agent gets.

Belongs here: which numbers stand where, and the sentences about many profiles.
"""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import NamedTuple

from acg_lab._format import change, counted, cut, cut_all, percent, tokens
from acg_lab.widgets.prefixes import AgentChange, Matched, ProfileMetrics
from acg_lab.widgets.state import TunerState

__all__ = ["Card", "cards", "changes_line", "difference", "numbers", "of_agents"]


class Card(NamedTuple):
    """One number.

    Attributes
    ----------
    name : str
        For programs: ``data-name`` of the element.
    label, unit, below : str
        Above, behind and below it, plain text.
    now, current : float
    write : callable
        Number to text.
    role : str
        What is compared with: ``current``, or ``default``.
    is_stale : bool
        Whether it is still that of an older setting.
    """

    name: str
    label: str
    now: float
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
            f'<div class="acg-value"><span data-part="now">{escape(self.write(self.now))}</span>{unit}</div>'
            f'<div class="acg-below">{below}</div></div>'
        )

    def _compared(self) -> str:
        mark = difference(self.now, self.current, self.write)
        return f'{self.role} <span data-part="current">{escape(self.write(self.current))}</span> {mark}'


def difference(now: float, current: float, write: Callable[[float], str]) -> str:
    """Return the difference with its sign, marked as better or worse; nothing where the text would be the same."""
    if write(now) == write(current):
        return ""
    is_share = write is percent
    size = (now - current) * 100 if is_share else now - current
    exact = abs(size) < (10 if is_share else 1)  # 97% and 96% may well be 1.7 points apart
    text = change(f"{abs(size):.1f}" if exact else tokens(abs(size)), size) + (" pts" if is_share else "")
    return f'<span data-part="change" class="{"acg-better" if size > 0 else "acg-worse"}">{escape(text)}</span>'


def cards(found: Iterable[Card]) -> str:
    """Return all numbers in a row."""
    return f'<div class="acg-numbers">{"".join(card.html() for card in found)}</div>'


_NAMED, _AGENTS, _NAME = 3, 12, 36


def numbers(state: TunerState, role: str, matched: tuple[Matched, Matched] | None, *, is_stale: bool) -> str:
    """Return the numbers in a row; those of the replay are ``matched`` now and under the current settings."""
    found = [*_of_profile(state, role)] if state.learning_key else []
    now, current = (state.standing(settings, state.agent_id) for settings in (state.settings, state.current))
    if now is not None and current is not None:
        found += _of_profiles(now, current, role)
    if matched is not None and matched[0].requests:
        one, other = matched
        below = f"{one.matched:,} of {counted(one.requests, 'request')}"
        label = "Requests that match it"
        found.append(Card("matched", label, one.share, other.share, percent, role, below=below, is_stale=is_stale))
    return cards(found)


def _of_profile(state: TunerState, role: str) -> list[Card]:
    now, current = ((state.profile(s), s.thresholds) for s in (state.settings, state.current))
    (one, one_at), (other, other_at) = now, current
    blocks = one.result(one_at).stable_prefix_length
    prefix, was = one.prefix_tokens(one_at), other.prefix_tokens(other_at)
    share, share_was = (
        p / total if total else 0.0 for p, total in ((prefix, one.prompt_tokens), (was, other.prompt_tokens))
    )
    return [
        Card("prefix", "Stable prefix", prefix, was, tokens, role, unit="tokens", below=counted(blocks, "block")),
        Card("share", "Share of the prompt", share, share_was, percent, role),
    ]


def _of_profiles(now: ProfileMetrics, current: ProfileMetrics, role: str) -> list[Card]:
    unit = f"of {now.profiles:,}"
    return [
        Card("profiles", "Profiles with a prefix", now.with_prefix, current.with_prefix, tokens, role, unit=unit),
        Card("median", "Median prefix", now.median_tokens, current.median_tokens, tokens, role, "tokens"),
    ]


def changes_line(changes: Sequence[AgentChange], name: Callable[[str], str]) -> str:
    """Say which profiles lose, gain, or change their prefix, by name where they are few."""
    lost = [change for change in changes if not change.after]
    gained = [change for change in changes if not change.before]
    longer = [change for change in changes if 0 < change.before < change.after]
    shorter = [change for change in changes if 0 < change.after < change.before]
    said = [
        _said(lost, "profile loses its prefix", "profiles lose their prefix", name),
        _said(gained, "profile gets one", "profiles get one", name),
        _said(longer, "prefix gets longer", "prefixes get longer", name),
        _said(shorter, "prefix gets shorter", "prefixes get shorter", name),
    ]
    return f'<div class="acg-note" data-name="changes">{"; ".join(filter(None, said)) or "No prefix changes."}</div>'


def _said(found: Sequence[AgentChange], one: str, many: str, name: Callable[[str], str]) -> str:
    if not found:
        return ""
    names = [escape(cut(name(change.learning_key), 48)) for change in found[:_NAMED]]
    more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    return f"<b>{len(found):,} {one if len(found) == 1 else many}</b>: {', '.join(names)}{more}"


def of_agents(state: TunerState, role: str) -> str:
    """Return a table of what the settings do to each agent; nothing where there is but one."""
    agents = state.snap.agent_ids
    if len(agents) < 2:  # noqa: PLR2004
        return ""
    rows = []
    for agent_id in agents:
        now, current = state.standing(state.settings, agent_id), state.standing(state.current, agent_id)
        if now is None or current is None:
            return ""
        rows.append((abs(now.share - current.share), agent_id, now, current))
    rows.sort(key=lambda row: (-row[0], row[1]))
    names = cut_all(agents, _NAME)
    body = "".join(_row(agent_id, names[agent_id], now, current) for _, agent_id, now, current in rows[:_AGENTS])
    rest = f"; {len(rows) - _AGENTS:,} more change less" if len(rows) > _AGENTS else ""
    said = f"One setting holds for all agents of a process; what it does to each{rest}:"
    head = "".join(f'<th scope="col">{text}</th>' for text in ("agent", "with a prefix", "share in it", role, ""))
    return (
        f'<div class="acg-note">{said}</div><table class="acg-agents"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _row(agent_id: str, name: str, now: ProfileMetrics, current: ProfileMetrics) -> str:
    mark = difference(now.share, current.share, percent)
    return (
        f'<tr data-agent="{escape(agent_id)}"><td title="{escape(agent_id)}">{escape(name)}</td>'
        f'<td data-part="profiles">{now.with_prefix:,} of {now.profiles:,}</td>'
        f'<td data-part="now">{escape(percent(now.share))}</td>'
        f'<td data-part="current">{escape(percent(current.share))}</td><td>{mark}</td></tr>'
    )
