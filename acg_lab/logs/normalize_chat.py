"""OpenAI Chat Completions bodies to annotated requests, as the runtime's codec makes them."""

from collections.abc import Callable, Mapping

from acg_lab.core.records import Json, JsonObject
from acg_lab.logs.body_fields import (
    Check,
    is_boolean,
    is_count,
    is_integer,
    is_list,
    is_number,
    is_object,
    is_text,
    is_texts,
    kind_of,
    native,
    optional,
    others,
    pick,
    refuse,
    require_object,
    require_text,
)

__all__ = ["read_head", "read_message", "read_tool"]

_PROVIDER = "openai_chat"
_COMMON: Mapping[str, Check] = {
    "store": is_boolean,
    "user": is_text,
    "metadata": is_object,
    "service_tier": is_text,
    "parallel_tool_calls": is_boolean,
    "top_logprobs": is_count,
    "stream": is_boolean,
}
_OWN: Mapping[str, Check] = {
    "audio": is_object,
    "frequency_penalty": is_number,
    "functions": is_list,
    "logit_bias": is_object,
    "logprobs": is_boolean,
    "modalities": is_texts,
    "moderation": is_object,
    "n": is_count,
    "prediction": is_object,
    "presence_penalty": is_number,
    "prompt_cache_key": is_text,
    "prompt_cache_options": is_object,
    "prompt_cache_retention": is_text,
    "reasoning_effort": is_text,
    "response_format": is_object,
    "safety_identifier": is_text,
    "seed": is_integer,
    "stream_options": is_object,
    "verbosity": is_text,
    "web_search_options": is_object,
}
_PARAMS: Mapping[str, Check] = {"temperature": is_number, "top_p": is_number}
_LIMITS = ("max_completion_tokens", "max_tokens")  # the first that is there
_MODELED = {
    *("messages", "model", "stop", "tools", "tool_choice", "function_call"),
    *_LIMITS,
    *_COMMON,
    *_OWN,
    *_PARAMS,
}


def read_head(body: JsonObject) -> dict[str, Json]:
    """Return the annotated request of a body, without its messages and tools.

    Raises
    ------
    RecordError
        If the codec refuses the body.
    """
    head: dict[str, Json] = {}
    if (model := optional(body, "model", is_text)) is not None:
        head["model"] = model
    if params := _params(body):
        head["params"] = params
    if "tool_choice" in body:
        head["tool_choice"] = _tool_choice(body["tool_choice"])
    own = pick(body, _OWN)
    if "function_call" in body:
        own["function_call"] = body["function_call"]
    return head | pick(body, _COMMON) | {"api_specific": {"api": _PROVIDER, **own}} | others(body, _MODELED)


def _params(body: JsonObject) -> dict[str, Json]:
    params = pick(body, _PARAMS)
    limits = [limit for name in _LIMITS if (limit := optional(body, name, is_count)) is not None]
    if limits:
        params["max_tokens"] = limits[0]
    stop = body.get("stop")
    if isinstance(stop, str):
        params["stop"] = [stop]
    elif (stops := optional(body, "stop", is_texts)) is not None:
        params["stop"] = stops
    return params


def _tool_choice(value: Json) -> Json:
    if isinstance(value, str) and value in ("auto", "none", "required"):
        return value
    if kind_of(value) == "function" and isinstance(function := value.get("function"), dict):
        name = function.get("name")
        if isinstance(name, str):
            return {"type": "function", "function": {"name": name}}
    return native(_PROVIDER, "tool_choice", value)


def read_message(value: Json) -> dict[str, Json]:
    """Return an annotated message; one with fields that the codec does not know is kept as it is."""
    message = require_object(value)
    role = require_text(message, "role")
    known = _FIELDS.get(role)
    if known is None or not message.keys() <= known:
        return {"role": "provider_native", **native(_PROVIDER, role, message)}
    return _MESSAGES[role](message)


def _plain(message: JsonObject) -> dict[str, Json]:
    return {"role": message["role"], "content": _content(message, "$"), **_name(message)}


def _assistant(message: JsonObject) -> dict[str, Json]:
    found: dict[str, Json] = {"role": "assistant"}
    if message.get("content") is not None:
        found["content"] = _content(message, "$")
    calls = optional(message, "tool_calls", is_list)
    if calls is not None:
        # Every call is looked at before one that the codec does not know makes the message the provider's own.
        kept = [_is_plain_call(call, f"$.tool_calls[{i}]") for i, call in enumerate(calls)]
        if not all(kept):
            return {"role": "provider_native", **native(_PROVIDER, "assistant", message)}
        found["tool_calls"] = calls
    return found | _name(message)


def _is_plain_call(value: Json, path: str) -> bool:
    """Whether a tool call is one of a function with nothing else in it; refuse one that is half of that."""
    call = require_object(value, path)
    if call.get("type") != "function" or not call.keys() <= {"id", "type", "function"}:
        return False
    function = require_object(call.get("function"), f"{path}.function")
    if not function.keys() <= {"name", "arguments"}:
        return False
    require_text(call, "id", path)
    require_text(function, "name", f"{path}.function")
    require_text(function, "arguments", f"{path}.function")
    return True


def _tool(message: JsonObject) -> dict[str, Json]:
    content = _content(message, "$")
    return {"role": "tool", "content": content, "tool_call_id": require_text(message, "tool_call_id")}


def _function(message: JsonObject) -> dict[str, Json]:
    return {"role": "function", "content": optional(message, "content", is_text), "name": require_text(message, "name")}


def _name(message: JsonObject) -> dict[str, Json]:
    name = optional(message, "name", is_text)
    return {} if name is None else {"name": name}


_FIELDS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("system", "developer", "user"), frozenset({"role", "content", "name"})),
    "assistant": frozenset({"role", "content", "tool_calls", "name"}),
    "tool": frozenset({"role", "content", "tool_call_id"}),
    "function": frozenset({"role", "content", "name"}),
}
_MESSAGES: Mapping[str, Callable[[JsonObject], dict[str, Json]]] = {
    **dict.fromkeys(("system", "developer", "user"), _plain),
    "assistant": _assistant,
    "tool": _tool,
    "function": _function,
}


def _content(message: JsonObject, path: str) -> str | list[Json]:
    value, path = message.get("content"), f"{path}.content"
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        refuse("a text or a list of parts", value, path)
    return [_part(part, f"{path}[{i}]") for i, part in enumerate(value)]


def _part(value: Json, path: str) -> dict[str, Json]:
    part = require_object(value, path)
    kind = kind_of(part)
    if kind in ("text", "refusal"):
        return {"type": kind, kind: require_text(part, kind, path), **others(part, ("type", kind))}
    if kind == "image_url":
        return {"type": kind, kind: _image_url(part.get(kind), f"{path}.{kind}"), **others(part, ("type", kind))}
    if kind in _FILES:
        if kind not in part:
            refuse("a value", None, f"{path}.{kind}")
        name = _FILES[kind]
        return {"type": name, name: part[kind], **others(part, ("type", kind))}
    return {"type": "provider_native", **native(_PROVIDER, kind, part)}


_FILES = {"input_audio": "audio", "file": "file"}


def _image_url(value: Json, path: str) -> dict[str, Json]:
    """Return address and detail of an image; the codec takes a pair for both, and drops what else is there."""
    if isinstance(value, list) and len(value) == len(("url", "detail")):
        value = {"url": value[0], "detail": value[1]}
    image = require_object(value, path)
    found: dict[str, Json] = {"url": require_text(image, "url", path)}
    if (detail := optional(image, "detail", is_text, path)) is not None:
        found["detail"] = detail
    return found


def read_tool(value: Json) -> dict[str, Json]:
    """Return an annotated tool definition; one that is not a function is kept as it is."""
    tool = require_object(value)
    if tool.get("type") != "function":
        return {"type": "provider_native", **native(_PROVIDER, kind_of(tool), tool)}
    function = read_function(require_object(tool.get("function"), "$.function"), "$.function", ())
    return {"type": "function", "function": function, **others(tool, ("type", "function"))}


def read_function(function: JsonObject, path: str, dropped: tuple[str, ...]) -> dict[str, Json]:
    """Return the definition of a function, without the fields to be dropped."""
    found: dict[str, Json] = {"name": require_text(function, "name", path)}
    if (description := optional(function, "description", is_text, path)) is not None:
        found["description"] = description
    if "parameters" in function:
        found["parameters"] = function["parameters"]
    if (strict := optional(function, "strict", is_boolean, path)) is not None:
        found["strict"] = strict
    return found | others(function, ("name", "description", "parameters", "strict", *dropped))
