"""From columns to the tables of an export (`acg_lab.storage.parquet_schema`)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec
import numpy as np

from acg_lab.core.codec import encode
from acg_lab.core.keys import Owner
from acg_lab.core.records import Exchange, Record, RunRecord, StabilityAnalysisResult
from acg_lab.core.strict_json import parse_strict
from acg_lab.storage.columns import Columns, Origin
from acg_lab.storage.lazy import JsonPool
from acg_lab.storage.observation_columns import Codes, Form, Header, ObservationColumns
from acg_lab.storage.parquet_schema import (
    CODED,
    COUNTS,
    EMPTY_WINDOWS,
    GIVEN_RULES,
    KEY_PREFIX,
    ORIGIN,
    ROWS_PER_GROUP,
    schemas,
)
from acg_lab.storage.recorded_runs import Body, Call, Runs
from acg_lab.storage.times import NO_TIME, Times

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["to_tables"]

# Row groups end between agents, but none is smaller than this: agents share texts, which each group holds again.
_SMALL_GROUP: Final = {"blocks": 1 << 15, "calls": 1 << 12}
_LARGE_GROUP: Final = 1 << 14  # calls of one agent: in the order of its runs, so that times select row groups
_GROUP_BYTES: Final = 4 << 20  # of messages
_GROUP_TEXTS: Final = 8 << 20  # characters of distinct contents, which a reader holds twice for one group at a time

Owners: TypeAlias = Mapping[str, Owner]


def to_tables(columns: Columns, owners: Owners) -> "Iterator[tuple[str, Iterator[pa.Table]]]":
    """Yield name and row groups of every table.

    ``owners`` has the agent of each key, and whether it is a seed entry.
    """
    observations = _table("observations", _observations(columns.observations, owners))
    yield "observations", iter([_with_metadata(observations, columns)])
    yield "blocks", _blocks(columns.observations, owners)
    results = sorted(columns.results.items())
    yield "stability", iter([_table("stability", _stability(results, owners))])
    yield "scores", iter([_table("scores", _scores(results, owners))])
    positions = sorted(range(len(columns.runs)), key=lambda i: columns.runs.records[i].agent_id)
    runs = _compact(columns.runs.take(positions))
    yield "runs", iter([_table("runs", _runs(runs))])
    calls = [
        (run, i, call) for run, of_run in zip(runs.records, runs.calls, strict=True) for i, call in enumerate(of_run)
    ]
    groups = _cut(len(calls), _ends_of_agents([run.agent_id for run, _, _ in calls]))
    yield "calls", (_table("calls", _calls(calls[first:last], runs.values)) for first, last in groups)
    groups = _cut(len(runs.messages), _ends_by_size(runs.messages.texts))
    yield "messages", (_table("messages", _messages(runs.messages, first, last)) for first, last in groups)


def _table(name: str, columns: Mapping[str, Any]) -> "pa.Table":
    import pyarrow as pa

    return pa.table(dict(columns), schema=schemas()[name])


def _with_metadata(table: "pa.Table", columns: Columns) -> "pa.Table":
    """Add to the metadata the windows without rows, the key prefix, and the rules versions that were passed in."""
    source = columns.observations
    empty = [key for key, n in zip(source.keys, np.diff(source.window_offsets), strict=True) if not n]
    metadata = {**(table.schema.metadata or {}), EMPTY_WINDOWS: msgspec.json.encode(empty)}
    if columns.key_prefix is not None:
        metadata[KEY_PREFIX] = columns.key_prefix.encode()
    if columns.origin != Origin():
        metadata[ORIGIN] = msgspec.json.encode(columns.origin._asdict())
    if given := {key: columns.rules[key] for key in source.keys if key in columns.rules}:
        metadata[GIVEN_RULES] = msgspec.json.encode(given)
    return table.replace_schema_metadata(metadata)


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _time_columns(name: str, times: Times) -> dict[str, Any]:
    import pyarrow as pa

    numbers = times.nanoseconds
    spelled = [times.spelled.get(row) for row in range(len(numbers))] if times.spelled else [None] * len(numbers)
    column = pa.array(numbers, mask=numbers == NO_TIME).cast(pa.timestamp("ns", "UTC"))
    return {name: column, f"{name}_text": spelled}


def _observations(source: ObservationColumns, owners: Owners) -> dict[str, Any]:
    counts = np.diff(source.window_offsets)
    whose = [owners[key] for key in source.keys]
    headers = [source.header_pool[code] for code in source.headers]
    return {
        "key": _repeat(source.keys, counts),
        "agent_id": _repeat([agent_id for agent_id, _ in whose], counts),
        "is_seed": _repeat([is_seed for _, is_seed in whose], counts),
        "position": np.concatenate([np.arange(n, dtype=np.int32) for n in counts] or [np.empty(0, np.int32)]),
        "ir_id": source.ir_ids,
        **_time_columns("created_at", source.created),
        "n_blocks": np.diff(source.block_offsets).astype(np.int32),
        "source_request_hash": source.request_hashes,
        **{name: [header[i] for header in headers] for i, name in enumerate(Header._fields)},
    }


def _repeat(values: Sequence[Any], counts: Iterable[int]) -> list[Any]:
    return list(chain.from_iterable([value] * int(n) for value, n in zip(values, counts, strict=True)))


def _blocks(source: ObservationColumns, owners: Owners) -> "Iterator[pa.Table]":
    """Yield row groups of whole windows; each column of texts has one dictionary per row group."""
    import pyarrow as pa

    schema = schemas()["blocks"]
    for name in CODED["blocks"]:
        schema = schema.set(schema.get_field_index(name), pa.field(name, pa.dictionary(pa.int32(), pa.string())))
    agents = [owners[key].agent_id for key in source.keys]
    for first, last in _groups(source, agents):
        observations = slice(int(source.window_offsets[first]), int(source.window_offsets[last]))
        lengths = np.diff(source.block_offsets)[observations]
        rows = slice(int(source.block_offsets[observations.start]), int(source.block_offsets[observations.stop]))
        windows = np.repeat(np.arange(first, last), np.diff(source.window_offsets[first : last + 1]))
        positions = np.arange(observations.start, observations.stop) - source.window_offsets[windows]
        forms = source.forms[rows]
        columns = {
            "key": _coded(np.repeat(windows, lengths), source.keys),
            "agent_id": _coded(np.repeat(windows, lengths), agents),
            "position": np.repeat(positions, lengths).astype(np.int32),
            "block": (np.arange(rows.start, rows.stop) - np.repeat(source.block_offsets[observations], lengths)),
            "span_id": _coded(source.spans[rows], source.span_pool),
            "sequence_index": source.indexes[rows],
            "content": _coded(source.contents[rows], source.content_pool),
            **{n: _coded(forms, [form[i] for form in source.form_pool]) for i, n in enumerate(Form._fields)},
        }
        yield pa.table(columns, schema=schema)


def _cut(length: int, ends: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield where row groups begin and end: a reader who wants one agent can leave out those of others.

    Each is made when its turn comes: there each row has its own texts, which many share here.
    """
    first = 0
    for last in (*ends, length):
        if last > first or not length:
            yield first, last
        first = last


def _ends_of_agents(agents: Sequence[str]) -> Iterator[int]:
    first = 0
    for i, (before, agent_id) in enumerate(pairwise(agents), 1):
        if (agent_id != before and i - first >= _SMALL_GROUP["calls"]) or i - first == _LARGE_GROUP:
            yield i
            first = i


def _ends_by_size(texts: Sequence[bytes]) -> Iterator[int]:
    size = 0
    for i, text in enumerate(texts):
        size += len(text)
        if size >= _GROUP_BYTES:
            yield i + 1
            size = 0


def _groups(source: ObservationColumns, agents: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield where the windows of a row group begin and end."""
    ends = source.block_offsets[source.window_offsets].tolist()
    if not source.keys:
        yield 0, 0  # a table without rows is written, too
    lengths = np.array(list(map(len, source.content_pool)), np.int64)
    group_of = np.full(len(lengths), -1)  # the last group that a content stands in
    first = size = 0
    for i in range(1, len(source.keys) + 1):
        is_last = i == len(source.keys)
        contents = np.unique(source.contents[ends[i - 1] : ends[i]])
        size += int(lengths[contents[group_of[contents] != first]].sum())
        group_of[contents] = first
        if (
            is_last
            or ends[i + 1] - ends[first] > ROWS_PER_GROUP
            or size >= _GROUP_TEXTS
            or (agents[i] != agents[i - 1] and ends[i] - ends[first] >= _SMALL_GROUP["blocks"])
        ):
            yield first, i
            first, size = i, 0


def _coded(codes: Any, pool: Sequence[str | None]) -> "pa.DictionaryArray":
    """Return a dictionary column of the texts in use."""
    import pyarrow as pa

    used, inverse = np.unique(codes, return_inverse=True)
    texts = [pool[code] for code in used.tolist()]
    distinct = {text: i for i, text in enumerate(dict.fromkeys(text for text in texts if text is not None))}
    number = np.array([-1 if text is None else distinct[text] for text in texts], np.int32)
    indices = number[inverse] if len(used) else np.empty(0, np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(indices, mask=indices < 0), pa.array(list(distinct), pa.string()))


def _stability(results: Sequence[tuple[str, StabilityAnalysisResult]], owners: Owners) -> dict[str, Any]:
    return {
        "key": [key for key, _ in results],
        "agent_id": [owners[key].agent_id for key, _ in results],
        "is_seed": [owners[key].is_seed for key, _ in results],
        "stable_prefix_length": [result.stable_prefix_length for _, result in results],
        "total_observations": [result.total_observations for _, result in results],
        "stable_prefix_fingerprint": [result.stable_prefix_fingerprint for _, result in results],
        "unknown": [_json(result.unknown or None) for _, result in results],
    }


def _scores(results: Sequence[tuple[str, StabilityAnalysisResult]], owners: Owners) -> dict[str, Any]:
    rows = [(key, rank, score) for key, result in results for rank, score in enumerate(result.scores)]
    return {
        "key": [key for key, _, _ in rows],
        "agent_id": [owners[key].agent_id for key, _, _ in rows],
        "rank": [rank for _, rank, _ in rows],
        **{
            name: [getattr(score, name) for _, _, score in rows]
            for name in ("span_id", "classification", "score", "confidence", "observation_count")
        },
        "unknown": [_json(score.unknown or None) for _, _, score in rows],
    }


def _runs(runs: Runs) -> dict[str, Any]:
    records = runs.records
    return {
        "agent_id": [run.agent_id for run in records],
        "position": _positions([run.agent_id for run in records]),
        "run_id": [run.id for run in records],
        **_time_columns("started_at", Times.parse([run.started_at or None for run in records])),
        **_time_columns("ended_at", Times.parse([run.ended_at for run in records])),
        "unknown": [_json(run.unknown or None) for run in records],
    }


def _compact(runs: Runs) -> Runs:
    """Drop messages that no call uses: the export of a part of a source must not contain the rest."""
    codes = [codes for calls in runs.calls for call in calls for codes in (call.messages, *(call.body or ())[2:3])]
    used = np.unique(np.concatenate(codes)) if codes else np.empty(0, np.int32)

    def renumber(codes: Codes) -> Codes:
        return np.searchsorted(used, codes).astype(np.int32)

    def renumbered(call: Call) -> Call:
        body = call.body and call.body._replace(items=renumber(call.body.items))
        return call._replace(messages=renumber(call.messages), body=body)

    calls = [list(map(renumbered, of_run)) for of_run in runs.calls]
    messages = JsonPool(runs.messages.texts[code] for code in used.tolist())
    return replace(runs, calls=calls, messages=messages)


def _positions(agents: Sequence[str]) -> list[int]:
    seen: dict[str, int] = {}
    positions = []
    for agent_id in agents:
        seen[agent_id] = seen.get(agent_id, -1) + 1
        positions.append(seen[agent_id])
    return positions


def _calls(rows: Sequence[tuple[RunRecord, int, Call]], values: JsonPool) -> dict[str, Any]:
    records = [call.record for _, _, call in rows]
    requests = [call.request for _, _, call in rows]

    def of_request(name: str) -> list[Any]:
        return [request and getattr(request, name) for request in requests]

    @cache
    def text(code: int) -> str | None:
        return None if code < 0 else values.texts[code].decode()

    return {
        "agent_id": [run.agent_id for run, _, _ in rows],
        "run_id": [run.id for run, _, _ in rows],
        "call": [i for _, i, _ in rows],
        **{name: [getattr(r, name) for r in records] for name in ("kind", "name", "model_name", *COUNTS)},
        **_time_columns("started_at", Times.parse([record.started_at or None for record in records])),
        **_time_columns("ended_at", Times.parse([record.ended_at for record in records])),
        "metadata_snapshot": [_json(record.metadata_snapshot) for record in records],
        "unknown": [_json(record.unknown or None) for record in records],
        "has_request": [request is not None for request in requests],
        "message_ids": [call.messages.tolist() for _, _, call in rows],
        "tools": [text(call.tools) for _, _, call in rows],
        "request_model": of_request("model"),
        "request_params": list(map(_json, of_request("params"))),
        "request_tool_choice": list(map(_json, of_request("tool_choice"))),
        "request_unknown": [_json(unknown or None) for unknown in of_request("unknown")],
        "response": [text(call.response) for _, _, call in rows],
        **_exchanges([(call.record.exchange, call.body) for _, _, call in rows], text),
    }


def _exchanges(
    rows: Sequence[tuple[Exchange | None, Body | None]], text: Callable[[int], str | None]
) -> dict[str, Any]:
    def of_exchange(name: str) -> list[Any]:
        return [exchange and getattr(exchange, name) for exchange, _ in rows]

    def of_body(name: str) -> list[Any]:
        return [None if body is None else text(getattr(body, name)) for _, body in rows]

    return {
        "api": of_exchange("api"),
        "body_head": of_body("head"),
        "body_items_in": [body and body.name for _, body in rows],
        "body_item_ids": [None if body is None else body.items.tolist() for _, body in rows],
        "body_tools": of_body("tools"),
        "body_system": of_body("system"),
        "raw_response": of_body("response"),
        "usage": [exchange and _record(exchange.usage) for exchange, _ in rows],
        **_time_columns("first_token_at", Times.parse(of_exchange("first_token_at"))),
        "error": of_exchange("error"),
        "request_id": of_exchange("request_id"),
        "exchange_metadata": [exchange and _json(exchange.metadata or None) for exchange, _ in rows],
    }


def _record(record: Record | None) -> str | None:
    return None if record is None else encode(record).decode()


def _messages(pool: JsonPool, first: int, last: int) -> dict[str, Any]:
    texts = pool.texts[first:last]
    roles = [parse_strict(text).get("role") for text in texts]  # the pool would keep what it decodes
    return {
        "message_id": np.arange(first, last, dtype=np.int32),
        "role": [role if isinstance(role, str) else None for role in roles],
        "json": [text.decode() for text in texts],
    }
