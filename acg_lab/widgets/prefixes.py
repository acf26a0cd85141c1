"""The stable prefix of every profile at any threshold, without analysing anything again, and the metrics made of them.

Prepares once, as arrays, what a drag needs of all profiles together. Invariant: equal to `acg_lab.analyze` and
`acg_lab.summarize` at every setting.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.planner import MIN_OBSERVATIONS
from acg_lab.core.rules import get_rules
from acg_lab.core.stability import StabilityThresholds, judge_spans
from acg_lab.history import Trace
from acg_lab.snapshot.analysis import shared_prefixes
from acg_lab.snapshot.narrow import columns_of
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.snapshot.span_stats import block_tokens, count_spans

__all__ = [
    "Lengths",
    "Matched",
    "PrefixChange",
    "Prefixes",
    "ProfileMetrics",
    "count_matched",
    "group_places",
    "list_changes",
    "measure_profile",
]

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]
_KEPT: Final = 8  # settings


class Lengths(NamedTuple):
    """The stable prefix of each profile under one setting: (n_profiles,), in the order of ``Prefixes.keys``."""

    blocks: Numbers
    tokens: Floats


class Prefixes:
    """The stable prefixes of all profiles of a snapshot.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    rules : mapping of str to str
        Rules version by learning key.

    Attributes
    ----------
    lengths : callable
        Returns the `Lengths` under a `StabilityThresholds`; the last ones are kept.
    """

    def __init__(self, snap: Snapshot, rules: Mapping[str, str]) -> None:
        source = columns_of(snap)
        self._snap, self._keys = snap, tuple(source.keys)
        self._order = np.array(sorted(range(len(self._keys)), key=self._keys.__getitem__), np.int64)
        self._requests: Numbers = np.diff(source.window_offsets)
        counts = count_spans(source)
        order = np.lexsort((counts.indexes, counts.windows))
        self._of, self._indexes = counts.windows[order], counts.indexes[order].astype(np.int64)
        # Production's order of floating-point operations, as in the core.
        scores = (counts.present / np.maximum(self._requests[counts.windows], 1)) * (counts.dominant / counts.present)
        self._reach = _running_minimum(self._of, self._indexes, scores[order])
        sums = np.bincount(counts.of_block, weights=block_tokens(source), minlength=len(order))
        self._tokens: Floats = sums[order] / np.maximum(self._requests[self._of], 1)
        self._begins = np.searchsorted(self._of, np.arange(len(self._keys) + 1))
        self._exact = np.array([get_rules(rules[key]).exact_prefix for key in self._keys], bool)
        self._shared_of, self._shared = self._prepare_exact()
        self._tied = self._find_ties()
        self.lengths = lru_cache(maxsize=_KEPT)(self._find_lengths)  # a cache of the instance, freed with it

    @property
    def keys(self) -> tuple[str, ...]:
        """Learning keys, sorted; all arrays are in this order."""
        return tuple(self._keys[i] for i in self._order.tolist())

    @cached_property
    def requests(self) -> Numbers:
        """Requests in each window."""
        return self._requests[self._order]

    @cached_property
    def prompt_tokens(self) -> Floats:
        """Mean tokens of a request of each profile."""
        return self._sums(self._tokens)[self._order]

    def _sums(self, values: Floats) -> Floats:
        """Add up values of spans by profile."""
        return np.bincount(self._of, weights=values, minlength=len(self._keys)).astype(np.float64)

    def _prepare_exact(self) -> tuple[Numbers, Numbers]:
        """Return the profile of each depth that a majority shares, and how many requests share it."""
        of_profile = {int(i): shared_prefixes(self._snap, self._keys[i]) for i in np.flatnonzero(self._exact)}
        of = np.repeat(np.array(list(of_profile), np.int64), [len(shared) for shared in of_profile.values()])
        return of, np.array([count for shared in of_profile.values() for count in shared], np.int64)

    def _find_ties(self) -> list[int]:
        """Find the profiles with an exact prefix whose order of blocks, and so its tokens, depends on classes."""
        depth = np.bincount(self._shared_of, minlength=len(self._keys))
        within = np.arange(len(self._of)) - self._begins[self._of] <= depth[self._of]
        tied = (np.diff(self._indexes) == 0) & (np.diff(self._of) == 0) & within[:-1]
        return sorted({int(i) for i in self._of[:-1][tied] if self._exact[i]})

    def _find_lengths(self, thresholds: StabilityThresholds) -> Lengths:
        """Return the stable prefixes under a setting."""
        n_profiles, stable = len(self._keys), float(thresholds.stable_threshold)
        by_score = np.bincount(self._of, weights=self._reach >= stable, minlength=n_profiles)
        with np.errstate(over="ignore"):
            needed = np.minimum(stable * self._requests, self._requests)  # `_shared` holds depths of a majority only
        shared = self._shared >= needed[self._shared_of]
        by_share = np.bincount(self._shared_of, weights=shared, minlength=n_profiles)
        blocks = np.where(self._exact, by_share, by_score).astype(np.int64)
        leading = np.arange(len(self._of)) - self._begins[self._of] < blocks[self._of]
        tokens = self._sums(np.where(leading, self._tokens, 0.0))
        for i in self._tied:
            tokens[i] = self._tokens_in_order(i, int(blocks[i]), thresholds)
        return Lengths(blocks[self._order], tokens[self._order])

    def _tokens_in_order(self, profile: int, length: int, thresholds: StabilityThresholds) -> float:
        """Return the tokens of the first ``length`` blocks in production's order under a setting."""
        spans = self._snap.counts[self._keys[profile]]
        by_index = sorted(spans, key=lambda span: span.sequence_index)
        rows = slice(int(self._begins[profile]), int(self._begins[profile + 1]))
        tokens = {span.span_id: t for span, t in zip(by_index, self._tokens[rows].tolist(), strict=True)}
        scores = judge_spans(spans, int(self._requests[profile]), thresholds)
        return float(sum(tokens[score.span_id] for score in scores[:length]))


def _running_minimum(of: Numbers, indexes: Numbers, scores: Floats) -> Floats:
    """Return the largest threshold at which each block is in the prefix: the least score up to it, ties together."""
    if not len(of):
        return scores
    first = np.flatnonzero(np.concatenate(([True], (np.diff(of) != 0) | (np.diff(indexes) != 0))))
    least = np.minimum.reduceat(scores, first)
    begins = np.flatnonzero(np.concatenate(([True], np.diff(of[first]) != 0)))
    for begin, end in zip(begins, [*begins[1:], len(least)], strict=True):
        np.minimum.accumulate(least[begin:end], out=least[begin:end])
    return np.repeat(least, np.diff([*first, len(of)]))


class ProfileMetrics(NamedTuple):
    """What production would hold of some profiles under one setting.

    Attributes
    ----------
    profiles, with_prefix : int
        Number of profiles, and of those with a stable prefix made by at least two requests.
    median_tokens : float
        Median of their stable prefixes, counting 0 if there is none.
    share : float
        Share of the tokens of all their requests that stable prefixes cover, 0 to 1.
    """

    profiles: int
    with_prefix: int
    median_tokens: float
    share: float


class Matched(NamedTuple):
    """Recorded requests, and how many of them began with the whole stable prefix that was known by then."""

    requests: int
    matched: int

    @property
    def share(self) -> float:
        """Share of the requests that matched, 0 to 1."""
        return self.matched / self.requests if self.requests else 0.0


class PrefixChange(NamedTuple):
    """A profile whose prefix differs between two settings, in blocks."""

    learning_key: str
    before: int
    after: int


def group_places(names: Iterable[str]) -> dict[str, Numbers]:
    """Return where each name stands; once, since a table may have a row for each of thousands of agents."""
    found: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        found.setdefault(name, []).append(i)
    return {name: np.array(positions, np.int64) for name, positions in found.items()}


def measure_profile(prefixes: Prefixes, lengths: Lengths, chosen: NDArray[np.int64]) -> ProfileMetrics:
    """Return the metrics of the chosen profiles; ``chosen`` are positions in `Prefixes.keys`."""
    requests = prefixes.requests[chosen]
    used = (requests >= MIN_OBSERVATIONS) & (lengths.blocks[chosen] > 0)
    tokens = np.where(used, lengths.tokens[chosen], 0.0)
    prompt = float((prefixes.prompt_tokens[chosen] * requests).sum())
    return ProfileMetrics(
        profiles=len(chosen),
        with_prefix=int(used.sum()),
        median_tokens=float(np.median(tokens)) if len(tokens) else 0.0,
        share=float((tokens * requests).sum()) / prompt if prompt else 0.0,
    )


def list_changes(keys: Sequence[str], before: Lengths, after: Lengths, chosen: NDArray[np.int64]) -> list[PrefixChange]:
    """List the chosen profiles whose prefixes differ, the largest loss of tokens first."""
    differ = chosen[before.blocks[chosen] != after.blocks[chosen]]
    order = differ[np.argsort((after.tokens - before.tokens)[differ], kind="stable")]
    return [PrefixChange(keys[i], int(before.blocks[i]), int(after.blocks[i])) for i in order.tolist()]


def count_matched(trace: Trace, thresholds: StabilityThresholds, observation_window: int) -> Matched:
    """Count the requests of a trace that repeated the whole stable prefix known before them."""
    stable = thresholds.stable_threshold
    lengths = trace.prefix_lengths(stable, window=observation_window)[:, 0]
    promised = trace.prefix_tokens(stable, window=observation_window)[:, 0]
    whole = trace.matched_tokens(stable, window=observation_window)[:, 0] == promised
    return Matched(len(trace), int((whole & (lengths > 0) & (lengths <= trace.n_blocks)).sum()))
