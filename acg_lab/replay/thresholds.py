"""Stable thresholds as a caller may give them."""

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.errors import UsageError
from acg_lab.core.stability import StabilityThresholds

__all__ = ["Thresholds", "as_numbers"]

Thresholds: TypeAlias = float | StabilityThresholds | Iterable[float | StabilityThresholds]


def as_numbers(thresholds: Thresholds) -> NDArray[np.float64]:
    """Return stable thresholds as numbers.

    Raises
    ------
    UsageError
        If one is no finite number.
    """
    if isinstance(thresholds, str):
        msg = f"Stable thresholds must be numbers; got {thresholds!r}."
        raise UsageError(msg)
    if isinstance(thresholds, np.ndarray) and thresholds.dtype == np.float64 and np.isfinite(thresholds).all():
        return thresholds.ravel()
    given: Iterable[Any] = thresholds if isinstance(thresholds, Iterable) else (thresholds,)
    return np.array([_number(one) for one in given], np.float64)


def _number(value: Any) -> float:
    value = value.item() if isinstance(value, np.generic) else value
    one = value if isinstance(value, StabilityThresholds) else StabilityThresholds(stable_threshold=value)
    return float(one.stable_threshold)
