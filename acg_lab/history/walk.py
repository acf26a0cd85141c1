"""Slide a window over what one profile learned, and record how its stable prefix depends on the threshold.

Each state of the window yields *levels*: up to a depth in blocks, everything is at least as stable as two integers say.

- Before 0.8 the integers are (present, dominant) of the lowest-scoring span so far: a threshold reaches a depth if it
  is at most ``(present / n) * (dominant / present)`` (acg_lab/docs/rules/learner.md, section 4).
- From 0.8 on both are the number of observations that share the exact prefix of this depth (section 8.4).

Invariant: adding or dropping an observation costs its own blocks, not the window; profiles are independent.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from acg_lab.history.prefix_counter import PrefixTable
from acg_lab.history.span_counter import SpanTable
from acg_lab.history.walk_types import Level, PrefixCurves, Task, WalkResult, WindowCounter

__all__ = ["walk"]


def walk(task: Task, windows: Sequence[int]) -> list[WalkResult]:
    """Walk over a profile once for each observation window; what the windows share is prepared once.

    Parameters
    ----------
    task : Task
    windows : sequence of int
        How many observations each window keeps; 0 keeps one, as in production.
    """
    table = (PrefixTable if task.exact else SpanTable).build(task.blocks)
    return [_slide(task, table.make_counter(), max(window, 1)) for window in windows]


def _slide(task: Task, counter: WindowCounter, limit: int) -> WalkResult:
    curves: dict[tuple[int, tuple[Level, ...]], int] = {}
    curve, matched = np.empty(len(task.ends), np.int32), np.empty(len(task.lookup_state), np.int32)
    requests, states = task.lookup_request.tolist(), np.arange(len(task.ends))
    lookup_ends = np.searchsorted(task.lookup_state, states, side="right").tolist()
    low = high = done = 0
    for state, end in enumerate(task.ends.tolist()):
        start = max(end - limit, 0)
        # An observation that would both enter and leave between two states is skipped.
        levels = counter.slide(range(low, min(high, start)), range(max(high, start), end), end - start)
        curve[state] = curves.setdefault((end - start, levels), len(curves))
        for lookup in range(done, lookup_ends[state]):
            matched[lookup] = counter.count_matches(requests[lookup])
        low, high, done = start, end, lookup_ends[state]
    return WalkResult(_build_curves(curves), curve, matched)


def _build_curves(found: Iterable[tuple[int, tuple[Level, ...]]]) -> PrefixCurves:
    curves = list(found)
    levels = np.array([level for _, of_curve in curves for level in of_curve], np.int32).reshape(-1, 3)
    counts = [len(of_curve) for _, of_curve in curves]
    ends = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
    return PrefixCurves(np.array([n for n, _ in curves], np.int64), ends, levels[:, 0], levels[:, 1], levels[:, 2])
