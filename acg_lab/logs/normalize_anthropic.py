"""Anthropic Messages bodies to annotated requests, as the runtime's codec makes them."""

from collections.abc import Callable, Mapping

from acg_lab.core.records import Json, JsonObject
from acg_lab.logs.body_fields import (
    Check,
    is_boolean,
    is_count,
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

_PROVIDER = "anthropic_messages"
_ROLES = ("user", "assistant", "system")
_COMMON: Mapping[str, Check] = {"service_tier": is_text, "stream": is_boolean, "metadata": is_object}
_OWN: Mapping[str, Check] = {
    "cache_control": is_object,
    "container": is_text,
    "inference_geo": is_text,
    "output_config": is_object,
    "thinking": is_object,
    "top_k": is_count,
}
_PARAMS: Mapping[str, Check] = {"temperature": is_number, "max_tokens": is_count, "top_p": is_number}
_PROFILE = "anthropic-user-profile-id"
_MODELED = {
    *("system", "messages", "model", "stop_sequences", "tools", "tool_choice", _PROFILE),
    *_COMMON,
    *_OWN,
    *_PARAMS,
}
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def read_head(body: JsonObject) -> dict[str, Json]:
    """Return the annotated request of a body, without its messages and tools.

    Raises
    ------
    RecordError
        If the codec refuses the body.
    """
    head: dict[str, Json] = {}
    if "system" in body:
        head["instructions"] = _content(body["system"], "$.system")
    if (model := optional(body, "model", is_text)) is not None:
        head["model"] = model
    params = pick(body, _PARAMS)
    if (stop := optional(body, "stop_sequences", is_texts)) is not None:
        params["stop"] = stop
    if params:
        head["params"] = params
    if "tool_choice" in body:
        _add_tool_choice(head, body["tool_choice"])
    head |= pick(body, _COMMON)
    own = pick(body, _OWN)
    if (profile := optional(body, _PROFILE, is_text)) is not None:
        own["user_profile_id"] = profile
    return head | {"api_specific": {"api": _PROVIDER, **own}} | others(body, _MODELED)


def _add_tool_choice(head: dict[str, Json], value: Json) -> None:
    choice = value if isinstance(value, dict) else {}
    kind = choice.get("type")
    if isinstance(kind, str) and kind in _CHOICES:
        head["tool_choice"] = _CHOICES[kind]
    elif kind == "tool" and isinstance(name := choice.get("name"), str):
        head["tool_choice"] = {"type": "function", "function": {"name": name}}
    else:
        head["tool_choice"] = native(_PROVIDER, kind_of(value), value)
    disabled = optional(choice, "disable_parallel_tool_use", is_boolean, "$.tool_choice")
    if disabled is not None:
        head["parallel_tool_calls"] = not disabled


def read_message(value: Json) -> dict[str, Json]:
    """Return an annotated message."""
    message = require_object(value)
    role = require_text(message, "role")
    if "content" not in message:
        refuse("a content", None, "$.content")
    if len(message) > len(("role", "content")):
        return {"role": "provider_native", **native(_PROVIDER, role, message)}
    content = _content(message["content"], "$.content")
    if role in _ROLES:
        return {"role": role, "content": content}
    return {"role": "provider_native", **native(_PROVIDER, role, message)}


def _content(value: Json, path: str) -> str | list[Json]:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        refuse("a text or a list of blocks", value, path)
    return [_part(part, f"{path}[{i}]") for i, part in enumerate(value)]


def _part(value: Json, path: str) -> dict[str, Json]:
    part = require_object(value, path)
    kind = kind_of(part)
    if kind in _PARTS:
        return _PARTS[kind](part, path)
    return {"type": "provider_native", **native(_PROVIDER, kind, part)}


def _text(part: JsonObject, path: str) -> dict[str, Json]:
    return {"type": "text", "text": require_text(part, "text", path), **others(part, ("type", "text"))}


def _image(part: JsonObject, _path: str) -> dict[str, Json]:
    return {"type": "image", "image": others(part, ("type",))}


def _document(part: JsonObject, _path: str) -> dict[str, Json]:
    return {"type": "file", "file": others(part, ("type",))}


def _tool_use(part: JsonObject, path: str) -> dict[str, Json]:
    names = {"id": require_text(part, "id", path), "name": require_text(part, "name", path)}
    if "input" not in part:
        refuse("an input", None, f"{path}.input")
    own = {"type": "tool_use", **names, "input": part["input"]}
    return own | others(part, own)


def _tool_result(part: JsonObject, path: str) -> dict[str, Json]:
    own: dict[str, Json] = {"type": "tool_result", "tool_use_id": require_text(part, "tool_use_id", path)}
    if "content" not in part:
        refuse("a content", None, f"{path}.content")
    own["content"] = part["content"]
    if (is_error := optional(part, "is_error", is_boolean, path)) is not None:
        own["is_error"] = is_error
    return own | others(part, ("type", "tool_use_id", "content", "is_error"))


_PARTS: Mapping[str, Callable[[JsonObject, str], dict[str, Json]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}


def read_tool(value: Json) -> dict[str, Json]:
    """Return an annotated tool definition; one of the provider's own is kept as it is."""
    tool = require_object(value)
    if "type" in tool or "name" not in tool or "input_schema" not in tool:
        return {"type": "provider_native", **native(_PROVIDER, kind_of(tool), tool)}
    function: dict[str, Json] = {"name": require_text(tool, "name")}
    if (description := optional(tool, "description", is_text)) is not None:
        function["description"] = description
    function["parameters"] = tool["input_schema"]
    if (strict := optional(tool, "strict", is_boolean)) is not None:
        function["strict"] = strict
    rest = others(tool, ("name", "description", "input_schema", "strict"))
    return {"type": "function", "function": function, **rest}
