"""Calls of a log as columns: every distinct message, tool list and head of a body is held once.

What can't be read is a `LogProblem` of its line, with the path inside the body; the other calls do not notice. Calls
that were read elsewhere, by a `CallReader` of their own, are taken in as those that are read here.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
from msgspec.structs import replace

from acg_lab.core.errors import RecordError
from acg_lab.core.records import CallRecord, Exchange, Json, continues_stored
from acg_lab.logs.call_reader import CallReader, ReadAnswer
from acg_lab.logs.entries import LoggedAnswer, LoggedCall
from acg_lab.logs.json_pieces import parse_piece
from acg_lab.logs.text_codes import ReadCall, TextCodes
from acg_lab.storage.lazy import JsonPool
from acg_lab.storage.limits import DEFAULT_LIMITS, Limits
from acg_lab.storage.recorded_runs import Call

__all__ = ["CallTable", "Row"]

_NOTHING: Final[Mapping[str, Json]] = {}


class Row(NamedTuple):
    """One call of the table; ``is_recorded`` says that the runtime recorded its annotated request."""

    file: str
    call: Call
    agent_id: str | None
    run_id: str | None
    is_recorded: bool


class CallTable:
    """Calls read so far.

    Attributes
    ----------
    rows : list of Row
    texts : TextPools
    n_duplicates, n_shared_ids : int
        Calls whose id was there already: of the same request, left out; of another one, kept.
    n_continued : int
        Calls whose body continues what the provider keeps, so that the log does not hold their whole prompts.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.rows: list[Row] = []
        self._reader = CallReader(limits)
        self.texts = self._reader.texts
        self.n_duplicates = self.n_shared_ids = self.n_continued = 0
        self._by_id: dict[str, int] = {}
        self._waiting: dict[str, LoggedAnswer] = {}
        self._exchanges: dict[Hashable, Exchange] = {}

    def add(self, logged: LoggedCall) -> Iterator[RecordError]:
        """Take in a call; yield what is doubtful about it.

        Raises
        ------
        LogProblem
            If it can't be read; then it is left out.
        """
        try:
            api, call = self._reader.read(logged)
        except RecordError as error:
            raise logged.problem(error.reason, error.path) from None
        return self._take(logged, api, call, lambda: self._reader.read_answer(logged.response))

    def add_read(self, read: ReadCall, codes: TextCodes) -> Iterator[RecordError]:
        """Take in a call that was read elsewhere; yield what is doubtful about it."""
        logged, api, call, answer = read
        return self._take(logged, api, call, lambda: codes.keep_answer(answer))

    def _take(
        self, logged: LoggedCall, api: str, call: Call, read_answer: Callable[[], ReadAnswer]
    ) -> Iterator[RecordError]:
        if logged.call_id is not None and logged.call_id in self._by_id:
            if _is_same(self.rows[self._by_id[logged.call_id]].call, call):
                self.n_duplicates += 1
                return
            self.n_shared_ids += 1
            logged = logged._replace(call_id=None)
        apart = self._waiting.pop(logged.call_id, None) if logged.call_id else None
        if apart is not None:
            logged = _answered(logged, apart)
        found = read_answer() if apart is None else self._reader.read_answer(logged.response)
        call = self._exchange(logged, api, call, found)
        if logged.call_id is not None:
            self._by_id[logged.call_id] = len(self.rows)
        recorded = logged.annotated is not None
        self.n_continued += call.body is not None and _is_continued(self.texts.values[call.body.head])
        run_id = logged.run_id or logged.session_id
        self.rows.append(Row(logged.file, call, logged.agent_id, run_id, recorded))
        if (doubt := found.answer.doubt) is not None:
            yield logged.problem(doubt.reason, doubt.path)

    def answer(self, answer: LoggedAnswer) -> None:
        """Take in the answer of a call, before or after it."""
        number = self._by_id.get(answer.call_id)
        if number is None:
            self._waiting[answer.call_id] = answer
            return
        row = self.rows[number]
        call = row.call
        if call.body is None or call.record.exchange is None:
            return
        found, code = self._reader.read_answer(answer.response)
        exchange = replace(
            call.record.exchange,
            usage=found.usage or call.record.exchange.usage,
            error=answer.error or found.error or call.record.exchange.error,
        )
        record = replace(call.record, exchange=exchange, ended_at=answer.ended_at or call.record.ended_at)
        self.rows[number] = row._replace(call=call._replace(record=record, body=call.body._replace(response=code)))

    def unanswered(self) -> Iterator[RecordError]:
        """Yield a problem for every answer whose request is not in the log."""
        for answer in self._waiting.values():
            yield answer.problem("expected the request of this answer in the log too, got none with its id")

    def finish(self) -> tuple[JsonPool, JsonPool]:
        """Return the pools that the codes of the calls refer to: messages, and other values; no call comes after it."""
        pools = JsonPool(self.texts.messages), JsonPool(self.texts.values)
        self.texts.messages, self.texts.values = {}, []
        self._reader.forget()
        self._exchanges, self._by_id = {}, {}
        return pools

    def _exchange(self, logged: LoggedCall, api: str, call: Call, found: ReadAnswer) -> Call:
        answer, code = found
        exchange = Exchange(
            api=api,
            request=_NOTHING,
            usage=logged.usage or answer.usage,
            error=logged.error or answer.error,
            first_token_at=logged.first_token_at,
            request_id=logged.call_id,
            metadata=logged.metadata or _NOTHING,
            unknown=_NOTHING,
        )
        if not (logged.usage or exchange.first_token_at or exchange.request_id or exchange.metadata):
            exchange = self._shared(exchange)
        model = call.request.model if call.request else None
        record = CallRecord(
            kind="llm",
            name=api,
            started_at=logged.started_at or "",
            ended_at=logged.ended_at,
            model_name=model,
            exchange=exchange if call.body else None,
            unknown=_NOTHING,  # one for all
        )
        body = None if call.body is None else call.body._replace(response=code)
        return call._replace(record=record, body=body)

    def _shared(self, exchange: Exchange) -> Exchange:
        """Return one object for all exchanges that say the same."""
        usage = exchange.usage
        counts = None
        if usage is not None:
            cached = usage.cache_read_tokens, usage.cache_write_tokens, *sorted(usage.cache_writes_by_ttl.items())
            counts = usage.prompt_tokens, usage.output_tokens, cached
        return self._exchanges.setdefault((exchange.api, exchange.error, counts), exchange)


def _is_same(one: Call, other: Call) -> bool:
    return (
        one.tools == other.tools
        and np.array_equal(one.messages, other.messages)
        and (None if one.body is None else one.body.head) == (None if other.body is None else other.body.head)
    )


def _is_continued(head: bytes) -> bool:
    return (b'"previous_response_id"' in head or b'"conversation"' in head) and continues_stored(parse_piece(head)[0])


def _answered(logged: LoggedCall, answer: LoggedAnswer) -> LoggedCall:
    return logged._replace(
        response=answer.response, error=logged.error or answer.error, ended_at=logged.ended_at or answer.ended_at
    )
