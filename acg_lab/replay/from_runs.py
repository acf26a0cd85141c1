"""A history made of recorded runs: their requests, keyed and cut into blocks as the learner did it.

Belongs here: what a run says of when it was learned, and what of its calls can be replayed.
"""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby

import msgspec
import numpy as np
from numpy.typing import NDArray

from acg_lab.core.errors import RecordError
from acg_lab.core.prompt_ir import hash_request
from acg_lab.core.rules import RulesName
from acg_lab.replay.history import UNKNOWN, History, Profile, Requests
from acg_lab.replay.order import known_runs
from acg_lab.replay.reading import BlockPool, RequestReader
from acg_lab.storage.columns import Call, Header, ObservationColumns, Runs, offsets
from acg_lab.storage.times import NO_TIME, Times, parse_time

__all__ = ["history_of_runs", "requests_of"]


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
        self.profile, self.lengths, self.blocks = array("i"), array("i"), array("i")
        self.started, self.run, self.call, self.usage = array("q"), array("q"), array("q"), array("q")
        self.calls: list[Call] = []

    def add(self, agent_id: str, key: str, blocks: "array[int]", started: int, run: int, i: int, call: Call) -> None:
        self.profile.append(self.profiles.setdefault((agent_id, key), len(self.profiles)))
        self.lengths.append(len(blocks))
        self.blocks.extend(blocks)
        self.started.append(started)
        self.run.append(run)
        self.call.append(i)
        self.calls.append(call)


def history_of_runs(runs: Runs, rules: Mapping[str, RulesName]) -> History:
    """Make the history of the given agents.

    Parameters
    ----------
    runs : Runs
    rules : mapping of str to str
        Generation by which each agent's requests are read; other agents are passed over.
    """
    order = sorted((i for i, run in enumerate(runs.records) if run.agent_id in rules), key=_agent_of(runs))
    pool, rows, skipped, timeless = BlockPool(), _Rows(), 0, 0
    readers = {name: RequestReader(runs, name, pool) for name in set(rules.values())}
    ends: list[int] = []
    for number, position in enumerate(order):
        record, calls = runs.records[position], runs.calls[position]
        reader, begun = readers[rules[record.agent_id]], _time(record.started_at)
        ends.append(_end(runs, position))
        for i, call in requests_of(calls):
            started = max(_time(call.record.started_at), NO_TIME)
            started = begun if started == NO_TIME else started
            if started == NO_TIME:
                timeless += 1
                continue
            try:
                key, blocks = reader.read(record.agent_id, call)
            except RecordError:
                skipped += 1
                continue
            rows.add(record.agent_id, key, blocks, started, number, i, call)
            rows.usage.append(_usage(runs, call))
    return _finish(runs, order, ends, rows, pool, rules, _caveats(skipped, timeless))


def _agent_of(runs: Runs) -> Callable[[int], str]:
    return lambda position: runs.records[position].agent_id


def _caveats(skipped: int, timeless: int) -> tuple[str, ...]:
    told = []
    if skipped:
        told.append(f"{skipped:,} recorded requests can't be read under these rules; production skips them too")
    if timeless:
        told.append(f"{timeless:,} recorded requests without a readable time are left out")
    return tuple(told)


def _time(text: str | None) -> int:
    """Return a time in nanoseconds, `NO_TIME` where there is none to be read."""
    with suppress(RecordError):
        return NO_TIME if text is None else parse_time(text)
    return NO_TIME


def _end(runs: Runs, position: int) -> int:
    """Return when a run ended; one without end at the latest time that it holds."""
    record = runs.records[position]
    end = _time(record.ended_at)
    if end != NO_TIME:
        return end
    times = [record.started_at, *(t for c in runs.calls[position] for t in (c.record.started_at, c.record.ended_at))]
    return max(map(_time, times))


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None


class _Response(msgspec.Struct):
    usage: _Usage | None = None


_read_response = msgspec.json.Decoder(_Response).decode


def _usage(runs: Runs, call: Call) -> int:
    """Return the prompt's tokens as the provider counted them."""
    tokens = call.record.prompt_tokens
    if tokens is None and call.response >= 0:
        with suppress(msgspec.MsgspecError):
            usage = _read_response(runs.values.texts[call.response]).usage
            tokens = None if usage is None else usage.prompt_tokens
    return UNKNOWN if tokens is None else tokens


def _finish(
    runs: Runs,
    order: Sequence[int],
    ends: Sequence[int],
    rows: _Rows,
    pool: BlockPool,
    rules: Mapping[str, RulesName],
    caveats: tuple[str, ...],
) -> History:
    """Bring the rows into the order of profiles, and give each request what it knew."""
    agents = [runs.records[position].agent_id for position in order]
    names = sorted(rows.profiles, key=lambda name: (name[1], name[0]))
    rank = np.empty(len(names), np.int64)
    rank[[rows.profiles[name] for name in names]] = np.arange(len(names))
    profile = rank[np.array(rows.profile, np.int64)]
    by_profile = np.argsort(profile, kind="stable")
    started, run = np.array(rows.started, np.int64), np.array(rows.run, np.int64)
    first_run = np.array([s for s, n in _spans(agents) for _ in range(n)], np.int64)
    known = np.empty(len(run), np.int64)
    for first, n in _spans(agents):
        mine = slice(*np.searchsorted(run, [first, first + n]))
        learned = known_runs(np.array(ends[first : first + n], np.int64), started[mine], run[mine] - first)
        known[mine] = first + learned
    requests = Requests(started, run, np.array(rows.call, np.int64), known, np.array(rows.usage, np.int64))
    return History(
        observations=_observations(runs, rows, pool, by_profile, [key for _, key in names]),
        profiles=tuple(Profile(agent_id, key, rules[agent_id]) for agent_id, key in names),
        requests=Requests(*(column[by_profile] for column in requests)),
        run_ids=[runs.records[position].id for position in order],
        first_run=first_run,
        caveats=caveats,
    )


def _spans(agents: Sequence[str]) -> list[tuple[int, int]]:
    """Return first run and number of runs of each agent."""
    counts = [sum(1 for _ in group) for _, group in groupby(agents)]
    return list(zip(offsets(counts)[:-1].tolist(), counts, strict=True))


def _observations(
    runs: Runs, rows: _Rows, pool: BlockPool, by_profile: NDArray[np.int64], keys: Sequence[str]
) -> ObservationColumns:
    lengths = np.array(rows.lengths, np.int64)
    begins, taken = offsets(lengths)[:-1], lengths[by_profile]
    block_offsets = offsets(taken)
    number = np.arange(block_offsets[-1]) - np.repeat(block_offsets[:-1], taken)
    codes = np.array(rows.blocks, np.int32)[np.repeat(begins[by_profile], taken) + number]
    spans, contents, forms = (column[codes] for column in pool.columns())
    n, calls = len(by_profile), [rows.calls[row] for row in by_profile.tolist()]
    profile = np.bincount(np.array(rows.profile, np.int64), minlength=len(keys))
    order = [rows.profiles[name] for name in sorted(rows.profiles, key=lambda name: (name[1], name[0]))]
    return ObservationColumns(
        keys=tuple(keys),
        window_offsets=offsets(profile[order] if order else []),
        block_offsets=block_offsets,
        ir_ids=[""] * n,
        request_hashes=RequestHashes(runs, calls),
        created=Times(np.array(rows.started, np.int64)[by_profile], {}),
        headers=np.zeros(n, np.int32),
        spans=spans,
        contents=contents,
        forms=forms,
        indexes=number.astype(np.uint32),
        span_pool=list(pool.spans),
        content_pool=list(pool.contents),
        form_pool=list(pool.forms),
        header_pool=[Header(None, None, None)],
    )
