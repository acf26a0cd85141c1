"""OTLP JSON traces to calls: which spans are calls, whose they are, and which run they belong to.

Spans arrive in any order, parents after their children and messages in another file, so a log is read to its end before
the first call is yielded. Instrumentations nest: of a call that several spans describe, one is taken.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from acg_lab.core.records import JsonObject, Usage
from acg_lab.logs.entries import Document, LoggedCall, LoggedRun, LogProblem, ReadOptions, Yielded
from acg_lab.logs.otlp import Event, Span, read_document
from acg_lab.logs.redactions import find_redaction
from acg_lab.logs.span_prompts import SpanPrompt, find_prompt, is_llm_span
from acg_lab.logs.span_usage import read_span_usage
from acg_lab.storage.times import render_time

__all__ = ["read_spans", "read_traces"]

_AGENT_OPERATIONS = ("invoke_agent", "create_agent", "invoke_workflow")
_SESSIONS = ("gen_ai.conversation.id", "session.id", "langfuse.session.id")
_AGENTS = ("gen_ai.agent.name", "agent.name", "graph.node.id")
_FIRST_TOKEN_EVENTS = {
    "First Token Stream Event",
    "gen_ai.content.completion.chunk",
    "llm.content.completion.chunk",
    "llm.chunk",
}
_FIRST_TOKEN_SECONDS = ("gen_ai.response.time_to_first_chunk", "gen_ai.response.time_to_first_token")
_DAY = 86_400.0
_NO_PROMPT = (
    "the span of this call holds no prompt; let the instrumentation record content, for example with"
    " OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true"
)


_REDACTED = "the prompt of this call was redacted before it was logged; log it whole"


class _Outline(NamedTuple):
    """What stays of a span that is no call."""

    parent_id: str
    name: str
    is_agent: bool
    agent: str | None
    session: str | None
    run_id: str
    start: int | None
    end: int | None


class _Candidate(NamedTuple):
    """A span that is a call, and its prompt or why there is none."""

    span: Span
    prompt: SpanPrompt | None
    problem: str | None


class _Place(NamedTuple):
    """Where in its trace a call stands."""

    run_id: str | None
    agent: str | None
    session: str | None


def read_traces(documents: Iterable[Document], options: ReadOptions) -> Iterator[Yielded]:
    """Read OTLP JSON traces, and the log records that belong to them, to calls and runs.

    Parameters
    ----------
    documents : iterable of Document
        One export each: a line of a file exporter, or a whole file.
    options : ReadOptions
        ``api`` is taken for raw bodies.

    Yields
    ------
    LoggedCall, LoggedRun or LogProblem
        Calls by start.
    """
    yield from read_spans((item for document in documents for item in read_document(document)), options)


def read_spans(items: Iterable[Span | Event | LogProblem], options: ReadOptions) -> Iterator[Yielded]:
    """Turn spans, wherever they were exported to, into calls and runs; the log records among them join their spans."""
    spans: dict[tuple[str, str], Span] = {}
    outlines: dict[tuple[str, str], _Outline] = {}
    events: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
    for item in items:
        if isinstance(item, LogProblem):
            yield item
        elif isinstance(item, Event):
            events[item.trace_id, item.span_id].append(item)
        else:
            key = item.trace_id, item.span_id
            outlines[key] = _outline(item)
            if is_llm_span(item):
                spans[key] = item._replace(document=item.document._replace(raw=b""))
    candidates = {key: _candidate(span, events.get(key, [])) for key, span in spans.items()}
    yield from _calls(_chosen(candidates, outlines), outlines, events, options)


def _outline(span: Span) -> _Outline:
    of = span.attributes
    is_agent = (
        of.get("gen_ai.operation.name") in _AGENT_OPERATIONS
        or str(of.get("openinference.span.kind")).upper() == "AGENT"
        or of.get("nemo_relay.scope_type") == "agent"
        or of.get("langfuse.observation.type") == "agent"
    )
    agent = _first_text(of, _AGENTS) or (span.name if is_agent else None)
    run_id = of.get("nemo_relay.uuid")
    return _Outline(
        span.parent_id,
        span.name,
        is_agent,
        agent,
        _first_text(of, _SESSIONS),
        run_id if isinstance(run_id, str) else f"{span.trace_id}-{span.span_id}",
        span.start,
        span.end,
    )


def _first_text(attributes: JsonObject, names: Iterable[str]) -> str | None:
    return next((v for name in names if isinstance(v := attributes.get(name), str) and v), None)


def _candidate(span: Span, records: list[Event]) -> _Candidate:
    if "__REDACTED__" in span.attributes.values():
        return _Candidate(span, None, _REDACTED)
    try:
        prompt = find_prompt(span, [*span.events, *sorted(records, key=lambda event: event.time or 0)])
    except ValueError as error:
        return _Candidate(span, None, str(error))
    if prompt is None:
        return _Candidate(span, None, _NO_PROMPT)
    redaction = find_redaction(prompt.body)
    return _Candidate(span, None, redaction) if redaction else _Candidate(span, prompt, None)


def _ancestors(key: tuple[str, str], outlines: dict[tuple[str, str], _Outline]) -> Iterator[tuple[str, str]]:
    """Yield the spans around a span, nearest first, as far as they are in the log."""
    seen = {key}
    while key in outlines and outlines[key].parent_id:
        key = key[0], outlines[key].parent_id
        if key in seen or key not in outlines:
            return
        seen.add(key)
        yield key


def _chosen(
    candidates: dict[tuple[str, str], _Candidate], outlines: dict[tuple[str, str], _Outline]
) -> Iterator[_Candidate]:
    """Yield one candidate for each call, by start: of nested ones the innermost with the best prompt."""
    dropped: set[tuple[str, str]] = set()
    usages: dict[tuple[str, str], JsonObject] = {}
    for key, one in candidates.items():
        outer = next((around for around in _ancestors(key, outlines) if around in candidates), None)
        if outer is None:
            continue
        if _rank(candidates[outer]) > _rank(one):
            dropped.add(key)
            usages[outer] = {**one.span.attributes, **usages.get(outer, {})}
        else:
            dropped.add(outer)
    kept = [(key, one) for key, one in candidates.items() if key not in dropped]
    described = _Described(one.span for _, one in kept if one.prompt is not None)
    for key, one in sorted(kept, key=lambda pair: pair[1].span.start or 0):
        if one.prompt is None and described.covers(one.span):
            continue
        attributes = {**usages.get(key, {}), **one.span.attributes}
        yield one._replace(span=one.span._replace(attributes=attributes))


class _Described:
    """The calls of which there is a prompt: a provider's own client may write a span without one beside them."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans: defaultdict[tuple[str, str], list[Span]] = defaultdict(list)
        for span in spans:
            self._spans[span.trace_id, span.parent_id].append(span)

    def covers(self, other: Span) -> bool:
        """Return whether a span lies within a call of the same parent."""
        return any(
            span.start is not None
            and other.start is not None
            and span.start <= other.start
            and (span.end or span.start) >= (other.end or other.start)
            for span in self._spans.get((other.trace_id, other.parent_id), ())
        )


def _rank(one: _Candidate) -> int:
    return 0 if one.prompt is None else 2 if one.prompt.is_raw else 1


def _calls(
    chosen: Iterable[_Candidate],
    outlines: dict[tuple[str, str], _Outline],
    events: dict[tuple[str, str], list[Event]],
    options: ReadOptions,
) -> Iterator[Yielded]:
    runs: set[str] = set()
    for one in chosen:
        span, prompt = one.span, one.prompt
        if prompt is None:
            yield span.document.problem(f"span {span.span_id}: {one.problem}")
            continue
        key = span.trace_id, span.span_id
        place = _place(key, outlines)
        if place.run_id is not None and place.run_id not in runs:
            runs.add(place.run_id)
            if (run := _run(key, place.run_id, outlines)) is not None:
                yield run
        yield LoggedCall(
            span.document.file,
            span.document.line,
            request=prompt.body,
            api=prompt.api or options.api,
            response=prompt.response,
            usage=_usage(span, prompt),
            started_at=_time(span.start),
            first_token_at=_time(_first_token(span, events.get(key, []))),
            ended_at=_time(span.end),
            error=span.error,
            call_id=f"{span.trace_id}-{span.span_id}",
            run_id=place.run_id,
            session_id=place.session,
            agent_id=place.agent or _service(span),
            metadata={"trace_id": span.trace_id},
            notes=prompt.notes,
        )


def _usage(span: Span, prompt: SpanPrompt) -> Usage | None:
    """Return the usage that the span holds; what the answer itself says is better, where it is there."""
    if prompt.response is not None and b'"usage"' in prompt.response:
        return None
    return read_span_usage(span.attributes)


def _place(key: tuple[str, str], outlines: dict[tuple[str, str], _Outline]) -> _Place:
    around = [outlines[one] for one in (key, *_ancestors(key, outlines))]
    session = next((one.session for one in around if one.session), None)
    agent = next((one.agent for one in around if one.agent), None)
    run_id = next((one.run_id for one in around[1:] if one.is_agent), None)
    if run_id is None and session is None and outlines[key].parent_id:
        run_id = key[0]
    return _Place(run_id, agent, session)


def _run(key: tuple[str, str], run_id: str, outlines: dict[tuple[str, str], _Outline]) -> LoggedRun | None:
    for one in _ancestors(key, outlines):
        outline = outlines[one]
        if outline.is_agent and outline.run_id == run_id:
            return LoggedRun(run_id, outline.agent, _time(outline.start), _time(outline.end))
    return None


def _service(span: Span) -> str | None:
    service = span.service
    return None if service is None or service.startswith("unknown_service") else service


def _first_token(span: Span, records: list[Event]) -> int | None:
    times = [event.time for event in (*span.events, *records) if event.name in _FIRST_TOKEN_EVENTS and event.time]
    if times:
        return min(times)
    for name in _FIRST_TOKEN_SECONDS:
        seconds = span.attributes.get(name)
        if span.start is not None and isinstance(seconds, int | float) and 0 <= seconds < _DAY:
            return span.start + round(seconds * 1e9)
    return None


def _time(nanoseconds: int | None) -> str | None:
    return None if nanoseconds is None else render_time(nanoseconds)
