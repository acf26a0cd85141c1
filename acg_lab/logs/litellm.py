"""LiteLLM's standard logging payloads: one JSON a call, as its S3, GCS and custom loggers write them.

The payload holds what the application gave to LiteLLM, taken apart into messages and parameters; the body is put
together again, so the order of keys is not the one that was sent. LiteLLM drops an Anthropic ``system`` that is a list
(its issue 36402): where the provider counted more tokens than the logged text can have, the call is refused, since
all that would be learned of it is wrong; else a call without a system prompt says that it may have had one.

Source: LiteLLM 1.110, ``StandardLoggingPayload`` and https://docs.litellm.ai/docs/proxy/logging_spec.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from acg_lab.core.errors import RecordError
from acg_lab.core.records import JsonObject, Usage
from acg_lab.logs.answers import read_usage
from acg_lab.logs.entries import Api, Document, LoggedCall, Note, ReadOptions, Yielded
from acg_lab.logs.log_times import read_time
from acg_lab.logs.rebuild_body import PARTS
from acg_lab.logs.redactions import find_redaction

__all__ = ["is_litellm", "read_litellm", "read_payload"]

PERHAPS_NO_SYSTEM = Note(
    "no system prompt is logged; LiteLLM drops an Anthropic system prompt that is a list (its issue 36402),"
    " so there may have been one"
)
TRANSLATED = Note("LiteLLM translated the request for another provider; the body that the provider saw is not logged")

_DROPPED = (
    "the provider counted {tokens:,} prompt tokens, more than the {n:,} characters logged can have: LiteLLM dropped the"
    " system prompt (its issue 36402); log raw bodies, or give the system prompt as a text"
)
# An Anthropic request with tools gets a system prompt of the provider's own, of up to about 800 tokens.
_HIDDEN_TOKENS = 1_000

_APIS: Mapping[str, Api] = {
    "anthropic_messages": "anthropic",
    "completion": "openai-chat",
    "acompletion": "openai-chat",
    "responses": "openai-responses",
    "aresponses": "openai-responses",
}
# What LiteLLM adds to the parameters for itself.
_OWN = {"metadata", "litellm_metadata", "api_base", "api_key", "base_url", "extra_headers", "user_api_key"}
_LABELS = ("user_api_key_alias", "user_api_key_team_alias", "user_api_key_team_id", "user_api_key_org_id")
_SHOWN = ("api_base", "custom_llm_provider", "model_group", "model_id", "request_tags", "end_user")
_BAD = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def is_litellm(first: Sequence[JsonObject]) -> bool:
    """Return whether the first documents are standard logging payloads, also inside ``standard_logging_object``."""
    payload = first[0].get("standard_logging_object", first[0])
    return isinstance(payload, Mapping) and {"call_type", "model_parameters", "messages"} <= payload.keys()


def read_litellm(documents: Iterable[Document], options: ReadOptions) -> Iterator[Yielded]:
    """Read standard logging payloads to calls.

    Parameters
    ----------
    documents : iterable of Document
        One payload each.
    options : ReadOptions
        ``fields`` may name the agent, such as ``{"agent": "metadata.user_api_key_alias"}``.

    Yields
    ------
    LoggedCall or LogProblem
        Nothing for embeddings, images and other calls without a conversation.
    """
    for document in documents:
        try:
            payload = msgspec.json.decode(document.raw)
        except _BAD as error:
            yield document.problem(f"expected a LiteLLM payload: {error}")
            continue
        if isinstance(payload, dict) and isinstance(payload.get("standard_logging_object"), dict):
            payload = payload["standard_logging_object"]
        if not isinstance(payload, dict) or "call_type" not in payload:
            yield document.problem("expected a LiteLLM payload with a call_type, got another document")
            continue
        yield from read_payload(document, payload, options)


def read_payload(document: Document, payload: JsonObject, options: ReadOptions) -> Iterator[Yielded]:
    """Yield the call of one payload, and what is wrong with it."""
    api = _APIS.get(str(payload["call_type"]))
    if api is None:
        return
    if payload.get("cache_hit") is True:
        yield document.problem("answered from LiteLLM's own cache: the provider never saw this request", "$.cache_hit")
        return
    try:
        body = _body(payload, api)
    except ValueError as error:
        yield document.problem(str(error), "$.messages")
        return
    text = msgspec.json.encode(body)
    usage = None
    try:
        usage = _usage(payload)
    except RecordError as error:
        yield document.problem(error.reason, error.path)
    reason = find_redaction(text) or _find_dropped_system(body, text, api, usage)
    if reason is not None:
        yield document.problem(reason, "$.messages")
        return
    times: dict[str, str | None] = {}
    for name in ("startTime", "completionStartTime", "endTime"):
        try:
            times[name] = read_time(payload[name], f"$.{name}") if payload.get(name) else None
        except RecordError as error:
            times[name] = None
            yield document.problem(error.reason, error.path)
    yield LoggedCall(
        document.file,
        document.line,
        request=text,
        api=api,
        response=_response(payload, api),
        usage=usage,
        started_at=times["startTime"],
        first_token_at=times["completionStartTime"] if payload.get("stream") is True else None,
        ended_at=times["endTime"],
        error=_error(payload),
        call_id=_text(payload.get("litellm_call_id")) or _text(payload.get("id")),
        session_id=_session(payload),
        agent_id=_agent(payload, options),
        metadata=_metadata(payload),
        notes=tuple(_notes(payload, body, api)),
    )


def _body(payload: JsonObject, api: Api) -> dict[str, Any]:
    """Put the body together again."""
    messages = payload.get("messages")
    if isinstance(messages, str) and messages == "redacted-by-litellm":
        msg = "the messages were redacted by LiteLLM; turn off turn_off_message_logging"
        raise ValueError(msg)
    given = payload.get("model_parameters")
    params = {name: value for name, value in given.items() if name not in _OWN} if isinstance(given, dict) else {}
    body: dict[str, Any] = {"model": payload.get("model"), **params}
    if api == "openai-responses" and isinstance(messages, str | list):
        return body | {"input": messages}
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        msg = "expected a list of messages"
        raise ValueError(msg)
    if api == "anthropic" and messages[0].get("role") == "system":
        body["system"] = messages[0].get("content")
        messages = messages[1:]
    return body | {"messages": messages}


def _find_dropped_system(body: JsonObject, text: bytes, api: Api, usage: Usage | None) -> str | None:
    if api != "anthropic" or "system" in body or usage is None or usage.prompt_tokens is None:
        return None
    n_characters = len(text.decode())
    if usage.prompt_tokens <= n_characters + _HIDDEN_TOKENS:
        return None
    return _DROPPED.format(tokens=usage.prompt_tokens, n=n_characters)


def _notes(payload: JsonObject, body: JsonObject, api: Api) -> Iterator[Note]:
    yield PARTS
    if api == "anthropic" and "system" not in body:
        yield PERHAPS_NO_SYSTEM
    provider = payload.get("custom_llm_provider")
    if api == "openai-chat" and provider not in (None, "", "openai", "azure"):
        yield TRANSLATED


def _response(payload: JsonObject, api: Api) -> bytes | None:
    """Return the answer where it is in the form of its API; LiteLLM turns those of Anthropic into OpenAI's."""
    response = payload.get("response")
    if not isinstance(response, dict) or payload.get("status") == "failure":
        return None
    if (api == "anthropic") != (response.get("type") == "message"):
        return None
    return msgspec.json.encode(response)


def _usage(payload: JsonObject) -> Usage | None:
    """Return LiteLLM's usage in common terms: its prompt tokens are the whole prompt for every provider.

    Input tokens are what the provider's own API calls so.
    """
    metadata, response = payload.get("metadata"), payload.get("response")
    raw = metadata.get("usage_object") if isinstance(metadata, dict) else None
    if not isinstance(raw, dict):
        raw = response.get("usage") if isinstance(response, dict) else None
    if not isinstance(raw, dict) or not raw:
        return None
    if "prompt_tokens" not in raw:
        return read_usage(raw)
    details = raw.get("prompt_tokens_details")
    details = details if isinstance(details, dict) else {}
    ttls = details.get("cache_creation_token_details")
    counts = raw | details  # versions of LiteLLM state them among the details, beside them, or both
    return Usage(
        prompt_tokens=_count(raw, "prompt_tokens"),
        cache_read_tokens=_count(counts, "cached_tokens", "cache_read_input_tokens"),
        cache_write_tokens=_count(counts, "cache_creation_tokens", "cache_write_tokens", "cache_creation_input_tokens"),
        cache_writes_by_ttl=_by_ttl(ttls) if isinstance(ttls, dict) else {},
        output_tokens=_count(raw, "completion_tokens"),
        raw=raw,
    )


def _by_ttl(details: JsonObject) -> dict[str, int]:
    names = {ttl: f"ephemeral_{ttl}_input_tokens" for ttl in ("5m", "30m", "1h", "12h")}
    return {ttl: count for ttl, name in names.items() if (count := _count(details, name)) is not None}


def _count(raw: JsonObject, *names: str) -> int | None:
    values = (raw.get(name) for name in names)
    counts = (value for value in values if isinstance(value, int) and not isinstance(value, bool) and value >= 0)
    return next(counts, None)


def _error(payload: JsonObject) -> str | None:
    if payload.get("status") != "failure":
        return None
    information = payload.get("error_information")
    information = information if isinstance(information, dict) else {}
    named = [_text(information.get(name)) for name in ("error_code", "error_class")]
    return " ".join(filter(None, named)) or "failure"


def _session(payload: JsonObject) -> str | None:
    """Return the session; else the trace, where the application named it: LiteLLM's own are one per call."""
    trace = _text(payload.get("trace_id"))
    own = (payload.get("litellm_call_id"), payload.get("id"))
    return _text(payload.get("session_id")) or (trace if trace not in own and not _is_uuid(trace) else None)


def _is_uuid(text: str | None) -> bool:
    return text is not None and len(text) == 36 and text.count("-") == 4  # noqa: PLR2004  the form of a UUID


def _agent(payload: JsonObject, options: ReadOptions) -> str | None:
    path = options.fields.get("agent")
    if path is not None:
        return _text(_look_up(payload, path))
    metadata = payload.get("metadata")
    return _text(metadata.get("agent_id")) if isinstance(metadata, dict) else None


def _look_up(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _metadata(payload: JsonObject) -> dict[str, Any]:
    inner = payload.get("metadata")
    inner = inner if isinstance(inner, dict) else {}
    return {name: payload[name] for name in _SHOWN if payload.get(name)} | {
        name: inner[name] for name in _LABELS if inner.get(name)
    }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
