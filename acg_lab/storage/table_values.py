"""The values in the tables of an export, column by column, and making sure that they are such as were written.

Belongs here: what one column may hold, for an export may have been edited. How rows belong together is the business of
`acg_lab.storage.from_tables`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, get_type_hints

import msgspec
import numpy as np

from acg_lab.core.codec import decode, raise_record_error
from acg_lab.core.errors import RecordError
from acg_lab.core.records import BlockStability, CallRecord, PromptBlock, TokenMetadata, ToolSchemaHash
from acg_lab.storage.tables import COUNTS, OPTIONAL
from acg_lab.storage.times import NO_TIME, Times, parse_time

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["check_values", "read_codes", "read_numbers", "read_times"]

_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_objects = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_anything = msgspec.json.Decoder(msgspec.Raw).decode


def _name_in(record: type[msgspec.Struct], field: str) -> Callable[[str], object]:
    kind = get_type_hints(record, include_extras=True)[field]
    return lambda text: msgspec.convert(text, kind)


_SPELLED: Final = dict.fromkeys(("started_at_text", "ended_at_text"), parse_time)
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
    "runs": {"unknown": _object, **_SPELLED},
    "calls": {
        "kind": _name_in(CallRecord, "kind"),
        **dict.fromkeys(("unknown", "request_unknown", "response"), _object),
        "tools": _objects,
        **_SPELLED,
        **dict.fromkeys(("metadata_snapshot", "request_params", "request_tool_choice"), _anything),
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
    """Yield row, column and error of values that are wrong, at most one of each kind for each column."""
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
            yield pc.index(is_finite, False).as_py(), column, RecordError("expected a finite number, got none")
    for column, check in _CHECKS[name].items():
        for row, text in _distinct(table, column):
            try:
                check(text)
            except (msgspec.MsgspecError, RecordError, UnicodeError, RecursionError) as error:
                yield row, column, _told(error)


def _told(error: Exception) -> RecordError:
    try:
        raise_record_error(error)
    except RecordError as told:
        return told


def _distinct(table: "pa.Table", column: str) -> Iterator[tuple[int, str]]:
    """Yield the texts of a column, each with the row where it first stands; of a coded column each once."""
    import pyarrow as pa

    if not pa.types.is_dictionary(table.schema.field(column).type):
        if table[column].null_count < len(table):
            yield from ((row, text) for row, text in enumerate(table[column].to_pylist()) if text is not None)
        return
    of_row, texts = read_codes(table, column)
    first = np.full(len(texts) + 1, -1)  # the last for null
    first[of_row[::-1]] = np.arange(len(of_row))[::-1]
    yield from ((int(row), text) for row, text in zip(first[:-1], texts, strict=True) if row >= 0)


def read_codes(table: "pa.Table", name: str) -> tuple[Any, list[str]]:
    """Return a dictionary column as codes, -1 where it is null, and its texts."""
    import pyarrow as pa

    column = table[name].unify_dictionaries().combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # no rows
        return np.empty(0, np.int32), []
    indices = column.indices.fill_null(-1) if column.null_count else column.indices
    return indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False), column.dictionary.to_pylist()


def read_numbers(table: "pa.Table", name: str) -> Any:
    """Return a column of numbers."""
    return table[name].combine_chunks().to_numpy(zero_copy_only=False)


def read_times(table: "pa.Table", name: str) -> Times:
    """Return a column of times, spelled as its column of texts says."""
    import pyarrow as pa

    moments = table[name].cast(pa.int64()).fill_null(NO_TIME).to_numpy()
    column = table[f"{name}_text"]
    texts = () if column.null_count == len(column) else column.to_pylist()
    return Times(moments, {row: text for row, text in enumerate(texts) if text is not None})
