"""What kind of change it is: small tests, listed in one table.

Belongs here: `DETECTORS`. Each has the kind that it finds, a test, and the words of its sentence. The first whose test
holds names the change; a test that can't be sure says no. To add one, write its test and put it into the table, before
those that would claim its cases.
"""

import re
import string
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from acg_lab.diagnosis.block_history import BlockHistory
from acg_lab.diagnosis.finding import Kind, Timing
from acg_lab.diagnosis.phrases import when
from acg_lab.diagnosis.structure import compare_tools, is_missing, is_shifted
from acg_lab.diagnosis.text_diff import has_json, same_values, shared_ends, without_space
from acg_lab.diagnosis.text_patterns import DATETIME, IDENTIFIER, NUMBER, PATH

__all__ = ["DETECTORS", "Detector", "Match", "detect"]

_FEW, _MANY = 2, 5
_WORD = string.ascii_letters + string.digits + "_+/=-"
_MOSTLY = 0.8
_STEADY = 10


class Detector(NamedTuple):
    """One kind of change: ``test`` returns details (none: an empty tuple) if it is of that kind, else None.

    ``words`` say what happens, with ``{block}`` for the block and ``{more}`` where details follow.
    """

    kind: Kind
    test: Callable[[BlockHistory], tuple[str, ...] | None]
    words: str


class Match(NamedTuple):
    """The detector that named a change, and what it saw."""

    detector: Detector
    details: tuple[str, ...]

    def tell(self, change: BlockHistory) -> str:
        """Say what changes and when, as a clause."""
        more = ", ".join([*self.details[:_FEW], *(["..."] if len(self.details) > _FEW else [])])
        what = self.detector.words.format(block=repr(change.span_id), more=f" ({more})" if more else "")
        return f"{what} {when(change)}"


def detect(change: BlockHistory) -> Match | None:
    """Return the first detector of the table whose test holds; None if the evidence carries none."""
    for detector in DETECTORS:
        if (details := detector.test(change)) is not None:
            return Match(detector, details)
    return None


def _says(test: Callable[[BlockHistory], bool]) -> Callable[[BlockHistory], tuple[str, ...] | None]:
    return lambda change: () if test(change) else None


def _vanishes(simplify: Callable[[str], str]) -> Callable[[BlockHistory], tuple[str, ...] | None]:
    return _says(lambda change: change.vanishes(simplify))


def _tools(kind: Kind) -> Callable[[BlockHistory], tuple[str, ...] | None]:
    def test(change: BlockHistory) -> tuple[str, ...] | None:
        found = compare_tools(change)
        if found is None or found.kind is not kind or (kind is Kind.TOOLS_EDITED and _is_filled_in(change)):
            return None
        return found.details

    return test


def _is_filled_in(change: BlockHistory) -> bool:
    """Whether nobody edits the tool so often: dates, identifiers and the like in it change, time and again."""
    return len(change.counts) > _MANY and change.vanishes(_all_out)


# --- texts ---

_item = re.compile(
    r"^\W{0,3}(?:\[\d+\]|<(?:doc|document|passage|chunk|source|result|context)\b|"
    r"(?:doc|document|passage|chunk|source|result|excerpt)\s*\W?\d+)",
    re.MULTILINE | re.IGNORECASE,
)
_cue = re.compile(
    r"\b(?:score|chunk|passage|document|source|retrieved|relevance|similarity|excerpt)s?\b", re.IGNORECASE
)


def _is_retrieved(change: BlockHistory) -> bool:
    """Whether it is retrieved: it says so itself, or lists at least two passages in most of its many contents."""
    if len(change.counts) < _FEW:
        return False
    if change.form.provenance == "retrieval":
        return True
    texts = [change.text(code) for code in change.counts]
    listed = sum(len(_item.findall(text)) >= _FEW and _cue.search(text) is not None for text in texts)
    return len(texts) >= _MANY and listed >= _MOSTLY * len(texts)


def _json_order(change: BlockHistory) -> bool:
    return all(has_json(change.text(code)) for code in change.counts) and change.vanishes(same_values, whole=True)


def _counts(change: BlockHistory) -> bool:
    """Whether one number goes up, or down, by steady steps; and nothing else changes."""
    if not change.vanishes(NUMBER.take_out):
        return False
    numbers = {code: _numbers(change.core(code)) for code in change.counts}
    values = [numbers[code] for code in change.codes if code is not None]
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
    return sizes[-1] <= _STEADY * sizes[len(sizes) // 2]


_token = re.compile(r"[\w+/=-]{8,}")


def _is_drawn(change: BlockHistory) -> bool:
    """Whether all that differs is one word, ever new, of one length, and mostly letters and digits at once."""
    texts = [change.core(code) for code in change.counts]
    if len(texts) < _MANY or not change.readable:
        return False
    head, tail = shared_ends(texts)
    words = []
    for text in texts:
        start = len(text[:head].rstrip(_WORD)) if head else 0
        rest = text[len(text) - tail :]
        words.append(text[start : len(text) - len(rest.lstrip(_WORD))])
    mixed = sum(any(c.isdecimal() for c in word) and any(c.isalpha() for c in word) for word in words)
    return len({*map(len, words)}) == 1 and all(map(_token.fullmatch, words)) and mixed >= _MOSTLY * len(words)


_PATTERNS = {Kind.DATETIME: DATETIME, Kind.PATH: PATH, Kind.IDENTIFIER: IDENTIFIER, Kind.NUMBER: NUMBER}


def _all_out(text: str) -> str:
    for pattern in _PATTERNS.values():
        text = pattern.take_out(text)
    return without_space(text)


def _leads(kind: Kind) -> Callable[[BlockHistory], tuple[str, ...] | None]:
    """Make a test for a change of several kinds at once, of which this one stands first."""

    def test(change: BlockHistory) -> tuple[str, ...] | None:
        if not change.differences or not change.vanishes(_all_out):
            return None
        dominant, places = change.differing_core
        touched = zip(*(pattern.covers(dominant, places) for pattern in _PATTERNS.values()), strict=True)
        first, *others = [
            next((k for k, yes in zip(_PATTERNS, of_place, strict=True) if yes), None) for of_place in touched
        ]
        if first is not kind:
            return None
        return tuple(sorted(f"{other} too" for other in {*others} - {None, kind}))

    return test


# --- few contents ---


def _alternates(change: BlockHistory) -> bool:
    return (
        1 < len(change.counts) <= _MANY
        and change.present == len(change.rows)
        and change.sequel.timing is Timing.ALTERNATING
    )


_DATE = "a date or time in {block}{more} changes"
_ID = "an identifier in {block}{more} changes"
_PATH = "a path or host name in {block}{more} changes"
_NUMBER = "a number in {block}{more} changes"

DETECTORS: tuple[Detector, ...] = (
    Detector(
        Kind.TOOLS_REORDERED, _tools(Kind.TOOLS_REORDERED), "the order of the tools changes{more}, first at {block},"
    ),
    Detector(Kind.TOOLS_REMOVED, _tools(Kind.TOOLS_REMOVED), "tools leave the list{more}, first at {block},"),
    Detector(Kind.TOOLS_ADDED, _tools(Kind.TOOLS_ADDED), "tools join the list{more}, first at {block},"),
    Detector(Kind.TOOLS_EDITED, _tools(Kind.TOOLS_EDITED), "the definition of a tool changes{more}, first at {block},"),
    Detector(
        Kind.SHIFTED, _says(is_shifted), "other blocks come and go before what stands at {block}, so its place changes"
    ),
    Detector(Kind.BLOCK_MISSING, _says(is_missing), "{block} comes and goes, the same wherever it is present,"),
    Detector(Kind.RETRIEVED_TEXT, _says(_is_retrieved), "{block} is retrieved text and changes"),
    Detector(Kind.WHITESPACE, _vanishes(without_space), "{block} changes, in white space only,"),
    Detector(
        Kind.JSON_KEY_ORDER, _says(_json_order), "{block} changes, in the key order or number format of its JSON only,"
    ),
    Detector(Kind.DATETIME, _vanishes(DATETIME.take_out), _DATE),
    Detector(Kind.PATH, _vanishes(PATH.take_out), _PATH),
    Detector(Kind.IDENTIFIER, _vanishes(IDENTIFIER.take_out), _ID),
    Detector(Kind.COUNTER, _says(_counts), "a counter in {block} goes on"),
    Detector(Kind.DATETIME, _leads(Kind.DATETIME), _DATE),
    Detector(Kind.PATH, _leads(Kind.PATH), _PATH),
    Detector(Kind.IDENTIFIER, _leads(Kind.IDENTIFIER), _ID),
    Detector(Kind.NUMBER, _leads(Kind.NUMBER), _NUMBER),
    Detector(Kind.IDENTIFIER, _says(_is_drawn), _ID),
    Detector(Kind.VARIANTS, _says(_alternates), "{block} goes"),
)
