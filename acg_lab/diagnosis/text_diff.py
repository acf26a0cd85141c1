"""Where two texts differ, and whether they say the same in another form.

Belongs here: comparing texts. Offsets and lengths are in characters.
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
    "differing",
    "has_json",
    "same_values",
    "shared_ends",
    "shared_length",
    "with_texts",
    "without_space",
]

_MAX_TOKENS = 20_000
_NO_ACCIDENT = 32
_MAX_FAILURES = 50  # brackets that begin no JSON; a text with more of them is none
_token = re.compile(r"\w+|\s+|[^\w\s]")
_opening = re.compile(r"[{\[]")
_decoder = json.JSONDecoder()


class TextDifference(Struct, frozen=True):
    """One span of text that differs between the two commonest contents, dominant one first; in characters.

    ``text`` and ``other_text`` are None unless text was asked for.
    """

    offset: int
    length: int
    other_offset: int
    other_length: int
    text: str | None = None
    other_text: str | None = None


def differing(dominant: str, other: str) -> tuple[TextDifference, ...]:
    """Return the spans in which two texts differ, in order, by words; of very long texts, one span.

    Examples
    --------
    >>> [place] = differing("it is 14:32 now", "it is 14:351 now")
    >>> place.offset, place.length, place.other_offset, place.other_length
    (9, 2, 9, 3)
    """
    from rapidfuzz.distance import LCSseq  # noqa: PLC0415

    ours, theirs = _token.findall(dominant), _token.findall(other)
    head = _common(ours, theirs)
    tail = _common(ours[head:][::-1], theirs[head:][::-1])
    middle, other_middle = ours[head : len(ours) - tail], theirs[head : len(theirs) - tail]
    changes: Iterable[tuple[int, ...]] = [(0, len(middle), 0, len(other_middle))] if middle or other_middle else []
    if 0 < min(len(middle), len(other_middle)) <= max(len(middle), len(other_middle)) <= _MAX_TOKENS:
        codes = (code for code in LCSseq.opcodes(middle, other_middle) if code.tag != "equal")
        changes = ((code.src_start, code.src_end, code.dest_start, code.dest_end) for code in codes)
    starts, other_starts = _starts(ours), _starts(theirs)
    return tuple(
        TextDifference(starts[a], starts[b] - starts[a], other_starts[c], other_starts[d] - other_starts[c])
        for a, b, c, d in _joined([head + position for position in change] for change in changes)
    )


def _common(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Return how many tokens two lists have in common before the first that differs."""
    pairs = enumerate(zip(ours, theirs, strict=False))
    return next((i for i, (mine, other) in pairs if mine != other), min(len(ours), len(theirs)))


def shared_ends(texts: Sequence[str]) -> tuple[int, int]:
    """Return how many characters all of some texts begin with, and how many behind these they all end with.

    Examples
    --------
    >>> shared_ends(["it is 14:32 now", "it is 14:35 now", "it is 15:35 now"])
    (7, 4)
    """
    head = _alike(min(texts), max(texts))
    backwards = [text[head:][::-1] for text in texts]
    return head, _alike(min(backwards), max(backwards))


def _alike(one: str, other: str) -> int:
    """Return how many characters two texts begin with; texts may be megabytes, so slices are compared."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def _starts(tokens: Iterable[str]) -> list[int]:
    return list(accumulate(map(len, tokens), initial=0))


def _joined(changes: Iterable[list[int]]) -> Iterator[list[int]]:
    """Join changes that meet, or that only one token parts: a word left out and another put in are one change."""
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


def shared_length(text: str, places: Sequence[TextDifference]) -> int:
    """Return how many bytes of the dominant text stay the same, in pieces long enough not to agree by accident."""
    ends = [0, *(place.offset + place.length for place in places)]
    starts = [*(place.offset for place in places), len(text)]
    pieces = [text[end:start] for end, start in zip(ends, starts, strict=True)]
    return sum(len(piece.encode()) for piece in pieces if len(piece) >= _NO_ACCIDENT)


def with_texts(place: TextDifference, dominant: str, other: str) -> TextDifference:
    """Return the place with its two excerpts."""
    return TextDifference(
        place.offset,
        place.length,
        place.other_offset,
        place.other_length,
        dominant[place.offset : place.offset + place.length],
        other[place.other_offset : place.other_offset + place.other_length],
    )


def without_space(text: str) -> str:
    """Return a text without its white space."""
    return "".join(text.split())


def has_json(text: str) -> bool:
    """Whether an object or a list may stand in a text."""
    return _opening.search(text) is not None


def same_values(text: str) -> str:
    """Return a text with each JSON value in it in canonical form: key order, number format and spacing vanish.

    Examples
    --------
    >>> same_values('now {"b": 1.0, "a": [2]}') == same_values('now {"a":[2],"b":1}')
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
