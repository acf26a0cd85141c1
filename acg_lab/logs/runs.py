"""Calls of a log to run records: by the ids of the log, else by which request continues which.

Order is by start where the log has times, else by line; a time that the log does not hold stays absent (an empty text).
Whatever was inferred is counted, for ``snapshot.caveats``.
"""

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab._format import counted
from acg_lab.core.codec import parse_time
from acg_lab.core.records import RunRecord
from acg_lab.logs.call_table import CallTable, Row
from acg_lab.logs.continuations import OpenRuns
from acg_lab.logs.entries import LoggedRun
from acg_lab.storage.recorded_runs import Call, Runs

__all__ = ["LoggedRuns", "group_runs"]

_NAMESPACE = uuid.UUID("6f1d4b0e-6c0f-4e5c-9a53-0b6d2a1f7c11")
_NOTHING: Mapping[str, Any] = {}
_RETRY_NANOSECONDS = 10**9
_MAX_RECENT = 10_000


class LoggedRuns(NamedTuple):
    """Runs of a log.

    Attributes
    ----------
    runs : Runs
        By agent, of each in the order in which they began.
    recorded : list of list of bool
        Of each call of each run, whether the runtime itself recorded its annotated request.
    caveats : tuple of str
        What was inferred, and what the log does not hold.
    """

    runs: Runs
    recorded: Sequence[Sequence[bool]]
    caveats: tuple[str, ...]


class _Run:
    """A run while its calls come in."""

    __slots__ = ("agent_id", "id", "rows")

    def __init__(self, run_id: str, agent_id: str) -> None:
        self.id, self.agent_id = run_id, agent_id
        self.rows: list[Row] = []


def group_runs(table: CallTable, said: Mapping[str, LoggedRun], default_agent: str) -> LoggedRuns:
    """Make runs of the calls of a log.

    Parameters
    ----------
    table : CallTable
    said : mapping of str to LoggedRun
        What the log says of runs, by id.
    default_agent : str
        For calls without one.
    """
    messages, values = table.finish()
    found, inferred = _assign(table, said, default_agent)
    found.sort(key=lambda run: run.agent_id)
    records = [_record(run, said.get(run.id)) for run in found]
    runs = Runs(
        records=records, calls=[tuple(row.call for row in run.rows) for run in found], messages=messages, values=values
    )
    shared: dict[tuple[bool, ...], tuple[bool, ...]] = {}
    flags = (tuple(row.is_recorded for row in run.rows) for run in found)
    recorded = [shared.setdefault(of_run, of_run) for of_run in flags]
    return LoggedRuns(runs, recorded, tuple(_caveats(table, inferred, default_agent)))


def _assign(table: CallTable, said: Mapping[str, LoggedRun], default_agent: str) -> tuple[list[_Run], Counter[str]]:
    """Give each call its run; return the runs in the order in which they began."""
    named: dict[tuple[str, str], _Run] = {}
    found: list[_Run] = []
    open_runs, inferred = OpenRuns(), Counter[str]()
    for position in _order(table.rows).tolist():
        row = table.rows[position]
        run_id = row.run_id
        agent_id = row.agent_id or (said[run_id].agent_id if run_id is not None and run_id in said else None)
        inferred["agent"] += agent_id is None
        agent_id = agent_id or default_agent
        if run_id is not None:
            run = named.get((agent_id, run_id))
            if run is None:
                run = named[agent_id, run_id] = _Run(run_id, agent_id)
                found.append(run)
        else:
            inferred["run"] += 1
            codes = _conversation(table, row.call)
            number = open_runs.find(agent_id, codes)
            if number is None:
                number = len(found)
                found.append(_Run(str(uuid.uuid5(_NAMESPACE, f"{row.file}:{position}")), agent_id))
            run = found[number]
            open_runs.put(agent_id, codes, number)
        run.rows.append(row)
    return found, inferred


def _order(rows: Sequence[Row]) -> NDArray[np.int64]:
    """Return the positions of calls by start; one without follows the one before it in the log."""
    last = 0
    starts = np.zeros(len(rows), np.int64)
    for i, row in enumerate(rows):
        started = row.call.record.started_at
        starts[i] = last = parse_time(started) if started else last
    return np.argsort(starts, kind="stable")


def _conversation(table: CallTable, call: Call) -> list[int]:
    """Return the messages of a request but for instructions, equal ones by one code."""
    texts = table.texts
    codes: list[int] = call.messages.tolist()
    if texts.instructions:
        codes = [code for code in codes if code not in texts.instructions]
    if texts.identities:
        codes = [texts.identities.get(code, code) for code in codes]
    return codes


def _record(run: _Run, said: LoggedRun | None) -> RunRecord:
    records = [row.call.record for row in run.rows]
    started = said.started_at if said and said.started_at else records[0].started_at
    ended = said.ended_at if said else None
    if ended is None:
        ends = [record.ended_at or record.started_at for record in records]
        ended = max((end for end in ends if end), key=parse_time, default=None)
    return RunRecord(id=run.id, agent_id=run.agent_id, calls=(), started_at=started, ended_at=ended, unknown=_NOTHING)


def _caveats(table: CallTable, inferred: Counter[str], default_agent: str) -> Iterator[str]:
    n = len(table.rows)
    if inferred["run"]:
        how = "runs are inferred from which request continues which"
        yield f"{_share(inferred['run'], n)} named no run or session: {how}"
    if inferred["agent"]:
        yield f"{_share(inferred['agent'], n)} named no agent: taken as {default_agent!r}"
    without = sum(not row.call.record.started_at for row in table.rows)
    if without:
        yield f"{_share(without, n)} had no time: taken in the order of lines"
    answered = sum(_has_usage(row) for row in table.rows)
    failed = sum(_is_failed(row) for row in table.rows)
    if failed:
        yield f"{_share(failed, n)} failed: kept, without usage"
    if silent := n - answered - failed:
        yield f"{_share(silent, n)} had no usage"
    yield from _lacks(table)
    if table.n_duplicates:
        yield f"{counted(table.n_duplicates, 'duplicate')} left out: same id and same request"
    if table.n_shared_ids:
        yield f"{counted(table.n_shared_ids, 'request')} had the id of another one: kept, the id not used"
    if retries := _count_retries(table.rows):
        yield f"{counted(retries, 'request')} repeated the one before within a second: kept, taken as retries"


def _lacks(table: CallTable) -> Iterator[str]:
    """Yield what of the prompts the log does not hold."""
    if count := table.n_continued:
        share = _share(count, len(table.rows))
        yield f"{share} continued what the provider keeps: what stands before is not in the log"
    if count := len(table.texts.with_files):
        what = counted(count, "distinct message")
        yield f"{what} with files of 100 kB or more: hash and size stand for them, also in blocks and estimated tokens"


def _share(count: int, total: int) -> str:
    if count < total:
        return f"{count:,} of {counted(total, 'request')}"
    return f"all {total:,} requests" if total > 1 else "the only request"


def _has_usage(row: Row) -> bool:
    exchange = row.call.record.exchange
    return exchange is not None and exchange.usage is not None


def _is_failed(row: Row) -> bool:
    exchange = row.call.record.exchange
    return exchange is not None and exchange.error is not None


def _count_retries(rows: Sequence[Row]) -> int:
    """Count the bodies that came twice within a second, without ids to tell them apart."""
    last: dict[tuple[int, int, bytes], int] = {}
    n = 0
    for row in rows:
        body, record = row.call.body, row.call.record
        if body is None or not record.started_at or (record.exchange and record.exchange.request_id):
            continue
        key = body.head, body.tools, body.items.tobytes()
        started = parse_time(record.started_at)
        n += abs(started - last.get(key, started - 2 * _RETRY_NANOSECONDS)) <= _RETRY_NANOSECONDS
        last[key] = started
        if len(last) > _MAX_RECENT:
            last = {key: time for key, time in last.items() if abs(started - time) <= _RETRY_NANOSECONDS}
    return n
