"""Compare traffic before and after a change, and say what is more than chance.

Costs are as billed. The requests of after are compared with requests of before of the same agent and model and of about
the same size, sent within five minutes of the agent's last request or later. A difference counts if drawing the runs
again does not explain it.
"""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from acg_lab._format import counted
from acg_lab.advice.compare_agents import compare_agents
from acg_lab.advice.compared_requests import ComparedRequests, Names, read_side, split_at
from acg_lab.advice.comparison import Comparison, Side
from acg_lab.advice.current import settings_in_force
from acg_lab.core.errors import UsageError
from acg_lab.history.trace import Trace
from acg_lab.simulation.result import CacheSimulation
from acg_lab.simulation.simulate import simulate
from acg_lab.snapshot.load import parse_option_time
from acg_lab.snapshot.profile_names import ProfileNames
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.storage.times import NO_TIME, render_time

if TYPE_CHECKING:
    from acg_lab.providers.rules import CacheProvider

__all__ = ["compare"]

_DAY: Final = 86_400 * 10**9
_MONTH: Final = 30  # days
_HOW: Final = (
    "costs are as billed, and simulated where no bill is recorded",
    "alike are requests of one agent, model and size (two steps per doubling), after a pause of over 5 minutes or not",
    "intervals hold for all agents at once: whole runs are drawn again, those that began within the same hour together",
)


def compare(
    before: Snapshot | Trace,
    after: Snapshot | Trace | None = None,
    *,
    at: str | date | None = None,
    since: str | date | None = None,
    until: str | date | None = None,
    agent_id: str | None = None,
    cache_provider: "CacheProvider | str" = "auto",
) -> Comparison:
    """Compare traffic before and after a change: two snapshots, or two spans of time of one.

    Says what requests cost, like against like, which misses appeared and which went, and whether other profiles learn;
    and where a difference is no more than chance.

    Parameters
    ----------
    before : Snapshot or Trace
        Read, never changed.
    after : Snapshot or Trace, optional
        What was recorded after the change; ``at`` instead where both are in ``before``.
    at : str, date or datetime, optional
        When the change was made: RFC 3339, a date, or a datetime (without a zone: UTC). A run belongs to the side in
        which it began.
    since, until : str, date or datetime, optional
        Compare only what was sent from ``since`` on and before ``until``.
    agent_id : str, optional
        Compare only this agent.
    cache_provider : str or CacheProvider, default "auto"
        As in `acg_lab.simulate`.

    Returns
    -------
    Comparison

    Raises
    ------
    UsageError
        If an option makes no sense, a side has no requests, or the sides are in the wrong order.

    Examples
    --------
    >>> import acg_lab as acg
    >>> found = acg.compare(acg.load("data/sample", agent_id="sales-analyst"), at="2026-11-16T09:40:00Z")
    >>> found.agents[0].outcome, found.agents[0].changed_parts
    ('no change', ('tools',))
    """
    if (after is None) == (at is None):
        msg = "Pass two snapshots, or one and the time of the change: acg.compare(snap, at='2026-11-16T09:40:00Z')."
        raise UsageError(msg)
    time = parse_option_time(at, "at")
    given = {"before": before} if after is None else {"before": before, "after": after}
    sims = [_simulate(source, name, cache_provider) for name, source in given.items()]
    sims = [sim.select(since=since, until=until) for sim in sims]
    remarks: tuple[str, ...] = ()
    if time is None:
        _check_answers(sims)
    else:
        *sims, remarks = _split(sims[0], time, at)
    owners = {key: agent for sim in sims for key, agent in zip(sim.learning_keys, sim.agent_ids, strict=True) if key}
    if agent_id is not None:
        ProfileNames({name: name for sim in sims for name in sim.agent_ids}).of_agent(agent_id)
    names = Names()
    sides = [read_side(sim, names) for sim in sims]
    facts = [_describe(side) for side in sides]
    if time is None:
        remarks = _check_order(facts, sims)
    found = compare_agents(sorted(names.agents) if agent_id is None else [agent_id], sides, names, owners)
    days = (facts[1].end - facts[1].begin) / _DAY
    return Comparison(
        before=facts[0],
        after=facts[1],
        agents=found.agents,
        change=found.change,
        saved=found.saved,
        saved_a_month=found.saved.value / days * _MONTH if days >= 1 and not np.isnan(found.saved.value) else None,
        remarks=(*_HOW, *remarks, *found.notes),
    )


def _simulate(source: Any, name: str, cache_provider: "CacheProvider | str") -> CacheSimulation:
    if not isinstance(source, Snapshot | Trace):
        msg = f"{name!r} must be a Snapshot or a Trace (see acg_lab.load, acg_lab.replay); got {type(source).__name__}."
        raise UsageError(msg)
    if isinstance(source, Snapshot) and source.recorded is not source:
        msg = f"{name!r} is a repaired snapshot, which was not sent to any provider: pass one that was loaded."
        raise UsageError(msg)
    if isinstance(source, Snapshot) and not any(map(len, source.runs.calls)):
        msg = f"Nothing to compare: {name!r} ({source.source}) has no recorded LLM calls."
        raise UsageError(msg)
    return simulate(source, config=settings_in_force(source), cache_provider=cache_provider)


def _check_answers(sims: Sequence[CacheSimulation]) -> None:
    for sim, name in zip(sims, ("before", "after"), strict=True):
        if sim.failed.all():
            msg = f"Nothing to compare: {name!r} has no answered request in the time asked for."
            raise UsageError(msg)


def _split(sim: CacheSimulation, time: int, at: object) -> tuple[CacheSimulation, CacheSimulation, tuple[str, ...]]:
    before, after, remarks = split_at(sim, time)
    for half, when in ((before, "before"), (after, "after")):
        if half.failed.all():
            timed = sim.started_ns[sim.started_ns != NO_TIME]
            first, last = (render_time(int(end)) for end in (timed.min(), timed.max())) if len(timed) else ("?", "?")
            msg = (
                f"The 'at' option must leave answered requests on both sides; got {at}: none of a run that began "
                f"{when} that. Requests are from {first} to {last}."
            )
            raise UsageError(msg)
    return before, after, remarks


def _describe(side: ComparedRequests) -> Side:
    timed = side.started[side.started != NO_TIME]
    begin, end = (int(timed.min()), int(timed.max())) if len(timed) else (NO_TIME, NO_TIME)
    return Side(begin, end, len(side), len(np.unique(side.runs)))


def _check_order(facts: Sequence[Side], sims: Sequence[CacheSimulation]) -> tuple[str, ...]:
    """Return what must be known of the times of two sources.

    Raises
    ------
    UsageError
        If all of ``after`` is older than ``before``.
    """
    before, after = facts
    is_timed = NO_TIME not in (before.begin, after.begin)
    if is_timed and before.begin > after.end:
        msg = (
            f"'before' begins at {render_time(before.begin)}, when 'after' has ended ({render_time(after.end)}): pass "
            "the older one first."
        )
        raise UsageError(msg)
    if n_both := len(set(sims[0].run_ids) & set(sims[1].run_ids)):
        return (f"{counted(n_both, 'run')} are on both sides",)
    return ("both sides were recorded at the same time",) if is_timed and after.begin < before.end else ()
