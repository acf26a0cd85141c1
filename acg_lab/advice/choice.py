"""Choose a setting by what settings cost: nearly as good as the best, the smaller change first, never at an edge.

Scores vary from window to window, so a cost that jumps beside a setting will jump near there again on other requests.
Thresholds are therefore taken from inside a range of equal costs: from its middle, or, where it is wide, as near to the
current one as three standard errors of a score allow.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from acg_lab._format import between
from acg_lab.advice.evaluation import SettingPoints

__all__ = ["LEAST_SAVING", "SettingChoice"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
LEAST_SAVING: Final = 0.01  # of the current cost; less is not worth a change
_AS_GOOD: Final = 0.1  # of what the best one saves
_MARGIN: Final = 0.05  # of a threshold from the edge of its range, at least
_ERRORS: Final = 3  # standard errors of a score in a window that a threshold keeps from the edge


class SettingChoice:
    """Chooses among settings; the current one is in row 0, the current one without the governor in row 1.

    Parameters
    ----------
    points : SettingPoints
    above, upto : array of float64
        The thresholds that each setting stands for.
    """

    def __init__(self, points: SettingPoints, above: Floats, upto: Floats) -> None:
        self._points, self._above, self._upto = points, above, upto
        stable = points.stable[0]
        self._same = (points.stable == stable) | ((above < stable) & (stable <= upto))
        changed = (~self._same).astype(np.int64) + (points.minimums != points.minimums[0])
        changed += points.windows != points.windows[0]
        self._n_changed = np.where(points.acts, changed, 0) + (points.acts != points.acts[0])

    def choose(self, costs: Floats) -> int:
        """Return the row of the setting to run; 0 if nothing saves enough. Costs may be NaN where unknown."""
        known = np.where(np.isnan(costs), np.inf, costs)
        best, now = float(known.min()), float(known[0])
        if not now - best >= LEAST_SAVING * now or now <= 0:
            return 0
        good = known <= best + _AS_GOOD * (now - best)
        rows = np.flatnonzero(good)
        rows = rows[self._n_changed[rows] == self._n_changed[rows].min()]
        ranked = sorted((not self._is_inside(row, good), self._distance(row), row) for row in rows.tolist())
        return self._inside(ranked[0][2], good)

    def plateau(self, row: int, costs: Floats) -> tuple[float, float]:
        """Return the range of stable thresholds that are as good as a setting's, all else equal: above, up to."""
        known = np.where(np.isnan(costs), np.inf, costs)
        best, now = float(known.min()), float(known[0])
        good = known <= max(float(known[row]), best + _AS_GOOD * max(now - best, 0.0))
        return self._range(row, good)

    def _range(self, row: int, good: NDArray[np.bool_]) -> tuple[float, float]:
        """Return the thresholds around a setting that are good, with the same window, count and provider."""
        rows = self._alike(row)
        rows = rows[np.argsort(self._upto[rows], kind="stable")]
        at = int(np.flatnonzero(rows == row)[0])
        first = last = at
        while first > 0 and good[rows[first - 1]]:
            first -= 1
        while last + 1 < len(rows) and good[rows[last + 1]]:
            last += 1
        return float(self._above[rows[first]]), float(self._upto[rows[last]])

    def _alike(self, row: int) -> Ints:
        points = self._points
        same = (points.windows == points.windows[row]) & (points.minimums == points.minimums[row])
        return np.flatnonzero(same & (points.acts == points.acts[row]))

    def _is_inside(self, row: int, good: NDArray[np.bool_]) -> bool:
        """Whether the next larger and smaller values of the counts that change are as good."""
        points = self._points
        if not points.acts[row]:
            return True
        for name in ("minimums", "windows"):
            values: Ints = getattr(points, name)
            if values[row] == values[0]:
                continue
            other = "windows" if name == "minimums" else "minimums"
            same = (getattr(points, other) == getattr(points, other)[row]) & (points.stable == points.stable[row])
            rows = np.flatnonzero(same & points.acts)
            ladder = np.unique(values[rows])
            at = int(np.searchsorted(ladder, values[row]))
            beside = ladder[max(at - 1, 0) : at + 2]
            if not good[rows[np.isin(values[rows], beside)]].all():
                return False
        return True

    def _distance(self, row: int) -> float:
        points = self._points
        if not points.acts[row]:
            return 0.0
        counts = sum(
            abs(float(np.log((values[row] + 1) / (values[0] + 1)))) for values in (points.minimums, points.windows)
        )
        return counts + (0.0 if self._same[row] else abs(float(points.stable[row] - points.stable[0])))

    def _inside(self, row: int, good: NDArray[np.bool_]) -> int:
        """Return the setting inside the range of a changed threshold that is to be run."""
        if self._same[row] or not self._points.acts[row]:
            return row
        stable = self._wanted(row, *self._range(row, good))
        rows = self._alike(row)
        fits = rows[(self._above[rows] < stable) & (stable <= self._upto[rows])]
        return int(fits[0]) if len(fits) else row

    def threshold(self, row: int, costs: Floats) -> float:
        """Return the threshold to run of a chosen setting, as a user would type it."""
        stable = float(self._points.stable[row])
        if self._same[row]:
            return float(self._points.stable[0])
        wanted = self._wanted(row, *self.plateau(row, costs))
        low, high = float(self._above[row]), float(self._upto[row])
        return float(between(low, high, round(wanted, 2))) if low < wanted <= high else stable

    def _wanted(self, row: int, above: float, upto: float) -> float:
        """Return the threshold of a range that is nearest to the current one and far enough from both edges."""
        window = int(self._points.windows[row])
        low, high = above + _margin(above, window), upto - _margin(upto, window)
        return (above + upto) / 2 if low >= high else float(np.clip(self._points.stable[0], low, high))


def _margin(edge: float, window: int) -> float:
    """Return how far scores at an edge vary from one full window to another."""
    return max(_MARGIN, _ERRORS * float(np.sqrt(edge * (1 - edge) / max(window, 1))))
