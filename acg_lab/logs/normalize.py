"""Raw request bodies to annotated requests, as the runtime's codec of each API makes them.

A body is read in pieces, so that what repeats from request to request (messages, tools) need be read once.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from acg_lab.core.errors import RecordError
from acg_lab.core.records import AnnotatedLlmRequest, Json, JsonObject
from acg_lab.logs import normalize_anthropic, normalize_chat, normalize_responses
from acg_lab.logs.body_fields import kind_of, refuse
from acg_lab.logs.entries import Api

__all__ = ["CODECS", "BodyCodec", "detect_api", "make_request", "normalize"]


class BodyCodec(NamedTuple):
    """How the bodies of one API are read.

    Attributes
    ----------
    items : str
        The field that holds the messages.
    read_message, read_tool : callable
        One of them to what the annotated request has in its place.
    read_head : callable
        A body to all other fields of the annotated request; it does not look at messages and tools.

    All raise `RecordError`, with the path inside what they were given, where the codec refuses.
    """

    items: str
    read_message: Callable[[Json], dict[str, Json]]
    read_tool: Callable[[Json], dict[str, Json]]
    read_head: Callable[[JsonObject], dict[str, Json]]

    def list_messages(self, value: Json) -> list[Json]:
        """Return the items of a body; a plain text is a message of the user, where the API takes that."""
        if self.items == "input" and isinstance(value, str):
            return [{"role": "user", "content": value}]
        if not isinstance(value, list):
            refuse("a list", value, f"$.{self.items}")
        return value


CODECS: Mapping[Api, BodyCodec] = {
    "anthropic": BodyCodec(
        "messages", normalize_anthropic.read_message, normalize_anthropic.read_tool, normalize_anthropic.read_head
    ),
    "openai-chat": BodyCodec(
        "messages", normalize_chat.read_message, normalize_chat.read_tool, normalize_chat.read_head
    ),
    "openai-responses": BodyCodec(
        "input", normalize_responses.read_message, normalize_responses.read_tool, normalize_responses.read_head
    ),
}


def normalize(body: JsonObject, api: Api) -> AnnotatedLlmRequest:
    """Return the annotated request that the runtime's codec of an API makes of a body.

    Raises
    ------
    RecordError
        If the codec refuses the body, with the path inside it.

    Examples
    --------
    >>> body = {"model": "gpt-5.1", "messages": [{"role": "user", "content": "Hello"}], "temperature": 0}
    >>> normalize(body, "openai-chat").params
    {'temperature': 0.0}
    """
    codec = CODECS[api]
    items = codec.list_messages(body.get(codec.items))
    messages = _read_each(codec.read_message, items, codec.items)
    tools = None
    if "tools" in body:
        if not isinstance(body["tools"], list):
            refuse("a list", body["tools"], "$.tools")
        tools = _read_each(codec.read_tool, body["tools"], "tools")
    return make_request(codec.read_head(body), messages, tools)


def _read_each(read: Callable[[Json], dict[str, Json]], items: list[Json], name: str) -> tuple[dict[str, Json], ...]:
    found: list[dict[str, Json]] = []
    for i, item in enumerate(items):
        try:
            found.append(read(item))
        except RecordError as error:
            raise error.at(path=f"$.{name}[{i}]") from None
    return tuple(found)


_NAMED = ("model", "params", "tool_choice")


def make_request(
    head: JsonObject, messages: tuple[JsonObject, ...] = (), tools: tuple[JsonObject, ...] | None = None
) -> AnnotatedLlmRequest:
    """Return the annotated request of its head, messages and tools."""
    named: dict[str, Any] = {name: head[name] for name in _NAMED if name in head}
    unknown = {name: value for name, value in head.items() if name not in _NAMED}
    return AnnotatedLlmRequest(messages=messages, tools=tools, unknown=unknown, **named)


# Which fields only one API has; where none stands in a body, its tools and messages decide.
_ONLY: tuple[tuple[Api, frozenset[str]], ...] = (
    ("openai-responses", frozenset({"input", "previous_response_id"})),
    ("anthropic", frozenset({"system", "anthropic_version", "anthropic_beta", "stop_sequences"})),
    (
        "openai-chat",
        frozenset({"max_completion_tokens", "response_format", "stream_options", "functions", "stop", "n", "logprobs"}),
    ),
)
_ANTHROPIC_PARTS = ("tool_use", "tool_result", "image", "document", "thinking", "redacted_thinking")
_CHAT_ROLES = ("system", "developer", "tool", "function")


def detect_api(body: Mapping[str, Any], tools: Iterable[Json] = (), messages: Iterable[Json] = ()) -> Api:
    """Return the API that a request body is meant for.

    Parameters
    ----------
    body : mapping
        Only its keys and its ``model`` are looked at.
    tools, messages : iterable
        Looked at in this order where the keys do not decide.

    Examples
    --------
    >>> detect_api({"model": "m", "max_tokens": 9, "system": "S", "messages": []})
    'anthropic'
    """
    for api, names in _ONLY:
        if not names.isdisjoint(body):
            return api
    for tool in tools:
        if isinstance(tool, dict):
            return "openai-chat" if isinstance(tool.get("function"), dict) else "anthropic"
    for message in messages:
        if isinstance(message, dict) and (found := _api_of_message(message)):
            return found
    model = body.get("model")
    return "anthropic" if isinstance(model, str) and "claude" in model else "openai-chat"


def _api_of_message(message: JsonObject) -> Api | None:
    if message.get("role") in _CHAT_ROLES or "tool_calls" in message:
        return "openai-chat"
    content = message.get("content")
    kinds = {kind_of(part) for part in content} if isinstance(content, list) else set()
    if not kinds.isdisjoint(_ANTHROPIC_PARTS):
        return "anthropic"
    return "openai-chat" if "image_url" in kinds else None
