"""Raw provider bodies: a line is a request body, or an object that holds one beside its answer, times and ids.

Also what batch interfaces take and give, where answers stand in lines of their own (OpenAI: ``custom_id``, ``url``,
``body``; Anthropic: ``custom_id``, ``params``), and folders of bodies, one a file.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from acg_lab.core.codec import parse_time
from acg_lab.core.errors import RecordError
from acg_lab.core.records import JsonObject, Usage
from acg_lab.logs.answers import read_usage
from acg_lab.logs.body_files import BodyFiles, is_body_file
from acg_lab.logs.entries import Api, Document, LoggedAnswer, LoggedCall, LogProblem, Note, ReadOptions, Yielded
from acg_lab.logs.json_pieces import parse_piece, split_object
from acg_lab.logs.log_times import lacks_zone
from acg_lab.logs.raw_fields import FIELD_NAMES, LineFields
from acg_lab.storage.times import render_time

__all__ = ["is_raw", "read_raw"]

_URLS: Mapping[str, Api] = {
    "/messages": "anthropic",
    "/chat/completions": "openai-chat",
    "/responses": "openai-responses",
}
# Requests that no chat model answers, or that only count tokens: they look like a chat's body, and nothing is cached.
_OTHER_URLS: Final = ("/embeddings", "/moderations", "/count_tokens", "/input_tokens", "/rerank", "/images/generations")
_other_model = re.compile(r"embed|moderation|rerank", re.IGNORECASE).search
_NO_ZONE: Final = Note("a time without a zone, taken as UTC")
_FAILED: Final = 400
_MILLISECOND: Final = 10**6


def is_raw(first: Sequence[JsonObject]) -> bool:
    """Whether the first documents of a file are bodies, or objects that hold them or answers to them."""
    tests = _is_body, _holds_body, _is_answer
    return any(test(document) for document in first for test in tests)


def _is_body(value: object) -> bool:
    return isinstance(value, dict) and (
        isinstance(value.get("messages"), list) or ("input" in value and "model" in value)
    )


def _holds_body(document: JsonObject) -> bool:
    found = (document.get(name) for name in FIELD_NAMES["request"])
    return any(_is_body(value) or (isinstance(value, dict) and _is_body(value.get("body"))) for value in found) or any(
        isinstance(document.get(name), str) and '"messages"' in document[name] for name in FIELD_NAMES["request"]
    )


def _is_answer(document: JsonObject) -> bool:
    """Whether it is a line of a batch's answers, or an answer in a file of its own."""
    if "custom_id" in document:
        return "response" in document or "result" in document
    return document.get("type") == "message" and document.get("role") == "assistant"


def read_raw(documents: Iterable[Document], options: ReadOptions) -> Iterator[Yielded]:
    """Yield the calls of raw bodies, and the answers that stand apart from them."""
    files = BodyFiles()
    for document in documents:
        try:
            yield from files.read(document) if is_body_file(document.file) else _read(document, options)
        except RecordError as error:
            yield document.problem(error.reason, error.path)
    yield from files.answers()


def _read(document: Document, options: ReadOptions) -> Iterator[Yielded]:
    pieces = split_object(document.raw)
    if any(pieces.get(name, b"")[:1] == b"[" for name in ("messages", "input")) or _is_text_input(pieces):
        yield from _read_bare(document, pieces, options)
        return
    problems: list[LogProblem] = []
    fields = LineFields(pieces, options.fields)
    request, api = _find_body(fields, pieces)
    if request is not None:
        yield _call(document, fields, request, options.api or api, problems)
    elif (call_id := fields.text("call")) and fields.raw("response"):
        response, error = _find_response(fields)
        yield LoggedAnswer(document.file, document.line, call_id, response, error)
    elif fields.raw("response"):
        problems.append(document.problem("expected a request with this answer, got none"))
    elif pieces:
        problems.append(document.problem(f"expected a request body, or an object that holds one; got {_keys(pieces)}"))
    else:
        problems.append(document.problem("expected a request body, got an empty object"))
    yield from problems


def _is_text_input(pieces: Mapping[str, bytes]) -> bool:
    return pieces.get("input", b"")[:1] == b'"' and "model" in pieces


def _keys(pieces: Mapping[str, bytes]) -> str:
    names = ", ".join(sorted(pieces)[:6])
    return f"one with {names}{', ...' if len(pieces) > len(names.split(', ')) else ''}"


def _read_bare(document: Document, pieces: Mapping[str, bytes], options: ReadOptions) -> Iterator[Yielded]:
    _refuse_other_requests(pieces, None)
    call = LoggedCall(document.file, document.line, document.raw, options.api, pieces=pieces)
    if options.fields:
        fields = LineFields(pieces, options.fields)
        problems: list[LogProblem] = []
        started = fields.time("started", _noting(document, problems))[0] if "started" in options.fields else None
        agent, session, run, own_id = (_named(fields, options, name) for name in ("agent", "session", "run", "call"))
        call = call._replace(agent_id=agent, session_id=session, run_id=run, call_id=own_id, started_at=started)
        yield from problems
    yield call


def _named(fields: LineFields, options: ReadOptions, name: str) -> str | None:
    """Return a field that the caller named; in a bare body the usual names mean other things."""
    return fields.text(name) if name in options.fields else None


def _find_body(fields: LineFields, pieces: Mapping[str, bytes]) -> tuple[bytes | None, Api | None]:
    """Return the text of the request body in a line, and the API if the address of the request says so."""
    raw = _as_object(fields.raw("request"))
    if raw is None:
        return None, None
    inner = split_object(raw)
    url = inner.get("url") or pieces.get("url") or pieces.get("endpoint") or pieces.get("path")
    if "messages" not in inner and "input" not in inner and (body := _as_object(inner.get("body"))) is not None:
        raw = body
        inner = split_object(raw)
    _refuse_other_requests(inner, url)
    return raw, _api_of(url)


def _refuse_other_requests(body: Mapping[str, bytes], url: bytes | None) -> None:
    """Raise RecordError for requests that are not of a chat: embeddings, moderation, counting of tokens."""
    address = _address(url)
    if ending := next((ending for ending in _OTHER_URLS if address.endswith(ending)), None):
        msg = f"expected a request to a chat model, got one to '...{ending}'"
        raise RecordError(msg)
    # A list of messages is a chat, whatever its model is called.
    if "messages" not in body and "model" in body and _other_model(str(parse_piece(body["model"])[0])):
        msg = "expected a request to a chat model, got one to a model for embeddings, moderation or ranking"
        raise RecordError(msg, path="$.model")


def _as_object(raw: bytes | None) -> bytes | None:
    """Return the text of an object, also one that is kept as JSON in a text; None for anything else."""
    if raw is not None and raw[:1] == b'"':
        raw = str(parse_piece(raw)[0]).strip().encode()
    return raw if raw is not None and raw[:1] == b"{" else None


def _api_of(url: bytes | None) -> Api | None:
    address = _address(url)
    return next((api for ending, api in _URLS.items() if address.endswith(ending)), None)


def _address(url: bytes | None) -> str:
    return str(parse_piece(url)[0]).partition("?")[0].rstrip("/") if url else ""


def _find_response(fields: LineFields) -> tuple[bytes | None, str | None]:
    """Return the text of the answer in a line, and what the envelope of a batch says went wrong."""
    raw = fields.raw("response")
    if raw is None or raw[:1] != b"{":
        return raw, None
    inner = split_object(raw)
    if "status_code" in inner and "body" in inner:
        status = parse_piece(inner["status_code"])[0]
        return inner["body"], f"status {status}" if isinstance(status, int) and status >= _FAILED else None
    if "message" in inner and "type" in inner and "role" not in inner:
        return inner["message"], None
    if inner.get("type") in (b'"errored"', b'"expired"', b'"canceled"'):
        return None, str(parse_piece(inner["type"])[0])
    return raw, None


def _call(
    document: Document, fields: LineFields, request: bytes, api: Api | None, problems: list[LogProblem]
) -> LoggedCall:
    note = _noting(document, problems)
    started, spelled = fields.time("started", note)
    ended, _ = fields.time("ended", note)
    duration = fields.value("duration_ms")
    if started and ended is None and isinstance(duration, int | float) and duration >= 0:
        ended = render_time(parse_time(started) + int(duration * _MILLISECOND))
    if started and ended and parse_time(ended) < parse_time(started):
        note(RecordError("expected an end not before the start; the end is left out", path="$"))
        ended = None
    response, error = _find_response(fields)
    return LoggedCall(
        document.file,
        document.line,
        request,
        api,
        response=response,
        usage=_usage(fields, note),
        started_at=started,
        first_token_at=fields.time("first_token", note)[0],
        ended_at=ended,
        error=error or _error(fields),
        call_id=fields.text("call"),
        run_id=fields.text("run"),
        session_id=fields.text("session"),
        agent_id=fields.text("agent"),
        metadata=fields.metadata(),
        notes=(_NO_ZONE,) if lacks_zone(spelled) else (),
    )


def _noting(document: Document, problems: list[LogProblem]) -> Callable[[RecordError], None]:
    return lambda error: problems.append(document.problem(error.reason, error.path))


def _usage(fields: LineFields, note: Callable[[RecordError], None]) -> Usage | None:
    usage = fields.value("usage")
    if not isinstance(usage, dict):
        return None
    try:
        return read_usage(usage)
    except RecordError as error:
        note(error)
        return None


def _error(fields: LineFields) -> str | None:
    """Return the type of an error, or the status of a failed request; never a message."""
    error = fields.value("error")
    if isinstance(error, dict):
        found = error.get("type") or error.get("code") or "error"
        return str(found)[:80]
    if error:
        return "error"
    status = fields.value("status")
    return f"status {status}" if isinstance(status, int) and status >= _FAILED else None
