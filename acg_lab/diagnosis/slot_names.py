"""Name the slots of a block by what stands in them."""

from collections.abc import Callable
from functools import lru_cache

from acg_lab.diagnosis.block_history import BlockHistory
from acg_lab.diagnosis.finding import Kind
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
from acg_lab.diagnosis.text_patterns import DATETIME, NUMBER
from acg_lab.diagnosis.value_checks import VALUE_CHECKS, Check, is_counter

__all__ = ["OF_SLOTS", "in_slots", "is_of_kind", "name_slot"]

OF_SLOTS = (
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
    Kind.PATH: is_directory,
    Kind.COUNTER: is_counter,
    Kind.NUMBER: lambda slot: slot.is_stable_after(NUMBER.remove),
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
    named = [(slot, kind) for slot in slots if (kind := name_slot(slot)) is not None]
    if len(named) < len(slots):
        return ()
    named.sort(key=lambda pair: (-len(pair[0].counts), pair[1] not in OF_SLOTS))
    return tuple(kind for _, kind in named)


def name_slot(slot: SlotHistory) -> Kind | None:
    """Return the kind of what stands in a slot; None if no test is sure."""
    if not slot.is_short:
        return None
    for kind, test in _SLOT_TESTS.items():
        if test(slot):
            return kind
    return next((kind for kind, test in VALUE_CHECKS if test(slot) is not None), None)


def is_of_kind(slot: SlotHistory, kind: Kind) -> bool:
    """Return whether the test for one kind holds, whatever tests before it say."""
    return slot.is_short and _SLOT_TESTS[kind](slot)


def in_slots(kind: Kind) -> Check:
    """Return a test for slots that all have a known kind, of which this kind's has the most values."""

    def test(block: BlockHistory) -> tuple[str, ...] | None:
        kinds = _name_slots(block)
        if not kinds or kinds[0] is not kind or (kind not in OF_SLOTS and len(kinds) == 1):
            return None
        return tuple(sorted(f"also {other}" for other in {*kinds} - {kind}))

    return test
