"""The identity and the time of a record: which texts production takes for them.

Belongs here: checking such texts, and a time as a number. The texts themselves are kept as they were stored.


Stored JSON to records and back; pure, opens nothing.

Belongs here: decoding with typed errors, and the care that nothing is lost or let through on the way: unknown fields
are kept, a key that occurs twice is refused as production refuses it, numbers beyond production's range too.
"""

import functools
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, NoReturn, TypeVar, cast, get_args

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

__all__ = [
    "DECODE_ERRORS",
    "EARLIEST",
    "LATEST",
    "check_id",
    "decode",
    "decode_window",
    "encode",
    "encode_window",
    "parse_strict",
    "parse_time",
    "raise_record_error",
]

# What 64 bits hold of nanoseconds since 1970, but for the lowest number: columns have that in the place of no time.
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
    """Make sure that a text is a UUID: with hyphens or without, in braces, or as a URN.

    Raises
    ------
    RecordError
        If it is none.
    """
    if not _id(text):
        msg = "expected a UUID, got another text"
        raise RecordError(msg, path=path)


def parse_time(text: str, path: str = "$") -> int:
    """Return an RFC 3339 time as nanoseconds since 1970, held to the range of 64 bits (1677 to 2262).

    Raises
    ------
    RecordError
        If it is none.
    """
    found = _time(text)
    year, day, minute, second, fraction, zone = found.groups() if found else ("", "", "", "", "", "")
    is_leap = second == "60"
    # Python has no year 0. It is as long as 2000, and both ends of it are below what 64 bits hold.
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

# Which fields hold records in turn, so that their unknown fields are found too.
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
# Which may be absent but never null, and what stands in them.
_NEVER_NULL: dict[tuple[type[Record], str], tuple[str, ...]] = {(PromptBlock, "sensitivity"): get_args(Sensitivity)}
# Which hold JSON of any shape.
_FREE = (RunRecord, CallRecord, AnnotatedLlmRequest)
_MARK = UNKNOWN.encode()
_long_number = re.compile(rb"\d{19}").search
_brackets = bytes.maketrans(b"[{]}", b"\1\1\xff\xff")
_all_but_brackets = bytes(set(range(256)) - set(b"[{]}"))
_MAX_DEPTH = 127  # production's parser refuses the next level
# What msgspec raises for bytes or texts it can't decode. Bytes that are not UTF-8 raise UnicodeDecodeError before 0.23,
# and MsgspecError since.
DECODE_ERRORS = (msgspec.MsgspecError, UnicodeError, RecursionError)
_ERRORS = (*DECODE_ERRORS, AcgLabError)
# msgspec reports the place of a mismatch in its message only. These sentences hold names of types and fields, no text
# of the document; any other is replaced, so that a new wording costs detail and never shows a document's text.
_PLACE = re.compile(r" - at `(\$(?:\.\w+|\[\d+\]|\[\.\.\.\])*)`$")
_MISMATCH = re.compile(
    r"Expected `[\w |]+`(?: [<>]=? -?\d+)?(?:, got `\w+`)?|Object missing required field `\w+`|Number out of range"
)
_SYNTAX = re.compile(r"JSON is malformed: ([\w ,:'\"\[\]{}-]{1,60} \(byte \d+\))")

_print = msgspec.json.Encoder().encode


@functools.cache
def _parser(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def decode(kind: type[T], raw: bytes) -> T:
    """Decode one JSON document into a record.

    Raises
    ------
    RecordError
        If it is no JSON, or not what was expected; with the path inside the document, and never its text.
    """
    try:
        record: T = _parser(kind).decode(raw)
    except _ERRORS:
        pass
    else:
        if _is_print_of(record, raw) and (kind not in _FREE or _is_sane(raw)):
            return _stamped(record)
    return _stamped(cast("T", _convert(kind, _lift(kind, parse_strict(raw)))))


def decode_window(raw: bytes) -> tuple[PromptIR, ...]:
    """Decode the JSON array of observations that is stored under a key; raises as `decode`."""
    try:
        window: tuple[PromptIR, ...] = _parser(tuple[PromptIR, ...]).decode(raw)
    except _ERRORS:
        pass
    else:
        if _is_print_of(window, raw):
            return _stamped(window)
    read = _convert(tuple[PromptIR, ...], _lift(PromptIR, parse_strict(raw)))
    return _stamped(cast("tuple[PromptIR, ...]", read))


def _stamped(value: R, path: str = "$") -> R:
    """Return a record, or several, having made sure that identity and times are such as production reads."""
    if isinstance(value, tuple):
        for i, record in enumerate(value):
            _stamped(record, f"{path}[{i}]")
    elif isinstance(value, PromptIR):
        check_id(value.ir_id, f"{path}.ir_id")
        parse_time(value.created_at, f"{path}.created_at")
    elif isinstance(value, RunRecord | CallRecord):
        parse_time(value.started_at, f"{path}.started_at")
        if value.ended_at is not None:
            parse_time(value.ended_at, f"{path}.ended_at")
        if isinstance(value, RunRecord):
            _stamped(value.calls, f"{path}.calls")
    return value


def _is_print_of(value: Any, raw: bytes) -> bool:
    """Whether the text says just this value: no key doubled or dropped, nothing spelled in another way but spaces."""
    printed = _print(value)
    return printed == raw or printed == msgspec.json.format(raw, indent=-1)


def _is_sane(raw: bytes) -> bool:
    """Whether nothing in it is nested too deeply, and no number can be too long."""
    outside_texts = b"".join(raw.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2])
    steps = memoryview(outside_texts.translate(_brackets, _all_but_brackets)).cast("b")
    return not _long_number(outside_texts) and max(accumulate(steps), default=0) <= _MAX_DEPTH


def encode(record: Record) -> bytes:
    """Print a record as production does: compact, absent fields left out, unknown ones among the others."""
    raw = _print(record)
    return _print(_lower(record)) if _MARK in raw else raw


def encode_window(window: Sequence[PromptIR]) -> bytes:
    """Print a window as production stores it; see `encode`."""
    raw = _print(window)
    return _print([_lower(observation) for observation in window]) if _MARK in raw else raw


def _lower(value: Any) -> Any:
    """Put the fields that a record does not know among the others; free JSON stays as it is."""
    if isinstance(value, Record):
        names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
        fields = {name: getattr(value, field) for name, field in names}
        unknown = fields.pop(UNKNOWN)
        return {name: _lower(item) for name, item in fields.items() if item is not None} | unknown
    if isinstance(value, tuple):
        return [_lower(item) for item in value]
    return value


def _lift(kind: type[Record], value: Any, path: str = "$") -> Any:
    """Put the fields that a record does not know where it keeps them."""
    if isinstance(value, list):
        return [_lift(kind, item, f"{path}[{i}]") for i, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    known, unknown = {}, {}
    for key, item in value.items():
        if item is None and (kind, key) in _NEVER_NULL:
            msg = f"expected one of {', '.join(_NEVER_NULL[kind, key])}, got null"
            raise RecordError(msg, path=f"{path}.{key}")
        nested = _NESTED.get((kind, key))
        if key in kind.__struct_encode_fields__ and key != UNKNOWN:
            known[key] = _lift(nested, item, f"{path}.{key}") if nested else item
        else:
            unknown[key] = item
    return known | {UNKNOWN: unknown} if unknown else known


def _convert(kind: Any, value: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise_record_error(error)


def raise_record_error(error: Exception, path: str = "$", *, raw: bytes = b"") -> NoReturn:
    """Raise what a decoder refused as a `RecordError`, without any text of the document.

    Parameters
    ----------
    error : Exception
        One of `DECODE_ERRORS`, or a `RecordError`, which keeps its reason.
    path : str
        Where the document stands in a larger one.
    raw : bytes
        The document, to find out whether it is UTF-8.
    """
    if isinstance(error, RecordError):
        raise error.at(path=path) from None
    if isinstance(error, RecursionError):
        msg = "expected JSON of sane depth, got one that is nested too deeply"
        raise RecordError(msg, path=path) from None
    if isinstance(error, UnicodeError) or not _is_utf8(raw):
        msg = "expected UTF-8, got bytes that are not"
        raise RecordError(msg, path=path) from None
    message = str(error)
    place = _PLACE.search(message)
    path += place[1].removeprefix("$") if place else ""
    reason = _word_mismatch if isinstance(error, msgspec.ValidationError) else _word_syntax
    raise RecordError(reason(message[: place.start()] if place else message), path=path) from None


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _word_mismatch(message: str) -> str:
    """Return why JSON is not what was expected, in msgspec's words where they hold no text of the document."""
    if _MISMATCH.fullmatch(message):
        return message[0].lower() + message[1:].replace("`", "")
    if message.startswith("Invalid enum value"):
        return "expected one of production's names, got another"
    return "expected a value of another type or range"


def _word_syntax(message: str) -> str:
    """Return why a text is not JSON, in msgspec's words where they hold no text of the document."""
    if message == "Input data was truncated":
        return "not JSON: it ends too early"
    known = _SYNTAX.fullmatch(message)
    return f"not JSON: {known[1]}" if known else "not JSON"


class _Repeated(dict[str, Any]):
    """An object in which a key occurred twice."""

    key = ""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    names = [key for key, _ in pairs]
    repeated = _Repeated(value)
    repeated.key = next(name for i, name in enumerate(names) if name in names[:i])
    return repeated


def _integer(digits: str) -> int:
    # The length is looked at first: Python refuses to convert thousands of digits.
    if len(digits) <= len(str(-(2**64))) and -(2**63) <= (value := int(digits)) < 2**64:
        return value
    msg = "expected an integer from -2**63 to 2**64 - 1, got one beyond"
    raise RecordError(msg)


def _double(digits: str) -> float:
    value = float(digits)
    if value - value != 0:
        msg = "expected a number in the range of doubles, got one beyond"
        raise RecordError(msg)
    return value


def parse_strict(raw: bytes) -> Any:
    """Parse JSON, refusing what production's parser refuses.

    Raises
    ------
    RecordError
        If it is malformed, holds a key twice, lone surrogates, numbers out of range, or is nested too deeply.
    """
    try:
        msgspec.json.decode(raw)  # the syntax, with a place in the message; surrogates; UTF-8
        value = json.loads(raw, object_pairs_hook=_pairs, parse_int=_integer, parse_float=_double)
    except (*_ERRORS, ValueError) as error:
        raise_record_error(error, raw=raw)
    for path, item, depth in _walk(value):
        if isinstance(item, _Repeated):
            msg = f"expected each key once, got {item.key!r} twice"
            raise RecordError(msg, path=path)
        if depth > _MAX_DEPTH:
            msg = f"expected JSON of at most {_MAX_DEPTH} levels, got more"
            raise RecordError(msg, path=path[:200])
    return value


def _walk(value: Any) -> Iterator[tuple[str, Any, int]]:
    stack: list[tuple[str, Any, int]] = [("$", value, 1)]
    while stack:
        path, item, depth = stack.pop()
        if isinstance(item, dict):
            yield path, item, depth
            stack.extend((f"{path}.{key}", inner, depth + 1) for key, inner in item.items())
        elif isinstance(item, list):
            yield path, item, depth
            stack.extend((f"{path}[{i}]", inner, depth + 1) for i, inner in enumerate(item))
