"""Event files of NeMo Relay: ATOF 0.1, one event a line, and ATIF trajectories that embed the events.

A call is the start and the end of one uuid of category ``llm``; its run is the nearest enclosing scope of category
``agent``, as in production, and a call outside of all agent scopes has none. Calls are yielded as they end, so only
the open ones are held. The runtime prints the keys of every object in alphabetical order.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from acg_lab.core.errors import RecordError
from acg_lab.core.records import JsonObject, Usage
from acg_lab.logs.entries import Api, Document, LoggedCall, LoggedRun, LogProblem, Note, ReadOptions, Yielded
from acg_lab.logs.log_times import read_time
from acg_lab.logs.redactions import find_redaction
from acg_lab.logs.turns import is_last_turn, lacks_its_tool_call

__all__ = ["is_atif", "is_atof", "read_atif", "read_atof"]

CUT = Note("only the last turn was recorded, not what the provider saw; turn on enable_full_payloads in the runtime")
PERHAPS_CUT = Note("may hold only its last turn: the log does not show whether enable_full_payloads was on")
UNLEARNED = Note("made without a codec: the runtime learned nothing from it, and so nothing is learned from it here")
NO_CODECS = Note("no call has a codec, so the runtime learned nothing; here it is learned from the raw bodies")
OWN_CODEC = Note("made with a codec of the application's own: in which form the provider's body is, is not known")
SORTED_KEYS = Note("the event file sorts the keys of the body; the order in which they were sent is not recorded")
NO_SCOPE = Note("no agent scope around the call is in the log: if there was none, the runtime recorded no run of it")

_APIS: dict[str, Api] = {
    "anthropic_messages": "anthropic",
    "openai_chat": "openai-chat",
    "openai_responses": "openai-responses",
}
# After so many calls without a codec, none is expected any more.
_MOST_HELD = 1_000
# Headers that say who asked; others may hold credentials.
_HEADERS = ("x-dynamo-session-id", "x-dynamo-parent-session-id")

_Raw = msgspec.Raw
_NULL = msgspec.Raw(b"null")


class _Event(msgspec.Struct):
    """One event; what is not looked into stays text."""

    kind: str
    uuid: str
    timestamp: Any = None
    atof_version: str | None = None
    category: str | None = None
    scope_category: str | None = None
    parent_uuid: str | None = None
    name: str = ""
    category_profile: _Raw = _NULL
    data: _Raw = _NULL
    metadata: dict[str, Any] | None = None


class _Profile(msgspec.Struct):
    annotated_request: _Raw = _NULL
    annotated_response: dict[str, Any] | None = None


class _Payload(msgspec.Struct):
    content: _Raw = _NULL
    headers: dict[str, Any] | None = None


class _Annotated(msgspec.Struct):
    messages: list[dict[str, Any]]
    api_specific: dict[str, Any] | None = None


class _Trajectory(msgspec.Struct):
    schema_version: str
    extra: dict[str, _Raw] | None = None


_read_event = msgspec.json.Decoder(_Event).decode
_read_profile = msgspec.json.Decoder(_Profile | None).decode
_read_payload = msgspec.json.Decoder(_Payload | None).decode
_read_annotated = msgspec.json.Decoder(_Annotated).decode
_read_trajectory = msgspec.json.Decoder(_Trajectory).decode
_read_list = msgspec.json.Decoder(list[_Raw]).decode
_BAD = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def is_atof(first: Sequence[JsonObject]) -> bool:
    """Return whether the first documents are ATOF events."""
    return "atof_version" in first[0]


def is_atif(first: Sequence[JsonObject]) -> bool:
    """Return whether the first document is an ATIF trajectory."""
    return str(first[0].get("schema_version", "")).startswith("ATIF")


def read_atof(documents: Iterable[Document], options: ReadOptions) -> Iterator[Yielded]:
    """Read ATOF events to calls and runs.

    Parameters
    ----------
    documents : iterable of Document
        One event each, of one or several files. An end may stand before its start.
    options : ReadOptions
        ``api`` is taken for calls without a codec.

    Yields
    ------
    LoggedCall, LoggedRun or LogProblem
        A call when it ended, else at the end of the log.
    """
    scopes = _Scopes(options.api)
    for document in documents:
        yield from scopes.add(document, "$")
    yield from scopes.close()


def read_atif(documents: Iterable[Document], options: ReadOptions) -> Iterator[Yielded]:
    """Read the ATOF events that ATIF trajectories embed; a trajectory without them is a problem."""
    for document in documents:
        try:
            extra = _read_trajectory(document.raw).extra or {}
            events = _read_list(extra.get("observed_events", b"[]"))
        except _BAD as error:
            yield document.problem(f"expected an ATIF trajectory: {error}")
            continue
        if not events:
            yield document.problem(
                "expected the events that the trajectory was made of; its steps lack what the runtime learned from",
                "$.extra.observed_events",
            )
        scopes = _Scopes(options.api)
        for i, raw in enumerate(events):
            yield from scopes.add(document._replace(raw=bytes(raw)), f"$.extra.observed_events[{i}]")
        yield from scopes.close()


@dataclass
class _Agent:
    """An agent scope that has begun."""

    name: str
    started_at: str | None
    ended_at: str | None = None
    opening: Any = None  # the first message of its first call, to see which later calls continue it
    n_calls: int = 0


@dataclass
class _Open:
    """A call that has begun."""

    call: LoggedCall
    has_codec: bool = False
    first_token_at: str | None = None


@dataclass
class _Scopes:
    """What is open at one point of the event stream."""

    api: Api | None
    parents: dict[str, str | None] = field(default_factory=dict)
    agents: dict[str, _Agent] = field(default_factory=dict)
    calls: dict[str, _Open] = field(default_factory=dict)
    early_ends: dict[str, tuple[Document, _Event]] = field(default_factory=dict)
    early_tokens: dict[str, str] = field(default_factory=dict)
    is_whole: bool = False  # a later call was seen that holds more than its last turn
    has_codecs: bool | None = None  # None: not known yet, so that calls without one are held
    held: list[LoggedCall] = field(default_factory=list)

    def add(self, document: Document, path: str) -> Iterator[Yielded]:
        try:
            event = _read_event(document.raw)
        except _BAD as error:
            yield document.problem(f"expected an ATOF event: {error}", path)
            return
        if event.atof_version not in ("0.1", None):
            yield document.problem(
                f"expected ATOF version '0.1', got {event.atof_version!r}; update acg_lab", f"{path}.atof_version"
            )
            return
        try:
            event.timestamp = read_time(event.timestamp).replace("+00:00", "Z")
        except RecordError as error:
            yield document.problem(error.reason, f"{path}.timestamp")
            event.timestamp = None
        if event.kind == "mark":
            self._mark(event)
        elif event.scope_category == "start":
            yield from self._start(document, event, path)
        elif event.scope_category == "end":
            yield from self._end(document, event)

    def close(self) -> Iterator[Yielded]:
        """Yield what never ended, and name the ends that never began."""
        for opened in self.calls.values():
            yield from self._finished(opened)
        yield from self._released(has_codecs=self.has_codecs is True)
        for document, event in self.early_ends.values():
            if event.category == "llm":
                yield document.problem("the end of a call whose start is not in the log; it is left out")
        for uuid, agent in self.agents.items():
            if agent.ended_at is None:
                yield LoggedRun(uuid, agent.name, agent.started_at)

    def _mark(self, event: _Event) -> None:
        if event.name != "llm.chunk" or event.parent_uuid is None:
            return
        opened = self.calls.get(event.parent_uuid)
        if opened is None:
            self.early_tokens.setdefault(event.parent_uuid, event.timestamp)
        elif opened.first_token_at is None:
            opened.first_token_at = event.timestamp

    def _start(self, document: Document, event: _Event, path: str) -> Iterator[Yielded]:
        self.parents[event.uuid] = event.parent_uuid
        if event.category == "agent" and event.uuid not in self.agents:
            self.agents[event.uuid] = _Agent(event.name, event.timestamp)
        elif event.category == "llm":
            try:
                self.calls[event.uuid] = self._opened(document, event)
            except _BAD as error:
                yield document.problem(f"expected the start of a call: {error}", f"{path}.data")
        if event.uuid in self.early_ends:
            yield from self._end(*self.early_ends.pop(event.uuid))

    def _opened(self, document: Document, event: _Event) -> _Open:
        payload = _read_payload(event.data) or _Payload()
        profile = _read_profile(event.category_profile) or _Profile()
        run_id = self._find_run(event.parent_uuid)
        agent = self.agents.get(run_id) if run_id else None
        headers = payload.headers or {}
        call = LoggedCall(
            document.file,
            document.line,
            request=None if payload.content == _NULL else bytes(payload.content),
            api=self.api,
            started_at=event.timestamp,
            call_id=event.uuid,
            run_id=run_id,
            session_id=_text(headers.get(_HEADERS[0])),
            agent_id=agent.name if agent else None,
            metadata={name: headers[name] for name in _HEADERS if name in headers},
            notes=(SORTED_KEYS,) if run_id else (SORTED_KEYS, NO_SCOPE),
        )
        first_token_at = self.early_tokens.pop(event.uuid, None)
        if profile.annotated_request == _NULL:
            return _Open(call, first_token_at=first_token_at)
        return _Open(self._annotated(call, agent, profile.annotated_request), True, first_token_at)

    def _annotated(self, call: LoggedCall, agent: _Agent | None, raw: bytes) -> LoggedCall:
        annotated = _read_annotated(raw)
        api = _APIS.get(str((annotated.api_specific or {}).get("api")), call.api)
        call = call._replace(annotated=bytes(raw), api=api)
        if api is None:
            call = call._replace(request=None, notes=(*call.notes, OWN_CODEC))
        return self._judged(call, agent, annotated.messages)

    def _judged(self, call: LoggedCall, agent: _Agent | None, messages: list[dict[str, Any]]) -> LoggedCall:
        """Note whether the request was cut: later calls of a run are, unless the runtime was set to record all."""
        if agent is None:
            return call
        opening = next((message for message in messages if message.get("role") not in ("system", "developer")), None)
        agent.n_calls += 1
        if agent.n_calls == 1:
            agent.opening = opening
            return call
        if not is_last_turn(messages):
            self.is_whole = True
        elif lacks_its_tool_call(messages):
            return call._replace(request=None, notes=(*call.notes, CUT))
        elif opening != agent.opening and not self.is_whole:
            return call._replace(notes=(*call.notes, PERHAPS_CUT))
        return call

    def _find_run(self, uuid: str | None) -> str | None:
        """Return the nearest agent scope."""
        seen: set[str] = set()
        while uuid is not None and uuid in self.parents and uuid not in seen:
            if uuid in self.agents:
                return uuid
            seen.add(uuid)
            uuid = self.parents[uuid]
        return None

    def _end(self, document: Document, event: _Event) -> Iterator[Yielded]:
        if event.uuid in self.calls:
            opened = self.calls.pop(event.uuid)
            try:
                opened.call = _ended(opened.call, event)
            except _BAD as error:
                yield document.problem(f"expected the end of a call: {error}")
            yield from self._finished(opened)
        elif event.uuid in self.agents:
            agent = self.agents[event.uuid]
            if agent.ended_at is None:
                agent.ended_at = event.timestamp
                yield LoggedRun(event.uuid, agent.name, agent.started_at, agent.ended_at)
        elif event.uuid not in self.parents:
            self.early_ends[event.uuid] = document, event

    def _finished(self, opened: _Open) -> Iterator[Yielded]:
        call = opened.call._replace(first_token_at=opened.first_token_at)
        if call.request is None and call.annotated is None:
            yield LogProblem("the start of the call holds no request", file=call.file, line=call.line, path="$.data")
        elif (redaction := find_redaction(call.request or call.annotated or b"")) is not None:
            yield LogProblem(redaction, file=call.file, line=call.line, path="$.data.content")
        elif opened.has_codec:
            yield from self._released(has_codecs=True)
            yield call
        else:
            self.held.append(call)
            if self.has_codecs is not None or len(self.held) > _MOST_HELD:
                yield from self._released(has_codecs=self.has_codecs is True)

    def _released(self, *, has_codecs: bool) -> Iterator[LoggedCall]:
        """Yield the calls without a codec that were held until it was known whether other calls have one."""
        if self.has_codecs is None and (has_codecs or self.held):
            self.has_codecs = has_codecs
        note = UNLEARNED if has_codecs else NO_CODECS
        for call in self.held:
            yield call._replace(notes=(*call.notes, note), is_learned=not has_codecs)
        self.held = []


def _ended(call: LoggedCall, event: _Event) -> LoggedCall:
    metadata = event.metadata or {}
    error = None
    if metadata.get("otel.status_code") == "ERROR":
        error = str(metadata.get("exception.type") or metadata.get("error.type") or "error")
    response = None if event.data == _NULL else bytes(event.data)
    usage = None
    profile = _read_profile(event.category_profile)
    if profile is not None and profile.annotated_response is not None and not _has_usage(response):
        usage = _annotated_usage(profile.annotated_response)
    return call._replace(response=response, usage=usage, error=error, ended_at=event.timestamp)


def _has_usage(response: bytes | None) -> bool:
    return response is not None and b'"usage"' in response


def _annotated_usage(response: JsonObject) -> Usage | None:
    """Return the runtime's own usage in common terms: its prompt tokens are the uncached rest for Anthropic alone."""
    raw = response.get("usage")
    if not isinstance(raw, dict):
        return None
    api = (response.get("api_specific") or {}).get("api")
    read, written = _count(raw, "cache_read_tokens"), _count(raw, "cache_write_tokens")
    prompt = _count(raw, "prompt_tokens")
    if prompt is not None and api == "anthropic_messages":
        prompt += (read or 0) + (written or 0)
    return Usage(
        prompt_tokens=prompt,
        cache_read_tokens=read,
        cache_write_tokens=written,
        output_tokens=_count(raw, "completion_tokens"),
        raw=raw,
    )


def _count(raw: JsonObject, name: str) -> int | None:
    value = raw.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
