"""The settings that may plan differently: thresholds between scores, and windows and counts between decisions.

Between two neighbouring scores no threshold changes a prefix, so one threshold stands for all of them. Where windows,
counts and thresholds make more than 10,000 settings they are thinned, and the remarks say how.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab._format import between, counted
from acg_lab.advice.evaluation import SettingPoints, walk_more
from acg_lab.config.settings import AcgSettings
from acg_lab.config.thresholds import check_thresholds
from acg_lab.core.breakpoints import expected_savings
from acg_lab.core.errors import UsageError
from acg_lab.history.lookup import ReplayedHistory, highest_thresholds
from acg_lab.history.trace import Trace

__all__ = ["MOST_SETTINGS", "SettingGrid", "common_grid", "given_grid", "make_grid", "points_of"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
MOST_SETTINGS: Final = 10_000
_SIZES: Final = (2, 3, 5, 10, 20, 30, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
_MOST_OBSERVATIONS: Final = 10  # beyond it counts delay the first breakpoints of a profile further and further
_STEP: Final = 0.01
_COMMON_WINDOWS: Final = (10, 30, 100, 300)
_COMMON_THRESHOLDS: Final = np.round(np.concatenate((np.arange(1, 19) * 0.05, np.arange(91, 101) * 0.01)), 2)


class SettingGrid(NamedTuple):
    """Settings to price, and what is known of them.

    Attributes
    ----------
    points : SettingPoints
        The first one is the current setting, the second one the same without the governor.
    above, upto : array of float64
        The thresholds that plan as each setting's: more than ``above``, at most ``upto``.
    windows : tuple of int
        Observation windows that have to be walked.
    remarks : tuple of str
        How settings were thinned, and which ones make no difference.
    """

    points: SettingPoints
    above: Floats
    upto: Floats
    windows: tuple[int, ...]
    remarks: tuple[str, ...]


def make_grid(trace: Trace, current: AcgSettings) -> SettingGrid:
    """Return the settings that may plan differently on a history."""
    longest = max(int(np.diff(part.history.observations.window_offsets).max(initial=0)) for part in trace.parts)
    minimums = _minimums(longest, current.thresholds.min_observations_for_full_confidence)
    windows, thinned = _windows(trace, longest, len(minimums), current.observation_window)
    parts = walk_more(trace, windows)
    bounds = _crossings(parts, windows)
    notes = ["semi_stable_threshold changes no plan; it is at most stable_threshold"]
    if thinned:
        notes.append(f"observation windows are thinned to {', '.join(map(str, windows))}")
    if len(bounds) * len(windows) * len(minimums) > MOST_SETTINGS:
        notes.append(f"{counted(len(bounds), 'distinct threshold')} are thinned to steps of {_STEP}")
        bounds = _thin(bounds)
    notes.append(
        "min_observations_for_full_confidence takes the values from which on a block that never changed gets its first "
        f"breakpoint one observation later, up to {_MOST_OBSERVATIONS} observations"
    )
    stable = current.thresholds.stable_threshold
    above = np.concatenate(([0.0], bounds[:-1]))
    thresholds = np.array([float(between(a, b, stable)) for a, b in zip(above.tolist(), bounds.tolist(), strict=True)])
    return _combine(bounds, thresholds, minimums, windows, current, tuple(notes))


def given_grid(settings: Iterable[AcgSettings], current: AcgSettings) -> SettingGrid:
    """Return the settings that a caller gave, the current one first.

    Raises
    ------
    UsageError
        If one is not AcgSettings, or has a threshold in per cent.
    """
    given = list(settings)
    for one in given:
        if not isinstance(one, AcgSettings):
            msg = f"The 'settings' option must be AcgSettings; got {type(one).__name__}."
            raise UsageError(msg)
        check_thresholds(one.thresholds)
    points = points_of([current, *given])
    windows = tuple(dict.fromkeys(points.windows.tolist()))
    return SettingGrid(points, points.stable, points.stable, windows, ())


def common_grid(current: AcgSettings) -> SettingGrid:
    """Return settings that can be priced agent by agent and added up: the same ones for every history."""
    values = current.thresholds
    minimums = _minimums(_MOST_OBSERVATIONS, values.min_observations_for_full_confidence)
    windows = sorted({*_COMMON_WINDOWS, current.observation_window})
    bounds = np.unique(np.append(_COMMON_THRESHOLDS, min(max(values.stable_threshold, _STEP), 1.0)))
    note = "settings are the same for all agents: thresholds in steps of 0.05, of 0.01 from 0.9 on, observation windows"
    return _combine(bounds, bounds, minimums, windows, current, (f"{note} {', '.join(map(str, windows))}",))


def _combine(
    bounds: Floats,
    thresholds: Floats,
    minimums: Sequence[int],
    windows: Sequence[int],
    current: AcgSettings,
    notes: tuple[str, ...],
) -> SettingGrid:
    """Return all combinations after the current setting, and the same one without the governor."""
    above = np.concatenate(([0.0], bounds[:-1]))
    at, minimum, window = (
        axis.reshape(-1)
        for axis in np.meshgrid(np.arange(len(bounds)), np.array(minimums), np.array(windows), indexing="ij")
    )
    own = points_of([current, current])
    points = SettingPoints(
        stable=np.concatenate((own.stable, thresholds[at])),
        minimums=np.concatenate((own.minimums, minimum)),
        windows=np.concatenate((own.windows, window)),
        acts=np.concatenate(([current.provider == "anthropic", False], np.ones(len(at), bool))),
    )
    here = int(np.searchsorted(bounds, min(max(current.thresholds.stable_threshold, 0.0), 1.0)))
    here = min(here, len(bounds) - 1)
    return SettingGrid(
        points,
        np.concatenate((above[[here, here]], above[at])),
        np.concatenate((bounds[[here, here]], bounds[at])),
        tuple(dict.fromkeys((*windows, current.observation_window))),
        notes,
    )


def points_of(settings: list[AcgSettings]) -> SettingPoints:
    """Return given settings as columns."""
    return SettingPoints(
        stable=np.array([one.thresholds.stable_threshold for one in settings], np.float64),
        minimums=np.array([one.thresholds.min_observations_for_full_confidence for one in settings], np.int64),
        windows=np.array([one.observation_window for one in settings], np.int64),
        acts=np.array([one.provider == "anthropic" for one in settings], bool),
    )


def _minimums(longest: int, current: int) -> list[int]:
    """Return one count for each number of observations with which a block that never changed is first worth a write."""
    found: list[int] = []
    before = -1
    for n in range(2, min(max(longest, 2), _MOST_OBSERVATIONS) + 1):
        largest = next(f for f in range(4 * n * n, 0, -1) if expected_savings(1, (n - 1) * min(n / f, 1.0)) > 0)
        found.append(current if before < current <= largest else _round_down(largest))
        before = largest
    return sorted({*found, current})


def _round_down(number: int) -> int:
    return number - number % 10 if number > 10 else number  # noqa: PLR2004 - counts that a user would type


def _windows(trace: Trace, longest: int, n_minimums: int, current: int) -> tuple[tuple[int, ...], bool]:
    """Return the window sizes to try, and whether they are thinned; larger ones than any profile needs add nothing."""
    sizes = range(2, max(longest, 2) + 1)
    n_thresholds = len(_crossings(trace.parts, trace.windows[:1]))
    if len(sizes) * n_minimums * n_thresholds <= MOST_SETTINGS:
        return tuple(sorted({*sizes, current})), False
    kept = [size for size, smaller in zip(_SIZES, (0, *_SIZES), strict=False) if smaller < longest]
    return tuple(sorted({*kept, current})), True


def _crossings(parts: tuple[ReplayedHistory, ...], windows: tuple[int, ...]) -> Floats:
    """Return the thresholds in (0, 1] above which some prefix is shorter, ascending; the last one is 1."""
    found = [np.ones(1)]
    for part in parts:
        for window in windows:
            results = part.results[window]
            found.append(np.clip(highest_thresholds(results.curves, results.exact), 0.0, 1.0))
    bounds: Floats = np.unique(np.concatenate(found))
    kept: Floats = bounds[bounds > 0]
    return kept


def _thin(bounds: Floats) -> Floats:
    """Return hundredths that stand for all thresholds up to them; of those without a score between, the largest."""
    steps = np.round(np.arange(1, round(1 / _STEP) + 1) * _STEP, 2)
    group = np.searchsorted(bounds, steps)
    kept: Floats = steps[np.append(group[1:] != group[:-1], True)]
    return kept
