"""Whole results of past states, recomputed from the requests that the window held then.

Belongs here: nothing that a threshold could be swept with; a result costs its window.
"""

from functools import lru_cache

from acg_lab.core.records import StabilityAnalysisResult
from acg_lab.core.stability import StabilityThresholds
from acg_lab.core.window import SpanCount
from acg_lab.replay.history import History
from acg_lab.replay.order import States
from acg_lab.snapshot.analysis import judge_columns
from acg_lab.snapshot.span_stats import count_columns
from acg_lab.storage.columns import ObservationColumns

__all__ = ["Results"]

_KEPT = 64


class Results:
    """Results of states; the last windows that were counted are kept."""

    def __init__(self, history: History, states: States) -> None:
        self._history, self._states = history, states
        self._window = lru_cache(_KEPT)(self._count)

    def result(self, state: int, n: int, thresholds: StabilityThresholds) -> StabilityAnalysisResult:
        """Return the result of a state whose window holds the newest ``n`` requests."""
        profile = self._history.profiles[self._states.profile[state]]
        window, counts = self._window(state, n)
        return judge_columns(window, profile.learning_key, counts, thresholds, profile.rules)

    def _count(self, state: int, n: int) -> tuple[ObservationColumns, list[SpanCount]]:
        columns, profile = self._history.observations, int(self._states.profile[state])
        end = int(columns.window_offsets[profile] + self._states.end[state])
        window = columns.slice(range(end - n, end), self._history.profiles[profile].learning_key)
        (counts,) = count_columns(window, window.keys)
        return window, counts
