"""Find the blocks of a recorded request: in which message, tool or text each of them stands.

Blocks are numbered and named as the learner does it, so a span id means the same here as in a window. What is made of
a message is computed once for each distinct message.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from acg_lab.core.messages import block_text, message_rule
from acg_lab.core.prompt_ir import normalize_whitespace, order_blocks, tool_drafts
from acg_lab.core.records import AnnotatedLlmRequest, JsonObject
from acg_lab.core.rule_types import Draft
from acg_lab.core.rules import RulesName, get_rules
from acg_lab.storage.columns import Call, Runs

__all__ = ["BlockFinder", "FoundBlock", "Place", "content_of", "is_scaffold_message"]

Field: TypeAlias = Literal["instructions", "message", "tool", "format"]
_WHOLE: Final = ("tool_call", "tool_result", "provider_native")
_named = re.compile(r"([a-z]+)-(\d+)(.*)", re.DOTALL)


class Place(NamedTuple):
    """Where a block stands: in which field, at which position, and of a message, in which tool call (-1: its text)."""

    field: Field
    position: int = 0
    tool_call: int = -1
    is_whole: bool = False


class FoundBlock(NamedTuple):
    """A block of a recorded request: its place, what the learner makes of it, and its content as a window holds it."""

    place: Place
    draft: Draft

    @property
    def content(self) -> str:
        """The content, white space normalised where the learner does so."""
        return content_of(self.draft)


def content_of(draft: Draft) -> str:
    """Return the content of a block as a window holds it."""
    return normalize_whitespace(draft.content) if draft.normalised else draft.content


class _Part(NamedTuple):
    """One message, the tools, or the instructions: its drafts, and where each stands, positions counted from 0."""

    drafts: tuple[Draft, ...]
    places: tuple[Place, ...]
    is_scaffold: bool = True


class BlockFinder:
    """Find blocks in the calls of some runs, under one rules version.

    Parameters
    ----------
    runs : Runs
    rules : str
        Name of the rules version.

    Notes
    -----
    All methods raise `RecordError` for a request that production can't read, and so skips.
    """

    def __init__(self, runs: Runs, rules: RulesName) -> None:
        self.runs, self.rules = runs, get_rules(rules)
        self._messages: dict[int, _Part] = {}
        self._tools: dict[tuple[int, str | None], _Part] = {}

    def find(self, call: Call, span_id: str) -> FoundBlock | None:
        """Return the block of a span id; None if the request has none, or the span id is not the learner's."""
        named = _named.fullmatch(span_id)
        if named is None:
            return None
        role, suffix, number = named[1], named[3], int(named[2])
        for index, part in self._parts(call):
            if number < len(part.drafts):
                draft = part.drafts[number]
                fits = (draft.role, draft.suffix) == (role, suffix)
                return FoundBlock(_at(part.places[number], index), draft) if fits else None
            number -= len(part.drafts)
        return None

    def blocks(self, call: Call) -> Iterator[FoundBlock]:
        """Yield the blocks of a request in prompt order."""
        for index, part in self._parts(call):
            for place, draft in zip(part.places, part.drafts, strict=True):
                yield FoundBlock(_at(place, index), draft)

    def tool_blocks(self, call: Call) -> list[FoundBlock]:
        """Return the tools of a request in their order."""
        part = self._tool_part(call)
        pairs = zip(part.places, part.drafts, strict=True)
        return [FoundBlock(place, draft) for place, draft in pairs if place.field == "tool"]

    def drafts(self, message: JsonObject) -> tuple[Draft, ...]:
        """Return what the learner makes of a message."""
        return tuple(message_rule(self.rules, message).drafts(self.rules, message))

    def text_of(self, content: Any, draft: Draft) -> str:
        """Return the content of a block whose message has another content."""
        return content_of(draft._replace(content=block_text(self.rules, content)))

    def scaffold_messages(self, call: Call) -> int:
        """Return how many leading messages count as system."""
        codes = call.messages.tolist()
        return next((i for i, code in enumerate(codes) if not self._message(code).is_scaffold), len(codes))

    def _parts(self, call: Call) -> Iterator[tuple[int, _Part]]:
        opening = _opening_part(self.rules.opening(self.rules, call.request or _NO_REQUEST))
        messages = ((i, self._message(code)) for i, code in enumerate(call.messages.tolist()))
        pairs = ((part.is_scaffold, (i, part)) for i, part in messages)
        return order_blocks((0, opening), (0, self._tool_part(call)), pairs)

    def _message(self, code: int) -> _Part:
        part = self._messages.get(code)
        if part is None:
            message = self.runs.messages.value(code)
            drafts = self.drafts(message)
            part = _Part(drafts, tuple(_places(message, len(drafts))), is_scaffold_message(self, message))
            self._messages[code] = part
        return part

    def _tool_part(self, call: Call) -> _Part:
        request = call.request or _NO_REQUEST
        key = call.tools, self.rules.response_format(request)
        part = self._tools.get(key)
        if part is None:
            drafts = tool_drafts(self.rules, self.runs.request(call))
            n = sum(draft.content_type == "tool_schema" for draft in drafts)
            places = tuple(Place("tool", i) if i < n else Place("format") for i in range(len(drafts)))
            part = self._tools[key] = _Part(drafts, places)
        return part


_NO_REQUEST: Final = AnnotatedLlmRequest(messages=())


def is_scaffold_message(finder: BlockFinder, message: JsonObject) -> bool:
    """Whether a message counts as system, and so stands before the tools."""
    return message_rule(finder.rules, message).scaffold


def _opening_part(drafts: Iterator[Draft]) -> _Part:
    found = tuple(drafts)
    return _Part(found, (Place("instructions"),) * len(found))


def _places(message: JsonObject, n_drafts: int) -> Iterator[Place]:
    if message.get("role") in _WHOLE:
        yield from (Place("message", is_whole=True) for _ in range(n_drafts))
    elif message.get("role") == "assistant":
        n_texts = int(message.get("content") is not None)
        yield from (Place("message", tool_call=i - n_texts) for i in range(n_drafts))
    else:
        yield from (Place("message") for _ in range(n_drafts))


def _at(place: Place, position: int) -> Place:
    return place._replace(position=position) if place.field == "message" else place
