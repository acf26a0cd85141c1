"""Check the thresholds that public functions are given.

Production takes any finite number, so functions do too: a threshold outside 0 to 1 is only marked as off the scale.
Commands, the tuner and what is written to a config insist on the scale. A number above 2 and up to 100 is a share
written in per cent, which no caller means.
"""

from typing import Final

from acg_lab.core.errors import UsageError
from acg_lab.core.stability import StabilityThresholds

__all__ = ["check_scale", "check_share", "check_thresholds"]

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


def check_scale(thresholds: StabilityThresholds) -> StabilityThresholds:
    """Return thresholds that make sense: 0 <= ``semi_stable_threshold`` <= ``stable_threshold`` <= 1.

    Raises
    ------
    UsageError
        If they do not.

    Examples
    --------
    >>> check_scale(StabilityThresholds(stable_threshold=0.3))
    Traceback (most recent call last):
    ...
    acg_lab.core.errors.UsageError: The 'semi_stable_threshold' setting must be at most stable_threshold (0.3); got 0.5.
    """
    stable, semi = thresholds.stable_threshold, thresholds.semi_stable_threshold
    for name, value in (("stable_threshold", stable), ("semi_stable_threshold", semi)):
        check_share(name, value)
        if not 0 <= value <= 1:
            msg = f"The {name!r} setting must be a number in [0, 1]; got {value!r}."
            raise UsageError(msg)
    if semi > stable:
        msg = f"The 'semi_stable_threshold' setting must be at most stable_threshold ({stable!r}); got {semi!r}."
        raise UsageError(msg)
    return thresholds
