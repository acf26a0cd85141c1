"""Stored JSON to columns, without a record for every block.

Windows repeat the same few blocks. Each distinct block, and each distinct message of a request, is recognised by its
bytes, and decoded and checked once.
"""

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import chain
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace

from acg_lab.core.codec import decode, encode
from acg_lab.core.errors import RecordError
from acg_lab.core.records import (
    AnnotatedLlmRequest,
    CallRecord,
    Exchange,
    PromptBlock,
    PromptIR,
    RunRecord,
    StabilityAnalysisResult,
    ToolSchemaHash,
)
from acg_lab.core.strict_json import DECODE_ERRORS, parse_strict
from acg_lab.storage.base import Entry
from acg_lab.storage.columns import Columns
from acg_lab.storage.json_texts import join_object, printed_length, split_list, split_object, take_list
from acg_lab.storage.lazy import JsonPool
from acg_lab.storage.limits import Limits
from acg_lab.storage.observation_columns import Form, Header, ObservationColumns, offsets
from acg_lab.storage.recorded_runs import Body, Call, Runs
from acg_lab.storage.times import Times

__all__ = ["ingest"]

_dump = msgspec.json.encode
_NULL = b"null"
_LONG = 4096  # bytes of a block


def ingest(
    entries: Iterable[Entry], on_problem: Callable[[RecordError], None], limits: Limits | None = None
) -> Columns:
    """Read stored documents into columns.

    Parameters
    ----------
    entries : iterable of Entry
        In any order, but the runs of an agent in the order of its index.
    on_problem : callable
        Called with the error of each entry that cannot be read; an exception that it raises ends the read.
    limits : Limits, optional
        An entry that exceeds one cannot be read.
    """
    observations, results, runs = _Observations(limits), _Results(), _Runs(limits)
    table: dict[str, _Observations | _Results | _Runs] = {
        "observations": observations,
        "stability": results,
        "run": runs,
    }
    for entry in entries:
        try:
            if isinstance(entry.raw, RecordError):
                raise entry.raw
            if limits is not None:
                limits.check_value(entry.raw)
            table[entry.kind].add(entry, entry.raw)
        except RecordError as error:
            on_problem(error.at(key=entry.stored or entry.key))
    return Columns(observations=observations.finish(), results=results.found, runs=runs.finish())


class _Shape(msgspec.Struct, kw_only=True):
    """The fields of an observation as JSON texts, in production's order."""

    ir_id: msgspec.Raw
    blocks: list[msgspec.Raw]
    tool_schema_hashes: msgspec.Raw = msgspec.Raw()
    structured_output_schema_id: msgspec.Raw = msgspec.Raw()
    source_request_hash: msgspec.Raw = msgspec.Raw()
    created_at: msgspec.Raw


_parse_shapes = msgspec.json.Decoder(list[_Shape]).decode


def _split_window(raw: bytes) -> list[tuple[dict[str, bytes], list[bytes]]] | None:
    """Split a window in production's format, in one pass, into the fields and blocks of each observation.

    Return None for any other text: one with an unknown field, a duplicate field or a space. The length shows all of
    these.
    """
    try:
        shapes = _parse_shapes(raw)
    except DECODE_ERRORS:
        return None
    parts = []
    length = max(len(shapes), 1) + 1
    for shape in shapes:
        blocks = list(map(bytes, shape.blocks))
        shape.blocks = []
        fields = {name: bytes(getattr(shape, name)) or b"[]" * (name == "blocks") for name in shape.__struct_fields__}
        pieces = {name: value for name, value in fields.items() if value}
        length += printed_length(pieces) + sum(map(len, blocks)) + max(len(blocks) - 1, 0)
        parts.append((pieces, blocks))
    return parts if length == len(raw) else None


def _split_observation(raw: bytes, path: str) -> tuple[dict[str, bytes], list[bytes]]:
    try:
        pieces = split_object(raw)
        return pieces, take_list(pieces, "blocks")
    except RecordError as error:
        raise error.at(path=path) from None


class _Pool(dict[Any, int]):
    """Codes by value, assigned in order of appearance."""

    def __missing__(self, value: Any) -> int:
        code = self[value] = len(self)
        return code


class _Blocks(dict[bytes, int]):
    """Codes of blocks by their JSON. A new block is decoded, checked, and split into columns.

    Of a long block a digest is kept instead: its text is in a pool already.
    """

    def __init__(self) -> None:
        super().__init__()
        self.spans, self.contents, self.forms = _Pool(), _Pool(), _Pool()
        self.rows: list[tuple[int, int, int, int]] = []

    def code(self, raw: bytes) -> int:
        """Return the code of a block; raise RecordError for one that is wrong."""
        key = raw if len(raw) < _LONG else sha256(raw).digest()
        known = self.get(key)
        if known is None:
            known = self[key] = self._add(raw)
        return known

    def _add(self, raw: bytes) -> int:
        block = decode(PromptBlock, raw)
        form = Form(
            block.role,
            block.content_type,
            block.provenance,
            block.sensitivity,
            encode(block.token_metadata).decode() if block.token_metadata else None,
            _dump(block.unknown).decode() if block.unknown else None,
        )
        self.rows.append(
            (self.spans[block.span_id], self.contents[block.content], self.forms[form], block.sequence_index)
        )
        return len(self.rows) - 1


class _Observation(NamedTuple):
    ir_id: str
    request_hash: str | None
    created_at: str
    header: Header
    blocks: list[int]


class _Observations:
    """Collect windows."""

    def __init__(self, limits: Limits | None) -> None:
        self._limits = limits
        self._blocks = _Blocks()
        self._known_hashes: dict[bytes, str | None] = {}
        self._windows: dict[str, list[_Observation]] = {}

    def add(self, entry: Entry, raw: bytes) -> None:
        if entry.key in self._windows:
            msg = "expected each key once in the source, got a second window"
            raise RecordError(msg)
        parts = _split_window(raw)
        if parts is None:
            parts = [_split_observation(text, f"$[{i}]") for i, text in enumerate(split_list(raw, "$"))]
        self._windows[entry.key] = [self._observation(*part, f"$[{i}]") for i, part in enumerate(parts)]

    def _observation(self, pieces: dict[str, bytes], blocks: list[bytes], path: str) -> _Observation:
        try:
            if self._limits is not None:
                self._limits.check_blocks(len(blocks), path="$.blocks")
            hashes = self._hashes(pieces.pop("tool_schema_hashes", _NULL))
            light = decode(PromptIR, join_object(pieces))
        except RecordError as error:
            raise error.at(path=path) from None
        unknown = _dump(light.unknown).decode() if light.unknown else None
        header = Header(hashes, light.structured_output_schema_id, unknown)
        codes = self._codes(blocks, f"{path}.blocks")
        return _Observation(light.ir_id, light.source_request_hash, light.created_at, header, codes)

    def _hashes(self, raw: bytes) -> str | None:
        if raw not in self._known_hashes:
            items = [] if raw == _NULL else split_list(raw, "$.tool_schema_hashes")
            for i, item in enumerate(items):
                try:
                    decode(ToolSchemaHash, item)
                except RecordError as error:
                    raise error.at(path=f"$.tool_schema_hashes[{i}]") from None
            self._known_hashes[raw] = None if raw == _NULL else raw.decode()
        return self._known_hashes[raw]

    def _codes(self, blocks: list[bytes], path: str) -> list[int]:
        codes = []
        for i, raw in enumerate(blocks):
            try:
                codes.append(self._blocks.code(raw))
            except RecordError as error:
                raise error.at(path=f"{path}[{i}]") from None
        return codes

    def finish(self) -> ObservationColumns:
        keys = sorted(self._windows)
        rows = list(chain.from_iterable(self._windows[key] for key in keys))
        codes = np.fromiter(chain.from_iterable(row.blocks for row in rows), np.int64)
        table = np.array(self._blocks.rows, np.int64).reshape(-1, 4)[codes]
        headers = _Pool()
        return ObservationColumns(
            keys=tuple(keys),
            window_offsets=offsets([len(self._windows[key]) for key in keys]),
            block_offsets=offsets([len(row.blocks) for row in rows]),
            ir_ids=[row.ir_id for row in rows],
            request_hashes=[row.request_hash for row in rows],
            created=Times.parse([row.created_at for row in rows]),
            headers=np.array([headers[row.header] for row in rows], np.int32),
            spans=table[:, 0].astype(np.int32),
            contents=table[:, 1].astype(np.int32),
            forms=table[:, 2].astype(np.int32),
            indexes=table[:, 3].astype(np.uint32),
            span_pool=tuple(self._blocks.spans),
            content_pool=tuple(self._blocks.contents),
            form_pool=tuple(self._blocks.forms),
            header_pool=tuple(headers),
        )


class _Results:
    """Collect results."""

    def __init__(self) -> None:
        self.found: dict[str, StabilityAnalysisResult] = {}

    def add(self, entry: Entry, raw: bytes) -> None:
        if entry.key in self.found:
            msg = "expected each key once in the source, got a second result"
            raise RecordError(msg)
        self.found[entry.key] = decode(StabilityAnalysisResult, raw)


class _Runs:
    """Collect runs."""

    def __init__(self, limits: Limits | None) -> None:
        self._limits = limits
        self._messages, self._values = _Pool(), _Pool()
        self._checked: dict[bytes, bytes] = {}
        self._requests: dict[bytes, AnnotatedLlmRequest] = {}
        self._runs: dict[tuple[str, str], tuple[RunRecord, list[Call]]] = {}

    def add(self, _entry: Entry, raw: bytes) -> None:
        pieces = split_object(raw)
        calls = take_list(pieces, "calls")
        record = decode(RunRecord, join_object(pieces))
        key = record.agent_id, record.id
        if key in self._runs:
            msg = "expected each run once in the source, got its id a second time"
            raise RecordError(msg)
        self._runs[key] = record, [self._call(text, f"$.calls[{i}]") for i, text in enumerate(calls)]

    def _call(self, raw: bytes, path: str) -> Call:
        try:
            pieces = split_object(raw)
            request, response = (pieces.pop(f"annotated_{name}", _NULL) for name in ("request", "response"))
            exchange = pieces.pop("acg_lab_exchange", _NULL)
            record = decode(CallRecord, join_object(pieces))
            call = Call(record, response=self._value(response, dict, "$.annotated_response"))
            if exchange != _NULL:
                call = self._with_exchange(call, exchange)
            return call if request == _NULL else self._with_request(call, request)
        except RecordError as error:
            raise error.at(path=path) from None

    def _with_request(self, call: Call, raw: bytes) -> Call:
        try:
            pieces = split_object(raw)
            messages = take_list(pieces, "messages")
            tools = self._value(pieces.pop("tools", _NULL), list, "$.tools")
            head = join_object(pieces)
            light = self._requests.get(head) or self._requests.setdefault(head, decode(AnnotatedLlmRequest, head))
            codes = np.array(list(self._message_codes(messages)), np.int32)
        except RecordError as error:
            raise error.at(path="$.annotated_request") from None
        return call._replace(request=light, messages=codes, tools=tools)

    def _with_exchange(self, call: Call, raw: bytes) -> Call:
        try:
            pieces = split_object(raw)
            sent, response = pieces.pop("request", b"{}"), pieces.pop("response", _NULL)
            light = decode(Exchange, join_object(pieces | {"request": b"{}"}))
            body = self._body(sent)._replace(response=self._value(response, dict, "$.response"))
        except RecordError as error:
            raise error.at(path="$.acg_lab_exchange") from None
        return call._replace(record=replace(call.record, exchange=light), body=body)

    def _body(self, raw: bytes) -> Body:
        try:
            pieces = split_object(raw)
            name = "messages" if "messages" in pieces else "input"
            items = split_list(pieces[name], f"$.{name}") if pieces.get(name, b"")[:1] == b"[" else None
            codes = np.array([] if items is None else list(self._message_codes(items)), np.int32)
            parts = {key: pieces[key] for key in ("tools", "system") if pieces.get(key, _NULL) != _NULL}
            tools, system = (
                self._value(parts[key], object, f"$.{key}") if key in parts else -1 for key in ("tools", "system")
            )
            holes = {**dict.fromkeys(parts, _NULL), **({} if items is None else {name: _NULL})}
            head = self._value(join_object(pieces | holes), dict, "$")
        except RecordError as error:
            raise error.at(path="$.request") from None
        return Body(head, name, codes, tools, system)

    def _message_codes(self, messages: list[bytes]) -> Iterator[int]:
        if self._limits is not None:
            self._limits.check_blocks(len(messages), "messages", "$.messages")
        for i, raw in enumerate(messages):
            yield self._messages[self._checked_text(raw, dict, f"$.messages[{i}]")]

    def _value(self, raw: bytes, kind: type, path: str) -> int:
        if raw == _NULL:
            return -1
        return self._values[self._checked_text(raw, kind, path)]

    def _checked_text(self, raw: bytes, kind: type, path: str) -> bytes:
        """Check each distinct text once, and return it without spaces, so that equal values have one code."""
        if raw in self._checked:
            return self._checked[raw]
        try:
            value = parse_strict(raw)
        except RecordError as error:
            raise error.at(path=path) from None
        items = value if kind is list and isinstance(value, list) else []
        if not isinstance(value, kind) or not all(isinstance(item, dict) for item in items):
            msg = f"expected {'an object' if kind is dict else 'a list of objects'}, got another JSON value"
            raise RecordError(msg, path=path)
        compact = msgspec.json.format(raw, indent=-1)
        return self._checked.setdefault(raw, raw if compact == raw else compact)

    def finish(self) -> Runs:
        runs = sorted(self._runs.values(), key=lambda run: run[0].agent_id)
        return Runs(
            records=[record for record, _ in runs],
            calls=[calls for _, calls in runs],
            messages=JsonPool(self._messages),
            values=JsonPool(self._values),
        )
