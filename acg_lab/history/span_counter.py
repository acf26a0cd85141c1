"""Count and score the spans of a sliding window, by the rules before 0.8 (acg_lab/docs/rules/learner.md, section 4).

The counter keeps how often each span and content occurs, and reads off the running minimum of the scores in prompt
order. Spans that tie on their index are stable together or not at all: production lists the least stable of them first.

Invariant: every addition has an exact undo.
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

__all__ = ["SpanCounter", "SpanTable", "pack_columns"]

Numbers = NDArray[np.int64]


def pack_columns(*columns: Numbers) -> Numbers:
    """Return one integer for each row: rows are equal, and in order, as their columns are, the first column first."""

    def join(packed: Numbers, column: Numbers) -> Numbers:
        return packed * (int(column.max(initial=0)) + 1) + column

    return reduce(join, (column.astype(np.int64) for column in columns))


Counts: TypeAlias = tuple[int, int]  # present, dominant


class SpanTable:
    """All requests of a profile, with one code for each distinct (span, content, index).

    Attributes
    ----------
    rows : list of list of int
        The codes of each request's blocks.
    span, content, index : list of int
        Span, content and index of each code; equal texts of two spans are two contents.
    fixed_index : list of int
        The index that each span always has, -1 where it has several.
    """

    def __init__(self, blocks: "Blocks") -> None:
        packed = pack_columns(blocks.span, blocks.content, blocks.number)
        _, first, row_codes = np.unique(packed, return_index=True, return_inverse=True)
        span, content, index = blocks.span[first], blocks.content[first], blocks.number[first]
        listed, ends = row_codes.tolist(), blocks.offsets.tolist()
        self.rows = [listed[a:b] for a, b in pairwise(ends)]
        self.span: list[int] = np.unique(span, return_inverse=True)[1].tolist()
        self.content: list[int] = np.unique(pack_columns(span, content), return_inverse=True)[1].tolist()
        self.index: list[int] = index.tolist()
        self.n_spans, self.n_contents = max(self.span, default=-1) + 1, max(self.content, default=-1) + 1
        least, most = np.full(self.n_spans, np.iinfo(np.int64).max), np.full(self.n_spans, -1)
        np.minimum.at(least, self.span, index)
        np.maximum.at(most, self.span, index)
        self.fixed_index: list[int] = np.where(least == most, least, -1).tolist()
        self._sets = [
            frozenset(row) if len({self.span[code] for code in row}) == len(row) else None for row in self.rows
        ]

    def find_difference(self, dropped: int | None, added: int | None) -> tuple[Collection[int], Collection[int]]:
        """Return the blocks that leave and the blocks that enter when one request replaces another.

        Blocks that both requests have stay, unless one of the requests repeats a span.
        """
        if dropped is None or added is None:
            return () if dropped is None else self.rows[dropped], () if added is None else self.rows[added]
        old, new = self._sets[dropped], self._sets[added]
        if old is None or new is None:
            return self.rows[dropped], self.rows[added]
        return old - new, new - old

    @classmethod
    def build(cls, blocks: "Blocks") -> Self:
        """Encode the blocks of all requests."""
        return cls(blocks)

    def make_counter(self) -> "SpanCounter":
        """Return a counter with an empty window."""
        return SpanCounter(self)


class _IndexGroup:
    """The spans that tie on one index, and how many of them have each pair of counts."""

    __slots__ = ("index", "least", "n_by_counts", "spans")

    def __init__(self, index: int) -> None:
        self.index = index
        self.spans: set[int] = set()
        self.n_by_counts: dict[Counts, int] = {}
        self.least: tuple[float, int, int] | None = None

    def shift(self, before: Counts | None, after: Counts | None) -> None:
        """Move a span from one pair of counts to another; None stands for outside the group."""
        n_by_counts, self.least = self.n_by_counts, None
        if before is not None:
            left = n_by_counts[before] - 1
            if left:
                n_by_counts[before] = left
            else:
                del n_by_counts[before]
        if after is not None:
            n_by_counts[after] = n_by_counts.get(after, 0) + 1

    def compute_least(self, n: int) -> tuple[float, int, int]:
        """Return the lowest score in a window of n observations, with its present and dominant counts."""
        # Production's order of floating-point operations.
        least = self.least = min(
            [(present / n * (dominant / present), present, dominant) for present, dominant in self.n_by_counts]
        )
        return least


class SpanCounter:
    """A sliding window that knows how often each span and content occurs in it."""

    def __init__(self, table: SpanTable) -> None:
        self._table, self._n = table, 0
        self._present, self._dominant = [0] * table.n_spans, [0] * table.n_spans
        self._counts = [0] * table.n_contents
        # By span: how many contents occur how often, and how often it has each index where that is not always the same.
        self._frequencies: list[dict[int, int]] = [{} for _ in range(table.n_spans)]
        several = (span for span, index in enumerate(table.fixed_index) if index < 0)
        self._indexes: dict[int, dict[int, int]] = {span: {} for span in several}
        # The counts and the group that each span has now; the groups by index, and the indexes in order.
        self._span_counts: list[Counts | None] = [None] * table.n_spans
        self._group: list[_IndexGroup | None] = [None] * table.n_spans
        self._groups: dict[int, _IndexGroup] = {}
        self._order: list[int] = []

    def slide(self, dropped: Sequence[int], added: Sequence[int], n: int) -> "tuple[Level, ...]":
        """Drop and add observations, which leaves ``n`` of them, and return the levels."""
        touched: set[int] = set()
        for old, new in zip_longest(dropped, added):
            leaving, entering = self._table.find_difference(old, new)
            self._add(entering, touched)
            self._drop(leaving, touched)
        for span in touched:
            self._regroup(span)
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
            frequencies = self._frequencies[span]
            frequencies[count] = frequencies.get(count, 0) + 1
            if count > 1:
                frequencies[count - 1] -= 1
            if count > dominant[span]:  # noqa: PLR1730  a call would cost more than the rest of the loop
                dominant[span] = count
        self._count_presence(codes, 1, touched)

    def _drop(self, codes: Collection[int], touched: set[int]) -> None:
        table, counts, dominant = self._table, self._counts, self._dominant
        for code in codes:
            span, content = table.span[code], table.content[code]
            count = counts[content]
            counts[content] = count - 1
            frequencies = self._frequencies[span]
            frequencies[count] -= 1
            if count > 1:
                frequencies[count - 1] = frequencies.get(count - 1, 0) + 1
            if count == dominant[span] and not frequencies[count]:
                dominant[span] = count - 1
        self._count_presence(codes, -1, touched)

    def _count_presence(self, codes: Collection[int], sign: int, touched: set[int]) -> None:
        """Count each span of an observation as present once, and every index that it has."""
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

    def _regroup(self, span: int) -> None:
        """Move a span to the group and counts that it has now."""
        present, before, group = self._present[span], self._span_counts[span], self._group[span]
        after = (present, self._dominant[span]) if present else None
        index = self._table.fixed_index[span]
        if index < 0:
            index = min(self._indexes[span], default=index)
        self._span_counts[span] = after
        if group is not None and after is not None and group.index == index:
            if before != after:
                group.shift(before, after)
            return
        if group is not None:
            self._leave(group, span, before)
        if after is not None:
            self._join(index, span, after)

    def _leave(self, group: _IndexGroup, span: int, before: "Counts | None") -> None:
        group.shift(before, None)
        group.spans.remove(span)
        self._group[span] = None
        if not group.spans:
            del self._groups[group.index]
            del self._order[bisect_left(self._order, group.index)]

    def _join(self, index: int, span: int, after: "Counts") -> None:
        group = self._groups.get(index)
        if group is None:
            group = self._groups[index] = _IndexGroup(index)
            insort(self._order, index)
        group.shift(None, after)
        group.spans.add(span)
        self._group[span] = group

    def _levels(self) -> "Iterator[Level]":
        depth, floor = 0, None
        for index in self._order:
            group = self._groups[index]
            least = group.least or group.compute_least(self._n)
            if floor is None:
                floor = least
            elif least[0] < floor[0]:
                yield depth, floor[1], floor[2]
                floor = least
            depth += len(group.spans)
        if floor is not None:
            yield depth, floor[1], floor[2]

    def count_matches(self, request: int) -> int:
        """Return how many leading blocks of the request follow the order of the scores with their dominant content."""
        table = self._table
        order = chain.from_iterable(sorted(self._groups[index].spans) for index in self._order)
        depth = 0
        for code, span in zip(table.rows[request], order, strict=False):
            if table.span[code] != span or self._counts[table.content[code]] < self._dominant[span]:
                break
            depth += 1
        return depth
