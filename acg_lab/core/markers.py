"""Every spelling of a cache marker: how it is found in a body, and what remains without it. The one table of them.

A marker is not part of what a provider compares, so contents are compared without markers. Only the places that an API
reads markers from are searched: a tool's arguments may hold any key.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["MARKER_NAMES", "NO_MARKER", "UNSTATED", "is_marker_block", "remove_markers", "split_marker", "ttl_of"]

NO_MARKER: Final = -1
UNSTATED: Final = 0
_UNITS: Final = {"s": 1, "m": 60, "h": 3600}


def ttl_of(marker: Any) -> int:
    """Return the seconds that a marker asks for, 0 where it states none.

    Examples
    --------
    >>> ttl_of({"type": "ephemeral"}), ttl_of({"type": "ephemeral", "ttl": "1h"})
    (0, 3600)
    """
    ttl = marker.get("ttl") if isinstance(marker, Mapping) else None
    if isinstance(ttl, str) and ttl[:-1].isdigit() and ttl[-1:] in _UNITS:
        return int(ttl[:-1]) * _UNITS[ttl[-1]]
    return UNSTATED


def _of_options(value: Any) -> int:
    """Read the marker of an SDK that keeps it among the options of a provider."""
    for options in value.values() if isinstance(value, Mapping) else ():
        for name in ("cacheControl", "cache_control"):
            if isinstance(options, Mapping) and options.get(name):
                return ttl_of(options[name])
    return NO_MARKER


def _plain(value: Any) -> int:
    return ttl_of(value) if value else NO_MARKER


# Key of an object that takes a marker, and what reads its TTL.
_PLAIN: Final[Mapping[str, Callable[[Any], int]]] = {
    "cache_control": _plain,  # Anthropic, Qwen, and gateways that pass it on
    "cacheControl": _plain,  # Vertex and SDKs in camel case
    "prompt_cache_breakpoint": _plain,  # OpenAI from 5.6 on
}
_KEYS: Final[Mapping[str, Callable[[Any], int]]] = {
    **_PLAIN,
    "providerOptions": _of_options,
    "provider_options": _of_options,
}
_CONTENTS: Final = ("content", "function")  # fields whose values may hold markers of their own
_BLOCKS: Final = ("cachePoint", "cache_point")  # Bedrock Converse: a block of its own behind the block that it marks
_NAMES: Final = frozenset(_KEYS)
MARKER_NAMES: Final = (*_KEYS, *_BLOCKS)


def is_marker_block(part: Any) -> bool:
    """Whether a content block is nothing but a marker on the block before it."""
    return isinstance(part, Mapping) and any(name in part for name in _BLOCKS) and len(part) <= 2  # noqa: PLR2004


def split_marker(value: Mapping[str, Any]) -> tuple[Mapping[str, Any], int]:
    """Return an object without its markers, and the TTL of the marker that it had, `NO_MARKER` for none.

    Key order is kept. An object without markers is returned itself.
    """
    if _NAMES.isdisjoint(value):
        return value, NO_MARKER
    found = NO_MARKER
    named = [name for name in _KEYS if name in value]
    for name in named:
        ttl = _KEYS[name](value[name])
        found = max(found, ttl)
    removed = [name for name in named if name in _PLAIN or _KEYS[name](value[name]) != NO_MARKER]
    if not removed:
        return value, NO_MARKER
    return {name: item for name, item in value.items() if name not in removed}, found


def remove_markers(value: Any) -> Any:
    """Return a tool, a message, a content, or a list of them without markers; key order is kept.

    Contents of tool results are searched too; arguments of tools, which may hold any key, are not.

    Examples
    --------
    >>> remove_markers({"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"ttl": "1h"}}]})
    {'role': 'user', 'content': [{'type': 'text', 'text': 'hi'}]}
    """
    if isinstance(value, list | tuple):
        return [remove_markers(item) for item in value if not is_marker_block(item)]
    if not isinstance(value, Mapping):
        return value
    bare, _ = split_marker(value)
    return {name: remove_markers(item) if name in _CONTENTS else item for name, item in bare.items()}
