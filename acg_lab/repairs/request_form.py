"""A recorded request that can be edited: the annotated one, and the body as it was sent beside it.

Both hold the same messages and tools at the same positions, so an edit is made in both. The recorded ones are never
changed; what an edit makes gets a code of its own, once for equal values.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
from msgspec.structs import replace

from acg_lab.core.errors import RecordError
from acg_lab.core.records import CallRecord, JsonObject
from acg_lab.logs.normalize import CODECS
from acg_lab.storage.lazy import JsonPool
from acg_lab.storage.recorded_runs import Body, Call, Runs

__all__ = ["CannotRepairError", "Form", "RequestForms", "RequestPools"]

_encode: Final = msgspec.json.Encoder().encode
_SYSTEM_ROLES: Final = ("system", "developer")


class CannotRepairError(Exception):
    """A request can't be changed as a repair says; it stays as it was sent. Never leaves this package."""


class RequestPools:
    """Messages and values of runs by code, and those that edits add."""

    def __init__(self, runs: Runs) -> None:
        self.messages, self.values = runs.messages.extended(), runs.values.extended()
        self._messages: dict[bytes, int] = {}
        self._values: dict[bytes, int] = {}
        self._agree: dict[tuple[str, int, int], bool] = {}

    def message(self, value: JsonObject) -> int:
        """Return the code of a message."""
        return _code(self.messages, self._messages, value)

    def value(self, value: Any) -> int:
        """Return the code of a list of tools, a system text, or the head of a body."""
        return _code(self.values, self._values, value)

    def agree(self, api: str, sent: int, annotated: int) -> bool:
        """Whether the codec of an API makes the annotated message of the one that was sent; unknown APIs agree."""
        key = api, sent, annotated
        if key not in self._agree:
            codec = CODECS.get(api)  # type: ignore[call-overload]  # any text may come from a log
            try:
                made = None if codec is None else codec.read_message(self.messages.value(sent))
            except RecordError:
                made = {}
            self._agree[key] = made is None or made == self.messages.value(annotated)
        return self._agree[key]


def _code(pool: JsonPool, known: dict[bytes, int], value: Any) -> int:
    text = _encode(value)
    code = known.get(text)
    if code is None:
        code = known[text] = len(pool.texts)
        pool.texts.append(text)
    return code


class Form:
    """A request in one of its two forms.

    Attributes
    ----------
    messages : list of int
        Codes.
    tools : list or None
    head : dict
        All other fields.
    instructions : str
        The field that holds the system prompt.
    """

    def __init__(self, messages: list[int], tools: list[Any] | None, head: JsonObject, instructions: str) -> None:
        self.messages, self.tools, self.head, self.instructions = messages, tools, dict(head), instructions


class RequestForms:
    """A recorded call with a request, and the edits that are made to it.

    Parameters
    ----------
    runs : Runs
        What the call's codes stand for.
    call : Call
        One with a request.
    pools : RequestPools
        Where new messages and values get their codes.

    Attributes
    ----------
    annotated, sent : Form
        The two forms; ``sent`` is None where no body is recorded.
    hidden : list of int
        Codes of the messages as sent that the annotated request was recorded without: the turns before the current one.
        They stay behind the system messages.

    Raises
    ------
    CannotRepairError
        If the two forms do not have the same messages and tools.
    """

    def __init__(self, runs: Runs, call: Call, pools: RequestPools) -> None:
        self._call, self.pools = call, pools
        request = call.request
        head: JsonObject = {} if request is None else request.unknown
        tools = None if call.tools < 0 else list(runs.values.value(call.tools))
        self.annotated = Form(call.messages.tolist(), tools, head, "instructions")
        self.api, self._body, self._record = "", call.body, call.record
        self.sent: Form | None = None
        self.hidden: list[int] = []
        exchange = call.record.exchange
        if exchange is not None and (call.body is not None or exchange.request):
            self.api = exchange.api
            self._body, self._record = _as_body(call, pools)
            self.sent = self._sent_form(self._body)
            self._hide_earlier_turns(self.sent)
            if len(self.sent.messages) != len(call.messages) or len(self.sent.tools or ()) != len(tools or ()):
                raise CannotRepairError
        self._recorded = [*zip(self.sent.messages if self.sent else (), self.annotated.messages, strict=False)]

    def _hide_earlier_turns(self, sent: Form) -> None:
        """Take out of the sent form what the annotated one was recorded without: the turns before the current one."""
        n_hidden = len(sent.messages) - len(self.annotated.messages)
        lead = self._count_leading()
        kept = [*sent.messages[:lead], *sent.messages[lead + max(n_hidden, 0) :]]
        if n_hidden > 0 and all(map(self._agree, kept, self.annotated.messages)):
            self.hidden, sent.messages = sent.messages[lead : lead + n_hidden], kept

    def read_sent(self, code: int) -> int:
        """Return the code of the annotated message that the codec makes of one as sent.

        Raises
        ------
        CannotRepairError
            If the API is not known, or its codec refuses the message.
        """
        codec = CODECS.get(self.api)  # type: ignore[call-overload]  # any text may come from a log
        if codec is None:
            raise CannotRepairError
        return self.pools.message(codec.read_message(self.pools.messages.value(code)))

    def _agree(self, sent: int, annotated: int) -> bool:
        return self.pools.agree(self.api, sent, annotated)

    def _count_leading(self) -> int:
        """Return how many leading messages are the system's."""
        messages = enumerate(self.annotated.messages)
        roles = ((i, self.pools.messages.value(code).get("role")) for i, code in messages)
        return next((i for i, role in roles if role not in _SYSTEM_ROLES), len(self.annotated.messages))

    def _sent_form(self, body: Body) -> Form:
        values = self.pools.values
        head = dict(values.value(body.head))
        if body.system >= 0:
            head["system"] = values.value(body.system)
        items = body.items.tolist()
        if not items and isinstance(head.get(body.name), str):
            items = [self.pools.message({"role": "user", "content": head[body.name]})]
            head[body.name] = None
        tools = None if body.tools < 0 else list(values.value(body.tools))
        return Form(items, tools, head, "system" if "system" in head else "instructions")

    @property
    def forms(self) -> tuple[Form, ...]:
        """The annotated form, and the one that was sent if that is recorded."""
        return (self.annotated,) if self.sent is None else (self.annotated, self.sent)

    def call(self) -> Call:
        """Return the call with its edits.

        Raises
        ------
        CannotRepairError
            If a message as sent is no longer what the annotated one says.
        """
        form, call = self.annotated, self._call
        tools = -1 if form.tools is None else self._tools(call.tools, form.tools)
        changed = call._replace(
            request=None if call.request is None else replace(call.request, unknown=form.head),
            messages=np.array(form.messages, np.int32),
            tools=tools,
        )
        if self.sent is None or self._body is None:
            return changed
        return changed._replace(record=self._record, body=self._edited_body(self.sent, self._body))

    def _edited_body(self, sent: Form, body: Body) -> Body:
        known = set(self._recorded)
        for pair in zip(sent.messages, self.annotated.messages, strict=True):
            if pair not in known and not self.pools.agree(self.api, *pair):
                raise CannotRepairError
        self._check_tools(sent, body)
        head = dict(sent.head)
        system = head.get("system")
        if "system" in head:
            head["system"] = None
        if sent.tools is not None and "tools" in head:
            head["tools"] = None
        return body._replace(
            head=self._value(body.head, head),
            items=np.array(self._with_hidden(sent.messages), np.int32),
            tools=-1 if sent.tools is None else self._tools(body.tools, sent.tools),
            system=-1 if system is None else self._value(body.system, system),
        )

    def _with_hidden(self, messages: list[int]) -> list[int]:
        lead = self._count_leading() if self.hidden else 0
        return [*messages[:lead], *self.hidden, *messages[lead:]]

    def _check_tools(self, sent: Form, body: Body) -> None:
        """Raise if a tool that was edited is no longer what the annotated one says."""
        codec = CODECS.get(self.api)  # type: ignore[call-overload]  # any text may come from a log
        known = [] if body.tools < 0 else self.pools.values.value(body.tools)
        for tool, annotated in zip(sent.tools or (), self.annotated.tools or (), strict=True):
            if codec is not None and tool not in known and codec.read_tool(tool) != annotated:
                raise CannotRepairError

    def _tools(self, code: int, tools: list[Any]) -> int:
        return self._value(code, tools)

    def _value(self, code: int, value: Any) -> int:
        """Return the code of a value, the old one if it is the same to the last key."""
        if code >= 0 and self.pools.values.texts[code] == _encode(value):
            return code
        return self.pools.value(value)


def _as_body(call: Call, pools: RequestPools) -> tuple[Body, CallRecord]:
    """Return the body of a call by codes, and the record without it."""
    exchange = call.record.exchange
    if call.body is not None or exchange is None:
        return call.body or Body(-1, "messages", np.empty(0, np.int32)), call.record
    request: Mapping[str, Any] = exchange.request
    name = "input" if "input" in request else "messages"
    items = request.get(name)
    listed = [dict(item) for item in items if isinstance(item, Mapping)] if isinstance(items, list | tuple) else []
    tools, system = request.get("tools"), request.get("system")
    holes = {"tools": tools, "system": system, **({name: items} if listed else {})}
    head = {key: None if key in holes and holes[key] is not None else value for key, value in request.items()}
    body = Body(
        pools.value(head),
        name,
        np.array([pools.message(item) for item in listed], np.int32),
        -1 if tools is None else pools.value(list(tools)),
        -1 if system is None else pools.value(system),
        -1 if exchange.response is None else pools.value(exchange.response),
    )
    return body, replace(call.record, exchange=replace(exchange, request={}, response=None))
