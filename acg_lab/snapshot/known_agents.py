"""The agents that a source holds, and the refusal of one that it does not hold."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches

from acg_lab.core.errors import UsageError
from acg_lab.core.keys import assign_agents
from acg_lab.logs.redis_dump import RedisDump
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.storage.base import EVERYTHING, Backend, ignore_progress
from acg_lab.storage.ingest import ingest
from acg_lab.storage.parquet_backend import ParquetExport
from acg_lab.storage.redis_backend import RedisBackend

__all__ = ["agents_of", "check_agent"]

_NAMED = 20  # agents in an error message, at most


def agents_of(backend: Backend | RedisDump) -> Iterable[str]:
    """Return the ids of all agents of a backend. Of a Redis or an export no text is read."""
    if isinstance(backend, RedisBackend | ParquetExport):
        return backend.list_agents()
    columns = ingest(backend.scan(EVERYTHING, ignore_progress), lambda _: None)
    runs = {run.agent_id for run in columns.runs.records}
    owners = assign_agents({*columns.observations.keys, *columns.results}, runs)
    return runs | {owner.agent_id for owner in owners.values()}


def check_agent(snapshot: Snapshot, agent_id: str | None, agents: Callable[[], Iterable[str]] | None) -> None:
    """Raise UsageError if nothing was read of an agent since its source does not hold it; name the nearest.

    Nothing is read either of an agent that did nothing in the time asked for, or of a source where nothing can be read,
    which is told as its problems: then the name need not be wrong.
    """
    if agent_id is None or agent_id in snapshot.agent_ids:
        return
    if agents is None:  # standard input, which can't be read again
        msg = f"There is no agent {agent_id!r} in {snapshot.source}; leave the agent out to see all."
        raise UsageError(msg)
    known = sorted(agents())
    if agent_id in known or (snapshot.problems and not known):
        return
    near = get_close_matches(agent_id, known, _NAMED, 0)
    names = ", ".join(map(repr, near)) + (f" and {len(known) - len(near):,} more" if len(known) > len(near) else "")
    msg = f"There is no agent {agent_id!r} in {snapshot.source}; it holds {names or 'no agents'}."
    raise UsageError(msg)
