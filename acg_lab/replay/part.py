"""One history walked, and the answers it gives for any rows and thresholds.

Belongs here: all that `Trace` tells of numbers. Comparing thresholds is in `acg_lab.replay.levels`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.records import StabilityAnalysisResult
from acg_lab.core.stability import StabilityThresholds
from acg_lab.replay.history import UNKNOWN, History
from acg_lab.replay.known import Known
from acg_lab.replay.levels import prefix_lengths
from acg_lab.replay.order import Entries, States
from acg_lab.replay.results import Results
from acg_lab.snapshot.span_stats import block_tokens

__all__ = ["Met", "Part"]

Numbers = NDArray[np.int64]


class Met(NamedTuple):
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
class Part:
    """One history walked.

    Attributes
    ----------
    history : History
    states : States
        What profiles came to hold.
    entries : Entries
        Which states each request met.
    known : mapping of int to Known
        What was known, by observation window.
    """

    history: History
    states: States
    entries: Entries
    known: Mapping[int, Known]

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
    def results(self) -> Results:
        """Whole results of past states."""
        return Results(self.history, self.states)

    def met(self, rows: Numbers, thresholds: NDArray[np.float64], window: int) -> Met:
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
        return Met(lengths, entry)

    def _shapes(self, known: Known) -> Numbers:
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
