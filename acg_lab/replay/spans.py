"""Spans of a window's observations, counted and scored (spec section 4).

Belongs here: how often each span and content occurs, kept so that every change has an exact undo, and the running
minimum of the scores in prompt order. Spans that tie on their index stand or fall together: production lists the
least stable of them first, so a prefix holds all of them or none.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Self

import numpy as np

from acg_lab.replay.arrays import pack

if TYPE_CHECKING:
    from acg_lab.replay.walk import Blocks, Level

__all__ = ["SpanCounter", "SpanScores"]


class SpanScores:
    """Every request as the codes of its blocks: distinct (span, content, index).

    Attributes
    ----------
    rows : list of list of int
        Of each request.
    plain : list of bool
        Whether a request repeats no span.
    span, content, index : list of int
        By code; a content is one of a span.
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
        self.plain = [len({self.span[code] for code in row}) == len(row) for row in self.rows]
        self.n_spans, self.n_contents = max(self.span, default=-1) + 1, max(self.content, default=-1) + 1

    @classmethod
    def prepare(cls, blocks: "Blocks") -> Self:
        """Give codes to the blocks of all requests."""
        return cls(blocks)

    def counter(self) -> "SpanCounter":
        """Start an empty window."""
        return SpanCounter(self)


class _Group:
    """Spans that tie on their index: who they are, and how many have the same (present, dominant)."""

    __slots__ = ("least", "spans", "tallies")

    def __init__(self) -> None:
        self.spans: set[int] = set()
        self.tallies: dict[tuple[int, int], int] = {}
        self.least: tuple[float, int, int] | None = None

    def find_least(self, n: int) -> tuple[float, int, int]:
        # Production's order of floating-point operations.
        return min((present / n * (dominant / present), present, dominant) for present, dominant in self.tallies)


class SpanCounter:
    """A window that knows how often each span and content occurs in it."""

    def __init__(self, table: SpanScores) -> None:
        self._table = table
        self._n = 0
        self._present = [0] * table.n_spans
        self._dominant = [0] * table.n_spans
        self._counts = [0] * table.n_contents
        # Of each span: how many contents occur so often; how often it stands at an index.
        self._often: list[dict[int, int]] = [{} for _ in range(table.n_spans)]
        self._indexes: list[dict[int, int]] = [{} for _ in range(table.n_spans)]
        # Of each span: where it is tallied now, None while it is absent.
        self._place: list[tuple[int, int, int] | None] = [None] * table.n_spans
        self._groups: dict[int, _Group] = {}
        self._order: list[int] = []

    def slide(self, dropped: Iterable[int], added: Iterable[int], n: int) -> "tuple[Level, ...]":
        """Drop and add observations, of which there are then ``n``; return the levels."""
        touched: set[int] = set()
        for row in added:
            self._add(row, touched)
        for row in dropped:
            self._drop(row, touched)
        for span in touched:
            self._tally(span)
        if n != self._n:
            self._n = n
            for group in self._groups.values():
                group.least = None
        return tuple(self._levels())

    def _add(self, row: int, touched: set[int]) -> None:
        table, codes = self._table, self._table.rows[row]
        for code in codes:
            span, content, index = table.span[code], table.content[code], table.index[code]
            count = self._counts[content] = self._counts[content] + 1
            often, indexes = self._often[span], self._indexes[span]
            often[count] = often.get(count, 0) + 1
            if count > 1:
                often[count - 1] -= 1
            self._dominant[span] = max(self._dominant[span], count)
            indexes[index] = indexes.get(index, 0) + 1
        self._see(row, 1, touched)

    def _drop(self, row: int, touched: set[int]) -> None:
        table, codes = self._table, self._table.rows[row]
        for code in codes:
            span, content, index = table.span[code], table.content[code], table.index[code]
            count = self._counts[content]
            self._counts[content] = count - 1
            often, indexes = self._often[span], self._indexes[span]
            often[count] -= 1
            if count > 1:
                often[count - 1] = often.get(count - 1, 0) + 1
            if count == self._dominant[span] and not often[count]:
                self._dominant[span] = count - 1
            indexes[index] -= 1
            if not indexes[index]:
                del indexes[index]
        self._see(row, -1, touched)

    def _see(self, row: int, sign: int, touched: set[int]) -> None:
        """Count as present once what an observation has, however often."""
        spans: Iterable[int] = map(self._table.span.__getitem__, self._table.rows[row])
        for span in spans if self._table.plain[row] else set(spans):
            self._present[span] += sign
            touched.add(span)

    def _tally(self, span: int) -> None:
        """Bring a span to the group and tally where it belongs now."""
        before, present = self._place[span], self._present[span]
        after = (min(self._indexes[span]), present, self._dominant[span]) if present else None
        if before == after:
            return
        self._place[span] = after
        if before is not None:
            self._remove(span, *before)
        if after is not None:
            self._insert(span, *after)

    def _remove(self, span: int, index: int, present: int, dominant: int) -> None:
        group = self._groups[index]
        group.least = None
        group.spans.remove(span)
        group.tallies[present, dominant] -= 1
        if not group.tallies[present, dominant]:
            del group.tallies[present, dominant]
        if not group.spans:
            del self._groups[index]
            del self._order[bisect_left(self._order, index)]

    def _insert(self, span: int, index: int, present: int, dominant: int) -> None:
        group = self._groups.get(index)
        if group is None:
            group = self._groups[index] = _Group()
            insort(self._order, index)
        group.least = None
        group.spans.add(span)
        group.tallies[present, dominant] = group.tallies.get((present, dominant), 0) + 1

    def _levels(self) -> "Iterator[Level]":
        depth, floor = 0, None
        for index in self._order:
            group = self._groups[index]
            least = group.least
            if least is None:
                least = group.least = group.find_least(self._n)
            if floor is None:
                floor = least
            elif least[0] < floor[0]:
                yield depth, floor[1], floor[2]
                floor = least
            depth += len(group.spans)
        if floor is not None:
            yield depth, floor[1], floor[2]

    def match(self, request: int) -> int:
        """Return how many blocks lead the request that are those of the scores in order, with a usual content each."""
        table = self._table
        order = chain.from_iterable(sorted(self._groups[index].spans) for index in self._order)
        depth = 0
        for code, span in zip(table.rows[request], order, strict=False):
            if table.span[code] != span or self._counts[table.content[code]] < self._dominant[span]:
                break
            depth += 1
        return depth
