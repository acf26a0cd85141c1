"""Whole results of past states, recomputed from the requests that the window held then.

Belongs here: nothing that a threshold could be swept with; a result costs its window.


From levels and thresholds to lengths: comparisons, and nothing that depends on how long the history is.

Belongs here: production's comparison of a threshold with what was counted, for all thresholds at once.


One history walked, and the answers it gives for any rows and thresholds.

Belongs here: all that `Trace` tells of numbers. Comparing thresholds is in `acg_lab.history.lookup`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.records import StabilityAnalysisResult
from acg_lab.core.stability import StabilityThresholds
from acg_lab.core.window import SpanCount
from acg_lab.history.history import UNKNOWN, History
from acg_lab.history.tasks import WindowResults
from acg_lab.history.visibility import Entries, States
from acg_lab.snapshot.analysis import judge_columns
from acg_lab.snapshot.span_stats import block_tokens, count_columns
from acg_lab.storage.columns import ObservationColumns

if TYPE_CHECKING:
    from acg_lab.history.walk_types import Shapes

__all__ = ["LookupResult", "ReplayedHistory", "ResultBuilder", "prefix_lengths"]

_KEPT = 64


class ResultBuilder:
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


Numbers = NDArray[np.int64]
_AT_ONCE = 50_000  # shapes


def prefix_lengths(shapes: "Shapes", exact: NDArray[np.bool_], thresholds: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the stable prefix of every shape at every threshold, in blocks, shape (n_shapes, n_thresholds).

    Parameters
    ----------
    shapes : Shapes
    exact : array of bool, shape (n_shapes,)
        Whether a majority has to share the prefix exactly.
    thresholds : array of float, shape (n_thresholds,)
        In any order; finite.
    """
    order = np.argsort(thresholds, kind="stable")
    ascending, n_shapes = thresholds[order], len(shapes.n)
    lengths = np.empty((n_shapes, len(thresholds)), np.int32)
    # In pieces, so that what is needed in between stays small.
    for first in range(0, n_shapes, _AT_ONCE):
        piece = slice(first, first + _AT_ONCE)
        lengths[piece, order] = _lengths(_cut(shapes, first, min(first + _AT_ONCE, n_shapes)), exact[piece], ascending)
    return lengths


def _cut(shapes: "Shapes", first: int, last: int) -> "Shapes":
    """Return the shapes from ``first`` on, before ``last``."""
    levels = slice(int(shapes.offsets[first]), int(shapes.offsets[last]))
    return shapes._replace(
        n=shapes.n[first:last],
        offsets=shapes.offsets[first : last + 1] - shapes.offsets[first],
        depth=shapes.depth[levels],
        present=shapes.present[levels],
        dominant=shapes.dominant[levels],
    )


def _lengths(shapes: "Shapes", exact: NDArray[np.bool_], ascending: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the prefix at ascending thresholds.

    Of a shape the longest prefix comes first, then ever shorter ones, at last none: a slot each, which says up to which
    threshold it reaches.
    """
    counts, n = np.diff(shapes.offsets), len(ascending)
    begins, ends = shapes.offsets[:-1] + np.arange(len(counts)), shapes.offsets[1:] + np.arange(len(counts))
    slot = np.repeat(ends + shapes.offsets[:-1], counts) - 1 - np.arange(len(shapes.depth))
    depth, upto = np.zeros(len(slot) + len(counts), np.int32), np.full(len(slot) + len(counts), n)
    depth[slot], upto[slot] = shapes.depth, _reached(shapes, exact, ascending)
    widths = np.diff(upto, prepend=0)
    widths[begins] = upto[begins]
    return np.repeat(depth, widths).reshape(len(counts), n)


def _reached(shapes: "Shapes", exact: NDArray[np.bool_], ascending: NDArray[np.float64]) -> Numbers:
    """Return how many of the thresholds each level reaches: always the smallest so many."""
    counts = np.diff(shapes.offsets)
    n, of_exact = np.repeat(shapes.n, counts), np.repeat(exact, counts)
    present = shapes.present.astype(np.int64)
    # Production's order of floating-point operations.
    upto = (present / n) * (shapes.dominant / present)
    upto[of_exact] = _largest_thresholds(present[of_exact], n[of_exact])
    upto[of_exact & (present == n)] = np.inf
    return np.searchsorted(ascending, upto, side="right")


def _largest_thresholds(counts: Numbers, n: Numbers) -> NDArray[np.float64]:
    """Return `acg_lab.core.exact_prefix.largest_threshold` of each row; what is counted is a majority always."""
    found = counts / n
    while (above := found * n > counts).any():
        found[above] = np.nextafter(found[above], 0)
    while (below := np.nextafter(found, np.inf) * n <= counts).any():
        found[below] = np.nextafter(found[below], np.inf)
    return found


class LookupResult(NamedTuple):
    """What requests met at each threshold.

    Attributes
    ----------
    lengths : array of int32, shape (n_rows, n_thresholds)
        Stable prefix in blocks, 0 where nothing was known.
    entry : array of int64, shape (n_rows, n_thresholds) or (n_rows, 1)
        Number of the entry that was met, -1 where nothing was known; one column where no threshold changes it.
    """

    lengths: NDArray[np.int32]
    entry: Numbers


@dataclass(frozen=True, eq=False, kw_only=True)
class ReplayedHistory:
    """One history walked.

    Attributes
    ----------
    history : History
    states : States
        What profiles came to hold.
    entries : Entries
        Which states each request met.
    known : mapping of int to WindowResults
        What was known, by observation window.
    """

    history: History
    states: States
    entries: Entries
    known: Mapping[int, WindowResults]

    @cached_property
    def agents(self) -> frozenset[str]:
        """Whose requests these are."""
        return frozenset(profile.agent_id for profile in self.history.profiles)

    @cached_property
    def profile(self) -> Numbers:
        """Number of each row's profile."""
        return self.history.profile_of_row()

    @cached_property
    def cumulative(self) -> Numbers:
        """Tokens of all blocks before each block, and at last of all."""
        tokens = block_tokens(self.history.observations)
        cumulative = np.zeros(len(tokens) + 1, np.int64)
        np.cumsum(tokens, out=cumulative[1:])
        return cumulative

    @cached_property
    def results(self) -> ResultBuilder:
        """Whole results of past states."""
        return ResultBuilder(self.history, self.states)

    def met(self, rows: Numbers, thresholds: NDArray[np.float64], window: int) -> LookupResult:
        """Look up what requests met; of several candidates for the seed entry the best, as production ranks them."""
        known = self.known[window]
        nothing = len(known.exact)
        by_shape = np.zeros((nothing + 1, len(thresholds)), np.int32)
        by_shape[:nothing] = prefix_lengths(known.shapes, known.exact, thresholds)
        shapes, n = self._shapes(known), np.append(known.shapes.n, 0)
        first, counts = self.entries.offsets[rows], self.entries.offsets[rows + 1] - self.entries.offsets[rows]
        entry = np.where(counts > 0, first, UNKNOWN)[:, np.newaxis]
        lengths = by_shape[shapes[entry[:, 0]]]
        several = np.flatnonzero(counts > 1)
        if len(several):
            entry = np.repeat(entry, len(thresholds), axis=1)
        for i in range(1, int(counts.max(initial=0))):
            several = several[counts[several] > i]
            other = (first[several] + i)[:, np.newaxis]
            ours, theirs = lengths[several], by_shape[shapes[other[:, 0]]]
            larger = n[shapes[other]] > n[shapes[entry[several]]]
            better = (theirs > ours) | ((theirs == ours) & larger)
            lengths[several] = np.where(better, theirs, ours)
            entry[several] = np.where(better, other, entry[several])
        return LookupResult(lengths, entry)

    def _shapes(self, known: WindowResults) -> Numbers:
        """Return the shape that each entry has, and at last the one of nothing."""
        return np.append(known.shape[self.entries.state], len(known.exact)).astype(np.int64)

    def lengths(self, rows: Numbers, thresholds: NDArray[np.float64], window: int) -> NDArray[np.int32]:
        """Return stable prefixes in blocks."""
        return self.met(rows, thresholds, window).lengths

    def n_observations(self, rows: Numbers, thresholds: NDArray[np.float64], window: int) -> Numbers:
        """Return how many observations the results hold."""
        known, met = self.known[window], self.met(rows, thresholds, window)
        n = np.append(known.shapes.n, 0)[self._shapes(known)[met.entry]]
        return np.broadcast_to(n, met.lengths.shape)

    def prefix_tokens(self, rows: Numbers, thresholds: NDArray[np.float64], window: int) -> Numbers:
        """Return the tokens of so many blocks of each request as its prefix has."""
        return self._leading_tokens(rows, self.met(rows, thresholds, window).lengths)

    def matched_tokens(self, rows: Numbers, thresholds: NDArray[np.float64], window: int) -> Numbers:
        """Return the tokens of the prefix that each request repeated."""
        met = self.met(rows, thresholds, window)
        matched = np.append(self.known[window].matched, 0)[met.entry]
        return self._leading_tokens(rows, np.minimum(met.lengths, matched))

    def _leading_tokens(self, rows: Numbers, lengths: NDArray[np.int32]) -> Numbers:
        ends = self.history.observations.block_offsets
        begin, end = ends[rows][:, np.newaxis], ends[rows + 1][:, np.newaxis]
        tokens: Numbers = self.cumulative[np.minimum(begin + lengths, end)] - self.cumulative[begin]
        return tokens

    def result(self, row: int, thresholds: StabilityThresholds, window: int) -> StabilityAnalysisResult | None:
        """Return the whole result that a request met, None if nothing was known."""
        known = self.known[window]
        first, last = self.entries.offsets[row : row + 2].tolist()
        results = (
            self.results.result(state, int(known.shapes.n[known.shape[state]]), thresholds)
            for state in self.entries.state[first:last].tolist()
        )
        # The seed entry is the best of the profiles that the last run touched, the first of several.
        return max(results, key=lambda result: (result.stable_prefix_length, result.total_observations), default=None)
