"""Recorded requests as blocks by code: each distinct message is read once, by the core's rules.

Belongs here: what makes reading a long history cheap. What a message gives is cached with the blocks it made at each
place in a prompt, so that a request costs a look-up a message.
"""

from array import array
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from acg_lab.core.keys import learning_key
from acg_lab.core.messages import message_rule
from acg_lab.core.prompt_ir import in_order, make_block, tool_drafts
from acg_lab.core.records import AnnotatedLlmRequest, PromptBlock
from acg_lab.core.rule_types import Draft
from acg_lab.core.rules import get_rules
from acg_lab.storage.columns import Call, Codes, Form, Runs

__all__ = ["BlockPool", "RequestReader"]


class BlockPool:
    """Distinct blocks by code, and their columns."""

    def __init__(self) -> None:
        self._codes: dict[tuple[int, int, int], int] = {}
        self.spans: dict[str, int] = {}
        self.contents: dict[str, int] = {}
        self._forms: dict[tuple[Any, Any, Any, str | None], int] = {}

    def code(self, block: PromptBlock) -> int:
        """Return the code of a block."""
        form = block.role, block.content_type, block.provenance, block.sensitivity
        codes = (
            self.spans.setdefault(block.span_id, len(self.spans)),
            self.contents.setdefault(block.content, len(self.contents)),
            self._forms.setdefault(form, len(self._forms)),
        )
        return self._codes.setdefault(codes, len(self._codes))

    def forms(self) -> list[Form]:
        """Return the forms that are in use, by code."""
        return [Form(*form, token_metadata=None, unknown=None) for form in self._forms]

    def columns(self) -> tuple[Codes, Codes, Codes]:
        """Return span, content and form of every block, by code."""
        table = np.array(list(self._codes), np.int32).reshape(-1, 3)
        return table[:, 0], table[:, 1], table[:, 2]


class _Unit:
    """What a message gives, or the tools, and its blocks by the number of the first."""

    __slots__ = ("_drafts", "_placed", "_pool", "scaffold")

    def __init__(self, pool: BlockPool, drafts: Iterable[Draft], *, scaffold: bool = True) -> None:
        self._pool, self._drafts, self.scaffold = pool, tuple(drafts), scaffold
        self._placed: dict[int, array[int]] = {}

    def blocks(self, number: int) -> "array[int]":
        placed = self._placed.get(number)
        if placed is None:
            made = (make_block(draft, number + i) for i, draft in enumerate(self._drafts))
            placed = self._placed[number] = array("i", map(self._pool.code, made))
        return placed


class RequestReader:
    """Reads the requests of recorded calls under one generation of the rules.

    Parameters
    ----------
    runs : Runs
        Whose calls these are.
    rules : str
        Name of the generation.
    pool : BlockPool
        Where new blocks get their codes.
    """

    def __init__(self, runs: Runs, rules: str, pool: BlockPool) -> None:
        self._runs, self._rules, self._pool = runs, get_rules(rules), pool
        self._units: dict[Hashable, _Unit] = {}
        self._messages: list[_Unit | None] = [None] * len(runs.messages)
        self._keys: dict[Hashable, str] = {}

    def read(self, agent_id: str, call: Call) -> "tuple[str, array[int]]":
        """Return the learning key of a call's request, and its blocks by code.

        Raises
        ------
        RecordError
            If production can't read the request, and so skips it.
        """
        codes = call.messages.tolist()
        messages = [self._messages[code] or self._read_message(code) for code in codes]
        request = call.request or AnnotatedLlmRequest(messages=())
        blocks: array[int] = array("i")
        opening, tools = self._opening(request), self._tools(call, request)
        for unit in in_order(opening, tools, ((unit.scaffold, unit) for unit in messages)):
            blocks.extend(unit.blocks(len(blocks)))
        return self._key(agent_id, call, request, messages), blocks

    def _read_message(self, code: int) -> _Unit:
        message = self._runs.messages.value(code)
        rule = message_rule(self._rules, message)
        unit = self._messages[code] = _Unit(self._pool, rule.drafts(self._rules, message), scaffold=rule.scaffold)
        return unit

    def _opening(self, request: AnnotatedLlmRequest) -> _Unit:
        drafts = tuple(self._rules.opening(self._rules, request))
        unit = self._units.get(drafts)
        if unit is None:
            unit = self._units[drafts] = _Unit(self._pool, drafts)
        return unit

    def _tools(self, call: Call, request: AnnotatedLlmRequest) -> _Unit:
        given = call.tools, self._rules.response_format(request)
        unit = self._units.get(given)
        if unit is None:
            drafts = tool_drafts(self._rules, self._runs.request(call))
            unit = self._units[given] = _Unit(self._pool, drafts)
        return unit

    def _key(self, agent_id: str, call: Call, request: AnnotatedLlmRequest, messages: list[_Unit]) -> str:
        """Return the learning key; it is made once for all requests that agree in what it depends on."""
        scaffold = tuple(unit for unit in messages if unit.scaffold)
        seed = next((unit for unit in messages if not unit.scaffold), None)
        unknown = request.unknown
        rest = (unknown.get("instructions"), unknown.get("response_format")) if unknown else ()
        head = agent_id, request.model, call.tools, scaffold, seed, repr(rest)
        key = self._keys.get(head)
        if key is None:
            key = self._keys[head] = learning_key(agent_id, self._runs.request(call), rules=self._rules.name)
        return key
