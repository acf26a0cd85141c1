"""Decide which runs each request could know, and which state of a profile it met.

A run is learned when it has ended, in the order of its agent's index. A request therefore knows the runs that ended
before it started, and never its own:

- *overlapping runs*: a request knows nothing of a run that has not ended, however long ago it began;
- *equal times*: a run that ended exactly when a request started is unknown to it;
- *runs without an end*: they count as ended at the latest time recorded in them;
- *clocks that jump back*, or an index in another order: the order of the index wins. A run that seems to have ended
  before one ahead of it is learned together with that one. A request may then seem to know too little, never too
  much; the trace's caveats count these runs.

Invariant: functions of plain arrays; none of them depends on a threshold or a window.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.history.history import History

__all__ = ["Entries", "States", "count_known_runs", "find_entries", "find_states"]

Numbers = NDArray[np.int64]
_UNUSED = -1


def count_known_runs(ends: Numbers, starts: Numbers, own: Numbers) -> Numbers:
    """Return how many of an agent's runs each of its requests knows; these are the first ones of the index.

    Parameters
    ----------
    ends : array of int64, shape (n_runs,)
        When each run ended, in the order of the index.
    starts, own : array of int64, shape (n_requests,)
        When each request started, and the position of its run in the index.

    Examples
    --------
    >>> count_known_runs(np.array([5, 9, 12]), np.array([1, 6, 20]), np.array([0, 1, 2])).tolist()
    [0, 1, 2]
    """
    learned = np.maximum.accumulate(ends)
    return np.minimum(np.searchsorted(learned, starts, side="left"), own)


class States(NamedTuple):
    """The states of all profiles, one for each run that taught a profile something; by profile, then run.

    Attributes
    ----------
    profile, run : array of int64, shape (n_states,)
        The profile, and the run after which it had this state.
    end : array of int64, shape (n_states,)
        How many of the profile's requests had been learned by then.
    by_run : array of int64, shape (n_states,)
        Numbers of the states by run, those of one run in the order in which it touched their profiles.
    """

    profile: Numbers
    run: Numbers
    end: Numbers
    by_run: Numbers


def find_states(history: History) -> States:
    """Return the states that the profiles of a history go through."""
    profile, run = history.profile_of_row(), history.requests.run
    if not len(run):
        return States(profile, run, run, run)
    first = np.flatnonzero(np.concatenate(([True], (np.diff(profile) != 0) | (np.diff(run) != 0))))
    ends = np.append(first[1:], len(run))
    by_run = np.lexsort((history.requests.call[first], run[first]))
    return States(profile[first], run[first], ends - history.observations.window_offsets[profile[first]], by_run)


class Entries(NamedTuple):
    """The states that each request may meet; those of row ``r`` are ``state[offsets[r]:offsets[r + 1]]``.

    A request has no state where its agent knows nothing yet, and one where its own profile is known (``own``).
    Otherwise it has the states of all profiles that the last known run touched; the agent's seed entry is the best of
    them.
    """

    offsets: Numbers
    state: Numbers
    own: NDArray[np.bool_]


def find_entries(history: History, states: States) -> Entries:
    """Return for each request the state of its profile, else the candidates for the agent's seed entry.

    Source: acg_lab/docs/rules/planner.md, section 2.
    """
    known, first_run = history.requests.first_unknown_run, history.first_run[history.requests.run]
    profile, n_runs = history.profile_of_row(), len(history.run_ids) + 1
    own = np.searchsorted(states.profile * n_runs + states.run, profile * n_runs + known) - 1
    has_own = own >= 0
    has_own[has_own] = states.profile[own[has_own]] == profile[has_own]
    runs = states.run[states.by_run]
    end = np.searchsorted(runs, known)
    begin = end.copy()
    seeded = (end > 0) & ~has_own
    seeded[seeded] = runs[end[seeded] - 1] >= first_run[seeded]
    begin[seeded] = np.searchsorted(runs, runs[end[seeded] - 1])
    counts = np.where(has_own, 1, np.where(seeded, end - begin, 0))
    offsets = np.concatenate(([0], np.cumsum(counts)))
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
    seeds = np.append(states.by_run, _UNUSED)[np.minimum(np.repeat(begin, counts) + within, len(states.by_run))]
    return Entries(offsets, np.where(np.repeat(has_own, counts), np.repeat(own, counts), seeds), has_own)
