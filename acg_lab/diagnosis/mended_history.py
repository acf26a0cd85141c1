"""The history of a block as it would be if only one of several causes were left: everything else that varies is mended.

Of a text, the slots of the other causes hold what the reference holds there. Of a list of tools, the other respects in
which lists differ are made equal. Two contents that then are the same count as one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from acg_lab.diagnosis.block_history import PartHistory
from acg_lab.diagnosis.finding import Variant
from acg_lab.repairs.text_template import Slot, Template

__all__ = ["MendedText", "MendedTools"]


@dataclass(frozen=True, eq=False)
class _MendedHistory(PartHistory):
    """A history of the same requests in which fewer things vary."""

    @property
    def unit(self) -> str:
        """What is counted: a content of the whole block may differ in more."""
        return "value"

    def variants(self) -> tuple[Variant, ...]:
        """Return the commonest contents of the whole block: nobody sent a mended one."""
        return self.whole.variants()


@dataclass(frozen=True, eq=False)
class MendedText(_MendedHistory):
    """The history of a text in which only some slots vary.

    Attributes
    ----------
    slots : sequence of Slot
        Slots of the whole block's template, in order.
    """

    slots: Sequence[Slot]

    @property
    def name(self) -> str:
        """The span id and where in the text the first of the slots is."""
        return f"{self.span_id!r} at offset {self.slots[0].offset:,}"

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the slots among all of the block, by which repairs name them."""
        return tuple(number for number, slot in enumerate(self._fitting.slots) if slot in self.slots)

    @cached_property
    def _fitting(self) -> Template:
        template = self.whole.template
        assert template is not None  # noqa: S101  there are slots
        return template

    @cached_property
    def _members(self) -> Mapping[int, int]:
        """The number of each content among the texts of the template, by code; strays have none."""
        return {self.whole.by_count[member]: number for number, member in enumerate(self._fitting.members)}

    @cached_property
    def codes(self) -> Sequence[int | None]:
        """In each request the code of the first content that holds the same, None for a stray or an absent block."""
        first: dict[tuple[str, ...], int] = {}
        reference = self._fitting.reference
        numbers = sorted(self._members.items(), key=lambda item: item[1] != reference)
        same = {code: first.setdefault(self._values(number), code) for code, number in numbers}
        return [None if code is None else same.get(code) for code in self.whole.codes]

    def _values(self, number: int) -> tuple[str, ...]:
        return tuple(self._fitting.value(slot, number) for slot in self.slots)

    def text(self, code: int) -> str:
        """Return a content with what the reference holds in all other slots."""
        if code not in self._known:
            values = [*self._values(self._members[code]), ""]
            self._known[code] = "".join(part for pair in zip(self._frame, values, strict=True) for part in pair)
        return self._known[code]

    @cached_property
    def _known(self) -> dict[int, str]:
        return {}

    @cached_property
    def _frame(self) -> Sequence[str]:
        """What the reference holds before, between and after the slots."""
        text = self._fitting.texts[self._fitting.reference]
        return [text[start:stop] for start, stop in self._frame_ends]

    @cached_property
    def _frame_ends(self) -> Sequence[tuple[int, int]]:
        length = len(self._fitting.texts[self._fitting.reference])
        stops = [*(slot.offset for slot in self.slots), length]
        starts = [0, *(slot.offset + slot.length for slot in self.slots)]
        return list(zip(starts, stops, strict=True))

    @cached_property
    def template(self) -> Template | None:
        """What all contents share, and the slots; offsets are those of the whole block's reference."""
        if len(self.counts) < 2:  # noqa: PLR2004
            return None
        whole = self._fitting
        reference = self.whole.by_count[whole.members[whole.reference]]
        members = range(len(self.by_count))
        pieces = [(start, stop) for start, stop in self._frame_ends if stop > start]
        return Template(self.texts, self.by_count.index(reference), members, (), pieces)


@dataclass(frozen=True, eq=False)
class MendedTools(_MendedHistory):
    """The history of a list of tools in which only one respect varies.

    Attributes
    ----------
    lists : sequence of tuple of (int, int)
        Codes of span and content of each tool, by request.
    """

    lists: Sequence[tuple[tuple[int, int], ...]]

    @property
    def readable(self) -> bool:
        """Whether the contents are texts rather than hashes in place of texts."""
        return self.whole.readable

    @property
    def template(self) -> Template | None:
        """None: a list is no text."""
        return None

    @cached_property
    def tools(self) -> Sequence[tuple[tuple[int, int], ...]]:
        """Codes of span and content of each tool, by request."""
        return self.lists

    @cached_property
    def codes(self) -> Sequence[int | None]:
        """In each request a code of the list."""
        numbers: dict[tuple[tuple[int, int], ...], int] = {}
        return [numbers.setdefault(listed, len(numbers)) for listed in self.lists]
