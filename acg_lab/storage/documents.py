"""Columns back to the documents that production stores, by key without prefix."""

from collections.abc import Iterable, Iterator, Mapping

from acg_lab.core.codec import encode, encode_window
from acg_lab.storage.columns import Columns

__all__ = ["bounded", "documents", "index_ids"]

_BYTES = 2 << 20


def documents(columns: Columns) -> Iterator[tuple[str, bytes]]:
    """Yield every window, result and run, one by one as JSON."""
    for key, window in columns.observations.number.items():
        yield f"acg_observations:{key}", encode_window(columns.observations.window(window))
    for key, result in columns.results.items():
        yield f"acg_stability:{key}", encode(result)
    for run in columns.runs:
        yield f"runs:{run.agent_id}:{run.id}", encode(run)


def index_ids(columns: Columns) -> Mapping[str, list[str]]:
    """Return the ids of each agent's runs, in order."""
    ids: dict[str, list[str]] = {}
    for run in columns.runs.records:
        ids.setdefault(run.agent_id, []).append(run.id)
    return ids


def bounded(items: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    """Group documents so that each group, but for its last one, is below 2 MiB."""
    group: list[tuple[str, bytes]] = []
    size = 0
    for item in items:
        group.append(item)
        size += len(item[1])
        if size >= _BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
