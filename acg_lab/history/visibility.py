"""What is known when: which runs a call knows, and whose result it meets.

Belongs here: the answer to overlapping runs, equal times, runs without end, and clocks that jump. Plain arrays in,
plain arrays out.

A run is learned when it has ended, in the order of its agent's index. So a call knows the runs that ended before it
started, never its own:

- *overlapping runs*: a call knows nothing of a run that has not ended, however long ago it began;
- *equal times*: a run that ended at the very time at which a call started is not known to it;
- *runs without end*: they count as ended at the latest time that they hold;
- *clocks that jump back*, or an index in another order: the order of the index holds, so a run that seems to have
  ended before one ahead of it is learned when that one has ended. What is told is then too little, never too much;
  a trace says how many runs had to wait.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.history.history import History

__all__ = ["Entries", "States", "find_entries", "find_states", "known_runs"]

Numbers = NDArray[np.int64]
_UNUSED = -1


def known_runs(ends: Numbers, starts: Numbers, own: Numbers) -> Numbers:
    """Return how many of an agent's runs each of its calls knows; always the first so many of the index.

    Parameters
    ----------
    ends : array of int64, shape (n_runs,)
        When each run ended, in the order of the index.
    starts, own : array of int64, shape (n_calls,)
        When each call started, and the position of its run in the index.
    """
    learned = np.maximum.accumulate(ends)
    return np.minimum(np.searchsorted(learned, starts, side="left"), own)


class States(NamedTuple):
    """What profiles came to hold, a row for each run that taught a profile something; by profile, then run.

    Attributes
    ----------
    profile, run : array of int64
        Whose state it is, and the run after which it held.
    end : array of int64
        How many of the profile's requests were learned by then.
    by_run : array of int64
        All states by run, those of one run in the order in which it touched their profiles.
    """

    profile: Numbers
    run: Numbers
    end: Numbers
    by_run: Numbers


def find_states(history: History) -> States:
    """Find the states that the profiles of a history go through."""
    profile, run = history.profile_of_row(), history.requests.run
    if not len(run):
        return States(profile, run, run, run)
    first = np.flatnonzero(np.concatenate(([True], (np.diff(profile) != 0) | (np.diff(run) != 0))))
    ends = np.append(first[1:], len(run))
    by_run = np.lexsort((history.requests.call[first], run[first]))
    return States(profile[first], run[first], ends - history.observations.window_offsets[profile[first]], by_run)


class Entries(NamedTuple):
    """Which states each row's request meets: of row ``r`` the states ``state[offsets[r]:offsets[r + 1]]``.

    None where nothing is known; one where its profile is known (``own``); else those of the profiles that the last
    known run touched, of which the agent's seed entry is the best.
    """

    offsets: Numbers
    state: Numbers
    own: NDArray[np.bool_]


def find_entries(history: History, states: States) -> Entries:
    """Look up every row's profile as it was known, else the agent's seed entry (spec planner.md, section 2)."""
    known, first_run = history.requests.known, history.first_run[history.requests.run]
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
