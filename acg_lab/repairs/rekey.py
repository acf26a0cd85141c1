"""What of an observation its learning key depends on (spec sections 3 and 8).

Belongs here: finding those blocks, and making of them a request that has the same key, as far as blocks tell.


Under which learning key mended requests go (spec sections 3 and 8).

Belongs here: what of a key can be known from a window. A key hashes texts as they were sent, a window holds them with
their white space normalised. So a key is computed by the core's rules from the blocks, part by part:

- a part (seed, system, tools, response format) whose texts a repair leaves alone is kept as it was;
- a part whose texts it changes is computed anew, taking texts as they are stored. It is exact if the same computation
  gives the old part of the old texts, which says that these were sent as they are stored;
- else the part stands in for one that can't be known: that of an untouched profile with the same texts if there is one
  (of the largest), else the computed one. So profiles whose mended blocks are equal become one all the same.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np

from acg_lab.core.codec import DECODE_ERRORS
from acg_lab.core.errors import RecordError
from acg_lab.core.keys import LearningKey, learning_key, parse_learning_key
from acg_lab.core.records import AnnotatedLlmRequest, Json, JsonObject
from acg_lab.repairs.block_table import Table

__all__ = ["KeyInputReader", "KeyInputs", "Keys", "RekeyedProfile", "new_keys"]


class KeyInputs(NamedTuple):
    """All of a request that its key may depend on, by content and form.

    That is the scaffold (system, tools, response format), whether there are tools, and the first other block; None
    where there is none, or where a scaffold leaves it out of the key.
    """

    contents: tuple[int, ...]
    forms: tuple[int, ...]
    has_tools: bool
    first: tuple[int, int] | None


class KeyInputReader:
    """The heads of all observations of a table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._rows = np.flatnonzero(table.is_scaffold)
        others = np.flatnonzero(~table.is_scaffold)
        self._firsts = others[np.flatnonzero(np.diff(table.owner[others], prepend=-1))]
        self._tools: dict[int, JsonObject] = {}

    @cached_property
    def _ends(self) -> list[int]:
        """Where the scaffold of each observation begins among the rows, and at last where the last one ends."""
        numbers = np.arange(len(self.table.source.headers) + 1)
        ends: list[int] = np.searchsorted(self.table.owner[self._rows], numbers).tolist()
        return ends

    @cached_property
    def _first_of(self) -> dict[int, int]:
        """The row of each observation's first message that is not system."""
        return dict(zip(self.table.owner[self._firsts].tolist(), self._firsts.tolist(), strict=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyInputReader) and all(
            np.array_equal(getattr(self.table, column)[rows], getattr(other.table, column)[others])
            for rows, others in ((self._rows, other._rows), (self._firsts, other._firsts))
            for column in ("owner", "contents", "forms")
        )

    __hash__ = None  # type: ignore[assignment]

    def listed(self, keys: Sequence[str], free: Collection[str]) -> list[KeyInputs]:
        """Return the head of each observation; the keys in ``free`` leave out the first message beside a scaffold."""
        contents, forms = (column[self._rows].tolist() for column in (self.table.contents, self.table.forms))
        headers, pool = self.table.source.headers.tolist(), self.table.source.header_pool
        listed = []
        for i, (key, a, b) in enumerate(zip(keys, self._ends, self._ends[1:], strict=False)):
            row = None if b > a and key in free else self._first_of.get(i)
            first = None if row is None else (int(self.table.contents[row]), int(self.table.forms[row]))
            has_tools = pool[headers[i]].tool_schema_hashes is not None
            listed.append(KeyInputs(tuple(contents[a:b]), tuple(forms[a:b]), has_tools, first))
        return listed

    def request(self, i: int, model: str) -> AnnotatedLlmRequest:
        """Return a request that has the head of an observation, texts as they are stored."""
        messages: list[JsonObject] = []
        tools: list[JsonObject] = []
        unknown: dict[str, Json] = {}
        rows = self._rows[self._ends[i] : self._ends[i + 1]].tolist()
        for row in [*rows, *([self._first_of[i]] if i in self._first_of else ())]:
            content, form = int(self.table.contents[row]), self.table.form_pool[self.table.forms[row]]
            text = self.table.content_pool[content]
            if form.content_type == "tool_schema":
                if content not in self._tools:
                    self._tools[content] = _tool(text)
                tools.append(self._tools[content])
            elif form.content_type == "structured_output":
                unknown["response_format"] = _parsed(text)
            elif (name := self.table.name(row)) == "-instructions":
                unknown["instructions"] = text
            else:
                messages.append(_message(form.role, form.provenance, name or "", text))
        has_tools = tools or self.table.source.header_pool[self.table.source.headers[i]].tool_schema_hashes is not None
        given = tuple(tools) if has_tools else None
        return AnnotatedLlmRequest(messages=tuple(messages), model=model, tools=given, unknown=unknown)


def _tool(text: str) -> JsonObject:
    parsed = _parsed(text)
    return parsed if isinstance(parsed, dict) else {"text": text}


def _parsed(text: str) -> Json:
    try:
        return msgspec.json.decode(text)
    except DECODE_ERRORS:
        return text


def _message(role: str, provenance: str, name: str, text: str) -> JsonObject:
    if role == "assistant" and name:
        return {"role": role}  # a tool call: its message has no text
    if role == "tool":
        return {"role": role, "content": text, "tool_call_id": name}
    return {"role": "developer" if (role, provenance) == ("system", "developer") else role, "content": text}


_PARTS = ("seed", "system", "tools", "response_format")


class RekeyedProfile(NamedTuple):
    """Whose a learning key is, and the generation of the rules that made it."""

    agent_id: str
    rules: str


class Keys(NamedTuple):
    """The learning key of each observation, and which of the keys stand in for one that can't be known."""

    of_observation: Sequence[str]
    stand_ins: frozenset[str]


_Place: TypeAlias = tuple[str, KeyInputs, KeyInputs]


class _KeyChange(NamedTuple):
    """A key as it was, the parts of the new one, and which of those can't be known."""

    old: LearningKey
    parts: Mapping[str, str | None]
    unknown: Sequence[str]


def new_keys(before: Table, after: Table, keys: Sequence[str], profile_of: Callable[[str], RekeyedProfile]) -> Keys:
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
    tables = KeyInputReader(before), KeyInputReader(after)
    if tables[0] == tables[1]:
        return Keys(keys, frozenset())
    stored = {key: parse_learning_key(key, agent_id=profile_of(key).agent_id) for key in set(keys)}
    free = {key for key, parsed in stored.items() if parsed and parsed.seed == "stable-scaffold"}
    heads = [of_table.listed(keys, free) for of_table in tables]
    places: list[_Place] = list(zip(keys, *heads, strict=True))
    first = {place: i for i, place in reversed(list(enumerate(places)))}
    maker = _Maker(tables, stored, profile_of)
    changes = {place: maker.change(place, i) for place, i in first.items() if place[1] != place[2]}
    untouched = {place[0]: i for place, i in first.items() if place[1] == place[2]}
    sizes = Counter(keys)
    largest_first = sorted(untouched.items(), key=lambda item: (-sizes[item[0]], item[0]))
    printed, stand_ins = _printed(changes, lambda: maker.parts(largest_first))
    return Keys([printed.get(place, place[0]) for place in places], stand_ins)


class _Maker:
    """Makes keys of the heads of observations, before and after an edit."""

    def __init__(
        self,
        heads: tuple[KeyInputReader, KeyInputReader],
        stored: Mapping[str, LearningKey | None],
        profile_of: Callable[[str], RekeyedProfile],
    ) -> None:
        self._before, self._after = heads
        self._stored = stored
        self._profile_of = profile_of
        self._made: dict[tuple[str, KeyInputs], LearningKey | None] = {}

    def change(self, place: _Place, i: int) -> _KeyChange | None:
        """Return what becomes of the key of an observation; None if no key can be made of it."""
        key, old_head, _ = place
        if (key, old_head) not in self._made:
            self._made[key, old_head] = self._computed(self._before, key, i)
        stored, old, new = self._stored[key], self._made[key, old_head], self._computed(self._after, key, i)
        if stored is None or old is None or new is None:
            return None
        changed = [part for part in _PARTS if getattr(old, part) != getattr(new, part)]
        parts = {part: getattr(new, part) for part in changed}
        return _KeyChange(stored, parts, [part for part in changed if getattr(old, part) != getattr(stored, part)])

    def parts(self, known: Iterable[tuple[str, int]]) -> dict[tuple[str, str, str | None], str | None]:
        """Return the parts of stored keys by agent, part, and what is computed in its place; the first of several."""
        found: dict[tuple[str, str, str | None], str | None] = {}
        for key, i in known:
            stored, computed = self._stored[key], self._computed(self._before, key, i)
            if stored and computed:
                for part in _PARTS:
                    found.setdefault((stored.agent_id, part, getattr(computed, part)), getattr(stored, part))
        return found

    def _computed(self, heads: KeyInputReader, key: str, i: int) -> LearningKey | None:
        agent_id, rules = self._profile_of(key)
        stored = self._stored[key]
        with suppress(RecordError):
            made = learning_key(agent_id, heads.request(i, stored.model if stored else ""), rules=rules)
            return parse_learning_key(made, agent_id=agent_id)
        return None


def _printed(
    changes: Mapping[_Place, _KeyChange | None],
    known: Callable[[], Mapping[tuple[str, str, str | None], str | None]],
) -> tuple[dict[_Place, str], frozenset[str]]:
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
