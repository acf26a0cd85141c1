"""Small helpers for arrays of codes.

Spans of a window's observations, counted and scored (spec section 4).

Belongs here: how often each span and content occurs, kept so that every change has an exact undo, and the running
minimum of the scores in prompt order. Spans that tie on their index stand or fall together: production lists the
least stable of them first, so a prefix holds all of them or none.
"""

from bisect import bisect_left, insort
from collections.abc import Collection, Iterator, Sequence
from functools import reduce
from itertools import chain, pairwise, zip_longest
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from acg_lab.history.walk_types import Blocks, Level

__all__ = ["SpanCounter", "SpanScores", "pack"]

Numbers = NDArray[np.int64]


def pack(*columns: Numbers) -> Numbers:
    """Return one number for each row, equal where all columns are, and in their order."""

    def join(packed: Numbers, column: Numbers) -> Numbers:
        return packed * (int(column.max(initial=0)) + 1) + column

    return reduce(join, (column.astype(np.int64) for column in columns))


Tally: TypeAlias = tuple[int, int]  # present, dominant


class SpanScores:
    """Every request as the codes of its blocks: distinct (span, content, index).

    Attributes
    ----------
    rows : list of list of int
        Of each request.
    span, content, index : list of int
        By code; a content is one of a span.
    fixed : list of int
        By span: the one index that it always stands at, -1 if there are several.
    """

    def __init__(self, blocks: "Blocks") -> None:
        codes = np.unique(pack(blocks.span, blocks.content, blocks.number), return_index=True, return_inverse=True)
        _, first, row_codes = codes
        span, content, index = blocks.span[first], blocks.content[first], blocks.number[first]
        listed, ends = row_codes.tolist(), blocks.offsets.tolist()
        self.rows = [listed[a:b] for a, b in pairwise(ends)]
        self.span: list[int] = np.unique(span, return_inverse=True)[1].tolist()
        self.content: list[int] = np.unique(pack(span, content), return_inverse=True)[1].tolist()
        self.index: list[int] = index.tolist()
        self.n_spans, self.n_contents = max(self.span, default=-1) + 1, max(self.content, default=-1) + 1
        least, most = np.full(self.n_spans, np.iinfo(np.int64).max), np.full(self.n_spans, -1)
        np.minimum.at(least, self.span, index)
        np.maximum.at(most, self.span, index)
        self.fixed: list[int] = np.where(least == most, least, -1).tolist()
        self._sets = [
            frozenset(row) if len({self.span[code] for code in row}) == len(row) else None for row in self.rows
        ]

    def difference(self, gone: int | None, come: int | None) -> tuple[Collection[int], Collection[int]]:
        """Return the blocks that leave and those that enter with two requests; what both have stays.

        Of requests that repeat a span everything leaves and enters.
        """
        if gone is None or come is None:
            return () if gone is None else self.rows[gone], () if come is None else self.rows[come]
        old, new = self._sets[gone], self._sets[come]
        if old is None or new is None:
            return self.rows[gone], self.rows[come]
        return old - new, new - old

    @classmethod
    def prepare(cls, blocks: "Blocks") -> Self:
        """Give codes to the blocks of all requests."""
        return cls(blocks)

    def counter(self) -> "SpanCounter":
        """Start an empty window."""
        return SpanCounter(self)


class _Group:
    """Spans that tie on their index: who they are, and how many have the same (present, dominant)."""

    __slots__ = ("index", "least", "spans", "tallies")

    def __init__(self, index: int) -> None:
        self.index = index
        self.spans: set[int] = set()
        self.tallies: dict[Tally, int] = {}
        self.least: tuple[float, int, int] | None = None

    def shift(self, before: Tally | None, after: Tally | None) -> None:
        """Take a span from one tally to another."""
        tallies, self.least = self.tallies, None
        if before is not None:
            left = tallies[before] - 1
            if left:
                tallies[before] = left
            else:
                del tallies[before]
        if after is not None:
            tallies[after] = tallies.get(after, 0) + 1

    def find_least(self, n: int) -> tuple[float, int, int]:
        """Return the least score of n observations, and what it is made of."""
        # Production's order of floating-point operations.
        least = self.least = min(
            [(present / n * (dominant / present), present, dominant) for present, dominant in self.tallies]
        )
        return least


class SpanCounter:
    """A window that knows how often each span and content occurs in it."""

    def __init__(self, table: SpanScores) -> None:
        self._table, self._n = table, 0
        self._present, self._dominant = [0] * table.n_spans, [0] * table.n_spans
        self._counts = [0] * table.n_contents
        # Of each span: how many contents occur so often; how often it stands at an index, if that is not always one.
        self._often: list[dict[int, int]] = [{} for _ in range(table.n_spans)]
        self._indexes: dict[int, dict[int, int]] = {span: {} for span, index in enumerate(table.fixed) if index < 0}
        # Where each span is tallied now; the groups by index, and the indexes in order.
        self._tallies: list[Tally | None] = [None] * table.n_spans
        self._group: list[_Group | None] = [None] * table.n_spans
        self._groups: dict[int, _Group] = {}
        self._order: list[int] = []

    def slide(self, dropped: Sequence[int], added: Sequence[int], n: int) -> "tuple[Level, ...]":
        """Drop and add observations, of which there are then ``n``; return the levels."""
        touched: set[int] = set()
        for gone, come in zip_longest(dropped, added):
            minus, plus = self._table.difference(gone, come)
            self._add(plus, touched)
            self._drop(minus, touched)
        for span in touched:
            self._tally(span)
        if n != self._n:
            self._n = n
            for group in self._groups.values():
                group.least = None
        return tuple(self._levels())

    def _add(self, codes: Collection[int], touched: set[int]) -> None:
        table, counts, dominant = self._table, self._counts, self._dominant
        for code in codes:
            span, content = table.span[code], table.content[code]
            count = counts[content] = counts[content] + 1
            often = self._often[span]
            often[count] = often.get(count, 0) + 1
            if count > 1:
                often[count - 1] -= 1
            if count > dominant[span]:  # noqa: PLR1730  a call would cost more than all else here
                dominant[span] = count
        self._see(codes, 1, touched)

    def _drop(self, codes: Collection[int], touched: set[int]) -> None:
        table, counts, dominant = self._table, self._counts, self._dominant
        for code in codes:
            span, content = table.span[code], table.content[code]
            count = counts[content]
            counts[content] = count - 1
            often = self._often[span]
            often[count] -= 1
            if count > 1:
                often[count - 1] = often.get(count - 1, 0) + 1
            if count == dominant[span] and not often[count]:
                dominant[span] = count - 1
        self._see(codes, -1, touched)

    def _see(self, codes: Collection[int], sign: int, touched: set[int]) -> None:
        """Count as present once what an observation has, however often, and every index that it stands at."""
        table = self._table
        spans = {table.span[code] for code in codes}
        for span in spans:
            self._present[span] += sign
        touched |= spans
        if self._indexes and not spans.isdisjoint(self._indexes):
            for code in codes:
                indexes = self._indexes.get(table.span[code], {})
                index = table.index[code]
                indexes[index] = indexes.get(index, 0) + sign
                if not indexes[index]:
                    del indexes[index]

    def _tally(self, span: int) -> None:
        """Bring a span to the group and tally where it belongs now."""
        present, before, group = self._present[span], self._tallies[span], self._group[span]
        after = (present, self._dominant[span]) if present else None
        index = self._table.fixed[span]
        if index < 0:
            index = min(self._indexes[span], default=index)
        self._tallies[span] = after
        if group is not None and after is not None and group.index == index:
            if before != after:
                group.shift(before, after)
            return
        if group is not None:
            self._leave(group, span, before)
        if after is not None:
            self._join(index, span, after)

    def _leave(self, group: _Group, span: int, before: "Tally | None") -> None:
        group.shift(before, None)
        group.spans.remove(span)
        self._group[span] = None
        if not group.spans:
            del self._groups[group.index]
            del self._order[bisect_left(self._order, group.index)]

    def _join(self, index: int, span: int, after: "Tally") -> None:
        group = self._groups.get(index)
        if group is None:
            group = self._groups[index] = _Group(index)
            insort(self._order, index)
        group.shift(None, after)
        group.spans.add(span)
        self._group[span] = group

    def _levels(self) -> "Iterator[Level]":
        depth, floor = 0, None
        for index in self._order:
            group = self._groups[index]
            least = group.least or group.find_least(self._n)
            if floor is None:
                floor = least
            elif least[0] < floor[0]:
                yield depth, floor[1], floor[2]
                floor = least
            depth += len(group.spans)
        if floor is not None:
            yield depth, floor[1], floor[2]

    def match(self, request: int) -> int:
        """Return how many leading blocks of the request follow the scores, each with its dominant content."""
        table = self._table
        order = chain.from_iterable(sorted(self._groups[index].spans) for index in self._order)
        depth = 0
        for code, span in zip(table.rows[request], order, strict=False):
            if table.span[code] != span or self._counts[table.content[code]] < self._dominant[span]:
                break
            depth += 1
        return depth
