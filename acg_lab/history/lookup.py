"""Look up what each request of a walked history met, for any thresholds, without walking again.

Invariant: thresholds are compared with counts as production does it, to the last bit. A whole result is recomputed from
the requests that the window held then; everything else is comparisons whose cost does not depend on the windows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.records import StabilityAnalysisResult
from acg_lab.core.stability import StabilityThresholds
from acg_lab.core.window import SpanCount
from acg_lab.history.history import UNKNOWN, History
from acg_lab.history.tasks import WindowResults
from acg_lab.history.visibility import Entries, States
from acg_lab.history.walk_types import PrefixCurves
from acg_lab.snapshot.analysis import judge_columns
from acg_lab.snapshot.span_stats import block_tokens, count_columns
from acg_lab.storage.observation_columns import ObservationColumns

__all__ = ["LookupResult", "ReplayedHistory", "ResultBuilder", "highest_thresholds", "prefix_lengths"]

Numbers = NDArray[np.int64]
_MAX_CACHED_WINDOWS = 64
_CURVES_AT_ONCE = 50_000  # so that temporary arrays stay small


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
    """A history that was walked, and what each of its requests met.

    Attributes
    ----------
    history : History
    states : States
        The states that its profiles went through.
    entries : Entries
        The states that each request may have met.
    results : mapping of int to WindowResults
        What the walks found, by observation window.
    """

    history: History
    states: States
    entries: Entries
    results: Mapping[int, WindowResults]

    @cached_property
    def agents(self) -> frozenset[str]:
        """The agents whose requests these are."""
        return frozenset(profile.agent_id for profile in self.history.profiles)

    @cached_property
    def profile(self) -> Numbers:
        """Number of each row's profile."""
        return self.history.profile_of_row()

    @cached_property
    def cumulative_tokens(self) -> Numbers:
        """Tokens of all blocks before each block; the last number is the total."""
        tokens = block_tokens(self.history.observations)
        cumulative = np.zeros(len(tokens) + 1, np.int64)
        np.cumsum(tokens, out=cumulative[1:])
        return cumulative

    @cached_property
    def result_builder(self) -> "ResultBuilder":
        """Builds whole results of past states."""
        return ResultBuilder(self.history, self.states)

    def look_up(self, rows: Numbers, thresholds: NDArray[np.float64], window: int) -> LookupResult:
        """Look up what requests met; of several candidates for the seed entry, take the one that production prefers."""
        results = self.results[window]
        nothing = len(results.exact)
        by_curve = np.zeros((nothing + 1, len(thresholds)), np.int32)
        by_curve[:nothing] = prefix_lengths(results.curves, results.exact, thresholds)
        curves, n = self._curve_of_entry(results), np.append(results.curves.n, 0)
        first, counts = self.entries.offsets[rows], self.entries.offsets[rows + 1] - self.entries.offsets[rows]
        entry = np.where(counts > 0, first, UNKNOWN)[:, np.newaxis]
        lengths = by_curve[curves[entry[:, 0]]]
        several = np.flatnonzero(counts > 1)
        if len(several):
            entry = np.repeat(entry, len(thresholds), axis=1)
        for i in range(1, int(counts.max(initial=0))):
            several = several[counts[several] > i]
            other = (first[several] + i)[:, np.newaxis]
            ours, theirs = lengths[several], by_curve[curves[other[:, 0]]]
            larger = n[curves[other]] > n[curves[entry[several]]]
            better = (theirs > ours) | ((theirs == ours) & larger)
            lengths[several] = np.where(better, theirs, ours)
            entry[several] = np.where(better, other, entry[several])
        return LookupResult(lengths, entry)

    def _curve_of_entry(self, results: WindowResults) -> Numbers:
        """Return the curve of each entry, and as the last element the number that stands for no curve."""
        return np.append(results.curve[self.entries.state], len(results.exact)).astype(np.int64)

    def lengths(self, rows: Numbers, thresholds: NDArray[np.float64], window: int) -> NDArray[np.int32]:
        """Return stable prefixes in blocks, shape (n_rows, n_thresholds)."""
        return self.look_up(rows, thresholds, window).lengths

    def n_observations(self, rows: Numbers, thresholds: NDArray[np.float64], window: int) -> Numbers:
        """Return how many observations the results hold, shape (n_rows, n_thresholds)."""
        results, found = self.results[window], self.look_up(rows, thresholds, window)
        n = np.append(results.curves.n, 0)[self._curve_of_entry(results)[found.entry]]
        return np.broadcast_to(n, found.lengths.shape)

    def prefix_tokens(self, rows: Numbers, thresholds: NDArray[np.float64], window: int) -> Numbers:
        """Return the tokens in the first ``prefix_length`` blocks of each request, shape (n_rows, n_thresholds)."""
        return self._leading_tokens(rows, self.look_up(rows, thresholds, window).lengths)

    def matched_tokens(self, rows: Numbers, thresholds: NDArray[np.float64], window: int) -> Numbers:
        """Return the tokens of the prefix that each request repeated, shape (n_rows, n_thresholds)."""
        found = self.look_up(rows, thresholds, window)
        matched = np.append(self.results[window].matched, 0)[found.entry]
        return self._leading_tokens(rows, np.minimum(found.lengths, matched))

    def _leading_tokens(self, rows: Numbers, lengths: NDArray[np.int32]) -> Numbers:
        ends = self.history.observations.block_offsets
        begin, end = ends[rows][:, np.newaxis], ends[rows + 1][:, np.newaxis]
        cumulative = self.cumulative_tokens
        tokens: Numbers = cumulative[np.minimum(begin + lengths, end)] - cumulative[begin]
        return tokens

    def result(self, row: int, thresholds: StabilityThresholds, window: int) -> StabilityAnalysisResult | None:
        """Return the whole result that a request met, None if nothing was known."""
        found = self.results[window]
        first, last = self.entries.offsets[row : row + 2].tolist()
        results = (
            self.result_builder.build(state, int(found.curves.n[found.curve[state]]), thresholds)
            for state in self.entries.state[first:last].tolist()
        )
        # The seed entry is the best of the profiles that the last run touched, of equals the first.
        return max(results, key=lambda result: (result.stable_prefix_length, result.total_observations), default=None)


class ResultBuilder:
    """Builds whole results of past states, and keeps the windows that it counted last."""

    def __init__(self, history: History, states: States) -> None:
        self._history, self._states = history, states
        self._window = lru_cache(_MAX_CACHED_WINDOWS)(self._count)

    def build(self, state: int, n: int, thresholds: StabilityThresholds) -> StabilityAnalysisResult:
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


def prefix_lengths(
    curves: PrefixCurves, exact: NDArray[np.bool_], thresholds: NDArray[np.float64]
) -> NDArray[np.int32]:
    """Return the stable prefix of each curve at each threshold, in blocks, shape (n_curves, n_thresholds).

    Parameters
    ----------
    curves : PrefixCurves
    exact : array of bool, shape (n_curves,)
        Whether each is a curve of exact prefixes.
    thresholds : array of float, shape (n_thresholds,)
        Finite, in any order.
    """
    order = np.argsort(thresholds, kind="stable")
    ascending, n_curves = thresholds[order], len(curves.n)
    lengths = np.empty((n_curves, len(thresholds)), np.int32)
    for first in range(0, n_curves, _CURVES_AT_ONCE):
        last = min(first + _CURVES_AT_ONCE, n_curves)
        piece = slice(first, last)
        lengths[piece, order] = _ascending_lengths(_slice_curves(curves, first, last), exact[piece], ascending)
    return lengths


def _slice_curves(curves: PrefixCurves, first: int, last: int) -> PrefixCurves:
    levels = slice(int(curves.offsets[first]), int(curves.offsets[last]))
    return curves._replace(
        n=curves.n[first:last],
        offsets=curves.offsets[first : last + 1] - curves.offsets[first],
        depth=curves.depth[levels],
        present=curves.present[levels],
        dominant=curves.dominant[levels],
    )


def _ascending_lengths(
    curves: PrefixCurves, exact: NDArray[np.bool_], ascending: NDArray[np.float64]
) -> NDArray[np.int32]:
    """Return the prefix of each curve at ascending thresholds.

    Each curve gets one slot per level and one for no prefix, longest prefix first. A slot says up to which threshold
    its prefix reaches, so a row of lengths repeats each depth by the difference to the slot before.
    """
    counts, n = np.diff(curves.offsets), len(ascending)
    begins, ends = curves.offsets[:-1] + np.arange(len(counts)), curves.offsets[1:] + np.arange(len(counts))
    slot = np.repeat(ends + curves.offsets[:-1], counts) - 1 - np.arange(len(curves.depth))
    depth, upto = np.zeros(len(slot) + len(counts), np.int32), np.full(len(slot) + len(counts), n)
    depth[slot], upto[slot] = curves.depth, _count_reached(curves, exact, ascending)
    widths = np.diff(upto, prepend=0)
    widths[begins] = upto[begins]
    return np.repeat(depth, widths).reshape(len(counts), n)


def _count_reached(curves: PrefixCurves, exact: NDArray[np.bool_], ascending: NDArray[np.float64]) -> Numbers:
    """Return how many of the ascending thresholds each level reaches."""
    return np.searchsorted(ascending, highest_thresholds(curves, exact), side="right")


def highest_thresholds(curves: PrefixCurves, exact: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the highest threshold at which each level of the curves is reached, infinity where every one is.

    Between two neighbouring ones no prefix changes.
    """
    counts = np.diff(curves.offsets)
    n, of_exact = np.repeat(curves.n, counts), np.repeat(exact, counts)
    present = curves.present.astype(np.int64)
    # Production's order of floating-point operations.
    upto = (present / n) * (curves.dominant / present)
    upto[of_exact] = _largest_thresholds(present[of_exact], n[of_exact])
    upto[of_exact & (present == n)] = np.inf
    return upto


def _largest_thresholds(counts: Numbers, n: Numbers) -> NDArray[np.float64]:
    """Return `acg_lab.core.exact_prefix.largest_threshold` of each row; the counts are those of majorities."""
    found = counts / n
    while (above := found * n > counts).any():
        found[above] = np.nextafter(found[above], 0)
    while (below := np.nextafter(found, np.inf) * n <= counts).any():
        found[below] = np.nextafter(found[below], np.inf)
    return found
