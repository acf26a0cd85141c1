"""Stored windows and results with pseudonyms in place of texts.

A block that a recorded request shows gets the content that production makes of the redacted request, so that windows
and runs still agree; any other gets that of its own text. Hashes are made anew, of the pseudonyms.
"""

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace as replace_fields
from itertools import groupby
from typing import Any, Final

import msgspec
import numpy as np
from msgspec.structs import replace

from acg_lab.core.canonical import canonical_json, hash_text
from acg_lab.core.errors import RecordError
from acg_lab.core.exact_prefix import window_fingerprint
from acg_lab.core.keys import Owner
from acg_lab.core.messages import message_rule
from acg_lab.core.prompt_ir import hash_request, normalize_whitespace, tool_drafts
from acg_lab.core.records import AnnotatedLlmRequest, StabilityAnalysisResult
from acg_lab.core.rule_types import Draft
from acg_lab.core.rules import get_rules
from acg_lab.snapshot.block_identities import identify_blocks
from acg_lab.snapshot.redacted_runs import PrivateRedactor, Redactor
from acg_lab.storage.columns import Columns
from acg_lab.storage.observation_columns import Form, Header, ObservationColumns
from acg_lab.storage.recorded_runs import Call, Runs

__all__ = ["WindowRedactor"]

_named: Final = re.compile(r"((?:system|user|assistant|tool)-[0-9]+-)(.*)", re.DOTALL).fullmatch
_encode: Final = msgspec.json.encode
_Block = tuple[str, str, str]  # role, content type, content


class WindowRedactor:
    """Redacts the windows and results of a source.

    Parameters
    ----------
    columns : Columns
        Read, never changed.
    runs : Runs
        Its runs, redacted.
    owners : mapping of str to Owner
        The agent of each key.
    rules : mapping of str to collection of str
        The rules versions of each agent.
    redactor : Redactor
    """

    def __init__(
        self,
        columns: Columns,
        runs: Runs,
        owners: Mapping[str, Owner],
        rules: Mapping[str, Sequence[str]],
        redactor: Redactor,
    ) -> None:
        self._columns, self._redactor, self._owners = columns, redactor, owners
        self._made = _RedactedRequests(columns.runs, runs, rules)
        wanted = {found for found in columns.observations.request_hashes if found is not None}
        self._request_hashes = self._made.request_hashes(wanted)
        self._hashes = self._made.tool_hashes
        self.keys = {key: redactor.key(key, owner.agent_id) for key, owner in owners.items()}
        self.observations = self._observations(columns.observations)

    # --- windows ---

    def _observations(self, source: ObservationColumns) -> ObservationColumns:
        forms = [self._form(form) for form in source.form_pool]
        contents, content_pool = self._pooled(source, source.contents, source.content_pool, self._content)
        self._of_span, span_pool = self._pooled(source, source.spans, source.span_pool, self._span)
        redacted = replace_fields(
            source,
            keys=tuple(self.keys[key] for key in source.keys),
            ir_ids=[self._ir_id(ir_id) for ir_id in source.ir_ids],
            request_hashes=[None if one is None else self._request_hash(one) for one in source.request_hashes],
            contents=contents,
            spans=self._of_span,
            form_pool=forms,
            content_pool=content_pool,
            span_pool=span_pool,
            header_pool=[self._header(header) for header in source.header_pool],
            is_redacted=not isinstance(self._redactor, PrivateRedactor),
            is_partly_redacted=True,
        )
        return _sorted_by_key(redacted)

    def _pooled(
        self, source: ObservationColumns, codes: Any, pool: Sequence[str], redact: Any
    ) -> tuple[Any, list[str]]:
        """Redact each text of a pool in each of its forms; return the codes of the rows, and the new pool."""
        pairs, of_row = np.unique(np.stack((codes, source.forms)), axis=1, return_inverse=True)
        texts = [redact(pool[code], source.form_pool[form]) for code, form in pairs.T.tolist()]
        numbers = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        new = np.array([numbers[text] for text in texts], np.int32)
        return (new[of_row.reshape(-1)] if texts else codes), list(numbers)

    def _content(self, content: str, form: Form) -> str:
        made = self._made.contents.get((form.role, form.content_type, content))
        if made is None:
            made = self._content_of_text(content, form)
        if form.content_type in ("tool_schema", "structured_output"):
            self._hashes.setdefault(hash_text(content), hash_text(made))
        return made

    def _content_of_text(self, content: str, form: Form) -> str:
        redact = self._redactor.json.redact
        try:
            value = msgspec.json.decode(content) if content.startswith("{") else None
            is_format = form.content_type == "structured_output"
            named = {"tool_schema": "tool", "structured_output": "format"}.get(form.content_type)
            kind = named or _kind_of_item(form, value)
            if kind and isinstance(value, dict):
                made = redact(kind, value)
                text = content if made == value else canonical_json(made)
                return text if is_format else normalize_whitespace(text)
        except (msgspec.DecodeError, RecordError, RecursionError):
            pass
        return self._redactor.names.content(content)

    def _span(self, span: str, form: Form) -> str:
        return span if _is_fixed(span, form) else self._span_of_text(span)

    def _span_of_text(self, span: str) -> str:
        value = self._redactor.names.value
        if named := _named(span):
            return f"{named[1]}{value(named[2])}"
        return span if re.fullmatch("(?:system|user|assistant|tool)-[0-9]+", span) else value(span)

    def _form(self, form: Form) -> Form:
        metadata = form.token_metadata
        if metadata is not None:
            known = msgspec.json.decode(metadata)
            rest = {name: known.pop(name) for name in [*known] if name not in ("model_family", "token_count")}
            metadata = _encode({**known, **self._redactor.data(rest)}).decode()
        return form._replace(token_metadata=metadata, unknown=self._redactor.data_text(form.unknown))

    def _header(self, header: Header) -> Header:
        hashes, schema = header.tool_schema_hashes, header.structured_output_schema_id
        if hashes is not None:
            hashes = _encode([self._tool_hash(one) for one in msgspec.json.decode(hashes)]).decode()
        return Header(hashes, None if schema is None else self._hash(schema), self._redactor.data_text(header.unknown))

    def _tool_hash(self, stored: dict[str, Any]) -> dict[str, Any]:
        rest = {name: value for name, value in stored.items() if name not in ("tool_name", "schema_hash")}
        named = {
            "tool_name": self._redactor.names.value(stored["tool_name"]),
            "schema_hash": self._hash(stored["schema_hash"]),
        }
        return {**named, **self._redactor.data(rest)}

    def _hash(self, stored: str) -> str:
        return self._hashes.get(stored) or self._redactor.hash(stored)

    def _request_hash(self, stored: str) -> str:
        return self._request_hashes.get(stored) or self._redactor.hash(stored)

    def _ir_id(self, ir_id: str) -> str:
        return str(uuid.UUID(self._redactor.names.digest(ir_id)[:32])) if self._redactor.redacts_names else ir_id

    # --- results ---

    def results(self) -> dict[str, StabilityAnalysisResult]:
        """Return the stored results, with the fingerprints that their redacted windows have."""
        fingerprints = dict(self._fingerprints())
        return {self.keys[key]: self._result(key, found, fingerprints) for key, found in self._columns.results.items()}

    def _fingerprints(self) -> Iterator[tuple[str, str]]:
        """Yield the fingerprint of each stored result that its window confirms, and what it is made anew."""
        source = self._columns.observations
        for key, result in self._columns.results.items():
            stored, depth = result.stable_prefix_fingerprint, result.stable_prefix_length
            if stored is None or key not in source.number:
                continue
            if _fingerprint(source, key, key, depth) == stored:
                new = self.keys[key]
                made = _fingerprint(self.observations, new, new, depth)
                if made is not None:
                    yield stored, made

    def _result(
        self, key: str, result: StabilityAnalysisResult, fingerprints: Mapping[str, str]
    ) -> StabilityAnalysisResult:
        data, stored = self._redactor.data, result.stable_prefix_fingerprint
        spans, indexes = self._spans_of(key)

        def place(score: Any) -> tuple[int, str]:
            return indexes.get(score.span_id, -1), score.classification

        scores = []
        for _, group in groupby(result.scores, place):
            tied = list(group)
            named = [
                replace(s, span_id=spans.get(s.span_id) or self._span_of_text(s.span_id), unknown=data(s.unknown))
                for s in tied
            ]
            if tied == sorted(tied, key=lambda score: score.span_id):  # production lists equals by name
                named.sort(key=lambda score: score.span_id)
            scores += named
        return replace(
            result,
            scores=tuple(scores),
            stable_prefix_fingerprint=stored and (fingerprints.get(stored) or self._redactor.hash(stored)),
            unknown=data(result.unknown),
        )

    def _spans_of(self, key: str) -> tuple[dict[str, str], dict[str, int]]:
        """Return the new names of a window's spans, and the smallest index of each, by their old names."""
        source = self._columns.observations
        if key not in source.number:
            return {}, {}
        rows = source.blocks_of(source.number[key])
        pairs = np.unique(np.stack((source.spans[rows], source.forms[rows])), axis=1).T.tolist()
        names = {source.span_pool[s]: self._span(source.span_pool[s], source.form_pool[f]) for s, f in pairs}
        indexes: dict[str, int] = {}
        for span, index in zip(source.spans[rows].tolist(), source.indexes[rows].tolist(), strict=True):
            name = source.span_pool[span]
            indexes[name] = min(index, indexes.get(name, index))
        return names, indexes


def _fingerprint(source: ObservationColumns, key: str, learning_key: str, depth: int) -> str | None:
    blocks, hashes, identities = identify_blocks(source, key)
    return window_fingerprint(learning_key, list(zip(blocks, hashes, strict=True)), depth, identities.__getitem__)


def _kind_of_item(form: Form, value: Any) -> str | None:
    """Return what a block that holds JSON is made of: a whole message, or a call of a tool."""
    if not isinstance(value, dict) or form.content_type != "text":
        return None
    if value.get("role") in ("tool_call", "tool_result", "provider_native"):
        return "message"
    return "call" if form.role == "assistant" and isinstance(value.get("function"), dict) else None


def _is_fixed(span: str, form: Form) -> bool:
    """Return whether the name of a span says nothing but what the block is."""
    if form.content_type == "structured_output":
        return span.endswith("-structured-output")
    if form.role != "system" or form.content_type != "text":
        return False
    return span.endswith("-developer" if form.provenance == "developer" else "-instructions")


def _sorted_by_key(source: ObservationColumns) -> ObservationColumns:
    """Return the windows in the order of their keys."""
    order = sorted(range(len(source.keys)), key=source.keys.__getitem__)
    rows = np.array([row for window in order for row in source.observations_of(window)], np.int64)
    return source.take(rows, [source.keys[window] for window in order])


class _RedactedRequests:
    """What production makes of recorded requests, before and after they were redacted.

    Attributes
    ----------
    contents : dict
        New content by role, content type and content.
    tool_hashes : dict of str to str
    """

    def __init__(self, before: Runs, after: Runs, rules: Mapping[str, Sequence[str]]) -> None:
        self._before, self._after = before, after
        self.contents: dict[_Block, str] = {}
        self.tool_hashes: dict[str, str] = {}
        self._seen: set[tuple[object, ...]] = set()
        for record, old, new in zip(before.records, before.calls, after.calls, strict=True):
            for name in rules.get(record.agent_id, ()):
                for was, call in zip(old, new, strict=True):
                    if was.request is not None and call.request is not None:
                        self._read(name, was, call)

    def _read(self, rules: str, was: Call, call: Call) -> None:
        table = get_rules(rules)
        for old, new in zip(was.messages.tolist(), call.messages.tolist(), strict=True):
            if self._is_new(rules, "message", old):
                pair = self._before.messages.value(old), self._after.messages.value(new)
                self._pair([lambda m=m: message_rule(table, m).drafts(table, m) for m in pair])
        if self._is_new(rules, "head", id(was.request)):
            requests = was.request or _NOTHING, call.request or _NOTHING
            self._pair([lambda r=r: table.opening(table, r) for r in requests])
            self._pair([lambda r=r: table.closing(table, r) for r in requests])
        if was.tools >= 0 and self._is_new(rules, "tools", was.tools):
            whole = self._before.request(was), self._after.request(call)
            self._pair([lambda r=r: tool_drafts(table, r) for r in whole])
            for old_tool, new_tool in zip(whole[0].tools or (), whole[1].tools or (), strict=True):
                try:
                    pair_of = hash_text(canonical_json(old_tool)), hash_text(canonical_json(new_tool))
                except RecordError:
                    continue
                self.tool_hashes.setdefault(*pair_of)

    def _is_new(self, *what: object) -> bool:
        if what in self._seen:
            return False
        self._seen.add(what)
        return True

    def _pair(self, made: Sequence[Any]) -> None:
        try:
            old, new = (list(make()) for make in made)
        except RecordError:
            return  # production skips the request
        for before, after in zip(old, new, strict=True):
            self.contents.setdefault((before.role, before.content_type, _content(before)), _content(after))

    def request_hashes(self, wanted: set[str]) -> dict[str, str]:
        """Return the hashes of redacted requests by those that are wanted of them before; the newest are read first."""
        found: dict[str, str] = {}
        for old, new in zip(reversed(self._before.calls), reversed(self._after.calls), strict=True):
            for was, call in zip(reversed(old), reversed(new), strict=True):
                if len(found) == len(wanted):
                    return found
                if was.request is not None and (stored := _hash_of(self._before, was)) in wanted:
                    found.setdefault(stored, _hash_of(self._after, call) or stored)
        return found


_NOTHING: Final = AnnotatedLlmRequest(messages=())


def _hash_of(runs: Runs, call: Call) -> str | None:
    try:
        return hash_request(runs.request(call))
    except RecordError:
        return None


def _content(draft: Draft) -> str:
    return normalize_whitespace(draft.content) if draft.normalised else draft.content
