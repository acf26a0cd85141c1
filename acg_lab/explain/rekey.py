"""Under which learning key mended requests go (spec sections 3 and 8).

Belongs here: what of a key can be known from a window. A key hashes texts as they were sent, a window holds them with
their white space normalised. So a key is computed by the core's rules from the blocks, part by part:

- a part (seed, system, tools, response format) whose texts a repair leaves alone is kept as it was;
- a part whose texts it changes is computed anew, taking texts as they are stored. It is exact if the same computation
  gives the old part of the old texts, which says that these were sent as they are stored;
- else the part stands in for one that can't be known: that of an untouched profile with the same texts if there is one
  (of the largest), else the computed one. So profiles whose mended blocks are equal become one all the same.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import msgspec
import numpy as np

from acg_lab.core.errors import RecordError
from acg_lab.core.keys import LearningKey, learning_key, parse_learning_key
from acg_lab.core.records import AnnotatedLlmRequest, Json, JsonObject
from acg_lab.explain.table import Rows, Table, name_of

__all__ = ["Keys", "Profile", "new_keys"]

_PARTS = ("seed", "system", "tools", "response_format")


class Profile(NamedTuple):
    """Whose a learning key is, and the generation of the rules that made it."""

    agent_id: str
    rules: str


class Keys(NamedTuple):
    """The learning key of each observation, and which of the keys stand in for one that can't be known."""

    of_observation: Sequence[str]
    stand_ins: frozenset[str]


class _Head(NamedTuple):
    """All of a request that its key may depend on: system, tools, response format, and the first other block."""

    contents: tuple[int, ...]
    forms: tuple[int, ...]
    names: tuple[str, ...]
    has_tools: bool


class _Change(NamedTuple):
    """A key as it was, the parts of the new one, and which of those can't be known."""

    old: LearningKey
    parts: Mapping[str, str | None]
    unknown: Sequence[str]


def new_keys(before: Table, after: Table, keys: Sequence[str], profile_of: Callable[[str], Profile]) -> Keys:
    """Return the learning key of every observation after an edit.

    Parameters
    ----------
    before, after : Table
        Of the same observations.
    keys : sequence of str
        Of each observation, before.
    profile_of : callable
        Says whose a key is.
    """
    rows = _head_rows(before), _head_rows(after)
    if _is_same(before, rows[0], after, rows[1]):
        return Keys(keys, frozenset())
    heads = [_heads(table, of_table, len(keys)) for table, of_table in zip((before, after), rows, strict=True)]
    memo: dict[tuple[str, _Head, _Head], _Change | None] = {}
    for key, old, new in zip(keys, *heads, strict=True):
        if old != new and (key, old, new) not in memo:
            memo[key, old, new] = _change(before, after, (key, old, new), profile_of(key))
    whole = {key: head for key, head, new in zip(keys, *heads, strict=True) if head == new}
    known = partial(_untouched, before, whole, Counter(keys), profile_of)
    printed, stand_ins = _printed(memo, known)
    return Keys([printed.get(change, change[0]) for change in zip(keys, *heads, strict=True)], stand_ins)


def _head_rows(table: Table) -> Rows:
    """Return the rows that keys may depend on."""
    other = ~(table.are(role=("system",)) | table.are(content_type=("tool_schema", "structured_output")))
    others = np.flatnonzero(other)
    later = others[1:][table.owner[others[1:]] == table.owner[others[:-1]]]
    other[later] = False
    other |= ~np.isin(np.arange(len(other)), others)
    return np.flatnonzero(other)


def _is_same(before: Table, old: Rows, after: Table, new: Rows) -> bool:
    return all(
        np.array_equal(getattr(before, column)[old], getattr(after, column)[new])
        for column in ("owner", "contents", "forms")
    )


def _heads(table: Table, rows: Rows, n: int) -> list[_Head]:
    ends = np.searchsorted(table.owner[rows], np.arange(n + 1)).tolist()
    contents, forms, listed = table.contents[rows].tolist(), table.forms[rows].tolist(), rows.tolist()
    names = [_name(table, row) for row in listed]
    headers, pool = table.source.headers.tolist(), table.source.header_pool
    return [
        _Head(tuple(contents[a:b]), tuple(forms[a:b]), tuple(names[a:b]), pool[header].tool_schema_hashes is not None)
        for a, b, header in zip(ends, ends[1:], headers, strict=False)
    ]


def _name(table: Table, row: int) -> str:
    role = table.form_pool[table.forms[row]].role
    return name_of(table.span_pool[table.spans[row]], role, int(table.indexes[row])) or ""


def _change(before: Table, after: Table, change: tuple[str, _Head, _Head], profile: Profile) -> _Change | None:
    key, old_head, new_head = change
    stored = parse_learning_key(key, agent_id=profile.agent_id)
    if stored is None:
        return None
    old = _computed(before, old_head, stored, profile.rules)
    new = _computed(after, new_head, stored, profile.rules)
    if old is None or new is None:
        return None
    changed = [part for part in _PARTS if getattr(old, part) != getattr(new, part)]
    parts = {part: getattr(new, part) for part in changed}
    return _Change(stored, parts, [part for part in changed if getattr(old, part) != getattr(stored, part)])


def _computed(table: Table, head: _Head, key: LearningKey, rules: str) -> LearningKey | None:
    """Compute the key of a request that was sent as its blocks say; None if there can be no such request."""
    with suppress(RecordError):
        made = learning_key(key.agent_id, _request(table, head, key.model), rules=rules)
        return parse_learning_key(made, agent_id=key.agent_id)
    return None


def _request(table: Table, head: _Head, model: str) -> AnnotatedLlmRequest:
    messages: list[JsonObject] = []
    tools: list[JsonObject] = []
    unknown: dict[str, Json] = {}
    for content, code, name in zip(head.contents, head.forms, head.names, strict=True):
        text, form = table.content_pool[content], table.form_pool[code]
        if form.content_type == "tool_schema":
            tools.append(_parsed(text) if isinstance(_parsed(text), dict) else {"text": text})
        elif form.content_type == "structured_output":
            unknown["response_format"] = _parsed(text)
        elif name == "-instructions":
            unknown["instructions"] = text
        else:
            messages.append(_message(form.role, form.provenance, name, text))
    given = tuple(tools) if tools or head.has_tools else None
    return AnnotatedLlmRequest(messages=tuple(messages), model=model, tools=given, unknown=unknown)


def _parsed(text: str) -> Json:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def _message(role: str, provenance: str, name: str, text: str) -> JsonObject:
    if role == "assistant" and name:
        return {"role": role}  # a tool call: its message has no text
    if role == "tool":
        return {"role": role, "content": text, "tool_call_id": name}
    return {"role": "developer" if (role, provenance) == ("system", "developer") else role, "content": text}


def _untouched(
    before: Table, heads: Mapping[str, _Head], sizes: Counter[str], profile_of: Callable[[str], Profile]
) -> dict[tuple[str, str, str | None], str | None]:
    """Return the parts of keys that a repair left alone, by agent, part, and what is computed for it."""
    found: dict[tuple[str, str, str | None], str | None] = {}
    for key in sorted(heads, key=lambda key: (-sizes[key], key)):
        profile = profile_of(key)
        stored = parse_learning_key(key, agent_id=profile.agent_id)
        computed = stored and _computed(before, heads[key], stored, profile.rules)
        if stored and computed:
            for part in _PARTS:
                found.setdefault((profile.agent_id, part, getattr(computed, part)), getattr(stored, part))
    return found


def _printed(
    changes: Mapping[tuple[str, _Head, _Head], _Change | None],
    known: Callable[[], Mapping[tuple[str, str, str | None], str | None]],
) -> tuple[dict[tuple[str, _Head, _Head], str], frozenset[str]]:
    """Return the new key of each change, and which of them stand in for another."""
    lookup = known() if any(change and change.unknown for change in changes.values()) else {}
    printed, stand_ins = {}, set()
    for place, change in changes.items():
        if change is None:
            printed[place] = place[0]
            stand_ins.add(place[0])
            continue
        agent_id = change.old.agent_id
        found = {part: lookup.get((agent_id, part, change.parts[part]), change.parts[part]) for part in change.unknown}
        printed[place] = _print(change.old, {**change.parts, **found})
        if change.unknown:
            stand_ins.add(printed[place])
    return printed, frozenset(stand_ins)


def _print(old: LearningKey, parts: Mapping[str, str | None]) -> str:
    """Print a key with other parts."""
    texts = [f"{part}={text}" for part in _PARTS if (text := parts.get(part, getattr(old, part))) is not None]
    return "::".join((old.agent_id, f"model={old.model}", *texts))
