"""A history made of stored windows, where no runs are recorded: each observation is taken for a run of its own.

Belongs here: the order in which the observations of an agent's profiles were learned, as far as their times tell.
"""

from collections.abc import Collection, Iterable, Iterator

import numpy as np

from acg_lab._format import counted
from acg_lab.replay.history import UNKNOWN, History, Profile, Requests
from acg_lab.replay.order import known_runs
from acg_lab.storage.columns import ObservationColumns

__all__ = ["history_of_windows"]


def history_of_windows(observations: ObservationColumns, profiles: Iterable[Profile]) -> History:
    """Make the history of the given profiles.

    An observation starts and ends at its ``created_at``. Runs are in the order of these times, but never against the
    order of a window: an observation counts as learned no earlier than those before it.
    """
    given = {profile.learning_key: profile for profile in profiles}
    columns = _only(observations, given)
    created = columns.created.nanoseconds
    learned = created.copy()
    for window in range(len(columns.keys)):
        rows = columns.observations_of(window)
        np.maximum.accumulate(created[rows.start : rows.stop], out=learned[rows.start : rows.stop])
    window_of = np.repeat(np.arange(len(columns.keys)), np.diff(columns.window_offsets))
    names = sorted({profile.agent_id for profile in given.values()})
    number = {agent_id: i for i, agent_id in enumerate(names)}
    agent = np.array([number[given[key].agent_id] for key in columns.keys], np.int64)[window_of]
    order = np.lexsort((learned, agent))
    run = np.empty(len(order), np.int64)
    run[order] = np.arange(len(order))
    first = np.searchsorted(agent[order], np.arange(len(names)))
    known = np.empty(len(order), np.int64)
    for i, begin in enumerate(first.tolist()):
        mine = order[begin : first[i + 1] if i + 1 < len(first) else None]
        known[mine] = begin + known_runs(learned[mine], created[mine], run[mine] - begin)
    zeros = np.zeros(len(order), np.int64)
    return History(
        observations=columns,
        profiles=tuple(given[key] for key in columns.keys),
        requests=Requests(created, run, zeros, known, zeros + UNKNOWN, zeros > 0),
        run_ids=[columns.ir_ids[row] for row in order.tolist()],
        first_run=first[agent[order]],
        caveats=tuple(_caveats(given.values())),
    )


def _caveats(profiles: Collection[Profile]) -> Iterator[str]:
    agents = sorted({profile.agent_id for profile in profiles})
    yield (
        f"no recorded requests of {counted(len(agents), 'agent')}: each stored observation is taken for a run of its "
        "own, at the time at which it was learned; older ones had left the windows"
    )
    mixed = [a for a in agents if len({p.rules for p in profiles if p.agent_id == a}) > 1]
    if mixed:
        yield f"profiles of several generations, each replayed by its own: {', '.join(map(repr, mixed))}"


def _only(observations: ObservationColumns, given: Iterable[str]) -> ObservationColumns:
    """Return the windows of the given keys; all of them as they are, if there are no others."""
    keys = sorted(given)
    if list(observations.keys) == keys:
        return observations
    rows = [np.arange(*observations.window_offsets[observations.number[key] :][:2]) for key in keys]
    return observations.take(np.concatenate([np.empty(0, np.int64), *rows]), keys)
