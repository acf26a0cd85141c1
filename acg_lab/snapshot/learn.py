"""Learn from runs: the windows and results that the governor would have after them.

The result equals that of `AcgLearner` over the runs in the order of their ends. Each window is made once, of the
requests that are in it at the end, since a window does not depend on what it dropped.
"""

import uuid
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from acg_lab.config.settings import AcgSettings
from acg_lab.config.thresholds import check_thresholds
from acg_lab.core.codec import decode, encode, encode_window
from acg_lab.core.errors import RecordError, UsageError
from acg_lab.core.keys import assign_agents
from acg_lab.core.prompt_ir import build_prompt_ir
from acg_lab.core.records import PromptIR, RunRecord, StabilityAnalysisResult
from acg_lab.core.rules import NEWEST, get_rules
from acg_lab.core.stability import judge_window
from acg_lab.core.window import CountedWindow
from acg_lab.snapshot.learnable import LearnableRequests, Roles, cut_to_turn, word_refusals
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.storage.base import Entry, Progress, ignore_progress
from acg_lab.storage.columns import Origin
from acg_lab.storage.ingest import ingest
from acg_lab.storage.recorded_runs import Call, Runs
from acg_lab.storage.times import NO_TIME, Times, read_time

__all__ = ["learn", "learn_runs"]

_NAMESPACE = uuid.UUID("2b6a3bb0-5a0f-4b0a-8b39-9f6d0c1f6a55")
_PLACEHOLDER = "1970-01-01T00:00:00Z"


class _Request(NamedTuple):
    """A request in a window: its call, run, position in the run, and time of learning (nanoseconds or `NO_TIME`)."""

    call: Call
    run_id: str
    place: int
    learned: int


def learn(
    runs: Iterable[RunRecord | Mapping[str, Any]],
    *,
    settings: AcgSettings | None = None,
    rules: str = NEWEST,
    full_payloads: bool = False,
) -> Snapshot:
    """Return what the governor would have learned from some runs.

    Parameters
    ----------
    runs : iterable of RunRecord
        Runs of any agents, in any order; they are learned in the order in which they ended. A mapping is decoded as the
        JSON object of a run. Calls without a request are skipped.
    settings : AcgSettings, optional
        Production's defaults if omitted.
    rules : str
        Name of the rules version; the newest by default.
    full_payloads : bool
        Whether requests are recorded whole. Otherwise those after the first of a run are truncated to the current turn,
        as production does by default from 0.6 on. Recorded request bodies of providers are always whole.

    Returns
    -------
    Snapshot
        Windows, results, seed entries, and the runs as production would have recorded them.

    Raises
    ------
    UsageError
        If an item of ``runs`` is not a run, or the rules version is unknown.
    RecordError
        If a mapping cannot be decoded as a run.

    Examples
    --------
    >>> learn([]).windows
    <0 by learning key>
    """
    if settings is not None:
        check_thresholds(settings.thresholds)
    entries = [_entry(run, i) for i, run in enumerate(_listed(runs))]
    problems: list[RecordError] = []
    columns = ingest(entries, problems.append)
    recorded = [[False] * len(calls) for calls in columns.runs.calls]
    return learn_runs(
        columns.runs,
        recorded,
        source="runs, learned here",
        settings=settings,
        rules=rules,
        full_payloads=full_payloads,
        problems=tuple(problems),
    )


def _listed(runs: Any) -> Iterable[Any]:
    if isinstance(runs, RunRecord | Mapping | str | bytes) or not isinstance(runs, Iterable):
        msg = f"The 'runs' must be an iterable of RunRecord, such as snap.runs; got {type(runs).__name__}."
        raise UsageError(msg)
    return runs


def _entry(run: Any, position: int) -> Entry:
    if isinstance(run, Mapping):
        try:
            run = decode(RunRecord, _print(run))
        except RecordError as error:
            raise error.at(source=f"run at position {position}") from None
    if not isinstance(run, RunRecord):
        msg = f"The 'runs' must hold RunRecord; got {type(run).__name__} at position {position}."
        raise UsageError(msg)
    return Entry("run", f"{run.agent_id}:{run.id}", encode(run), run.agent_id)


def _print(run: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(run)
    except (TypeError, ValueError, RecursionError) as error:
        msg = f"expected a run of JSON values, got another value ({type(error).__name__})"
        raise RecordError(msg) from None


def learn_runs(
    runs: Runs,
    recorded: Sequence[Sequence[bool]],
    *,
    source: str,
    settings: AcgSettings | None = None,
    rules: str = NEWEST,
    full_payloads: bool = False,
    problems: tuple[RecordError, ...] = (),
    caveats: tuple[str, ...] = (),
    on_progress: Progress = ignore_progress,
) -> Snapshot:
    """Learn from runs in columns; see `learn`.

    ``recorded`` says for each call whether production recorded its request, which is then not truncated again.
    """
    settings = settings or AcgSettings()
    table = get_rules(rules)
    runs, recorded, ends = _in_order(runs, recorded)
    if table.records_turns and not full_payloads:
        runs = _cut(runs, recorded)
    windows, touched, unread = _collect(runs, ends, rules, settings.observation_window, on_progress)
    learned = _Learned(runs, rules, settings)
    columns = ingest(
        _count(learned.entries(windows, touched), len(runs) + len(windows) + len(touched), on_progress), _raise
    )
    created = [request.learned for key in columns.observations.keys for request in learned.requests[key]]
    columns = replace(
        columns,
        observations=replace(columns.observations, created=Times(np.array(created, np.int64), {})),
        results=learned.results,
        runs=runs,
        problems=problems,
        unread=tuple(word_refusals(unread)),
        key_prefix=table.key_prefix,
        rules=dict.fromkeys(columns.observations.keys, (rules, "learned here", True)),
        origin=Origin(learned_here=True, caveats=caveats),
    )
    agents = {record.agent_id for record in runs.records}
    owners = assign_agents({*columns.observations.keys}, agents)
    return Snapshot(source=source, columns=columns, owners=owners, rules_setting=rules)


def _raise(error: RecordError) -> None:
    raise error


def _cut(runs: Runs, recorded: Sequence[Sequence[bool]]) -> Runs:
    roles = Roles(runs)
    calls = [tuple(_turns(*of_run, roles)) for of_run in zip(runs.calls, recorded, strict=True)]
    return replace(runs, calls=calls)


def _turns(calls: Sequence[Call], recorded: Sequence[bool], roles: Roles) -> Iterator[Call]:
    is_first = True
    for call, is_recorded in zip(calls, recorded, strict=True):
        yield call if is_first or is_recorded or call.request is None else cut_to_turn(call, roles)
        is_first = is_first and call.record.kind != "llm"


def _in_order(
    runs: Runs, recorded: Sequence[Sequence[bool]]
) -> tuple[Runs, Sequence[Sequence[bool]], NDArray[np.int64]]:
    """Return the runs by agent in the order of their ends, as in production's index, and their ends.

    A run without times follows the previous one.
    """
    found = accumulate((_end(runs, position) for position in range(len(runs))), _known_or_last)
    ends = np.fromiter(found, np.int64, len(runs))
    numbers = {agent_id: i for i, agent_id in enumerate(sorted({record.agent_id for record in runs.records}))}
    agents = np.fromiter((numbers[record.agent_id] for record in runs.records), np.int64, len(runs))
    order = np.lexsort((ends, agents))
    return runs.take(order.tolist()), [recorded[position] for position in order], ends[order]


def _known_or_last(last: int, end: int) -> int:
    return last if end == NO_TIME else end


def _end(runs: Runs, position: int) -> int:
    """Return the end of a run, else its latest time, else `NO_TIME`."""
    record = runs.records[position]
    if record.ended_at:
        return read_time(record.ended_at)
    calls = [call.record for call in runs.calls[position]]
    times = [record.started_at, *(time for call in calls for time in (call.started_at, call.ended_at))]
    return max(map(read_time, times))


def _collect(
    runs: Runs, ends: NDArray[np.int64], rules: str, observation_window: int, on_progress: Progress
) -> tuple[dict[str, deque[_Request]], dict[str, list[str]], Counter[tuple[str, str]]]:
    """Return the final requests of each window, the keys of each agent's last run, and the counted refusals."""
    unread: Counter[tuple[str, str]] = Counter()
    learnable = LearnableRequests(runs, rules)
    windows: dict[str, deque[_Request]] = {}
    touched: dict[str, list[str]] = {}
    for record, calls, end in zip(runs.records, runs.calls, ends, strict=True):
        keys = dict[str, None]()
        for place, call in enumerate(calls):
            if call.record.kind != "llm" or call.request is None:
                continue
            try:
                key = learnable.key(record.agent_id, call)
            except RecordError as error:
                unread[rules, error.reason] += 1
                continue
            if key not in windows:
                windows[key] = deque(maxlen=max(observation_window, 1))
            windows[key].append(_Request(call, record.id, place, int(end)))
            keys[key] = None
        if keys:
            touched[record.agent_id] = list(keys)
        on_progress(1, 2 * len(runs))  # as many windows as runs, until they are counted
    return windows, touched, unread


def _count(entries: Iterable[Entry], total: int, on_progress: Progress) -> Iterator[Entry]:
    for entry in entries:
        yield entry
        on_progress(1, total)


class _Learned:
    """Make windows and results."""

    def __init__(self, runs: Runs, rules: str, settings: AcgSettings) -> None:
        self._runs, self._rules, self._settings = runs, rules, settings
        self.results: dict[str, StabilityAnalysisResult] = {}
        self.requests: dict[str, Sequence[_Request]] = {}

    def entries(
        self, windows: Mapping[str, Sequence[_Request]], touched: Mapping[str, Sequence[str]]
    ) -> Iterator[Entry]:
        """Yield the windows, then the seed entry of each agent: the first of the best windows of its last run."""
        seeds = {key for keys in touched.values() for key in keys}
        kept: dict[str, bytes] = {}
        for key, requests in windows.items():
            window = tuple(map(self._observation, requests))
            self.results[key] = judge_window(
                CountedWindow(window), self._settings.thresholds, get_rules(self._rules), key
            )
            self.requests[key] = requests
            raw = encode_window(window)
            if key in seeds:
                kept[key] = raw
            yield Entry("observations", key, raw)
        for agent_id, keys in touched.items():
            best = max(keys, key=lambda key: _rank(self.results[key]))
            self.results[agent_id], self.requests[agent_id] = self.results[best], windows[best]
            yield Entry("observations", agent_id, kept[best])

    def _observation(self, request: _Request) -> PromptIR:
        return build_prompt_ir(
            self._runs.request(request.call),
            ir_id=str(uuid.uuid5(_NAMESPACE, f"{request.run_id}:{request.place}")),
            created_at=_PLACEHOLDER,
            rules=self._rules,
        )


def _rank(result: StabilityAnalysisResult) -> tuple[int, int]:
    return result.stable_prefix_length, result.total_observations
