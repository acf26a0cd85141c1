"""What the governor plans for the requests of one history at many settings, each distinct question asked once.

Two settings plan the same for a request unless the prefix that it met differs, or the number of observations for full
confidence does. Where a prefix is shared by every observation, its length and their number say all; elsewhere the whole
result is built, once for each state and length.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Final

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from acg_lab.core.planner import PlanReason
from acg_lab.core.records import BlockStability, StabilityAnalysisResult
from acg_lab.core.rules import get_rules
from acg_lab.core.stability import StabilityThresholds, make_result
from acg_lab.history.lookup import ReplayedHistory
from acg_lab.history.walk_types import PrefixCurves
from acg_lab.simulation.plans import PlannedRequest, plan_one, plan_past_gate
from acg_lab.simulation.requests import number_prefixes

__all__ = ["PlanCodes"]

Ints = NDArray[np.int64]
_NOTHING: Final = 0  # the code of plans without breakpoints
_MIN_OBSERVATIONS: Final = 2


class PlanCodes:
    """Codes of plans; equal codes are equal plans.

    Attributes
    ----------
    plans : list of PlannedRequest
        By code. Code 0 stands for every plan without breakpoints.
    exact, repeats : array of bool, shape (n_profiles,)
        Whether a profile's prefixes are exact ones, and whether a request of it holds a span twice.
    n_scaffold : array of int64
        How many leading blocks of each request belong to its scaffold.
    """

    def __init__(self, part: ReplayedHistory) -> None:
        self.plans = [PlannedRequest(PlanReason.NOTHING_LEARNED)]
        self._part, self._columns = part, part.history.observations
        self._codes: dict[PlannedRequest, int] = {}
        self._answers: dict[tuple[int, ...], int] = {}
        self._results: dict[tuple[int, int, int], StabilityAnalysisResult] = {}
        self._n_stable: dict[tuple[int, int, int, float], int] = {}
        self.exact = np.array([get_rules(profile.rules).exact_prefix for profile in part.history.profiles], bool)
        self.repeats = self._find_repeated_spans()
        self._nodes = self._number_leading_blocks()
        self.n_scaffold = self._count_scaffold()

    def find(self, rows: Ints, thresholds: NDArray[np.float64], window: int) -> "WindowPlans":
        """Return what requests met at each stable threshold, with one observation window."""
        return WindowPlans(self, self._part, rows, thresholds, window)

    def _find_repeated_spans(self) -> NDArray[np.bool_]:
        """Return which profiles hold a request with a span twice: its blocks are present more often than requests."""
        columns = self._columns
        owner = np.repeat(np.arange(len(columns.block_offsets) - 1), np.diff(columns.block_offsets))
        key = np.sort(owner * (len(columns.span_pool) + 1) + columns.spans)
        twice = key[1:][key[1:] == key[:-1]] // (len(columns.span_pool) + 1)
        found = np.zeros(len(self._part.history.profiles), bool)
        found[self._part.profile[twice]] = True
        return found

    def _number_leading_blocks(self) -> Ints:
        """Return a number for each block: equal for equal leading blocks up to it, of one profile."""
        columns = self._columns
        pairs = columns.contents.astype(np.int64) * len(columns.form_pool) + columns.forms
        triples = pairs * (len(columns.span_pool) + 1) + columns.spans
        _, codes = np.unique(triples, return_inverse=True)
        return number_prefixes(self._part.profile, codes.reshape(-1), columns.block_offsets.astype(np.int64))

    def _count_scaffold(self) -> Ints:
        """Return how many leading blocks of each request belong to its scaffold."""
        columns = self._columns
        is_scaffold = np.array([form.is_scaffold for form in columns.form_pool], bool)[columns.forms]
        ends = np.append(np.flatnonzero(~is_scaffold), len(is_scaffold))
        first = ends[np.searchsorted(ends, columns.block_offsets[:-1])]
        counts: Ints = np.minimum(first, columns.block_offsets[1:]) - columns.block_offsets[:-1]
        return counts

    def leads(self, rows: Ints, lengths: Ints) -> Ints:
        """Return a number for what plans depend on: the blocks of a request up to a length, and whether a tool follows.

        -1 for a request without blocks.
        """
        columns = self._columns
        begin, end = columns.block_offsets[rows], columns.block_offsets[rows + 1]
        last = begin + np.minimum(lengths, end - begin) - 1
        is_tool = np.array([form.content_type == "tool_schema" for form in columns.form_pool], bool)
        follows = begin + lengths < end
        follows[follows] = is_tool[columns.forms[(begin + lengths)[follows]]]
        return np.where((end > begin) & (lengths > 0), 2 * self._nodes[np.maximum(last, 0)] + follows, -1)

    def answer(
        self, row: int, question: tuple[int, ...], build: Callable[[], StabilityAnalysisResult], *, gated: bool
    ) -> int:
        """Return the code of a plan; asked once for each question, and only then is its result built."""
        known = self._answers.get(question)
        if known is not None:
            return known
        profile = self._part.history.profiles[self._part.profile[row]]
        ir, result = self._columns.observation(row), build()
        if gated:
            plan, _ = plan_one(ir, result, profile.learning_key, profile.rules)
        else:
            plan = plan_past_gate(ir, result, profile.learning_key)
        self._answers[question] = found = self._code(plan)
        return found

    def _code(self, plan: PlannedRequest) -> int:
        if not plan.targets:
            return _NOTHING
        if plan not in self._codes:
            self._codes[plan] = len(self.plans)
            self.plans.append(plan)
        return self._codes[plan]

    def learned(self, state: int, n: int, length: int, stable: float) -> StabilityAnalysisResult:
        """Return the result of a state at a threshold at which its prefix has this length; confidences do not count."""
        key = (state, n, length)
        if key not in self._results:
            thresholds = StabilityThresholds(stable_threshold=stable)
            self._results[key] = self._part.result_builder.build(state, n, thresholds)
        return self._results[key]

    def count_stable(self, state: int, n: int, length: int, stable: float) -> int:
        """Return how many leading scores of a state's prefix are stable at a threshold."""
        key = (state, n, length, stable)
        if key not in self._n_stable:
            scores = self.learned(*key).scores[:length]
            unstable = (i for i, score in enumerate(scores) if not score.score >= stable)
            self._n_stable[key] = next(unstable, len(scores))
        return self._n_stable[key]


def _judge_again(result: StabilityAnalysisResult, stable: float, minimum: int) -> StabilityAnalysisResult:
    """Return a result as settings that learn the same prefix judge it."""
    length = result.stable_prefix_length
    scores = tuple(
        replace(
            score,
            classification="stable" if score.score >= stable else "variable",
            confidence=score.observation_count / minimum if score.observation_count < minimum else 1.0,
        )
        for score in result.scores[:length]
    )
    return make_result(scores, length, result.total_observations, result.stable_prefix_fingerprint)


class WindowPlans:
    """What requests of one history met at ascending stable thresholds, and the plans that follow from it.

    Attributes
    ----------
    column : per threshold, int64
        The column of `codes` that holds its plans; thresholds with equal plans share one.
    """

    def __init__(
        self, codes: PlanCodes, part: ReplayedHistory, rows: Ints, thresholds: NDArray[np.float64], window: int
    ) -> None:
        self._codes, self._rows = codes, rows
        found = part.look_up(rows, thresholds, window)
        results, n_entries = part.results[window], len(part.entries.state)
        lengths = found.lengths.astype(np.int64)
        entry = np.broadcast_to(found.entry, lengths.shape)
        has = entry >= 0
        at = np.where(has, entry, 0)
        states = part.entries.state[at] if n_entries else at
        curve = results.curve[states].astype(np.int64) if n_entries else at
        n = np.where(has, results.curves.n[curve] if n_entries else 0, 0)
        own_profile = part.profile[rows][:, np.newaxis]
        exact = codes.exact[own_profile]
        own = part.entries.own[rows][:, np.newaxis]
        # What no plan can follow from: nothing learned, one observation, no prefix, or under 0.8 another's result.
        possible = has & (n >= _MIN_OBSERVATIONS) & (lengths > 0) & (own | ~exact)
        repeats = codes.repeats[part.states.profile[states]] if n_entries else has
        full = possible & _is_shared_by_all(results.curves, curve, lengths) & ~repeats
        bound = exact & (lengths > codes.n_scaffold[rows][:, np.newaxis])
        matched = results.matched[at].astype(np.int64) if n_entries else at
        possible &= ~(exact & (matched < lengths))
        full &= ~bound
        # One number for what was met: an outcome without a plan, a prefix that all share, or a state's own result.
        width = int(lengths.max(initial=0)) + 1
        met = np.where(full, n * width + lengths, -1 - (states * width + lengths))
        met = np.where(possible, met, 0)
        new = np.ones(len(thresholds), bool)
        new[1:] = (met[:, 1:] != met[:, :-1]).any(axis=0)
        new |= self._rounding(codes, possible & ~full, states, n, lengths, thresholds, exact)
        kept = np.flatnonzero(new)
        self.column = np.cumsum(new) - 1
        self._met, self._lengths, self._states, self._n = met[:, kept], lengths[:, kept], states[:, kept], n[:, kept]
        self._thresholds, self._bound, self._full = thresholds[kept], bound[:, kept], full[:, kept]
        self._possible = possible[:, kept]

    @staticmethod
    def _rounding(
        codes: PlanCodes,
        slow: NDArray[np.bool_],
        states: Ints,
        n: Ints,
        lengths: Ints,
        thresholds: NDArray[np.float64],
        exact: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        """Return at which thresholds the walk over a prefix of unchanged length may stop elsewhere, by rounding."""
        found = np.zeros(len(thresholds), bool)
        asked: set[tuple[int, int, int]] = set()
        for row, column in np.argwhere(slow & exact).tolist():
            key = (int(states[row, column]), int(n[row, column]), int(lengths[row, column]))
            if key in asked:
                continue
            asked.add(key)
            result = codes.learned(*key, float(thresholds[column]))
            lowest = min((score.score for score in result.scores[: key[2]]), default=1.0)
            at = int(np.searchsorted(thresholds, lowest, side="right"))
            if at < len(thresholds):
                found[at] = True
        return found

    def codes(self, minimum: int) -> Ints:
        """Return codes of plans, shape (n_rows, n_columns), at a number of observations for full confidence."""
        found = np.full(self._met.shape, _NOTHING, np.int64)
        at, places, which = self._questions
        if len(at):
            answers = np.array([self._ask(*place, minimum) for place in places], np.int64)
            found.reshape(-1)[at] = answers[which]
        return found

    @cached_property
    def _questions(self) -> tuple[Ints, list[tuple[int, int, int]], Ints]:
        """Return where a plan is possible; row, column and leading blocks of each distinct question; which it asks."""
        rows = np.broadcast_to(self._rows[:, np.newaxis], self._met.shape)
        leads = self._codes.leads(rows.reshape(-1), self._lengths.reshape(-1)).reshape(self._met.shape)
        at = np.flatnonzero(self._possible & (leads >= 0))
        if not len(at):
            return at, [], at
        columns, leading = at % self._met.shape[1], leads.reshape(-1)[at]
        bound = self._bound.reshape(-1)[at]
        questions = np.stack(
            (
                self._met.reshape(-1)[at],
                leading,
                np.where(bound, rows.reshape(-1)[at], -1),
                np.where(self._full.reshape(-1)[at], -1, columns),
            )
        )
        _, first, which = np.unique(questions, axis=1, return_index=True, return_inverse=True)
        places = np.stack((at // self._met.shape[1], columns, leading))[:, first]
        return at, [(i, column, lead) for i, column, lead in places.T.tolist()], which.reshape(-1)

    def _ask(self, i: int, column: int, lead: int, minimum: int) -> int:
        row, length, n = int(self._rows[i]), int(self._lengths[i, column]), int(self._n[i, column])
        if self._full[i, column]:
            shared = (0, n, length, lead, minimum if n < minimum else 0)
            return self._codes.answer(row, shared, lambda: _shared_result(n, length, minimum), gated=False)
        state, stable = int(self._states[i, column]), float(self._thresholds[column])
        n_stable = self._codes.count_stable(state, n, length, stable)
        bound = row if self._bound[i, column] else -1
        question = (1, state, n, length, n_stable, lead, bound, minimum)
        return self._codes.answer(
            row,
            question,
            lambda: _judge_again(self._codes.learned(state, n, length, stable), stable, minimum),
            gated=True,
        )


def _is_shared_by_all(curves: PrefixCurves, curve: Ints, lengths: Ints) -> NDArray[np.bool_]:
    """Whether the prefixes of these lengths are the ones that every observation of their windows shares."""
    if not len(curves.depth):
        return np.zeros(lengths.shape, bool)
    first = np.minimum(curves.offsets[:-1], len(curves.depth) - 1)
    full = (np.diff(curves.offsets) > 0) & (curves.present[first] == curves.n) & (curves.dominant[first] == curves.n)
    shared: NDArray[np.bool_] = lengths == np.where(full, curves.depth[first], -1)[curve]
    return shared


def _shared_result(n: int, length: int, minimum: int) -> StabilityAnalysisResult:
    """Return a result of which only the leading blocks count, all of them in every observation."""
    confidence = n / minimum if n < minimum else 1.0
    score = BlockStability(span_id="", classification="stable", score=1.0, confidence=confidence, observation_count=n)
    return make_result((score,) * length, length, n)
