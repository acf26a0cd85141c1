"""The prompt of one span, in whatever dialect it is written.

A raw body is taken before anything that has to be rebuilt. Dialects: the runtime's own (``nemo_relay.*``),
OpenInference (``llm.*``), OpenTelemetry GenAI (``gen_ai.*`` attributes, the details event, and the events of one
message each), and the raw bodies that Langfuse, MLflow and Logfire put into an attribute.

Sources: OpenTelemetry semantic conventions for generative AI (1.28 to 1.41, and the GenAI repository 0.1);
OpenInference semantic conventions 0.1.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from acg_lab.core.records import JsonObject
from acg_lab.logs.atof import CUT, SORTED_KEYS
from acg_lab.logs.entries import Api, Note
from acg_lab.logs.flat_attributes import unflatten
from acg_lab.logs.otlp import Event, Span
from acg_lab.logs.rebuild_body import PARTS, REBUILT, Prompt, rebuild_body, tool_notes
from acg_lab.logs.turns import lacks_its_tool_call

__all__ = ["SpanPrompt", "find_prompt", "is_llm_span"]

EMPTY_ASSISTANT = Note("assistant messages without text: the trace dropped the tool calls they made")
FEW_TOOLS = Note("the trace does not say which tools were sent")

_DETAILS = "gen_ai.client.inference.operation.details"
_LANGFUSE = "langfuse.observation.input"
_OPERATIONS = ("chat", "text_completion", "generate_content", "completion")
# Attributes that hold a whole body as JSON text, and the one that holds the answer.
_BODIES = (
    ("nemo_relay.start.data.content", ""),
    ("nemo_relay.start.input.content", ""),
    ("input.value", "output.value"),
    ("mlflow.spanInputs", "mlflow.spanOutputs"),
    (_LANGFUSE, "langfuse.observation.output"),
    ("request_data", "response_data"),
)
_OTHER_INPUT = "the input of this call is neither a body, nor a list of messages with roles"
_LISTS = (_LANGFUSE, "mlflow.spanInputs", "ai.prompt.messages")
_NO_ANSWER = {"nemo_relay.start.data.content", "nemo_relay.start.input.content"}
_MESSAGE_EVENT = re.compile(r"gen_ai\.(system|user|assistant|tool)\.message")


class SpanPrompt(NamedTuple):
    """What a span holds of a request.

    ``body`` and ``response`` are JSON texts; ``is_raw`` whether the body is the one that was sent.
    """

    body: bytes
    is_raw: bool
    api: Api | None
    response: bytes | None = None
    notes: tuple[Note, ...] = ()


def is_llm_span(span: Span) -> bool:
    """Return whether a span is one LLM call."""
    of = span.attributes.get
    if "openinference.span.kind" in span.attributes:
        return str(of("openinference.span.kind")).upper() == "LLM"
    if "nemo_relay.scope_type" in span.attributes:
        return of("nemo_relay.scope_type") == "llm"
    if "gen_ai.operation.name" in span.attributes:
        return of("gen_ai.operation.name") in _OPERATIONS
    if "mlflow.spanType" in span.attributes:
        return str(of("mlflow.spanType")).strip('"') in ("LLM", "CHAT_MODEL")
    if "langfuse.observation.type" in span.attributes:
        return of("langfuse.observation.type") == "generation"
    return "gen_ai.request.model" in span.attributes and ("gen_ai.system" in span.attributes or _has_details(span))


def _has_details(span: Span) -> bool:
    return any(event.name == _DETAILS for event in span.events)


def find_prompt(span: Span, events: Sequence[Event]) -> SpanPrompt | None:
    """Return the prompt of a span, None where it holds none.

    Parameters
    ----------
    span : Span
    events : sequence of Event
        Its events and the log records that belong to it, in order.

    Raises
    ------
    ValueError
        If a prompt is there and can't be read; the text says where and why, without prompt text.
    """
    for name, answer in _BODIES:
        body = _json_object(span.attributes.get(name))
        if body is not None and isinstance(body.get("messages", body.get("input")), list | str):
            response = _relay_answer(span) if name in _NO_ANSWER else _object_text(span.attributes.get(answer))
            text = span.attributes[name]
            if "model" not in body and (model := _model(span)) is not None:
                whole = msgspec.json.encode({"model": model, **body})
                return SpanPrompt(whole, False, None, response, (PARTS,))
            raw = text.encode() if isinstance(text, str) else msgspec.json.encode(text)
            return SpanPrompt(raw, True, None, response, _relay_notes(body) if name in _NO_ANSWER else ())
    provider = _provider(span)
    for read in (_from_attributes, _from_events, _from_openinference, _from_list, _from_indexed):
        prompt = read(span, events)
        if prompt is not None:
            api: Api = "anthropic" if provider == "anthropic" else "openai-chat"
            return SpanPrompt(rebuild_body(api, prompt), False, api, None, _notes(prompt))
    if any(span.attributes.get(name) not in (None, "", "null") for name, _ in _BODIES):
        raise ValueError(_OTHER_INPUT)
    return None


def _notes(prompt: Prompt) -> tuple[Note, ...]:
    notes = (REBUILT, *tool_notes(prompt))
    empty = [m for m in prompt.messages if m.get("role") == "assistant" and not m.get("parts")]
    if empty:
        notes = (*notes, EMPTY_ASSISTANT)
    return (*notes, FEW_TOOLS) if prompt.tools is None and len(notes) == 1 else notes


def _provider(span: Span) -> str:
    names = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
    found = next((span.attributes[name] for name in names if span.attributes.get(name)), "")
    model = str(_model(span) or "")
    return "anthropic" if str(found).lower() == "anthropic" or model.startswith("claude") else str(found).lower()


def _model(span: Span) -> str | None:
    names = ("gen_ai.request.model", "llm.request.model_name", "llm.model_name", "gen_ai.response.model")
    found = next((span.attributes[name] for name in names if span.attributes.get(name)), None)
    return found if isinstance(found, str) else None


def _params(attributes: JsonObject) -> dict[str, Any]:
    prefix = "gen_ai.request."
    return {name.removeprefix(prefix): value for name, value in attributes.items() if name.startswith(prefix)}


def _from_attributes(span: Span, events: Sequence[Event]) -> Prompt | None:
    """Read ``gen_ai.input.messages`` of the span, else of its details event."""
    sources = [span.attributes, *(event.attributes for event in events if event.name == _DETAILS)]
    for source in sources:
        messages = _json_list(source, "gen_ai.input.messages")
        system = _json_list(source, "gen_ai.system_instructions") or []
        if messages is None and not system:
            continue
        tools = next((found for one in sources if (found := _json_list(one, "gen_ai.tool.definitions"))), None)
        return Prompt(_model(span), system, messages or [], tools, _params(span.attributes))
    return None


def _from_events(span: Span, events: Sequence[Event]) -> Prompt | None:
    """Read the events of one message each that instrumentations up to 1.36 write, as span events or log records."""
    messages = []
    for event in events:
        if (found := _MESSAGE_EVENT.fullmatch(event.name)) is not None:
            written = _json_object(event.attributes.get("gen_ai.event.content"))
            body = event.body if isinstance(event.body, dict) else written or event.attributes
            messages.append(_message_of({"role": found[1]} | dict(body)))
    if not messages:
        return None
    return Prompt(_model(span), [], messages, None, _params(span.attributes))


def _message_of(chat: JsonObject) -> JsonObject:
    """Return a chat message as one of typed parts."""
    content, calls = chat.get("content"), chat.get("tool_calls")
    calls = _json_value(calls)
    parts: list[JsonObject] = []
    if chat.get("role") == "tool":
        answered = chat.get("id", chat.get("tool_call_id"))
        parts.append({"type": "tool_call_response", "id": answered, "response": content if content is not None else ""})
    elif isinstance(content, str) and content:
        parts.append({"type": "text", "content": content})
    elif isinstance(content, list):
        parts += [part if isinstance(part, dict) else {"type": "text", "content": str(part)} for part in content]
    for call in calls if isinstance(calls, list) else []:
        if isinstance(call, dict):
            inner = call.get("function")
            inner = inner if isinstance(inner, dict) else call
            name, arguments = inner.get("name"), inner.get("arguments")
            parts.append({"type": "tool_call", "id": call.get("id"), "name": name, "arguments": arguments})
    return {"role": chat.get("role"), "parts": parts}


def _from_openinference(span: Span, _events: Sequence[Event]) -> Prompt | None:
    """Read ``llm.input_messages.0.message.role`` and the like."""
    messages = unflatten(span.attributes, "llm.input_messages")
    if not messages:
        return None
    if not span.is_complete:
        msg = "the SDK dropped attributes of this span, so its messages are cut; raise OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"
        raise ValueError(msg)
    tools = [
        _json_object(one.get("tool", one).get("json_schema")) or {} for one in unflatten(span.attributes, "llm.tools")
    ]
    params = _json_object(span.attributes.get("llm.invocation_parameters")) or {}
    converted = [_openinference_message(message.get("message", message)) for message in messages]
    return Prompt(_model(span), [], converted, tools or None, params)


def _openinference_message(message: JsonObject) -> JsonObject:
    contents = [one.get("message_content", one) for one in message.get("contents") or [] if isinstance(one, dict)]
    calls = [one.get("tool_call", one) for one in message.get("tool_calls") or [] if isinstance(one, dict)]
    if not contents:
        return _message_of({**message, "tool_calls": calls})
    parts = [part for one in contents if (part := _openinference_part(one)) is not None]
    known = {str(part.get("id")) for part in parts if part.get("type") == "tool_call"}
    late = [call for call in calls if str(call.get("id")) not in known]
    return {"role": message.get("role"), "parts": [*parts, *_message_of({"tool_calls": late})["parts"]]}


def _openinference_part(one: JsonObject) -> JsonObject | None:
    if isinstance(one.get("text"), str):
        return {"type": "text", "content": one["text"]}
    if isinstance(call := one.get("tool_call"), dict):
        return next(iter(_message_of({"tool_calls": [call]})["parts"]), None)
    image = one.get("image")
    if isinstance(image, dict):
        inner = image.get("image", image)
        return {"type": "uri", "modality": "image", "uri": inner.get("url") if isinstance(inner, dict) else None}
    return None


def _from_list(span: Span, _events: Sequence[Event]) -> Prompt | None:
    """Read an input that is a list of chat messages, as Langfuse and MLflow keep it where there is nothing else."""
    messages = next((m for name in _LISTS if (m := _json_value(span.attributes.get(name))) is not None), None)
    if not isinstance(messages, list) or not messages:
        return None
    if not all(isinstance(message, Mapping) and isinstance(message.get("role"), str) for message in messages):
        raise ValueError(_OTHER_INPUT)
    return Prompt(_model(span), [], [_message_of(message) for message in messages], None, {})


def _from_indexed(span: Span, _events: Sequence[Event]) -> Prompt | None:
    """Read ``gen_ai.prompt.0.role`` and the like, which OpenLLMetry wrote until 2025."""
    messages = unflatten(span.attributes, "gen_ai.prompt")
    if not messages:
        return None
    functions = unflatten(span.attributes, "llm.request.functions")
    tools = [{**tool, "parameters": _json_object(tool.get("parameters")) or {}} for tool in functions]
    converted = [_indexed_message(one) for one in messages]
    return Prompt(_model(span), [], converted, tools or None, _params(span.attributes))


def _indexed_message(message: JsonObject) -> JsonObject:
    content = _json_value(message.get("content"))
    parts = content if isinstance(content, list) and all(isinstance(part, dict) for part in content) else None
    return _message_of(message if parts is None else {**message, "content": parts})


def _relay_notes(body: JsonObject) -> tuple[Note, ...]:
    messages = body.get("messages")
    is_cut = isinstance(messages, list) and lacks_its_tool_call([one for one in messages if isinstance(one, dict)])
    return (SORTED_KEYS, CUT) if is_cut else (SORTED_KEYS,)


def _relay_answer(span: Span) -> bytes | None:
    """Return the answer that the runtime wrote field by field."""
    prefix = "nemo_relay.end.data."
    found = {n.removeprefix(prefix): _json_value(v) for n, v in span.attributes.items() if n.startswith(prefix)}
    return msgspec.json.encode(found) if found else None


def _json_value(value: Any) -> Any:
    """Return a text that is JSON of an object or a list unpacked, everything else as it is."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return msgspec.json.decode(value)
        except (msgspec.MsgspecError, RecursionError):
            return value
    return value


def _json_object(value: Any) -> JsonObject | None:
    found = _json_value(value)
    return found if isinstance(found, Mapping) else None


def _object_text(value: Any) -> bytes | None:
    found = _json_object(value)
    return None if found is None else msgspec.json.encode(found)


def _json_list(source: JsonObject, name: str) -> list[JsonObject] | None:
    """Return a list of objects, given as such or as JSON text.

    Raises
    ------
    ValueError
        If it is something else, such as a text that an SDK cut at its length limit.
    """
    if name not in source:
        return None
    value = source[name]
    found = _json_value(value)
    if isinstance(found, Sequence) and not isinstance(found, str):
        items = [_json_value(item) for item in found]
        if all(isinstance(item, Mapping) for item in items):
            return items
    msg = f"{name} is not a list of objects; was it cut at OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT?"
    raise ValueError(msg)
