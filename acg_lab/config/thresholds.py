"""Check the thresholds that public functions are given.

Production takes any finite number, so a threshold outside 0 to 1 is legal and only marked as off the scale. A number
from 2 to 100 is a share written in per cent, which no caller means.
"""

from typing import Final

from acg_lab.core.errors import UsageError
from acg_lab.core.stability import StabilityThresholds

__all__ = ["check_share", "check_thresholds"]

_OFF_SCALE: Final = 2
_PER_CENT: Final = 100


def check_thresholds(thresholds: StabilityThresholds | None) -> StabilityThresholds:
    """Return the thresholds, production's defaults for None.

    Raises
    ------
    UsageError
        If they are not a StabilityThresholds, or if one of them is written in per cent.

    Examples
    --------
    >>> check_thresholds(None).stable_threshold
    0.95
    """
    if thresholds is None:
        return StabilityThresholds()
    if not isinstance(thresholds, StabilityThresholds):
        example = "acg_lab.StabilityThresholds(stable_threshold=0.9)"
        msg = f"The 'thresholds' must be a StabilityThresholds, such as {example}; got {thresholds!r}."
        raise UsageError(msg)
    check_share("stable_threshold", thresholds.stable_threshold)
    check_share("semi_stable_threshold", thresholds.semi_stable_threshold)
    return thresholds


def check_share(name: str, value: float) -> None:
    """Raise UsageError if a share is written in per cent.

    >>> check_share("stable_threshold", 95)
    Traceback (most recent call last):
    ...
    acg_lab.core.errors.UsageError: The 'stable_threshold' setting is a share from 0 to 1, not per cent; got 95: ...
    """
    if _OFF_SCALE < value <= _PER_CENT:
        msg = f"The {name!r} setting is a share from 0 to 1, not per cent; got {value!r}: write {value / 100!r}."
        raise UsageError(msg)
