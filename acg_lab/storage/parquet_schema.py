"""The tables of a Parquet export, version 2, and checks of their values. Version 1 lacks `EXCHANGE_COLUMNS`.

`acg_lab.storage.parquet_writer` fills the tables, `acg_lab.storage.parquet_reader` reads them and checks how their rows
belong together. An export may have been edited, so each column is checked for values that production cannot store.

================ ===================================================================================================
table            one row is
================ ===================================================================================================
``observations`` one observation of a window; ``position`` counts from the oldest
``blocks``       one block of an observation, with its text; ``block`` counts in prompt order
``stability``    one result as stored
``scores``       one span of a result; ``rank`` counts in the order of the result
``runs``         one run; ``position`` counts in the order of the agent's index
``calls``        one call of a run; ``message_ids`` are those of its request, in order
``messages``     one distinct message of the requests, as JSON
================ ===================================================================================================

Windows and results have a ``key``: a learning key or, with ``is_seed``, the agent id under which a copy of the agent's
best profile is stored. JSON columns hold values of any shape. Times are UTC; ``*_text`` has a time that was not stored
in its shortest form. ``unknown`` has the fields that this version does not know.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, get_type_hints

import msgspec
import numpy as np

from acg_lab.core.codec import decode
from acg_lab.core.errors import RecordError
from acg_lab.core.records import BlockStability, CallRecord, PromptBlock, TokenMetadata, ToolSchemaHash, Usage
from acg_lab.core.strict_json import DECODE_ERRORS, raise_record_error
from acg_lab.storage.observation_columns import Form, Header
from acg_lab.storage.times import NO_TIME, Times, parse_time

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "CODED",
    "COUNTS",
    "EMPTY_WINDOWS",
    "EXCHANGE_COLUMNS",
    "EXPORT_ID",
    "GIVEN_RULES",
    "KEY_PREFIX",
    "OPTIONAL",
    "ORIGIN",
    "READABLE",
    "ROWS_PER_GROUP",
    "TABLES",
    "VERSION",
    "Tables",
    "check_values",
    "is_plain",
    "read_codes",
    "read_numbers",
    "read_texts",
    "read_times",
    "schemas",
]

VERSION: Final = "2"
READABLE: Final = ("1", VERSION)
TABLES: Final = ("observations", "blocks", "stability", "scores", "runs", "calls", "messages")

ROWS_PER_GROUP: Final = 1 << 17
# What passed between application and provider, in the table of calls; since version 2.
EXCHANGE_COLUMNS: Final = (
    *("api", "body_head", "body_items_in", "body_item_ids", "body_tools", "body_system", "raw_response"),
    *("usage", "first_token_at", "first_token_at_text", "error", "request_id", "exchange_metadata"),
)
CODED: Final = {
    "observations": ("key", "agent_id", "tool_schema_hashes", "structured_output_schema_id", "unknown"),
    "blocks": (
        *("key", "agent_id", "span_id", "content"),
        *("role", "content_type", "provenance", "sensitivity", "token_metadata", "unknown"),
    ),
    "stability": ("key", "agent_id"),
    "scores": ("key", "agent_id", "span_id", "classification"),
    "runs": ("agent_id",),
    "calls": (
        *("agent_id", "run_id", "kind", "name", "model_name", "metadata_snapshot", "unknown"),
        *("request_model", "request_params", "request_tool_choice", "request_unknown", "tools", "response"),
        *("api", "body_head", "body_items_in", "body_tools", "body_system", "raw_response"),
        *("usage", "error", "exchange_metadata"),
    ),
    "messages": ("role",),
}

COUNTS: Final = ("output_tokens", "prompt_tokens", "total_tokens", "tool_call_count")
# The columns that may contain nulls.
OPTIONAL: Final = {
    "observations": {"created_at", "created_at_text", "source_request_hash", *Header._fields},
    "blocks": {"sensitivity", "token_metadata", "unknown"},
    "stability": {"stable_prefix_fingerprint", "unknown"},
    "scores": {"unknown"},
    "runs": {"started_at", "started_at_text", "ended_at", "ended_at_text", "unknown"},
    "calls": {
        *("started_at", "started_at_text", "ended_at", "ended_at_text", "model_name", *COUNTS),
        *("metadata_snapshot", "unknown", *EXCHANGE_COLUMNS),
        *("tools", "request_model", "request_params", "request_tool_choice", "request_unknown", "response"),
    },
    "messages": {"role"},
}

KEY_PREFIX: Final = b"acg_lab.key_prefix"
ORIGIN: Final = b"acg_lab.origin"
GIVEN_RULES: Final = b"acg_lab.rules"
EXPORT_ID: Final = b"acg_lab.export_id"
EMPTY_WINDOWS: Final = b"acg_lab.empty_windows"


class Tables(dict[str, "pa.Table"]):
    """The rows of an export by table; the column of contents has codes.

    Attributes
    ----------
    contents : list of str
        Their texts.
    """

    def __init__(self, tables: "Mapping[str, pa.Table]", contents: Iterable[str]) -> None:
        super().__init__(tables)
        self.contents = list(contents)


@cache
def schemas() -> "dict[str, pa.Schema]":
    """Return the schema of every table, with dictionary-encoded columns as plain texts."""
    import pyarrow as pa

    text, number, time = pa.string(), pa.int64(), pa.timestamp("ns", "UTC")
    place = {"key": text, "agent_id": text, "is_seed": pa.bool_()}
    started = {"started_at": time, "started_at_text": text, "ended_at": time, "ended_at_text": text}
    fields = {
        "observations": {
            **place,
            "position": pa.int32(),
            "ir_id": text,
            "created_at": time,
            "created_at_text": text,
            "n_blocks": pa.int32(),
            "source_request_hash": text,
            **dict.fromkeys(Header._fields, text),
        },
        "blocks": {
            "key": text,
            "agent_id": text,
            "position": pa.int32(),
            "block": pa.int32(),
            "span_id": text,
            "sequence_index": pa.uint32(),
            "content": text,
            **dict.fromkeys(Form._fields, text),
        },
        "stability": {
            **place,
            "stable_prefix_length": number,
            "total_observations": number,
            "stable_prefix_fingerprint": text,
            "unknown": text,
        },
        "scores": {
            "key": text,
            "agent_id": text,
            "rank": pa.int32(),
            "span_id": text,
            "classification": text,
            "score": pa.float64(),
            "confidence": pa.float64(),
            "observation_count": number,
            "unknown": text,
        },
        "runs": {"agent_id": text, "position": number, "run_id": text, **started, "unknown": text},
        "calls": {
            "agent_id": text,
            "run_id": text,
            "call": pa.int32(),
            "kind": text,
            "name": text,
            **started,
            "model_name": text,
            **dict.fromkeys(COUNTS, number),
            "metadata_snapshot": text,
            "unknown": text,
            "has_request": pa.bool_(),
            "message_ids": pa.list_(pa.int32()),
            "tools": text,
            "request_model": text,
            "request_params": text,
            "request_tool_choice": text,
            "request_unknown": text,
            "response": text,
            "api": text,
            "body_head": text,
            "body_items_in": text,
            "body_item_ids": pa.list_(pa.int32()),
            "body_tools": text,
            "body_system": text,
            "raw_response": text,
            "usage": text,
            "first_token_at": time,
            "first_token_at_text": text,
            "error": text,
            "request_id": text,
            "exchange_metadata": text,
        },
        "messages": {"message_id": pa.int32(), "role": text, "json": text},
    }
    return {
        name: pa.schema(list(columns.items()), {"acg_lab.table": name, "acg_lab.version": VERSION})
        for name, columns in fields.items()
    }


def is_plain(field: "pa.Field") -> bool:
    """Return whether the statistics of a column may be in the footer: numbers, times and names of profiles."""
    import pyarrow.types as pt

    kinds = (pt.is_integer, pt.is_floating, pt.is_boolean, pt.is_timestamp)
    return field.name in ("key", "agent_id") or any(is_kind(field.type) for is_kind in kinds)


_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_objects = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_anything = msgspec.json.Decoder(msgspec.Raw).decode


def _name_in(record: type[msgspec.Struct], field: str) -> Callable[[str], object]:
    kind = get_type_hints(record, include_extras=True)[field]
    return lambda text: msgspec.convert(text, kind)


_TIME_TEXTS: Final = dict.fromkeys(("started_at_text", "ended_at_text", "first_token_at_text"), parse_time)
_CHECKS: Final[Mapping[str, Mapping[str, Callable[[str], object]]]] = {
    "observations": {
        "tool_schema_hashes": lambda text: [decode(ToolSchemaHash, bytes(raw)) for raw in _list(text)],
        "unknown": _object,
        "created_at_text": parse_time,
    },
    "blocks": {
        **{name: _name_in(PromptBlock, name) for name in ("role", "content_type", "provenance", "sensitivity")},
        "token_metadata": lambda text: decode(TokenMetadata, text.encode()),
        "unknown": _object,
    },
    "stability": {"unknown": _object},
    "scores": {"classification": _name_in(BlockStability, "classification"), "unknown": _object},
    "runs": {"unknown": _object, "started_at_text": parse_time, "ended_at_text": parse_time},
    "calls": {
        "kind": _name_in(CallRecord, "kind"),
        **dict.fromkeys(("unknown", "request_unknown", "response", "body_head", "exchange_metadata"), _object),
        "usage": lambda text: decode(Usage, text.encode()),
        "tools": _objects,
        **_TIME_TEXTS,
        **dict.fromkeys(("metadata_snapshot", "request_params", "request_tool_choice"), _anything),
        **dict.fromkeys(("body_tools", "body_system", "raw_response"), _anything),
    },
    "messages": {"json": _object},
}
_COUNTS: Final = {
    "stability": ("stable_prefix_length", "total_observations"),
    "scores": ("observation_count",),
    "calls": COUNTS,
}
_DOUBLES: Final = {"scores": ("score", "confidence")}
# What tells a row from the others of its key.
_PLACE: Final = ("run_id", "call", "position", "block", "rank", "message_id")


def check_values(tables: "Mapping[str, pa.Table]") -> None:
    """Make sure that every column holds what production stores.

    Raises
    ------
    RecordError
        At the first value that is null, unknown, negative, or other JSON than it must be; with key and row.
    """
    for name, table in tables.items():
        for row, column, error in _wrong_values(name, table):
            fields = table.slice(row, 1).to_pylist()[0]
            place = ", ".join(f"{field} {fields[field]!r}" for field in _PLACE if field in fields)
            path = f"{name}[{place}].{column}" if place else f"{name}.{column}"
            raise error.at(key=fields.get("key") or fields.get("agent_id") or "", path=path)


def _wrong_values(name: str, table: "pa.Table") -> Iterator[tuple[int, str, RecordError]]:
    """Yield row, column and error of wrong values, at most one of each kind per column."""
    import pyarrow.compute as pc

    for column in table.column_names:
        if table[column].null_count and column not in OPTIONAL[name]:
            yield pc.index(table[column].is_null(), True).as_py(), column, RecordError("expected a value, got null")
    for column in _COUNTS.get(name, ()):
        is_negative = pc.less(table[column], 0)
        if pc.any(is_negative).as_py():
            yield pc.index(is_negative, True).as_py(), column, RecordError("expected 0 or more, got a negative number")
    for column in _DOUBLES.get(name, ()):
        is_finite = pc.is_finite(table[column])
        if not pc.all(is_finite, min_count=0).as_py():
            yield pc.index(is_finite, False).as_py(), column, RecordError("expected a finite number, got another")
    for column, check in _CHECKS[name].items():
        for row, text in _distinct(table, column):
            try:
                check(text)
            except (*DECODE_ERRORS, RecordError) as error:
                yield row, column, _as_record_error(error)


def _as_record_error(error: Exception) -> RecordError:
    try:
        raise_record_error(error)
    except RecordError as record_error:
        return record_error


def _distinct(table: "pa.Table", column: str) -> Iterator[tuple[int, str]]:
    """Yield the texts of a column with their rows; for a coded column each distinct text once, with its first row."""
    import pyarrow as pa

    if not pa.types.is_dictionary(table.schema.field(column).type):
        row = 0
        for chunk in table[column].chunks if table[column].null_count < len(table) else ():
            yield from ((row + i, text) for i, text in enumerate(chunk.to_pylist()) if text is not None)
            row += len(chunk)
        return
    of_row, texts = read_codes(table, column)
    first = np.full(len(texts) + 1, -1)  # the last for null
    first[of_row[::-1]] = np.arange(len(of_row))[::-1]
    yield from ((int(row), text) for row, text in zip(first[:-1], texts, strict=True) if row >= 0)


def read_codes(table: "pa.Table", name: str) -> tuple[Any, list[str]]:
    """Return the codes of a dictionary column, -1 for null, and its texts."""
    known: dict[str, int] = {}
    codes, former, numbers = [np.empty(0, np.int32)], None, np.empty(0, np.int32)
    for chunk in table[name].chunks:  # texts are copied once: pyarrow's own unification would copy them once more
        if former is None or not chunk.dictionary.equals(former):
            former = chunk.dictionary
            numbers = np.array([known.setdefault(text, len(known)) for text in former.to_pylist()] + [-1], np.int32)
        indices = chunk.indices.fill_null(-1) if chunk.null_count else chunk.indices
        codes.append(numbers[indices.to_numpy(zero_copy_only=False)])
    return np.concatenate(codes), list(known)


def read_texts(table: "pa.Table", name: str) -> list[Any]:
    """Return the texts of a dictionary column, None for null; equal ones are one object."""
    codes, texts = read_codes(table, name)
    by_code = [*texts, None]
    return [by_code[code] for code in codes.tolist()]


def read_numbers(table: "pa.Table", name: str) -> Any:
    """Return a column of numbers."""
    return table[name].combine_chunks().to_numpy(zero_copy_only=False)


def read_times(table: "pa.Table", name: str) -> Times:
    """Return a column of times, with the spelling in its column of texts."""
    import pyarrow as pa

    moments = table[name].cast(pa.int64()).fill_null(NO_TIME).to_numpy()
    column = table[f"{name}_text"]
    texts = () if column.null_count == len(column) else column.to_pylist()
    return Times(moments, {row: text for row, text in enumerate(texts) if text is not None})
