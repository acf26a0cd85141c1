"""Which recorded requests are cut to the current turn (spec section 8).

Belongs here: a guess from what is recorded. From 0.6 on all but the first request of a run are cut to their system
messages and what follows the last user message, unless full payloads are recorded (a choice from 0.7.1 on); nothing
stored says which it was.


A history made of stored windows, where no runs are recorded: each observation is taken for a run of its own.

Belongs here: the order in which the observations of an agent's profiles were learned, as far as their times tell.


A history made of recorded runs: their requests, keyed and cut into blocks as the learner did it.

Belongs here: what a run says of when it was learned, and what of its calls can be replayed.
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
from acg_lab.core.codec import DECODE_ERRORS
from acg_lab.core.errors import RecordError
from acg_lab.core.prompt_ir import hash_request
from acg_lab.core.rule_types import MessageRule
from acg_lab.core.rules import Rules, RulesName, get_rules
from acg_lab.history.history import UNKNOWN, History, HistoryProfile, Requests
from acg_lab.history.visibility import known_runs
from acg_lab.snapshot.request_reader import BlockPool, RequestReader
from acg_lab.storage.base import Progress
from acg_lab.storage.columns import Call, Header, ObservationColumns, Runs, offsets
from acg_lab.storage.times import NO_TIME, Times, read_time

__all__ = ["find_turns", "history_of_runs", "history_of_windows", "requests_of"]


def find_turns(runs: Runs, requests: Sequence[tuple[int, Rules, Call]]) -> Iterator[bool]:
    """Yield for each request whether it seems to be cut: it begins with another message than its run.

    That message is then the only one of a user.

    Parameters
    ----------
    runs : Runs
    requests : sequence of (int, Rules, Call)
        Number of the run, generation, and call, in order.
    """
    roles = _Roles(runs)
    for _, group in groupby(requests, itemgetter(0)):
        (_, rules, opening), *later = group
        yield False
        if later:
            first, _ = _turn(roles, rules.messages, opening)
            turns = (_turn(roles, rules.messages, call) for _, _, call in later)
            yield from (rules.records_turns and is_turn and lead != first for lead, is_turn in turns)


class _Roles(dict[int, str]):
    """Role of each message by code."""

    def __init__(self, runs: Runs) -> None:
        super().__init__()
        self._messages = runs.messages

    def __missing__(self, code: int) -> str:
        role = self[code] = str(self._messages.value(code).get("role"))
        return role


def _turn(by_code: _Roles, messages: Mapping[str, MessageRule], call: Call) -> tuple[int, bool]:
    """Return the first message that is not system, by code, and whether it is the only one of a user."""
    codes = call.messages.tolist()
    roles = [by_code[code] for code in codes]
    lead = next((i for i, role in enumerate(roles) if not messages[role].scaffold), None)
    return (-1, False) if lead is None else (codes[lead], roles[lead] == "user" and roles.count("user") == 1)


def history_of_windows(observations: ObservationColumns, profiles: Iterable[HistoryProfile]) -> History:
    """Make the history of the given profiles.

    An observation starts and ends at its ``created_at``. Runs are in the order of these times, but never against the
    order of a window: an observation counts as learned no earlier than those before it.
    """
    given = {profile.learning_key: profile for profile in profiles}
    columns = _only(observations, given)
    created = columns.created.nanoseconds
    learned = created.copy()
    for window in range(len(columns.keys)):
        rows = columns.observations_of(window)
        np.maximum.accumulate(created[rows.start : rows.stop], out=learned[rows.start : rows.stop])
    window_of = np.repeat(np.arange(len(columns.keys)), np.diff(columns.window_offsets))
    names = sorted({profile.agent_id for profile in given.values()})
    number = {agent_id: i for i, agent_id in enumerate(names)}
    agent = np.array([number[given[key].agent_id] for key in columns.keys], np.int64)[window_of]
    order = np.lexsort((learned, agent))
    run = np.empty(len(order), np.int64)
    run[order] = np.arange(len(order))
    first = np.searchsorted(agent[order], np.arange(len(names)))
    known = np.empty(len(order), np.int64)
    for i, begin in enumerate(first.tolist()):
        mine = order[begin : first[i + 1] if i + 1 < len(first) else None]
        known[mine] = begin + known_runs(learned[mine], created[mine], run[mine] - begin)
    zeros = np.zeros(len(order), np.int64)
    return History(
        observations=columns,
        profiles=tuple(given[key] for key in columns.keys),
        requests=Requests(created, run, zeros, known, zeros + UNKNOWN, zeros > 0),
        run_ids=[columns.ir_ids[row] for row in order.tolist()],
        first_run=first[agent[order]],
        caveats=tuple(_window_caveats(given.values())),
    )


def _window_caveats(profiles: Collection[HistoryProfile]) -> Iterator[str]:
    agents = sorted({profile.agent_id for profile in profiles})
    yield (
        f"no recorded requests of {counted(len(agents), 'agent')}: each stored observation is taken for a run of its "
        "own, at the time at which it was learned; older ones had left the windows"
    )
    mixed = [a for a in agents if len({p.rules for p in profiles if p.agent_id == a}) > 1]
    if mixed:
        yield f"profiles of several generations, each replayed by its own: {', '.join(map(repr, mixed))}"


def _only(observations: ObservationColumns, given: Iterable[str]) -> ObservationColumns:
    """Return the windows of the given keys; all of them as they are, if there are no others."""
    keys = sorted(given)
    if list(observations.keys) == keys:
        return observations
    rows = [np.arange(*observations.window_offsets[observations.number[key] :][:2]) for key in keys]
    return observations.take(np.concatenate([np.empty(0, np.int64), *rows]), keys)


Numbers = NDArray[np.int64]


class RequestHashes(Sequence[str | None]):
    """The hash of each row's whole request, computed when asked for: few results need any."""

    def __init__(self, runs: Runs, calls: Sequence[Call]) -> None:
        self._runs, self._calls = runs, calls
        self._found: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def __getitem__(self, row: "int | slice") -> "str | list[str | None] | None":  # type: ignore[override]
        if isinstance(row, slice):
            return [self._hash(i) for i in range(*row.indices(len(self)))]
        return self._hash(row)

    def _hash(self, row: int) -> str:
        if row not in self._found:
            self._found[row] = hash_request(self._runs.request(self._calls[row]))
        return self._found[row]


def requests_of(calls: Sequence[Call]) -> Iterator[tuple[int, Call]]:
    """Yield the LLM calls with a request, and their places among the calls."""
    return ((i, call) for i, call in enumerate(calls) if call.record.kind == "llm" and call.request is not None)


class _Rows:
    """Rows as they are found, agent by agent, in the order of learning."""

    def __init__(self) -> None:
        self.profiles: dict[tuple[str, str], int] = {}
        self.profile, self.lengths, self.blocks, self.run, self.call = (array("i") for _ in range(5))
        self.calls: list[Call] = []

    def add(self, profile: tuple[str, str], blocks: "array[int]", run: int, i: int, call: Call) -> None:
        """Take in a request: agent and learning key, blocks, number of its run, place in it, and its call."""
        self.profile.append(self.profiles.setdefault(profile, len(self.profiles)))
        self.lengths.append(len(blocks))
        self.blocks.extend(blocks)
        self.run.append(run)
        self.call.append(i)
        self.calls.append(call)


def history_of_runs(runs: Runs, rules: Mapping[str, RulesName], on_progress: Progress) -> History:
    """Make the history of the given agents.

    Parameters
    ----------
    runs : Runs
    rules : mapping of str to str
        Generation by which each agent's requests are read; other agents are passed over.
    on_progress : callable
        Told of every run that is read, and of how many.
    """
    order = sorted((i for i, run in enumerate(runs.records) if run.agent_id in rules), key=_agent_of(runs))
    pool, rows, skipped = BlockPool(), _Rows(), 0
    readers = {name: RequestReader(runs, name, pool) for name in set(rules.values())}
    for number, position in enumerate(order):
        agent_id = runs.records[position].agent_id
        for i, call in requests_of(runs.calls[position]):
            try:
                key, blocks = readers[rules[agent_id]].read(agent_id, call)
            except RecordError:
                skipped += 1
                continue
            rows.add((agent_id, key), blocks, number, i, call)
        on_progress(1, len(order))
    return _finish(runs, order, rows, pool, rules, skipped)


def _agent_of(runs: Runs) -> Callable[[int], str]:
    return lambda position: runs.records[position].agent_id


def _end(runs: Runs, position: int) -> int:
    """Return when a run ended; one without end at the latest time that it holds."""
    record = runs.records[position]
    if record.ended_at:
        return read_time(record.ended_at)
    calls = [call.record for call in runs.calls[position]]
    times = [record.started_at, *(call.started_at for call in calls), *(call.ended_at for call in calls)]
    return max(map(read_time, times))


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None


class _Response(msgspec.Struct):
    usage: _Usage | None = None


_read_response = msgspec.json.Decoder(_Response).decode


def _usage(runs: Runs, call: Call) -> int:
    """Return the prompt's tokens as the provider counted them."""
    exchange = call.record.exchange
    logged = None if exchange is None or exchange.usage is None else exchange.usage.prompt_tokens
    tokens = call.record.prompt_tokens if logged is None else logged
    if tokens is None and call.response >= 0:
        with suppress(*DECODE_ERRORS):
            usage = _read_response(runs.values.texts[call.response]).usage
            tokens = None if usage is None else usage.prompt_tokens
    return UNKNOWN if tokens is None else tokens


def _finish(
    runs: Runs, order: Sequence[int], rows: _Rows, pool: BlockPool, rules: Mapping[str, RulesName], skipped: int
) -> History:
    """Bring the rows into the order of profiles, and give each request what it knew."""
    names = sorted(rows.profiles, key=lambda name: (name[1], name[0]))
    rank = np.empty(len(names), np.int64)
    rank[[rows.profiles[name] for name in names]] = np.arange(len(names))
    profile = rank[np.array(rows.profile, np.int64)]
    by_profile = np.argsort(profile, kind="stable")
    first_run, ends, waiting = _times(runs, order)
    requests = _requests(runs, rows, first_run, ends, [rules[runs.records[position].agent_id] for position in order])
    return History(
        observations=_observations(runs, rows, pool, by_profile, names, requests.started[by_profile]),
        profiles=tuple(HistoryProfile(agent_id, key, rules[agent_id]) for agent_id, key in names),
        requests=Requests(*(column[by_profile] for column in requests)),  # type: ignore[arg-type]
        run_ids=[runs.records[position].id for position in order],
        first_run=first_run,
        caveats=tuple(_run_caveats(skipped, waiting)),
    )


def _times(runs: Runs, order: Sequence[int]) -> tuple[Numbers, Numbers, int]:
    """Return the first run of each run's agent, when each ended, and how many have to wait for one ahead of them."""
    ends, first_run = np.array([_end(runs, position) for position in order], np.int64), np.empty(len(order), np.int64)
    first = waiting = 0
    for _, group in groupby(order, _agent_of(runs)):
        last = first + sum(1 for _ in group)
        first_run[first:last] = first
        waiting += int(np.count_nonzero(ends[first:last] < np.maximum.accumulate(ends[first:last])))
        first = last
    return first_run, ends, waiting


def _requests(runs: Runs, rows: _Rows, first_run: Numbers, ends: Numbers, rules: Sequence[RulesName]) -> Requests:
    """Return the facts of the requests, in the order of the rows."""
    started = np.array([read_time(call.record.started_at) for call in rows.calls], np.int64)
    run, known = np.array(rows.run, np.int64), np.empty(len(rows.run), np.int64)
    for first, last in pairwise([*np.unique(first_run).tolist(), len(first_run)]):
        mine = slice(*np.searchsorted(run, (first, last)))
        own = run[mine] - first
        # Without times a request knows all runs before its own.
        has_times = (ends[first:last] != NO_TIME).all() and (started[mine] != NO_TIME).all()
        known[mine] = first + (known_runs(ends[first:last], started[mine], own) if has_times else own)
    usage = np.array([_usage(runs, call) for call in rows.calls], np.int64)
    by_rules = [(number, get_rules(rules[number]), call) for number, call in zip(rows.run, rows.calls, strict=True)]
    cut = np.fromiter(find_turns(runs, by_rules), bool, len(by_rules))
    return Requests(started, run, np.array(rows.call, np.int64), known, usage, cut)


def _run_caveats(skipped: int, waiting: int) -> Iterator[str]:
    if skipped:
        yield f"{counted(skipped, 'recorded request')} left out, not readable by these rules: production skips them"
    if waiting:
        yield (
            f"{counted(waiting, 'run')} in the index behind one that ended later, learned only with it: "
            "the index is in another order, or a clock jumped"
        )


def _observations(
    runs: Runs, rows: _Rows, pool: BlockPool, by_profile: Numbers, names: Sequence[tuple[str, str]], created: Numbers
) -> ObservationColumns:
    """Return the rows as columns, a window a profile."""
    lengths = np.array(rows.lengths, np.int64)
    begins, taken = offsets(lengths)[:-1], lengths[by_profile]
    block_offsets = offsets(taken)
    number = np.arange(block_offsets[-1]) - np.repeat(block_offsets[:-1], taken)
    codes = np.array(rows.blocks, np.int32)[np.repeat(begins[by_profile], taken) + number]
    spans, contents, forms = (column[codes] for column in pool.columns())
    n, calls = len(by_profile), [rows.calls[row] for row in by_profile.tolist()]
    return ObservationColumns(
        keys=tuple(key for _, key in names),
        window_offsets=offsets(
            np.bincount(rows.profile, minlength=len(names))[[rows.profiles[name] for name in names]]
        ),
        block_offsets=block_offsets,
        ir_ids=[""] * n,
        request_hashes=RequestHashes(runs, calls),
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
    )
