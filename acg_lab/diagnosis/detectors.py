"""Name the kind of a change: small tests, listed in one table, `DETECTORS`.

The first detector whose test holds names the change. A test that is not sure returns None. To add a detector, write its
test and put it into the table before those that would claim its cases (acg_lab/docs/contributing.md).
"""

import re
import string
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from acg_lab.diagnosis.block_history import BlockHistory
from acg_lab.diagnosis.finding import Kind, Timing
from acg_lab.diagnosis.phrases import describe_alternation, describe_change
from acg_lab.diagnosis.slot_history import SlotHistory, split_into_slots
from acg_lab.diagnosis.slot_kinds import (
    is_checklist,
    is_directory,
    is_directory_state,
    is_locale,
    is_memory,
    is_optional,
    is_person,
    is_relative_time,
)
from acg_lab.diagnosis.structure import is_missing, is_permuted, is_shifted
from acg_lab.diagnosis.text_patterns import DATETIME, IDENTIFIER, NUMBER, PATH
from acg_lab.diagnosis.tool_lists import compare_tools
from acg_lab.repairs.permutations import keep_items, sort_arrays, sort_items, sort_paragraphs
from acg_lab.repairs.text_diff import (
    canonicalize_json,
    count_shared_ends,
    may_hold_json,
    normalize_characters,
    remove_whitespace,
)

__all__ = ["DETECTORS", "Detection", "Detector", "detect"]

_FEW, _MANY = 2, 5
_WORD = string.ascii_letters + string.digits + "_+/=-"
_MOSTLY = 0.8
_MAX_STEP_RATIO = 10


Test: TypeAlias = Callable[[BlockHistory], tuple[str, ...] | None]


class Detector(NamedTuple):
    """The test for one kind of change.

    Attributes
    ----------
    kind : Kind
    test : callable
        Takes a block's history; returns details, perhaps an empty tuple, if the change is of this kind, else None.
    wording : str
        A clause with ``{block}``, ``{more}`` (details in brackets), and one of the predicates ``{changes}``,
        ``{comes_and_goes}`` and ``{alternates}``.
    """

    kind: Kind
    test: Test
    wording: str


class Detection(NamedTuple):
    """The detector that named a change, and the details that it found."""

    detector: Detector
    details: tuple[str, ...]

    def describe(self, block: BlockHistory) -> str:
        """Return what changes and when, as a clause."""
        more = ", ".join([*self.details[:_FEW], *(["..."] if len(self.details) > _FEW else [])])
        return self.detector.wording.format(
            block=repr(block.span_id),
            more=f" ({more})" if more else "",
            changes=describe_change(block),
            comes_and_goes=describe_change(block, "comes and goes", "came or went"),
            alternates=describe_alternation(block),
        )


def detect(block: BlockHistory) -> Detection | None:
    """Return what the first detector found whose test holds; None if no test does."""
    for detector in DETECTORS:
        if (details := detector.test(block)) is not None:
            return Detection(detector, details)
    return None


def _predicate(test: Callable[[BlockHistory], bool]) -> Test:
    return lambda block: () if test(block) else None


def _stable_after(simplify: Callable[[str], str]) -> Test:
    return _predicate(lambda block: block.is_stable_after(simplify))


def _tools_change(kind: Kind) -> Test:
    def test(block: BlockHistory) -> tuple[str, ...] | None:
        found = compare_tools(block)
        if found is None or found.kind is not kind or (kind is Kind.TOOLS_EDITED and _is_filled_in(block)):
            return None
        return found.details

    return test


def _is_filled_in(block: BlockHistory) -> bool:
    """Return whether a program fills in the definition: it often changes, in dates, identifiers and the like only."""
    return len(block.counts) > _MANY and block.is_stable_after(_remove_all_patterns)


# --- order, form and length ---


def _is_reordered(block: BlockHistory) -> bool:
    """Return whether the same lines, items of lists or members of arrays stand in another order."""
    if block.is_stable_after(sort_items):
        return not block.is_stable_after(keep_items)
    return block.is_stable_after(sort_paragraphs) or _is_array_order(block)


def _is_array_order(block: BlockHistory) -> bool:
    return all(may_hold_json(text) for text in block.texts) and block.is_stable_after(sort_arrays, whole=True)


def _is_unicode_form(block: BlockHistory) -> bool:
    return block.is_stable_after(normalize_characters)


def _is_appended(block: BlockHistory) -> bool:
    """Return whether all contents differ in one place, and what stands there begins with the next shorter one."""
    if len(block.counts) <= _FEW or block.template is None or len(block.template.slots) != 1 or block.template.strays:
        return False
    values = sorted(block.template.values(block.template.slots[0]), key=len)
    return " " in values[-1] and all(value.startswith(shorter) for shorter, value in pairwise(values))


# --- texts ---

_item = re.compile(
    r"^\W{0,3}(?:\[\d+\]|<(?:doc|document|passage|chunk|source|result|context)\b|"
    r"(?:doc|document|passage|chunk|source|result|excerpt)\s*\W?\d+)",
    re.MULTILINE | re.IGNORECASE,
)
_cue = re.compile(
    r"\b(?:score|chunk|passage|document|source|retrieved|relevance|similarity|excerpt)s?\b", re.IGNORECASE
)


def _is_retrieved(block: BlockHistory) -> bool:
    """Return whether the text is retrieved: by its provenance, or as most contents list at least two passages."""
    if len(block.counts) < _FEW:
        return False
    if block.form.provenance == "retrieval":
        return True
    texts = [block.text(code) for code in block.counts]
    listed = sum(len(_item.findall(text)) >= _FEW and _cue.search(text) is not None for text in texts)
    return len(texts) >= _MANY and listed >= _MOSTLY * len(texts)


def _is_json_order(block: BlockHistory) -> bool:
    return all(may_hold_json(block.text(code)) for code in block.counts) and block.is_stable_after(
        canonicalize_json, whole=True
    )


def _is_counter(block: BlockHistory) -> bool:
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


def _is_random_word(block: BlockHistory) -> bool:
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


def _remove_all_patterns(text: str) -> str:
    for pattern in _PATTERNS.values():
        text = pattern.remove(text)
    return remove_whitespace(text)


def _starts_with(kind: Kind) -> Test:
    """Return a test for a change of several kinds at once, of which this kind comes first in the text."""

    def test(block: BlockHistory) -> tuple[str, ...] | None:
        if not block.differences or not block.is_stable_after(_remove_all_patterns):
            return None
        dominant, places = block.dominant_part
        touched = zip(*(pattern.covers(dominant, places) for pattern in _PATTERNS.values()), strict=True)
        first, *others = [
            next((k for k, yes in zip(_PATTERNS, of_place, strict=True) if yes), None) for of_place in touched
        ]
        if first is not kind:
            return None
        return tuple(sorted(f"also {other}" for other in {*others} - {None, kind}))

    return test


_VALUE_TESTS: tuple[tuple[Kind, Test], ...] = (
    (Kind.DATETIME, _stable_after(DATETIME.remove)),
    (Kind.PATH, _stable_after(PATH.remove)),
    (Kind.IDENTIFIER, _stable_after(IDENTIFIER.remove)),
    (Kind.COUNTER, _predicate(_is_counter)),
    *((kind, _starts_with(kind)) for kind in (Kind.DATETIME, Kind.PATH, Kind.IDENTIFIER, Kind.NUMBER)),
    (Kind.IDENTIFIER, _predicate(_is_random_word)),
)


# --- slots ---

_OF_SLOTS = (
    Kind.PERSON,
    Kind.LOCALE,
    Kind.RELATIVE_TIME,
    Kind.CHECKLIST,
    Kind.WORKING_DIRECTORY_STATE,
    Kind.MEMORY,
    Kind.OPTIONAL_SENTENCE,
)
_SLOT_TESTS: dict[Kind, Callable[[SlotHistory], bool]] = {
    Kind.PERSON: is_person,
    Kind.LOCALE: is_locale,
    Kind.RELATIVE_TIME: is_relative_time,
    # Of a list or a state, what changes may be a time or a number only.
    Kind.DATETIME: lambda slot: slot.is_stable_after(DATETIME.remove),
    Kind.COUNTER: _is_counter,
    Kind.NUMBER: lambda slot: slot.is_stable_after(NUMBER.remove),
    Kind.PATH: is_directory,
    Kind.CHECKLIST: is_checklist,
    Kind.WORKING_DIRECTORY_STATE: is_directory_state,
    Kind.MEMORY: is_memory,
    Kind.OPTIONAL_SENTENCE: is_optional,
}


@lru_cache(maxsize=1)  # several detectors ask about one block in turn
def _name_slots(block: BlockHistory) -> tuple[Kind, ...]:
    """Return the kinds of a block's slots, of the one with the most values first; none if a slot has no known kind.

    Of slots with equally many values, those of a kind that only slots have come first.
    """
    slots = split_into_slots(block)
    named = [(slot, kind) for slot in slots if (kind := _name_slot(slot)) is not None]
    if len(named) < len(slots):
        return ()
    named.sort(key=lambda pair: (-len(pair[0].counts), pair[1] not in _OF_SLOTS))
    return tuple(kind for _, kind in named)


def _name_slot(slot: SlotHistory) -> Kind | None:
    for kind, test in _SLOT_TESTS.items():
        if test(slot):
            return kind
    return next((kind for kind, test in _VALUE_TESTS if test(slot) is not None), None)


def _in_slots(kind: Kind) -> Test:
    """Return a test for slots that all have a known kind, of which this kind's has the most values."""

    def test(block: BlockHistory) -> tuple[str, ...] | None:
        kinds = _name_slots(block)
        if not kinds or kinds[0] is not kind or (kind not in _OF_SLOTS and len(kinds) == 1):
            return None
        return tuple(sorted(f"also {other}" for other in {*kinds} - {kind}))

    return test


# --- few contents ---


def _changed_once(block: BlockHistory) -> bool:
    return block.form.is_scaffold and block.change_history.timing is Timing.ONCE


def _alternates(block: BlockHistory) -> bool:
    return (
        1 < len(block.counts) <= _MANY
        and block.present == len(block.rows)
        and block.change_history.timing is Timing.ALTERNATING
    )


_DATE = "a date or time in {block}{more} {changes}"
_ID = "an identifier in {block}{more} {changes}"
_PATH = "a path or host name in {block}{more} {changes}"
_NUMBER = "a number in {block}{more} {changes}"

DETECTORS: tuple[Detector, ...] = (
    Detector(
        Kind.TOOLS_REORDERED,
        _tools_change(Kind.TOOLS_REORDERED),
        "the order of the tools{more} {changes}, first at {block}",
    ),
    Detector(
        Kind.TOOLS_REMOVED,
        _tools_change(Kind.TOOLS_REMOVED),
        "the list of tools {changes}, first at {block}, with tools removed{more}",
    ),
    Detector(
        Kind.TOOLS_ADDED,
        _tools_change(Kind.TOOLS_ADDED),
        "the list of tools {changes}, first at {block}, with tools added{more}",
    ),
    Detector(
        Kind.TOOLS_EDITED,
        _tools_change(Kind.TOOLS_EDITED),
        "the definition of a tool{more} {changes}, first at {block}",
    ),
    Detector(
        Kind.REORDERED,
        _tools_change(Kind.REORDERED),
        "the order of a list in the definition of a tool{more} {changes}, first at {block}",
    ),
    Detector(
        Kind.REORDERED,
        _predicate(is_permuted),
        "the order of the same blocks, from {block} on, {changes}",
    ),
    Detector(
        Kind.SHIFTED,
        _predicate(is_shifted),
        "other blocks come and go before {block}, so the content at its position {changes}",
    ),
    Detector(
        Kind.BLOCK_MISSING,
        _predicate(is_missing),
        "{block} {comes_and_goes}, with the same content wherever it is present",
    ),
    Detector(Kind.RETRIEVED_TEXT, _predicate(_is_retrieved), "{block} is retrieved text and {changes}"),
    Detector(Kind.WHITESPACE, _stable_after(remove_whitespace), "only the white space of {block} {changes}"),
    Detector(
        Kind.JSON_KEY_ORDER,
        _predicate(_is_json_order),
        "only the key order or number format of the JSON in {block} {changes}",
    ),
    Detector(
        Kind.REORDERED,
        _predicate(_is_reordered),
        "the order of the same items in {block}{more} {changes}",
    ),
    Detector(
        Kind.UNICODE_FORM,
        _predicate(_is_unicode_form),
        "only the form of characters in {block} {changes}, such as accents, quotes or invisible ones",
    ),
    Detector(Kind.APPENDED, _predicate(_is_appended), "text is appended to {block}, which {changes}"),
    Detector(Kind.PERSON, _in_slots(Kind.PERSON), "the name or address of a person in {block}{more} {changes}"),
    Detector(Kind.LOCALE, _in_slots(Kind.LOCALE), "a language, country or time zone in {block}{more} {changes}"),
    Detector(Kind.RELATIVE_TIME, _in_slots(Kind.RELATIVE_TIME), "a relative time in {block}{more} {changes}"),
    Detector(Kind.CHECKLIST, _in_slots(Kind.CHECKLIST), "the state of a checklist in {block}{more} {changes}"),
    Detector(
        Kind.WORKING_DIRECTORY_STATE,
        _in_slots(Kind.WORKING_DIRECTORY_STATE),
        "the state of the working directory in {block}{more} {changes}",
    ),
    Detector(Kind.MEMORY, _in_slots(Kind.MEMORY), "what is remembered in {block}{more} {changes}"),
    Detector(
        Kind.OPTIONAL_SENTENCE,
        _in_slots(Kind.OPTIONAL_SENTENCE),
        "a passage in {block}{more} comes and goes, so that it {changes}",
    ),
    Detector(Kind.DATETIME, _stable_after(DATETIME.remove), _DATE),
    Detector(Kind.PATH, _stable_after(PATH.remove), _PATH),
    Detector(Kind.IDENTIFIER, _stable_after(IDENTIFIER.remove), _ID),
    Detector(Kind.COUNTER, _predicate(_is_counter), "a counter in {block} {changes}"),
    Detector(Kind.DATETIME, _starts_with(Kind.DATETIME), _DATE),
    Detector(Kind.PATH, _starts_with(Kind.PATH), _PATH),
    Detector(Kind.IDENTIFIER, _starts_with(Kind.IDENTIFIER), _ID),
    Detector(Kind.NUMBER, _starts_with(Kind.NUMBER), _NUMBER),
    Detector(Kind.IDENTIFIER, _predicate(_is_random_word), _ID),
    Detector(Kind.DATETIME, _in_slots(Kind.DATETIME), _DATE),
    Detector(Kind.PATH, _in_slots(Kind.PATH), _PATH),
    Detector(Kind.IDENTIFIER, _in_slots(Kind.IDENTIFIER), _ID),
    Detector(Kind.COUNTER, _in_slots(Kind.COUNTER), "a counter in {block}{more} {changes}"),
    Detector(Kind.NUMBER, _in_slots(Kind.NUMBER), _NUMBER),
    Detector(Kind.VARIANTS, _predicate(_alternates), "{block} {alternates}"),
    Detector(Kind.CHANGED_ONCE, _predicate(_changed_once), "{block} {changes}"),
)
