"""Read, set and take away what stands at a place of a request's form."""

from typing import Any

from acg_lab.repairs.request_blocks import Place
from acg_lab.repairs.request_form import CannotRepairError, Form, RequestPools

__all__ = ["make_user_message", "set_value", "take_block", "value_at"]


def take_block(form: Form, place: Place, pools: RequestPools) -> int:
    """Take a block out of a form; return the code of a message that holds nothing else, -1 for no message."""
    if place.field == "instructions":
        form.head.pop(form.instructions, None)
        return -1
    if place.field == "format":
        if form.head.pop("response_format", None) is None:
            raise CannotRepairError
        return -1
    if place.field == "tool":
        (form.tools or []).pop(place.position)
        return -1
    code = form.messages[place.position]
    message = pools.messages.value(code)
    calls = message.get("tool_calls")
    if place.is_whole or not calls or (len(calls) == 1 and place.tool_call >= 0 and message.get("content") is None):
        return form.messages.pop(place.position)
    if place.tool_call < 0:
        form.messages[place.position] = pools.message({k: v for k, v in message.items() if k != "content"})
        return pools.message({k: v for k, v in message.items() if k != "tool_calls"})
    rest = [call for i, call in enumerate(calls) if i != place.tool_call]
    left = {**message, "tool_calls": rest} if rest else {k: v for k, v in message.items() if k != "tool_calls"}
    form.messages[place.position] = pools.message(left)
    alone = {k: v for k, v in message.items() if k != "content"}
    return pools.message({**alone, "tool_calls": [calls[place.tool_call]]})


def make_user_message(code: int, pools: RequestPools) -> int:
    """Return the code of a system message as the user would send it; other messages keep theirs."""
    message = pools.messages.value(code)
    return pools.message({**message, "role": "user"}) if message.get("role") in ("system", "developer") else code


def value_at(form: Form, place: Place, pools: RequestPools) -> Any:
    """Return the content, tool, tool call or item that a place speaks of."""
    if place.field == "instructions":
        return form.head.get(form.instructions)
    if place.field == "format":
        return form.head.get("response_format")
    if place.field == "tool":
        return (form.tools or [])[place.position]
    message = pools.messages.value(form.messages[place.position])
    if place.is_whole:
        return message
    return message.get("content") if place.tool_call < 0 else message["tool_calls"][place.tool_call]


def set_value(form: Form, place: Place, value: Any, pools: RequestPools) -> None:
    """Set the content, tool, tool call or item that a place speaks of."""
    if place.field == "instructions":
        form.head[form.instructions] = value
    elif place.field == "format":
        if "response_format" not in form.head:
            raise CannotRepairError
        form.head["response_format"] = value
    elif place.field == "tool":
        form.tools = [value if i == place.position else tool for i, tool in enumerate(form.tools or [])]
    elif place.is_whole:
        form.messages[place.position] = pools.message(value)
    else:
        message = pools.messages.value(form.messages[place.position])
        if place.tool_call < 0:
            changed = {**message, "content": value}
        else:
            calls = [value if i == place.tool_call else call for i, call in enumerate(message["tool_calls"])]
            changed = {**message, "tool_calls": calls}
        form.messages[place.position] = pools.message(changed)
