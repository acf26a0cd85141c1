"""Compute the learning keys of repaired requests (acg_lab/docs/rules/learner.md, sections 3 and 8.3).

A key hashes texts as they were sent, but a window holds them with their white space normalised. So a key is computed by
the core's rules from the blocks, part by part:

- a part (seed, system, tools, response format) whose texts the repair leaves alone stays as it is;
- a part whose texts the repair changes is computed from the stored texts. It is exact if the same computation on the
  old texts returns the old part, which shows that they were sent as they are stored;
- otherwise the part stands in for one that cannot be determined: that of the largest untouched profile with the same
  texts if there is one, else the computed one.

Invariant: profiles whose repaired blocks are equal get equal keys.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np

from acg_lab.core.errors import RecordError
from acg_lab.core.keys import LearningKey, learning_key, parse_learning_key
from acg_lab.core.records import AnnotatedLlmRequest, Json, JsonObject
from acg_lab.core.strict_json import DECODE_ERRORS
from acg_lab.repairs.block_table import BlockTable

__all__ = ["NewKeys", "RekeyedProfile", "compute_keys"]


class _KeyInputs(NamedTuple):
    """Everything of a request that its key may depend on, as codes of contents and forms.

    ``contents`` and ``forms`` are those of the scaffold (system, tools, response format). ``first`` is the first other
    block, None if there is none or if the key does not depend on it beside a scaffold.
    """

    contents: tuple[int, ...]
    forms: tuple[int, ...]
    has_tools: bool
    first: tuple[int, int] | None


class _KeyInputReader:
    """Reads the key inputs of the observations of a table."""

    def __init__(self, table: BlockTable) -> None:
        self.table = table
        self._rows = np.flatnonzero(table.is_scaffold)
        others = np.flatnonzero(~table.is_scaffold)
        self._firsts = others[np.flatnonzero(np.diff(table.owner[others], prepend=-1))]
        self._tools: dict[int, JsonObject] = {}

    @cached_property
    def _ends(self) -> list[int]:
        """Where the scaffold of each observation begins among the scaffold rows; the last number is their count."""
        numbers = np.arange(len(self.table.source.headers) + 1)
        ends: list[int] = np.searchsorted(self.table.owner[self._rows], numbers).tolist()
        return ends

    @cached_property
    def _first_of(self) -> dict[int, int]:
        """The row of each observation's first block outside the scaffold."""
        return dict(zip(self.table.owner[self._firsts].tolist(), self._firsts.tolist(), strict=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _KeyInputReader) and all(
            np.array_equal(getattr(self.table, column)[rows], getattr(other.table, column)[others])
            for rows, others in ((self._rows, other._rows), (self._firsts, other._firsts))
            for column in ("owner", "contents", "forms")
        )

    __hash__ = None  # type: ignore[assignment]

    def read_all(self, keys: Sequence[str], free: Collection[str]) -> list[_KeyInputs]:
        """Return the key inputs of each observation; keys in ``free`` ignore the first message beside a scaffold."""
        contents, forms = (column[self._rows].tolist() for column in (self.table.contents, self.table.forms))
        headers, pool = self.table.source.headers.tolist(), self.table.source.header_pool
        inputs = []
        for i, (key, a, b) in enumerate(zip(keys, self._ends, self._ends[1:], strict=False)):
            row = None if b > a and key in free else self._first_of.get(i)
            first = None if row is None else (int(self.table.contents[row]), int(self.table.forms[row]))
            has_tools = pool[headers[i]].tool_schema_hashes is not None
            inputs.append(_KeyInputs(tuple(contents[a:b]), tuple(forms[a:b]), has_tools, first))
        return inputs

    def request(self, i: int, model: str) -> AnnotatedLlmRequest:
        """Return a request with the key inputs of an observation, texts as they are stored."""
        messages: list[JsonObject] = []
        tools: list[JsonObject] = []
        unknown: dict[str, Json] = {}
        rows = self._rows[self._ends[i] : self._ends[i + 1]].tolist()
        for row in [*rows, *([self._first_of[i]] if i in self._first_of else ())]:
            content, form = int(self.table.contents[row]), self.table.form_pool[self.table.forms[row]]
            text = self.table.content_pool[content]
            if form.content_type == "tool_schema":
                if content not in self._tools:
                    self._tools[content] = _parse_tool(text)
                tools.append(self._tools[content])
            elif form.content_type == "structured_output":
                unknown["response_format"] = _parse_json(text)
            elif (name := self.table.block_name(row)) == "-instructions":
                unknown["instructions"] = text
            else:
                messages.append(_build_message(form.role, form.provenance, name or "", text))
        has_tools = tools or self.table.source.header_pool[self.table.source.headers[i]].tool_schema_hashes is not None
        listed = tuple(tools) if has_tools else None
        return AnnotatedLlmRequest(messages=tuple(messages), model=model, tools=listed, unknown=unknown)


def _parse_tool(text: str) -> JsonObject:
    parsed = _parse_json(text)
    return parsed if isinstance(parsed, dict) else {"text": text}


def _parse_json(text: str) -> Json:
    try:
        return msgspec.json.decode(text)
    except DECODE_ERRORS:
        return text


def _build_message(role: str, provenance: str, name: str, text: str) -> JsonObject:
    if role == "assistant" and name:
        return {"role": role}  # a tool call: its message has no text
    if role == "tool":
        return {"role": role, "content": text, "tool_call_id": name}
    return {"role": "developer" if (role, provenance) == ("system", "developer") else role, "content": text}


_PARTS = ("seed", "system", "tools", "response_format")


class RekeyedProfile(NamedTuple):
    """The agent of a learning key, and the rules version that made the key."""

    agent_id: str
    rules: str


class NewKeys(NamedTuple):
    """The learning key of each observation, and which keys stand in for one that cannot be determined."""

    of_observation: Sequence[str]
    stand_ins: frozenset[str]


_Rekeying: TypeAlias = tuple[str, _KeyInputs, _KeyInputs]  # old key, inputs before and after


class _KeyChange(NamedTuple):
    """The old key, the parts that change, and which of those cannot be determined."""

    old: LearningKey
    parts: Mapping[str, str | None]
    unknown: Sequence[str]


def compute_keys(
    before: BlockTable, after: BlockTable, keys: Sequence[str], profile_of: Callable[[str], RekeyedProfile]
) -> NewKeys:
    """Return the learning key of each observation after an edit.

    Parameters
    ----------
    before, after : BlockTable
        The same observations before and after the edit.
    keys : sequence of str
        The key of each observation before the edit.
    profile_of : callable
        Returns the profile of a key.
    """
    readers = _KeyInputReader(before), _KeyInputReader(after)
    if readers[0] == readers[1]:
        return NewKeys(keys, frozenset())
    stored = {key: parse_learning_key(key, agent_id=profile_of(key).agent_id) for key in set(keys)}
    free = {key for key, parsed in stored.items() if parsed and parsed.seed == "stable-scaffold"}
    inputs = [reader.read_all(keys, free) for reader in readers]
    rekeyings: list[_Rekeying] = list(zip(keys, *inputs, strict=True))
    first = {rekeying: i for i, rekeying in reversed(list(enumerate(rekeyings)))}
    builder = _KeyBuilder(readers, stored, profile_of)
    changes = {
        rekeying: builder.find_change(rekeying, i) for rekeying, i in first.items() if rekeying[1] != rekeying[2]
    }
    untouched = {rekeying[0]: i for rekeying, i in first.items() if rekeying[1] == rekeying[2]}
    sizes = Counter(keys)
    largest_first = sorted(untouched.items(), key=lambda item: (-sizes[item[0]], item[0]))
    printed, stand_ins = _print_keys(changes, lambda: builder.find_stored_parts(largest_first))
    return NewKeys([printed.get(rekeying, rekeying[0]) for rekeying in rekeyings], stand_ins)


class _KeyBuilder:
    """Computes keys from the key inputs of observations, before and after an edit."""

    def __init__(
        self,
        readers: tuple[_KeyInputReader, _KeyInputReader],
        stored: Mapping[str, LearningKey | None],
        profile_of: Callable[[str], RekeyedProfile],
    ) -> None:
        self._before, self._after = readers
        self._stored = stored
        self._profile_of = profile_of
        self._computed: dict[tuple[str, _KeyInputs], LearningKey | None] = {}

    def find_change(self, rekeying: _Rekeying, i: int) -> _KeyChange | None:
        """Return how the key of an observation changes; None if no key can be computed."""
        key, old_inputs, _ = rekeying
        if (key, old_inputs) not in self._computed:
            self._computed[key, old_inputs] = self._compute(self._before, key, i)
        stored, old, new = self._stored[key], self._computed[key, old_inputs], self._compute(self._after, key, i)
        if stored is None or old is None or new is None:
            return None
        changed = [part for part in _PARTS if getattr(old, part) != getattr(new, part)]
        parts = {part: getattr(new, part) for part in changed}
        return _KeyChange(stored, parts, [part for part in changed if getattr(old, part) != getattr(stored, part)])

    def find_stored_parts(self, known: Iterable[tuple[str, int]]) -> dict[tuple[str, str, str | None], str | None]:
        """Return the parts of stored keys, by agent, name of the part, and computed part; the first of several."""
        found: dict[tuple[str, str, str | None], str | None] = {}
        for key, i in known:
            stored, computed = self._stored[key], self._compute(self._before, key, i)
            if stored and computed:
                for part in _PARTS:
                    found.setdefault((stored.agent_id, part, getattr(computed, part)), getattr(stored, part))
        return found

    def _compute(self, reader: _KeyInputReader, key: str, i: int) -> LearningKey | None:
        agent_id, rules = self._profile_of(key)
        stored = self._stored[key]
        with suppress(RecordError):
            computed = learning_key(agent_id, reader.request(i, stored.model if stored else ""), rules=rules)
            return parse_learning_key(computed, agent_id=agent_id)
        return None


def _print_keys(
    changes: Mapping[_Rekeying, _KeyChange | None],
    known: Callable[[], Mapping[tuple[str, str, str | None], str | None]],
) -> tuple[dict[_Rekeying, str], frozenset[str]]:
    """Return the new key of each change, and which new keys stand in for one that cannot be determined."""
    lookup = known() if any(change and change.unknown for change in changes.values()) else {}
    printed, stand_ins = {}, set()
    for rekeying, change in changes.items():
        if change is None:
            printed[rekeying] = rekeying[0]
            stand_ins.add(rekeying[0])
            continue
        agent_id = change.old.agent_id
        found = {part: lookup.get((agent_id, part, change.parts[part]), change.parts[part]) for part in change.unknown}
        printed[rekeying] = _print_key(change.old, {**change.parts, **found})
        if change.unknown:
            stand_ins.add(printed[rekeying])
    return printed, frozenset(stand_ins)


def _print_key(old: LearningKey, parts: Mapping[str, str | None]) -> str:
    """Return the text of a key with some parts replaced."""
    texts = [f"{part}={text}" for part in _PARTS if (text := parts.get(part, getattr(old, part))) is not None]
    return "::".join((old.agent_id, f"model={old.model}", *texts))
