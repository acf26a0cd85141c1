"""What production refuses in a plugin document, or can't start with (``acg_lab/docs/rules/config.md``, 3).

A document that passes is one that every runtime from 0.3 on validates and starts with, apart from what only a running
process knows: which other kinds of components are registered, and whether a Redis answers.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from acg_lab.core.errors import RecordError
from acg_lab.core.strict_json import MAX_DEPTH

__all__ = ["KIND", "check_document", "check_plain", "expect_table", "unexpected"]

KIND: Final = "adaptive"
_NAMES: Final = {bool: "a boolean", str: "a string", list: "an array", dict: "a table"}
_LARGEST: Final = 2**1024  # production reads larger integers than 64 bits as doubles


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class _Expected(NamedTuple):
    """What a value must be, in words, and the check of it."""

    words: str
    met: Callable[[Any], bool]


_TEXT: Final = _Expected("a string", lambda value: isinstance(value, str))
_BOOLEAN: Final = _Expected("a boolean", lambda value: isinstance(value, bool))
_TABLE: Final = _Expected("a table", lambda value: isinstance(value, Mapping))
_ARRAY: Final = _Expected("an array", lambda value: isinstance(value, list | tuple))
_UNSIGNED: Final = _Expected("the integer 1", lambda value: _is_integer(value) and 0 <= value < 2**32)
_SIGNED: Final = _Expected("an integer of 32 bits", lambda value: _is_integer(value) and -(2**31) <= value < 2**31)
_ACTION: Final = _Expected("ignore, warn or error", lambda value: value in ("ignore", "warn", "error"))
_ACTIONS: Final = ("unknown_component", "unknown_field", "unsupported_value")
_MODES: Final = ("observe_only", "inject_hints", "schedule")
_SCHEMES: Final = ("redis", "rediss", "unix", "redis+unix", "valkey", "valkeys", "valkey+unix")


def check_document(document: Mapping[str, Any]) -> None:
    """Raise for a document that production refuses, or can't start with.

    The learner's own numbers are left to `AcgSettings`.

    Raises
    ------
    RecordError
        With the path of the first wrong value. The error shows numbers and kinds of values, never a text.
    """
    check_plain(document)
    policy = _optional(document, "policy", _TABLE, "$") or {}
    _check_policy(policy, "$.policy", or_null=True)
    _check_version(document, "$", policy, or_null=True)
    components = document.get("components")
    if components is None:
        return
    if not isinstance(components, list | tuple):
        raise unexpected(components, "an array of tables", "$.components")
    for i, component in enumerate(components):
        _check_component(expect_table(component, f"$.components[{i}]"), f"$.components[{i}]")


def _check_component(component: Mapping[str, Any], path: str) -> None:
    _required(component, "kind", _TEXT, path)
    enabled = _optional(component, "enabled", _BOOLEAN, path)
    config = _optional(component, "config", _TABLE, path)
    if component["kind"] != KIND or config is None:
        return
    path = f"{path}.config"
    policy = _present(config, "policy", _TABLE, path) or {}
    _check_policy(policy, f"{path}.policy", or_null=False)
    _check_version(config, path, policy, or_null=False)
    _optional(config, "agent_id", _TEXT, path)
    for name in ("acg", "response_cache"):
        _optional(config, name, _TABLE, path)
    _check_telemetry(_optional(config, "telemetry", _TABLE, path) or {}, f"{path}.telemetry")
    hints = _optional(config, "adaptive_hints", _TABLE, path) or {}
    _present(hints, "priority", _SIGNED, f"{path}.adaptive_hints")
    tools = _optional(config, "tool_parallelism", _TABLE, path) or {}
    mode = _present(tools, "mode", _TEXT, f"{path}.tool_parallelism")
    if mode is not None and mode not in _MODES and _refuses_unsupported(policy):
        raise unexpected(mode, f"one of {', '.join(_MODES)}", f"{path}.tool_parallelism.mode")
    state = _optional(config, "state", _TABLE, path)
    if state is not None:
        backend = _required(state, "backend", _TABLE, f"{path}.state")
        _check_backend(backend, f"{path}.state.backend", is_started=enabled is not False)


def _check_telemetry(telemetry: Mapping[str, Any], path: str) -> None:
    _optional(telemetry, "subscriber_name", _TEXT, path)
    for i, learner in enumerate(_present(telemetry, "learners", _ARRAY, path) or ()):
        if not isinstance(learner, str):
            raise unexpected(learner, "a string", f"{path}.learners[{i}]")


def _check_backend(backend: Mapping[str, Any], path: str, *, is_started: bool) -> None:
    kind = _required(backend, "kind", _TEXT, path)
    config = _present(backend, "config", _TABLE, path) or {}
    if not is_started:
        return
    if kind not in ("in_memory", "redis"):
        raise unexpected(kind, "in_memory or redis", f"{path}.kind")
    if kind == "redis":
        url = _required(config, "url", _TEXT, f"{path}.config")
        if not _is_redis_url(url):
            raise unexpected(url, "an address like redis://host:6379/0", f"{path}.config.url")


def _is_redis_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in _SCHEMES and "://" in url


def _check_policy(policy: Mapping[str, Any], path: str, *, or_null: bool) -> None:
    for name in _ACTIONS:
        if not (or_null and policy.get(name) is None):
            _present(policy, name, _ACTION, path)


def _refuses_unsupported(policy: Mapping[str, Any]) -> bool:
    return policy.get("unsupported_value") in (None, "error")


def _check_version(table: Mapping[str, Any], path: str, policy: Mapping[str, Any], *, or_null: bool) -> None:
    version = (_optional if or_null else _present)(table, "version", _UNSIGNED, path)
    if version not in (None, 1) and _refuses_unsupported(policy):
        raise unexpected(version, "the integer 1", f"{path}.version")


def _required(table: Mapping[str, Any], name: str, expected: _Expected, path: str) -> Any:
    if name not in table:
        msg = f"expected {expected.words}, got no such key"
        raise RecordError(msg, path=f"{path}.{name}")
    return _present(table, name, expected, path)


def _optional(table: Mapping[str, Any], name: str, expected: _Expected, path: str) -> Any:
    """Return a value that may be absent or null."""
    return None if table.get(name) is None else _present(table, name, expected, path)


def _present(table: Mapping[str, Any], name: str, expected: _Expected, path: str) -> Any:
    """Return a value that may be absent, but not null."""
    if name not in table:
        return None
    value = table[name]
    if not expected.met(value):
        raise unexpected(value, expected.words, f"{path}.{name}")
    return value


def expect_table(value: Any, path: str) -> Mapping[str, Any]:
    """Return a table; raise RecordError for anything else."""
    if not isinstance(value, Mapping):
        raise unexpected(value, "a table", path)
    return value


def unexpected(value: Any, expected: str, path: str) -> RecordError:
    """Return the error for a value of the wrong kind.

    Only numbers are shown: any other value may be a secret.
    """
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if numeric and not math.isnan(value) and abs(value) < 2**64:
        got = repr(value)
    else:
        got = "null" if value is None else _NAMES.get(type(value), type(value).__name__)
    if isinstance(value, str) and not expected.startswith(("a ", "an ", "the ")):
        got = "another one"
    return RecordError(f"expected {expected}, got {got}", path=path)


def check_plain(document: Any, largest: int = _LARGEST) -> None:
    """Raise for what no file can hold or no parser reads: deep nesting, huge integers, lone surrogates.

    Raises
    ------
    RecordError
        Without path: what is nested too deeply has a long one, and keys may be no text.
    """
    stack = [(document, 1)]
    while stack:
        value, depth = stack.pop()
        if depth > MAX_DEPTH:
            msg = f"expected at most {MAX_DEPTH} levels, got more"
            raise RecordError(msg)
        if isinstance(value, Mapping):
            stack.extend((item, depth + 1) for pair in value.items() for item in pair)
        elif isinstance(value, list | tuple):
            stack.extend((item, depth + 1) for item in value)
        elif isinstance(value, str):
            _check_text(value)
        elif _is_integer(value) and not -largest <= value < largest:
            msg = "expected an integer that production can read, got one with too many digits"
            raise RecordError(msg)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        msg = "expected texts in Unicode, got a lone surrogate"
        raise RecordError(msg) from None
