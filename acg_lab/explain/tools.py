"""How two lists of tools differ.

Belongs here: tools as names and definitions. Names are parts of span ids; of definitions only the fields that every
provider has are named, never a text.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from acg_lab.explain.change import Change
from acg_lab.explain.finding import Kind

__all__ = ["ToolChange", "compare_tools"]

_FIELDS = ("type", "name", "description", "parameters", "strict")
_NESTED = "function"


class ToolChange(NamedTuple):
    """What became of a list of tools, and the names or fields that it concerns."""

    kind: Kind
    details: tuple[str, ...]


Tools = tuple[tuple[str, int], ...]


def compare_tools(change: Change) -> ToolChange | None:
    """Compare the oldest list of tools with the next other one; None where no list differs, or not at this block."""
    if change.form.content_type != "tool_schema":
        return None
    lists = list(dict.fromkeys(_named(change, listed) for listed in dict.fromkeys(change.tools)))
    if len(lists) < 2:  # noqa: PLR2004
        return None
    if len(set(map(_sorted, lists))) == 1:
        return ToolChange(Kind.TOOLS_REORDERED, (f"{len(lists)} orders of the same {len(lists[0])} tools",))
    return _compare(change, lists[0], lists[1])


def _compare(change: Change, old: Tools, new: Tools) -> ToolChange:
    names, new_names = Counter(name for name, _ in old), Counter(name for name, _ in new)
    gone, added = names - new_names, new_names - names
    if gone or added:
        kind = Kind.TOOLS_REMOVED if gone else Kind.TOOLS_ADDED
        return ToolChange(kind, (*_signed("-", gone), *_signed("+", added)))
    before = dict(old)
    edited = [(name, before[name], code) for name, code in new if before[name] != code]
    if not edited:
        return ToolChange(Kind.TOOLS_REORDERED, ())
    return ToolChange(Kind.TOOLS_EDITED, tuple(f"{name}: {_fields(change, a, b)}" for name, a, b in edited))


def _signed(sign: str, names: Counter[str]) -> tuple[str, ...]:
    return tuple(f"{sign}{name}" for name in names)


def _sorted(tools: Tools) -> Tools:
    return tuple(sorted(tools))


def _named(change: Change, listed: Sequence[tuple[int, int]]) -> Tools:
    """Return name and content of each tool; a tool's name is what its span id adds to role and number."""
    return tuple((change.source.span_pool[span].split("-", 2)[-1], content) for span, content in listed)


def _fields(change: Change, before: int, after: int) -> str:
    """Name the fields of a definition that differ, as far as they can be read."""
    old, new = _definition(change.text(before)), _definition(change.text(after))
    named = [field for field in _FIELDS if old.get(field) != new.get(field)]
    others = {key for key in {*old, *new} - {*_FIELDS, _NESTED} if old.get(key) != new.get(key)}
    return ", ".join([*named, *(["other fields"] if others else [])]) or "definition"


def _definition(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(value, dict):
        return {}
    inner = value.get(_NESTED)
    return {**value, **inner} if isinstance(inner, dict) else value
