"""Build the history that a replay walks over, from recorded runs or, where there are none, from stored windows.

Runs are read by the core's rules: their requests get the learning key and the blocks that the learner gave them. A
stored observation counts as a run of its own, learned at its ``created_at``.

Invariant: a history never claims more than the source shows; what is missing or uncertain is one of its caveats.
"""

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby, pairwise
from operator import itemgetter

import msgspec
import numpy as np
from numpy.typing import NDArray

from acg_lab._format import counted
from acg_lab.core.errors import RecordError
from acg_lab.core.prompt_ir import hash_request
from acg_lab.core.rule_types import MessageRule
from acg_lab.core.rules import Rules, RulesName, get_rules
from acg_lab.core.strict_json import DECODE_ERRORS
from acg_lab.history.history import UNKNOWN, History, HistoryProfile, Requests
from acg_lab.history.visibility import count_known_runs
from acg_lab.snapshot.request_reader import BlockPool, RequestReader
from acg_lab.storage.base import Progress
from acg_lab.storage.observation_columns import Header, ObservationColumns, offsets
from acg_lab.storage.recorded_runs import Call, Runs
from acg_lab.storage.times import NO_TIME, Times, read_time

__all__ = ["build_from_runs", "build_from_windows", "find_truncated", "iter_requests"]

Numbers = NDArray[np.int64]
Bools = NDArray[np.bool_]


# --- from runs ---


def iter_requests(calls: Sequence[Call]) -> Iterator[tuple[int, Call]]:
    """Yield the LLM calls that have a request, each with its position among the calls."""
    return ((i, call) for i, call in enumerate(calls) if call.record.kind == "llm" and call.request is not None)


def build_from_runs(
    runs: Runs, rules: Mapping[str, RulesName], on_progress: Progress, recorded: Runs | None = None
) -> History:
    """Build the history of the recorded requests of some agents.

    Parameters
    ----------
    runs : Runs
    rules : mapping of str to str
        The rules version of each agent; runs of other agents are skipped.
    on_progress : callable
        Called for each run that is read, with 1 and the number of runs.
    recorded : Runs, optional
        The same calls before they were repaired: they show which of them were recorded without their earlier turns.
    """
    order = sorted((i for i, run in enumerate(runs.records) if run.agent_id in rules), key=_agent_of(runs))
    pool, rows, skipped = BlockPool(), _RequestRows(), 0
    readers = {name: RequestReader(runs, name, pool) for name in set(rules.values())}
    for number, position in enumerate(order):
        agent_id = runs.records[position].agent_id
        for i, call in iter_requests(runs.calls[position]):
            try:
                key, blocks = readers[rules[agent_id]].read(agent_id, call)
            except RecordError:
                skipped += 1
                continue
            rows.add((agent_id, key), blocks, number, i, call)
        on_progress(1, len(order))
    sent = recorded or runs
    as_sent = [sent.calls[order[number]][i] for number, i in zip(rows.run, rows.call, strict=True)]
    rules_by_run = [get_rules(rules[runs.records[position].agent_id]) for position in order]
    by_run = [(number, rules_by_run[number], call) for number, call in zip(rows.run, as_sent, strict=True)]
    truncated = np.fromiter(find_truncated(sent, by_run), bool, len(by_run))
    return _assemble(runs, order, rows, pool, rules, skipped, truncated)


class _RequestRows:
    """Requests as they are read, agent by agent, in the order of learning."""

    def __init__(self) -> None:
        self.profiles: dict[tuple[str, str], int] = {}
        self.profile, self.lengths, self.blocks, self.run, self.call = (array("i") for _ in range(5))
        self.calls: list[Call] = []

    def add(self, profile: tuple[str, str], blocks: "array[int]", run: int, position: int, call: Call) -> None:
        """Add a request: its agent and learning key, blocks, number of its run, position in the run, and call."""
        self.profile.append(self.profiles.setdefault(profile, len(self.profiles)))
        self.lengths.append(len(blocks))
        self.blocks.extend(blocks)
        self.run.append(run)
        self.call.append(position)
        self.calls.append(call)


def _agent_of(runs: Runs) -> Callable[[int], str]:
    return lambda position: runs.records[position].agent_id


def _assemble(
    runs: Runs,
    order: Sequence[int],
    rows: _RequestRows,
    pool: BlockPool,
    rules: Mapping[str, RulesName],
    skipped: int,
    truncated: Bools,
) -> History:
    """Sort the requests by profile, and compute what each of them could know."""
    names = sorted(rows.profiles, key=lambda name: (name[1], name[0]))
    rank = np.empty(len(names), np.int64)
    rank[[rows.profiles[name] for name in names]] = np.arange(len(names))
    profile = rank[np.array(rows.profile, np.int64)]
    by_profile = np.argsort(profile, kind="stable")
    first_run, ends, waiting = _read_run_times(runs, order)
    requests = _build_requests(runs, rows, first_run, ends, truncated)
    return History(
        observations=_build_columns(runs, rows, pool, by_profile, names, requests.started[by_profile]),
        profiles=tuple(HistoryProfile(agent_id, key, rules[agent_id]) for agent_id, key in names),
        requests=Requests(*(column[by_profile] for column in requests)),  # type: ignore[arg-type]
        run_ids=[runs.records[position].id for position in order],
        first_run=first_run,
        caveats=tuple(_list_run_caveats(skipped, waiting)),
        runs=runs,
        positions=order,
    )


def _read_run_times(runs: Runs, order: Sequence[int]) -> tuple[Numbers, Numbers, int]:
    """Return the first run of each run's agent, when each run ended, and how many wait for one ahead of them."""
    ends, first_run = (
        np.array([_end_of(runs, position) for position in order], np.int64),
        np.empty(len(order), np.int64),
    )
    first = waiting = 0
    for _, group in groupby(order, _agent_of(runs)):
        last = first + sum(1 for _ in group)
        first_run[first:last] = first
        waiting += int(np.count_nonzero(ends[first:last] < np.maximum.accumulate(ends[first:last])))
        first = last
    return first_run, ends, waiting


def _end_of(runs: Runs, position: int) -> int:
    """Return when a run ended; a run without an end counts as ended at the latest time recorded in it."""
    record = runs.records[position]
    if record.ended_at:
        return read_time(record.ended_at)
    calls = [call.record for call in runs.calls[position]]
    times = [record.started_at, *(call.started_at for call in calls), *(call.ended_at for call in calls)]
    return max(map(read_time, times))


def _build_requests(runs: Runs, rows: _RequestRows, first_run: Numbers, ends: Numbers, truncated: Bools) -> Requests:
    """Return the facts of the requests, in the order in which they were read."""
    started = np.array([read_time(call.record.started_at) for call in rows.calls], np.int64)
    run, known = np.array(rows.run, np.int64), np.empty(len(rows.run), np.int64)
    for first, last in pairwise([*np.unique(first_run).tolist(), len(first_run)]):
        own = slice(*np.searchsorted(run, (first, last)))
        number = run[own] - first
        # Without times a request knows all runs before its own.
        has_times = (ends[first:last] != NO_TIME).all() and (started[own] != NO_TIME).all()
        known[own] = first + (count_known_runs(ends[first:last], started[own], number) if has_times else number)
    usage = np.array([_read_prompt_tokens(runs, call) for call in rows.calls], np.int64)
    return Requests(started, run, np.array(rows.call, np.int64), known, usage, truncated)


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None


class _Response(msgspec.Struct):
    usage: _Usage | None = None


_decode_response = msgspec.json.Decoder(_Response).decode


def _read_prompt_tokens(runs: Runs, call: Call) -> int:
    """Return the prompt tokens that the provider reported, -1 where it reported none."""
    exchange = call.record.exchange
    logged = None if exchange is None or exchange.usage is None else exchange.usage.prompt_tokens
    tokens = call.record.prompt_tokens if logged is None else logged
    if tokens is None and call.response >= 0:
        with suppress(*DECODE_ERRORS):
            usage = _decode_response(runs.values.texts[call.response]).usage
            tokens = None if usage is None else usage.prompt_tokens
    return UNKNOWN if tokens is None else tokens


def _list_run_caveats(skipped: int, waiting: int) -> Iterator[str]:
    if skipped:
        yield (
            f"{counted(skipped, 'recorded request')} left out, since these rules cannot read them; "
            "production skips them too"
        )
    if waiting:
        yield (
            f"{counted(waiting, 'run')} in the index behind one that ended later, and learned only with that one: "
            "the index is in another order, or a clock jumped"
        )


def _build_columns(
    runs: Runs,
    rows: _RequestRows,
    pool: BlockPool,
    by_profile: Numbers,
    names: Sequence[tuple[str, str]],
    created: Numbers,
) -> ObservationColumns:
    """Return the requests as columns, one window per profile."""
    lengths = np.array(rows.lengths, np.int64)
    begins, taken = offsets(lengths)[:-1], lengths[by_profile]
    block_offsets = offsets(taken)
    number = np.arange(block_offsets[-1]) - np.repeat(block_offsets[:-1], taken)
    codes = np.array(rows.blocks, np.int32)[np.repeat(begins[by_profile], taken) + number]
    spans, contents, forms = (column[codes] for column in pool.columns())
    n, calls = len(by_profile), [rows.calls[row] for row in by_profile.tolist()]
    counts = np.bincount(rows.profile, minlength=len(names))
    return ObservationColumns(
        keys=tuple(key for _, key in names),
        window_offsets=offsets(counts[[rows.profiles[name] for name in names]]),
        block_offsets=block_offsets,
        ir_ids=[""] * n,
        request_hashes=_RequestHashes(runs, calls),
        created=Times(created, {}),
        headers=np.zeros(n, np.int32),
        spans=spans,
        contents=contents,
        forms=forms,
        indexes=number.astype(np.uint32),
        span_pool=list(pool.spans),
        content_pool=list(pool.contents),
        form_pool=pool.forms(),
        header_pool=[Header(None, None, None)],
        is_redacted=runs.is_redacted,
    )


class _RequestHashes(Sequence[str | None]):
    """The hash of each request, computed on first access, since few results need one."""

    def __init__(self, runs: Runs, calls: Sequence[Call]) -> None:
        self._runs, self._calls = runs, calls
        self._hashes: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def __getitem__(self, row: "int | slice") -> "str | list[str | None] | None":  # type: ignore[override]
        if isinstance(row, slice):
            return [self._hash(i) for i in range(*row.indices(len(self)))]
        return self._hash(row)

    def _hash(self, row: int) -> str:
        if row not in self._hashes:
            self._hashes[row] = hash_request(self._runs.request(self._calls[row]))
        return self._hashes[row]


# --- truncated requests ---


def find_truncated(runs: Runs, requests: Sequence[tuple[int, Rules, Call]]) -> Iterator[bool]:
    """Yield for each request whether it seems to have been recorded without its earlier turns.

    From 0.6 on NeMo Relay cuts all but the first request of a run down to its system messages and what follows the last
    user message, unless full payloads are recorded (possible from 0.7.1 on). Nothing stored shows which it was
    (acg_lab/docs/rules/learner.md, section 8.5). A request is taken for truncated if it opens with another message than
    its run does, and that message is its only user message.

    Parameters
    ----------
    runs : Runs
    requests : sequence of (int, Rules, Call)
        Number of the run, rules version, and call, in order.
    """
    roles = _Roles(runs)
    for _, group in groupby(requests, itemgetter(0)):
        (_, rules, opening), *later = group
        yield False
        if later:
            first, _ = _read_opening(roles, rules.messages, opening)
            openings = (_read_opening(roles, rules.messages, call) for _, _, call in later)
            yield from (rules.records_turns and is_only and message != first for message, is_only in openings)


class _Roles(dict[int, str]):
    """The role of each message, by code."""

    def __init__(self, runs: Runs) -> None:
        super().__init__()
        self._messages = runs.messages

    def __missing__(self, code: int) -> str:
        role = self[code] = str(self._messages.value(code).get("role"))
        return role


def _read_opening(roles_by_code: _Roles, messages: Mapping[str, MessageRule], call: Call) -> tuple[int, bool]:
    """Return the code of the first message after the scaffold, and whether it is the only user message."""
    codes = call.messages.tolist()
    roles = [roles_by_code[code] for code in codes]
    first = next((i for i, role in enumerate(roles) if not messages[role].scaffold), None)
    return (-1, False) if first is None else (codes[first], roles[first] == "user" and roles.count("user") == 1)


# --- from windows ---


def build_from_windows(observations: ObservationColumns, profiles: Iterable[HistoryProfile]) -> History:
    """Build the history of the stored observations of some profiles.

    An observation starts and ends at its ``created_at``. Runs are in the order of these times, but never against the
    order of a window: an observation counts as learned no earlier than those before it.
    """
    by_key = {profile.learning_key: profile for profile in profiles}
    columns = _select_windows(observations, by_key)
    created = columns.created.nanoseconds
    learned = created.copy()
    for window in range(len(columns.keys)):
        rows = columns.observations_of(window)
        np.maximum.accumulate(created[rows.start : rows.stop], out=learned[rows.start : rows.stop])
    window_of = np.repeat(np.arange(len(columns.keys)), np.diff(columns.window_offsets))
    names = sorted({profile.agent_id for profile in by_key.values()})
    number = {agent_id: i for i, agent_id in enumerate(names)}
    agent = np.array([number[by_key[key].agent_id] for key in columns.keys], np.int64)[window_of]
    order = np.lexsort((learned, agent))
    run = np.empty(len(order), np.int64)
    run[order] = np.arange(len(order))
    first = np.searchsorted(agent[order], np.arange(len(names)))
    known = np.empty(len(order), np.int64)
    for i, begin in enumerate(first.tolist()):
        own = order[begin : first[i + 1] if i + 1 < len(first) else None]
        known[own] = begin + count_known_runs(learned[own], created[own], run[own] - begin)
    zeros = np.zeros(len(order), np.int64)
    return History(
        observations=columns,
        profiles=tuple(by_key[key] for key in columns.keys),
        requests=Requests(created, run, zeros, known, zeros + UNKNOWN, zeros > 0),
        run_ids=[columns.ir_ids[row] for row in order.tolist()],
        first_run=first[agent[order]],
        caveats=tuple(_list_window_caveats(by_key.values())),
    )


def _list_window_caveats(profiles: Collection[HistoryProfile]) -> Iterator[str]:
    agents = sorted({profile.agent_id for profile in profiles})
    yield (
        f"no recorded requests of {counted(len(agents), 'agent')}: each stored observation counts as a run of its own, "
        "at the time at which it was learned; older observations had left the windows"
    )
    mixed = [a for a in agents if len({p.rules for p in profiles if p.agent_id == a}) > 1]
    if mixed:
        yield f"profiles of several rules versions, each replayed by its own: {', '.join(map(repr, mixed))}"


def _select_windows(observations: ObservationColumns, wanted: Iterable[str]) -> ObservationColumns:
    """Return the windows of some learning keys; the same object if these are all there are."""
    keys = sorted(wanted)
    if list(observations.keys) == keys:
        return observations
    rows = [np.arange(*observations.window_offsets[observations.number[key] :][:2]) for key in keys]
    return observations.take(np.concatenate([np.empty(0, np.int64), *rows]), keys)
