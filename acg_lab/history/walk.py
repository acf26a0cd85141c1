"""The walk over one profile: pure functions of plain arrays.

Belongs here: sliding a window over what a profile learned, and reading off at each state how its stable prefix depends
on the threshold, as *levels*: up to a depth in blocks everything is at least as stable as two whole numbers say.

- Before 0.8 the numbers are (present, dominant) of the span with the least score so far, the running minimum: a
  threshold reaches a depth if it is at most ``(present / n) * (dominant / present)`` (spec section 4).
- From 0.8 on both are the number of observations that share the exact prefix of this depth (spec section 8).

Adding or dropping an observation costs its own blocks. Profiles are independent: nothing here knows of another one.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from acg_lab.history.prefix_counter import ExactPrefixes
from acg_lab.history.span_counter import SpanScores
from acg_lab.history.walk_types import Counter, Level, Shapes, Task, Walk

__all__ = ["walk"]

Numbers = NDArray[np.int64]


def walk(task: Task, windows: Sequence[int]) -> list[Walk]:
    """Walk over a profile with several windows; what is the same for all is done once.

    Parameters
    ----------
    task : Task
    windows : sequence of int
        How many observations each keeps; 0 keeps one, as in production.
    """
    table = (ExactPrefixes if task.exact else SpanScores).prepare(task.blocks)
    return [_slide(task, table.counter(), max(window, 1)) for window in windows]


def _slide(task: Task, counter: Counter, limit: int) -> Walk:
    shapes: dict[tuple[int, tuple[Level, ...]], int] = {}
    shape, matched = np.empty(len(task.ends), np.int32), np.empty(len(task.met), np.int32)
    request, upto = task.request.tolist(), np.searchsorted(task.met, np.arange(len(task.ends)), side="right").tolist()
    low = high = done = 0
    for state, end in enumerate(task.ends.tolist()):
        start = max(end - limit, 0)
        # What would enter and leave between two states is left out.
        levels = counter.slide(range(low, min(high, start)), range(max(high, start), end), end - start)
        shape[state] = shapes.setdefault((end - start, levels), len(shapes))
        for meeting in range(done, upto[state]):
            matched[meeting] = counter.match(request[meeting])
        low, high, done = start, end, upto[state]
    return Walk(_columns(shapes), shape, matched)


def _columns(shapes: Iterable[tuple[int, tuple[Level, ...]]]) -> Shapes:
    found = list(shapes)
    levels = np.array([level for _, of_shape in found for level in of_shape], np.int32).reshape(-1, 3)
    counts = [len(of_shape) for _, of_shape in found]
    ends = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
    return Shapes(np.array([n for n, _ in found], np.int64), ends, levels[:, 0], levels[:, 1], levels[:, 2])
