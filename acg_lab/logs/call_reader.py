"""Calls of a log by themselves: their bodies and answers become codes of texts, whatever else the log says of them.

A request costs a look-up per message, however long its conversation is.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from msgspec.structs import replace

from acg_lab.core.records import CallRecord, Json
from acg_lab.logs.answers import Answer, read_answer
from acg_lab.logs.body_reader import BodyReader, TextPools, as_it_is
from acg_lab.logs.entries import Api, LoggedCall
from acg_lab.logs.json_pieces import parse_piece, print_json, split_list, split_object
from acg_lab.logs.normalize import CODECS, detect_api
from acg_lab.storage.limits import DEFAULT_LIMITS, Limits
from acg_lab.storage.recorded_runs import Call

__all__ = ["CallReader", "ReadAnswer"]

_LOOKED_AT: Final = 8  # messages that can tell the API, where nothing else does
_NOTHING: Final[Mapping[str, Json]] = {}
_NULL: Final = b"null"
_NEVER_NULL: Final = ("tools", "system")
_NO_RECORD: Final = CallRecord(kind="llm", name="", started_at="")


class ReadAnswer(NamedTuple):
    """What a provider answered, without its text and the raw usage in it: their code among the values, -1 for none."""

    answer: Answer
    response: int


class CallReader:
    """Reads calls.

    Attributes
    ----------
    texts : TextPools
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self.texts = TextPools()
        self._readers = {api: BodyReader(codec, self.texts, refuses_redacted=True) for api, codec in CODECS.items()}
        # Where the log has the annotated request too, nothing is made of the body as sent.
        self._as_sent = {api: BodyReader(as_it_is(codec.items), self.texts) for api, codec in CODECS.items()}
        self._recorded = BodyReader(as_it_is("messages"), self.texts)
        self._first_tools: dict[bytes, list[Json]] = {}

    def read(self, logged: LoggedCall) -> tuple[str, Call]:
        """Return the API of a call, empty where nobody knows it, and its requests as codes.

        Raises
        ------
        RecordError
            If it can't be read.
        """
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

    def read_answer(self, raw: bytes | None) -> ReadAnswer:
        """Return what the text of an answer says."""
        if raw is None or raw == _NULL:
            return ReadAnswer(Answer(), -1)
        value, printed = parse_piece(raw)
        found = read_answer(value)
        if found.response is None:
            return ReadAnswer(found, -1)
        code = self.texts.add_value(printed if found.response is value else print_json(found.response))
        # The raw usage stands in the response, which is kept.
        usage = found.usage and replace(found.usage, raw=_NOTHING)
        return ReadAnswer(found._replace(response=None, usage=usage), code)

    def forget(self) -> None:
        """Drop what was read; the codes stay good."""
        for reader in (*self._readers.values(), *self._as_sent.values(), self._recorded):
            reader.forget()
        self._first_tools = {}

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


def _items(raw: bytes) -> list[bytes]:
    return split_list(raw) if raw[:1] == b"[" else []
