"""Where a planned breakpoint stands in a request's body (spec planner.md, sections 1 and 5).

Belongs here: what kind of body it is, which of its fields a block answers to, and the JSON path of the mark. Production
counts blocks, not messages, so a mark may miss its message; that is kept.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from acg_lab.core.messages import block_text, message_rule
from acg_lab.core.records import AnnotatedLlmRequest, Json, JsonObject, PromptIR
from acg_lab.core.rules import get_rules

__all__ = ["Field", "Surface", "Target", "body_of", "mark_paths", "surface_of", "target_of"]

Field: TypeAlias = Literal["tools", "system", "messages"]
Surface: TypeAlias = Literal["anthropic", "chat", "responses"]


class Target(Struct, frozen=True):
    """What of a Messages body a mark is for.

    Attributes
    ----------
    field : {"tools", "system", "messages"}
        Of the body.
    index : int
        Of the entry in that field, 0 for ``system``. It may lie beyond the list, and then there is no mark.
    """

    field: Field
    index: int


def surface_of(body: JsonObject) -> Surface | None:
    """Tell what kind of body this is, by which keys it has; None for one that is left alone.

    ``anthropic`` is the Messages API. A Messages body without ``system`` is taken for ``chat``, as production does.

    Examples
    --------
    >>> surface_of({"messages": [], "system": ""}), surface_of({"messages": []})
    ('anthropic', 'chat')
    """
    if "input" in body or "instructions" in body:
        return "responses"
    if "system" in body:
        return "anthropic"
    return "chat" if "messages" in body else None


def target_of(ir: PromptIR, end: int) -> Target:
    """Return what of a Messages body the last of the first ``end`` blocks answers to, as production counts.

    Tools are counted by tool schema blocks, messages by blocks that are not of role system. So the right message is
    met only where each makes one block.
    """
    blocks = ir.blocks[:end]
    if blocks[-1].content_type == "tool_schema":
        return Target("tools", sum(block.content_type == "tool_schema" for block in blocks) - 1)
    if blocks[-1].role == "system":
        return Target("system", 0)
    return Target("messages", sum(block.role != "system" for block in blocks) - 1)


def mark_paths(targets: Iterable[Target], body: JsonObject) -> tuple[str | None, ...]:
    """Return the JSON path of the object that takes each mark, in order; None for a mark that goes nowhere.

    A text becomes a list of one part first, so its mark stands at ``[0]`` of a list that was not there. A message
    without usable content takes the mark itself.

    Parameters
    ----------
    targets : iterable of Target
        Of the segments of a plan.
    body : JSON object
        The Messages body as the planner meets it. In generation 0.2 a call made with a codec was written anew before;
        `body_of` gives that one.

    Examples
    --------
    >>> mark_paths([Target("system", 0), Target("tools", 1)], {"system": "s", "tools": [{}, {}], "messages": []})
    ('$.system[0]', '$.tools[1]')
    """
    return tuple(_path(target, body) for target in targets)


def _path(target: Target, body: JsonObject) -> str | None:
    value = body.get(target.field)
    if target.field == "system":
        return None if (last := _last_part(value)) is None else f"$.system[{last}]"
    if not isinstance(value, list | tuple) or target.index >= len(value):
        return None
    path = f"$.{target.field}[{target.index}]"
    last = _last_part(value[target.index].get("content")) if target.field == "messages" else None
    return path if last is None else f"{path}.content[{last}]"


def _last_part(content: Json) -> int | None:
    """Return the index of the part that takes the mark; None where there is none."""
    if isinstance(content, str):
        return 0
    return len(content) - 1 if isinstance(content, list | tuple) and content else None


def body_of(request: AnnotatedLlmRequest, *, rules: str) -> JsonObject:
    """Return the Messages body that a normalised request stands for, as far as marks ask for it.

    Generation 0.2 itself writes this body when a call is made with a codec: the system messages become one text. Later
    ones leave the body alone; what they normalised was seen to have the same messages and parts in the same order.

    Returns
    -------
    JSON object
        With ``system``, ``messages`` and ``tools``, as far as the request has them. Shares the request's values.

    Raises
    ------
    RecordError
        If a message is of a shape that production can't read.
    """
    table = get_rules(rules)
    messages: list[JsonObject] = []
    system: list[str] = []
    for message in request.messages:
        if table.rewrites_body and message_rule(table, message).scaffold:
            system.append(block_text(table, message.get("content")))
        else:
            messages.append(_as_given(message))
    body: dict[str, Any] = {"messages": messages}
    if request.tools is not None:
        body["tools"] = request.tools
    if system:
        body["system"] = "\n".join(system)
    elif "instructions" in request.unknown:
        body["system"] = request.unknown["instructions"]
    return body


def _as_given(message: JsonObject) -> JsonObject:
    value = message.get("value") if message.get("role") == "provider_native" else None
    return value if isinstance(value, Mapping) else message
