"""Find the threshold to recommend for a block that alternates, on the plateau of what thresholds save.

The exact score of a window is the edge of its plateau: with one request more, the threshold is above the score. So a
threshold is taken from the middle, or, where the plateau is wide, three standard errors of a score below its top.
"""

from collections.abc import Callable
from math import sqrt
from typing import Final, NamedTuple

__all__ = ["Recommended", "find_plateau"]

_STEP: Final = 0.05
_LOWEST: Final = 0.55
_DISTANCES: Final = (0, 1, 2, 4, 6)  # steps below the score
_GOOD: Final = 0.9  # of the best saving: thresholds that save so much lie on the plateau
_ERRORS: Final = 3


class Recommended(NamedTuple):
    """A threshold, and what it saves over the recorded history."""

    threshold: float
    saved: float


def find_plateau(saved_by: Callable[[float], float], reach: float, requests: int) -> Recommended | None:
    """Return a threshold inside the range of those that save most; None if none below the largest one does.

    Parameters
    ----------
    saved_by : callable
        Returns what a threshold saves; asked at most seven times.
    reach : float
        The largest threshold that includes the block: its score.
    requests : int
        How many requests the score is of.

    Examples
    --------
    >>> find_plateau(lambda threshold: 2.0 if threshold < 0.91 else 0.5, reach=0.92, requests=100)
    Recommended(threshold=0.81, saved=2.0)
    >>> find_plateau(lambda threshold: 2.0 if threshold > 0.91 else 0.0, reach=0.92, requests=100) is None
    True
    """
    saved = {threshold: saved_by(threshold) for threshold in [*_below(reach), reach]}
    best = max(saved.values())
    in_order = list(saved)
    at = in_order.index(max(saved, key=saved.__getitem__))
    first = last = at
    while first > 0 and saved[in_order[first - 1]] >= _GOOD * best:
        first -= 1
    while last + 1 < len(in_order) and saved[in_order[last + 1]] >= _GOOD * best:
        last += 1
    bottom, top = in_order[first], in_order[last]
    if bottom == reach or best <= 0:
        return None
    wanted = round(max((bottom + top) / 2, top - _ERRORS * sqrt(top * (1 - top) / requests)), 2)
    if wanted not in saved and (amount := saved_by(wanted)) >= _GOOD * best:
        return Recommended(wanted, amount)
    nearest = min(in_order[first : last + 1], key=lambda one: (one == reach, abs(one - wanted)))
    return Recommended(nearest, saved[nearest])


def _below(reach: float) -> list[float]:
    """Return a few round thresholds below a score, in order: denser near it, as it is the top that matters."""
    first = int(reach / _STEP - 1e-9)
    steps = [first - distance for distance in _DISTANCES]
    rounded = [round(step * _STEP, 2) for step in reversed(steps)]
    return [threshold for threshold in rounded if _LOWEST <= threshold < reach]
