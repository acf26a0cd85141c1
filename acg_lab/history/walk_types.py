"""What goes into and comes out of the walk over one profile: plain arrays, so that tasks can be pickled."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Blocks", "Level", "PrefixCurves", "Task", "WalkResult", "WindowCounter"]

Numbers = NDArray[np.int64]
Level = tuple[int, int, int]  # depth in blocks, present, dominant


class Blocks(NamedTuple):
    """Requests as columns of blocks; request ``r`` holds the blocks from ``offsets[r]`` up to ``offsets[r + 1]``.

    ``span``, ``content`` and ``kind`` (role and content type) are codes, ``number`` is the sequence index.
    """

    offsets: Numbers
    span: Numbers
    content: Numbers
    kind: Numbers
    number: Numbers


class Task(NamedTuple):
    """The input of the walk over one profile.

    A *state* is what the profile holds after a run that taught it something. A *lookup* is a live request that met one
    of these states.

    Attributes
    ----------
    blocks : Blocks
        The requests that the profile learned, in that order, then requests of other profiles that met this one as the
        agent's seed entry. Codes of spans are in the order of their ids.
    ends : array of int64, shape (n_states,)
        How many requests the profile had learned at each state, ascending.
    lookup_state, lookup_request : array of int64, shape (n_lookups,)
        The state that each lookup met, ascending, and the number of its request in ``blocks``.
    exact : bool
        Whether the stable prefix is an exact prefix that a majority shares (rules of ``nemo-relay-0.8``).
    """

    blocks: Blocks
    ends: Numbers
    lookup_state: Numbers
    lookup_request: Numbers
    exact: bool


class PrefixCurves(NamedTuple):
    """How the stable prefix of a window depends on the threshold, each distinct curve once.

    Curve ``c`` consists of the levels from ``offsets[c]`` up to ``offsets[c + 1]``, deeper ones last, which only lower
    thresholds reach. ``n`` is the number of observations in the window.
    """

    n: Numbers
    offsets: Numbers
    depth: NDArray[np.int32]
    present: NDArray[np.int32]
    dominant: NDArray[np.int32]


class WalkResult(NamedTuple):
    """What one walk with one window found.

    Attributes
    ----------
    curves : PrefixCurves
    curve : array of int32, shape (n_states,)
        The curve of each state.
    matched : array of int32, shape (n_lookups,)
        How many leading blocks each live request repeated.
    """

    curves: PrefixCurves
    curve: NDArray[np.int32]
    matched: NDArray[np.int32]


class WindowCounter(Protocol):
    """Counts the observations of a sliding window; every addition has an exact undo."""

    def slide(self, dropped: Sequence[int], added: Sequence[int], n: int, /) -> tuple[Level, ...]:
        """Drop and add observations, which leaves ``n`` of them, and return the levels."""
        ...

    def count_matches(self, request: int, /) -> int:
        """Return how many leading blocks of the request are the dominant ones of the window."""
        ...
