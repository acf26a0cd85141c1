"""Every spelling of a cache mark: how it is found in a body, and what remains without it.

A mark is not part of what a provider compares, so contents are compared without marks. Only the places that an API
reads marks from are searched: a tool's arguments may hold any key.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["NO_MARK", "UNSTATED", "is_mark_block", "split_mark", "ttl_of"]

NO_MARK: Final = -1
UNSTATED: Final = 0
_UNITS: Final = {"s": 1, "m": 60, "h": 3600}


def ttl_of(mark: Any) -> int:
    """Return the seconds that a mark asks for, 0 where it states none.

    Examples
    --------
    >>> ttl_of({"type": "ephemeral"}), ttl_of({"type": "ephemeral", "ttl": "1h"})
    (0, 3600)
    """
    ttl = mark.get("ttl") if isinstance(mark, Mapping) else None
    if isinstance(ttl, str) and ttl[:-1].isdigit() and ttl[-1:] in _UNITS:
        return int(ttl[:-1]) * _UNITS[ttl[-1]]
    return UNSTATED


def _of_options(value: Any) -> int:
    """Read the mark of an SDK that keeps it among the options of a provider."""
    for options in value.values() if isinstance(value, Mapping) else ():
        for name in ("cacheControl", "cache_control"):
            if isinstance(options, Mapping) and options.get(name):
                return ttl_of(options[name])
    return NO_MARK


def _plain(value: Any) -> int:
    return ttl_of(value) if value else NO_MARK


# Key of an object that takes a mark, and what reads its TTL.
_KEYS: Final[Mapping[str, Callable[[Any], int]]] = {
    "cache_control": _plain,  # Anthropic, Qwen, and gateways that pass it on
    "cacheControl": _plain,  # Vertex and SDKs in camel case
    "prompt_cache_breakpoint": _plain,  # OpenAI from 5.6 on
    "providerOptions": _of_options,
    "provider_options": _of_options,
}
_BLOCKS: Final = ("cachePoint", "cache_point")  # Bedrock Converse: a block of its own behind what it marks


def is_mark_block(part: Any) -> bool:
    """Whether a content block is nothing but a mark on the block before it."""
    return isinstance(part, Mapping) and any(name in part for name in _BLOCKS) and len(part) <= 2  # noqa: PLR2004


def split_mark(value: Mapping[str, Any]) -> tuple[Mapping[str, Any], int]:
    """Return an object without its marks, and the TTL of the mark that it had, `NO_MARK` for none.

    Key order is kept. An object without marks is returned itself.
    """
    found = NO_MARK
    named = [name for name in _KEYS if name in value]
    for name in named:
        ttl = _KEYS[name](value[name])
        found = max(found, ttl)
    removed = [
        name
        for name in named
        if name in ("cache_control", "cacheControl", "prompt_cache_breakpoint") or _KEYS[name](value[name]) != NO_MARK
    ]
    if not removed:
        return value, NO_MARK
    return {name: item for name, item in value.items() if name not in removed}, found
