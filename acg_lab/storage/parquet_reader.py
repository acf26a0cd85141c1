"""From the tables of an export (`acg_lab.storage.parquet_schema`) to columns.

An export may have been edited, so rows that are missing, duplicated or out of order raise `RecordError`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from acg_lab.core.codec import decode
from acg_lab.core.errors import RecordError
from acg_lab.core.records import (
    AnnotatedLlmRequest,
    BlockStability,
    CallRecord,
    Exchange,
    RunRecord,
    StabilityAnalysisResult,
    Usage,
)
from acg_lab.core.rules import RulesName
from acg_lab.core.strict_json import DECODE_ERRORS
from acg_lab.storage.base import EVERYTHING, Selection
from acg_lab.storage.columns import Columns, Origin
from acg_lab.storage.lazy import JsonPool, LazyMapping
from acg_lab.storage.limits import Limits
from acg_lab.storage.observation_columns import Codes, Form, Header, ObservationColumns, offsets
from acg_lab.storage.parquet_schema import (
    COUNTS,
    EMPTY_WINDOWS,
    GIVEN_RULES,
    KEY_PREFIX,
    ORIGIN,
    Tables,
    check_values,
    read_codes,
    read_numbers,
    read_texts,
    read_times,
)
from acg_lab.storage.recorded_runs import Body, Call, Runs

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["from_tables", "read_empty_windows"]


def from_tables(tables: Tables, selection: Selection = EVERYTHING) -> Columns:
    """Return the columns of the selected rows of an export's tables.

    Raises
    ------
    RecordError
        If rows are missing, duplicated or out of order, or production cannot store a value. The path of the error names
        the table.
    """
    check_values(tables)
    _check_blocks_of_requests(tables, selection.limits)
    calls, messages = _own_messages(tables["calls"], tables["messages"], is_part=selection.wants_some_runs)
    runs = _read_runs(tables["runs"], calls, messages)
    empty = list(filter(selection.wants_key, read_empty_windows(tables["observations"])))
    origin = _read_origin(tables["observations"])
    observations = _read_observations(tables, empty)
    return Columns(
        observations=replace(observations, is_redacted=origin.is_redacted, is_partly_redacted=bool(origin.redacted)),
        results=_read_results(tables["stability"], tables["scores"]),
        runs=replace(runs, is_redacted=origin.is_redacted),
        key_prefix=_read_metadata(tables["observations"], KEY_PREFIX, str),
        rules=_read_metadata(tables["observations"], GIVEN_RULES, dict[str, tuple[RulesName, str, bool]]) or {},
        origin=origin,
    )


def _check_blocks_of_requests(tables: "Mapping[str, pa.Table]", limits: Limits) -> None:
    import pyarrow.compute as pc

    lengths = {
        "observations": ("blocks", pc.max(tables["observations"]["n_blocks"]).as_py()),
        "calls": ("messages", pc.max(pc.list_value_length(tables["calls"]["message_ids"])).as_py()),
    }
    for table, (what, most) in lengths.items():
        limits.check_blocks(most or 0, what, table)


def read_empty_windows(rows: "pa.Table") -> Sequence[str]:
    """Return the keys of the windows without observations, from the table of observations."""
    return _read_metadata(rows, EMPTY_WINDOWS, list[str]) or ()


def _read_origin(rows: "pa.Table") -> Origin:
    """Return what the metadata say of where the contents come from."""
    known: dict[str, Any] = {
        "learned_here": bool,
        "caveats": tuple[str, ...],
        "sample_rate": float,
        "redacted": str,
        "only_private": bool,
    }
    stored = _read_metadata(rows, ORIGIN, dict[str, Any]) or {}
    try:
        return Origin(**{name: msgspec.convert(stored[name], kind) for name, kind in known.items() if name in stored})
    except msgspec.ValidationError:
        _expect("observations", f"known values in the metadata {ORIGIN.decode()!r}", met=False)
        raise


def _expect(table: str, reason: str, *, met: bool) -> None:
    if not met:
        msg = f"expected {reason}; export the source again, or keep whole windows and whole runs"
        raise RecordError(msg, path=table)


def _read_observations(tables: Tables, empty: Sequence[str]) -> ObservationColumns:
    rows, blocks = tables["observations"], tables["blocks"]
    codes, names = read_codes(rows, "key")
    keys = tuple(sorted({*(names[code] for code in np.unique(codes)), *empty}))
    number = {key: i for i, key in enumerate(keys)}
    windows = np.array([number.get(name, -1) for name in names], np.int64)[codes] if names else codes
    counts = np.bincount(windows, minlength=len(keys))
    lengths = read_numbers(rows, "n_blocks").astype(np.int64)
    _check_order(rows, windows, counts)
    _check_blocks(blocks, windows, lengths, keys, read_numbers(rows, "position"))
    headers, header_pool = _combine([read_codes(rows, name) for name in Header._fields])
    forms, form_pool = _combine([read_codes(blocks, name) for name in Form._fields])
    spans, span_pool = read_codes(blocks, "span_id")
    return ObservationColumns(
        keys=keys,
        window_offsets=offsets(counts),
        block_offsets=offsets(lengths),
        ir_ids=rows["ir_id"].to_pylist(),
        request_hashes=rows["source_request_hash"].to_pylist(),
        created=read_times(rows, "created_at"),
        headers=headers,
        spans=spans,
        contents=read_numbers(blocks, "content"),
        forms=forms,
        indexes=read_numbers(blocks, "sequence_index").astype(np.uint32, copy=False),
        span_pool=span_pool,
        content_pool=tables.contents,
        form_pool=[Form(*texts) for texts in form_pool],
        header_pool=[Header(*texts) for texts in header_pool],
    )


def _read_metadata(rows: "pa.Table", name: bytes, kind: Any) -> Any:
    """Return the value of a name in the metadata, or None."""
    raw = (rows.schema.metadata or {}).get(name)
    value, met = None, raw is None
    with suppress(*DECODE_ERRORS):
        value, met = raw and (raw.decode() if kind is str else msgspec.json.decode(raw, type=kind)), True
    _expect("observations", f"known values in the metadata {name.decode()!r}", met=met)
    return value


def _count_up(owners: Iterable[Any], numbers: Sequence[int]) -> bool:
    """Return whether the numbers of each owner count up from 0."""
    seen: Counter[Any] = Counter()
    for owner, number in zip(owners, numbers, strict=True):
        if number != seen[owner]:
            return False
        seen[owner] += 1
    return True


def _check_order(rows: "pa.Table", windows: Any, counts: Any) -> None:
    expected = np.arange(len(windows)) - offsets(counts)[:-1][windows] if len(windows) else windows
    met = np.all(np.diff(windows) >= 0) and np.array_equal(expected, read_numbers(rows, "position"))
    _expect("observations", "the rows of each window together, in order, from position 0 on", met=bool(met))


def _check_blocks(blocks: "pa.Table", windows: Any, lengths: Any, keys: tuple[str, ...], positions: Any) -> None:
    codes, names = read_codes(blocks, "key")
    number = {key: i for i, key in enumerate(keys)}
    of_block = np.array([number.get(name, -1) for name in names], np.int64)[codes] if names else codes
    matches = len(of_block) == lengths.sum() and (
        np.array_equal(of_block, np.repeat(windows, lengths))
        and np.array_equal(read_numbers(blocks, "position"), np.repeat(positions, lengths))
        and np.array_equal(
            read_numbers(blocks, "block"), np.arange(lengths.sum()) - np.repeat(offsets(lengths)[:-1], lengths)
        )
    )
    _expect("blocks", "the blocks of each observation, in its order, as many as it says", met=matches)


def _combine(columns: Sequence[tuple[Any, list[str]]]) -> tuple[Any, list[tuple[str | None, ...]]]:
    """Return one code per row for several coded columns together, and their texts by code."""
    whole = np.zeros(len(columns[0][0]), np.int64)
    for codes, pool in columns:
        whole = whole * (len(pool) + 1) + codes + 1
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    texts = [tuple(None if codes[row] < 0 else pool[codes[row]] for codes, pool in columns) for row in first.tolist()]
    return inverse.astype(np.int32), texts


def _read_results(stability: "pa.Table", scores: "pa.Table") -> Mapping[str, StabilityAnalysisResult]:
    codes, names = read_codes(scores, "key")
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    bounds = np.append(starts, len(codes))
    ranks = np.arange(len(codes)) - np.repeat(starts, np.diff(bounds))
    met = len(np.unique(codes)) == len(starts) and np.array_equal(ranks, read_numbers(scores, "rank"))
    _expect("scores", "the scores of each key together, in order, from rank 0 on", met=met)
    slices = {names[codes[first]]: (int(first), int(last)) for first, last in zip(starts, bounds[1:], strict=True)}
    rows = {row.pop("key"): row for row in stability.drop_columns(["agent_id", "is_seed"]).to_pylist()}
    _expect(
        "stability",
        "one row for every key that has scores",
        met=slices.keys() <= rows.keys() and len(rows) == len(stability),
    )
    columns = scores.drop_columns(["key", "agent_id", "rank"])

    def result(key: str) -> StabilityAnalysisResult:
        first, last = slices.get(key, (0, 0))
        of_key = columns.slice(first, last - first).to_pylist()
        judged = tuple(BlockStability(**row | {"unknown": _parse(row, "unknown") or {}}) for row in of_key)
        return StabilityAnalysisResult(scores=judged, **rows[key] | {"unknown": _parse(rows[key], "unknown") or {}})

    return LazyMapping(rows, result)


def _parse(row: Mapping[str, Any], name: str) -> Any:
    """Return the value of a JSON column, or None for null."""
    return None if row[name] is None else msgspec.json.decode(row[name])


def _own_messages(calls: "pa.Table", messages: "pa.Table", *, is_part: bool) -> "tuple[pa.Table, JsonPool]":
    """Return the calls with positions in the list of messages instead of ids, and that list."""
    import pyarrow as pa

    known = read_numbers(messages, "message_id")
    met = bool(np.all(np.diff(known) > 0)) if is_part else np.array_equal(known, np.arange(len(known)))
    _expect("messages", "every message_id from 0 on, in order", met=met)
    for name in ("message_ids", "body_item_ids"):
        column = calls[name].combine_chunks()
        ids = column.flatten().fill_null(-1).to_numpy(zero_copy_only=False)
        positions = np.searchsorted(known, ids)
        met = not len(ids) or (positions.max() < len(known) and np.array_equal(known[positions], ids))
        _expect("messages", "a row for every message of a call", met=bool(met))
        if is_part:
            starts = column.offsets.to_numpy() - (column.offsets[0].as_py() if len(column) else 0)
            own = pa.ListArray.from_arrays(pa.array(starts, pa.int32()), positions.astype(np.int32))
            calls = calls.set_column(calls.column_names.index(name), name, own)
    return calls, JsonPool(messages["json"].cast(pa.binary()).to_pylist())


def _read_runs(runs: "pa.Table", calls: "pa.Table", messages: JsonPool) -> Runs:
    met = _count_up(read_texts(runs, "agent_id"), runs["position"].to_pylist())
    _expect("runs", "the runs of each agent in order, from position 0 on", met=met)
    of_runs = [*zip(read_texts(calls, "agent_id"), read_texts(calls, "run_id"), strict=True)]
    met = _count_up(of_runs, calls["call"].to_pylist())
    _expect("calls", "the calls of each run in order, from call 0 on", met=met)
    values = JsonPool()
    of_run: dict[tuple[str, str], list[Call]] = {}
    for run, call in zip(of_runs, _read_calls(calls, values), strict=True):
        of_run.setdefault(run, []).append(call)
    started, ended = read_times(runs, "started_at").texts(), read_times(runs, "ended_at").texts()
    records = [
        RunRecord(
            id=row["run_id"],
            agent_id=row["agent_id"],
            calls=(),
            started_at=started[i] or "",
            ended_at=ended[i],
            unknown=_parse(row, "unknown") or {},
        )
        for i, row in enumerate(runs.select(["agent_id", "run_id", "unknown"]).to_pylist())
    ]
    found = [of_run.pop((record.agent_id, record.id), []) for record in records]
    _expect("calls", "calls of runs that have a row in runs", met=not of_run)
    return Runs(records=records, calls=found, messages=messages, values=values)


def _read_calls(table: "pa.Table", values: JsonPool) -> Iterator[Call]:
    tools, responses = (_pooled(table, name, values) for name in ("tools", "response"))
    started, ended = read_times(table, "started_at").texts(), read_times(table, "ended_at").texts()
    messages, exchanges = _read_lists(table, "message_ids"), _read_exchanges(table, values)
    metadata, unknown = _parsed(table, "metadata_snapshot"), _parsed(table, "unknown")
    requests = _read_requests(table)
    names = ("kind", "name", "model_name", *COUNTS)
    columns = [(table[name].to_pylist() if name in COUNTS else read_texts(table, name)) for name in names]
    for i, row in enumerate(zip(*columns, strict=True)):
        exchange, body = exchanges[i]
        record = CallRecord(
            **dict(zip(names, row, strict=True)),
            started_at=started[i] or "",
            ended_at=ended[i],
            metadata_snapshot=metadata[i],
            unknown=unknown[i] or {},
            exchange=exchange,
        )
        yield Call(record, requests[i], messages[i], int(tools[i]), int(responses[i]), body)


def _read_lists(table: "pa.Table", name: str) -> list[Codes]:
    """Return a column of lists of codes; null is an empty list."""
    column = table[name].combine_chunks()
    bounds = column.offsets.to_numpy() - (column.offsets[0].as_py() if len(column) else 0)
    codes = column.flatten().to_numpy(zero_copy_only=False).astype(np.int32)
    return [codes[first:last] for first, last in pairwise(bounds.tolist())]


def _read_exchanges(table: "pa.Table", values: JsonPool) -> list[tuple[Exchange | None, Body | None]]:
    """Return what passed between application and provider in each call, and the codes of its texts."""
    if table["api"].null_count == len(table):
        return [(None, None)] * len(table)
    codes = [_pooled(table, f"body_{name}", values) for name in ("head", "tools", "system")]
    codes.append(_pooled(table, "raw_response", values))
    items, first_tokens = _read_lists(table, "body_item_ids"), read_times(table, "first_token_at").texts()
    usages, texts = read_codes(table, "usage")
    decoded = [decode(Usage, text.encode()) for text in texts]
    metadata = _parsed(table, "exchange_metadata")
    found: list[tuple[Exchange | None, Body | None]] = []
    columns = [read_texts(table, name) for name in ("api", "body_items_in", "error")]
    for i, (api, name, error, request_id) in enumerate(zip(*columns, table["request_id"].to_pylist(), strict=True)):
        head, tools, system, response = (int(column[i]) for column in codes)
        body = None if head < 0 else Body(head, name or "", items[i], tools, system, response)
        exchange = api and Exchange(
            api=api,
            request={},
            usage=None if usages[i] < 0 else decoded[usages[i]],
            first_token_at=first_tokens[i],
            error=error,
            request_id=request_id,
            metadata=metadata[i] or {},
        )
        found.append((exchange, body))
    return found


def _read_requests(table: "pa.Table") -> list[AnnotatedLlmRequest | None]:
    """Return the requests without messages; equal ones are one object, since their instructions may be long."""
    columns = [read_codes(table, f"request_{name}") for name in ("model", "params", "tool_choice", "unknown")]
    whole, texts = _combine(columns)
    heads = [
        AnnotatedLlmRequest(
            messages=(),
            model=model,
            params=params and msgspec.json.decode(params),
            tool_choice=choice and msgspec.json.decode(choice),
            unknown=msgspec.json.decode(unknown) if unknown else {},
        )
        for model, params, choice, unknown in texts
    ]
    there = table["has_request"].to_pylist()
    return [heads[code] if is_there else None for code, is_there in zip(whole.tolist(), there, strict=True)]


def _parsed(table: "pa.Table", name: str) -> list[Any]:
    """Return the values of a coded JSON column. Equal texts share one value, which must never be changed."""
    codes, texts = read_codes(table, name)
    values = {code: msgspec.json.decode(texts[code]) for code in set(codes.tolist()) - {-1}}
    return list(map(values.get, codes.tolist()))


def _pooled(table: "pa.Table", name: str, values: JsonPool) -> Any:
    """Add the texts of a coded column to the pool, and return the codes of its rows."""
    codes, texts = read_codes(table, name)
    first = len(values)
    values.texts.extend(text.encode() for text in texts)
    return np.where(codes < 0, -1, codes + first)
