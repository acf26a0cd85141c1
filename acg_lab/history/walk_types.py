"""The values that go into and come out of the walk over one profile."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Blocks", "Level", "Shapes", "Task", "Walk"]


Numbers = NDArray[np.int64]
Level = tuple[int, int, int]  # depth in blocks, present, dominant


class Blocks(NamedTuple):
    """Requests as blocks: request ``r`` holds the blocks ``offsets[r]`` up to ``offsets[r + 1]``.

    ``span``, ``content`` and ``kind`` (of role and content type) are codes, ``number`` the sequence index.
    """

    offsets: Numbers
    span: Numbers
    content: Numbers
    kind: Numbers
    number: Numbers


class Task(NamedTuple):
    """What the walk over one profile needs.

    Attributes
    ----------
    blocks : Blocks
        First what the profile learned, in that order, then foreign requests that met it as the agent's seed entry.
        Codes of spans are in the order of their ids.
    ends : array of int64, shape (n_states,)
        How many requests were learned at each state, ascending.
    met, request : array of int64, shape (n_meetings,)
        Which state each live request met, ascending, and which of ``blocks`` the request is.
    exact : bool
        Whether the prefix is one that a majority shares exactly.
    """

    blocks: Blocks
    ends: Numbers
    met: Numbers
    request: Numbers
    exact: bool


class Shapes(NamedTuple):
    """How a stable prefix depends on the threshold; each distinct one once.

    Shape ``s`` holds the levels ``offsets[s]`` up to ``offsets[s + 1]``, of growing depth and falling worth.
    """

    n: Numbers
    offsets: Numbers
    depth: NDArray[np.int32]
    present: NDArray[np.int32]
    dominant: NDArray[np.int32]


class Walk(NamedTuple):
    """What one walk with one window found: the shape of each state, and how many blocks each request repeated."""

    shapes: Shapes
    shape: NDArray[np.int32]
    matched: NDArray[np.int32]


class Counter(Protocol):
    """What counts the observations of a window, with exact undo."""

    def slide(self, dropped: Sequence[int], added: Sequence[int], n: int, /) -> tuple[Level, ...]:
        """Drop and add observations, of which there are then ``n``; return the levels."""
        ...

    def match(self, request: int, /) -> int:
        """Return how many blocks lead the request that are the dominant ones."""
        ...
