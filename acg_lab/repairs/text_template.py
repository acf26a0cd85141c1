"""Find what all contents of a block share, in order, and the slots between, with the values that each text has there.

Every text counts, and the order in which they come does not: the shared pieces are those of a reference text that all
others hold too. A few texts that have next to nothing in common with the rest are set aside.

Invariant: time and memory are linear in the texts; slots are offsets, and pieces end at the ends of words.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from acg_lab.repairs.text_diff import Match, align

__all__ = ["Slot", "Template", "extend_template", "find_template", "place_pieces"]

_MIN_PIECE = 4  # characters; shorter ones may agree by accident
_LONG_PIECE = 32  # characters; a piece this long stands, whatever is beside it
_label = re.compile(r"[\n:=]")
_MIN_SHARED = 0.5  # of the reference; a text with less of it is another text
_MAX_STRAY = 0.2  # of the requests; more of them are no strays


class Slot(NamedTuple):
    """One stretch of text that varies.

    Attributes
    ----------
    offset, length : int
        Where it stands in the reference text, in characters.
    starts, stops : sequence of int
        Where it stands in each text of the template.
    """

    offset: int
    length: int
    starts: Sequence[int]
    stops: Sequence[int]


@dataclass(frozen=True, eq=False)
class Template:
    """What some texts share, and the slots between.

    Attributes
    ----------
    texts : sequence of str
        The texts that fit.
    reference : int
        Position of the reference text, to which offsets refer.
    members, strays : sequence of int
        Positions, among the texts asked about, of those that fit, and of the few that do not.
    pieces : sequence of (int, int)
        Start and end of each shared piece in the reference text, in order.
    """

    texts: Sequence[str]
    reference: int
    members: Sequence[int]
    strays: Sequence[int]
    pieces: Sequence[tuple[int, int]]

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The slots in order; those that hold the same in every text are left out."""
        placed = [[(0, 0), *place_pieces(text, self._piece_texts), (len(text), len(text))] for text in self.texts]
        found = []
        for before, after in pairwise(zip(*placed, strict=True)):
            starts, stops = tuple(stop for _, stop in before), tuple(start for start, _ in after)
            at = starts[self.reference]
            slot = Slot(at, stops[self.reference] - at, starts, stops)
            ours = self.value(slot, self.reference)
            if any(value != ours for value in self.values(slot)):
                found.append(slot)
        return tuple(found)

    @cached_property
    def _piece_texts(self) -> Sequence[str]:
        return [self.texts[self.reference][start:stop] for start, stop in self.pieces]

    def value(self, slot: Slot, text: int) -> str:
        """Return what stands in a slot of a text."""
        return self.texts[text][slot.starts[text] : slot.stops[text]]

    def values(self, slot: Slot) -> Iterator[str]:
        """Yield what stands in a slot of each text."""
        return (self.value(slot, text) for text in range(len(self.texts)))

    def count_shared_bytes(self) -> int:
        """Return how many bytes all texts share, in pieces too long to agree by accident."""
        return sum(len(piece.encode()) for piece in self._piece_texts if len(piece) >= _LONG_PIECE)


def find_template(texts: Sequence[str], counts: Sequence[int]) -> Template:
    """Find what texts share.

    Parameters
    ----------
    texts : sequence of str
        Different texts, at least one, in any order.
    counts : sequence of int
        How many requests have each.

    Returns
    -------
    Template
        The same for any order of the texts.

    Examples
    --------
    >>> template = find_template(["Ada asks: why?", "Bo asks: why?", "Cleo asks: why?"], [1, 1, 1])
    >>> [[template.value(slot, i) for i in range(3)] for slot in template.slots]
    [['Ada', 'Bo', 'Cleo']]
    """
    in_order = sorted(range(len(texts)), key=lambda i: (-counts[i], len(texts[i]), texts[i]))
    commonest = [i for i in in_order if counts[i] == counts[in_order[0]]]
    reference = commonest[len(commonest) // 2]
    strays, pieces = _find_pieces(texts, reference, in_order)
    if sum(counts[i] for i in strays) > _MAX_STRAY * sum(counts):
        strays, pieces = set(), _share(texts, reference, in_order)
    members = [i for i in range(len(texts)) if i not in strays]
    return Template(
        [texts[i] for i in members],
        members.index(reference),
        members,
        sorted(strays),
        _join_slots(texts[reference], pieces, [texts[i] for i in members]),
    )


def extend_template(template: Template, texts: Iterable[str]) -> Template:
    """Return what further texts share too, with the same reference; those that share too little with it are left out.

    Examples
    --------
    >>> template = find_template(["On 1 May 9:00.", "On 1 May 9:30."], [1, 1])
    >>> [slot.offset for slot in extend_template(template, ["On 2 June 9:30."]).slots]
    [3]
    """
    ours = template.texts[template.reference]
    pieces, fitting = list(template.pieces), list(template.texts)
    for text in dict.fromkeys(texts):
        if not _fits(text, ours, pieces):
            matches = align(ours, text)
            if sum(match.length for match in matches) < _MIN_SHARED * len(ours):
                continue
            pieces = _intersect(pieces, matches)
        fitting.append(text)
    return Template(fitting, template.reference, range(len(fitting)), (), _join_slots(ours, pieces, fitting))


_Pieces = list[tuple[int, int]]


def _find_pieces(texts: Sequence[str], reference: int, in_order: Sequence[int]) -> tuple[set[int], _Pieces]:
    """Return the texts that share too little with the reference, and the pieces that all others share."""
    ours = texts[reference]
    pieces: _Pieces = [(0, len(ours))]
    strays: set[int] = set()
    for i in in_order:
        if i == reference or _fits(texts[i], ours, pieces):
            continue
        matches = align(ours, texts[i])
        if sum(match.length for match in matches) < _MIN_SHARED * len(ours):
            strays.add(i)
        else:
            pieces = _intersect(pieces, matches)
    return strays, pieces


def _share(texts: Sequence[str], reference: int, in_order: Sequence[int]) -> _Pieces:
    """Return the pieces of the reference that all texts share."""
    pieces: _Pieces = [(0, len(texts[reference]))]
    for i in in_order:
        if i != reference and not _fits(texts[i], texts[reference], pieces):
            pieces = _intersect(pieces, align(texts[reference], texts[i]))
    return pieces


def _fits(text: str, reference: str, pieces: _Pieces) -> bool:
    """Return whether a text holds all pieces in order, so that it need not be compared."""
    try:
        list(place_pieces(text, [reference[start:stop] for start, stop in pieces]))
    except ValueError:
        return False
    return True


def place_pieces(text: str, pieces: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield where the pieces stand in a text: the last one as late as possible, each other as early as possible.

    Raises
    ------
    ValueError
        If the text does not hold them in this order.
    """
    end = 0
    for number, piece in enumerate(pieces, 1):
        start = text.rindex(piece, end) if number == len(pieces) else text.index(piece, end)
        end = start + len(piece)
        yield start, end


def _intersect(pieces: _Pieces, matches: Sequence[Match]) -> _Pieces:
    """Return the parts of pieces that lie in matches; both are in order."""
    found: _Pieces = []
    at = 0
    for start, stop in pieces:
        while at < len(matches) and matches[at].start + matches[at].length <= start:
            at += 1
        i = at
        while i < len(matches) and matches[i].start < stop:
            match = matches[i]
            first, last = max(start, match.start), min(stop, match.start + match.length)
            if last > first:
                found.append((first, last))
            i += 1
    return found


def _join_slots(text: str, pieces: _Pieces, texts: Sequence[str]) -> _Pieces:
    """Leave out pieces between two slots that texts may share by accident: short ones, shorter than both slots.

    A line break between two slots that each stay on their line is no accident.
    A slot is as long as its shortest value, whichever text is the reference.
    """
    shared = [text[start:stop] for start, stop in pieces]
    placed = [list(place_pieces(one, shared)) for one in texts]
    kept: _Pieces = []
    last = -1  # the piece before the slot
    for number, (start, stop) in enumerate(pieces):
        is_last = number + 1 == len(pieces)
        before = min(places[number][0] - (places[last][1] if last >= 0 else 0) for places in placed)
        after = min(
            (len(one) if is_last else places[number + 1][0]) - places[number][1]
            for one, places in zip(texts, placed, strict=True)
        )
        at_an_end = start == 0 or stop == len(text)
        between_lines = "\n" in text[start:stop] and all(
            "\n" not in one[places[last][1] if last >= 0 else 0 : places[number][0]]
            and "\n" not in one[places[number][1] : len(one) if is_last else places[number + 1][0]]
            for one, places in zip(texts, placed, strict=True)
        )
        if at_an_end or between_lines or _stands(text[start:stop], min(before, after)):
            kept.append((start, stop))
            last = number
    return kept


def _stands(piece: str, beside: int) -> bool:
    """Return whether a piece between two slots separates them."""
    if len(piece) >= _LONG_PIECE:
        return True
    return len(piece) >= _MIN_PIECE and (_label.search(piece) is not None or len(piece) >= beside)
