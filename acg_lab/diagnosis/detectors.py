"""Name the kind of a change: small tests, listed in one table, `DETECTORS`.

The first detector whose test holds names the change. A test that is not sure returns None. To add a detector, write its
test and put it into the table before those that would claim its cases (acg_lab/docs/contributing.md).
"""

from typing import NamedTuple

from acg_lab.diagnosis.block_history import BlockHistory
from acg_lab.diagnosis.finding import Kind, Timing
from acg_lab.diagnosis.form_checks import is_appended, is_json_order, is_reordered, is_retrieved, is_unicode_form
from acg_lab.diagnosis.phrases import describe_alternation, describe_change
from acg_lab.diagnosis.slot_names import in_slots
from acg_lab.diagnosis.structure import is_missing, is_permuted, is_shifted
from acg_lab.diagnosis.text_patterns import DATETIME, IDENTIFIER, PATH
from acg_lab.diagnosis.tool_lists import compare_tools
from acg_lab.diagnosis.value_checks import (
    Check,
    is_counter,
    is_random_word,
    predicate,
    remove_all_patterns,
    stable_after,
    starts_with,
)
from acg_lab.repairs.text_diff import remove_whitespace

__all__ = ["DETECTORS", "Detection", "Detector", "detect", "find_detector"]

_FEW, _MANY = 2, 5
_MIN_SEEN, _MIN_USED, _MAX_VERSIONS = 20, 0.15, 4  # requests; share of them that has each version


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
    test: Check
    wording: str


class Detection(NamedTuple):
    """The detector that named a change, and the details that it found."""

    detector: Detector
    details: tuple[str, ...]

    @property
    def is_mixed(self) -> bool:
        """Whether something of another kind changes too."""
        return any(detail.startswith("also ") for detail in self.details)

    def describe(self, block: BlockHistory) -> str:
        """Return what changes and when, as a clause."""
        more = ", ".join([*self.details[:_FEW], *(["..."] if len(self.details) > _FEW else [])])
        return self.detector.wording.format(
            block=block.name,
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


def find_detector(kind: Kind) -> Detector:
    """Return the first detector of a kind."""
    return next(detector for detector in DETECTORS if detector.kind is kind)


def _tools_change(kind: Kind) -> Check:
    def test(block: BlockHistory) -> tuple[str, ...] | None:
        found = compare_tools(block)
        if found is None or found.kind is not kind or (kind is Kind.TOOLS_EDITED and _is_filled_in(block)):
            return None
        return found.details

    return test


def _is_filled_in(block: BlockHistory) -> bool:
    """Return whether a program fills in the definition: it often changes, in dates, identifiers and the like only."""
    return len(block.counts) > _MANY and block.is_stable_after(remove_all_patterns)


def _changed_once(block: BlockHistory) -> bool:
    return block.form.is_scaffold and block.change_history.timing is Timing.ONCE


def _are_side_by_side(block: BlockHistory) -> tuple[str, ...] | None:
    """Return the shares of a few versions of one text, each used often from the beginning to the end of the history."""
    counts, template = block.counts, block.template
    if not _alternates(block) or template is None or template.strays:
        return None
    if len(block.rows) < _MIN_SEEN or len(counts) > _MAX_VERSIONS:
        return None
    half = len(block.codes) // 2
    at_both_ends = {*block.codes[:half]} == {*block.codes[half:]}
    often = min(counts.values()) >= _MIN_USED * len(block.rows)
    is_one_text = 2 * template.count_shared_bytes() >= len(block.dominant_text.encode())
    if not (at_both_ends and often and is_one_text and block.change_history.changes >= _MANY):
        return None
    return (", ".join(f"{counts[code] / len(block.rows):.0%}" for code in block.by_count),)


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
        Kind.REDACTED,
        _tools_change(Kind.REDACTED),
        "the definition of a tool{more} {changes}, first at {block}",
    ),
    Detector(
        Kind.REORDERED,
        _tools_change(Kind.REORDERED),
        "the order of a list in the definition of a tool{more} {changes}, first at {block}",
    ),
    Detector(
        Kind.REORDERED,
        predicate(is_permuted),
        "the order of the same blocks, from {block} on, {changes}",
    ),
    Detector(
        Kind.SHIFTED,
        predicate(is_shifted),
        "other blocks come and go before {block}, so the content at its position {changes}",
    ),
    Detector(
        Kind.BLOCK_MISSING,
        predicate(is_missing),
        "{block} {comes_and_goes}, with the same content wherever it is present",
    ),
    Detector(Kind.RETRIEVED_TEXT, predicate(is_retrieved), "{block} is retrieved text and {changes}"),
    Detector(Kind.WHITESPACE, stable_after(remove_whitespace), "only the white space of {block} {changes}"),
    Detector(
        Kind.JSON_KEY_ORDER,
        predicate(is_json_order),
        "only the key order or number format of the JSON in {block} {changes}",
    ),
    Detector(
        Kind.REORDERED,
        predicate(is_reordered),
        "the order of the same items in {block}{more} {changes}",
    ),
    Detector(
        Kind.UNICODE_FORM,
        predicate(is_unicode_form),
        "only the form of characters in {block} {changes}, such as accents, quotes or invisible ones",
    ),
    Detector(Kind.APPENDED, predicate(is_appended), "text is appended to {block}, which {changes}"),
    Detector(Kind.PERSON, in_slots(Kind.PERSON), "the name or address of a person in {block}{more} {changes}"),
    Detector(Kind.LOCALE, in_slots(Kind.LOCALE), "a language, country or time zone in {block}{more} {changes}"),
    Detector(Kind.RELATIVE_TIME, in_slots(Kind.RELATIVE_TIME), "a relative time in {block}{more} {changes}"),
    Detector(Kind.CHECKLIST, in_slots(Kind.CHECKLIST), "the state of a checklist in {block}{more} {changes}"),
    Detector(
        Kind.WORKING_DIRECTORY_STATE,
        in_slots(Kind.WORKING_DIRECTORY_STATE),
        "the state of the working directory in {block}{more} {changes}",
    ),
    Detector(Kind.MEMORY, in_slots(Kind.MEMORY), "what is remembered in {block}{more} {changes}"),
    Detector(
        Kind.OPTIONAL_SENTENCE,
        in_slots(Kind.OPTIONAL_SENTENCE),
        "a passage in {block}{more} comes and goes, so that it {changes}",
    ),
    Detector(Kind.DATETIME, stable_after(DATETIME.remove), _DATE),
    Detector(Kind.PATH, stable_after(PATH.remove), _PATH),
    Detector(Kind.IDENTIFIER, stable_after(IDENTIFIER.remove), _ID),
    Detector(Kind.COUNTER, predicate(is_counter), "a counter in {block} {changes}"),
    Detector(Kind.DATETIME, starts_with(Kind.DATETIME), _DATE),
    Detector(Kind.PATH, starts_with(Kind.PATH), _PATH),
    Detector(Kind.IDENTIFIER, starts_with(Kind.IDENTIFIER), _ID),
    Detector(Kind.NUMBER, starts_with(Kind.NUMBER), _NUMBER),
    Detector(Kind.IDENTIFIER, predicate(is_random_word), _ID),
    Detector(Kind.DATETIME, in_slots(Kind.DATETIME), _DATE),
    Detector(Kind.PATH, in_slots(Kind.PATH), _PATH),
    Detector(Kind.IDENTIFIER, in_slots(Kind.IDENTIFIER), _ID),
    Detector(Kind.COUNTER, in_slots(Kind.COUNTER), "a counter in {block}{more} {changes}"),
    Detector(Kind.NUMBER, in_slots(Kind.NUMBER), _NUMBER),
    Detector(
        Kind.FEATURE_VARIANTS,
        _are_side_by_side,
        "{block} {alternates}, as with a feature flag or an A/B test{more}, which is no fault if it is meant",
    ),
    Detector(Kind.VARIANTS, predicate(_alternates), "{block} {alternates}"),
    Detector(Kind.CHANGED_ONCE, predicate(_changed_once), "{block} {changes}"),
)
