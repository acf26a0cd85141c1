"""Which agents a source holds and how large they are, by names and lengths alone where that is possible."""

import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

from acg_lab.snapshot.load import load
from acg_lab.snapshot.load_log import LoadWarning, is_log
from acg_lab.snapshot.samples import find_sample
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.storage.parquet_backend import ParquetExport
from acg_lab.storage.redis_backend import RedisBackend
from acg_lab.storage.sources import open_source

if TYPE_CHECKING:
    import os

__all__ = ["count_calls", "measure_agents"]


def measure_agents(source: "str | os.PathLike[str]", *, key_prefix: str = "auto", **options: Any) -> dict[str, int]:
    """Return the ids of all agents of a source, sorted, each with its size. Of a Redis or an export no text is read.

    Sizes compare the agents of one source: bytes of an export, runs of a Redis, calls of a log; 0 is unknown.

    Parameters
    ----------
    source : str or path
        As for `acg_lab.load`.
    key_prefix : str
        Prefix of production's keys.
    **options
        Other options of `acg_lab.load`: ``gentle``, and those of a log.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LoadWarning)  # the load before has warned
        path = find_sample(source)
        if options.get("format", "auto") == "auto" and not is_log(path):
            backend = open_source(path, key_prefix=key_prefix, gentle=options.get("gentle"))
            if isinstance(backend, RedisBackend):
                with backend:
                    return dict(sorted(backend.measure_agents().items()))
            if isinstance(backend, ParquetExport):
                return dict(sorted(backend.measure_agents().items()))
        return count_calls(load(path, key_prefix=key_prefix, **options))


def count_calls(snapshot: Snapshot) -> dict[str, int]:
    """Return the ids of all agents of a snapshot, each with the number of its recorded calls."""
    runs = snapshot.columns.runs
    counts: Counter[str] = Counter()
    for run, calls in zip(runs.records, runs.calls, strict=True):
        counts[run.agent_id] += len(calls)
    return {agent_id: counts[agent_id] for agent_id in snapshot.agent_ids}
