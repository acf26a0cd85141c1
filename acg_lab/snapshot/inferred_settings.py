"""Which settings explain what production stored: a small search over the bounds that each result sets.

Belongs here: reading thresholds back from classes, confidences and prefix lengths. A class says on which side of a
threshold its score lies, so every result narrows an interval; what all results of an agent leave is the answer.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from acg_lab.core.exact_prefix import largest_threshold
from acg_lab.core.records import StabilityAnalysisResult
from acg_lab.core.stability import StabilityThresholds

__all__ = ["Bounds", "Settings", "bounds_of_result", "intersect"]

_DEFAULTS = StabilityThresholds()
_TOP = math.inf


class Bounds(NamedTuple):
    """The half-open interval ``(above, up_to]`` in which a threshold must lie."""

    above: float = -math.inf
    up_to: float = _TOP

    def both(self, other: "Bounds") -> "Bounds":
        """Return where the two overlap."""
        return Bounds(max(self.above, other.above), min(self.up_to, other.up_to))

    @property
    def is_empty(self) -> bool:
        """Whether no threshold lies in it."""
        return self.above >= self.up_to

    def choose(self, default: float) -> float:
        """Return a threshold in it, the default if that is one."""
        if self.above < default <= self.up_to:
            return default
        return self.up_to if math.isfinite(self.up_to) else self.above + 1.0

    def __str__(self) -> str:
        if self.above == -math.inf and self.up_to == _TOP:
            return "any"
        if self.up_to == _TOP:
            return f"above {self.above:.6g}"
        if self.above == -math.inf:
            return f"at most {self.up_to:.6g}"
        return f"in ({self.above:.6g}, {self.up_to:.6g}]"


class Settings(NamedTuple):
    """What explains stored results: bounds for the thresholds, and ``(lowest, highest)`` for the count."""

    stable: Bounds = Bounds()
    semi_stable: Bounds = Bounds()
    full_confidence: tuple[float, float] = (0, _TOP)

    @property
    def is_possible(self) -> bool:
        """Whether any settings explain what was stored."""
        low, high = self.full_confidence
        return not self.stable.is_empty and not self.semi_stable.is_empty and low <= high and low < _TOP

    def choose(self) -> StabilityThresholds:
        """Return settings that explain what was stored, production's defaults where they do."""
        low, high = self.full_confidence
        default = _DEFAULTS.min_observations_for_full_confidence
        return StabilityThresholds(
            stable_threshold=self.stable.choose(_DEFAULTS.stable_threshold),
            semi_stable_threshold=self.semi_stable.choose(_DEFAULTS.semi_stable_threshold),
            min_observations_for_full_confidence=default if low <= default <= high else int(low),
        )

    def __str__(self) -> str:
        low, high = self.full_confidence
        count = f"{low:.0f}" if low == high else f"{low:.0f} or more" if high == _TOP else f"{low:.0f} to {high:.0f}"
        return (
            f"stable_threshold {self.stable}, semi_stable_threshold {self.semi_stable}, "
            f"min_observations_for_full_confidence {count}"
        )


def intersect(settings: Iterable[Settings]) -> Settings:
    """Return the settings that explain all of several results."""
    left = Settings()
    for other in settings:
        low = max(left.full_confidence[0], other.full_confidence[0])
        high = min(left.full_confidence[1], other.full_confidence[1])
        left = Settings(left.stable.both(other.stable), left.semi_stable.both(other.semi_stable), (low, high))
    return left


def bounds_of_result(stored: StabilityAnalysisResult, shared: Iterable[int] | None = None) -> Settings:
    """Return the settings that explain one stored result.

    Parameters
    ----------
    stored : StabilityAnalysisResult
        Its scores are taken as they are.
    shared : iterable of int, optional
        For generation 0.8: how many observations share each depth of the commonest prefix, from 1 block on.
    """
    scores = [(score.score, score.classification) for score in stored.scores]
    stable = Bounds(
        max((score for score, name in scores if name != "stable"), default=-math.inf),
        min((score for score, name in scores if name == "stable"), default=_TOP),
    )
    semi = Bounds(
        max((score for score, name in scores if name == "variable"), default=-math.inf),
        min((score for score, name in scores if name == "semi_stable"), default=_TOP),
    )
    if shared is not None:
        stable = stable.both(_of_prefix(stored, list(shared)))
    return Settings(stable, semi, _full_confidence(stored))


def _of_prefix(stored: StabilityAnalysisResult, shared: list[int]) -> Bounds:
    """Bound the threshold by the depth it led to; a majority is needed whatever it is."""
    n, depth = stored.total_observations, stored.stable_prefix_length
    majority = n // 2 + 1
    reached = shared[depth - 1] if 0 < depth <= len(shared) else n
    following = shared[depth] if depth < len(shared) else 0
    above = largest_threshold(following, n) if n and following >= majority else -math.inf
    return Bounds(above, largest_threshold(reached, n) if reached < n else _TOP)


def _full_confidence(stored: StabilityAnalysisResult) -> tuple[float, float]:
    low, high = 0.0, _TOP
    for score in stored.scores:
        if score.confidence >= 1.0:
            high = min(high, score.observation_count)
        else:
            exact = _count_for(score.observation_count, score.confidence)
            low, high = max(low, exact), min(high, exact)
    return low, high


def _count_for(present: int, confidence: float) -> float:
    """Return the count that gives this confidence to so many observations; infinite if production can hold none."""
    if not confidence * 2**32 > present:
        return _TOP
    near = round(present / confidence)
    return next((n for n in (near - 1, near, near + 1) if n > 0 and present / n == confidence), _TOP)
