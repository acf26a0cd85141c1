"""Where the last turn of a conversation begins, and what shows that a request was cut to it."""

from collections.abc import Sequence
from typing import Any, TypeGuard

from acg_lab.core.records import JsonObject

__all__ = ["is_last_turn", "lacks_its_tool_call"]

_INSTRUCTIONS = {"system", "developer"}


def is_last_turn(messages: Sequence[JsonObject]) -> bool:
    """Return whether a request holds only its last turn: nothing but instructions before the last user message."""
    last_user = max((i for i, message in enumerate(messages) if message.get("role") == "user"), default=0)
    return all(message.get("role") in _INSTRUCTIONS for message in messages[:last_user])


def lacks_its_tool_call(messages: Sequence[JsonObject]) -> bool:
    """Return whether a message answers a tool call that is not in the request, which no whole request does."""
    called: set[str] = set()
    for message in messages:
        called.update(filter(_is_text, _called(message)))
        if not called.issuperset(filter(_is_text, _answered(message))):
            return True
    return False


def _is_text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str)


def _called(message: JsonObject) -> list[Any]:
    calls = message.get("tool_calls")
    ids = [call.get("id") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    ids += [part.get("id") for part in _parts(message) if part.get("type") == "tool_use"]
    return [*ids, message["call_id"]] if message.get("role") == "tool_call" and "call_id" in message else ids


def _answered(message: JsonObject) -> list[Any]:
    ids: list[Any] = [part.get("tool_use_id") for part in _parts(message) if part.get("type") == "tool_result"]
    if message.get("role") == "tool" and "tool_call_id" in message:
        ids.append(message["tool_call_id"])
    if message.get("role") == "tool_result" and "call_id" in message:
        ids.append(message["call_id"])
    return ids


def _parts(message: JsonObject) -> list[JsonObject]:
    content = message.get("content")
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
