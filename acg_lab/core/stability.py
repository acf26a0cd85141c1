"""How stable each block of a window is, and how many lead (spec section 4).

Belongs here: thresholds, scoring, classes, and the length of the stable prefix. Counting is apart (`CountedWindow`), so
that columns of codes can be judged by the same rules.
"""

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final

from msgspec import Struct

from acg_lab.core.errors import UsageError
from acg_lab.core.exact_prefix import count_enough, window_fingerprint
from acg_lab.core.records import BlockStability, PromptIR, StabilityAnalysisResult, StabilityClass
from acg_lab.core.rules import Rules, get_rules
from acg_lab.core.window import CountedWindow, SpanCount

__all__ = [
    "CLASS_ORDER",
    "StabilityThresholds",
    "analyze_stability",
    "judge_spans",
    "judge_window",
    "leading_stable",
    "result_of",
]

_block = attrgetter("block")
CLASS_ORDER: Final[Mapping[StabilityClass, int]] = {"variable": 0, "semi_stable": 1, "stable": 2}


class StabilityThresholds(Struct, frozen=True, kw_only=True):
    """Where the classes begin, and how many observations make full confidence.

    Production takes any number that its types can hold, and so do these: a ``stable_threshold`` above 1 makes nothing
    stable, one of 0 everything.

    Raises
    ------
    UsageError
        If a threshold is no number, not finite, or an integer that 64 bits do not hold; or the count no integer that 32
        bits hold.
    """

    stable_threshold: float = 0.95
    semi_stable_threshold: float = 0.50
    min_observations_for_full_confidence: int = 20

    def __post_init__(self) -> None:
        for name in ("stable_threshold", "semi_stable_threshold"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or value - value != 0:
                msg = f"The {name!r} setting must be a finite number; got {value!r}."
                raise UsageError(msg)
            if isinstance(value, int) and not -(2**63) <= value < 2**64:
                msg = f"The {name!r} setting, if an integer, must be from -2**63 to 2**64 - 1; got {value!r}."
                raise UsageError(msg)
        count = self.min_observations_for_full_confidence
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count < 2**32:
            name = "min_observations_for_full_confidence"
            msg = f"The {name!r} setting must be an integer from 0 to 2**32 - 1; got {count!r}."
            raise UsageError(msg)


def judge_spans(
    counts: Iterable[SpanCount], n_observations: int, thresholds: StabilityThresholds
) -> tuple[BlockStability, ...]:
    """Score and classify spans, in prompt order.

    The order is (smallest index, least stable class first, span id). Generations before 0.8 leave spans that tie on
    the index in random order; ours is one of their outcomes, the cautious one.
    """
    minimum = thresholds.min_observations_for_full_confidence
    judged = []
    for span_id, sequence_index, present, dominant in counts:
        # Production's order of floating-point operations: it decides the last bit, and so, at a threshold, the class.
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
    judged.sort()  # never comes to compare blocks: a window has each span once
    return tuple([block for *_, block in judged])


def _classify(score: float, thresholds: StabilityThresholds) -> StabilityClass:
    if score >= thresholds.stable_threshold:
        return "stable"
    return "semi_stable" if score >= thresholds.semi_stable_threshold else "variable"


def leading_stable(scores: Iterable[BlockStability]) -> int:
    """Return how many scores lead with class ``stable``."""
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
    """Analyse a window.

    Parameters
    ----------
    observations : sequence of PromptIR
        Oldest first. Read, never changed.
    thresholds : StabilityThresholds, optional
        Production's defaults when left out.
    rules : str
        Name of the generation of the rules.
    learning_key : str
        Whose window it is; generation 0.8 puts it into the fingerprint.

    Returns
    -------
    StabilityAnalysisResult
        ``scores`` in prompt order, one per span; ``stable_prefix_length`` in blocks. An empty window gives no scores
        and zeros.
    """
    return judge_window(
        CountedWindow(observations), thresholds or StabilityThresholds(), get_rules(rules), learning_key
    )


def judge_window(
    window: CountedWindow, thresholds: StabilityThresholds, rules: Rules, learning_key: str
) -> StabilityAnalysisResult:
    """Analyse a window that is counted already; see `analyze_stability`."""
    scores = judge_spans(window.counts(), len(window), thresholds)
    if not rules.exact_prefix:
        return result_of(scores, leading_stable(scores), len(window))
    prefixes = window.prefixes
    depth = count_enough(prefixes.shared(), len(window), thresholds.stable_threshold)
    fingerprint = window_fingerprint(learning_key, prefixes.paths(), depth, _block)
    return result_of(scores, depth, len(window), fingerprint)


def result_of(
    scores: tuple[BlockStability, ...], length: int, n_observations: int, fingerprint: str | None = None
) -> StabilityAnalysisResult:
    """Put a result together."""
    return StabilityAnalysisResult(
        scores=scores,
        stable_prefix_length=length,
        stable_prefix_fingerprint=fingerprint,
        total_observations=n_observations,
    )
