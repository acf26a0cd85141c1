"""Stored JSON to records and back, without I/O.

Nothing is lost or let through on the way: unknown fields are kept; duplicate keys, numbers beyond production's range,
and ids and times that production does not read raise `RecordError`. See ``acg_lab/docs/rules/learner.md``, 1.
"""

import functools
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, TypeVar, cast, get_args

import msgspec

from acg_lab.core.errors import AcgLabError, RecordError
from acg_lab.core.records import (
    UNKNOWN,
    AnnotatedLlmRequest,
    BlockStability,
    CallRecord,
    Exchange,
    PromptBlock,
    PromptIR,
    Record,
    RunRecord,
    Sensitivity,
    StabilityAnalysisResult,
    TokenMetadata,
    ToolSchemaHash,
    Usage,
)
from acg_lab.core.strict_json import DECODE_ERRORS, MAX_DEPTH, parse_strict, raise_record_error

__all__ = [
    "EARLIEST",
    "LATEST",
    "check_id",
    "decode",
    "decode_window",
    "encode",
    "encode_window",
    "measure_depth",
    "parse_time",
]

# The range of nanoseconds since 1970 in 64 bits, without the lowest number, which stands for a missing time in columns.
EARLIEST, LATEST = -(2**63) + 1, 2**63 - 1
_GIGA = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_clock = r"(?:[01]\d|2[0-3]):[0-5]\d"
_time = re.compile(
    rf"(\d{{4}})(-\d\d-\d\d)[Tt ]({_clock}:)(\d\d)(?:\.(\d+))?(?:[Zz]|([+-]{_clock}))", re.ASCII
).fullmatch
_hyphenated = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_id = re.compile(rf"{_hyphenated}|[0-9a-fA-F]{{32}}|\{{{_hyphenated}\}}|urn:uuid:{_hyphenated}").fullmatch


def check_id(text: str, path: str = "$") -> None:
    """Raise unless a text is a UUID: with or without hyphens, in braces, or as a URN.

    Raises
    ------
    RecordError
        If the text is not a UUID.
    """
    if not _id(text):
        msg = "expected a UUID, got another text"
        raise RecordError(msg, path=path)


def parse_time(text: str, path: str = "$") -> int:
    """Return an RFC 3339 time as nanoseconds since 1970, limited to the range of 64 bits (1677 to 2262).

    Raises
    ------
    RecordError
        If the text is not an RFC 3339 time.

    Examples
    --------
    >>> parse_time("1970-01-01T00:00:01.5Z")
    1500000000
    """
    found = _time(text)
    year, day, minute, second, fraction, zone = found.groups() if found else ("", "", "", "", "", "")
    is_leap = second == "60"
    # Python has no year 0. It has as many days as 2000, and all of it is below the range of 64 bits.
    early = year == "0000"
    try:
        moment = datetime.fromisoformat(
            f"{'2000' if early else year}{day}T{minute}{'59' if is_leap else second}{zone or '+00:00'}"
        )
    except ValueError:
        msg = "expected an RFC 3339 time, got another text"
        raise RecordError(msg, path=path) from None
    if early:
        return EARLIEST
    whole = (moment - _EPOCH) // _SECOND + is_leap
    return min(max(whole * _GIGA + int(f"{fraction or ''}000000000"[:9]), EARLIEST), LATEST)


T = TypeVar("T", bound=Record)
R = TypeVar("R", bound=Record | tuple[Record, ...])

# The fields that hold records, whose unknown fields are kept too.
_NESTED: dict[tuple[type[Record], str], type[Record]] = {
    (PromptIR, "blocks"): PromptBlock,
    (PromptIR, "tool_schema_hashes"): ToolSchemaHash,
    (PromptBlock, "token_metadata"): TokenMetadata,
    (StabilityAnalysisResult, "scores"): BlockStability,
    (RunRecord, "calls"): CallRecord,
    (CallRecord, "annotated_request"): AnnotatedLlmRequest,
    (CallRecord, "acg_lab_exchange"): Exchange,
    (Exchange, "usage"): Usage,
}
# The fields that may be absent but not null, with their values.
_NEVER_NULL: dict[tuple[type[Record], str], tuple[str, ...]] = {(PromptBlock, "sensitivity"): get_args(Sensitivity)}
# The records that hold JSON of any shape.
_FREE = (RunRecord, CallRecord, AnnotatedLlmRequest)
_MARK = UNKNOWN.encode()
_long_number = re.compile(rb"\d{19}").search
_brackets = bytes.maketrans(b"[{]}", b"\1\1\xff\xff")
_all_but_brackets = bytes(set(range(256)) - set(b"[{]}"))
_ERRORS = (*DECODE_ERRORS, AcgLabError)
_print = msgspec.json.Encoder().encode


@functools.cache
def _parser(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def decode(kind: type[T], raw: bytes) -> T:
    """Decode a JSON document into a record.

    Parameters
    ----------
    kind : type
        The class of the record, for example `RunRecord`.
    raw : bytes
        The JSON document as production stores it.

    Returns
    -------
    record
        Of the class ``kind``; fields that it does not know are in ``unknown``.

    Raises
    ------
    RecordError
        If the document is not JSON, or not a record of that class; the error has the path inside the document, never
        its text.

    Examples
    --------
    >>> decode(RunRecord, b'{"id":"r","agent_id":"chat","calls":[],"started_at":"2026-01-01T00:00:00Z"}').agent_id
    'chat'
    """
    try:
        record: T = _parser(kind).decode(raw)
    except _ERRORS:
        pass
    else:
        if _prints_as(record, raw) and (kind not in _FREE or _is_sane(raw)):
            return _check_stamps(record)
    return _check_stamps(cast("T", _convert(kind, _collect_unknown(kind, parse_strict(raw)))))


def decode_window(raw: bytes) -> tuple[PromptIR, ...]:
    """Decode the JSON array of observations stored under a learning key.

    Parameters
    ----------
    raw : bytes
        The JSON document as production stores it.

    Returns
    -------
    tuple of PromptIR
        Oldest first.

    Raises
    ------
    RecordError
        As in `decode`.

    Examples
    --------
    >>> decode_window(b"[]")
    ()
    """
    try:
        window: tuple[PromptIR, ...] = _parser(tuple[PromptIR, ...]).decode(raw)
    except _ERRORS:
        pass
    else:
        if _prints_as(window, raw):
            return _check_stamps(window)
    read = _convert(tuple[PromptIR, ...], _collect_unknown(PromptIR, parse_strict(raw)))
    return _check_stamps(cast("tuple[PromptIR, ...]", read))


def _check_stamps(value: R, path: str = "$") -> R:
    """Return one or more records after checking that production can read their ids and times."""
    if isinstance(value, tuple):
        for i, record in enumerate(value):
            _check_stamps(record, f"{path}[{i}]")
    elif isinstance(value, PromptIR):
        check_id(value.ir_id, f"{path}.ir_id")
        parse_time(value.created_at, f"{path}.created_at")
    elif isinstance(value, RunRecord | CallRecord):
        parse_time(value.started_at, f"{path}.started_at")
        if value.ended_at is not None:
            parse_time(value.ended_at, f"{path}.ended_at")
        if isinstance(value, RunRecord):
            _check_stamps(value.calls, f"{path}.calls")
    return value


def _prints_as(value: Any, raw: bytes) -> bool:
    """Return whether the value prints as this text, apart from spaces: no key is duplicated or dropped."""
    printed = _print(value)
    return printed == raw or printed == msgspec.json.format(raw, indent=-1)


def _is_sane(raw: bytes) -> bool:
    """Return whether nothing is nested too deeply and no number can be out of range."""
    outside_texts = _outside_texts(raw)
    return not _long_number(outside_texts) and _count_levels(outside_texts) <= MAX_DEPTH


def measure_depth(raw: bytes) -> int:
    """Return how many levels of objects and arrays a JSON text has."""
    return _count_levels(_outside_texts(raw))


def _outside_texts(raw: bytes) -> bytes:
    return b"".join(raw.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2])


def _count_levels(outside_texts: bytes) -> int:
    steps = memoryview(outside_texts.translate(_brackets, _all_but_brackets)).cast("b")
    return max(accumulate(steps), default=0)


def encode(record: Record) -> bytes:
    """Return a record as production stores it: compact JSON without absent fields, unknown fields included.

    Parameters
    ----------
    record : Record
        Read, never changed.

    Returns
    -------
    bytes
        UTF-8; `decode` returns an equal record.

    Examples
    --------
    >>> encode(ToolSchemaHash(tool_name="f", schema_hash="0"))
    b'{"tool_name":"f","schema_hash":"0"}'
    """
    raw = _print(record)
    return _print(_inline_unknown(record)) if _MARK in raw else raw


def encode_window(window: Sequence[PromptIR]) -> bytes:
    """Return a window as production stores it.

    Parameters
    ----------
    window : sequence of PromptIR
        Oldest first. Read, never changed.

    Returns
    -------
    bytes
        A JSON array; `decode_window` returns an equal window.

    Examples
    --------
    >>> encode_window(())
    b'[]'
    """
    raw = _print(window)
    return _print([_inline_unknown(observation) for observation in window]) if _MARK in raw else raw


def _inline_unknown(value: Any) -> Any:
    """Return records as JSON objects, with their unknown fields among the others; other values unchanged."""
    if isinstance(value, Record):
        names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
        fields = {name: getattr(value, field) for name, field in names}
        unknown = fields.pop(UNKNOWN)
        return {name: _inline_unknown(item) for name, item in fields.items() if item is not None} | unknown
    if isinstance(value, tuple):
        return [_inline_unknown(item) for item in value]
    return value


def _collect_unknown(kind: type[Record], value: Any, path: str = "$") -> Any:
    """Return JSON objects with the fields that ``kind`` does not know moved to where records keep them."""
    if isinstance(value, list):
        return [_collect_unknown(kind, item, f"{path}[{i}]") for i, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    known, unknown = {}, {}
    for key, item in value.items():
        if item is None and (kind, key) in _NEVER_NULL:
            msg = f"expected one of {', '.join(_NEVER_NULL[kind, key])}, got null"
            raise RecordError(msg, path=f"{path}.{key}")
        nested = _NESTED.get((kind, key))
        if key in kind.__struct_encode_fields__ and key != UNKNOWN:
            known[key] = _collect_unknown(nested, item, f"{path}.{key}") if nested else item
        else:
            unknown[key] = item
    return known | {UNKNOWN: unknown} if unknown else known


def _convert(kind: Any, value: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise_record_error(error)
