"""Keep of a snapshot what was asked for: an agent, some profiles, what is new; in time that grows with the snapshot.

Backends select what they can before it is read (`acg_lab.storage.base.Selection`); here the rest is dropped, so that
every source gives the same.
"""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from acg_lab.snapshot.snapshot import Snapshot, check_snapshot
from acg_lab.storage.observation_columns import ObservationColumns
from acg_lab.storage.times import read_time

__all__ = ["columns_of", "keep_agent", "keep_keys", "keep_newest"]


def keep_agent(snapshot: Snapshot, agent_id: str) -> Snapshot:
    """Keep one agent: backends select by the start of a key, and another's id may begin with the wanted one."""
    wanted = {key for key, owner in snapshot.owners.items() if owner.agent_id == agent_id}
    runs = snapshot.runs
    others = [i for i, run in enumerate(runs.records) if run.agent_id == agent_id]
    if len(others) != len(runs):
        snapshot = replace(snapshot, columns=replace(snapshot.columns, runs=runs.take(others)))
    return keep_keys(snapshot, wanted)


def keep_keys(snapshot: Snapshot, wanted: Collection[str]) -> Snapshot:
    """Keep the windows and results of some learning keys; runs stay."""
    observations = snapshot.columns.observations
    is_kept = np.array([key in wanted for key in observations.keys], bool)
    rows = np.flatnonzero(np.repeat(is_kept, np.diff(observations.window_offsets)))
    kept = [key for key in observations.keys if key in wanted]
    columns = replace(
        snapshot.columns,
        observations=observations.take(rows, kept),
        results={key: result for key, result in snapshot.columns.results.items() if key in wanted},
    )
    return replace(
        snapshot, columns=columns, owners={key: owner for key, owner in snapshot.owners.items() if key in wanted}
    )


def keep_newest(snapshot: Snapshot, start: int | None, limit: int | None) -> Snapshot:
    """Keep what is not older than ``start``, and of that the newest ``limit`` of each window and each agent's runs."""
    observations, runs = snapshot.columns.observations, snapshot.runs
    created = observations.created.nanoseconds
    rows = np.arange(len(created)) if start is None else np.flatnonzero(created >= start)
    windows = np.repeat(np.arange(len(observations.keys)), np.diff(observations.window_offsets))
    of_agent: dict[str, list[int]] = {}
    for i, run in enumerate(runs.records):
        if start is None or read_time(run.started_at) >= start:
            of_agent.setdefault(run.agent_id, []).append(i)
    columns = replace(
        snapshot.columns,
        observations=observations.take(
            rows if limit is None else _last_of(rows, windows[rows], limit), observations.keys
        ),
        runs=runs.take(i for kept in of_agent.values() for i in (kept if limit is None else kept[-limit:])),
    )
    return replace(snapshot, columns=columns, is_filtered=True)


def _last_of(rows: NDArray[np.int64], groups: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Return the last rows of each group; groups are in order."""
    ends = np.searchsorted(groups, groups, side="right")
    return rows[ends - np.arange(len(rows)) <= limit]


def columns_of(snapshot: Snapshot, keys: Collection[str] | None = None) -> ObservationColumns:
    """Return the windows of some profiles, or of all, without the seed entries, which are copies.

    Raises
    ------
    UsageError
        If `snapshot` is not a Snapshot, or one of the keys is not the learning key of a profile.
    """
    check_snapshot(snapshot)
    source = snapshot.columns.observations
    wanted = sorted(snapshot.windows if keys is None else map(snapshot.profile_names.resolve, keys))
    if len(wanted) == len(source.keys):
        return source
    rows = [row for key in wanted for row in source.observations_of(source.number[key])]
    return source.take(np.array(rows, np.int64), wanted)
