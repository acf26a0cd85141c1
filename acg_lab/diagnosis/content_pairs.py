"""What kind of change lies between two requests: the detectors of findings, on a history of two.

Invariant: a kind that no detector is sure of is ``unknown``.
"""

import json
from collections.abc import Sequence
from typing import Final

import numpy as np

from acg_lab.core.stability import StabilityThresholds
from acg_lab.diagnosis.block_history import BlockHistory
from acg_lab.diagnosis.detectors import detect
from acg_lab.diagnosis.finding import Kind
from acg_lab.diagnosis.history_edits import EditNamer
from acg_lab.providers.prompts import PieceKind
from acg_lab.simulation.contents import plain_text
from acg_lab.simulation.requests import RecordedRequests
from acg_lab.storage.observation_columns import Form, Header, ObservationColumns, offsets
from acg_lab.storage.times import Times

__all__ = ["PairNamer"]

_ROLES: Final = {
    PieceKind.TOOL: "system",
    PieceKind.SYSTEM: "system",
    PieceKind.DEVELOPER: "system",
    PieceKind.ASSISTANT: "assistant",
    PieceKind.THINKING: "assistant",
    PieceKind.TOOL_USE: "assistant",
    PieceKind.TOOL_RESULT: "tool",
}


def _make_form(kind: PieceKind) -> Form:
    content_type = "tool_schema" if kind == PieceKind.TOOL else "text"
    role = _ROLES.get(kind, "user")
    return Form(role, content_type, role if role != "assistant" else "memory", None, None, None)


_FORMS: Final = {int(kind): _make_form(kind) for kind in PieceKind}
_TOOL: Final = int(PieceKind.TOOL)
_NEAR: Final = 32  # pieces behind the one that differs that are looked at


class PairNamer:
    """Names changes between recorded requests; equal pairs are looked at once."""

    def __init__(self, requests: RecordedRequests) -> None:
        self._requests = requests
        self._edits = EditNamer(requests)
        self._known: dict[tuple[bytes, bytes], Kind] = {}
        self._texts: dict[int, str] = {}

    def name(self, piece: int, counterpart: int) -> Kind:
        """Return the kind of change between a piece and the one in its place in an earlier request."""
        if piece < 0 or counterpart < 0:
            return Kind.UNKNOWN
        ours, theirs = self._compared(piece), self._compared(counterpart)
        contents = self._requests.contents
        key = contents[ours].tobytes(), contents[theirs].tobytes()
        kind = self._known.get(key)
        if kind is None:
            kind = self._edits.name(piece, counterpart) or self._detect(theirs, ours, piece - ours.start)
            self._known[key] = kind
        return kind

    def _compared(self, piece: int) -> slice:
        """Return the pieces that are looked at: of tools all, else from the piece on."""
        requests = self._requests
        request = int(np.searchsorted(requests.piece_offsets, piece, side="right")) - 1
        begin, end = (int(bound) for bound in requests.piece_offsets[request : request + 2])
        if requests.kinds[piece] != PieceKind.TOOL:
            return slice(piece, min(end, piece + _NEAR))
        kinds = requests.kinds[begin:end]
        tools = np.flatnonzero(kinds == PieceKind.TOOL)
        return slice(begin + int(tools[0]), begin + int(tools[-1]) + 1)

    def _detect(self, before: slice, after: slice, position: int) -> Kind:
        names: dict[str, int] = {}
        codes: dict[int, int] = {}
        forms: dict[Form, int] = {}
        spans, of_contents, of_forms = list[int](), list[int](), list[int]()
        for pieces in (before, after):
            contents, kinds = self._requests.contents[pieces].tolist(), self._requests.kinds[pieces].tolist()
            for number, (content, kind) in enumerate(zip(contents, kinds, strict=True)):
                spans.append(names.setdefault(self._span_id(content, kind, number), len(names)))
                of_contents.append(codes.setdefault(content, len(codes)))
                of_forms.append(forms.setdefault(_FORMS[kind], len(forms)))
        source = _two_requests(
            (before.stop - before.start, after.stop - after.start),
            spans,
            of_contents,
            of_forms,
            (tuple(names), tuple(self._text(code) for code in codes), tuple(forms)),
            is_redacted=self._requests.is_redacted,
        )
        threshold = StabilityThresholds().stable_threshold
        block = BlockHistory(source, (0, 1), spans[before.stop - before.start + position], threshold)
        match = detect(block)
        return block.unnamed_kind if match is None else match.detector.kind

    def _text(self, code: int) -> str:
        if code not in self._texts:
            self._texts[code] = plain_text(self._requests.texts[code])
        return self._texts[code]

    def _span_id(self, content: int, kind: int, number: int) -> str:
        return f"tools-{number}-{_tool_name(self._text(content))}" if kind == _TOOL else f"piece-{number}"


def _tool_name(definition: str) -> str:
    """Return the name of a tool; of one without, its definition."""
    try:
        value = json.loads(definition)
    except (ValueError, RecursionError):
        return definition
    inner = value.get("function") if isinstance(value, dict) else None
    named = inner if isinstance(inner, dict) else value
    return str(named.get("name", definition)) if isinstance(named, dict) else definition


def _two_requests(
    lengths: tuple[int, int],
    spans: Sequence[int],
    contents: Sequence[int],
    forms: Sequence[int],
    pools: tuple[Sequence[str], Sequence[str], Sequence[Form]],
    *,
    is_redacted: bool,
) -> ObservationColumns:
    """Return two requests as one window."""
    span_pool, content_pool, form_pool = pools
    return ObservationColumns(
        keys=("",),
        window_offsets=offsets([2]),
        block_offsets=offsets(lengths),
        ir_ids=("", ""),
        request_hashes=(None, None),
        created=Times(np.zeros(2, np.int64), {}),
        headers=np.zeros(2, np.int32),
        spans=np.array(spans, np.int32),
        contents=np.array(contents, np.int32),
        forms=np.array(forms, np.int32),
        indexes=np.concatenate([np.arange(length, dtype=np.uint32) for length in lengths]),
        span_pool=span_pool,
        content_pool=content_pool,
        form_pool=form_pool,
        header_pool=(Header(None, None, None),),
        is_redacted=is_redacted,
    )
