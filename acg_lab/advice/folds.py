"""Cut a history into a first part and periods that follow, and judge choices on periods that they have not seen.

Runs are whole: a conversation is in the period in which it began. Every choice uses what came before its period alone.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["N_PERIODS", "Interval", "Period", "bound_sum", "cut_periods", "judge_periods"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
N_PERIODS: Final = 6
_FIRST: Final = 0.5  # of the cost, before the first cut
_FEWEST_RUNS: Final = 2 * N_PERIODS
_SAMPLES: Final = 2000
_AT_ONCE: Final = 100
_ENDS: Final = (2.5, 97.5)  # per cent


class Interval(NamedTuple):
    """An estimate, and where it lies with 95% confidence."""

    value: float
    low: float
    high: float


class Period(NamedTuple):
    """One held-out period: the setting chosen before it, and what settings cost in it.

    Attributes
    ----------
    begin : int
        When its first run began, in nanoseconds since 1970.
    n_runs : int
    chosen : int
        Row of the setting that was chosen on the runs before.
    current, cost, best : float
        Cost of the current setting, of the chosen one, and of the cheapest one in hindsight.
    """

    begin: int
    n_runs: int
    chosen: int
    current: float
    cost: float
    best: float


def cut_periods(starts: Ints, costs: Floats) -> "Ints | None":
    """Return the period of each run: 0 for the first part, 1 to 6 for what follows; None for too few runs.

    Parameters
    ----------
    starts : array of int64
        When each run began.
    costs : array of float64
        What it cost; the first part has half of the cost, the others equal shares of the rest.
    """
    if len(starts) < _FEWEST_RUNS or not costs.sum() > 0:
        return None
    order = np.argsort(starts, kind="stable")
    share = np.cumsum(costs[order]) / costs.sum()
    cuts = _FIRST + (1 - _FIRST) * np.arange(N_PERIODS) / N_PERIODS
    found = np.empty(len(starts), np.int64)
    # A run belongs to where it begins, so that a period never holds what was billed before it.
    found[order] = np.searchsorted(cuts, np.concatenate(([0.0], share[:-1])), side="right")
    return found if len(np.unique(found)) == N_PERIODS + 1 else None


def judge_periods(costs: Floats, starts: Ints, periods: Ints, choose: Callable[[Floats], int]) -> Iterator[Period]:
    """Yield each period with the setting that was chosen on all runs before it.

    Parameters
    ----------
    costs : array of float64, shape (n_settings, n_periods + 1)
        The current setting is in row 0.
    starts, periods : array of int64, shape (n_runs,)
    choose : callable
        Gets the cost of each setting, returns a row.
    """
    for number in range(1, N_PERIODS + 1):
        chosen = choose(costs[:, :number].sum(axis=1))
        runs = periods == number
        here = costs[:, number]
        yield Period(
            int(starts[runs].min()),
            int(runs.sum()),
            chosen,
            float(here[0]),
            float(here[chosen]),
            float(np.nanmin(here)),
        )


def bound_sum(amounts: Floats) -> Interval:
    """Return the sum of what runs save, with an interval from drawing whole runs again."""
    if not len(amounts):
        return Interval(0.0, 0.0, 0.0)
    draw = np.random.default_rng(0)  # the same answer for the same history
    sums = np.concatenate(
        [
            amounts[draw.integers(0, len(amounts), (_AT_ONCE, len(amounts)))].sum(axis=1)
            for _ in range(_SAMPLES // _AT_ONCE)
        ]
    )
    low, high = np.percentile(sums, _ENDS)
    return Interval(float(amounts.sum()), float(low), float(high))
