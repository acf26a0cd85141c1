"""Take columns apart by agent, and join parts: the same windows, results and runs, whatever way they were cut.

Parts are joined in order, so that the runs of an agent stay in the order of its index. A run that several parts hold
counts once, where it is first; a window or result, where it is last.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Final, TypeVar

import numpy as np

from acg_lab.core.keys import Owner, assign_agents
from acg_lab.storage.columns import Columns, Origin
from acg_lab.storage.lazy import JsonPool, LazyMapping
from acg_lab.storage.observation_columns import Codes, ObservationColumns, offsets
from acg_lab.storage.recorded_runs import Call, Runs
from acg_lab.storage.times import Times

__all__ = ["assign_owners", "join_columns", "keep_windows", "split_by_agent"]

T = TypeVar("T")
_UNLIKE: Final = (
    "not all pieces are redacted with one salt, so a text of one piece does not match the same text of another"
)


def assign_owners(columns: Columns) -> Mapping[str, Owner]:
    """Return the agent of each key."""
    agents = {run.agent_id for run in columns.runs.records}
    return assign_agents({*columns.observations.keys, *columns.results}, agents)


def split_by_agent(columns: Columns, owners: Mapping[str, Owner]) -> Iterator[tuple[str, Columns]]:
    """Yield each agent, sorted, with the columns of it alone. ``owners`` has the agent of each key."""
    keys: dict[str, set[str]] = {}
    runs: dict[str, list[int]] = {}
    for key, owner in owners.items():
        keys.setdefault(owner.agent_id, set()).add(key)
    for i, run in enumerate(columns.runs.records):
        runs.setdefault(run.agent_id, []).append(i)
    for agent_id in sorted(keys.keys() | runs):
        own = keys.get(agent_id, set())
        part = keep_windows(columns, own.__contains__, own)
        yield agent_id, replace(part, runs=columns.runs.take(runs.get(agent_id, ())))


def keep_windows(columns: Columns, wants: Callable[[str], bool], among: Iterable[str] | None = None) -> Columns:
    """Return columns with the wanted windows and results only. ``among`` names some keys, if few may be wanted."""
    observations, results = columns.observations, columns.results
    kept = sorted(key for key in (observations.keys if among is None else among) if wants(key))
    windows = [key for key in kept if key in observations.number]
    rows = [np.arange(0), *(np.array(observations.observations_of(observations.number[key])) for key in windows)]
    judged = sorted(key for key in (results if among is None else kept) if key in results and wants(key))
    return replace(
        columns,
        observations=observations.take(np.concatenate(rows).astype(np.int64), windows),
        results=LazyMapping(judged, results.__getitem__),
    )


def join_columns(parts: Sequence[Columns]) -> Columns:
    """Return one source that holds what all parts hold, the oldest part first."""
    if len(parts) == 1:
        return parts[0]
    prefixes = [part.key_prefix for part in parts if part.key_prefix is not None]
    results = {key: part.results for part in parts for key in part.results}
    observations = _join_observations([part.observations for part in parts])
    rules = {key: rule for part in parts for key, rule in part.rules.items() if key in observations.number}
    return Columns(
        observations=observations,
        results=LazyMapping(results, lambda key: results[key][key]),
        runs=_join_runs([part.runs for part in parts]),
        key_prefix=prefixes[-1] if prefixes else None,
        rules=rules,
        origin=_join_origins(parts),
    )


def _join_origins(parts: Sequence[Columns]) -> Origin:
    origins = [part.origin for part in parts]
    caveats = dict.fromkeys(chain.from_iterable(origin.caveats for origin in origins))
    rates = {origin.sample_rate for origin in origins}
    rate = rates.pop()
    if rates:
        calls = [sum(map(len, part.runs.calls)) for part in parts]
        calls = calls if any(calls) else [1] * len(parts)
        rate = sum(calls) / sum(n / origin.sample_rate for n, origin in zip(calls, origins, strict=True))
        caveats[f"the pieces hold different shares of the traffic, together {rate:.4g}"] = None
    salts = dict.fromkeys(origin.redacted for origin in origins)
    if len(salts) > 1:
        caveats[_UNLIKE] = None
    learned = any(part.origin.learned_here and part.observations.keys for part in parts)
    only_private = bool(any(salts)) and not any(origin.is_redacted for origin in origins)
    return Origin(learned, tuple(caveats), rate, next((salt for salt in salts if salt), ""), only_private)


class _Pool(dict[T, int]):
    """Codes by value, assigned in order of appearance."""

    def __missing__(self, value: T) -> int:
        code = self[value] = len(self)
        return code

    def codes(self, values: Iterable[T]) -> Codes:
        """Return the codes of values."""
        return np.array([self[value] for value in values], np.int32)


def _renumber(pools: Sequence[Sequence[T]], codes: Sequence[Codes]) -> tuple[list[T], Codes]:
    """Return one pool for several, of what is in use, and all codes in it."""
    joined = _Pool[T]()
    renumbered = []
    for pool, own in zip(pools, codes, strict=True):
        used, inverse = np.unique(own, return_inverse=True)
        renumbered.append(joined.codes(pool[code] for code in used.tolist())[inverse])
    return list(joined), np.concatenate(renumbered)


def _join_observations(parts: Sequence[ObservationColumns]) -> ObservationColumns:
    parts = [part for part in parts if part.keys] or list(parts[:1])
    spans, contents, forms, headers = (
        _renumber([getattr(part, f"{name}_pool") for part in parts], [getattr(part, codes) for part in parts])
        for name, codes in (("span", "spans"), ("content", "contents"), ("form", "forms"), ("header", "headers"))
    )
    window_sizes = np.concatenate([np.diff(part.window_offsets) for part in parts])
    joined = ObservationColumns(
        keys=tuple(chain.from_iterable(part.keys for part in parts)),
        window_offsets=offsets(window_sizes),
        block_offsets=offsets(np.concatenate([np.diff(part.block_offsets) for part in parts])),
        ir_ids=list(chain.from_iterable(part.ir_ids for part in parts)),
        request_hashes=list(chain.from_iterable(part.request_hashes for part in parts)),
        created=_join_times([part.created for part in parts]),
        headers=headers[1],
        spans=spans[1],
        contents=contents[1],
        forms=forms[1],
        indexes=np.concatenate([part.indexes for part in parts]),
        span_pool=spans[0],
        content_pool=contents[0],
        form_pool=forms[0],
        header_pool=headers[0],
        is_redacted=any(part.is_redacted for part in parts),
        is_partly_redacted=any(part.is_partly_redacted for part in parts),
    )
    keys = sorted(joined.number)
    rows = [np.arange(0), *(np.array(joined.observations_of(joined.number[key])) for key in keys)]
    return joined.take(np.concatenate(rows).astype(np.int64), keys)


def _join_times(parts: Sequence[Times]) -> Times:
    placed = zip(parts, offsets([len(part.nanoseconds) for part in parts]).tolist()[:-1], strict=True)
    spelled = {row + start: text for part, start in placed for row, text in part.spelled.items()}
    return Times(np.concatenate([part.nanoseconds for part in parts]), spelled)


def _join_runs(parts: Sequence[Runs]) -> Runs:
    """Return the runs of all parts by agent, in order of agents, then of parts."""
    places = [(run.agent_id, run.id, part, i) for part, runs in enumerate(parts) for i, run in enumerate(runs.records)]
    first: dict[tuple[str, str], tuple[int, int]] = {}
    for agent_id, run_id, part, i in sorted(places, key=lambda place: (place[0], place[2], place[3])):
        first.setdefault((agent_id, run_id), (part, i))
    messages, values = _Pool[bytes](), _Pool[bytes]()
    codes = [(messages.codes(runs.messages.texts), values.codes(runs.values.texts)) for runs in parts]
    return Runs(
        records=[parts[part].records[i] for part, i in first.values()],
        calls=[[_renumbered(call, *codes[part]) for call in parts[part].calls[i]] for part, i in first.values()],
        messages=JsonPool(messages),
        values=JsonPool(values),
        is_redacted=any(runs.is_redacted for runs in parts),
    )


def _renumbered(call: Call, messages: Codes, values: Codes) -> Call:
    def value(code: int) -> int:
        return code if code < 0 else int(values[code])

    body: Any = call.body and call.body._replace(
        head=value(call.body.head),
        items=messages[call.body.items],
        tools=value(call.body.tools),
        system=value(call.body.system),
        response=value(call.body.response),
    )
    return call._replace(
        messages=messages[call.messages], tools=value(call.tools), response=value(call.response), body=body
    )
