"""Request bodies rebuilt from traces: messages of typed parts, as OpenTelemetry's GenAI conventions define them.

A part is ``{"type": "text", "content"}``, ``{"type": "tool_call", "id", "name", "arguments"}``, ``{"type":
"tool_call_response", "id", "response"}``, ``blob``, ``uri`` or ``file``; a message is ``{"role", "parts"}``. The body
is one that the provider would accept; what a trace never holds (the order of keys, cache marks, whether a text was a
string or a list) is not in it, and `REBUILT` says so.

Source: OpenTelemetry GenAI semantic conventions, JSON schemas of ``gen_ai.input.messages`` and
``gen_ai.tool.definitions``.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from acg_lab.core.records import JsonObject
from acg_lab.logs.entries import Api, Note

__all__ = ["NAMES_ONLY", "NO_TOOLS", "PARTS", "REBUILT", "Prompt", "rebuild_body", "tool_notes"]

REBUILT = Note("the body is rebuilt from a trace: the order of keys, cache marks, and string or list are not recorded")
PARTS = Note("the log keeps messages and parameters apart: the order of the body's keys is not recorded")
NAMES_ONLY = Note("the trace holds only the names of the tools, not their schemas: learning keys and sizes differ")
NO_TOOLS = Note("the messages call tools, but the trace holds no tool definitions: learning keys and sizes differ")

_PARAMS: dict[str, dict[Api, str]] = {
    "max_tokens": {"anthropic": "max_tokens", "openai-chat": "max_tokens"},
    "temperature": {"anthropic": "temperature", "openai-chat": "temperature"},
    "top_p": {"anthropic": "top_p", "openai-chat": "top_p"},
    "top_k": {"anthropic": "top_k"},
    "stop_sequences": {"anthropic": "stop_sequences", "openai-chat": "stop"},
    "frequency_penalty": {"openai-chat": "frequency_penalty"},
    "presence_penalty": {"openai-chat": "presence_penalty"},
    "seed": {"openai-chat": "seed"},
}


class Prompt(NamedTuple):
    """What a trace holds of one request.

    Attributes
    ----------
    model : str or None
    system : sequence of part
        What stands before all messages.
    messages : sequence of message
    tools : sequence of mapping or None
        As any API writes them; None: the trace does not say.
    params : mapping
        By the names of ``gen_ai.request.*``.
    """

    model: str | None
    system: Sequence[JsonObject]
    messages: Sequence[JsonObject]
    tools: Sequence[JsonObject] | None
    params: JsonObject


def rebuild_body(api: Api, prompt: Prompt) -> bytes:
    """Return a body of the API (Anthropic's, else OpenAI Chat's) with the texts, calls and tools of the prompt.

    Raises
    ------
    ValueError
        If a message or a part is none; the text says which one.
    """
    anthropic = api == "anthropic"
    body: dict[str, Any] = {} if prompt.model is None else {"model": prompt.model}
    for name, value in prompt.params.items():
        known = _PARAMS.get(name, {}).get("anthropic" if anthropic else "openai-chat")
        if known is not None and value is not None:
            body[known] = value
    if prompt.tools:
        body["tools"] = [(_anthropic_tool if anthropic else _chat_tool)(tool) for tool in prompt.tools]
    messages = list(_checked(prompt.messages))
    if anthropic:
        leading = [part for role, parts in messages if role in ("system", "developer") for part in parts]
        if system := [*prompt.system, *leading]:
            body["system"] = _text_or_list(system, _anthropic_part)
        body["messages"] = [
            _anthropic_message(role, parts) for role, parts in messages if role not in ("system", "developer")
        ]
    else:
        first = [_chat_message("system", list(prompt.system))] if prompt.system else []
        body["messages"] = [*first, *(one for role, parts in messages for one in _chat_messages(role, parts))]
    return msgspec.json.encode(body)


def tool_notes(prompt: Prompt) -> tuple[Note, ...]:
    """Return what is to be said of the tools of a prompt."""
    if prompt.tools:
        bare = [tool for tool in prompt.tools if not _schema_of(tool) and not tool.get("description")]
        return (NAMES_ONLY,) if len(bare) == len(prompt.tools) else ()
    parts = (part for message in prompt.messages for part in message.get("parts") or ())
    calls = any(isinstance(part, dict) and part.get("type") in ("tool_call", "tool_call_response") for part in parts)
    return (NO_TOOLS,) if calls else ()


def _checked(messages: Iterable[JsonObject]) -> Iterable[tuple[str, list[JsonObject]]]:
    for i, message in enumerate(messages):
        role, parts = message.get("role"), message.get("parts", [])
        is_list = isinstance(parts, list) and all(isinstance(part, dict) for part in parts)
        if not isinstance(role, str) or not is_list:
            msg = f"message {i} has no role, or no list of parts"
            raise ValueError(msg)
        yield role, parts


def _text_or_list(parts: Sequence[JsonObject], convert: Callable[[JsonObject], JsonObject]) -> Any:
    """Return the text of a single text part, else the list of all."""
    if len(parts) == 1 and parts[0].get("type") == "text":
        return _content(parts[0])
    return [convert(part) for part in parts]


def _content(part: JsonObject) -> str:
    content = part.get("content", part.get("text", ""))
    return content if isinstance(content, str) else _json(content)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _anthropic_message(role: str, parts: list[JsonObject]) -> JsonObject:
    return {
        "role": "assistant" if role == "assistant" else "user",
        "content": _text_or_list(parts, _anthropic_part),
    }


def _anthropic_part(part: JsonObject) -> JsonObject:
    kind = part.get("type")
    if kind == "text":
        return {"type": "text", "text": _content(part)}
    if kind == "tool_call":
        arguments = part.get("arguments")
        return {
            "type": "tool_use",
            "id": part.get("id"),
            "name": part.get("name"),
            "input": _parsed(arguments) if isinstance(arguments, str) else arguments or {},
        }
    if kind == "tool_call_response":
        return {"type": "tool_result", "tool_use_id": part.get("id"), "content": _answer(part)}
    if kind == "reasoning":
        return {"type": "thinking", "thinking": _content(part), "signature": ""}
    if kind in ("blob", "uri") and part.get("modality") in ("image", None):
        return {"type": "image", "source": _anthropic_source(part)}
    return dict(part)


def _anthropic_source(part: JsonObject) -> JsonObject:
    if part.get("type") == "uri":
        return {"type": "url", "url": part.get("uri")}
    return {"type": "base64", "media_type": part.get("mime_type"), "data": part.get("content")}


def _parsed(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return {"arguments": text}


def _answer(part: JsonObject) -> str:
    response = part.get("response", part.get("result", ""))
    return response if isinstance(response, str) else _json(response)


def _chat_messages(role: str, parts: list[JsonObject]) -> Iterable[JsonObject]:
    """Yield the chat messages of one message: each result of a tool is one of its own."""
    results = [part for part in parts if part.get("type") == "tool_call_response"]
    for part in results:
        yield {"role": "tool", "tool_call_id": part.get("id"), "content": _answer(part)}
    others = [part for part in parts if part.get("type") != "tool_call_response"]
    if others or not results:
        yield _chat_message(role, others)


def _chat_message(role: str, parts: list[JsonObject]) -> JsonObject:
    calls = [_chat_call(part) for part in parts if part.get("type") == "tool_call"]
    rest = [part for part in parts if part.get("type") not in ("tool_call", "reasoning")]
    message: dict[str, Any] = {"role": role}
    if rest or not calls:
        message["content"] = _text_or_list(rest, _chat_part) if rest else ""
    if calls:
        message["tool_calls"] = calls
    return message


def _chat_call(part: JsonObject) -> JsonObject:
    arguments = part.get("arguments")
    text = arguments if isinstance(arguments, str) else _json(arguments or {})
    return {"id": part.get("id"), "type": "function", "function": {"name": part.get("name"), "arguments": text}}


def _chat_part(part: JsonObject) -> JsonObject:
    kind = part.get("type")
    if kind == "text":
        return {"type": "text", "text": _content(part)}
    if kind == "uri":
        return {"type": "image_url", "image_url": {"url": part.get("uri")}}
    if kind == "blob":
        return {
            "type": "image_url",
            "image_url": {"url": f"data:{part.get('mime_type')};base64,{part.get('content')}"},
        }
    return dict(part)


def _schema_of(tool: JsonObject) -> Any:
    inner = tool.get("function")
    if isinstance(inner, dict):
        return inner.get("parameters")
    return tool.get("parameters") or tool.get("input_schema")


def _named(tool: JsonObject) -> tuple[Any, Any]:
    inner = tool.get("function")
    source = inner if isinstance(inner, dict) else tool
    return source.get("name"), source.get("description")


def _anthropic_tool(tool: JsonObject) -> JsonObject:
    name, description = _named(tool)
    if "input_schema" in tool or tool.get("type") not in ("function", "custom", None):
        return dict(tool)
    described = {} if description is None else {"description": description}
    return {"name": name, **described, "input_schema": _schema_of(tool) or {"type": "object"}}


def _chat_tool(tool: JsonObject) -> JsonObject:
    if isinstance(tool.get("function"), dict):
        return dict(tool)
    name, description = _named(tool)
    function = {"name": name}
    if description is not None:
        function["description"] = description
    if schema := _schema_of(tool):
        function["parameters"] = schema
    return {"type": "function", "function": function}
