"""Verify beside a live writer: what seems to differ is read again, until it stands still.

Window, result and runs of an agent are read at different moments, so an entry that is written meanwhile seems to
differ. A difference counts if it stands still for a second.
"""

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from acg_lab.snapshot.load import load
from acg_lab.snapshot.load_log import LoadWarning
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.snapshot.verdicts import Status, Verdict

__all__ = ["Judge", "settle"]

Judge: TypeAlias = Callable[[Snapshot], list[Verdict]]

# Seconds before each round of readings. A writer stores run, window, result and seed one after the other, usually
# within milliseconds, but a busy one may pause in between: what stands still must do so for the longest of these.
_PAUSES: Final = (0.0, 0.05, 0.2, 1.0, 1.0)
_CHANGED: Final = "it was written between the readings of its window, result and runs"


def settle(snapshot: Snapshot, verdicts: Sequence[Verdict], source: Any, judge: Judge) -> Iterable[Verdict]:
    """Return the verdicts of a snapshot, with those that are not fine judged again on new readings of its source.

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
    settled = {verdict.key: verdict for verdict in verdicts if verdict.status.is_fine}
    left = {verdict.key: verdict.agent_id for verdict in verdicts if verdict.key not in settled}
    before: dict[str, Any] = {}
    for pause in _PAUSES:
        if not left:
            break
        time.sleep(pause)
        found = dict(_judge_again(snapshot, left, source, judge))
        for key, (verdict, _) in found.items():
            stands_still = pause == max(_PAUSES) and before.get(key) == found[key]
            if verdict.status.is_fine or stands_still:
                settled[key] = verdict
                del left[key]
        before = found
    return (settled.get(verdict.key) or _changed(verdict) for verdict in verdicts)


def _judge_again(
    snapshot: Snapshot, left: Mapping[str, str], source: Any, judge: Judge
) -> Iterator[tuple[str, tuple[Verdict, Any]]]:
    """Yield the verdict and what it is about for the keys that are left, each with its agent."""
    for agent_id in sorted({*left.values()}):
        reading = _read(snapshot, source, agent_id)
        for verdict in judge(reading):
            if verdict.key in left:
                yield verdict.key, (verdict, _evidence(reading, verdict))


def _evidence(snapshot: Snapshot, verdict: Verdict) -> Any:
    if verdict.key in snapshot.seeds:
        return snapshot.seeds[verdict.key], dict(snapshot.windows)
    return snapshot.windows.get(verdict.key), snapshot.stability.get(verdict.key)


def _read(snapshot: Snapshot, source: Any, agent_id: str) -> Snapshot:
    prefix = snapshot.columns.key_prefix
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LoadWarning)  # the first reading has warned
        return load(
            source,
            agent_id=agent_id,
            key_prefix="auto" if prefix is None else prefix,
            rules=snapshot.rules_setting,
            progress=False,
        )


def _changed(verdict: Verdict) -> Verdict:
    return verdict._replace(status=Status.CHANGED, detail=_CHANGED, difference=None)
