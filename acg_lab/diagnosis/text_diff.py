"""Compare texts: where they differ, and whether they are equal in canonical form.

Offsets and lengths are in characters. Every function takes time linear in the texts, however hostile they are.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from msgspec import Struct

from acg_lab.core.canonical import canonical_json
from acg_lab.core.errors import RecordError

__all__ = [
    "TextDifference",
    "add_excerpts",
    "canonicalize_json",
    "count_shared_bytes",
    "count_shared_ends",
    "find_differences",
    "may_hold_json",
    "remove_whitespace",
]

_MAX_TOKENS = 20_000
_MIN_SHARED = 32  # characters; shorter pieces may agree by accident
_MAX_FAILURES = 50  # opening brackets that start no JSON; a text with more of them holds none
_token = re.compile(r"\w+|\s+|[^\w\s]")
_opening = re.compile(r"[{\[]")
_decoder = json.JSONDecoder()


class TextDifference(Struct, frozen=True):
    """One piece of text that differs between the dominant content and another; offsets and lengths in characters.

    ``text`` and ``other_text`` are None unless excerpts were asked for.

    Examples
    --------
    >>> TextDifference(offset=9, length=2, other_offset=9, other_length=3).text is None
    True
    """

    offset: int
    length: int
    other_offset: int
    other_length: int
    text: str | None = None
    other_text: str | None = None


def find_differences(dominant: str, other: str) -> tuple[TextDifference, ...]:
    """Return where two texts differ, in order and by words; very long texts differ in one piece.

    Examples
    --------
    >>> [place] = find_differences("it is 14:32 now", "it is 14:351 now")
    >>> place.offset, place.length, place.other_offset, place.other_length
    (9, 2, 9, 3)
    """
    from rapidfuzz.distance import LCSseq  # noqa: PLC0415

    ours, theirs = _token.findall(dominant), _token.findall(other)
    head = _count_common_tokens(ours, theirs)
    tail = _count_common_tokens(ours[head:][::-1], theirs[head:][::-1])
    middle, other_middle = ours[head : len(ours) - tail], theirs[head : len(theirs) - tail]
    changes: Iterable[tuple[int, ...]] = [(0, len(middle), 0, len(other_middle))] if middle or other_middle else []
    if 0 < min(len(middle), len(other_middle)) <= max(len(middle), len(other_middle)) <= _MAX_TOKENS:
        codes = (code for code in LCSseq.opcodes(middle, other_middle) if code.tag != "equal")
        changes = ((code.src_start, code.src_end, code.dest_start, code.dest_end) for code in codes)
    starts, other_starts = _token_offsets(ours), _token_offsets(theirs)
    return tuple(
        TextDifference(starts[a], starts[b] - starts[a], other_starts[c], other_starts[d] - other_starts[c])
        for a, b, c, d in _join_adjacent([head + position for position in change] for change in changes)
    )


def _count_common_tokens(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Return how many leading tokens two lists have in common."""
    pairs = enumerate(zip(ours, theirs, strict=False))
    return next((i for i, (mine, other) in pairs if mine != other), min(len(ours), len(theirs)))


def count_shared_ends(texts: Sequence[str]) -> tuple[int, int]:
    """Return how many leading characters some texts share, and how many trailing ones after these.

    Examples
    --------
    >>> count_shared_ends(["it is 14:32 now", "it is 14:35 now", "it is 15:35 now"])
    (7, 4)
    """
    head = _count_common_characters(min(texts), max(texts))
    backwards = [text[head:][::-1] for text in texts]
    return head, _count_common_characters(min(backwards), max(backwards))


def _count_common_characters(one: str, other: str) -> int:
    """Return how many leading characters two texts share; slices are compared, since texts may be megabytes."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def _token_offsets(tokens: Iterable[str]) -> list[int]:
    return list(accumulate(map(len, tokens), initial=0))


def _join_adjacent(changes: Iterable[list[int]]) -> Iterator[list[int]]:
    """Join changes that touch, or that one token separates: a word replaced by another is one change."""
    last: list[int] | None = None
    for a, b, c, d in changes:
        if last is not None and (a <= last[1] + 1 or c <= last[3] + 1):
            last = [last[0], b, last[2], d]
            continue
        if last is not None:
            yield last
        last = [a, b, c, d]
    if last is not None:
        yield last


def count_shared_bytes(text: str, places: Sequence[TextDifference]) -> int:
    """Return how many bytes of the dominant text stay the same, in pieces too long to agree by accident."""
    ends = [0, *(place.offset + place.length for place in places)]
    starts = [*(place.offset for place in places), len(text)]
    pieces = [text[end:start] for end, start in zip(ends, starts, strict=True)]
    return sum(len(piece.encode()) for piece in pieces if len(piece) >= _MIN_SHARED)


def add_excerpts(place: TextDifference, dominant: str, other: str) -> TextDifference:
    """Return a difference with its two excerpts."""
    return TextDifference(
        place.offset,
        place.length,
        place.other_offset,
        place.other_length,
        dominant[place.offset : place.offset + place.length],
        other[place.other_offset : place.other_offset + place.other_length],
    )


def remove_whitespace(text: str) -> str:
    """Return a text without white space."""
    return "".join(text.split())


def may_hold_json(text: str) -> bool:
    """Return whether a text may hold a JSON object or list."""
    return _opening.search(text) is not None


def canonicalize_json(text: str) -> str:
    """Return a text with each JSON value in canonical form, so that key order, number format and spacing do not matter.

    Examples
    --------
    >>> canonicalize_json('now {"b": 1.0, "a": [2]}') == canonicalize_json('now {"a":[2],"b":1}')
    True
    """
    kept: list[str] = []
    end, failures = 0, 0
    while failures < _MAX_FAILURES and (found := _opening.search(text, end)) is not None:
        kept.append(text[end : found.start()])
        try:
            value, end = _decoder.raw_decode(text, found.start())
            kept.append(canonical_json(value))
        except (ValueError, RecordError, RecursionError):
            kept.append(found.group())
            end = found.end()
            failures += 1
    return "".join([*kept, text[end:]])
