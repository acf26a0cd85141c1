"""Verify beside a live writer: what seems to differ is read again, until it stands still.

Window, result and runs of an agent are read at different moments, so an entry that is written meanwhile seems to
differ. A difference counts if two readings, one after the other, found the same.
"""

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from acg_lab.snapshot.load import load
from acg_lab.snapshot.load_log import LoadWarning
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.snapshot.verdicts import Status, Verdict

__all__ = ["Judge", "settle"]

Judge: TypeAlias = Callable[[Snapshot], list[Verdict]]

# Seconds before each reading: a writer stores window, result, seed and run within a few milliseconds.
_PAUSES: Final = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
_CHANGED: Final = "it was written between the readings of its window, result and runs"


def settle(snapshot: Snapshot, verdicts: Sequence[Verdict], source: Any, judge: Judge) -> Iterator[Verdict]:
    """Yield the verdicts of a snapshot, with those that are not fine judged again on new readings of its source.

    Parameters
    ----------
    snapshot : Snapshot
        A first reading of the source.
    verdicts : sequence of Verdict
        What ``judge`` says of it.
    source : str, path or backend
        Where it was read from.
    judge : callable
        Returns the verdicts on a snapshot of one agent.
    """
    unsettled: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.status.is_fine:
            yield verdict
        else:
            unsettled.setdefault(verdict.agent_id, []).append(verdict.key)
    first = {verdict.key: verdict for verdict in verdicts}
    for agent_id, keys in unsettled.items():
        settled = _settle_agent(keys, _readings(snapshot, source, agent_id), judge)
        yield from (settled.get(key) or _changed(first[key]) for key in keys)


def _settle_agent(keys: Iterable[str], readings: Iterable[Snapshot], judge: Judge) -> dict[str, Verdict]:
    """Return the verdicts of the entries that were found fine, or twice the same."""
    left, settled = set(keys), dict[str, Verdict]()
    before: dict[str, Any] = {}
    for reading in readings:
        verdicts = {verdict.key: verdict for verdict in judge(reading) if verdict.key in left}
        found = {key: (verdict, _evidence(reading, verdict)) for key, verdict in verdicts.items()}
        for key, verdict in verdicts.items():
            if verdict.status.is_fine or before.get(key) == found[key]:
                settled[key] = verdict
                left.remove(key)
        before = found
        if not left:
            break
    return settled


def _evidence(snapshot: Snapshot, verdict: Verdict) -> Any:
    if verdict.key in snapshot.seeds:
        return snapshot.seeds[verdict.key], dict(snapshot.windows)
    return snapshot.windows.get(verdict.key), snapshot.stability.get(verdict.key)


def _readings(snapshot: Snapshot, source: Any, agent_id: str) -> Iterator[Snapshot]:
    prefix = snapshot.columns.key_prefix
    for pause in _PAUSES:
        time.sleep(pause)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LoadWarning)  # the first reading has warned
            yield load(
                source,
                agent_id=agent_id,
                key_prefix="auto" if prefix is None else prefix,
                rules=snapshot.rules_setting,
                progress=False,
            )


def _changed(verdict: Verdict) -> Verdict:
    return verdict._replace(status=Status.CHANGED, detail=_CHANGED, difference=None)
