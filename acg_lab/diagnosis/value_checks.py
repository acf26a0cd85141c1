"""Checks of values in a text: dates, paths, identifiers, counters and other numbers, where nothing else changes.

A check takes the history of a block, or of one of its slots, and returns details if it holds, else None.
"""

import re
import string
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

from acg_lab.diagnosis.block_history import BlockHistory
from acg_lab.diagnosis.finding import Kind
from acg_lab.diagnosis.text_patterns import DATETIME, IDENTIFIER, NUMBER, PATH
from acg_lab.repairs.text_diff import count_shared_ends, remove_whitespace

__all__ = [
    "VALUE_CHECKS",
    "Check",
    "is_counter",
    "is_random_word",
    "predicate",
    "remove_all_patterns",
    "stable_after",
    "starts_with",
]

_MANY = 5
_WORD = string.ascii_letters + string.digits + "_+/=-"
_MOSTLY = 0.8
_MAX_STEP_RATIO = 10

Check: TypeAlias = Callable[[BlockHistory], tuple[str, ...] | None]


def predicate(test: Callable[[BlockHistory], bool]) -> Check:
    """Return a test that finds no details."""
    return lambda block: () if test(block) else None


def stable_after(simplify: Callable[[str], str]) -> Check:
    """Return a test for blocks that would be stable if each text were simplified."""
    return predicate(lambda block: block.is_stable_after(simplify))


def is_counter(block: BlockHistory) -> bool:
    """Return whether nothing changes but one number, which rises or falls in steps of similar size."""
    if not block.is_stable_after(NUMBER.remove):
        return False
    numbers = {code: _numbers(block.differing_part(code)) for code in block.counts}
    values = [numbers[code] for code in block.codes if code is not None]
    if len({len(of_text) for of_text in values}) != 1:
        return False
    moving = [column for column in zip(*values, strict=True) if len(set(column)) > 1]
    return len(moving) == 1 and _is_steady(moving[0])


_grouped = re.compile(r"\d{1,3}(?:[.,'\u202f]\d{3})+").fullmatch
_thousands = re.compile(r"[.,'\u202f]")


def _numbers(text: str) -> list[str]:
    return [text[start:stop] for start, stop in NUMBER.find(text)]


def _is_steady(values: Sequence[str]) -> bool:
    values = [_thousands.sub("", value) if _grouped(value) else value for value in values]
    if not all(value.isdecimal() for value in values):
        return False
    steps = [after - before for before, after in pairwise(map(int, values)) if after != before]
    if len(steps) < _MANY - 1 or not (all(step > 0 for step in steps) or all(step < 0 for step in steps)):
        return False
    sizes = sorted(map(abs, steps))
    return sizes[-1] <= _MAX_STEP_RATIO * sizes[len(sizes) // 2]


_token = re.compile(r"[\w+/=-]{8,}")


def is_random_word(block: BlockHistory) -> bool:
    """Return whether nothing differs but one word, always of one length, which mostly mixes letters and digits."""
    texts = [block.differing_part(code) for code in block.counts]
    if len(texts) < _MANY or not block.readable:
        return False
    head, tail = count_shared_ends(texts)
    words = []
    for text in texts:
        start = len(text[:head].rstrip(_WORD)) if head else 0
        rest = text[len(text) - tail :]
        words.append(text[start : len(text) - len(rest.lstrip(_WORD))])
    mixed = sum(any(c.isdecimal() for c in word) and any(c.isalpha() for c in word) for word in words)
    return len({*map(len, words)}) == 1 and all(map(_token.fullmatch, words)) and mixed >= _MOSTLY * len(words)


_PATTERNS = {Kind.DATETIME: DATETIME, Kind.PATH: PATH, Kind.IDENTIFIER: IDENTIFIER, Kind.NUMBER: NUMBER}


def remove_all_patterns(text: str) -> str:
    """Return a text without dates, paths, identifiers, numbers and white space."""
    for pattern in _PATTERNS.values():
        text = pattern.remove(text)
    return remove_whitespace(text)


def starts_with(kind: Kind) -> Check:
    """Return a test for a change of several kinds at once, of which this kind comes first in the text."""

    def test(block: BlockHistory) -> tuple[str, ...] | None:
        first, *others = _kinds_by_place(block) or [None]
        if first is not kind:
            return None
        return tuple(sorted(f"also {other}" for other in {*others} - {None, kind}))

    return test


@lru_cache(maxsize=1)  # several detectors ask about one block in turn
def _kinds_by_place(block: BlockHistory) -> tuple[Kind | None, ...]:
    """Return the kind of pattern at each place that differs, None where none is; none if more than patterns change."""
    if not block.differences or not block.is_stable_after(remove_all_patterns):
        return ()
    dominant, places = block.dominant_part
    touched = zip(*(pattern.covers(dominant, places) for pattern in _PATTERNS.values()), strict=True)
    return tuple(next((k for k, yes in zip(_PATTERNS, of_place, strict=True) if yes), None) for of_place in touched)


VALUE_CHECKS: tuple[tuple[Kind, Check], ...] = (
    (Kind.DATETIME, stable_after(DATETIME.remove)),
    (Kind.PATH, stable_after(PATH.remove)),
    (Kind.IDENTIFIER, stable_after(IDENTIFIER.remove)),
    (Kind.COUNTER, predicate(is_counter)),
    *((kind, starts_with(kind)) for kind in (Kind.DATETIME, Kind.PATH, Kind.IDENTIFIER, Kind.NUMBER)),
    (Kind.IDENTIFIER, predicate(is_random_word)),
)
