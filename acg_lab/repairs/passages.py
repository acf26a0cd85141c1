"""Find the passages of a block that a repair is about: slots, the stretches that vary between what all contents share.

Invariant: where a passage stands in a content depends on that content and on the shared pieces alone, so windows and
recorded requests are changed alike.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from acg_lab.repairs.stretches import Stretch, replace_in_content
from acg_lab.repairs.text_diff import UNSPACED
from acg_lab.repairs.text_template import Template, extend_template, find_template, place_pieces

__all__ = ["Passages", "find_passages"]

_MAX_JOINED: Final = 64  # characters of one value beside a slot
_inside_value: Final = re.compile(rf"[^\W{UNSPACED}]|[:./@+-]")
_word: Final = re.compile(rf"[^\W{UNSPACED}]")


@dataclass(frozen=True)
class Passages:
    """The passages of a block.

    Attributes
    ----------
    pieces : tuple of str
        What all contents share, in order.
    slots : tuple of int
        Numbers of the gaps: number i stands before piece i, and the last one after all pieces.
    values : tuple of str
        What the dominant content has in each slot.
    margins : tuple of (int, int)
        How many characters before and after each slot belong to the same value, as the hour does of which only the
        minutes vary.
    """

    pieces: tuple[str, ...]
    slots: tuple[int, ...]
    values: tuple[str, ...]
    margins: tuple[tuple[int, int], ...]

    def pin(self, content: str) -> str | None:
        """Return a content with the values of the dominant one; None if it does not hold the shared pieces."""
        found = self.to_pin(content)
        return None if found is None else replace_in_content(content, found)

    def to_pin(self, content: str) -> list[Stretch] | None:
        """Return the passages of a content, to be replaced by the dominant values."""
        gaps = self._find_gaps(content)
        if gaps is None:
            return None
        return [Stretch(*gaps[slot], value) for slot, value in zip(self.slots, self.values, strict=True)]

    def to_take_out(self, content: str) -> list[Stretch] | None:
        """Return the passages of a content as whole values and lines, to be taken out; empty ones are left out."""
        gaps = self._find_gaps(content)
        if gaps is None:
            return None
        found: list[Stretch] = []
        for slot, (before, after) in zip(self.slots, self.margins, strict=True):
            start, stop = gaps[slot]
            if not content[start:stop].strip():
                continue
            start, stop = _trim(content, start - before, stop + after)
            if found and not content[found[-1].stop : start].strip(" "):
                start = found.pop().start
            found.append(Stretch(start, stop))
        return [_whole_line(content, *one[:2]) for one in found]

    def take_out(self, content: str) -> tuple[str, str] | None:
        """Return what remains of a content, and what is taken out of it, one value per line."""
        found = self.to_take_out(content)
        if found is None:
            return None
        return replace_in_content(content, found), "\n".join(content[a:b].strip() for a, b, _ in found)

    def _find_gaps(self, content: str) -> list[tuple[int, int]] | None:
        try:
            return list(_gaps(content, self.pieces))
        except ValueError:
            return None


def _gaps(content: str, pieces: Sequence[str]) -> Iterator[tuple[int, int]]:
    ends = [(0, 0), *place_pieces(content, pieces), (len(content), len(content))]
    return ((stop, start) for (_, stop), (start, _) in pairwise(ends))


def _trim(content: str, start: int, stop: int) -> tuple[int, int]:
    value = content[start:stop]
    return start + len(value) - len(value.lstrip()), stop - len(value) + len(value.rstrip())


def _whole_line(content: str, start: int, stop: int) -> Stretch:
    """Return a stretch with its line feed if nothing else stands on its lines."""
    begin = content.rfind("\n", 0, start) + 1
    end = at if (at := content.find("\n", stop)) >= 0 else len(content)
    if content[begin:start].strip() or content[stop:end].strip():
        return Stretch(start, stop)
    return Stretch(begin, end + 1) if end < len(content) else Stretch(max(begin - 1, 0), end)


def find_passages(counts: Mapping[str, int], slots: Sequence[int] | None, more: Iterable[str] = ()) -> Passages | None:
    """Find passages of a block.

    Parameters
    ----------
    counts : mapping of str to int
        Its contents, and how many requests have each.
    slots : sequence of int or None
        Numbers of slots, from 0 in the order in which they stand; None for all.
    more : iterable of str
        Contents that other requests have. They do not count for the numbers; a slot is as wide as they need it.

    Returns
    -------
    Passages or None
        None if there is no such slot, or the contents share nothing.

    Examples
    --------
    >>> clocks = {f"It is {hour}:00, Ada. Be kind.": 1 for hour in range(9, 12)}
    >>> find_passages(clocks, (0,)).take_out("It is 9:00, Ada. Be kind.")
    ('It is , Ada. Be kind.', '9:00')
    """
    template = find_template(list(counts), list(counts.values()))
    spans = [(slot.offset, slot.offset + slot.length) for slot in template.slots]
    if slots is not None:
        if not all(0 <= number < len(spans) for number in slots):
            return None
        spans = [spans[number] for number in slots]
    template = extend_template(template, more)
    if slots is None:
        spans = [(slot.offset, slot.offset + slot.length) for slot in template.slots]
    reference = template.texts[template.reference]
    pieces = tuple(reference[start:stop] for start, stop in template.pieces)
    gaps = list(_gaps(reference, pieces))
    chosen = [i for i, (start, stop) in enumerate(gaps) if any(start <= a and b <= stop for a, b in spans)]
    if not chosen or not any(piece.strip() for piece in pieces):
        return None
    return Passages(
        pieces,
        tuple(chosen),
        tuple(reference[slice(*gaps[i])] for i in chosen),
        tuple(_margins(template, pieces, i) for i in chosen),
    )


def _margins(template: Template, pieces: Sequence[str], gap: int) -> tuple[int, int]:
    """Return how much of the pieces beside a gap belongs to the values in it."""
    values = {text[slice(*list(_gaps(text, pieces))[gap])] for text in template.texts}
    before, after = (pieces[gap - 1] if gap else ""), (pieces[gap] if gap < len(pieces) else "")
    left = _count_joined(before[::-1]) if any(_word.match(value) for value in values) else 0
    right = _count_joined(after) if any(value and _word.match(value[-1]) for value in values) else 0
    return left, right


def _count_joined(text: str) -> int:
    """Return how many leading characters of a text belong to the value that ends before it."""
    count = next((i for i, c in enumerate(text[:_MAX_JOINED]) if _inside_value.match(c) is None), None)
    if count is None:
        return 0  # longer than any value
    while count and _word.match(text[count - 1]) is None:
        count -= 1
    return count
