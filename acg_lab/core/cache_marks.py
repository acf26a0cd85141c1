"""Where in a request body a planned breakpoint is marked (``acg_lab/docs/rules/planner.md``, 1 and 5).

Production counts blocks, not messages, so a mark may miss its message. This module keeps that behaviour.
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
    """The entry of a Messages body that a mark is for.

    Attributes
    ----------
    field : {"tools", "system", "messages"}
        Field of the body.
    index : int
        Index of the entry in that field, 0 for ``system``. An index beyond the list means that there is no mark.

    Examples
    --------
    >>> Target("tools", 2)
    Target(field='tools', index=2)
    """

    field: Field
    index: int


def surface_of(body: JsonObject) -> Surface | None:
    """Return the kind of a request body, judged by its keys; None for a body that production leaves alone.

    ``anthropic`` is the Messages API. As in production, a Messages body without ``system`` counts as ``chat``.

    Parameters
    ----------
    body : JSON object
        A request body; only its keys are looked at.

    Returns
    -------
    {"anthropic", "chat", "responses"} or None

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
    """Return the entry of a Messages body that the last of the first ``end`` blocks stands for, as production counts.

    Tools are counted by their blocks, messages by blocks of other roles than system. The message is therefore the right
    one only if every message makes one block.
    """
    blocks = ir.blocks[:end]
    if blocks[-1].content_type == "tool_schema":
        return Target("tools", sum(block.content_type == "tool_schema" for block in blocks) - 1)
    if blocks[-1].role == "system":
        return Target("system", 0)
    return Target("messages", sum(block.role != "system" for block in blocks) - 1)


def mark_paths(targets: Iterable[Target], body: JsonObject) -> tuple[str | None, ...]:
    """Return the JSON path of the object that takes each mark, in order; None for a mark that cannot be placed.

    Production first turns a text into a list of one part, so the path of its mark ends in ``[0]``. A message without
    usable content takes the mark itself.

    Parameters
    ----------
    targets : iterable of Target
        Targets of the segments of a plan.
    body : JSON object
        The Messages body that the planner sees. In `nemo-flow-0.2` a codec rewrites the body first; `body_of` returns
        the rewritten one.

    Returns
    -------
    tuple of str or None
        One for each target.

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
    """Return the index of the part that takes the mark, or None if there is none."""
    if isinstance(content, str):
        return 0
    return len(content) - 1 if isinstance(content, list | tuple) and content else None


def body_of(request: AnnotatedLlmRequest, *, rules: str) -> JsonObject:
    """Return the Messages body that a normalised request stands for, as far as marks need it.

    In `nemo-flow-0.2` this is the body that production writes if a call is made with a codec: the system messages
    become one text. Later versions leave the body alone; all recorded requests had the same messages and parts, in the
    same order, as their bodies.

    Returns
    -------
    JSON object
        ``system``, ``messages`` and ``tools``, as far as the request has them. Shares the request's values.

    Raises
    ------
    RecordError
        If production cannot read a message.
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
