"""How far a figure of some runs may be chance: whole runs are drawn again, those that share a cache together.

Runs of one agent that begin within the same hour are drawn as one, since what one of them writes the others read. An
interval holds for all claims that are made at once.
"""

from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from acg_lab.advice.folds import Interval
from acg_lab.storage.times import NO_TIME

__all__ = ["FEWEST_GROUPS", "N_DRAWS", "SHORTEST_LIFE", "bound", "draw_sums", "group_runs", "hour_of"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
N_DRAWS: Final = 2000
FEWEST_GROUPS: Final = 8  # of runs that each side needs for an interval
_AT_ONCE: Final = 100
_LEVEL: Final = 0.95
_HOUR: Final = 3600 * 10**9
SHORTEST_LIFE: Final = 300 * 10**9  # of an entry at any provider
_PARTS: Final = 24


def hour_of(*started: Ints) -> int:
    """Return how long runs are drawn together, in nanoseconds: an hour, or a part of the shortest history."""
    spans = [int(np.ptp(timed)) for times in started if len(timed := times[times != NO_TIME])]
    return int(np.clip(min(spans, default=_HOUR) // _PARTS, SHORTEST_LIFE, _HOUR))


def group_runs(runs: Ints, started: Ints, hour: int) -> Ints:
    """Return the group of each request of one agent, numbered from 0: the runs that began within the same hour.

    Parameters
    ----------
    runs, started : array of int64
        Run and start of each request; a run without a time is a group of its own.
    hour : int
        As `hour_of` returns it.
    """
    _, number = np.unique(runs, return_inverse=True)
    begin = np.full(int(number.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(begin, number, started)
    untimed = NO_TIME + np.arange(len(begin))  # no time and no hour is that small
    _, groups = np.unique(np.where(begin == NO_TIME, untimed, begin // hour), return_inverse=True)
    found: Ints = groups.astype(np.int64)[number]
    return found


def draw_sums(values: Floats, seed: tuple[int, ...]) -> Floats:
    """Return the sums over groups that are drawn again, shape (N_DRAWS, n_columns).

    Parameters
    ----------
    values : array of float64, shape (n_groups, n_columns)
    seed : tuple of int
        The same answer for the same history; another one for each side and agent, which are drawn apart.
    """
    draw = np.random.default_rng(seed)
    chances = np.full(len(values), 1 / len(values))
    return np.concatenate(
        [draw.multinomial(len(values), chances, _AT_ONCE) @ values for _ in range(N_DRAWS // _AT_ONCE)]
    )


def bound(value: float, error: float, n_groups: int, n_claims: int = 1) -> Interval:
    """Return an estimate with an interval that holds for all claims at once with 95% confidence.

    Parameters
    ----------
    value, error : float
        The estimate and its standard error.
    n_groups : int
        Groups of the smaller side: few groups make a wide interval.
    n_claims : int
        How many claims are made at once (Bonferroni).
    """
    width = error * _student(1 - (1 - _LEVEL) / 2 / max(n_claims, 1), max(n_groups - 1, 1))
    return Interval(value, value - width, value + width)


def _student(level: float, freedom: int) -> float:
    """Return the quantile of Student's distribution (Abramowitz and Stegun, 26.7.5).

    >>> round(_student(0.975, 10), 2), round(_student(0.999, 7), 1)
    (2.23, 4.8)
    """
    z = NormalDist().inv_cdf(level)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return float(z + sum(term / freedom ** (i + 1) for i, term in enumerate(terms)))
