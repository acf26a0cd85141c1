"""One profile at any setting: its result, and the frame its picture is drawn from.

Prepares once what a drag needs of the profile being shown. Only classes, order, confidence and the prefix depend on
thresholds, so the rest of the frame is made once per observation window. Invariant: results equal those of
`acg_lab.analyze`, frames those of `acg_lab.frames.scores`.
"""

from collections import Counter
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
import pandas as pd

from acg_lab import frames
from acg_lab.core.exact_prefix import count_sharing_by_depth, count_stable_depths, largest_threshold
from acg_lab.core.keys import Owner
from acg_lab.core.records import StabilityAnalysisResult
from acg_lab.core.rules import get_rules
from acg_lab.core.stability import CLASS_ORDER, StabilityThresholds, count_leading_stable, judge_spans, make_result
from acg_lab.snapshot.analysis import window_codes
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.storage.columns import Columns
from acg_lab.storage.observation_columns import ObservationColumns
from acg_lab.storage.recorded_runs import Runs

__all__ = ["ProfileScores", "select_profile"]

_BASE_THRESHOLDS: Final = StabilityThresholds()


def select_profile(
    snap: Snapshot, key: str, observation_window: int | None = None, source: ObservationColumns | None = None
) -> Snapshot:
    """Return a snapshot of one profile alone, with its newest requests and only the texts they use.

    Parameters
    ----------
    snap : Snapshot
        Holds the owner and the rules version of the profile.
    key : str
        Learning key of the profile.
    observation_window : int, optional
        How many requests to keep; all when left out.
    source : ObservationColumns, optional
        Where the requests are; the snapshot's windows when left out.
    """
    source = source or snap.columns.observations
    rows = np.array(source.observations_of(source.number[key]), np.int64)
    taken = source.take(rows if observation_window is None else rows[-observation_window:], [key])
    used, contents = np.unique(taken.contents, return_inverse=True)
    pool = [taken.content_pool[code] for code in used.tolist()]
    observations = replace(taken, contents=contents.astype(np.int32), content_pool=pool)
    columns = Columns(observations=observations, results={}, runs=Runs(), key_prefix=snap.columns.key_prefix)
    owners = {key: Owner(snap.owners[key].agent_id, is_seed=False)}
    rules = snap.rules[key].rules
    return Snapshot(source=snap.source, columns=columns, owners=owners, rules_setting=rules, is_filtered=True)


class ProfileScores:
    """One profile in one observation window.

    Parameters
    ----------
    snap : Snapshot
        Of this profile alone.
    key : str
        Its learning key.

    Attributes
    ----------
    rules : str
        Rules version by which it is analysed.
    requests : int
        In the observation window.
    prompt_tokens : float
        Mean tokens of a request.
    """

    def __init__(self, snap: Snapshot, key: str) -> None:
        self.snap, self.key = snap, key
        self.rules = snap.rules[key].rules
        self.requests = snap.n_observations(key)
        self._is_exact = get_rules(self.rules).exact_prefix
        # Caches of the instance, so that they are freed with it.
        self.result = lru_cache(maxsize=8)(self._analyze)
        self.scores = lru_cache(maxsize=8)(self._make_scores)
        base = frames.scores({key: self.result(_BASE_THRESHOLDS)}, snap)
        self._base = base
        self._classes: Any = base["classification"].dtype
        self._row = {name: row for row, name in enumerate(base["span_id"])}
        self._share = (base["tokens"] * base["present"] / base["requests"]).to_numpy(float, na_value=0.0)
        self.prompt_tokens = float(self._share.sum())

    def _analyze(self, thresholds: StabilityThresholds) -> StabilityAnalysisResult:
        """Return the result of `acg_lab.analyze` under a setting, without the fingerprint of an exact prefix."""
        n = self.requests
        scores = judge_spans(self.snap.counts[self.key], n, thresholds)
        if not self._is_exact:
            return make_result(scores, count_leading_stable(scores), n)
        return make_result(scores, count_stable_depths(self._shared, n, thresholds.stable_threshold), n)

    def _make_scores(self, thresholds: StabilityThresholds) -> pd.DataFrame:
        """Return `acg_lab.frames.scores` of the profile under a setting."""
        result = self.result(thresholds)
        order = [self._row[score.span_id] for score in result.scores]
        frame = self._base if order == list(range(len(order))) else self._base.take(order)
        position, end = np.arange(len(order)), result.stable_prefix_length
        codes = np.array([CLASS_ORDER[score.classification] for score in result.scores], np.int8)
        values: dict[str, Any] = {
            "position": position,
            "classification": pd.Categorical.from_codes(codes, dtype=self._classes),
            "confidence": np.array([score.confidence for score in result.scores], float),
            "in_prefix": position < end,
            "breaks": position == end,
            "n_sharing_prefix": self._sharing(result),
        }
        return frame.reset_index(drop=True).assign(**values)

    def _sharing(self, result: StabilityAnalysisResult) -> Any:
        end, n = result.stable_prefix_length, len(result.scores)
        sharing = pd.array([None] * n, dtype="Int64")
        if end < n and result.scores[end].classification == "stable":
            prefixes = Counter(tuple(codes[: end + 1]) for codes in self._codes if len(codes) > end)
            sharing[end] = max(prefixes.values(), default=0)
        return sharing

    @cached_property
    def _codes(self) -> list[list[int]]:
        return window_codes(self.snap, self.key)[0]

    @cached_property
    def _shared(self) -> list[int]:
        return count_sharing_by_depth(self._codes, int)

    def joins_at(self, thresholds: StabilityThresholds) -> float:
        """Return the largest ``stable_threshold`` with a longer prefix than under a setting; 0 if there is none.

        Before nemo-relay-0.8 it is the least score of the blocks that come next, from then on the share of requests
        that share them (acg_lab/docs/rules/learner.md, section 8).
        """
        length = self.result(thresholds).stable_prefix_length
        if self._is_exact:
            return largest_threshold(self._shared[length], self.requests) if length < len(self._shared) else 0.0
        scores = self.scores(thresholds)
        place = scores["first_position"].iloc[length]
        return float(scores["score"][scores["first_position"] == place].min())

    def prefix_tokens(self, thresholds: StabilityThresholds) -> float:
        """Return the mean tokens per request in the stable prefix."""
        result = self.result(thresholds)
        return float(sum(self._share[self._row[s.span_id]] for s in result.scores[: result.stable_prefix_length]))

    def tokens_out_of_reach(self, thresholds: StabilityThresholds) -> float:
        """Return the mean tokens per request that are stable, but after the breaking block."""
        after = self.result(thresholds).scores[self.result(thresholds).stable_prefix_length + 1 :]
        return float(sum(self._share[self._row[s.span_id]] for s in after if s.classification == "stable"))
