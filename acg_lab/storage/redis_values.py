"""Steps that fetch values from a Redis, none in a reply above a piece where GETRANGE is allowed.

A server does nothing else while it copies a value into a reply: 20 microseconds for 512 KiB, 500 for 8 MiB. A large
value comes in pieces, and counts only if it did not change meanwhile.
"""

from collections.abc import Sequence
from typing import Final

from acg_lab.storage.redis_scan import PIECE, Command, Found, RedisRefusal, Send, Step

__all__ = ["explain_refusal", "fetch_documents", "fetch_value"]

_END: Final = 1 << 16  # bytes at each end of a value that show a change which keeps its length
_ATTEMPTS: Final = 5


def fetch_documents(group: Sequence[Found], piece: int = PIECE) -> Step[list[tuple[Found, bytes | None]]]:
    """Return each document of a group, and its value: None if it does not exist or can't be read.

    A document whose value could not be read has that as its problem. Values of a piece together are read at once.
    """
    at_once: list[bytes] = []
    alone: list[Found] = []
    room = piece
    for item in group:
        if item.problem:
            continue
        if item.size <= room:
            at_once.append(item.stored)
            room -= item.size
        else:
            alone.append(item)
    values: dict[bytes, bytes | RedisRefusal | None] = {}
    if at_once:
        (replies,) = yield Send([("MGET", *at_once)])
        values |= zip(at_once, replies, strict=True)
    for item in alone:
        values[item.stored] = yield from fetch_value(item.stored, item.size, piece)
    return [_with_value(item, values.get(item.stored)) for item in group]


def _with_value(item: Found, value: bytes | RedisRefusal | None) -> tuple[Found, bytes | None]:
    if isinstance(value, RedisRefusal):
        return item._replace(problem=explain_refusal(value)), None
    return item, value


def explain_refusal(refusal: RedisRefusal) -> str:
    """Return why a value can't be read."""
    return refusal.value if refusal is RedisRefusal.CHANGED else f"expected a string, got {refusal.value}"


def fetch_value(stored: bytes | str, size: int | None = None, piece: int = PIECE) -> Step[bytes | RedisRefusal | None]:
    """Return a value, or None if there is none; a large one in pieces, unless this user may not use GETRANGE.

    A value that changes between pieces is read again; after five times, `RedisRefusal.CHANGED` is returned. A change
    shows in the length, or in the 64 KiB at either end, where windows and runs change. Another goes unseen.

    Parameters
    ----------
    stored : bytes or str
        The whole key.
    size : int, optional
        Of the value, if it was measured before.
    piece : int
        Bytes of a piece.
    """
    for _ in range(_ATTEMPTS):
        if size is None:
            (size,) = yield Send([("STRLEN", stored)], may_be_refused=True)
        if isinstance(size, RedisRefusal) or size <= piece:
            break
        value = yield from _fetch_pieces(stored, size, piece)
        if value is not None:
            if value is RedisRefusal.REFUSED:
                break
            return value
        size = None
    else:
        return RedisRefusal.CHANGED
    (reply,) = yield Send([("GET", stored)])
    whole: bytes | RedisRefusal | None = reply
    return whole


def _fetch_pieces(stored: bytes | str, size: int, piece: int) -> Step[bytes | RedisRefusal | None]:
    """Return a value of some size, or None if it changed meanwhile; its ends are read with the first and last piece."""
    ends: list[Command] = [("STRLEN", stored), ("GETRANGE", stored, 0, _END - 1), ("GETRANGE", stored, -_END, -1)]
    pieces: list[Command] = [("GETRANGE", stored, start, start + piece - 1) for start in range(0, size, piece)]
    replies = yield Send([*ends, pieces[0]], may_be_refused=True)
    for command in pieces[1:-1]:
        replies += yield Send([command], may_be_refused=True)
    replies += yield Send([*pieces[1:][-1:], *ends], may_be_refused=True)
    if RedisRefusal.REFUSED in replies:
        return RedisRefusal.REFUSED
    value = b"".join(replies[3:-3])
    return value if len(value) == size and replies[:3] == replies[-3:] else None
