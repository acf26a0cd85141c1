"""How content parts, messages and whole requests become blocks and learning keys: the functions of the rules tables.

The tables of `acg_lab.core.rules` combine these functions (``acg_lab/docs/rules/learner.md``, 2, 3 and 8). No function
here knows which rules version it serves; each takes the `Rules` that it is called under.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

from acg_lab.core.canonical import canonical_json, compact_json, hash_text
from acg_lab.core.errors import RecordError
from acg_lab.core.records import AnnotatedLlmRequest, Json, JsonObject
from acg_lab.core.rule_types import Draft, MessageRule, PartText, Rules

__all__ = [
    "PART_FIELDS",
    "block_text",
    "map_messages",
    "require",
    "seed_text",
    "tool_schemas",
]

T = TypeVar("T")
_OBJECT = (dict, Mapping)  # dict first: isinstance of Mapping takes ten times as long

# The fields of a content part in the order in which production prints them, before any others.
PART_FIELDS: Mapping[str, tuple[str, ...]] = {
    "text": ("text",),
    "refusal": ("refusal",),
    "image_url": ("image_url",),
    "image": ("image",),
    "audio": ("audio",),
    "file": ("file",),
    "tool_use": ("id", "name", "input"),
    "tool_result": ("tool_use_id", "content", "is_error"),
    "provider_native": ("provider", "kind", "value"),
}


def require(value: JsonObject, name: str, kind: type, *, optional: bool = False) -> Json:
    """Return a field of a JSON object, checked.

    Raises
    ------
    RecordError
        If the field is missing (or null, unless ``optional``) or of another type.
    """
    item = value.get(name) if isinstance(value, _OBJECT) else None
    if isinstance(item, kind) or (optional and item is None):
        return item
    msg = f"expected {kind.__name__}, got {'nothing' if item is None else type(item).__name__}"
    raise RecordError(msg, path=f"$.{name}")


def message_rule(rules: Rules, message: JsonObject) -> MessageRule:
    """Return the rule for a message's role.

    Raises
    ------
    RecordError
        If the rules version does not read the role.
    """
    role = require(message, "role", str)
    if role not in rules.messages:
        msg = f"expected one of the roles {', '.join(rules.messages)}, got another"
        raise RecordError(msg, path="$.role")
    return rules.messages[role]


def map_messages(request: AnnotatedLlmRequest, make: Callable[[JsonObject], T]) -> Iterator[T]:
    """Apply ``make`` to each message of a request; errors name the message's position."""
    for i, message in enumerate(request.messages):
        try:
            yield make(message)
        except RecordError as error:
            raise error.at(path=f"$.messages[{i}]") from None


# --- texts and parts ---


def block_text(rules: Rules, content: Json) -> str:
    """Return the text of a message's content for a block, before white space is normalised."""
    return _text(content, rules.block_parts, keep_empty=rules.keep_empty_parts)


def seed_text(rules: Rules, content: Json) -> str:
    """Return the text of a message's content for a learning key."""
    return _text(content, rules.seed_parts, keep_empty=True)


def _text(content: Json, parts: Mapping[str, PartText], *, keep_empty: bool) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list | tuple):
        msg = f"expected a text or a list of parts, got {'nothing' if content is None else type(content).__name__}"
        raise RecordError(msg, path="$.content")
    texts = [_part(part, parts) for part in content]
    return "\n".join(text for text in texts if text or (keep_empty and text is not None))


def _part(part: JsonObject, parts: Mapping[str, PartText]) -> str | None:
    kind = require(part, "type", str)
    if kind not in parts:
        msg = f"expected a content part of one of the types {', '.join(parts)}, got another"
        raise RecordError(msg, path="$.content")
    return parts[kind](part)


def text_of(name: str) -> PartText:
    """Return a function that takes one field of a content part as its text."""
    return lambda part: cast("str", require(part, name, str))


def no_text(_part: JsonObject) -> None:
    """Contribute no text."""


def tag_image(part: JsonObject) -> str:
    """Return a tag that stands for an image: its detail and the hash of its URL."""
    image = require(part, "image_url", dict)
    detail = require(image, "detail", str, optional=True)
    return f"[image:{'none' if detail is None else detail}:{hash_text(require(image, 'url', str))}]"


def print_part(part: JsonObject) -> str:
    """Return the whole part as compact JSON."""
    return compact_json(part, first=("type", *PART_FIELDS[part["type"]]))


# --- messages to blocks ---


def text_block(
    role: str, provenance: str, content_type: str = "text", suffix: str = ""
) -> Callable[[Rules, JsonObject], Iterator[Draft]]:
    """Return a function that makes one block of a message's text."""

    def drafts(rules: Rules, message: JsonObject) -> Iterator[Draft]:
        yield Draft(role, provenance, content_type, suffix, block_text(rules, message.get("content")))

    return drafts


def assistant_blocks(rules: Rules, message: JsonObject) -> Iterator[Draft]:
    """Yield a block for the content, if there is any, and one for each tool call."""
    if (content := message.get("content")) is not None:
        yield Draft("assistant", "developer", "text", "", block_text(rules, content))
    for call in require(message, "tool_calls", list, optional=True) or ():
        name = require(require(call, "function", dict), "name", str)
        yield Draft("assistant", "developer", "text", f"-{name}", canonical_json(call))


def tool_result_block(rules: Rules, message: JsonObject) -> Iterator[Draft]:
    """Yield the block of a tool's result."""
    call_id = require(message, "tool_call_id", str)
    yield Draft("tool", "tool", "tool_result", f"-{call_id}", block_text(rules, message.get("content")))


def function_result_block(rules: Rules, message: JsonObject) -> Iterator[Draft]:
    """Yield the block of a function's result, empty if there is no content."""
    content = message.get("content")
    text = "" if content is None else block_text(rules, content)
    yield Draft("tool", "tool", "text", f"-{require(message, 'name', str)}", text)


def whole_message_block(role: str, provenance: str, named: str) -> Callable[[Rules, JsonObject], Iterator[Draft]]:
    """Return a function that makes one block of a whole message, named by one of its fields."""

    def drafts(_rules: Rules, message: JsonObject) -> Iterator[Draft]:
        yield Draft(role, provenance, "text", f"-{require(message, named, str)}", canonical_json(message))

    return drafts


# --- messages to seed fingerprints ---


def text_seed(kind: str) -> Callable[[Rules, JsonObject], str]:
    """Return a function that hashes a message's text."""
    return lambda rules, message: f"{kind}:{hash_text(seed_text(rules, message.get('content')))}"


def assistant_seed(rules: Rules, message: JsonObject) -> str:
    """Hash the content, if there is any."""
    content = message.get("content")
    return "assistant:no-content" if content is None else f"assistant:{hash_text(seed_text(rules, content))}"


def function_seed(_rules: Rules, message: JsonObject) -> str:
    """Hash name and content."""
    return f"function:{_hash_of(message, 'name', 'content')}"


def tool_call_seed(_rules: Rules, message: JsonObject) -> str:
    """Hash name and arguments, not the id."""
    return f"tool-call:{_hash_of(message, 'name', 'arguments')}"


def tool_result_seed(_rules: Rules, message: JsonObject) -> str:
    """Hash the output, not the id."""
    return f"tool-result:{hash_text(compact_json(message.get('output')))}"


def provider_native_seed(_rules: Rules, message: JsonObject) -> str:
    """Hash provider, kind and value of a provider's own item."""
    return f"native:{_hash_of(message, 'provider', 'kind', 'value')}"


def _hash_of(message: JsonObject, *names: str) -> str:
    return hash_text(canonical_json({name: message.get(name) for name in names}))


# --- whole requests ---


def tool_schemas(request: AnnotatedLlmRequest) -> list[str]:
    """Return the canonical JSON of each tool."""
    return [canonical_json(tool) for tool in request.tools or ()]


def tool_name(definition: JsonObject) -> str:
    """Return the name of a tool."""
    return cast("str", require(require(definition, "function", dict), "name", str))


def tool_name_or_kind(definition: JsonObject) -> str:
    """Return the name of a tool, or the kind of a provider's own tool."""
    if definition.get("type") == "provider_native":
        return cast("str", require(definition, "kind", str))
    return tool_name(definition)


def no_blocks(_rules: Rules, _request: AnnotatedLlmRequest) -> Iterator[Draft]:
    """Return no blocks."""
    return iter(())


def instructions_block(rules: Rules, request: AnnotatedLlmRequest) -> Iterator[Draft]:
    """Yield the block of the top-level instructions, if there are any."""
    content = request.unknown.get("instructions")
    if content is not None:
        yield Draft("system", "system", "text", "-instructions", block_text(rules, content))


def response_format_block(rules: Rules, request: AnnotatedLlmRequest) -> Iterator[Draft]:
    """Yield the block of the response format, if there is one."""
    schema = rules.response_format(request)
    if schema is not None:
        yield Draft("system", "system", "structured_output", "-structured-output", schema, normalised=False)


def ignore_response_format(_request: AnnotatedLlmRequest) -> None:
    """Return None: this rules version does not read the response format."""


def print_response_format(request: AnnotatedLlmRequest) -> str | None:
    """Return the canonical JSON of the response format; null counts as absent."""
    value = request.unknown.get("response_format")
    return None if value is None else canonical_json(value)


def hash_system_texts(rules: Rules, request: AnnotatedLlmRequest) -> str:
    """Hash the texts of all system messages."""

    def text(message: JsonObject) -> str | None:
        return seed_text(rules, message.get("content")) if message_rule(rules, message).scaffold else None

    joined = "\n".join(found for found in map_messages(request, text) if found is not None)
    return hash_text(joined) if joined else "no-system"


def system_items(rules: Rules, request: AnnotatedLlmRequest) -> list[dict[str, Any]]:
    """Return the instructions and all system and developer messages."""

    def item(message: JsonObject) -> dict[str, Any] | None:
        if not message_rule(rules, message).scaffold:
            return None
        return {"source": "message", "role": message["role"], "content": message.get("content")}

    given = request.unknown.get("instructions")
    items = [] if given is None else [{"source": "instructions", "content": given}]
    return items + [found for found in map_messages(request, item) if found is not None]


def hash_system_items(rules: Rules, request: AnnotatedLlmRequest) -> str:
    """Hash the list of system items."""
    items = system_items(rules, request)
    return hash_text(canonical_json(items)) if items else "no-system"


def has_no_scaffold(_rules: Rules, _request: AnnotatedLlmRequest) -> bool:
    """Return False: this rules version knows no scaffold."""
    return False


def has_scaffold(rules: Rules, request: AnnotatedLlmRequest) -> bool:
    """Return whether the request has tools, system messages, instructions or a response format."""
    return bool(request.tools or system_items(rules, request) or rules.response_format(request) is not None)
