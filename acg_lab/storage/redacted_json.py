"""Which values of requests, responses and calls stay in a redacted export: those that decide what a cache does.

The tables name each field that stays, and what it holds. Everything else is data: its texts, its numbers, and the keys
of its objects become pseudonyms.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from acg_lab.storage.pseudonyms import Pseudonyms

__all__ = ["FIELDS", "JsonRedactor"]

# The words of APIs: roles, types, efforts, states. Any other word is data.
_WORDS: Final = frozenset(
    {
        *("system", "developer", "user", "assistant", "tool", "function", "message", "custom", "provider_native"),
        *("text", "input_text", "output_text", "summary_text", "reasoning_text", "refusal", "reasoning", "thinking"),
        *("redacted_thinking", "image", "image_url", "input_image", "audio", "input_audio", "file", "input_file"),
        *("document", "video", "base64", "url", "content", "tool_use", "tool_result", "tool_call", "function_call"),
        *("function_call_output", "custom_tool_call", "custom_tool_call_output", "item_reference", "server_tool_use"),
        *("web_search", "web_search_preview", "web_search_call", "web_search_tool_result", "web_fetch_tool_result"),
        *("code_execution_tool_result", "mcp", "mcp_tool_use", "mcp_tool_result", "file_search", "code_interpreter"),
        *("ephemeral", "persistent", "auto", "any", "none", "required", "default", "enabled", "disabled", "adaptive"),
        *("minimal", "low", "medium", "high", "xhigh", "max", "original", "standard", "fast", "flex", "priority"),
        *("scale", "batch", "standard_only", "explicit", "implicit", "concise", "detailed", "in_memory", "in-memory"),
        *("json_schema", "json_object", "stop", "length", "tool_calls", "content_filter", "end_turn", "max_tokens"),
        *("stop_sequence", "pause_turn", "completed", "in_progress", "incomplete", "failed", "response", "object"),
        *("chat.completion", "anthropic", "anthropic_messages", "openai-chat", "openai_chat", "openai-responses"),
        "openai_responses",
    }
)
_is_reason: Final = re.compile("[a-z_]{1,48}").fullmatch  # of a miss, by the provider itself
# A tool of the provider with its date; a lifetime.
_is_dated: Final = re.compile(
    r"(?:bash|computer|text_editor|memory|web_search|web_fetch|code_execution|web_search_preview)_[0-9_]{8,10}"
    r"|[1-9][0-9]{0,3}[smh]"
).fullmatch
_TEXT_PARTS: Final = ("text", "refusal", "input_text", "output_text")


def _same(kind: str, *names: str) -> Mapping[str, str]:
    return dict.fromkeys(names, kind)


_MARK: Final = _same("mark", "cache_control", "cacheControl", "prompt_cache_breakpoint", "cachePoint", "cache_point")
_OPTIONS: Final = _same("options", "providerOptions", "provider_options")
_SETTINGS: Final = {
    **_same("word", "type", "effort", "verbosity", "mode", "ttl", "summary", "speed"),
    **_same("count", "budget_tokens"),
    "prewarm": "flag",
    "format": "format",
}
_FUNCTION: Final = {**_MARK, **_same("data", "name", "description", "arguments", "parameters"), "strict": "flag"}
_CALL: Final = {
    **_MARK,
    **_OPTIONS,
    **_same("word", "type", "role", "status"),
    **_same("data", "id", "name", "arguments", "input", "call_id"),
    "function": "function",
    "index": "data",
}
_TOOL: Final = {
    **_CALL,
    **_same("data", "description", "input_schema", "parameters", "provider", "kind", "value"),
    **_same("flag", "strict", "defer_loading"),
    "max_uses": "count",
}
_PART: Final = {
    **_CALL,
    **_same("data", "tool_use_id", "thinking", "signature", "data", "encrypted_content", "summary", "title", "context"),
    **_same("data", "image", "audio", "file", "input_audio", "provider", "kind", "value", "citations"),
    **_same("word", "detail"),
    **_same("media", "image_url", "source"),
    "is_error": "flag",
}
_MESSAGE: Final = {
    **_CALL,
    **_same("data", "tool_call_id", "reasoning_content", "encrypted_content", "summary", "provider", "kind"),
    "content": "content",
    "refusal": "plain",
    "output": "result",
    "tool_calls": "list call",
    "function_call": "function",
    "value": "message",
}
_TOKENS: Final = (
    *("input_tokens", "output_tokens", "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens"),
    *("reasoning_tokens", "audio_tokens", "text_tokens", "image_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("uncached_input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation"),
    *("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens", "prompt_tokens_details", "completion_tokens_details"),
    *("input_tokens_details", "output_tokens_details", "accepted_prediction_tokens", "rejected_prediction_tokens"),
    *("prompt_cache_hit_tokens", "prompt_cache_miss_tokens", "cacheReadInputTokens", "cacheWriteInputTokens"),
    *("promptTokenCount", "cachedContentTokenCount", "candidatesTokenCount", "totalTokenCount", "inputTokens"),
    *("outputTokens", "totalTokens", "server_tool_use", "web_search_requests"),
)
_DIAGNOSES: Final = _same("diagnosis", "diagnostics", "prompt_cache_diagnostics")

# By kind of object: its fields, and the kind of each.
FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    "message": _MESSAGE,
    "tool": _TOOL,
    "call": _CALL,
    "function": _FUNCTION,
    "mark": _same("word", "type", "ttl"),
    "media": {**_same("word", "type", "media_type", "detail"), **_same("data", "url", "data", "file_id")},
    "format": {**_same("word", "type"), **_same("data", "name", "schema", "json_schema"), "strict": "flag"},
    "settings": _SETTINGS,
    "choice": {**_CALL, "disable_parallel_tool_use": "flag"},
    "usage": {**_same("usage", *_TOKENS), **_same("word", "service_tier")},
    "diagnosis": {"type": "reason", "cache_miss_reason": "diagnosis"},
    "body": {
        **_same("count", "max_tokens", "max_completion_tokens", "max_output_tokens", "temperature", "top_p", "top_k"),
        **_same("count", "n", "seed", "presence_penalty", "frequency_penalty"),
        **_same("flag", "stream", "store", "prewarm", "parallel_tool_calls", "logprobs", "background"),
        **_same("word", "speed", "service_tier", "verbosity", "reasoning_effort", "prompt_cache_retention", "api"),
        **_same("data", "user", "metadata", "stop", "include", "prompt_cache_key", "previous_response_id"),
        **_same("data", "conversation"),
        **_same("settings", "prompt_cache_options", "thinking", "text", "reasoning", "output_config"),
        **_same("format", "response_format", "output_format"),
        **_same("content", "instructions", "system"),
        **_same("messages", "messages", "input"),
        "cache_control": "mark",
        "model": "kept",
        "tools": "list tool",
        "tool_choice": "choice",
        "api_specific": "body",
    },
    "response": {
        **_MESSAGE,
        **_DIAGNOSES,
        **_same("word", "object", "finish_reason", "stop_reason", "service_tier"),
        "model": "kept",
        "usage": "usage",
        "message": "message",
    },
    # Who shares a cache (`acg_lab.simulation.readers`).
    "owners": {
        **_same("owner", "workspace_id", "workspace", "project", "account_id", "account", "organization"),
        **_same("owner", "organization_id", "api_key_id", "batch_id"),
    },
}
# What these hold where they hold no object.
_OTHERWISE: Final = {"choice": "word", "settings": "word", "format": "word", "usage": "count", "diagnosis": "reason"}


class JsonRedactor:
    """Redacts JSON values.

    Parameters
    ----------
    names : Pseudonyms
    keeps_owners : bool
        Whether the ids of workspaces, accounts and batches stay.

    Examples
    --------
    >>> redact = JsonRedactor(Pseudonyms(b"secret")).redact
    >>> message = redact("message", {"role": "user", "content": "My name is Alice Smith."})
    >>> message["role"], len(message["content"])
    ('user', 23)
    """

    def __init__(self, names: Pseudonyms, *, keeps_owners: bool = True) -> None:
        self._names, self._keeps_owners = names, keeps_owners
        self._of_kind: Mapping[str, Callable[[Any], Any]] = {
            "data": self._data,
            "content": self._content,
            "plain": self._plain,
            "messages": lambda value: self._list("message", value, self._plain),
            "result": lambda value: self._list("part", value, self._data),
            "part": self._part,
            "options": self._options,
            "word": self._word,
            "count": self._count,
            "flag": self._flag,
            "reason": self._reason,
            "kept": lambda value: value if isinstance(value, str) else self._data(value),
            "owner": lambda value: value if self._keeps_owners and isinstance(value, str | int) else self._data(value),
        }

    def redact(self, kind: str, value: Any) -> Any:
        """Redact a value.

        Parameters
        ----------
        kind : str
            One of `FIELDS`, ``"data"``, or ``"list"`` and one of them.
        value : JSON value
            Read, never changed.
        """
        if kind.startswith("list "):
            return self._list(kind.removeprefix("list "), value, self._data)
        if kind not in FIELDS:
            return self._of_kind[kind](value)
        if isinstance(value, Mapping):
            return self._object(FIELDS[kind], value)
        return self._of_kind[_OTHERWISE.get(kind, "data")](value)

    def _object(self, fields: Mapping[str, str], value: Mapping[str, Any]) -> dict[str, Any]:
        redacted = {}
        for key, item in value.items():
            name = key
            if key not in fields:
                name = self._names.value(key)
                while name in fields or name in redacted:
                    name = self._names.value(name)
            redacted[name] = self.redact(fields.get(key, "data"), item)
        return redacted

    def _list(self, kind: str, value: Any, other: Callable[[Any], Any]) -> Any:
        return [self.redact(kind, item) for item in value] if isinstance(value, list | tuple) else other(value)

    def _data(self, value: Any) -> Any:
        """Redact a value of any shape; True, False and null stay."""
        if isinstance(value, str):
            return self._names.value(value)
        if isinstance(value, Mapping):
            return self._object({}, value)
        if isinstance(value, list | tuple):
            return [self._data(item) for item in value]
        return value if value is None or isinstance(value, bool) else self._names.number(value)

    def _plain(self, value: Any) -> Any:
        return self._names.content(value) if isinstance(value, str) else self._data(value)

    def _content(self, value: Any) -> Any:
        return self._list("part", value, self._plain)

    def _part(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return self._data(value)
        text = "plain" if value.get("type") in _TEXT_PARTS else "data"
        return self._object({**_PART, "text": text, "refusal": text, "content": "result"}, value)

    def _options(self, value: Any) -> Any:
        """Redact the options of providers, by provider; each may hold a mark of the cache."""
        if not isinstance(value, Mapping):
            return self._data(value)
        pairs = ((self._names.value(key), item) for key, item in value.items())
        return {
            key: self._object(_MARK, item) if isinstance(item, Mapping) else self._data(item) for key, item in pairs
        }

    def _word(self, value: Any) -> Any:
        is_word = isinstance(value, str) and (value in _WORDS or _is_dated(value))
        return value if is_word else self._data(value)

    def _reason(self, value: Any) -> Any:
        return value if isinstance(value, str) and _is_reason(value) else self._data(value)

    def _flag(self, value: Any) -> Any:
        return value if isinstance(value, bool) else self._data(value)

    def _count(self, value: Any) -> Any:
        return value if isinstance(value, int | float) else self._data(value)
