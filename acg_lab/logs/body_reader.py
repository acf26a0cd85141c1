"""Request bodies to codes: as they were sent, and as the annotated request of their API has them.

What is distinct is read once, found again by its text in the log. A message that a codec refuses is refused each time.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.errors import RecordError
from acg_lab.core.markers import MARKER_NAMES, remove_markers
from acg_lab.core.records import AnnotatedLlmRequest, CallRecord, Json, JsonObject
from acg_lab.logs.body_fields import refuse, require_object
from acg_lab.logs.json_pieces import has_elided, parse_piece, print_json, split_list
from acg_lab.logs.normalize import BodyCodec, make_request
from acg_lab.logs.redactions import find_redaction
from acg_lab.storage.recorded_runs import Body, Call

__all__ = ["BodyReader", "TextPools", "Texts", "as_it_is"]

T = TypeVar("T")
_INSTRUCTIONS: Final = ("system", "developer")
_PROMPTS: Final = (*_INSTRUCTIONS, "user")
_INSTRUCTION_FIELDS: Final = ("system", "instructions")
_MARK_TEXTS: Final = tuple(f'"{name}"'.encode() for name in MARKER_NAMES)
_HOLE: Final = b"null"
_MAX_KNOWN: Final = 50_000  # messages that a reader finds again by their text in the log
_NO_RECORD: Final = CallRecord(kind="llm", name="", started_at="")


class Texts(NamedTuple):
    """The texts of pools by code, as they are sent from one process to another; the rest as in `TextPools`."""

    messages: list[bytes]
    values: list[bytes]
    instructions: set[int]
    unmarked: dict[int, bytes]
    with_files: set[int]


class TextPools:
    """Codes of messages and of other values by their text, given in order of appearance.

    Attributes
    ----------
    messages : dict of bytes to int
    values : list of bytes
        By code.
    instructions : set of int
        Messages that count as system.
    identities : dict of int to int
        Messages that say the same as another one, cache marks apart: the code that stands for both.
    unmarked : dict of int to bytes
        Of messages with marks, or whose content is a list of one text: the text without.
    with_files : set of int
        Messages with a file that is kept as its hash and size.
    """

    def __init__(self) -> None:
        self.messages: dict[bytes, int] = {}
        self.values: list[bytes] = []
        self._value_codes: dict[bytes, int] = {}
        self.instructions: set[int] = set()
        self.identities: dict[int, int] = {}
        self.unmarked: dict[int, bytes] = {}
        self.with_files: set[int] = set()
        self._by_unmarked: dict[bytes, int] = {}

    def message(self, text: bytes) -> int:
        """Return the code of a message."""
        return self.messages.setdefault(text, len(self.messages))

    def value(self, text: bytes) -> int:
        """Return the code of another value."""
        code = self._value_codes.get(text)
        if code is None:
            code = self._value_codes[text] = self.add_value(text)
        return code

    def add_value(self, text: bytes) -> int:
        """Return a code for a value that is not expected again, such as an answer."""
        self.values.append(text)
        return len(self.values) - 1

    def identify(self, message: JsonObject, text: bytes, code: int) -> None:
        """Note what an annotated message is, for telling which requests continue one another."""
        if message.get("role") in _INSTRUCTIONS:
            self.instructions.add(code)
        content = message.get("content")
        if any(mark in text for mark in _MARK_TEXTS) or (isinstance(content, list) and len(content) == 1):
            self.unmarked[code] = print_json(_unwrap_texts(remove_markers(message)))
        self._identify(text, code)

    def _identify(self, text: bytes, code: int) -> None:
        unmarked = self.unmarked.get(code)
        if unmarked is None:
            known = self._by_unmarked.get(text, code)
        else:
            known = self._by_unmarked.setdefault(unmarked, self.messages.get(unmarked, code))
        if known != code:
            self.identities[code] = known

    def texts(self) -> Texts:
        """Return all texts."""
        return Texts(list(self.messages), self.values, self.instructions, self.unmarked, self.with_files)

    def take_messages(self, texts: Texts) -> NDArray[np.int32]:
        """Take in the messages of other pools; return their codes here, by their codes there."""
        codes = [self.message(text) for text in texts.messages]
        self.instructions.update(codes[there] for there in texts.instructions)
        self.with_files.update(codes[there] for there in texts.with_files)
        self.unmarked |= {codes[there]: text for there, text in texts.unmarked.items()}
        for code, text in zip(codes, texts.messages, strict=True):
            self._identify(text, code)
        return np.array(codes, np.int32)


def _unwrap_texts(value: Json) -> Json:
    """Return a value with the text in place of each single text part, since marks need a list."""
    if isinstance(value, dict):
        found = {name: _unwrap_texts(item) for name, item in value.items()}
        content = found.get("content")
        if isinstance(content, list) and len(content) == 1:
            (part,) = content
            if isinstance(part, dict) and part.get("type") == "text" and len(part) == len(("type", "text")):
                found["content"] = part.get("text")
        return found
    return [_unwrap_texts(item) for item in value] if isinstance(value, list) else value


def as_it_is(items: str) -> BodyCodec:
    """Return a codec that takes everything as it stands, messages in the field of that name."""
    return BodyCodec(items, _as_object, _as_object, dict)


def _as_object(value: Json) -> dict[str, Json]:
    return dict(require_object(value))


class _Head(NamedTuple):
    """All of a body but its messages and tools, as sent (codes) and as the annotated request has it."""

    body: int
    system: int
    request: AnnotatedLlmRequest


class BodyReader:
    """Reads the bodies of one API.

    Parameters
    ----------
    codec : BodyCodec
        What makes annotated messages, tools and the rest.
    texts : TextPools
        Where new texts get their codes.
    refuses_redacted : bool
        Whether prompts are refused that show that they were redacted, cut or hashed before they were logged.
    """

    def __init__(self, codec: BodyCodec, texts: TextPools, *, refuses_redacted: bool = False) -> None:
        self._codec, self._texts, self._refuses_redacted = codec, texts, refuses_redacted
        # By the text in the log: code as sent, and code as annotated.
        self._messages: dict[bytes, int | tuple[int, int] | RecordError] = {}
        self._former: dict[bytes, int | tuple[int, int] | RecordError] = {}
        self._tools: dict[bytes, tuple[int, int] | RecordError] = {}
        self._heads: dict[tuple[str | bytes, ...], _Head | RecordError] = {}

    def read(self, pieces: Mapping[str, bytes]) -> tuple[Body, Call]:
        """Return a body as sent, and a call with its annotated request.

        Parameters
        ----------
        pieces : mapping of str to bytes
            The texts of the fields, in order.

        Raises
        ------
        RecordError
            If the codec or production's parser refuses it, with the path inside the body.
        """
        name = self._codec.items
        raw = pieces.get(name)
        holes = {"tools", "system", name}
        if name == "input" and raw is not None and raw[:1] == b'"':
            # A plain text is a message of the user, and stays in its place in the body as sent.
            items, holes = [b'{"role":"user","content":%b}' % raw], holes - {name}
        elif raw is not None and raw[:1] == b"[":
            items = split_list(raw)
        else:
            refuse("a list", None, f"$.{name}")
        sent, annotated = self._read_messages(items, name)
        tools = (-1, -1)
        if (raw_tools := pieces.get("tools")) is not None:
            tools = _cached(self._tools, raw_tools, self._read_tools)
        parts = [part for key, text in pieces.items() for part in (key, _HOLE if key in holes else text)]
        head = _cached(self._heads, (*parts, pieces.get("system", b"")), lambda _: self._read_head(pieces, holes))
        body = Body(head.body, name, sent if name in holes else _NO_CODES, tools[0], head.system)
        return body, Call(_NO_RECORD, head.request, annotated, tools[1])

    def forget(self) -> None:
        """Drop what was read; the codes stay good."""
        self._messages, self._former, self._tools, self._heads = {}, {}, {}, {}

    def _read_messages(self, items: list[bytes], name: str) -> "tuple[np.ndarray, np.ndarray]":
        if len(self._messages) > _MAX_KNOWN:
            # What was not met for long is read anew if it comes again, to the same codes.
            self._former, self._messages = self._messages, {}
        known, codes, both = self._messages, [], None
        for i, item in enumerate(items):
            found = known.get(item)
            if found is None:
                found = self._former.get(item)
                known[item] = found = self._read_message(item) if found is None else found
            if isinstance(found, int):
                codes.append(found)
                continue
            if isinstance(found, RecordError):
                raise found.at(path=f"$.{name}[{i}]")
            both = both or {}
            both[i] = found[1]
            codes.append(found[0])
        sent = np.array(codes, np.int32)
        if both is None:
            return sent, sent
        annotated = sent.copy()
        annotated[list(both)] = list(both.values())
        return sent, annotated

    def _read_message(self, raw: bytes) -> int | tuple[int, int] | RecordError:
        try:
            value, text = parse_piece(raw)
            message = self._codec.read_message(value)
            if message.get("role") in _PROMPTS and b'"tool_result"' not in raw:  # a tool may well answer with a hash
                self._check_redaction(raw)
        except RecordError as error:
            return error
        sent = annotated = self._texts.message(text)
        if has_elided(raw, text):
            self._texts.with_files.add(sent)
        if message != value:
            _, text = parse_piece(print_json(message))  # what is nested deeper now may be refused
            annotated = self._texts.message(text)
        self._texts.identify(message, text, annotated)
        return sent if sent == annotated else (sent, annotated)

    def _check_redaction(self, raw: bytes) -> None:
        if self._refuses_redacted and (found := find_redaction(raw)) is not None:
            raise RecordError(found)

    def _read_tools(self, raw: bytes) -> tuple[int, int]:
        value, text = parse_piece(raw)
        if not isinstance(value, list):
            refuse("a list", value, "$.tools")
        tools = []
        for i, tool in enumerate(value):
            try:
                tools.append(self._codec.read_tool(tool))
            except RecordError as error:
                raise error.at(path=f"$.tools[{i}]") from None
        return self._texts.value(text), self._texts.value(print_json(tools))

    def _read_head(self, pieces: Mapping[str, bytes], holes: set[str]) -> _Head:
        body: dict[str, Json] = {}
        texts: dict[str, bytes] = {}
        for name, raw in pieces.items():
            if name in holes and name != "system":
                texts[name] = _HOLE
                continue
            try:
                body[name], texts[name] = parse_piece(raw)
                if name in _INSTRUCTION_FIELDS:
                    self._check_redaction(b'{"text":%b}' % raw)
            except RecordError as error:
                raise error.at(path=f"$.{name}") from None
        request = make_request(self._codec.read_head(_without(body, self._codec.items)))
        system = self._texts.value(texts["system"]) if "system" in texts else -1
        if system >= 0:
            texts["system"] = _HOLE
        head = b"{%b}" % b",".join(b"%b:%b" % (print_json(name), text) for name, text in texts.items())
        return _Head(self._texts.value(head), system, request)


_NO_CODES = np.empty(0, np.int32)


def _without(body: dict[str, Json], name: str) -> dict[str, Json]:
    return {key: value for key, value in body.items() if key != name}


K = TypeVar("K")


def _cached(known: "dict[K, T | RecordError]", key: K, read: Callable[[K], T]) -> T:
    """Return what was made of a text, and make it the first time; a refusal is raised again each time."""
    found = known.get(key)
    if found is None:
        try:
            found = read(key)
        except RecordError as error:
            found = error
        known[key] = found
    if isinstance(found, RecordError):
        raise found
    return found
