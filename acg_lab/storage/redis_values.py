"""Steps that fetch values from a Redis, none in a reply above 512 KiB where GETRANGE is allowed.

A server does nothing else while it copies a value into a reply: 20 microseconds for 512 KiB, 500 for 8 MiB. A large
value comes in pieces, and counts only if it did not change meanwhile.
"""

from collections.abc import Sequence
from typing import Any, Final

from acg_lab.storage.redis_scan import Found, RedisRefusal, Send, Step

__all__ = ["PIECE", "explain_refusal", "fetch_documents", "fetch_value"]

PIECE: Final = 1 << 19  # bytes
_END: Final = 1 << 16  # bytes at each end of a value that show a change which keeps its length
_ATTEMPTS: Final = 5


def fetch_documents(group: Sequence[Found]) -> Step[list[tuple[Found, bytes | None]]]:
    """Return each document of a group, and its value: None if it does not exist or can't be read.

    A document whose value could not be read has that as its problem. Values of 512 KiB together are read at once.
    """
    at_once: list[bytes] = []
    alone: list[bytes] = []
    room = PIECE
    for item in group:
        if item.problem:
            continue
        (at_once if item.size <= room else alone).append(item.stored)
        room -= item.size if item.size <= room else 0
    values: dict[bytes, bytes | RedisRefusal | None] = {}
    if at_once:
        (replies,) = yield Send([("MGET", *at_once)])
        values |= zip(at_once, replies, strict=True)
    for stored in alone:
        values[stored] = yield from fetch_value(stored)
    return [_with_value(item, values.get(item.stored)) for item in group]


def _with_value(item: Found, value: bytes | RedisRefusal | None) -> tuple[Found, bytes | None]:
    if isinstance(value, RedisRefusal):
        return item._replace(problem=explain_refusal(value)), None
    return item, value


def explain_refusal(refusal: RedisRefusal) -> str:
    """Return why a value can't be read."""
    return refusal.value if refusal is RedisRefusal.CHANGED else f"expected a string, got {refusal.value}"


def fetch_value(stored: bytes | str) -> Step[bytes | RedisRefusal | None]:
    """Return a value, or None if there is none; above 512 KiB in pieces, unless this user may not use GETRANGE.

    A value that changes between pieces is read again; after five times, `RedisRefusal.CHANGED` is returned. A change
    shows in the length, or in the 64 KiB at either end, where windows and runs change. Another goes unseen.
    """
    for _ in range(_ATTEMPTS):
        (size,) = yield Send([("STRLEN", stored)], may_be_refused=True)
        if isinstance(size, RedisRefusal) or size <= PIECE:
            break
        before = yield from _read_ends(stored)
        if RedisRefusal.REFUSED in before:
            break
        pieces: list[bytes] = []
        for start in range(0, size, PIECE):
            pieces += yield Send([("GETRANGE", stored, start, start + PIECE - 1)])
        value = b"".join(pieces)
        if len(value) == size and before == (yield from _read_ends(stored)):
            return value
    else:
        return RedisRefusal.CHANGED
    (reply,) = yield Send([("GET", stored)])
    whole: bytes | RedisRefusal | None = reply
    return whole


def _read_ends(stored: bytes | str) -> Step[list[Any]]:
    """Return the length and both ends of a value, or refusals."""
    return (
        yield Send(
            [("STRLEN", stored), ("GETRANGE", stored, 0, _END - 1), ("GETRANGE", stored, -_END, -1)],
            may_be_refused=True,
        )
    )
