"""Choose the runs of an export by time and number, so that calls and messages of others are not read.

The table of runs is small and read whole; which calls are theirs, two columns of names say.
"""

from collections.abc import Iterable
from itertools import compress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from acg_lab.storage.base import Selection
from acg_lab.storage.parquet_schema import read_times

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ChosenRuns", "choose_runs"]


class ChosenRuns(NamedTuple):
    """Runs by agent and id."""

    names: frozenset[tuple[str, str]]

    def groups_of_calls(self, parquet: Any, groups: Iterable[int]) -> list[int]:
        """Return which row groups of the table of calls hold calls of these runs, by the ids of runs alone."""
        ids = {run_id for _, run_id in self.names}
        return [
            i for i in groups if not ids.isdisjoint(parquet.read_row_group(i, columns=["run_id"])["run_id"].to_pylist())
        ]

    def calls_of(self, calls: "pa.Table") -> "pa.Table":
        """Return the calls of these runs."""
        owners = zip(calls["agent_id"].to_pylist(), calls["run_id"].to_pylist(), strict=True)
        return calls.filter(np.array([owner in self.names for owner in owners], bool))


def choose_runs(runs: "pa.Table", selection: Selection) -> "tuple[pa.Table, ChosenRuns | None]":
    """Return the rows of the runs since a time, and of those the newest of each agent; positions count from 0 again.

    Returns
    -------
    Table, ChosenRuns or None
        None if all runs are wanted.
    """
    import pyarrow as pa

    if selection.since is None and selection.limit is None:
        return runs, None
    started = read_times(runs, "started_at").nanoseconds
    is_kept = np.ones(len(runs), bool) if selection.since is None else started >= selection.since
    agents = runs["agent_id"].to_pylist()
    rows_of: dict[str, list[int]] = {}
    for row in compress(range(len(runs)), is_kept.tolist()):
        rows_of.setdefault(agents[row], []).append(row)
    if selection.limit is not None:
        rows_of = {agent_id: rows[-selection.limit :] for agent_id, rows in rows_of.items()}
    rows = [row for of_agent in rows_of.values() for row in of_agent]
    positions = [i for of_agent in rows_of.values() for i in range(len(of_agent))]
    chosen = runs.take(pa.array(rows, pa.int64()))
    at = chosen.column_names.index("position")
    chosen = chosen.set_column(at, "position", pa.array(positions, pa.int64()))
    names = zip(chosen["agent_id"].to_pylist(), chosen["run_id"].to_pylist(), strict=True)
    return chosen, ChosenRuns(frozenset(names))
