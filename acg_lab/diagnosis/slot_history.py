"""The history of one slot of a block, which detectors look at as at a block's.

Two contents that say the same in the slot count as one. A content's text is what stands in the slot, with what is
around it on the same line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from acg_lab.diagnosis.block_history import BlockHistory, PartHistory
from acg_lab.repairs.text_template import Slot, Template

__all__ = ["SlotHistory", "find_stretches", "split_into_slots", "split_into_stretches"]

_NEAR = 64  # characters of the same line on either side
_MAX_SLOTS = 24
_MAX_VALUES = 3_000  # of all slots: of few contents there may be more slots
_SHORT_PIECE = 16  # characters between two slots of one stretch
_MAX_LENGTH = 4_096  # characters; what is longer is a text rather than a value


@dataclass(frozen=True, eq=False)
class SlotHistory(PartHistory):
    """The history of one slot.

    Attributes
    ----------
    slot : Slot
        A slot of its template.
    begin, end : sequence of int
        How far each text may be looked at: to the slots beside this one.
    """

    slot: Slot
    begin: Sequence[int]
    end: Sequence[int]

    @cached_property
    def is_short(self) -> bool:
        """Whether what stands there is always short enough to be a value."""
        return all(stop - start <= _MAX_LENGTH for start, stop in zip(self.slot.starts, self.slot.stops, strict=True))

    @cached_property
    def _members(self) -> Mapping[int, int]:
        """The number of each content among the texts of the template, by code; strays have none."""
        template = self.whole.template
        members = template.members if template else ()
        return {self.whole.by_count[member]: number for number, member in enumerate(members)}

    @cached_property
    def codes(self) -> Sequence[int | None]:
        """In each request the code of the first content with this value, None for a stray and where it is absent."""
        first: dict[str, int] = {}
        same = {code: first.setdefault(self._cut_out(code, 0), code) for code in self._members}
        return [None if code is None else same.get(code) for code in self.whole.codes]

    def text(self, code: int) -> str:
        """Return what stands in the slot, with what is around it on the same line."""
        return self._cut_out(code, _NEAR)

    def value(self, code: int) -> str:
        """Return what stands in the slot."""
        return self._cut_out(code, 0)

    def before(self, code: int, length: int) -> str:
        """Return up to some characters before the slot, on any line."""
        at = self.slot.starts[self._members[code]]
        return self.whole.text(code)[max(at - length, 0) : at]

    def lines(self, code: int) -> list[str]:
        """Return the lines that the slot touches, without empty ones."""
        number, text = self._members[code], self.whole.text(code)
        start, stop = self.slot.starts[number], self.slot.stops[number]
        value = text[start:stop]
        if not value:
            return []
        if not value.startswith("\n"):
            start = text.rfind("\n", 0, start) + 1
        if not value.endswith("\n"):
            stop = end if (end := text.find("\n", stop)) >= 0 else len(text)
        return [line for line in text[start:stop].split("\n") if line.strip()]

    def _cut_out(self, code: int, near: int) -> str:
        number, text = self._members[code], self.whole.text(code)
        start, stop = self.slot.starts[number], self.slot.stops[number]
        before = text[max(start - near, self.begin[number]) : start].rpartition("\n")[2]
        after = text[stop : min(stop + near, self.end[number])].partition("\n")[0]
        return before + text[start:stop] + after


def split_into_slots(block: BlockHistory) -> list[SlotHistory]:
    """Return the histories of a block's slots, in order; none if there are too many."""
    template = block.template
    return _split(block, template.slots) if template is not None and len(template.slots) <= _MAX_SLOTS else []


def split_into_stretches(block: BlockHistory) -> list[SlotHistory]:
    """Return the histories of a block's slots, in order; of many slots those near each other are one."""
    template = block.template
    if template is None:
        return []
    most = max(_MAX_SLOTS, _MAX_VALUES // len(template.texts))
    slots = template.slots if len(template.slots) <= most else find_stretches(template)
    return _split(block, slots) if len(slots) <= most else []


def find_stretches(template: Template) -> list[Slot]:
    """Return the slots of a template, those with few characters between them as one."""
    found: list[Slot] = []
    for slot in template.slots:
        last = found[-1] if found else None
        if last is not None and slot.offset - last.offset - last.length < _SHORT_PIECE:
            found[-1] = Slot(last.offset, slot.offset + slot.length - last.offset, last.starts, slot.stops)
        else:
            found.append(slot)
    return found


def _split(block: BlockHistory, slots: Sequence[Slot]) -> list[SlotHistory]:
    template = block.template
    if template is None or not slots:
        return []
    begins = [[0] * len(template.texts), *(slot.stops for slot in slots[:-1])]
    ends = [*(slot.starts for slot in slots[1:]), [*map(len, template.texts)]]
    return [
        SlotHistory(block.source, block.rows, block.span, block.threshold, block, slot, begin, end)
        for slot, begin, end in zip(slots, begins, ends, strict=True)
    ]
