"""A comparison of traffic before and after a change as a value: what requests cost, what they missed for, profiles.

Invariant: no text here holds prompt text; what is not beyond chance is never called a change.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from acg_lab._format import change, counted, html_table, html_text, money, percent, printable, tokens
from acg_lab.advice.compared_requests import Stratum
from acg_lab.advice.folds import Interval
from acg_lab.storage.times import NO_TIME, render_time

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["AgentComparison", "Comparison", "Shift", "Side"]

_MOST_LINES: Final = 12
_MOST_STRATA: Final = 3
_MINUTES: Final = 16  # characters of a time up to its minutes
_TITLES: Final = (
    "agent",
    "requests",
    "per 1,000 before",
    "after",
    "like against like",
    "read",
    "prefix",
    "what changed",
)
_NUMBERS: Final = _TITLES[1:-1]


class Side(NamedTuple):
    """One side of a comparison.

    Attributes
    ----------
    begin, end : int
        Start of the first and of the last request, in nanoseconds since 1970; the smallest number where no request has
        a time.
    n_requests, n_runs : int
        Answered requests, and the runs that they are of.
    """

    begin: int
    end: int
    n_requests: int
    n_runs: int

    def __str__(self) -> str:
        when = "" if self.begin == NO_TIME else f" from {_minute(self.begin)} to {_minute(self.end)}"
        return f"{counted(self.n_requests, 'request')}{when}"


class Shift(NamedTuple):
    """A kind of miss or a profile, and the share of an agent's requests that have it on each side.

    Attributes
    ----------
    kind : {"miss", "profile"}
    name : str
        What is paid for in vain, or the profile's display name.
    before, after : float
    difference : Interval
        Of ``after`` less ``before``.
    beyond_chance : bool
    """

    kind: str
    name: str
    before: float
    after: float
    difference: Interval
    beyond_chance: bool


class AgentComparison(NamedTuple):
    """What changed for one agent.

    Attributes
    ----------
    agent_id : str
    outcome : {"cheaper", "dearer", "no change", "not comparable", "too few runs", "only before", "only after"}
        Of its cost, like against like. ``no change``: none beyond chance, or less than 1%.
    requests, runs : tuple of int
        On each side.
    cost : tuple of float
        Per request on each side, whatever the requests are; NaN where unknown.
    currency : {"USD", "uncached tokens"}
    change : Interval
        How much more the requests of after cost than such requests did before, as a share; NaN where nothing is alike.
    saved : Interval
        The same as an amount that was saved on the alike requests of after.
    matched : tuple of float
        Share of each side's requests that have a counterpart: the same model, about the same size, and a pause before
        both or neither.
    left_out : tuple of Stratum
        Those that have none.
    read, prefix : tuple of float
        Share of prompt tokens that was read from the cache, and tokens of the stable prefix that production knew when a
        request was sent (median), on each side; NaN where unknown.
    profiles : tuple of int
        How many profiles learned from the requests of each side.
    shifts : tuple of Shift
        Misses and profiles that enough requests have to be judged.
    changed_parts : tuple of str
        Parts of the learning key in which the profiles that went and that came differ.
    """

    agent_id: str
    outcome: str
    requests: tuple[int, int]
    runs: tuple[int, int]
    cost: tuple[float, float]
    currency: str
    change: Interval
    saved: Interval
    matched: tuple[float, float]
    left_out: tuple[Stratum, ...]
    read: tuple[float, float]
    prefix: tuple[float, float]
    profiles: tuple[int, int]
    shifts: tuple[Shift, ...]
    changed_parts: tuple[str, ...]

    @property
    def is_judged(self) -> bool:
        """Whether enough is known to say if it is cheaper or dearer."""
        return self.outcome in ("cheaper", "dearer", "no change")

    @property
    def is_changed(self) -> bool:
        """Whether anything is different beyond chance."""
        return self.outcome in ("cheaper", "dearer") or any(shift.beyond_chance for shift in self.shifts)

    @property
    def words(self) -> str:
        """What changed, in a few words; empty where nothing did."""
        return "; ".join(self._words())

    def _words(self) -> Iterator[str]:
        if self.outcome in ("too few runs", "only before", "only after"):
            yield self.outcome
            return
        if self.outcome == "not comparable":
            yield f"not comparable: {self._why_not()}"
        changed = [shift for shift in self.shifts if shift.beyond_chance]
        for shift in sorted(changed, key=lambda one: -abs(one.difference.value)):
            if shift.kind == "miss":
                yield f"{shift.name}: {percent(shift.before)} to {percent(shift.after)} of requests"
        profiles = [shift for shift in changed if shift.kind == "profile"]
        if profiles and self.changed_parts:
            yield f"other profiles learn: {' and '.join(self.changed_parts)} changed"
        elif profiles:
            names = ", ".join(printable(shift.name) for shift in profiles)
            yield f"other shares of requests in profiles {names}"

    def _why_not(self) -> str:
        if not self.matched[1]:
            return "no request of after has a counterpart of its model and size before"
        if np.isnan(self.change.value):
            return "the requests of one side that have a counterpart cost nothing"
        share = percent(self.matched[1])
        return f"only {share} of the requests of after have a counterpart of their model and size before"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Comparison:
    """What changed from one side to the other; made by `acg_lab.compare`.

    Attributes
    ----------
    before, after : Side
    agents : tuple of AgentComparison
        What changed comes first; then by cost.
    change : Interval
        How much more the alike requests of after cost than such requests did before, as a share, over the agents that
        could be judged in US dollars; NaN where none could.
    saved : Interval
        The same as an amount, in US dollars.
    saved_a_month : float or None
        At the traffic of after; None where that is shorter than a day.
    remarks : tuple of str
        How it was judged, and what must be known of the sources.
    """

    before: Side
    after: Side
    agents: tuple[AgentComparison, ...]
    change: Interval
    saved: Interval
    saved_a_month: float | None
    remarks: tuple[str, ...]

    @property
    def is_changed(self) -> bool:
        """Whether anything is different beyond chance."""
        return any(agent.is_changed for agent in self.agents)

    def to_frame(self, *, shifts: bool = False) -> "DataFrame":
        """Return a DataFrame with one row per agent, or with ``shifts`` per miss and profile.

        See `acg_lab.frames.cost_changes` and `acg_lab.frames.shifts`.
        """
        from acg_lab import frames  # noqa: PLC0415  a value's frame is an import upwards

        return frames.shifts(self) if shifts else frames.cost_changes(self)

    # --- words ---

    @property
    def lines(self) -> list[str]:
        """What changed, the most important first: one line of all, and one for each agent that changed."""
        found = [self._headline()]
        found += [_line(agent) for agent in self.agents if agent.is_changed or agent.outcome == "not comparable"]
        few = [printable(agent.agent_id) for agent in self.agents if agent.outcome == "too few runs"]
        if few:
            found.append(f"Too few runs to tell a change from chance: {', '.join(few)}.")
        for outcome in ("only before", "only after"):
            if names := [printable(agent.agent_id) for agent in self.agents if agent.outcome == outcome]:
                found.append(f"Not compared, {outcome}: {', '.join(names)}.")
        return found

    def _headline(self) -> str:
        judged = [agent for agent in self.agents if agent.is_judged]
        if not judged:
            return "Nothing can be said of costs: no agent has enough like requests on both sides."
        changed = [agent for agent in judged if agent.outcome != "no change"]
        share, low, high = self.change
        interval = f"{_signed(share)} (95%: {_signed(low)} to {_signed(high)})"
        if not changed:
            of_all = "" if np.isnan(share) else f": {interval}"
            return f"No change of cost beyond chance{of_all}, like against like, {counted(len(judged), 'agent')}."
        counts = f"{counted(len(changed), 'agent')} of {len(judged):,} changed beyond chance"
        if np.isnan(share):
            return f"Like against like, the cost of {counts}."
        month = "" if self.saved_a_month is None else f", {money(abs(self.saved_a_month))} a month"
        word = "saved" if self.saved.value >= 0 else "more"
        amount = f"{money(abs(self.saved.value))} {word} so far{month}"
        return f"Requests cost {interval}, like against like: {amount}; the cost of {counts}."

    def _all_lines(self) -> list[str]:
        lines = self.lines
        if len(lines) > _MOST_LINES:
            more = f"... and {len(lines) - _MOST_LINES:,} more lines; .to_frame() has all agents"
            lines = [*lines[:_MOST_LINES], more]
        return [*lines, f"before: {self.before}", f"after:  {self.after}"]

    def __repr__(self) -> str:
        return "<Comparison: " + "\n  ".join(self._all_lines()) + ">"

    def _repr_html_(self) -> str:
        first, *rest = self.lines
        listed = "".join(f"<li>{html_text(line)}</li>" for line in rest)
        rows = [[html_text(cell) for cell in describe_agent(agent)] for agent in self.agents]
        table = html_table(_TITLES, rows, numbers=_NUMBERS)
        sides = f"<p>before: {html_text(str(self.before))}<br>after: {html_text(str(self.after))}</p>"
        remarks = "".join(f"<li>{html_text(remark)}</li>" for remark in self.remarks)
        return f"<b>{html_text(first)}</b>{f'<ul>{listed}</ul>' if listed else ''}{table}{sides}<ul>{remarks}</ul>"


def describe_agent(agent: AgentComparison) -> tuple[str, ...]:
    """Return the cells of an agent in a table, in the order of the titles."""
    return (
        printable(agent.agent_id),
        _pair(*(f"{n:,}" for n in agent.requests)),
        *(_cost(cost, agent.currency) if n else "" for cost, n in zip(agent.cost, agent.requests, strict=True)),
        describe_change(agent),
        _pair(*map(_percent, agent.read)),
        _pair(*("?" if np.isnan(size) else tokens(size) for size in agent.prefix)),
        printable(agent.words),
    )


def describe_change(agent: AgentComparison) -> str:
    """Return how the cost of like requests changed, with its interval; empty where that is not known."""
    share, low, high = agent.change
    return "" if np.isnan(share) else f"{_signed(share)} ({_signed(low)} to {_signed(high)})"


def describe_strata(agent: AgentComparison) -> str:
    """Return the requests of an agent that have no counterpart, in a few words; empty for none."""
    if not agent.left_out:
        return ""
    largest = sorted(agent.left_out, key=lambda one: -(one.before + one.after))
    named = [
        f"{printable(one.model) or 'no model'}, {one.from_tokens:,} to {one.to_tokens:,} tokens"
        f"{', after a pause' if one.is_rested else ''} ({one.before:,} before, {one.after:,} after)"
        for one in largest[:_MOST_STRATA]
    ]
    more = f" and {len(largest) - _MOST_STRATA:,} more" if len(largest) > _MOST_STRATA else ""
    return f"{'; '.join(named)}{more}"


def _line(agent: AgentComparison) -> str:
    name, words = printable(agent.agent_id), printable(agent.words)
    per = [f"{_cost(cost, agent.currency)}" for cost in agent.cost]
    cost = f"{per[0]} to {per[1]} per 1,000 requests"
    if agent.outcome in ("cheaper", "dearer"):
        share, low, high = agent.change
        sure = f"95%: {_signed(low)} to {_signed(high)}"
        line = f"{name} is {agent.outcome}: {_signed(share)} like against like ({sure}), {cost}"
    elif agent.outcome == "not comparable":
        return f"{name} is {words}; {cost}."
    else:
        line = f"{name} costs no more and no less beyond chance"
    return f"{line}; {words}." if words else f"{line}."


def _pair(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"


def _percent(share: float) -> str:
    return "?" if np.isnan(share) else percent(share)


def _signed(share: float) -> str:
    return change(f"{abs(share):.1%}" if abs(share) < 0.1 else percent(abs(share)), share)  # noqa: PLR2004


def _cost(cost: float, currency: str) -> str:
    """Return the cost of a thousand requests."""
    if np.isnan(cost):
        return "?"
    return money(1000 * cost) if currency == "USD" else f"{tokens(1000 * cost)} tokens"


def _minute(time: int) -> str:
    return render_time(time)[:_MINUTES].replace("T", " ")
