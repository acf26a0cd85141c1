"""By which generation of the rules each agent is replayed, and what is not certain about it.

From a snapshot to a trace.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

from acg_lab.core.errors import UsageError
from acg_lab.core.rules import NEWEST, RULES, RulesName, get_rules
from acg_lab.history.build_history import history_of_runs, history_of_windows, requests_of
from acg_lab.history.history import History, HistoryProfile
from acg_lab.history.lookup import ReplayedHistory
from acg_lab.history.tasks import TaskSlot, find_tasks, join_walks
from acg_lab.history.trace import Trace, trace_of
from acg_lab.history.visibility import find_entries, find_states
from acg_lab.history.walk import walk
from acg_lab.snapshot.snapshot import Snapshot, check_snapshot
from acg_lab.storage._runtime import Bar, paused_collector

if TYPE_CHECKING:
    from acg_lab.history.walk_types import Walk

__all__ = ["Chosen", "choose_rules", "replay", "walk_history"]

_OLDEST = next(iter(RULES.values()))


class Chosen(NamedTuple):
    """The generation of an agent, and what must be said of the choice; nothing if it is certain."""

    rules: RulesName
    caveat: str = ""


def choose_rules(snapshot: Snapshot, agent_id: str, rules: str) -> Chosen:
    """Choose the generation of an agent whose runs are replayed.

    A process has one generation for all its profiles. Where a source holds profiles of several, as after an update,
    it is the newest that certainly wrote any.
    """
    given = snapshot.rules_setting if rules == "auto" else rules
    if given != "auto":
        return Chosen(get_rules(given).name)
    found = [snapshot.rules[key] for key in snapshot.windows if snapshot.owners[key].agent_id == agent_id]
    if not found and snapshot.columns.key_prefix == _OLDEST.key_prefix:
        return Chosen(_OLDEST.name)
    certain = {generation.rules for generation in found if generation.decided}
    possible = certain or {generation.rules for generation in found} or {NEWEST}
    names = [name for name in RULES if name in possible]
    if len(names) > 1:
        caveat = f"agent {agent_id!r} has profiles of {' and '.join(names)}, and is replayed by the newest of them"
    elif not certain:
        caveat = f"agent {agent_id!r} is replayed by {names[0]}, a guess: nothing stored shows its rules version"
    else:
        return Chosen(names[0])
    return Chosen(names[-1], f"{caveat}; the option rules= sets another")


_MAX_NAMED = 20
Progress: TypeAlias = Callable[[int, int], object]


def replay(
    snapshot: Snapshot,
    window: int | Iterable[int] = 100,
    rules: str = "auto",
    agent_id: str | None = None,
    progress: Progress | Literal[False] | None = None,
) -> Trace:
    """Walk the recorded runs once, and keep what production knew before every request.

    Parameters
    ----------
    snapshot : Snapshot
        Read, never changed. Agents without recorded requests are replayed from their stored windows: each observation
        is then taken for a run of its own at its ``created_at``.
    window : int or iterable of int
        Observation window, from 0 on (0 keeps one, as in production); several are walked in one pass.
    rules : str
        Name of the generation; ``"auto"`` takes the one that wrote each agent's profiles.
    agent_id : str, optional
        Replay this agent only.
    progress : callable or False, optional
        A callable is told how many steps were walked just now, and of how many; False: nobody. By default bars show the
        reading of requests and the walk on standard error, if that is a terminal or a notebook and it takes long.

    Returns
    -------
    Trace
        A step for each recorded request, in the order of their start; ``trace.caveats`` says what a source can't tell.

    Raises
    ------
    UsageError
        If it is no snapshot, there is nothing to replay, or an option makes no sense.
    """
    check_snapshot(snapshot)
    windows = _windows(window)
    by_runs, profiles, caveats = _plan(snapshot, rules, agent_id)
    histories = []
    with paused_collector():
        if by_runs:
            with Bar("reading requests", shown=progress is None, unit=" runs") as bar:
                histories.append(history_of_runs(snapshot.runs, by_runs, bar))
        if profiles:
            histories.append(history_of_windows(snapshot.columns.observations, profiles))
        with _reporting(progress) as on_progress:
            parts = [walk_history(history, windows, on_progress) for history in histories]
    return trace_of(parts, windows, caveats)


def _windows(window: int | Iterable[int]) -> tuple[int, ...]:
    windows = tuple(window) if isinstance(window, Iterable) and not isinstance(window, str) else (window,)
    for size in windows:
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 0:
            msg = f"The 'window' option must be an integer from 0 on, or several; got {window!r}."
            raise UsageError(msg)
    if not windows:
        msg = "The 'window' option must name at least one observation window; got none."
        raise UsageError(msg)
    return tuple(dict.fromkeys(map(int, windows)))


def _plan(
    snapshot: Snapshot, rules: str, agent_id: str | None
) -> tuple[dict[str, RulesName], list[HistoryProfile], list[str]]:
    """Decide whose runs are replayed, by which rules, and which profiles from their windows; and what to say of it."""
    if rules != "auto":
        get_rules(rules)
    agents = snapshot.agent_ids if agent_id is None else (agent_id,)
    runs = snapshot.runs
    recorded = {
        record.agent_id for record, calls in zip(runs.records, runs.calls, strict=True) if any(requests_of(calls))
    }
    chosen = {agent: choose_rules(snapshot, agent, rules) for agent in agents if agent in recorded}
    profiles = [
        HistoryProfile(owner.agent_id, key, get_rules(snapshot.rules[key].rules if rules == "auto" else rules).name)
        for key in snapshot.windows
        if (owner := snapshot.owners[key]).agent_id in agents and owner.agent_id not in recorded
    ]
    if not chosen and not profiles:
        known = ", ".join(map(repr, snapshot.agent_ids[:_MAX_NAMED])) or "none"
        msg = (
            f"{snapshot.source}: nothing to replay, neither runs with recorded requests nor windows"
            f"{'' if agent_id is None else f' of agent {agent_id!r}'}; its agents: {known}."
        )
        raise UsageError(msg)
    by_runs = {agent: choice.rules for agent, choice in chosen.items()}
    caveats = [choice.caveat for choice in chosen.values() if choice.caveat]
    if snapshot.is_filtered:
        caveats.append("the snapshot was cut (since, limit): the first steps knew more than is replayed")
    return by_runs, profiles, caveats


@contextmanager
def _reporting(progress: Progress | Literal[False] | None) -> Iterator[Progress]:
    """Give what is to be told of progress."""
    if progress:
        yield progress
        return
    with Bar("replaying", shown=progress is not False, unit=" steps") as bar:
        yield bar


def walk_history(history: History, windows: Sequence[int], on_progress: Progress) -> ReplayedHistory:
    """Walk over a history: every profile by itself."""
    states = find_states(history)
    entries = find_entries(history, states)
    places: list[TaskSlot] = []
    walks: list[list[Walk]] = []
    for task, place in find_tasks(history, states, entries):
        walks.append(walk(task, windows))
        places.append(place)
        on_progress(int(task.ends[-1]) if len(task.ends) else 0, len(history.requests.started))
    sizes = len(states.end), len(entries.state)
    known = {window: join_walks(places, [w[i] for w in walks], *sizes) for i, window in enumerate(windows)}
    return ReplayedHistory(history=history, states=states, entries=entries, known=known)
