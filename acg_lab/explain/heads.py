"""What of an observation its learning key depends on (spec sections 3 and 8).

Belongs here: finding those blocks, and making of them a request that has the same key, as far as blocks tell.
"""

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import NamedTuple

import msgspec
import numpy as np

from acg_lab.core.codec import DECODE_ERRORS
from acg_lab.core.records import AnnotatedLlmRequest, Json, JsonObject
from acg_lab.explain.table import Table

__all__ = ["Head", "Heads"]


class Head(NamedTuple):
    """All of a request that its key may depend on, by content and form.

    That is the scaffold (system, tools, response format), whether there are tools, and the first other block; None
    where there is none, or where a scaffold leaves it out of the key.
    """

    contents: tuple[int, ...]
    forms: tuple[int, ...]
    has_tools: bool
    first: tuple[int, int] | None


class Heads:
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
        return isinstance(other, Heads) and all(
            np.array_equal(getattr(self.table, column)[rows], getattr(other.table, column)[others])
            for rows, others in ((self._rows, other._rows), (self._firsts, other._firsts))
            for column in ("owner", "contents", "forms")
        )

    __hash__ = None  # type: ignore[assignment]

    def listed(self, keys: Sequence[str], free: Collection[str]) -> list[Head]:
        """Return the head of each observation; the keys in ``free`` leave out the first message beside a scaffold."""
        contents, forms = (column[self._rows].tolist() for column in (self.table.contents, self.table.forms))
        headers, pool = self.table.source.headers.tolist(), self.table.source.header_pool
        listed = []
        for i, (key, a, b) in enumerate(zip(keys, self._ends, self._ends[1:], strict=False)):
            row = None if b > a and key in free else self._first_of.get(i)
            first = None if row is None else (int(self.table.contents[row]), int(self.table.forms[row]))
            has_tools = pool[headers[i]].tool_schema_hashes is not None
            listed.append(Head(tuple(contents[a:b]), tuple(forms[a:b]), has_tools, first))
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
