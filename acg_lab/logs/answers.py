"""What a provider answered, whole or streamed: its usage in common terms, and why there is none.

A usage is read by the meaning of the API that wrote it, which its field names show: Anthropic's ``input_tokens`` is the
uncached rest, OpenAI's includes what was read from the cache (`acg_lab/docs/providers.md`, usage fields). Counts that
contradict each other are not used; the raw fields are kept.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from acg_lab.core.errors import RecordError
from acg_lab.core.records import Json, JsonObject, Usage

__all__ = ["Answer", "read_answer", "read_usage"]

_MOST_TOKENS = 10**9  # no prompt has more
_is_number = re.compile(r"-?[0-9]{1,19}").fullmatch


class Answer(NamedTuple):
    """One answer.

    Attributes
    ----------
    response : JSON object or None
        A streamed one without its texts: id, model, stop reason and usage.
    usage : Usage or None
    error : str or None
        Type or status of the error that came instead; never its message.
    doubt : RecordError or None
        What is wrong with the usage, with its path.
    """

    response: JsonObject | None = None
    usage: Usage | None = None
    error: str | None = None
    doubt: RecordError | None = None


def read_answer(response: Json) -> Answer:
    """Read an answer: one object, the list of its streamed events, or the text of the stream.

    Examples
    --------
    >>> read_answer({"id": "msg_1", "usage": {"input_tokens": 7, "cache_read_input_tokens": 2048}}).usage.prompt_tokens
    2055
    """
    if isinstance(response, str):
        response = list(_events_of_text(response))
    if isinstance(response, list):
        response = _merge(event for event in map(_unwrap, response) if event)
    if not isinstance(response, dict):
        return Answer()
    if (error := _error(response)) is not None:
        return Answer(response, error=error)
    usage = response.get("usage")
    if not isinstance(usage, dict):
        return Answer(response)
    try:
        return Answer(response, read_usage(usage))
    except RecordError as wrong:
        return Answer(response, Usage(raw=usage), doubt=wrong)


def _error(response: JsonObject) -> str | None:
    error = response.get("error")
    if not error:
        return None
    if isinstance(error, dict):
        name = error.get("type") or error.get("code") or error.get("status")
        return str(name)[:80] if isinstance(name, str | int) else "error"
    return "error"


# --- streams ---


def _events_of_text(text: str) -> Iterator[Json]:
    """Yield the JSON events of the text of a stream, as server-sent events or one per line."""
    for line in text.splitlines():
        data = line.removeprefix("data:").strip()
        if data.startswith("{"):
            try:
                yield msgspec.json.decode(data)
            except msgspec.MsgspecError:
                continue


def _unwrap(event: Json) -> JsonObject:
    """Return the data of an event, which logs keep as it is, as text, or beside the event's name."""
    if isinstance(event, str):
        return next(_events_of_text(event), {})
    if isinstance(event, dict) and "data" in event and "choices" not in event:
        return _unwrap(event["data"])
    return event if isinstance(event, dict) else {}


def _merge(events: Iterable[JsonObject]) -> dict[str, Any]:
    """Merge the events of a stream into one answer, without its texts."""
    merged: dict[str, Any] = {}
    usage: dict[str, Any] = {}
    for event in events:
        # Anthropic's first event and OpenAI Responses' last one hold the answer; Chat's chunks are each like one.
        inner = event.get("message") if event.get("type") == "message_start" else event.get("response")
        answer = inner if isinstance(inner, dict) else event
        merged |= {name: answer[name] for name in ("id", "model", "service_tier") if isinstance(answer.get(name), str)}
        if answer.get("error"):
            merged["error"] = answer["error"]
        delta = event.get("delta")
        if isinstance(delta, dict) and isinstance(delta.get("stop_reason"), str):
            merged["stop_reason"] = delta["stop_reason"]
        if isinstance(found := answer.get("usage"), dict):
            usage |= {name: value for name, value in found.items() if value is not None}
    return merged | {"usage": usage} if usage else merged


# --- usage ---


def read_usage(raw: JsonObject) -> Usage:
    """Return a provider's usage in common terms.

    Parameters
    ----------
    raw : mapping
        The provider's own fields, kept in ``raw`` of the result.

    Raises
    ------
    RecordError
        If a count is not one, or more was read and written than the prompt has.
    """
    if "prompt_tokens" in raw or "completion_tokens" in raw:
        found = _openai(raw, "prompt_tokens", "completion_tokens")
    elif "inputTokens" in raw:
        found = _bedrock(raw)
    elif _is_anthropic(raw):
        found = _anthropic(raw)
    else:
        found = _openai(raw, "input_tokens", "output_tokens")
    usage = msgspec.structs.replace(found, raw=raw)
    cached = (usage.cache_read_tokens or 0) + (usage.cache_write_tokens or 0)
    if usage.prompt_tokens is not None and cached > usage.prompt_tokens:
        most = f"{usage.prompt_tokens:,} tokens read and written, as the prompt has"
        msg = f"expected at most {most}, got {cached:,}; the usage is not used"
        raise RecordError(msg, path="$.usage")
    return usage


def _is_anthropic(raw: JsonObject) -> bool:
    return any(
        name in raw for name in ("cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation")
    ) or ("input_tokens" in raw and "total_tokens" not in raw and "input_tokens_details" not in raw)


def _anthropic(raw: JsonObject) -> Usage:
    uncached, read = _count(raw, "input_tokens"), _count(raw, "cache_read_input_tokens")
    by_ttl = _by_ttl(raw.get("cache_creation"), {"5m": "ephemeral_5m_input_tokens", "1h": "ephemeral_1h_input_tokens"})
    written = _count(raw, "cache_creation_input_tokens")
    if written is None and by_ttl:
        written = sum(by_ttl.values())
    return Usage(
        prompt_tokens=None if uncached is None else uncached + (read or 0) + (written or 0),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_writes_by_ttl=by_ttl,
        output_tokens=_count(raw, "output_tokens"),
    )


def _openai(raw: JsonObject, prompt: str, output: str) -> Usage:
    details = _object(raw.get(f"{prompt}_details"))
    read = _first(_count(details, "cached_tokens"), _count(raw, "prompt_cache_hit_tokens"))
    written = _first(_count(details, "cache_write_tokens"), _count(raw, "cache_write_tokens"))
    names = {"30m": "ttl_30m_tokens", "12h": "ttl_12h_tokens"}
    by_ttl = _by_ttl(details.get("cache_write_tokens_details") or raw.get("cache_write_tokens_details"), names)
    # A proxy in front of Anthropic keeps that API's names beside the whole prompt.
    read = _first(read, _count(raw, "cache_read_input_tokens"))
    written = _first(written, _count(raw, "cache_creation_input_tokens"), sum(by_ttl.values()) if by_ttl else None)
    return Usage(
        prompt_tokens=_count(raw, prompt),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_writes_by_ttl=by_ttl,
        output_tokens=_count(raw, output),
    )


def _bedrock(raw: JsonObject) -> Usage:
    uncached, read = _count(raw, "inputTokens"), _count(raw, "cacheReadInputTokens")
    written = _count(raw, "cacheWriteInputTokens")
    return Usage(
        prompt_tokens=None if uncached is None else uncached + (read or 0) + (written or 0),
        cache_read_tokens=read,
        cache_write_tokens=written,
        output_tokens=_count(raw, "outputTokens"),
    )


def _by_ttl(details: Json, names: Mapping[str, str]) -> dict[str, int]:
    counts = {ttl: _count(_object(details), name) for ttl, name in names.items()}
    return {ttl: count for ttl, count in counts.items() if count is not None}


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _first(*counts: int | None) -> int | None:
    return next((count for count in counts if count is not None), None)


def _count(raw: JsonObject, name: str) -> int | None:
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, str) and _is_number(value):  # as tables and traces keep counts
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS:
        return value
    came = type(value).__name__
    if isinstance(value, int | float) and not isinstance(value, bool) and (value < 0 or value > _MOST_TOKENS):
        came = "a negative number" if value < 0 else f"more than {_MOST_TOKENS:,}"
    msg = f"expected a count of tokens, got {came}; the usage is not used"
    raise RecordError(msg, path=f"$.usage.{name}")
