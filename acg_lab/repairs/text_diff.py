"""Compare texts: where they differ, and whether they are equal in canonical form.

Offsets and lengths are in characters. Every function takes time linear in the texts, however hostile they are.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple
from unicodedata import normalize

from msgspec import Struct

from acg_lab.core.canonical import canonical_json
from acg_lab.core.errors import RecordError

__all__ = [
    "UNSPACED",
    "Match",
    "TextDifference",
    "ValueCount",
    "add_excerpts",
    "align",
    "canonicalize_json",
    "count_shared_bytes",
    "count_shared_ends",
    "find_differences",
    "may_hold_json",
    "normalize_characters",
    "remove_whitespace",
]

_MAX_CHARACTERS = 8_000  # of a stretch that is compared word by word
_MAX_SLICE = 1 << 16
_FIRST_DISTANCE, _SAMPLES = 512, 32
_MIN_SHARED = 32  # characters; shorter pieces may agree by accident
_MAX_WORD = 256  # characters
_MAX_FAILURES = 50  # opening brackets that start no JSON; a text with more of them holds none
UNSPACED = "\u0e00-\u0fff\u3040-\u30ff\u3400-\u9fff"  # scripts that write words without spaces
_token = re.compile(rf"[^\W{UNSPACED}]+|\s+|[^\w\s]|[{UNSPACED}]")
_inside_word = re.compile(rf"[^\W{UNSPACED}]{{2}}|\s\s").fullmatch
_opening = re.compile(r"[{\[]")
_decoder = json.JSONDecoder()


class Match(NamedTuple):
    """A stretch that two texts share: where it starts in each, and how long it is, in characters."""

    start: int
    other_start: int
    length: int


class ValueCount(Struct, frozen=True):
    """One value of a slot, and how many requests have it."""

    text: str
    count: int


class TextDifference(Struct, frozen=True):
    """One piece of text that differs between the dominant content and another; offsets and lengths in characters.

    ``text`` and ``other_text`` are None unless excerpts were asked for. With them come the ``commonest``
    values of all contents there, at most five, and how many ``distinct`` ones there are.

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
    commonest: tuple[ValueCount, ...] = ()
    distinct: int = 0


def find_differences(dominant: str, other: str) -> tuple[TextDifference, ...]:
    """Return where two texts differ, in order and by words.

    Examples
    --------
    >>> [place] = find_differences("it is 14:32 now", "it is 14:351 now")
    >>> place.offset, place.length, place.other_offset, place.other_length
    (9, 2, 9, 3)
    """
    matches = align(dominant, other)
    ends = [(0, 0), *((match.start + match.length, match.other_start + match.length) for match in matches)]
    starts = [*((match.start, match.other_start) for match in matches), (len(dominant), len(other))]
    changes = [[a, b, c, d] for (a, c), (b, d) in zip(ends, starts, strict=True) if b > a or d > c]
    return tuple(TextDifference(a, b - a, c, d - c) for a, b, c, d in _join_adjacent(changes, dominant))


def align(one: str, other: str) -> list[Match]:
    """Return stretches that two texts share, in order, which begin and end at the ends of words.

    Short texts are compared word by word, long ones from one stretch of at least 32 characters to the next.

    Examples
    --------
    >>> align("it is 14:32 now", "it is 14:351 now")
    [Match(start=0, other_start=0, length=9), Match(start=11, other_start=12, length=4)]
    """
    head, tail = _count_shared_ends(one, other)
    end, other_end = len(one) - tail, len(other) - tail
    found = [Match(0, 0, head)]
    at, other_at = head, head
    if max(end - head, other_end - head) > _MAX_CHARACTERS:
        while (anchor := _find_anchor(one, other, (at, end), (other_at, other_end))) is not None:
            found += _align_words(one, other, (at, anchor.start), (other_at, anchor.other_start))
            found.append(anchor)
            at, other_at = anchor.start + anchor.length, anchor.other_start + anchor.length
    found += _align_words(one, other, (at, end), (other_at, other_end))
    found.append(Match(end, other_end, tail))
    return [match for match in found if match.length]


def _count_shared_ends(one: str, other: str) -> tuple[int, int]:
    """Return how many characters two texts share at the start and at the end, in whole words."""
    shorter = min(len(one), len(other))
    head = _count_common(one, other, 0, 0, shorter)
    head -= _count_to_boundary(one, other, head, head, -1, head)
    tail = _count_common_backwards(one, other, len(one), len(other), shorter - head)
    tail -= _count_to_boundary(one, other, len(one) - tail, len(other) - tail, 1, tail)
    return head, tail


def _count_to_boundary(one: str, other: str, at: int, other_at: int, step: int, limit: int) -> int:
    """Return how many characters it is from two positions to where no word goes on in either text.

    What goes on for longer than any word does is data, such as a picture's, which may be cut anywhere.
    """
    for count in range(min(limit, _MAX_WORD)):
        if _is_boundary(one, at + step * count) and _is_boundary(other, other_at + step * count):
            return count
    return limit if limit <= _MAX_WORD else 0


def _is_boundary(text: str, at: int) -> bool:
    """Return whether no word goes on across a position."""
    return not 0 < at < len(text) or _inside_word(text[at - 1 : at + 1]) is None


def _count_common(one: str, other: str, at: int, other_at: int, limit: int) -> int:
    """Return how many characters texts share from two positions on; slices are compared, as texts may be megabytes."""
    count, step = 0, 64
    while count < limit and step:
        size = min(step, limit - count)
        if one[at + count : at + count + size] == other[other_at + count : other_at + count + size]:
            count, step = count + size, min(2 * step, _MAX_SLICE)
        else:
            step = size // 2
    return count


def _count_common_backwards(one: str, other: str, at: int, other_at: int, limit: int) -> int:
    """Return how many characters texts share up to two positions."""
    count, step = 0, 64
    while count < limit and step:
        size = min(step, limit - count)
        if one[at - count - size : at - count] == other[other_at - count - size : other_at - count]:
            count, step = count + size, min(2 * step, _MAX_SLICE)
        else:
            step = size // 2
    return count


def _find_anchor(one: str, other: str, ours: tuple[int, int], theirs: tuple[int, int]) -> Match | None:
    """Return the next long stretch that both texts share; None if there is none.

    Samples of the one are searched in the other, within a distance that doubles: linear in what lies between. Of the
    stretches found within one distance the longest counts, as a short one may be boilerplate that recurs.
    """
    (at, end), (other_at, other_end) = ours, theirs
    distance = _FIRST_DISTANCE
    while at < end and other_at < other_end:
        step = max(distance // _SAMPLES, 1)
        found: dict[int, Match] = {}
        for start in range(at, min(at + distance, end - _MIN_SHARED), step):
            place = other.find(one[start : start + _MIN_SHARED], other_at, min(other_at + 2 * distance, other_end))
            known = found.get(place - start)
            if place >= 0 and (known is None or start >= known.start + known.length):
                anchor = _widen(one, other, (start, place), (at, other_at), (end, other_end))
                if known is None or anchor.length > known.length:
                    found[place - start] = anchor
        if found and (longest := max(found.values(), key=lambda match: (match.length, -match.start))).length:
            return longest
        if distance > max(end - at, other_end - other_at):
            break
        distance *= 2
    return None


def _widen(one: str, other: str, place: tuple[int, int], begin: tuple[int, int], end: tuple[int, int]) -> Match:
    """Return all that texts share around a place, in whole words."""
    start, other_start = place
    back = _count_common_backwards(one, other, start, other_start, min(start - begin[0], other_start - begin[1]))
    start, other_start = start - back, other_start - back
    length = _count_common(one, other, start, other_start, min(end[0] - start, end[1] - other_start))
    skipped = _count_to_boundary(one, other, start, other_start, 1, length)
    start, other_start, length = start + skipped, other_start + skipped, length - skipped
    length -= _count_to_boundary(one, other, start + length, other_start + length, -1, length)
    return Match(start, other_start, length)


def _align_words(one: str, other: str, ours: tuple[int, int], theirs: tuple[int, int]) -> Iterator[Match]:
    """Yield the words that two stretches share, in order; of stretches that are too long nothing."""
    from rapidfuzz.distance import LCSseq  # noqa: PLC0415

    if not 0 < min(ours[1] - ours[0], theirs[1] - theirs[0]) <= max(ours[1] - ours[0], theirs[1] - theirs[0]):
        return
    if max(ours[1] - ours[0], theirs[1] - theirs[0]) > _MAX_CHARACTERS:
        return
    words, other_words = _token.findall(one, *ours), _token.findall(other, *theirs)
    starts, other_starts = _token_offsets(words, ours[0]), _token_offsets(other_words, theirs[0])
    for code in LCSseq.opcodes(words, other_words):
        if code.tag == "equal":
            start = starts[code.src_start]
            yield Match(start, other_starts[code.dest_start], starts[code.src_end] - start)


def count_shared_ends(texts: Sequence[str]) -> tuple[int, int]:
    """Return how many leading characters some texts share, and how many trailing ones after these.

    Examples
    --------
    >>> count_shared_ends(["it is 14:32 now", "it is 14:35 now", "it is 15:35 now"])
    (7, 4)
    """
    first = texts[0]
    head = tail = min(map(len, texts))
    for text in texts[1:]:
        head = _count_common(first, text, 0, 0, head)
    for text in texts[1:]:
        tail = _count_common_backwards(
            first, text, len(first), len(text), min(tail, len(first) - head, len(text) - head)
        )
    return head, min(tail, *(len(text) - head for text in texts))


def _token_offsets(tokens: Iterable[str], start: int) -> list[int]:
    return list(accumulate(map(len, tokens), initial=start))


def _join_adjacent(changes: Iterable[list[int]], text: str) -> Iterator[list[int]]:
    """Join changes that touch, or that one token separates: a word replaced by another is one change."""
    last: list[int] | None = None
    for a, b, c, d in changes:
        if last is not None and (a == last[1] or _token.fullmatch(text, last[1], a)):
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


_alike = {
    **dict.fromkeys(map(ord, "\u2018\u2019\u201a\u201b\u2032\u00b4`"), "'"),
    **dict.fromkeys(map(ord, "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb"), '"'),
    **dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"), "-"),
    **dict.fromkeys(map(ord, "\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2060\ufe0e\ufe0f\ufeff"), None),
    **dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f\u3000"), " "),
}


def normalize_characters(text: str) -> str:
    """Return a text in compatibility form, with plain quotes, dashes and spaces, and without invisible characters.

    Examples
    --------
    >>> normalize_characters("caf\u0065\u0301 \u201cx\u201d\u200b") == normalize_characters('caf\u00e9 "x"')
    True
    """
    return normalize("NFKC", text.translate(_alike)).translate(_alike)


def may_hold_json(text: str) -> bool:
    """Return whether a text may hold a JSON object or list."""
    return _opening.search(text) is not None


def canonicalize_json(text: str, arrange: Callable[[Any], Any] | None = None) -> str:
    """Return a text with each JSON value in canonical form, so that key order, number format and spacing do not matter.

    Each value is first arranged by a function, if there is one.

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
            kept.append(canonical_json(arrange(value) if arrange else value))
        except (ValueError, RecordError, RecursionError):
            kept.append(found.group())
            end = found.end()
            failures += 1
    return "".join([*kept, text[end:]])
