"""Replies of a Redis, checked for what each command answers.

A broken or hostile server must not raise a foreign error, whatever it sends.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from acg_lab.storage.redis_scan import Command, RedisRefusal

__all__ = ["is_expected"]

_MOST: Final = 2**32  # elements of a list, and far more than the bytes of a value


def _is_count(reply: Any) -> bool:
    return isinstance(reply, int) and not isinstance(reply, bool) and 0 <= reply < _MOST


def _is_value(reply: Any) -> bool:
    return reply is None or isinstance(reply, bytes)


def _are_texts(reply: Any) -> bool:
    return isinstance(reply, list) and all(isinstance(item, bytes) for item in reply)


def _is_page(reply: Any) -> bool:
    return isinstance(reply, list | tuple) and len(reply) == 2 and isinstance(reply[0], int) and _are_texts(reply[1])  # noqa: PLR2004  cursor and keys


_EXPECTED: Final[Mapping[str, Callable[[Any], bool]]] = {
    "SCAN": _is_page,
    "GET": _is_value,
    "GETRANGE": lambda reply: isinstance(reply, bytes),
    "INFO": lambda reply: isinstance(reply, dict),
    "STRLEN": _is_count,
    "LLEN": _is_count,
    "RPUSH": _is_count,
    "EXISTS": _is_count,
    "TYPE": lambda reply: isinstance(reply, bytes),
    "LRANGE": _are_texts,
    "SET": lambda reply: reply is None or isinstance(reply, bool | bytes),
}


def is_expected(command: Command, reply: Any) -> bool:
    """Return whether a reply is one that the command has; refusals of single keys are."""
    if isinstance(reply, RedisRefusal):
        return True
    if command[0] == "MGET":
        return isinstance(reply, list) and len(reply) == len(command) - 1 and all(map(_is_value, reply))
    return _EXPECTED[str(command[0])](reply)
