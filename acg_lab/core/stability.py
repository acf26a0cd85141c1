"""How stable each block of a window is, and how long the stable prefix is (``acg_lab/docs/rules/learner.md``, 4).

Counting is apart, in `CountedWindow`, so that columns of codes are judged by the same functions.
"""

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final

from msgspec import Struct
from msgspec.structs import force_setattr

from acg_lab.core.errors import UsageError
from acg_lab.core.exact_prefix import count_stable_depths, window_fingerprint
from acg_lab.core.plain_numbers import plain_number
from acg_lab.core.records import BlockStability, PromptIR, StabilityAnalysisResult, StabilityClass
from acg_lab.core.rules import Rules, get_rules
from acg_lab.core.window import CountedWindow, SpanCount

__all__ = [
    "CLASS_ORDER",
    "StabilityThresholds",
    "analyze_stability",
    "count_leading_stable",
    "judge_spans",
    "judge_window",
    "make_result",
]

_block = attrgetter("block")
CLASS_ORDER: Final[Mapping[StabilityClass, int]] = {"variable": 0, "semi_stable": 1, "stable": 2}


class StabilityThresholds(Struct, frozen=True, kw_only=True):
    """The thresholds that classify a block's score, and the number of observations for full confidence.

    As in production, any number is allowed: with a ``stable_threshold`` above 1 no block is stable, with 0 every block.

    Attributes
    ----------
    stable_threshold, semi_stable_threshold : float
        Blocks with at least this score are stable, or semi-stable. Scores are between 0 and 1.
    min_observations_for_full_confidence : int
        From how many observations on a score has confidence 1.

    Raises
    ------
    UsageError
        If a threshold is not a finite number that fits 64 bits, or the count is not an integer of 32 bits.

    Examples
    --------
    >>> StabilityThresholds(stable_threshold=0.9).semi_stable_threshold
    0.5
    """

    stable_threshold: float = 0.95
    semi_stable_threshold: float = 0.50
    min_observations_for_full_confidence: int = 20

    def __post_init__(self) -> None:
        for name in ("stable_threshold", "semi_stable_threshold"):
            value = plain_number(getattr(self, name))
            force_setattr(self, name, value)
            if isinstance(value, bool) or not isinstance(value, int | float) or value - value != 0:
                msg = f"The {name!r} setting must be a finite number; got {value!r}."
                raise UsageError(msg)
            if isinstance(value, int) and not -(2**63) <= value < 2**64:
                msg = f"The {name!r} setting, if an integer, must be from -2**63 to 2**64 - 1; got {value!r}."
                raise UsageError(msg)
        count = plain_number(self.min_observations_for_full_confidence)
        force_setattr(self, "min_observations_for_full_confidence", count)
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count < 2**32:
            name = "min_observations_for_full_confidence"
            msg = f"The {name!r} setting must be an integer from 0 to 2**32 - 1; got {count!r}."
            raise UsageError(msg)


def judge_spans(
    counts: Iterable[SpanCount], n_observations: int, thresholds: StabilityThresholds
) -> tuple[BlockStability, ...]:
    """Score and classify spans, in prompt order.

    Spans are ordered by smallest index, then least stable class, then span id. Before 0.8 production leaves spans of
    equal index in random order; this is its most cautious outcome.
    """
    minimum = thresholds.min_observations_for_full_confidence
    judged = []
    for span_id, sequence_index, present, dominant in counts:
        # Production's order of floating-point operations decides the last bit, and at a threshold the class.
        score = (present / n_observations) * (dominant / present)
        classification = _classify(score, thresholds)
        block = BlockStability(
            span_id=span_id,
            classification=classification,
            score=score,
            confidence=present / minimum if present < minimum else 1.0,
            observation_count=present,
        )
        judged.append((sequence_index, CLASS_ORDER[classification], span_id, block))
    judged.sort()  # blocks are never compared: each span id occurs once
    return tuple([block for *_, block in judged])


def _classify(score: float, thresholds: StabilityThresholds) -> StabilityClass:
    if score >= thresholds.stable_threshold:
        return "stable"
    return "semi_stable" if score >= thresholds.semi_stable_threshold else "variable"


def count_leading_stable(scores: Iterable[BlockStability]) -> int:
    """Return how many leading scores have class ``stable``."""
    length = 0
    for score in scores:
        if score.classification != "stable":
            break
        length += 1
    return length


def analyze_stability(
    observations: Sequence[PromptIR],
    thresholds: StabilityThresholds | None = None,
    *,
    rules: str = "nemo-flow-0.2",
    learning_key: str = "",
) -> StabilityAnalysisResult:
    """Analyse the observations of one profile.

    Parameters
    ----------
    observations : sequence of PromptIR
        Oldest first. Read, never changed.
    thresholds : StabilityThresholds, optional
        Production's defaults if omitted.
    rules : str
        Name of the rules version.
    learning_key : str
        Learning key of the profile; `nemo-relay-0.8` includes it in the fingerprint.

    Returns
    -------
    StabilityAnalysisResult
        ``scores`` in prompt order, one per span; ``stable_prefix_length`` in blocks. Without observations there are no
        scores, and all counts are zero.

    Raises
    ------
    UsageError
        If the rules version is unknown.

    Examples
    --------
    >>> analyze_stability([]).stable_prefix_length
    0
    """
    return judge_window(
        CountedWindow(observations), thresholds or StabilityThresholds(), get_rules(rules), learning_key
    )


def judge_window(
    window: CountedWindow, thresholds: StabilityThresholds, rules: Rules, learning_key: str
) -> StabilityAnalysisResult:
    """Analyse a counted window; see `analyze_stability`."""
    scores = judge_spans(window.counts(), len(window), thresholds)
    if not rules.exact_prefix:
        return make_result(scores, count_leading_stable(scores), len(window))
    prefixes = window.prefixes
    depth = count_stable_depths(prefixes.shared(), len(window), thresholds.stable_threshold)
    fingerprint = window_fingerprint(learning_key, prefixes.paths(), depth, _block)
    return make_result(scores, depth, len(window), fingerprint)


def make_result(
    scores: tuple[BlockStability, ...], length: int, n_observations: int, fingerprint: str | None = None
) -> StabilityAnalysisResult:
    """Return the result of an analysis."""
    return StabilityAnalysisResult(
        scores=scores,
        stable_prefix_length=length,
        stable_prefix_fingerprint=fingerprint,
        total_observations=n_observations,
    )
