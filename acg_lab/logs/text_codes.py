"""Calls that were read elsewhere: how they are sent from one process to another, and their codes in pools of our own.

Messages of the other pools are taken in at once. Other values wait until something refers to them, since a call that is
left out as a duplicate leaves no answer behind.
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.records import CallRecord, Usage
from acg_lab.logs.answers import Answer
from acg_lab.logs.body_reader import TextPools, Texts
from acg_lab.logs.call_reader import CallReader, ReadAnswer
from acg_lab.logs.entries import LoggedCall
from acg_lab.storage.recorded_runs import Body, Call

__all__ = ["CallPacker", "Packed", "ReadCall", "TextCodes"]

_NO_RECORD = CallRecord(kind="llm", name="", started_at="")
Packed: TypeAlias = tuple[Any, ...]  # plain: named ones, and arrays by the call, take five times as long to send


class ReadCall(NamedTuple):
    """A call whose texts are codes, before it is known what else the log says of it."""

    logged: LoggedCall
    api: str
    call: Call
    answer: ReadAnswer


class CallPacker:
    """Reads calls, and packs them for another process.

    Parameters
    ----------
    reader : CallReader
    """

    def __init__(self, reader: CallReader) -> None:
        self._reader = reader
        self._codes: list[NDArray[np.int32]] = []

    def read(self, logged: LoggedCall) -> Packed:
        """Return a call without its texts.

        Raises
        ------
        RecordError
            If it can't be read.
        """
        api, call = self._reader.read(logged)
        answer, response = self._reader.read_answer(logged.response)
        annotated = None if logged.annotated is None else b""
        logged = logged._replace(request=None, annotated=annotated, response=None, pieces=None)
        body, n_sent = None, -1
        if call.body is not None:
            head, name, sent, tools, system, _ = call.body
            body = head, name, tools, system
            if sent is not call.messages:
                n_sent = len(sent)
                self._codes.append(sent)
        self._codes.append(call.messages)
        parts = call.request, call.tools, body, n_sent, len(call.messages)
        return tuple(logged), api, parts, _pack_usage(answer.usage), answer.error, answer.doubt, response

    def codes(self) -> NDArray[np.int32]:
        """Return the codes of all messages, call by call."""
        return np.concatenate(self._codes) if self._codes else np.empty(0, np.int32)


class TextCodes:
    """The codes here of texts that have others there; calls are unpacked in the order in which they were packed.

    Parameters
    ----------
    pools : TextPools
        Ours, which take the texts in.
    texts : Texts
        The others.
    codes : array of int32
        As `CallPacker.codes` returns them.
    """

    def __init__(self, pools: TextPools, texts: Texts, codes: NDArray[np.int32]) -> None:
        self._pools, self._values = pools, texts.values
        self._codes = pools.take_messages(texts)[codes]
        self._at = 0
        self._known: dict[int, int] = {-1: -1}

    def unpack(self, packed: Packed) -> ReadCall:
        """Return a call; its answer has the code that it has there."""
        logged, api, (request, tools, body, n_sent, n_messages), usage, error, doubt, response = packed
        sent = self._take(n_sent) if n_sent >= 0 else None
        messages = self._take(n_messages)
        found = None
        if body is not None:
            head, name, tools_sent, system = body
            # The order in which values get their codes where one process reads everything.
            tools_sent, tools = self._value(tools_sent), self._value(tools)
            system, head = self._value(system), self._value(head)
            found = Body(head, name, messages if sent is None else sent, tools_sent, system)
        call = Call(_NO_RECORD, request, messages, self._value(tools) if body is None else tools, body=found)
        answer = Answer(usage=_unpack_usage(usage), error=error, doubt=doubt)
        return ReadCall(LoggedCall._make(logged), api, call, ReadAnswer(answer, response))

    def keep_answer(self, read: ReadAnswer) -> ReadAnswer:
        """Return an answer with the code that its text gets here."""
        if read.response < 0:
            return read
        return read._replace(response=self._pools.add_value(self._values[read.response]))

    def _take(self, n: int) -> NDArray[np.int32]:
        self._at += n
        return self._codes[self._at - n : self._at]

    def _value(self, there: int) -> int:
        code = self._known.get(there)
        if code is None:
            code = self._known[there] = self._pools.value(self._values[there])
        return code


def _pack_usage(usage: Usage | None) -> Packed | None:
    if usage is None:
        return None
    by_ttl = usage.cache_writes_by_ttl or None
    return usage.prompt_tokens, usage.cache_read_tokens, usage.cache_write_tokens, by_ttl, usage.output_tokens


def _unpack_usage(packed: Packed | None) -> Usage | None:
    if packed is None:
        return None
    prompt, read, written, by_ttl, output = packed
    return Usage(
        prompt_tokens=prompt,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_writes_by_ttl=by_ttl or {},
        output_tokens=output,
    )
