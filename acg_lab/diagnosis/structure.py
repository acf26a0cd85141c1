"""What changes in a list of blocks though no text does: blocks missing, and blocks at other places.

Belongs here: tests by codes alone, so they hold for redacted exports too.


How two lists of tools differ.

Belongs here: tools as names and definitions. Names are parts of span ids; of definitions only the fields that every
provider has are named, never a text.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from acg_lab.diagnosis.block_history import BlockHistory, Request
from acg_lab.diagnosis.finding import Kind

__all__ = ["ToolChange", "compare_tools", "intruders", "is_growth", "is_missing", "is_shifted"]

_MOSTLY = 0.8
_NO_ACCIDENT = 64  # characters; a shorter content may well be said twice


def is_growth(change: BlockHistory) -> bool:
    """Whether there are requests without the block, and they merely end before it: a conversation that goes on.

    In place of what an assistant or a tool said there may stand a request's last message.
    """
    last = 1 if change.form.role in ("assistant", "tool") else 0
    end = _dominant_position(change) + last
    without = [r for r, at in zip(change.requests, change.places, strict=True) if at is None]
    return bool(without) and all(len(request.spans) <= end for request in without)


def is_missing(change: BlockHistory) -> bool:
    """Whether the block is left out of some requests, which go on without it, and is the same in the others."""
    others, following = _deviating(change), _following(change)
    left_out = sum(_is_left_out(change, request, following) for request in others)
    dominant = change.counts[change.by_count[0]]
    same = dominant + left_out >= change.threshold * (dominant + len(others))
    return left_out > 0 and same and left_out >= _MOSTLY * len(others)


def is_shifted(change: BlockHistory) -> bool:
    """Whether the dominant content stands elsewhere in most requests that do not have it here."""
    others, following = _deviating(change), _following(change)
    moved = sum(_is_elsewhere(change, request, following) for request in others)
    return moved > 0 and moved >= _MOSTLY * len(others)


def intruders(change: BlockHistory) -> list[tuple[int, int]]:
    """Return spans and contents, by code, of what comes before the dominant content where that stands later."""
    dominant = change.by_count[0]
    placed = [(r.contents.index(dominant), r) for r in change.requests if dominant in r.contents]
    first = min(place for place, _ in placed)
    found = ((r.spans[i], r.contents[i]) for place, r in placed for i in range(first, place))
    return list(dict.fromkeys(found))


def _dominant_position(change: BlockHistory) -> int:
    return change.places[change.codes.index(change.by_count[0])] or 0


def _deviating(change: BlockHistory) -> list[Request]:
    """Return the requests that reach the block's place but do not hold its dominant content there."""
    dominant, place = change.by_count[0], _dominant_position(change)
    pairs = zip(change.requests, change.codes, strict=True)
    return [request for request, code in pairs if code != dominant and len(request.spans) > place]


def _following(change: BlockHistory) -> set[int]:
    """Return the contents that stand right behind the dominant one."""
    dominant = change.by_count[0]
    at_usual = [(r, at) for r, c, at in zip(change.requests, change.codes, change.places, strict=True) if c == dominant]
    return {r.contents[at + 1] for r, at in at_usual if at is not None and at + 1 < len(r.contents)}


def _is_left_out(change: BlockHistory, request: Request, following: set[int]) -> bool:
    """Whether the dominant content is nowhere, and in its place stands what follows it, or a block of another name."""
    if change.by_count[0] in request.contents:
        return False
    absent = change.span not in request.spans and change.present > 1
    return absent or request.contents[_dominant_position(change)] in following


def _is_elsewhere(change: BlockHistory, request: Request, following: set[int]) -> bool:
    """Whether the dominant content is in a request by no accident: it is long, or what follows it follows here too."""
    dominant, contents = change.by_count[0], request.contents
    if dominant not in contents or len(change.text(dominant)) >= _NO_ACCIDENT:
        return dominant in contents
    return any(content == dominant and {*contents[i + 1 : i + 2]} <= following for i, content in enumerate(contents))


_FIELDS = ("type", "name", "description", "parameters", "strict")
_NESTED = "function"


class ToolChange(NamedTuple):
    """What became of a list of tools, and the names or fields that it concerns."""

    kind: Kind
    details: tuple[str, ...]


Tools = tuple[tuple[str, int], ...]


def compare_tools(change: BlockHistory) -> ToolChange | None:
    """Compare the oldest list of tools with the next other one; None where no list differs, or not at this block."""
    if change.form.content_type != "tool_schema":
        return None
    lists = list(dict.fromkeys(_named(change, listed) for listed in dict.fromkeys(change.tools)))
    if len(lists) < 2:  # noqa: PLR2004
        return None
    if len(set(map(_sorted, lists))) == 1:
        return ToolChange(Kind.TOOLS_REORDERED, (f"{len(lists)} orders of the same {len(lists[0])} tools",))
    return _compare(change, lists[0], lists[1])


def _compare(change: BlockHistory, old: Tools, new: Tools) -> ToolChange:
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


def _named(change: BlockHistory, listed: Sequence[tuple[int, int]]) -> Tools:
    """Return name and content of each tool; a tool's name is what its span id adds to role and number."""
    return tuple((change.source.span_pool[span].split("-", 2)[-1], content) for span, content in listed)


def _fields(change: BlockHistory, before: int, after: int) -> str:
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
