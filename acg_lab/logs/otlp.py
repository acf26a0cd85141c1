"""OTLP JSON to spans and log records: values unpacked, times in nanoseconds, everything else left as it came.

Source: opentelemetry-proto 1.x, JSON mapping (``ExportTraceServiceRequest`` and ``ExportLogsServiceRequest``, one a
line or one a file). Both camelCase and the proto's own names are read; integers may be texts.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from acg_lab.core.records import JsonObject
from acg_lab.logs.entries import Document, LogProblem

__all__ = ["Event", "Span", "is_otlp", "read_document"]

_ROOTS = ("resourceSpans", "resource_spans", "resourceLogs", "resource_logs", "batches")
_DEEPEST = 64
_LONGEST_INTEGER = 20


class Event(NamedTuple):
    """An event of a span, or a log record that belongs to one."""

    name: str
    time: int | None
    attributes: JsonObject
    body: Any = None
    trace_id: str = ""
    span_id: str = ""


class Span(NamedTuple):
    """One span. Times are in nanoseconds since 1970, None where they are missing or unreadable.

    ``error`` is the type of the error if the span failed. ``is_complete`` is False where the SDK dropped attributes.
    """

    document: Document
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start: int | None
    end: int | None
    attributes: JsonObject
    events: Sequence[Event]
    error: str | None
    is_complete: bool
    service: str | None


def is_otlp(first: Sequence[JsonObject]) -> bool:
    """Return whether the first documents are OTLP."""
    return any(name in first[0] for name in _ROOTS)


def read_document(document: Document) -> Iterator[Span | Event | LogProblem]:
    """Yield the spans and log records of one document, and what is wrong with it."""
    try:
        root = msgspec.json.decode(document.raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        yield document.problem(f"expected OTLP JSON: {error}")
        return
    if not isinstance(root, dict) or not any(name in root for name in _ROOTS):
        yield document.problem("expected OTLP JSON with resourceSpans or resourceLogs, got another document")
        return
    for name in _ROOTS:
        for i, group in enumerate(_list(root, name)):
            yield from _read_resource(document, group, f"$.{name}[{i}]")


def _read_resource(document: Document, group: Any, path: str) -> Iterator[Span | Event | LogProblem]:
    if not isinstance(group, dict):
        yield document.problem("expected an object", path)
        return
    resource = group.get("resource")
    named = _attributes(resource) if isinstance(resource, dict) else {}
    service = named.get("service.name")
    for kind in ("scopeSpans", "scope_spans", "instrumentationLibrarySpans", "scopeLogs", "scope_logs"):
        for i, scope in enumerate(_list(group, kind)):
            for items in ("spans", "logRecords", "log_records"):
                for j, item in enumerate(_list(scope, items)):
                    where = f"{path}.{kind}[{i}].{items}[{j}]"
                    try:
                        yield _span(document, item, service) if items == "spans" else _event(item)
                    except (TypeError, ValueError, AttributeError, RecursionError) as error:
                        yield document.problem(f"expected a span or a log record: {type(error).__name__}", where)


def _span(document: Document, raw: JsonObject, service: Any) -> Span:
    attributes = _attributes(raw)
    events = tuple(_event(event) for event in _list(raw, "events"))
    status = raw.get("status")
    failed = isinstance(status, dict) and status.get("code") in (2, "2", "STATUS_CODE_ERROR")
    return Span(
        document,
        str(_get(raw, "traceId", "trace_id") or ""),
        str(_get(raw, "spanId", "span_id") or ""),
        str(_get(raw, "parentSpanId", "parent_span_id") or ""),
        str(raw.get("name") or ""),
        _integer(_get(raw, "startTimeUnixNano", "start_time_unix_nano")),
        _integer(_get(raw, "endTimeUnixNano", "end_time_unix_nano")),
        attributes,
        events,
        _error_type(attributes, events) if failed else None,
        not _integer(_get(raw, "droppedAttributesCount", "dropped_attributes_count")),
        service if isinstance(service, str) and service else None,
    )


def _error_type(attributes: JsonObject, events: Sequence[Event]) -> str:
    """Return the name of what failed; messages of errors may quote a prompt."""
    named = [event.attributes.get("exception.type") for event in events if event.name == "exception"]
    found = attributes.get("error.type") or next((name for name in named if name), None)
    return str(found or "error")


def _event(raw: JsonObject) -> Event:
    attributes = _attributes(raw)
    name = raw.get("name") or _get(raw, "eventName", "event_name") or attributes.get("event.name") or ""
    time = _integer(_get(raw, "timeUnixNano", "time_unix_nano")) or _integer(
        _get(raw, "observedTimeUnixNano", "observed_time_unix_nano")
    )
    return Event(
        str(name),
        time,
        attributes,
        _value(raw.get("body"), 0),
        str(_get(raw, "traceId", "trace_id") or ""),
        str(_get(raw, "spanId", "span_id") or ""),
    )


def _get(raw: JsonObject, *names: str) -> Any:
    return next((raw[name] for name in names if name in raw), None)


def _list(raw: Any, name: str) -> list[Any]:
    found = raw.get(name) if isinstance(raw, dict) else None
    return found if isinstance(found, list) else []


def _integer(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63 else None


def _signed(value: Any) -> int | None:
    if isinstance(value, str) and len(value) <= _LONGEST_INTEGER and value.removeprefix("-").isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _attributes(raw: JsonObject) -> dict[str, Any]:
    pairs = raw.get("attributes")
    if isinstance(pairs, Mapping):  # some exporters write a plain object
        return dict(pairs)
    found = {}
    for pair in pairs if isinstance(pairs, list) else []:
        if isinstance(pair, dict) and isinstance(pair.get("key"), str):
            found[pair["key"]] = _value(pair.get("value"), 0)
    return found


def _value(raw: Any, depth: int) -> Any:
    """Unpack one ``AnyValue``; None for what is none, or nested too deeply."""
    if not isinstance(raw, dict):
        return raw
    if depth > _DEEPEST or not raw:
        return None
    kind, value = next(iter(raw.items()))
    kind = kind.replace("_v", "V")
    if kind == "intValue":
        return _signed(value)
    if kind == "arrayValue":
        return [_value(item, depth + 1) for item in _list(value, "values")]
    if kind == "kvlistValue":
        pairs = [pair for pair in _list(value, "values") if isinstance(pair, dict)]
        return {str(pair.get("key")): _value(pair.get("value"), depth + 1) for pair in pairs}
    return value
