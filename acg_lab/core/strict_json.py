"""JSON parsed as strictly as production parses it, and errors that show no text of the document.

Duplicate keys, numbers beyond production's range and deep nesting raise `RecordError`.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

import msgspec

from acg_lab.core.errors import AcgLabError, RecordError

__all__ = ["DECODE_ERRORS", "MAX_DEPTH", "parse_strict", "raise_record_error"]

MAX_DEPTH = 127  # production's parser refuses the next level
# The errors of msgspec for bytes or texts that it cannot decode. Bytes that are not UTF-8 raise UnicodeDecodeError
# before 0.23, and MsgspecError since.
DECODE_ERRORS = (msgspec.MsgspecError, UnicodeError, RecursionError)
# msgspec reports the place of a mismatch only in its message. The sentences matched here contain names of types and
# fields. All others are replaced, so that a new wording may cost detail but never shows text of the document.
_PLACE = re.compile(r" - at `(\$(?:\.\w+|\[\d+\]|\[\.\.\.\])*)`$")
_MISMATCH = re.compile(
    r"Expected `[\w |]+`(?: [<>]=? -?\d+)?(?:, got `\w+`)?|Object missing required field `\w+`|Number out of range"
)
_SYNTAX = re.compile(r"JSON is malformed: ([\w ,:'\"\[\]{}-]{1,60} \(byte \d+\))")


def raise_record_error(error: Exception, path: str = "$", *, raw: bytes = b"") -> NoReturn:
    """Raise an error of a decoder as a `RecordError`, without any text of the document.

    Parameters
    ----------
    error : Exception
        One of `DECODE_ERRORS`, or a `RecordError`, which keeps its reason.
    path : str
        Path of the document inside a larger one.
    raw : bytes
        The document, to check whether it is UTF-8.
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
    """Return why JSON does not match, in msgspec's words if they contain no text of the document."""
    if _MISMATCH.fullmatch(message):
        return message[0].lower() + message[1:].replace("`", "")
    if message.startswith("Invalid enum value"):
        return "expected one of production's names, got another"
    return "expected a value of another type or range"


def _word_syntax(message: str) -> str:
    """Return why a text is not JSON, in msgspec's words if they contain no text of the document."""
    if message == "Input data was truncated":
        return "not JSON: it ends too early"
    known = _SYNTAX.fullmatch(message)
    return f"not JSON: {known[1]}" if known else "not JSON"


class _Repeated(dict[str, Any]):
    """A JSON object in which a key occurs twice."""

    key = ""


def _collect_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    names = [key for key, _ in pairs]
    repeated = _Repeated(value)
    repeated.key = next(name for i, name in enumerate(names) if name in names[:i])
    return repeated


def _integer(digits: str) -> int:
    # The length is checked first, since Python refuses to convert thousands of digits.
    if len(digits) <= len(str(-(2**64))) and -(2**63) <= (value := int(digits)) < 2**64:
        return value
    msg = "expected an integer from -2**63 to 2**64 - 1, got one beyond"
    raise RecordError(msg)


def parse_strict(raw: bytes) -> Any:
    """Parse JSON as strictly as production does.

    Raises
    ------
    RecordError
        If the JSON is malformed or nested too deeply, or contains duplicate keys, lone surrogates or numbers out of
        range.
    """
    try:
        msgspec.json.decode(raw)  # checks syntax, with a position in the message, surrogates, UTF-8 and doubles
        value = json.loads(raw, object_pairs_hook=_collect_pairs, parse_int=_integer)
    except (*DECODE_ERRORS, AcgLabError, ValueError) as error:
        raise_record_error(error, raw=raw)
    for path, item, depth in _walk(value):
        if isinstance(item, _Repeated):
            msg = f"expected each key once, got {item.key!r} twice"
            raise RecordError(msg, path=path)
        if depth > MAX_DEPTH:
            msg = f"expected JSON of at most {MAX_DEPTH} levels, got more"
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
