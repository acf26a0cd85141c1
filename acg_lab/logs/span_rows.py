"""Spans and observations that Langfuse, MLflow and Phoenix export as rows: JSON lines, or rows of a DataFrame.

Each row becomes the span that it was; from there on it is read as one of a trace. A row that holds its prompt in
another form than a body or a list of messages is refused.

Sources: Langfuse's public API (observations of version 2, and traces that hold theirs), its blob exports and SDK 5;
``mlflow.search_traces`` and trace JSON of MLflow 3; ``Client().spans.get_spans_dataframe`` of Phoenix 20.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from acg_lab.core.codec import parse_time
from acg_lab.core.errors import RecordError
from acg_lab.core.records import JsonObject
from acg_lab.logs.entries import Document, LogProblem, ReadOptions, Yielded
from acg_lab.logs.log_times import read_time
from acg_lab.logs.otlp import Event, Span
from acg_lab.logs.traces import read_spans

__all__ = ["is_langfuse", "is_mlflow", "is_phoenix", "read_langfuse", "read_mlflow", "read_phoenix"]

_MLFLOW_TIMES = (
    ("start_time_unix_nano", "start_time_ns", "start_time"),
    ("end_time_unix_nano", "end_time_ns", "end_time"),
)
Items = Iterator[Span | Event | LogProblem]
_BAD = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def is_langfuse(first: Sequence[JsonObject]) -> bool:
    """Return whether the first documents are Langfuse observations, or traces with theirs."""
    one = first[0]
    if isinstance(one.get("observations"), list):
        return "projectId" in one or "project_id" in one or "sessionId" in one
    return bool(one.keys() & {"traceId", "trace_id"}) and {"type", "input"} <= one.keys() and _has_observation_type(one)


def _has_observation_type(one: JsonObject) -> bool:
    return str(one.get("type")).upper() in ("GENERATION", "SPAN", "EVENT", "AGENT", "TOOL", "CHAIN", "RETRIEVER")


def is_mlflow(first: Sequence[JsonObject]) -> bool:
    """Return whether the first documents are MLflow traces or spans."""
    one = first[0]
    return any(
        isinstance(span, Mapping) and any(str(name).startswith("mlflow.") for name in _object(span.get("attributes")))
        for span in _mlflow_spans(one)
    )


def is_phoenix(first: Sequence[JsonObject]) -> bool:
    """Return whether the first documents are Phoenix spans."""
    one = first[0]
    return "span_kind" in one and ("context.span_id" in one or isinstance(one.get("context"), Mapping))


def read_langfuse(documents: Iterable[Document], options: ReadOptions) -> Iterator[Yielded]:
    """Read Langfuse observations to calls; those that are no generation only say what belongs together."""
    yield from read_spans(_rows(documents, _from_langfuse), options)


def read_mlflow(documents: Iterable[Document], options: ReadOptions) -> Iterator[Yielded]:
    """Read MLflow traces, or their spans, to calls."""
    yield from read_spans(_rows(documents, _from_mlflow), options)


def read_phoenix(documents: Iterable[Document], options: ReadOptions) -> Iterator[Yielded]:
    """Read Phoenix spans to calls."""
    yield from read_spans(_rows(documents, _from_phoenix), options)


def _rows(documents: Iterable[Document], convert: Callable[[Document, JsonObject], Items]) -> Items:
    for document in documents:
        try:
            row = msgspec.json.decode(document.raw)
        except _BAD as error:
            yield document.problem(f"expected a JSON object: {error}")
            continue
        if not isinstance(row, dict):
            yield document.problem("expected a JSON object, got another value")
            continue
        yield from convert(document, row)


def _from_langfuse(document: Document, row: JsonObject) -> Items:
    nested = row.get("observations")
    if isinstance(nested, list):
        session = _of(row, "sessionId", "session_id")
        for i, one in enumerate(nested):
            if isinstance(one, dict):
                yield from _observation(document, {"sessionId": session, "traceId": row.get("id"), **one})
            else:
                yield document.problem("expected an observation, got another value", f"$.observations[{i}]")
        return
    yield from _observation(document, row)


def _observation(document: Document, row: JsonObject) -> Items:
    start, end = yield from _times(document, row, ("startTime", "start_time"), ("endTime", "end_time"))
    completion = ("completionStartTime", "completion_start_time")
    first_token, _ = yield from _times(document, row, completion, ())
    attributes = {
        "langfuse.observation.type": str(row.get("type")).lower(),
        "langfuse.observation.input": _unpacked(row.get("input")),
        "langfuse.observation.output": _unpacked(row.get("output")),
        "langfuse.observation.model.parameters": _unpacked(_of(row, "modelParameters", "model_parameters")),
        "langfuse.observation.usage_details": _unpacked(_of(row, "usageDetails", "usage_details", "usage")),
        "langfuse.session.id": _of(row, "sessionId", "session_id"),
        "gen_ai.request.model": _of(row, "model", "providedModelName", "provided_model_name"),
    }
    yield Span(
        document,
        str(_of(row, "traceId", "trace_id") or ""),
        str(row.get("id") or f"{document.file}:{document.line}"),
        str(_of(row, "parentObservationId", "parent_observation_id") or ""),
        str(row.get("name") or ""),
        start,
        end,
        {name: value for name, value in attributes.items() if value is not None},
        () if first_token is None else (Event("llm.chunk", first_token, {}),),
        "error" if row.get("level") == "ERROR" else None,
        True,
        None,
    )


def _mlflow_spans(row: JsonObject) -> list[Any]:
    data = row.get("data")
    spans = _unpacked(row.get("spans", data.get("spans") if isinstance(data, Mapping) else None))
    return spans if isinstance(spans, list) else [row]


def _from_mlflow(document: Document, row: JsonObject) -> Items:
    info = row.get("info")
    metadata = _object(row.get("trace_metadata", info.get("trace_metadata") if isinstance(info, Mapping) else None))
    session = metadata.get("mlflow.trace.session")
    for i, raw in enumerate(_mlflow_spans(row)):
        if not isinstance(raw, Mapping) or "attributes" not in raw:
            yield document.problem("expected an MLflow span with attributes", f"$.spans[{i}]")
            continue
        packed = _object(raw["attributes"])
        attributes = {name: _unpacked(value) for name, value in packed.items()}
        attributes |= {name: packed[name] for name in packed if name in ("mlflow.spanInputs", "mlflow.spanOutputs")}
        attributes |= {} if session is None else {"session.id": session}
        start, end = yield from _times(document, raw, *_MLFLOW_TIMES)
        status = raw.get("status")
        code = status.get("code") if isinstance(status, Mapping) else raw.get("status_code")
        yield Span(
            document,
            str(_of(raw, "trace_id", "request_id") or ""),
            str(raw.get("span_id") or ""),
            str(_of(raw, "parent_span_id", "parent_id") or ""),
            str(raw.get("name") or ""),
            start,
            end,
            attributes,
            (),
            "error" if str(code).endswith("ERROR") else None,
            True,
            None,
        )


def _from_phoenix(document: Document, row: JsonObject) -> Items:
    nested = row.get("context")
    context = nested if isinstance(nested, Mapping) else {}
    prefix = "attributes."
    attributes = {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}
    attributes |= _flat(_object(row.get("attributes")))
    attributes = {name: value for name, value in attributes.items() if value is not None}
    attributes.setdefault("openinference.span.kind", row.get("span_kind"))
    start, end = yield from _times(document, row, ("start_time",), ("end_time",))
    yield Span(
        document,
        str(row.get("context.trace_id", context.get("trace_id")) or ""),
        str(row.get("context.span_id", context.get("span_id")) or ""),
        str(row.get("parent_id") or ""),
        str(row.get("name") or ""),
        start,
        end,
        attributes,
        (),
        "error" if row.get("status_code") == "ERROR" else None,
        True,
        None,
    )


def _flat(attributes: JsonObject, prefix: str = "") -> dict[str, Any]:
    """Return nested attributes by dotted names, lists left whole."""
    flat: dict[str, Any] = {}
    for name, value in attributes.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _times(
    document: Document, row: JsonObject, starts: Sequence[str], ends: Sequence[str]
) -> Generator[LogProblem, None, tuple[int | None, int | None]]:
    """Yield what is wrong with the times of a row; return them in nanoseconds."""
    found: list[int | None] = []
    for names in (starts, ends):
        value = _of(row, *names)
        try:
            found.append(None if value is None else parse_time(read_time(value)))
        except RecordError as error:
            yield document.problem(error.reason, f"$.{names[0]}")
            found.append(None)
    return found[0], found[1]


def _of(row: JsonObject, *names: str) -> Any:
    """Return the first field that is there and not null."""
    return next((row[name] for name in names if row.get(name) is not None), None)


def _object(value: Any) -> JsonObject:
    found = _unpacked(value)
    return found if isinstance(found, Mapping) else {}


def _unpacked(value: Any) -> Any:
    """Return what a text of JSON says; everything else as it is."""
    if isinstance(value, str) and value[:1] in {"{", "[", '"'}:
        try:
            return msgspec.json.decode(value)
        except (msgspec.MsgspecError, RecursionError):
            return value
    return value
