"""A whole source as columns of codes; records are made when asked for.

Each distinct text, message and tool list is kept once, and named by its code: its position in a pool.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as replace_fields
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from acg_lab.core.codec import decode
from acg_lab.core.errors import RecordError
from acg_lab.core.exact_prefix import is_scaffold
from acg_lab.core.records import (
    AnnotatedLlmRequest,
    CallRecord,
    Exchange,
    JsonObject,
    PromptBlock,
    PromptIR,
    RunRecord,
    StabilityAnalysisResult,
    TokenMetadata,
    ToolSchemaHash,
)
from acg_lab.storage.lazy import JsonPool
from acg_lab.storage.times import Times

__all__ = [
    "Body",
    "Call",
    "Columns",
    "Form",
    "Header",
    "ObservationColumns",
    "Origin",
    "Runs",
    "Sending",
    "is_redacted",
    "offsets",
]

Codes = NDArray[np.int32]
Offsets = NDArray[np.int64]
_redacted = re.compile(r"(?:[a-z0-9]+:)?[0-9a-f]{16,128}\b.{0,24}")
_parse_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _unknown(text: str | None) -> JsonObject:
    return msgspec.json.decode(text, type=dict[str, Any]) if text else {}


class Form(NamedTuple):
    """The fields of a block other than span id, index and content."""

    role: Any
    content_type: Any
    provenance: Any
    sensitivity: Any
    token_metadata: str | None  # JSON
    unknown: str | None  # JSON

    @property
    def is_scaffold(self) -> bool:
        """Whether the block belongs to the system prompt, the tools or the response format."""
        return is_scaffold(self.role, self.content_type)


class Header(NamedTuple):
    """The fields of an observation other than its blocks, ids, hash and time."""

    tool_schema_hashes: str | None  # JSON
    structured_output_schema_id: str | None
    unknown: str | None  # JSON


@dataclass(frozen=True, eq=False, kw_only=True)
class ObservationColumns:
    """The windows of a source as columns.

    Attributes
    ----------
    keys : tuple of str, length n_windows
        Learning keys and agent ids, sorted.
    window_offsets : (n_windows + 1,)
        Window ``w`` holds the observations ``window_offsets[w]`` up to ``window_offsets[w + 1]``, oldest first.
    block_offsets : (n_observations + 1,)
        The same for the blocks of an observation, in prompt order.
    ir_ids, request_hashes, headers, created : n_observations
        ``headers`` are codes of ``header_pool``.
    spans, contents, forms, indexes : (n_blocks,)
        One row per block: codes of the pools, and the sequence index.
    """

    keys: tuple[str, ...]
    window_offsets: Offsets
    block_offsets: Offsets
    ir_ids: Sequence[str]
    request_hashes: Sequence[str | None]
    created: Times
    headers: Codes
    spans: Codes
    contents: Codes
    forms: Codes
    indexes: NDArray[np.uint32]
    span_pool: Sequence[str]
    content_pool: Sequence[str]
    form_pool: Sequence[Form]
    header_pool: Sequence[Header]

    @cached_property
    def number(self) -> Mapping[str, int]:
        """The position of each key in `keys`."""
        return {key: i for i, key in enumerate(self.keys)}

    @cached_property
    def _tool_hashes(self) -> dict[str, tuple[ToolSchemaHash, ...]]:
        return {}

    @cached_property
    def _blocks(self) -> dict[tuple[int, int, int, int], PromptBlock]:
        return {}

    def observations_of(self, window: int) -> range:
        """Return the rows of a window's observations."""
        return range(int(self.window_offsets[window]), int(self.window_offsets[window + 1]))

    def blocks_of(self, window: int) -> slice:
        """Return the rows of all blocks of a window."""
        return slice(
            int(self.block_offsets[self.window_offsets[window]]),
            int(self.block_offsets[self.window_offsets[window + 1]]),
        )

    def window(self, window: int) -> tuple[PromptIR, ...]:
        """Return the observations of a window, oldest first; equal blocks are one object."""
        return tuple(self.observation(row) for row in self.observations_of(window))

    def observation(self, row: int) -> PromptIR:
        """Return the observation of a row."""
        hashes, schema_id, unknown = self.header_pool[self.headers[row]]
        blocks = slice(int(self.block_offsets[row]), int(self.block_offsets[row + 1]))
        columns = (self.spans, self.contents, self.forms, self.indexes)
        return PromptIR(
            ir_id=self.ir_ids[row],
            blocks=tuple(map(self._block, zip(*(column[blocks].tolist() for column in columns), strict=True))),
            tool_schema_hashes=self._hashes(hashes),
            structured_output_schema_id=schema_id,
            source_request_hash=self.request_hashes[row],
            created_at=self.created.text(row) or "",
            unknown=_unknown(unknown),
        )

    def _hashes(self, text: str | None) -> tuple[ToolSchemaHash, ...] | None:
        if text is None:
            return None
        if text not in self._tool_hashes:
            self._tool_hashes[text] = tuple(decode(ToolSchemaHash, bytes(raw)) for raw in _parse_list(text))
        return self._tool_hashes[text]

    def _block(self, codes: tuple[int, int, int, int]) -> PromptBlock:
        if codes not in self._blocks:
            span, content, form, index = codes
            role, content_type, provenance, sensitivity, token_metadata, unknown = self.form_pool[form]
            self._blocks[codes] = PromptBlock(
                span_id=self.span_pool[span],
                sequence_index=index,
                role=role,
                content=self.content_pool[content],
                content_type=content_type,
                provenance=provenance,
                sensitivity=sensitivity,
                token_metadata=decode(TokenMetadata, token_metadata.encode()) if token_metadata else None,
                unknown=_unknown(unknown),
            )
        return self._blocks[codes]

    def slice(self, rows: range, key: str) -> "ObservationColumns":
        """Return consecutive observations as one window of the given key; arrays are views."""
        ends = self.block_offsets[rows.start : rows.stop + 1]
        observations, blocks = slice(rows.start, rows.stop), slice(int(ends[0]), int(ends[-1]))
        spelled = {row - rows.start: text for row, text in self.created.spelled.items() if row in rows}
        return replace_fields(
            self,
            keys=(key,),
            window_offsets=offsets([len(rows)]),
            block_offsets=ends - ends[0],
            ir_ids=self.ir_ids[observations],
            request_hashes=self.request_hashes[observations],
            created=Times(self.created.nanoseconds[observations], spelled),
            headers=self.headers[observations],
            spans=self.spans[blocks],
            contents=self.contents[blocks],
            forms=self.forms[blocks],
            indexes=self.indexes[blocks],
        )

    def take(self, rows: NDArray[np.int64], keys: Iterable[str]) -> "ObservationColumns":
        """Return the observations of the given rows (ascending), in windows of the given keys (sorted)."""
        keys = tuple(keys)
        of_row = np.repeat(np.arange(len(self.keys)), np.diff(self.window_offsets))[rows]
        counts = np.bincount(of_row, minlength=len(self.keys))[[self.number[key] for key in keys]]
        lengths = np.diff(self.block_offsets)[rows]
        blocks = np.repeat(self.block_offsets[:-1][rows] - offsets(lengths)[:-1], lengths) + np.arange(lengths.sum())
        new = {int(row): i for i, row in enumerate(rows)}
        spelled = {new[row]: text for row, text in self.created.spelled.items() if row in new}
        return ObservationColumns(
            keys=keys,
            window_offsets=offsets(counts),
            block_offsets=offsets(lengths),
            ir_ids=[self.ir_ids[row] for row in rows],
            request_hashes=[self.request_hashes[row] for row in rows],
            created=Times(self.created.nanoseconds[rows], spelled),
            headers=self.headers[rows],
            spans=self.spans[blocks],
            contents=self.contents[blocks],
            forms=self.forms[blocks],
            indexes=self.indexes[blocks],
            span_pool=self.span_pool,
            content_pool=self.content_pool,
            form_pool=self.form_pool,
            header_pool=self.header_pool,
        )


def offsets(counts: NDArray[np.int64] | Sequence[int]) -> Offsets:
    """Return the start of each group of rows, followed by the end of the last one."""
    return np.concatenate(([0], np.cumsum(counts, dtype=np.int64))).astype(np.int64)


class Body(NamedTuple):
    """A request body as sent, and its response, with texts replaced by codes, -1 for none.

    Attributes
    ----------
    head : int
        Code of `Runs.values`: the body, keys in order, with null for the values of the other fields.
    name : str
        The key of the messages, ``"messages"`` or ``"input"``.
    items : codes of `Runs.messages`
        The messages as sent.
    tools, system, response : int
        Codes of `Runs.values`.
    """

    head: int
    name: str
    items: Codes
    tools: int = -1
    system: int = -1
    response: int = -1


class Sending(NamedTuple):
    """What a repair changes in the way a request is sent; production and request logs never hold it.

    Attributes
    ----------
    breakpoints : tuple of (str, int)
        Places that take one: ``"system"``, ``"tools"`` and ``"last_message"`` (their end), ``"instructions"``, or
        ``"tool"`` and ``"message"`` with a position.
    ttl : int
        Seconds that every breakpoint of the request asks for, 0 for what it asks for itself.
    automatic : bool
        Whether the provider is asked to cache up to the last message.
    """

    breakpoints: tuple[tuple[str, int], ...] = ()
    ttl: int = 0
    automatic: bool = False


class Call(NamedTuple):
    """A call with texts replaced by codes of `Runs.messages` and `Runs.values`, -1 for none.

    ``record.exchange`` exists if ``body`` does, but without request, response, and the raw usage of the response.
    """

    record: CallRecord
    request: AnnotatedLlmRequest | None = None
    messages: Codes = np.empty(0, np.int32)
    tools: int = -1
    response: int = -1
    body: Body | None = None
    sending: Sending | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Runs(Sequence[RunRecord]):
    """Runs by agent, in the order of each agent's index; each distinct message is kept once.

    Attributes
    ----------
    records : list of RunRecord
        The runs without their calls.
    calls : list of list of Call
        The calls of each run.
    messages, values : JsonPool
        Distinct messages; distinct tool lists, responses and request bodies.
    """

    records: Sequence[RunRecord] = ()
    calls: Sequence[Sequence[Call]] = ()
    messages: JsonPool = field(default_factory=JsonPool)
    values: JsonPool = field(default_factory=JsonPool)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, position: Any) -> Any:
        if isinstance(position, slice):
            return [self[i] for i in range(*position.indices(len(self)))]
        return replace(self.records[position], calls=tuple(map(self._call, self.calls[position])))

    def __iter__(self) -> Iterator[RunRecord]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"<Runs: {len(self)} runs, {sum(map(len, self.calls))} calls>"

    def _call(self, call: Call) -> CallRecord:
        response: JsonObject | None = None if call.response < 0 else self.values.value(call.response)
        request = None if call.request is None else self.request(call)
        exchange = self.exchange(call)
        return replace(call.record, annotated_request=request, annotated_response=response, exchange=exchange)

    def exchange(self, call: Call) -> Exchange | None:
        """Return what passed between application and provider in a call, or None if it is not recorded."""
        light, body = call.record.exchange, call.body
        if light is None or body is None:
            return light
        response = None if body.response < 0 else self.values.value(body.response)
        usage = light.usage
        if usage is not None and not usage.raw and response is not None:
            usage = replace(usage, raw=response.get("usage") or {})
        return replace(light, request=self.body(body), response=response, usage=usage)

    def body(self, body: Body) -> JsonObject:
        """Return a request body as sent, with its keys in order."""
        request = dict(self.values.value(body.head))
        if body.items.size or request.get(body.name, ...) is None:
            request[body.name] = list(map(self.messages.value, body.items.tolist()))
        for name, code in (("tools", body.tools), ("system", body.system)):
            if code >= 0:
                request[name] = self.values.value(code)
        return request

    def request(self, call: Call) -> AnnotatedLlmRequest:
        """Return the request of a call that has one."""
        tools = None if call.tools < 0 else tuple(self.values.value(call.tools))
        request = call.request or AnnotatedLlmRequest(messages=())
        return replace(request, messages=tuple(map(self.messages.value, call.messages.tolist())), tools=tools)

    def take(self, positions: Iterable[int]) -> "Runs":
        """Return the runs at the given positions."""
        kept = list(positions)
        return Runs(
            records=[self.records[i] for i in kept],
            calls=[self.calls[i] for i in kept],
            messages=self.messages,
            values=self.values,
        )


class Origin(NamedTuple):
    """Where the contents of a source come from.

    Attributes
    ----------
    learned_here : bool
        Whether windows and results were learned here from runs, and not stored by production.
    caveats : tuple of str
        What had to be inferred, what was omitted, and what the source does not contain.
    sample_rate : float
        The share of the traffic in the source, in (0, 1], as stated by the caller.
    """

    learned_here: bool = False
    caveats: tuple[str, ...] = ()
    sample_rate: float = 1.0


_UNKNOWN_ORIGIN = Origin()


@dataclass(frozen=True, eq=False, kw_only=True)
class Columns:
    """Everything that one read of a source found.

    Attributes
    ----------
    problems : tuple of RecordError
        The entries that cannot be read.
    key_prefix : str or None
        Production's key prefix; None if unknown.
    rules : mapping of str to (str, str, bool)
        Name, evidence and certainty of rules versions that windows do not show, such as those of repaired windows.
    unread : tuple of str or None
        Sentences on recorded requests that production cannot read; None if they were not checked.
    """

    observations: ObservationColumns
    results: Mapping[str, StabilityAnalysisResult]
    runs: Runs
    problems: tuple[RecordError, ...] = ()
    key_prefix: str | None = None
    rules: Mapping[str, tuple[str, str, bool]] = field(default_factory=dict)
    unread: tuple[str, ...] | None = None
    origin: Origin = _UNKNOWN_ORIGIN


def is_redacted(text: str) -> bool:
    """Return whether a text is a hash that replaces a content, as in redacted exports."""
    return _redacted.fullmatch(text) is not None
