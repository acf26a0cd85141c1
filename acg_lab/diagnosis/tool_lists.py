"""Compare the lists of tools of all requests: tools that join, leave, change place, or are defined otherwise.

Each list is compared with the commonest one, and each tool by name and definition; of a definition only the fields that
every provider has are named, and no text. What most requests show names the change.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

from acg_lab.diagnosis.block_history import BlockHistory, find_moment
from acg_lab.diagnosis.finding import Kind
from acg_lab.diagnosis.mended_history import MendedTools
from acg_lab.repairs.permutations import sort_arrays

__all__ = ["ToolChange", "compare_tools", "separate_tools"]

_HALF = 0.5
_MAX_EDITED = 64  # tools with several definitions; more of them are written by a program
_FIELDS = ("type", "name", "description", "parameters", "strict")
_NESTED = "function"
Tools: TypeAlias = tuple[tuple[str, int], ...]


class ToolChange(NamedTuple):
    """How a list of tools changed, and the names or fields concerned."""

    kind: Kind
    details: tuple[str, ...]


def compare_tools(block: BlockHistory) -> ToolChange | None:
    """Compare the lists of tools of all requests; None if the block is no tool or no list differs."""
    if block.form.content_type != "tool_schema":
        return None
    named = {listed: _name_tools(block, listed) for listed in set(block.tools)}
    lists = [named[listed] for listed in block.tools]
    counts = Counter(lists)
    if len(counts) < 2:  # noqa: PLR2004
        return None
    if len({tuple(sorted(tools)) for tools in counts}) == 1:
        return ToolChange(Kind.TOOLS_REORDERED, (f"{len(counts)} orders of the same {len(lists[0])} tools",))
    base = max(counts, key=lambda tools: (counts[tools], len(tools), tools))
    members, edited, reordered = (
        sum(counts[tools] for tools in counts if differ(base, tools))
        for differ in (_have_other_names, _have_other_definitions, _have_another_order)
    )
    if members >= max(edited, reordered):
        return _describe_members(lists, ("also edited",) * (edited > 0) + ("also reordered",) * (reordered > 0))
    if edited >= reordered:
        return _describe_edits(block, lists, ("also reordered",) * (reordered > 0))
    return ToolChange(Kind.TOOLS_REORDERED, ("also edited",) * (edited > 0) + ("also other tools",) * (members > 0))


def separate_tools(block: BlockHistory) -> list[MendedTools]:
    """Return the lists of tools as they would differ in one respect only: in tools, order or definitions.

    Each tool is then named as it was first, defined as it was first, or stands with those that all lists have.
    """
    if block.form.content_type != "tool_schema":
        return []
    named = {listed: _name_tools(block, listed) for listed in set(block.tools)}
    spans: dict[str, int] = {}
    texts: dict[str, int] = {}
    definitions: dict[str, set[int]] = {}
    for listed in block.tools:
        for (span, content), (name, _) in zip(listed, named[listed], strict=True):
            spans.setdefault(name, span)
            texts.setdefault(name, content)
            definitions.setdefault(name, set()).add(content)
    common = set.intersection(*(set(dict(tools)) for tools in named.values()))
    edited = sorted(name for name, contents in definitions.items() if len(contents) > 1)[:_MAX_EDITED]

    def views(tools: Tools) -> Iterator[tuple[tuple[int, int], ...]]:
        names, own = [name for name, _ in tools], dict(tools)
        yield tuple((spans[name], texts[name]) for name in sorted(names))
        yield tuple((spans[name], texts[name]) for name in names if name in common)
        yield tuple((spans[name], own.get(name, texts[name])) for name in edited)

    found = {listed: tuple(views(tools)) for listed, tools in named.items()}
    respects = [[found[listed][number] for listed in block.tools] for number in range(3)]
    return [
        MendedTools(block.source, block.rows, block.span, block.threshold, block, lists)
        for lists in respects
        if len({*lists}) > 1
    ]


def _name_tools(block: BlockHistory, listed: Sequence[tuple[int, int]]) -> Tools:
    """Return name and content of each tool; the name is what follows role and number in its span id."""
    return tuple((block.source.span_pool[span].split("-", 2)[-1], content) for span, content in listed)


def _have_other_names(base: Tools, tools: Tools) -> bool:
    return Counter(name for name, _ in base) != Counter(name for name, _ in tools)


def _have_other_definitions(base: Tools, tools: Tools) -> bool:
    known = dict(base)
    return any(known.get(name, content) != content for name, content in tools)


def _have_another_order(base: Tools, tools: Tools) -> bool:
    both = {name for name, _ in base} & {name for name, _ in tools}
    return [name for name, _ in base if name in both] != [name for name, _ in tools if name in both]


# --- tools that join and leave ---


def _describe_members(lists: Sequence[Tools], also: tuple[str, ...]) -> ToolChange:
    """Describe which tools join for good, which leave for good, and which come and go."""
    seen: dict[str, dict[int, int]] = {}  # by name, in the order in which they are first seen
    for request, tools in enumerate(lists):
        for name, _ in tools:
            seen.setdefault(name, {}).setdefault(request, 0)
            seen[name][request] += 1
    changing = {name: runs for name, of_name in seen.items() if len(runs := _find_runs(of_name, len(lists))) > 1}
    moved = {name: _find_direction(runs, len(lists)) for name, runs in changing.items()}
    removed = tuple(f"-{name}" for name, direction in moved.items() if direction < 0)
    added = tuple(f"+{name}" for name, direction in moved.items() if direction > 0)
    at_times = {name: len(seen[name]) for name, direction in moved.items() if not direction}
    recurring = tuple(f"{name} in {n:,} of {len(lists):,} requests" for name, n in at_times.items())
    is_replaced = len({*map(len, lists)}) == 1
    mostly_there = is_replaced or sum(at_times.values()) >= _HALF * len(at_times) * len(lists)
    is_loss = bool(removed) or (bool(recurring) and not added and mostly_there)
    return ToolChange(Kind.TOOLS_REMOVED if is_loss else Kind.TOOLS_ADDED, (*removed, *added, *recurring, *also))


def _find_runs(counts: Mapping[int, int], n: int) -> list[tuple[int, int]]:
    """Return where each run of requests with equally many tools of a name begins, and how many these are.

    Only requests that have the tool are looked at: there may be as many names as requests.
    """
    runs: list[tuple[int, int]] = []
    end = 0
    for request, count in counts.items():
        if request > end:
            runs.append((end, 0))
        if not runs or request > end or runs[-1][1] != count:
            runs.append((request, count))
        end = request + 1
    return [*runs, (end, 0)] if end < n else runs


def _find_direction(runs: Sequence[tuple[int, int]], n: int) -> int:
    """Return 1 if a tool joins for good, -1 if it leaves for good, 0 if it comes and goes."""
    moment = runs[1][0] if len(runs) == 2 else find_moment(runs, n)  # noqa: PLR2004
    return next((1 if new > old else -1 for (_, old), (at, new) in pairwise(runs) if at == moment), 0)


# --- tools that are defined otherwise ---


def _describe_edits(block: BlockHistory, lists: Sequence[Tools], also: tuple[str, ...]) -> ToolChange:
    """Describe which tools have several definitions, and in which fields these differ."""
    definitions: dict[str, dict[int, None]] = {}
    for tools in lists:
        for name, content in tools:
            definitions.setdefault(name, {})[content] = None
    edited = {name: [block.text(code) for code in codes] for name, codes in definitions.items() if len(codes) > 1}
    details = tuple(f"{name}: {_name_changed_fields(texts)}" for name, texts in edited.items())
    if block.readable and all(len({*map(sort_arrays, texts)}) == 1 for texts in edited.values()):
        return ToolChange(Kind.REORDERED, (*details, *also))
    # Of pseudonyms an edit and another order of a list look alike.
    kind = Kind.REDACTED if block.source.is_redacted else Kind.TOOLS_EDITED
    return ToolChange(kind, (*details, *also))


def _name_changed_fields(texts: Sequence[str]) -> str:
    """Return the names of the fields in which definitions differ, as far as they can be read."""
    first, *others = map(_definition, texts)
    named = [field for field in _FIELDS if any(first.get(field) != other.get(field) for other in others)]
    keys = {key for other in others for key in {*first, *other}} - {*_FIELDS, _NESTED}
    rest = any(first.get(key) != other.get(key) for key in keys for other in others)
    return ", ".join([*named, *(["other fields"] if rest else [])]) or "definition"


def _definition(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(value, dict):
        return {}
    inner = value.get(_NESTED)
    return {**value, **inner} if isinstance(inner, dict) else value
