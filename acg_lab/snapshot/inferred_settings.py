"""Find the settings that explain what production stored.

A stored class says on which side of a threshold its score lies, so every result narrows an interval of thresholds. What
all results of an agent leave over is the answer. No settings are tried out.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from acg_lab.core.exact_prefix import largest_threshold
from acg_lab.core.records import StabilityAnalysisResult
from acg_lab.core.stability import StabilityThresholds

__all__ = ["Bounds", "SettingBounds", "bound_settings", "intersect"]

_DEFAULTS = StabilityThresholds()
_TOP = math.inf


class Bounds(NamedTuple):
    """The half-open interval ``(above, up_to]`` in which a threshold must lie."""

    above: float = -math.inf
    up_to: float = _TOP

    def both(self, other: "Bounds") -> "Bounds":
        """Return the intersection with another interval."""
        return Bounds(max(self.above, other.above), min(self.up_to, other.up_to))

    @property
    def is_empty(self) -> bool:
        """Whether no threshold lies in the interval."""
        return self.above >= self.up_to

    def choose(self, default: float) -> float:
        """Return a threshold in the interval, if possible the default."""
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


class SettingBounds(NamedTuple):
    """The settings that explain stored results: bounds of both thresholds, and ``(lowest, highest)`` for the count."""

    stable: Bounds = Bounds()
    semi_stable: Bounds = Bounds()
    full_confidence: tuple[float, float] = (0, _TOP)

    @property
    def is_possible(self) -> bool:
        """Whether any settings explain the stored results."""
        low, high = self.full_confidence
        return not self.stable.is_empty and not self.semi_stable.is_empty and low <= high and low < _TOP

    def choose(self) -> StabilityThresholds:
        """Return settings that explain the stored results, production's defaults where possible."""
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


def intersect(settings: Iterable[SettingBounds]) -> SettingBounds:
    """Return the settings that explain all of several results."""
    left = SettingBounds()
    for other in settings:
        low = max(left.full_confidence[0], other.full_confidence[0])
        high = min(left.full_confidence[1], other.full_confidence[1])
        left = SettingBounds(left.stable.both(other.stable), left.semi_stable.both(other.semi_stable), (low, high))
    return left


def bound_settings(stored: StabilityAnalysisResult, shared: Iterable[int] | None = None) -> SettingBounds:
    """Return the settings that explain one stored result.

    Parameters
    ----------
    stored : StabilityAnalysisResult
        Its scores are used as stored.
    shared : iterable of int, optional
        For `nemo-relay-0.8`: how many observations share each depth of the majority's prefix, starting with 1 block.
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
    return SettingBounds(stable, semi, _full_confidence(stored))


def _of_prefix(stored: StabilityAnalysisResult, shared: list[int]) -> Bounds:
    """Return the bounds of the threshold that led to the stored prefix; below a majority no prefix is shared."""
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
    """Return the count by which ``present`` observations have this confidence; infinity if there is no valid count."""
    if not confidence * 2**32 > present:
        return _TOP
    near = round(present / confidence)
    return next((n for n in (near - 1, near, near + 1) if n > 0 and present / n == confidence), _TOP)
