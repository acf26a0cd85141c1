"""The usage of one span in common terms.

OpenTelemetry and OpenInference count the whole prompt, and so does MLflow; Langfuse splits it into kinds that add up to
the total.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from acg_lab.core.errors import RecordError
from acg_lab.core.records import JsonObject, Usage
from acg_lab.logs.answers import read_usage

__all__ = ["read_span_usage"]

_COUNTS: Mapping[str, Sequence[str]] = {
    "prompt": ("gen_ai.usage.input_tokens", "llm.token_count.prompt", "gen_ai.usage.prompt_tokens"),
    "output": ("gen_ai.usage.output_tokens", "llm.token_count.completion", "gen_ai.usage.completion_tokens"),
    "read": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
    ),
    "written": (
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
}
_LANGFUSE = "langfuse.observation.usage_details"
_MLFLOW = "mlflow.chat.tokenUsage"
_IN_MLFLOW: Mapping[str, Sequence[str]] = {
    "prompt": ("input_tokens",),
    "output": ("output_tokens",),
    "read": ("cache_read_input_tokens",),
    "written": ("cache_creation_input_tokens",),
}
_TTL = re.compile(r".*cache_(?:creation|write)\.ephemeral_(5m|1h|30m|12h)_input_tokens")


def read_span_usage(attributes: JsonObject) -> Usage | None:
    """Return the usage of a span, None where it has none.

    Both conventions count the whole prompt. Where what was read and written exceeds it, the instrumentation passed on
    Anthropic's own number, which is the uncached rest.
    """
    langfuse, mlflow = (attributes.get(name) for name in (_LANGFUSE, _MLFLOW))
    if isinstance(langfuse, str | Mapping):
        return _read_langfuse(langfuse)
    found = {part: _first_count(attributes, names) for part, names in _COUNTS.items()}
    if isinstance(mlflow, Mapping):
        found = {part: _first_count(mlflow, names) for part, names in _IN_MLFLOW.items()}
    if all(count is None for count in found.values()):
        return None
    prompt, cached = found["prompt"], (found["read"] or 0) + (found["written"] or 0)
    if prompt is not None and prompt < cached:
        prompt += cached
    by_ttl = {
        match[1]: count
        for name in attributes
        if (match := _TTL.fullmatch(name)) is not None and (count := _first_count(attributes, [name])) is not None
    }
    return Usage(
        prompt_tokens=prompt,
        cache_read_tokens=found["read"],
        cache_write_tokens=found["written"],
        cache_writes_by_ttl=by_ttl,
        output_tokens=found["output"],
        raw={name: attributes[name] for name in attributes if _is_usage(name)},
    )


def _read_langfuse(given: JsonObject | str) -> Usage | None:
    """Return the usage of a Langfuse observation: ``input`` is the uncached rest unless it alone adds up to the total.

    Before the server has seen it, it is the provider's own.
    """
    try:
        details = msgspec.json.decode(given, type=dict[str, Any]) if isinstance(given, str) else given
        if "input" not in details:
            return read_usage(details)
    except (msgspec.MsgspecError, RecordError):
        return None
    rest, output, total = (_first_count(details, [name]) for name in ("input", "output", "total"))
    read = _first_count(details, ("cache_read_input_tokens", "input_cached_tokens", "input_cache_read"))
    written = _first_count(details, ("cache_creation_input_tokens", "input_cache_creation", "input_cache_write"))
    cached = (read or 0) + (written or 0)
    is_whole = total is not None and total == (rest or 0) + (output or 0)
    prompt = None if rest is None else rest if is_whole and rest >= cached else rest + cached
    return Usage(
        prompt_tokens=prompt, cache_read_tokens=read, cache_write_tokens=written, output_tokens=output, raw=details
    )


def _is_usage(name: str) -> bool:
    return "usage" in name or "token_count" in name or name == _MLFLOW


def _first_count(attributes: JsonObject, names: Sequence[str]) -> int | None:
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
            return value
    return None
