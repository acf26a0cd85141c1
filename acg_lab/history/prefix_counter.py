"""Count the exact prefixes of a sliding window, by the rules of 0.8 (acg_lab/docs/rules/learner.md, section 8.4).

Each block prefix gets a number for its (parent prefix, block), so that equal numbers mean equal prefixes; the counter
follows the one path of prefixes that a majority shares.
"""

from collections.abc import Sequence
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, Self, cast

import numpy as np
from numpy.typing import NDArray

from acg_lab.history.span_counter import pack_columns

if TYPE_CHECKING:
    from acg_lab.history.walk_types import Blocks, Level

__all__ = ["PrefixCounter", "PrefixTable"]

Numbers = NDArray[np.int64]


class PrefixTable:
    """All requests of a profile as the numbers of their prefixes, one for each depth.

    Parameters
    ----------
    prefixes : list of list of int
        The prefix numbers of each request, shortest first.
    n_prefixes : int
        How many numbers there are, 0 for the empty prefix included.
    """

    def __init__(self, prefixes: list[list[int]], n_prefixes: int) -> None:
        self.prefixes, self.n_prefixes = prefixes, n_prefixes

    @classmethod
    def build(cls, blocks: "Blocks") -> Self:
        """Build the table of all requests."""
        identity = np.unique(pack_columns(blocks.span, blocks.content, blocks.kind), return_inverse=True)[1]
        shared = _count_shared_with_previous(identity, blocks.offsets)
        return cls(*_number_prefixes(identity.tolist(), blocks.offsets.tolist(), shared))

    def make_counter(self) -> "PrefixCounter":
        """Return a counter with an empty window."""
        return PrefixCounter(self)


def _count_shared_with_previous(codes: Numbers, offsets: Numbers) -> list[int]:
    """Return how many leading blocks each request shares with the one before it."""
    lengths = np.diff(offsets)
    row = np.repeat(np.arange(len(lengths)), lengths)
    number = np.arange(len(codes)) - offsets[row]
    before = np.maximum(row - 1, 0)
    same = (row > 0) & (number < lengths[before])
    same[same] = codes[same] == codes[(offsets[before] + number)[same]]
    shared = lengths.copy()
    np.minimum.at(shared, row[~same], number[~same])
    return cast("list[int]", shared.tolist())


def _number_prefixes(codes: list[int], offsets: list[int], shared: list[int]) -> tuple[list[list[int]], int]:
    n_codes = max(codes, default=0) + 1
    numbers: dict[int, int] = {}
    prefixes: list[list[int]] = []
    path: list[int] = []
    for (begin, end), known in zip(pairwise(offsets), shared, strict=True):
        path = path[:known]
        parent = path[-1] if path else 0  # 0 is the empty prefix
        for code in codes[begin + known : end]:
            key = parent * n_codes + code
            parent = numbers.get(key, 0)
            if not parent:
                parent = numbers[key] = len(numbers) + 1
            path.append(parent)
        prefixes.append(path)
    return prefixes, len(numbers) + 1


class PrefixCounter:
    """A sliding window that knows how many of its observations share each prefix.

    The prefixes that a majority shares form one path, since at each depth there can be at most one.
    """

    def __init__(self, table: PrefixTable) -> None:
        self._prefixes = table.prefixes
        self._counts = [0] * table.n_prefixes
        self._path: list[int] = []

    def slide(self, dropped: Sequence[int], added: Sequence[int], n: int) -> "tuple[Level, ...]":
        """Drop and add observations, which leaves ``n`` of them, and return the levels."""
        counts, path, prefixes = self._counts, self._path, self._prefixes
        for old, new in zip_longest(dropped, added):
            leaving, entering = prefixes[old] if old is not None else [], prefixes[new] if new is not None else []
            shared = _count_shared(leaving, entering)
            for prefix in leaving[shared:]:
                counts[prefix] -= 1
            for prefix in entering[shared:]:
                counts[prefix] += 1
        majority = n // 2
        while path and counts[path[-1]] <= majority:
            path.pop()
        # The window never shrinks, so only prefixes of added observations can have gained a majority.
        for row in added:
            for prefix in prefixes[row][len(path) :]:
                if counts[prefix] <= majority:
                    break
                path.append(prefix)
        return self._levels()

    def _levels(self) -> "tuple[Level, ...]":
        levels: list[Level] = []
        last = 0
        for depth, prefix in enumerate(self._path):
            count = self._counts[prefix]
            if count != last and last:
                levels.append((depth, last, last))
            last = count
        if last:
            levels.append((len(self._path), last, last))
        return tuple(levels)

    def count_matches(self, request: int) -> int:
        """Return how many leading blocks the request shares with the majority."""
        return _count_shared(self._prefixes[request], self._path)


def _count_shared(prefixes: list[int], others: list[int]) -> int:
    """Return how many leading prefixes are equal; equal prefixes of one depth imply equal shorter ones."""
    low, high = 0, min(len(prefixes), len(others))
    while low < high:
        middle = (low + high) // 2
        if prefixes[middle] == others[middle]:
            low = middle + 1
        else:
            high = middle
    return low
