"""Exact prefixes of a window's observations, counted (spec section 8).

Belongs here: interning block prefixes as (parent prefix, block), and following the one that a majority shares.
"""

from collections.abc import Sequence
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, Self, cast

import numpy as np
from numpy.typing import NDArray

from acg_lab.history.span_counter import pack

if TYPE_CHECKING:
    from acg_lab.history.walk_types import Blocks, Level

__all__ = ["ExactPrefixes", "PrefixCounter"]

Numbers = NDArray[np.int64]


class ExactPrefixes:
    """Every request as the numbers of its prefixes, one a depth: equal numbers are equal prefixes.

    Parameters
    ----------
    prefixes : list of list of int
        Of each request.
    n_prefixes : int
    """

    def __init__(self, prefixes: list[list[int]], n_prefixes: int) -> None:
        self.prefixes, self.n_prefixes = prefixes, n_prefixes

    @classmethod
    def prepare(cls, blocks: "Blocks") -> Self:
        """Intern the prefixes of all requests."""
        identity = np.unique(pack(blocks.span, blocks.content, blocks.kind), return_inverse=True)[1]
        return cls(*_intern(identity.tolist(), blocks.offsets.tolist(), _shared(identity, blocks.offsets)))

    def counter(self) -> "PrefixCounter":
        """Start an empty window."""
        return PrefixCounter(self)


def _shared(codes: Numbers, offsets: Numbers) -> list[int]:
    """Return how many blocks each request shares with the one before."""
    lengths = np.diff(offsets)
    row = np.repeat(np.arange(len(lengths)), lengths)
    number = np.arange(len(codes)) - offsets[row]
    before = np.maximum(row - 1, 0)
    same = (row > 0) & (number < lengths[before])
    same[same] = codes[same] == codes[(offsets[before] + number)[same]]
    shared = lengths.copy()
    np.minimum.at(shared, row[~same], number[~same])
    return cast("list[int]", shared.tolist())


def _intern(codes: list[int], offsets: list[int], shared: list[int]) -> tuple[list[list[int]], int]:
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
    """A window that knows how many of its observations share each prefix.

    The prefixes that a majority shares are one path: at each depth at most one can be.
    """

    def __init__(self, table: ExactPrefixes) -> None:
        self._prefixes = table.prefixes
        self._counts = [0] * table.n_prefixes
        self._path: list[int] = []

    def slide(self, dropped: Sequence[int], added: Sequence[int], n: int) -> "tuple[Level, ...]":
        """Drop and add observations, of which there are then ``n``; return the levels."""
        counts, path, prefixes = self._counts, self._path, self._prefixes
        for gone, come in zip_longest(dropped, added):
            minus, plus = prefixes[gone] if gone is not None else [], prefixes[come] if come is not None else []
            shared = _shared_depth(minus, plus)
            for prefix in minus[shared:]:
                counts[prefix] -= 1
            for prefix in plus[shared:]:
                counts[prefix] += 1
        majority = n // 2
        while path and counts[path[-1]] <= majority:
            path.pop()
        # The window never shrinks, so only a prefix of what was added can have become a majority's.
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

    def match(self, request: int) -> int:
        """Return how many blocks the request shares with the majority's prefix."""
        return _shared_depth(self._prefixes[request], self._path)


def _shared_depth(prefixes: list[int], others: list[int]) -> int:
    """Return how many prefixes lead both; where two are the same, so are all shorter ones."""
    low, high = 0, min(len(prefixes), len(others))
    while low < high:
        middle = (low + high) // 2
        if prefixes[middle] == others[middle]:
            low = middle + 1
        else:
            high = middle
    return low
