"""Runs as calls of codes; records and bodies are made when asked for.

Each distinct message and tool list is kept once, and named by its code: its position in a pool.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as replace_fields
from typing import Any, NamedTuple

import numpy as np
from msgspec.structs import replace

from acg_lab.core.records import AnnotatedLlmRequest, CallRecord, Exchange, JsonObject, RunRecord
from acg_lab.storage.lazy import JsonPool
from acg_lab.storage.observation_columns import Codes

__all__ = ["Body", "Call", "Runs", "Sending"]


class Body(NamedTuple):
    """A request body as sent, and its response, with texts replaced by codes, -1 for none.

    Attributes
    ----------
    head : int
        Code of `Runs.values`: the body, keys in order, with null for the values of the other fields.
    name : str
        The key of the messages, ``"messages"`` or ``"input"``.
    items : codes of `Runs.messages`
        The messages as sent.
    tools, system, response : int
        Codes of `Runs.values`.
    """

    head: int
    name: str
    items: Codes
    tools: int = -1
    system: int = -1
    response: int = -1


class Sending(NamedTuple):
    """What a repair changes in the way a request is sent; production and request logs never hold it.

    Attributes
    ----------
    breakpoints : tuple of (str, int)
        Places that take one: ``"system"``, ``"tools"`` and ``"last_message"`` (their end), ``"instructions"``, or
        ``"tool"`` and ``"message"`` with a position.
    ttl : int
        Seconds that every breakpoint of the request asks for, 0 for what it asks for itself.
    automatic : bool
        Whether the provider is asked to cache up to the last message.
    """

    breakpoints: tuple[tuple[str, int], ...] = ()
    ttl: int = 0
    automatic: bool = False


class Call(NamedTuple):
    """A call with texts replaced by codes of `Runs.messages` and `Runs.values`, -1 for none.

    ``record.exchange`` exists if ``body`` does, but without request, response, and the raw usage of the response.
    """

    record: CallRecord
    request: AnnotatedLlmRequest | None = None
    messages: Codes = np.empty(0, np.int32)
    tools: int = -1
    response: int = -1
    body: Body | None = None
    sending: Sending | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Runs(Sequence[RunRecord]):
    """Runs by agent, in the order of each agent's index; each distinct message is kept once.

    Attributes
    ----------
    records : list of RunRecord
        The runs without their calls.
    calls : list of list of Call
        The calls of each run.
    messages, values : JsonPool
        Distinct messages; distinct tool lists, responses and request bodies.
    is_redacted : bool
        Whether pseudonyms stand for all texts (`acg_lab.storage.pseudonyms`).
    private_texts : frozenset of str
        Texts that are not shown, white space normalised.
    """

    records: Sequence[RunRecord] = ()
    calls: Sequence[Sequence[Call]] = ()
    messages: JsonPool = field(default_factory=JsonPool)
    values: JsonPool = field(default_factory=JsonPool)
    is_redacted: bool = False
    private_texts: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, position: Any) -> Any:
        if isinstance(position, slice):
            return [self[i] for i in range(*position.indices(len(self)))]
        return replace(self.records[position], calls=tuple(map(self._call, self.calls[position])))

    def __iter__(self) -> Iterator[RunRecord]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"<Runs: {len(self)} runs, {sum(map(len, self.calls))} calls>"

    def _call(self, call: Call) -> CallRecord:
        response: JsonObject | None = None if call.response < 0 else self.values.value(call.response)
        request = None if call.request is None else self.request(call)
        exchange = self.exchange(call)
        return replace(call.record, annotated_request=request, annotated_response=response, exchange=exchange)

    def exchange(self, call: Call) -> Exchange | None:
        """Return what passed between application and provider in a call, or None if it is not recorded."""
        light, body = call.record.exchange, call.body
        if light is None or body is None:
            return light
        response = None if body.response < 0 else self.values.value(body.response)
        usage = light.usage
        if usage is not None and not usage.raw and response is not None:
            usage = replace(usage, raw=response.get("usage") or {})
        return replace(light, request=self.body(body), response=response, usage=usage)

    def body(self, body: Body) -> JsonObject:
        """Return a request body as sent, with its keys in order."""
        request = dict(self.values.value(body.head))
        if body.items.size or request.get(body.name, ...) is None:
            request[body.name] = list(map(self.messages.value, body.items.tolist()))
        for name, code in (("tools", body.tools), ("system", body.system)):
            if code >= 0:
                request[name] = self.values.value(code)
        return request

    def request(self, call: Call) -> AnnotatedLlmRequest:
        """Return the request of a call that has one."""
        tools = None if call.tools < 0 else tuple(self.values.value(call.tools))
        request = call.request or AnnotatedLlmRequest(messages=())
        return replace(request, messages=tuple(map(self.messages.value, call.messages.tolist())), tools=tools)

    def take(self, positions: Iterable[int]) -> "Runs":
        """Return the runs at the given positions."""
        kept = list(positions)
        return replace_fields(self, records=[self.records[i] for i in kept], calls=[self.calls[i] for i in kept])
