"""Replay the recorded requests of a snapshot: choose rules, build the history, walk it, and return a trace.

Invariant: the snapshot is read, never changed; the walk does not depend on any threshold.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

from acg_lab.core.errors import UsageError
from acg_lab.core.rules import NEWEST, RULES, RulesName, get_rules
from acg_lab.history.build_history import build_from_runs, build_from_windows, iter_requests
from acg_lab.history.history import History, HistoryProfile
from acg_lab.history.lookup import ReplayedHistory
from acg_lab.history.merging import build_trace
from acg_lab.history.tasks import TaskSlot, find_tasks, join_walks
from acg_lab.history.trace import Trace
from acg_lab.history.visibility import find_entries, find_states
from acg_lab.history.walk import walk
from acg_lab.snapshot.profile_names import ProfileNames
from acg_lab.snapshot.snapshot import Snapshot, check_snapshot
from acg_lab.storage._runtime import Bar, paused_collector

if TYPE_CHECKING:
    from acg_lab.history.walk_types import WalkResult

__all__ = ["RulesChoice", "choose_rules", "replay", "walk_history"]

logger = logging.getLogger(__name__)

Progress: TypeAlias = Callable[[int, int], object]
_OLDEST = next(iter(RULES.values()))
_MAX_NAMED_AGENTS = 20


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
        Read, never changed. Agents without recorded requests are replayed from their stored windows; each observation
        then counts as a run of its own at its ``created_at``.
    window : int or iterable of int, default 100
        Observation window in requests, a non-negative integer (0 keeps one, as in production), or several, which are
        walked in one pass.
    rules : str, default "auto"
        Name of the rules version; ``"auto"`` takes the one that wrote each agent's profiles.
    agent_id : str, optional
        Replay this agent only.
    progress : callable or False, optional
        Called with the number of steps that were just walked and the total; False reports nothing. By default progress
        bars appear on standard error if that is a terminal or a notebook and the replay takes long.

    Returns
    -------
    Trace
        One step per recorded request, in the order of their start. ``trace.caveats`` lists what the source cannot show.

    Raises
    ------
    UsageError
        If `snapshot` is not a Snapshot, there is nothing to replay, or an option is invalid.

    Notes
    -----
    A request knows the runs of its agent that ended before it started; `acg_lab.history.visibility` has the details.

    Examples
    --------
    >>> import acg_lab as acg
    >>> from acg_lab.core import AnnotatedLlmRequest, CallRecord, RunRecord
    >>> request = AnnotatedLlmRequest(messages=({"role": "user", "content": "Hello"},))
    >>> backend = acg.MemoryBackend()
    >>> for time in ("2026-11-01T08:00:00Z", "2026-11-01T09:00:00Z"):
    ...     call = CallRecord(kind="llm", name="openai", started_at=time, annotated_request=request)
    ...     backend.store_run(RunRecord(id=time, agent_id="chat", calls=(call,), started_at=time))
    >>> acg.replay(acg.load(backend), progress=False).prefix_lengths(0.9).tolist()
    [[0], [1]]
    """
    check_snapshot(snapshot)
    windows = _check_windows(window)
    plan = _plan_replay(snapshot, rules, agent_id)
    began, histories = perf_counter(), []
    with paused_collector():
        if plan.rules_by_agent:
            with Bar("reading requests", shown=progress is None, unit=" runs") as bar:
                histories.append(build_from_runs(snapshot.runs, plan.rules_by_agent, bar, snapshot.recorded.runs))
        if plan.profiles:
            histories.append(build_from_windows(snapshot.columns.observations, plan.profiles))
        with _reporting(progress) as on_progress:
            parts = [walk_history(history, windows, on_progress) for history in histories]
    trace = build_trace(parts, windows, plan.caveats)
    logger.info(
        "replayed %d requests of %d profiles with windows %s in %.1f s",
        len(trace),
        len(trace.profiles),
        windows,
        perf_counter() - began,
    )
    return trace


def _check_windows(window: int | Iterable[int]) -> tuple[int, ...]:
    windows = tuple(window) if isinstance(window, Iterable) and not isinstance(window, str) else (window,)
    for size in windows:
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 0:
            msg = f"The 'window' option must be a non-negative integer, or several; got {window!r}."
            raise UsageError(msg)
    if not windows:
        msg = "The 'window' option must name at least one observation window; got none."
        raise UsageError(msg)
    return tuple(dict.fromkeys(map(int, windows)))


# --- which rules ---


class RulesChoice(NamedTuple):
    """The rules version chosen for an agent, and a caveat if the choice is uncertain."""

    rules: RulesName
    caveat: str = ""


def choose_rules(snapshot: Snapshot, agent_id: str, rules: str) -> RulesChoice:
    """Choose the rules version of an agent whose runs are replayed.

    A process applies one version to all its profiles. Where a source holds profiles of several, as after an update, the
    newest version that certainly wrote any of them is taken.
    """
    setting = snapshot.rules_setting if rules == "auto" else rules
    if setting != "auto":
        return RulesChoice(get_rules(setting).name)
    found = [snapshot.rules[key] for key in snapshot.windows if snapshot.owners[key].agent_id == agent_id]
    if not found and snapshot.columns.key_prefix == _OLDEST.key_prefix:
        return RulesChoice(_OLDEST.name)
    certain = {detected.rules for detected in found if detected.decided}
    possible = certain or {detected.rules for detected in found} or {NEWEST}
    names = [name for name in RULES if name in possible]
    if len(names) > 1:
        caveat = f"agent {agent_id!r} has profiles of {' and '.join(names)}, and is replayed by the newest of them"
    elif not certain:
        caveat = f"agent {agent_id!r} is replayed by {names[0]}, a guess, since nothing stored shows its rules version"
    else:
        return RulesChoice(names[0])
    return RulesChoice(names[-1], f"{caveat}; set rules= to choose another")


class _Plan(NamedTuple):
    """What is replayed: the rules of agents with runs, the profiles that have only windows, and caveats."""

    rules_by_agent: dict[str, RulesName]
    profiles: list[HistoryProfile]
    caveats: list[str]


def _plan_replay(snapshot: Snapshot, rules: str, agent_id: str | None) -> _Plan:
    """Decide which agents are replayed from runs, by which rules, and which profiles from their windows."""
    if rules != "auto":
        get_rules(rules)
    if agent_id is not None and agent_id not in snapshot.agent_ids:
        ProfileNames({name: name for name in snapshot.agent_ids}).of_agent(agent_id)
    agents = snapshot.agent_ids if agent_id is None else (agent_id,)
    runs = snapshot.runs
    recorded = {
        record.agent_id for record, calls in zip(runs.records, runs.calls, strict=True) if any(iter_requests(calls))
    }
    choices = {agent: choose_rules(snapshot, agent, rules) for agent in agents if agent in recorded}
    profiles = [
        HistoryProfile(owner.agent_id, key, get_rules(snapshot.rules[key].rules if rules == "auto" else rules).name)
        for key in snapshot.windows
        if (owner := snapshot.owners[key]).agent_id in agents and owner.agent_id not in recorded
    ]
    if not choices and not profiles:
        known = ", ".join(map(repr, snapshot.agent_ids[:_MAX_NAMED_AGENTS])) or "none"
        msg = (
            f"{snapshot.source}: nothing to replay, neither runs with recorded requests nor windows"
            f"{'' if agent_id is None else f' of agent {agent_id!r}'}; its agents: {known}."
        )
        raise UsageError(msg)
    caveats = [choice.caveat for choice in choices.values() if choice.caveat]
    if snapshot.is_filtered:
        caveats.append("the snapshot was filtered (since, limit): production knew more at the first steps")
    return _Plan({agent: choice.rules for agent, choice in choices.items()}, profiles, caveats)


# --- the walk ---


@contextmanager
def _reporting(progress: Progress | Literal[False] | None) -> Iterator[Progress]:
    """Yield the callable that progress is reported to."""
    if progress:
        yield progress
        return
    with Bar("replaying", shown=progress is not False, unit=" steps") as bar:
        yield bar


def walk_history(history: History, windows: Sequence[int], on_progress: Progress) -> ReplayedHistory:
    """Walk over a history, each profile on its own."""
    states = find_states(history)
    entries = find_entries(history, states)
    slots: list[TaskSlot] = []
    walks: list[list[WalkResult]] = []
    for task, slot in find_tasks(history, states, entries):
        walks.append(walk(task, windows))
        slots.append(slot)
        on_progress(int(task.ends[-1]) if len(task.ends) else 0, len(history.requests.started))
    sizes = len(states.end), len(entries.state)
    results = {window: join_walks(slots, [w[i] for w in walks], *sizes) for i, window in enumerate(windows)}
    logger.debug("walked %d profiles through %d states", len(slots), len(states.end))
    return ReplayedHistory(history=history, states=states, entries=entries, results=results)
