"""The generations of the rules, and what differs between them, as tables (spec sections 2, 3 and 8).

Belongs here: every fact that one generation has and another has not, as data or a small function of a `Rules` value.
No other module asks which generation it is in; it asks the table. Code that all generations share lives in the module
named for it: `prompt_ir`, `keys`, `stability`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple, TypeAlias, cast

from acg_lab.core.canonical import canonical_json, compact_json, hash_text
from acg_lab.core.errors import RecordError, UsageError
from acg_lab.core.records import AnnotatedLlmRequest, Json, JsonObject

__all__ = ["RULES", "Draft", "MessageRule", "Rules", "RulesName", "get_rules", "require"]

RulesName: TypeAlias = Literal["nemo-flow-0.2"]


class Draft(NamedTuple):
    """A block before it has a number: its span id will be ``{role}-{number}{suffix}``."""

    role: str
    provenance: str
    content_type: str
    suffix: str
    content: str
    normalised: bool = True


class MessageRule(NamedTuple):
    """What one kind of message gives.

    ``scaffold`` messages count as system: they come before the tools and make the system fingerprint; the first other
    message makes the seed fingerprint.
    """

    scaffold: bool
    drafts: Callable[["Rules", JsonObject], Iterator[Draft]]
    seed: Callable[["Rules", JsonObject], str]


class Rules(NamedTuple):
    """One generation.

    ``key_prefix`` is production's default in Redis; ``messages`` what each role gives; ``block_parts`` and
    ``seed_parts`` the text of each type of content part, in blocks and in learning keys; ``keep_empty_parts`` whether
    parts without text still make a line.
    """

    name: RulesName
    key_prefix: str
    messages: Mapping[str, MessageRule]
    block_parts: Mapping[str, Callable[[JsonObject], str | None]]
    seed_parts: Mapping[str, Callable[[JsonObject], str | None]]
    keep_empty_parts: bool
    system_fingerprint: Callable[["Rules", AnnotatedLlmRequest], str]

    def rule(self, message: JsonObject) -> MessageRule:
        """Return what the message's role gives; a role that this generation can't read is refused."""
        role = require(message, "role", str)
        try:
            return self.messages[role]
        except KeyError:
            msg = f"expected one of the roles {', '.join(self.messages)}, got {role!r}"
            raise RecordError(msg, path="$.role") from None

    def text(self, content: Json) -> str:
        """Return the text of a message's content as it goes into a block, not yet normalised."""
        return _text(content, self.block_parts, keep_empty=self.keep_empty_parts)

    def seed_text(self, content: Json) -> str:
        """Return the text of a message's content as it goes into a learning key."""
        return _text(content, self.seed_parts, keep_empty=True)


def require(value: JsonObject, name: str, kind: type, *, optional: bool = False) -> Json:
    """Return a field of a JSON object, checked.

    Raises
    ------
    RecordError
        If the field is missing (or null, unless ``optional``) or of another type.
    """
    item = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(item, kind) or (optional and item is None):
        return item
    msg = f"expected {kind.__name__}, got {'nothing' if item is None else type(item).__name__}"
    raise RecordError(msg, path=f"$.{name}")


def _text(content: Json, parts: Mapping[str, Callable[[JsonObject], str | None]], *, keep_empty: bool) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list | tuple):
        msg = f"expected a text or a list of parts, got {type(content).__name__}"
        raise RecordError(msg, path="$.content")
    texts = [_part(part, parts) for part in content]
    return "\n".join(text for text in texts if text or (keep_empty and text is not None))


def _part(part: JsonObject, parts: Mapping[str, Callable[[JsonObject], str | None]]) -> str | None:
    kind = require(part, "type", str)
    if kind not in parts:
        msg = f"expected a content part of one of the types {', '.join(parts)}, got {kind!r}"
        raise RecordError(msg, path="$.content")
    return parts[kind](part)


# --- what a part gives -------------------------------------------------------------------------------------------------


def _field(name: str) -> Callable[[JsonObject], str | None]:
    return lambda part: cast("str", require(part, name, str))


def _nothing(_part: JsonObject) -> None:
    return None


def _image_tag(part: JsonObject) -> str:
    image = require(part, "image_url", dict)
    detail = require(image, "detail", str, optional=True)
    return f"[image:{detail or 'none'}:{hash_text(require(image, 'url', str))}]"


# --- what a message gives ----------------------------------------------------------------------------------------------


def _plain(role: str, provenance: str, content_type: str = "text") -> Callable[[Rules, JsonObject], Iterator[Draft]]:
    def drafts(rules: Rules, message: JsonObject) -> Iterator[Draft]:
        yield Draft(role, provenance, content_type, "", rules.text(message.get("content")))

    return drafts


def _assistant(rules: Rules, message: JsonObject) -> Iterator[Draft]:
    if (content := message.get("content")) is not None:
        yield Draft("assistant", "developer", "text", "", rules.text(content))
    for call in require(message, "tool_calls", list, optional=True) or ():
        name = require(require(call, "function", dict), "name", str)
        yield Draft("assistant", "developer", "text", f"-{name}", canonical_json(call))


def _tool(rules: Rules, message: JsonObject) -> Iterator[Draft]:
    call_id = require(message, "tool_call_id", str)
    yield Draft("tool", "tool", "tool_result", f"-{call_id}", rules.text(message.get("content")))


def _text_seed(kind: str) -> Callable[[Rules, JsonObject], str]:
    return lambda rules, message: f"{kind}:{hash_text(rules.seed_text(message.get('content')))}"


def _assistant_seed(rules: Rules, message: JsonObject) -> str:
    content = message.get("content")
    return "assistant:no-content" if content is None else f"assistant:{hash_text(rules.seed_text(content))}"


# --- what a whole request gives ----------------------------------------------------------------------------------------


def _system_texts(rules: Rules, request: AnnotatedLlmRequest) -> str:
    texts = [rules.seed_text(m.get("content")) for m in request.messages if rules.rule(m).scaffold]
    joined = "\n".join(texts)
    return hash_text(joined) if joined else "no-system"


_FLOW = Rules(
    name="nemo-flow-0.2",
    key_prefix="nemo_flow:",
    messages={
        "system": MessageRule(True, _plain("system", "system"), _text_seed("system")),
        "user": MessageRule(False, _plain("user", "user"), _text_seed("user")),
        "assistant": MessageRule(False, _assistant, _assistant_seed),
        "tool": MessageRule(False, _tool, _text_seed("tool")),
    },
    block_parts={"text": _field("text"), "image_url": _nothing},
    seed_parts={"text": _field("text"), "image_url": _image_tag},
    keep_empty_parts=True,
    system_fingerprint=_system_texts,
)

RULES: Mapping[RulesName, Rules] = {rules.name: rules for rules in (_FLOW,)}


def get_rules(name: str) -> Rules:
    """Return a generation by its name.

    Raises
    ------
    UsageError
        If there is no generation of that name; the message lists those that there are.
    """
    for rules in RULES.values():
        if rules.name == name:
            return rules
    msg = f"The 'rules' setting must be one of {', '.join(map(repr, RULES))}; got {name!r}."
    raise UsageError(msg)
