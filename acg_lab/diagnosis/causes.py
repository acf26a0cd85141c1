"""Tell apart the causes of a change in one block, such as a clock and a user's name in one system prompt.

A cause is the slots of one kind, or one respect in which lists of tools differ. What always changes together is one
cause: the name, the language and the balance of the customer. What no detector names is one cause too, and so is what
stands next to it on its line.

Invariant: a block that one detector explains without a rest has one cause.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise
from typing import Final, NamedTuple

from acg_lab.diagnosis.block_history import BlockHistory
from acg_lab.diagnosis.detectors import Detection, detect, find_detector
from acg_lab.diagnosis.finding import Kind, Timing
from acg_lab.diagnosis.form_checks import is_retrieved
from acg_lab.diagnosis.mended_history import MendedText
from acg_lab.diagnosis.slot_history import SlotHistory, split_into_stretches
from acg_lab.diagnosis.slot_names import OF_SLOTS, is_of_kind, name_slot
from acg_lab.diagnosis.tool_lists import separate_tools

__all__ = ["Cause", "find_causes_of_block"]

_NEAR: Final = 64  # characters between two slots on one line, which then are one phrase
_apart: Final = re.compile(r"[\n:\uff1a=;|<>{}\[\]\"]")
# Names that a slot shows by itself, whatever else varies in the text.
_SURE: Final = frozenset({*OF_SLOTS, Kind.COUNTER, Kind.DATETIME, Kind.IDENTIFIER})
# What only shows in a text as a whole.
_OF_TEXTS: Final = frozenset(
    {
        Kind.APPENDED,
        Kind.JSON_KEY_ORDER,
        Kind.REORDERED,
        Kind.RETRIEVED_TEXT,
        Kind.UNICODE_FORM,
        Kind.WHITESPACE,
    }
)
# What may hide that other things vary too.
_MAY_HIDE: Final = frozenset({Kind.FEATURE_VARIANTS, Kind.RETRIEVED_TEXT, Kind.VARIANTS})
_OF_TOOLS: Final = (Kind.TOOLS_ADDED, Kind.TOOLS_EDITED, Kind.TOOLS_REMOVED, Kind.TOOLS_REORDERED)
# A state of several lines: a number or a file name in it is a part of it.
_STATES: Final = (Kind.CHECKLIST, Kind.MEMORY, Kind.WORKING_DIRECTORY_STATE)


class Cause(NamedTuple):
    """One cause of a change in a block.

    Attributes
    ----------
    block : BlockHistory
        The block as it would be if the other causes were mended; of a single cause, the block itself.
    detection : Detection or None
        What named it; None if no detector did.
    """

    block: BlockHistory
    detection: Detection | None

    @property
    def kind(self) -> Kind:
        """The kind of the change."""
        return self.detection.detector.kind if self.detection else self.block.unnamed_kind


def find_causes_of_block(block: BlockHistory) -> list[Cause]:
    """Return the causes of a block's changes, that with the most values first."""
    found = detect(block)
    single = [Cause(block, found)]
    if found is not None and not found.is_mixed and found.detector.kind not in _MAY_HIDE:
        return single
    if found is not None and found.detector.kind in _OF_TOOLS:
        causes = [Cause(one, detection) for one in separate_tools(block) if (detection := detect(one)) is not None]
        if any(_go_together(one.block, other.block) for one, other in combinations(causes, 2)):
            return single
    else:
        causes = _separate_slots(block)
    causes.sort(key=lambda cause: (cause.detection is None, -len(cause.block.counts)))
    return causes if len(causes) > 1 else single


def _go_together(one: BlockHistory, other: BlockHistory) -> bool:
    """Return whether two things always change together, and often enough that it is no accident."""
    values = len(one.counts)
    together = {pair for pair in zip(one.codes, other.codes, strict=True) if None not in pair}
    return len(together) == values == len(other.counts) and 2 * values <= len(one.rows)


# --- slots ---


class _Group(NamedTuple):
    """Slots of one cause, and its kind; None if no test names them."""

    slots: Sequence[SlotHistory]
    kind: Kind | None


def _separate_slots(block: BlockHistory) -> list[Cause]:
    slots = split_into_stretches(block)
    if len(slots) < 2:  # noqa: PLR2004
        return []
    named = _join_states([(slot, name_slot(slot)) for slot in slots])
    named = _join_records(named, most=0 if is_retrieved(block) else 1)
    for kind in dict.fromkeys(kind for _, kind in named if kind in _SURE):
        rest = [slot for slot, other in named if other is not kind]
        if rest and (found := detect(_mend(block, rest))) is not None and found.detector.kind in _OF_TEXTS:
            of_kind = [slot for slot, other in named if other is kind]
            return [_make_cause(block, _Group(of_kind, kind)), Cause(_mend(block, rest), found)]
    groups = _join_what_goes_together(block, _group(named))
    causes = [_make_cause(block, group) for group in groups]
    return causes if len({cause.kind for cause in causes}) == len(causes) else []


def _mend(block: BlockHistory, slots: Iterable[SlotHistory]) -> MendedText:
    ends = [(one.slot.offset, one.slot.offset + one.slot.length) for one in slots]
    all_slots = block.template.slots if block.template else ()
    kept = [slot for slot in all_slots if any(start <= slot.offset <= end - slot.length for start, end in ends)]
    return MendedText(block.source, block.rows, block.span, block.threshold, block, kept)


def _make_cause(block: BlockHistory, group: _Group) -> Cause:
    mended = _mend(block, group.slots)
    if group.kind is None:
        return Cause(mended, detect(mended))
    return Cause(mended, Detection(find_detector(group.kind), ()))


_Named = Sequence[tuple[SlotHistory, Kind | None]]


def _join_states(named: _Named) -> _Named:
    """Return slots with their kinds; one that could be a part of a state that another slot shows is one."""
    for state in _STATES:
        if any(kind is state for _, kind in named):
            named = [(slot, state if is_of_kind(slot, state) else kind) for slot, kind in named]
    return named


def _join_records(named: _Named, most: int) -> _Named:
    """Return slots with their kinds; more of one kind than ``most`` between slots without a name are parts of records.

    Of retrieved passages one is: each may end with a date or an identifier.
    """
    unnamed = [number for number, (_, kind) in enumerate(named) if kind not in _SURE]
    between = Counter(kind for _, kind in named[min(unnamed) : max(unnamed)]) if unnamed else Counter()
    return [(slot, None if kind is not None and between[kind] > most else kind) for slot, kind in named]


def _group(named: _Named) -> list[_Group]:
    """Return the slots of each kind; a rest without a name takes up what is near it, or not sure."""
    has_rest = any(kind is None and slot.change_history.timing is not Timing.ONCE for slot, kind in named)
    if has_rest:
        named = [(slot, kind if kind in _SURE else None) for slot, kind in named]
        named = _join_phrases(named)
    groups: dict[tuple[Kind | None, int | None], list[SlotHistory]] = {}
    for slot, kind in named:
        history = slot.change_history
        moment = history.last_change if kind is None and history.timing is Timing.ONCE else None
        groups.setdefault((kind, moment), []).append(slot)
    return [_Group(slots, kind) for (kind, _), slots in groups.items()]


def _join_phrases(named: _Named) -> _Named:
    """Return slots with their kinds, those that stand in one phrase with a slot without a name without theirs."""
    kinds = [kind for _, kind in named]
    for direction in (1, -1):
        numbers = range(len(named))[::direction]
        for one, other in pairwise(numbers):
            if kinds[one] is None and kinds[other] is not None and _are_one_phrase(named[one][0], named[other][0]):
                kinds[other] = None
    return [(slot, kind) for (slot, _), kind in zip(named, kinds, strict=True)]


def _are_one_phrase(one: SlotHistory, other: SlotHistory) -> bool:
    """Return whether two slots stand near each other on one line, and neither has a label or marks of its own."""
    first, second = sorted((one.slot, other.slot), key=lambda slot: slot.offset)
    template = one.whole.template
    if template is None:
        return False
    start = first.offset + first.length
    between = template.texts[template.reference][start : second.offset]
    return len(between) <= _NEAR and _apart.search(between) is None


def _join_what_goes_together(block: BlockHistory, groups: Sequence[_Group]) -> list[_Group]:
    """Return groups in which what always changes together is one, with the name of the surest."""
    joined: list[list[_Group]] = []
    histories = [_mend(block, group.slots) for group in groups]
    firsts: list[MendedText] = []
    for group, history in zip(groups, histories, strict=True):
        number = next((i for i, first in enumerate(firsts) if _go_together(first, history)), None)
        if number is None:
            joined.append([group])
            firsts.append(history)
        else:
            joined[number].append(group)
    return [_join(one) for one in joined]


def _join(groups: Sequence[_Group]) -> _Group:
    if len(groups) == 1:
        return groups[0]
    kinds = [group.kind for group in groups if group.kind is not None]
    kind = min(kinds, key=lambda one: one not in OF_SLOTS) if kinds else None
    slots = sorted((slot for group in groups for slot in group.slots), key=lambda slot: slot.slot.offset)
    return _Group(slots, kind)
