"""Recorded requests as learning keys and coded blocks, each distinct message read once.

A conversation is recorded with every request, so most messages of a history have been read before. What a message
contributes is cached by its code and its position: reading a request costs one look-up per message.
"""

from array import array
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
from msgspec.json import encode

from acg_lab.core.errors import RecordError
from acg_lab.core.keys import learning_key, parse_learning_key
from acg_lab.core.messages import message_rule
from acg_lab.core.prompt_ir import make_block, order_blocks, tool_drafts
from acg_lab.core.records import AnnotatedLlmRequest, PromptBlock
from acg_lab.core.rule_types import Draft
from acg_lab.core.rules import get_rules
from acg_lab.storage.observation_columns import Codes, Form
from acg_lab.storage.recorded_runs import Call, Runs

__all__ = ["KEYS_KEPT", "BlockPool", "LearningKeys", "RequestReader"]

_SCAFFOLD_ROLES = ("system", "developer")
# Where a redacted call keeps its learning keys: by that of its pseudonyms, since a key holds too little of a hash.
KEYS_KEPT = "acg_lab_learning_keys"


class _Message(msgspec.Struct):
    role: Any = None


_read_message = msgspec.json.Decoder(_Message).decode


class LearningKeys:
    """Learning keys of recorded requests, each computed once for all requests that agree in what it depends on.

    Parameters
    ----------
    runs : Runs
        The runs whose calls are read.
    """

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._is_scaffold: dict[int, bool] = {}
        self._heads: dict[int, tuple[AnnotatedLlmRequest | None, str | None, bytes]] = {}
        self._keys: dict[tuple[object, ...], str | RecordError] = {}

    def inputs(self, call: Call) -> tuple[object, ...]:
        """Return everything that the learning key of a call's request can depend on, under any rules version.

        That is every system message, wherever it stands, the first other message (the last item), tools, model,
        instructions and response format; see ``acg_lab/docs/rules/learner.md``.
        """
        scaffold: list[int] = []
        first = None
        is_scaffold = self._is_scaffold
        for code in call.messages.tolist():
            known = is_scaffold.get(code)
            if known is None:
                known = is_scaffold[code] = _read_message(self._runs.messages.texts[code]).role in _SCAFFOLD_ROLES
            if known:
                scaffold.append(code)
            elif first is None:
                first = code
        return *self._head(call.request), call.tools, tuple(scaffold), first

    def _head(self, request: AnnotatedLlmRequest | None) -> tuple[str | None, bytes]:
        """Return model, instructions and response format, made once for calls that share the request object."""
        known = self._heads.get(id(request))
        if known is None:
            model, unknown = (None, None) if request is None else (request.model, request.unknown)
            rest = encode([unknown.get("instructions"), unknown.get("response_format")]) if unknown else b""
            known = self._heads[id(request)] = request, model, rest  # keeps the request, and so its id
        return known[1:]

    def key(self, agent_id: str, call: Call, rules: str) -> str:
        """Return the learning key of a call's request under a rules version.

        Raises
        ------
        RecordError
            If production cannot read the request, and so skips it. Only messages that the key depends on are checked.
        """
        *scaffold, first = self.inputs(call)
        without_first = agent_id, rules, *scaffold
        key = self._keys.get(without_first) or self._keys.get((*without_first, first))
        if key is None:
            key = _make_key(agent_id, self._runs.request(call), rules)
            parsed = None if isinstance(key, RecordError) else parse_learning_key(key, agent_id=agent_id)
            depends_on_first = parsed is None or parsed.seed != "stable-scaffold"
            self._keys[(*without_first, first) if depends_on_first else without_first] = key
        if isinstance(key, RecordError):
            raise key
        kept = call.record.unknown.get(KEYS_KEPT)
        return str(kept.get(key, key)) if isinstance(kept, Mapping) else key


def _make_key(agent_id: str, request: AnnotatedLlmRequest, rules: str) -> str | RecordError:
    try:
        return learning_key(agent_id, request, rules=rules)
    except RecordError as error:
        return error


class BlockPool:
    """Assign a code to each distinct block, and collect the blocks as columns."""

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
        """Return the distinct forms, by code."""
        return [Form(*form, token_metadata=None, unknown=None) for form in self._forms]

    def columns(self) -> tuple[Codes, Codes, Codes]:
        """Return the codes of span, content and form of every distinct block, by code of the block."""
        table = np.array(list(self._codes), np.int32).reshape(-1, 3)
        return table[:, 0], table[:, 1], table[:, 2]


class _PromptPart:
    """The blocks of one message, of the tools or of the instructions, by the position of the first of them."""

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
    """Read the requests of recorded calls under one rules version.

    Parameters
    ----------
    runs : Runs
        The runs whose calls are read.
    rules : str
        Name of the rules version.
    pool : BlockPool
        Assigns the codes of blocks.
    """

    def __init__(self, runs: Runs, rules: str, pool: BlockPool) -> None:
        self._runs, self._rules, self._pool = runs, get_rules(rules), pool
        self._parts: dict[Hashable, _PromptPart] = {}
        self._messages: list[_PromptPart | None] = [None] * len(runs.messages)
        self._keys = LearningKeys(runs)

    def read(self, agent_id: str, call: Call) -> "tuple[str, array[int]]":
        """Return the learning key of a call's request, and its blocks by code.

        Raises
        ------
        RecordError
            If production cannot read the request, and so skips it.
        """
        codes = call.messages.tolist()
        messages = [self._messages[code] or self._read_message(code) for code in codes]
        request = call.request or AnnotatedLlmRequest(messages=())
        blocks: array[int] = array("i")
        opening, tools = self._opening(request), self._tools(call, request)
        for part in order_blocks(opening, tools, ((part.scaffold, part) for part in messages)):
            blocks.extend(part.blocks(len(blocks)))
        return self._keys.key(agent_id, call, self._rules.name), blocks

    def _read_message(self, code: int) -> _PromptPart:
        message = self._runs.messages.value(code)
        rule = message_rule(self._rules, message)
        part = self._messages[code] = _PromptPart(self._pool, rule.drafts(self._rules, message), scaffold=rule.scaffold)
        return part

    def _opening(self, request: AnnotatedLlmRequest) -> _PromptPart:
        drafts = tuple(self._rules.opening(self._rules, request))
        part = self._parts.get(drafts)
        if part is None:
            part = self._parts[drafts] = _PromptPart(self._pool, drafts)
        return part

    def _tools(self, call: Call, request: AnnotatedLlmRequest) -> _PromptPart:
        given = call.tools, self._rules.response_format(request)
        part = self._parts.get(given)
        if part is None:
            drafts = tool_drafts(self._rules, self._runs.request(call))
            part = self._parts[given] = _PromptPart(self._pool, drafts)
        return part
