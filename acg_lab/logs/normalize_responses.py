"""OpenAI Responses bodies to annotated requests, as the runtime's codec makes them."""

import json
import math
from collections.abc import Callable, Mapping

import msgspec

from acg_lab.core.records import Json, JsonObject
from acg_lab.logs.body_fields import (
    Check,
    is_boolean,
    is_count,
    is_list,
    is_number,
    is_object,
    is_text,
    kind_of,
    native,
    optional,
    others,
    pick,
    refuse,
    require_object,
    require_text,
)
from acg_lab.logs.normalize_chat import read_function

__all__ = ["read_head", "read_message", "read_tool"]

_PROVIDER = "openai_responses"
_COMMON: Mapping[str, Check] = {
    "store": is_boolean,
    "previous_response_id": is_text,
    "reasoning": is_object,
    "include": is_list,
    "user": is_text,
    "metadata": is_object,
    "service_tier": is_text,
    "max_tool_calls": is_count,
    "top_logprobs": is_count,
    "stream": is_boolean,
}
_OWN: Mapping[str, Check] = {
    "background": is_boolean,
    "context_management": is_list,
    "moderation": is_object,
    "prompt": is_object,
    "prompt_cache_key": is_text,
    "prompt_cache_options": is_object,
    "prompt_cache_retention": is_text,
    "safety_identifier": is_text,
    "stream_options": is_object,
    "text": is_object,
}
_PARAMS: Mapping[str, Check] = {"temperature": is_number, "top_p": is_number}
_LIMIT = "max_output_tokens"
_MODELED = {
    *("input", "instructions", "model", "tools", "tool_choice", "truncation", "conversation", "parallel_tool_calls"),
    _LIMIT,
    *_COMMON,
    *_OWN,
    *_PARAMS,
}
_MAX_DEPTH = 127
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def read_head(body: JsonObject) -> dict[str, Json]:
    """Return the annotated request of a body, without its messages and tools.

    Raises
    ------
    RecordError
        If the codec refuses the body.
    """
    head = pick(body, {"instructions": is_text, "model": is_text})
    params, limit = pick(body, _PARAMS), optional(body, _LIMIT, is_count)
    if limit is not None:
        params["max_tokens"] = head[_LIMIT] = limit
    if params:
        head["params"] = params
    if "tool_choice" in body:
        head["tool_choice"] = _tool_choice(body["tool_choice"])
    if (parallel := _parallel(body)) is not None:
        head["parallel_tool_calls"] = parallel
    if "truncation" in body:
        head["truncation"] = body["truncation"]
    own = pick(body, _OWN)
    if "conversation" in body:
        own["conversation"] = body["conversation"]
    return head | pick(body, _COMMON) | {"api_specific": {"api": _PROVIDER, **own}} | others(body, _MODELED)


def _tool_choice(value: Json) -> Json:
    if isinstance(value, str) and value in ("auto", "none", "required"):
        return value
    choice = value if isinstance(value, dict) else {}
    kind = kind_of(choice)
    if kind in _CHOICES:
        return _CHOICES[kind]
    if kind in ("tool", "function"):
        function = choice.get("function")
        inner = function.get("name") if isinstance(function, dict) else None
        for name in (choice.get("name"), inner):
            if isinstance(name, str):
                return {"type": "function", "function": {"name": name}}
    return native(_PROVIDER, "tool_choice", value)


def _parallel(body: JsonObject) -> bool | None:
    given: bool | None = optional(body, "parallel_tool_calls", is_boolean)
    choice = body.get("tool_choice")
    if given is not None or not isinstance(choice, dict):
        return given
    disabled = optional(choice, "disable_parallel_tool_use", is_boolean, "$.tool_choice")
    return None if disabled is None else not disabled


def read_message(value: Json) -> dict[str, Json]:
    """Return the annotated message of an input item."""
    item = require_object(value)
    if isinstance(role := item.get("role"), str):
        return _message(item, role)
    kind = kind_of(item)
    if kind in _ITEMS:
        return _ITEMS[kind](item)
    return {"role": "provider_native", **native(_PROVIDER, kind, item)}


def _message(item: JsonObject, role: str) -> dict[str, Json]:
    whole: dict[str, Json] = {"role": "provider_native", **native(_PROVIDER, "message", item)}
    if not item.keys() <= {"type", "role", "content"}:
        return whole
    content = _content(item.get("content"))
    return {"role": role, "content": content} if role in ("user", "system", "developer", "assistant") else whole


def _content(value: Json) -> str | list[Json]:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        refuse("a text or a list of parts", value, "$.content")
    return [_part(part, f"$.content[{i}]") for i, part in enumerate(value)]


def _part(value: Json, path: str) -> dict[str, Json]:
    part = require_object(value, path)
    kind = kind_of(part)
    if kind in ("input_text", "output_text"):
        return {"type": "text", "text": require_text(part, "text", path), **others(part, ("type", "text"))}
    if kind == "refusal":
        return {"type": kind, kind: require_text(part, kind, path), **others(part, ("type", kind))}
    if kind in _FILES:
        name, fields = _FILES[kind]
        own = {field: part[field] for field in fields if field in part}
        return {"type": name, name: own, **others(part, ("type", *fields))}
    return {"type": "provider_native", **native(_PROVIDER, kind, part)}


_FILES = {
    "input_image": ("image", ("image_url", "file_id", "detail")),
    "input_file": ("file", ("file_data", "file_id", "file_url", "filename")),
}


def _call(item: JsonObject) -> dict[str, Json]:
    found: dict[str, Json] = {"role": "tool_call", **_id(item), "call_id": require_text(item, "call_id")}
    found |= {"name": require_text(item, "name"), "arguments": _arguments(require_text(item, "arguments"))}
    return found | others(item, ("type", "id", "call_id", "name", "arguments"))


def _result(item: JsonObject) -> dict[str, Json]:
    found: dict[str, Json] = {"role": "tool_result", **_id(item), "call_id": require_text(item, "call_id")}
    if "output" not in item:
        refuse("an output", None, "$.output")
    return found | {"output": item["output"]} | others(item, ("type", "id", "call_id", "output"))


_ITEMS: Mapping[str, Callable[[JsonObject], dict[str, Json]]] = {
    "function_call": _call,
    "function_call_output": _result,
}


def _id(item: JsonObject) -> dict[str, Json]:
    found = optional(item, "id", is_text)
    return {} if found is None else {"id": found}


def _arguments(text: str) -> Json:
    """Return what the text of a call's arguments says, as the runtime's parser reads it; else the text itself."""
    try:
        msgspec.json.decode(text)  # the syntax, which Python's parser takes less strictly
        value = json.loads(text, parse_int=_integer)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return text
    return value if _depth(value) <= _MAX_DEPTH else text


def _integer(digits: str) -> int | float:
    """Return an integer; beyond 64 bits its nearest double, and minus zero too."""
    double = float(digits)
    if math.isinf(double):
        raise ValueError
    if digits == "-0" or not -(2**63) <= double <= 2**64:
        return double
    number = int(digits)
    return number if -(2**63) <= number < 2**64 else double


def _depth(value: Json) -> int:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if items is None else 1 + max(map(_depth, items), default=0)


def read_tool(value: Json) -> dict[str, Json]:
    """Return an annotated tool definition; a function may stand in the tool itself or one level below."""
    tool = require_object(value)
    if tool.get("type") != "function":
        return {"type": "provider_native", **native(_PROVIDER, kind_of(tool), tool)}
    if isinstance(inner := tool.get("function"), dict):
        function = read_function(inner, "$.function", ("type", "function"))
        return {"type": "function", "function": function, **others(tool, ("type", "function"))}
    return {"type": "function", "function": read_function(tool, "$", ("type", "function"))}
