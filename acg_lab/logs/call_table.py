"""Calls of a log as columns: every distinct message, tool list and head of a body is read once and held once.

A request costs a look-up per message, however long its conversation is. What can't be read is a `LogProblem` of its
line, with the path inside the body; the other calls do not notice.
"""

from collections.abc import Hashable, Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
from msgspec.structs import replace

from acg_lab.core.errors import RecordError
from acg_lab.core.records import CallRecord, Exchange, Json, continues_stored
from acg_lab.logs.answers import Answer, read_answer
from acg_lab.logs.body_reader import BodyReader, TextPools, as_it_is
from acg_lab.logs.entries import Api, LoggedAnswer, LoggedCall
from acg_lab.logs.json_pieces import parse_piece, print_json, split_list, split_object
from acg_lab.logs.normalize import CODECS, detect_api
from acg_lab.storage.lazy import JsonPool
from acg_lab.storage.limits import DEFAULT_LIMITS, Limits
from acg_lab.storage.recorded_runs import Call

__all__ = ["CallTable", "Row"]

_LOOKED_AT: Final = 8  # messages that can tell the API, where nothing else does
_NOTHING: Final[Mapping[str, Json]] = {}
_NULL: Final = b"null"
_NEVER_NULL: Final = ("tools", "system")
_NO_RECORD: Final = CallRecord(kind="llm", name="", started_at="")


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
        self._limits = limits
        self.rows: list[Row] = []
        self.texts = TextPools()
        self.n_duplicates = self.n_shared_ids = self.n_continued = 0
        self._readers = {api: BodyReader(codec, self.texts, refuses_redacted=True) for api, codec in CODECS.items()}
        # Where the log has the annotated request too, nothing is made of the body as sent.
        self._as_sent = {api: BodyReader(as_it_is(codec.items), self.texts) for api, codec in CODECS.items()}
        self._recorded = BodyReader(as_it_is("messages"), self.texts)
        self._first_tools: dict[bytes, list[Json]] = {}
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
            api, call = self._read(logged)
        except RecordError as error:
            raise logged.problem(error.reason, error.path) from None
        if logged.call_id is not None and logged.call_id in self._by_id:
            if _is_same(self.rows[self._by_id[logged.call_id]].call, call):
                self.n_duplicates += 1
                return
            self.n_shared_ids += 1
            logged = logged._replace(call_id=None)
        answer = self._waiting.pop(logged.call_id, None) if logged.call_id else None
        logged = logged if answer is None else _answered(logged, answer)
        call, doubts = self._exchange(logged, api, call)
        if logged.call_id is not None:
            self._by_id[logged.call_id] = len(self.rows)
        recorded = logged.annotated is not None
        self.n_continued += call.body is not None and _is_continued(self.texts.values[call.body.head])
        run_id = logged.run_id or logged.session_id
        self.rows.append(Row(logged.file, call, logged.agent_id, run_id, recorded))
        yield from (logged.problem(doubt.reason, doubt.path) for doubt in doubts)

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
        found, code = self._answer(answer.response)
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
        for reader in (*self._readers.values(), *self._as_sent.values(), self._recorded):
            reader.forget()
        self._exchanges, self._first_tools, self._by_id = {}, {}, {}
        return pools

    # --- requests ---

    def _read(self, logged: LoggedCall) -> tuple[str, Call]:
        api: str = logged.api or ""
        body, call = None, Call(_NO_RECORD)
        if logged.request is not None:
            pieces = split_object(logged.request) if logged.pieces is None else logged.pieces
            if logged.annotated is None:
                # A client that logs its parameters writes null for what it did not send; the codecs refuse it here.
                pieces = {name: raw for name, raw in pieces.items() if raw != _NULL or name not in _NEVER_NULL}
            known = logged.api or self._detect(pieces)
            readers = self._readers if logged.annotated is None else self._as_sent
            api, (body, call) = known, readers[known].read(pieces)
        if logged.annotated is not None:
            _, call = self._recorded.read(split_object(logged.annotated))
        n_items = max(len(call.messages), 0 if body is None else len(body.items))
        self._limits.check_blocks(n_items, "messages")
        return api, (call if logged.is_learned else Call(_NO_RECORD))._replace(body=body)

    def _detect(self, pieces: Mapping[str, bytes]) -> Api:
        keys: dict[str, Json] = dict.fromkeys(name for name, raw in pieces.items() if raw != _NULL)
        keys["model"] = parse_piece(pieces["model"])[0] if "model" in pieces else None
        tools = pieces.get("tools", b"")
        first = self._first_tools.get(tools)
        if first is None:
            first = self._first_tools[tools] = [parse_piece(item)[0] for item in _items(tools)[:1]]
        return detect_api(
            keys, first, (parse_piece(item)[0] for item in _items(pieces.get("messages", b""))[:_LOOKED_AT])
        )

    # --- answers ---

    def _exchange(self, logged: LoggedCall, api: str, call: Call) -> tuple[Call, list[RecordError]]:
        answer, code = self._answer(logged.response)
        # The raw usage stands in the response, which is kept.
        usage = logged.usage or (answer.usage and replace(answer.usage, raw=_NOTHING))
        exchange = Exchange(
            api=api,
            request=_NOTHING,
            usage=usage,
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
        return call._replace(record=record, body=body), [answer.doubt] if answer.doubt else []

    def _shared(self, exchange: Exchange) -> Exchange:
        """Return one object for all exchanges that say the same."""
        usage = exchange.usage
        counts = None
        if usage is not None:
            cached = usage.cache_read_tokens, usage.cache_write_tokens, *sorted(usage.cache_writes_by_ttl.items())
            counts = usage.prompt_tokens, usage.output_tokens, cached
        return self._exchanges.setdefault((exchange.api, exchange.error, counts), exchange)

    def _answer(self, raw: bytes | None) -> tuple[Answer, int]:
        if raw is None or raw == _NULL:
            return Answer(), -1
        value, printed = parse_piece(raw)
        answer = read_answer(value)
        if answer.response is None:
            return answer, -1
        return answer, self.texts.add_value(printed if answer.response is value else print_json(answer.response))


def _is_same(one: Call, other: Call) -> bool:
    return (
        one.tools == other.tools
        and np.array_equal(one.messages, other.messages)
        and (None if one.body is None else one.body.head) == (None if other.body is None else other.body.head)
    )


def _is_continued(head: bytes) -> bool:
    return (b'"previous_response_id"' in head or b'"conversation"' in head) and continues_stored(parse_piece(head)[0])


def _items(raw: bytes) -> list[bytes]:
    return split_list(raw) if raw[:1] == b"[" else []


def _answered(logged: LoggedCall, answer: LoggedAnswer) -> LoggedCall:
    return logged._replace(
        response=answer.response, error=logged.error or answer.error, ended_at=logged.ended_at or answer.ended_at
    )
