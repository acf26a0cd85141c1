"""JSON parsed as strictly as production parses it, and errors that show no text of the document.

Duplicate keys, numbers beyond production's range and deep nesting raise `RecordError`. Time and memory grow with the
length of the document.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, NoReturn

import msgspec

from acg_lab.core.errors import AcgLabError, RecordError
from acg_lab.core.records import (
    AnnotatedLlmRequest,
    BlockStability,
    CallRecord,
    Exchange,
    PromptBlock,
    PromptIR,
    RunRecord,
    StabilityAnalysisResult,
    TokenMetadata,
    ToolSchemaHash,
    Usage,
)

__all__ = ["DECODE_ERRORS", "MAX_DEPTH", "parse_strict", "raise_record_error"]

# The keys that errors may show: those of production's records, and those with which providers build requests.
_KNOWN: Final = frozenset(
    {name for kind in (PromptIR, PromptBlock, TokenMetadata, ToolSchemaHash) for name in kind.__struct_encode_fields__}
    | {name for kind in (StabilityAnalysisResult, BlockStability) for name in kind.__struct_encode_fields__}
    | {name for kind in (RunRecord, CallRecord, Exchange, Usage) for name in kind.__struct_encode_fields__}
    | {*AnnotatedLlmRequest.__struct_encode_fields__, "arguments", "cache_control", "description", "function", "input"}
    | {"input_schema", "instructions", "max_tokens", "message", "parameters", "properties", "required", "system"}
    | {"response_format", "seed", "stop", "stream", "temperature", "text", "tool_calls", "tool_call_id", "tool_use_id"}
    | {"top_p", "type"}
)
MAX_DEPTH: Final = 127  # production's parser refuses the next level
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
    repeated, seen = _Repeated(value), set[str]()
    repeated.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return repeated


def _integer(digits: str) -> int:
    # The length is checked first, since Python refuses to convert thousands of digits.
    if len(digits) <= len(str(-(2**64))) and -(2**63) <= (value := int(digits)) < 2**64:
        return value
    msg = "expected an integer from -2**63 to 2**64 - 1, got one beyond"
    raise RecordError(msg)


_decode = json.JSONDecoder(object_pairs_hook=_collect_pairs, parse_int=_integer).decode


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
        value = _decode(raw.decode())
    except (*DECODE_ERRORS, AcgLabError, ValueError) as error:
        raise_record_error(error, raw=raw)
    for node in _walk(value):
        if isinstance(node.value, _Repeated):
            got = repr(node.value.key) if node.value.key in _KNOWN else "one"
            msg = f"expected each key once, got {got} twice"
            raise RecordError(msg, path=node.path)
        if node.depth > MAX_DEPTH:
            msg = f"expected JSON of at most {MAX_DEPTH} levels, got more"
            raise RecordError(msg, path=node.path[:200])
    return value


class _Node(NamedTuple):
    """An object or array on its way up to the root."""

    value: Any
    key: str | int = ""
    parent: "_Node | None" = None
    depth: int = 1

    @property
    def path(self) -> str:
        """The JSON path. It is built for an error only: for each element it would cost the depth times the length.

        A key that is not production's or a provider's may be text of a customer, so it is not shown.
        """
        if self.parent is None:
            return "$"
        shown = f".{self.key}" if self.key in _KNOWN else "[...]"
        return self.parent.path + (f"[{self.key}]" if isinstance(self.key, int) else shown)


def _walk(value: Any) -> Iterator[_Node]:
    """Yield all objects and arrays, the root first."""
    stack = [_Node(value)] if isinstance(value, dict | list) else []
    while stack:
        node = stack.pop()
        yield node
        items = node.value.items() if isinstance(node.value, dict) else enumerate(node.value)
        stack.extend(_Node(item, key, node, node.depth + 1) for key, item in items if isinstance(item, dict | list))
