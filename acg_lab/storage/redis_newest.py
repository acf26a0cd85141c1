"""Choose the runs to read from a Redis by time and number, without reading them.

Production stores the times of a run at the end of its JSON, so that a short range of each value shows when it started.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from acg_lab.core.errors import RecordError
from acg_lab.storage.base import Selection
from acg_lab.storage.redis_scan import Found, Send, Step
from acg_lab.storage.times import read_time

__all__ = ["choose_runs"]

_TAIL: Final = 256  # bytes, more than the two times take
_AT_ONCE: Final = 500
# Inside a text, quotes are escaped, so this can only be the last fields of the whole object.
_find_start = re.compile(rb'"started_at":"([^"\\]*)"(?:,"ended_at":(?:null|"[^"\\]*"))?}\Z').search


def choose_runs(runs: Sequence[Found], selection: Selection) -> Step[list[Found]]:
    """Return the runs that are selected by time and number, in order.

    Runs whose time can't be seen are kept and not counted, and so is what can't be read, to be reported.
    """
    if selection.since is None and selection.limit is None:
        return list(runs)
    stored = [run for run in runs if run.size and not run.problem]
    unclear: set[bytes] = set()
    if selection.since is not None:
        starts = yield from _read_starts(stored)
        unclear = {run.stored for run in stored if run.stored not in starts}
        stored = [run for run in stored if starts.get(run.stored, selection.since) >= selection.since]
    if selection.limit is not None:
        of_agent: dict[str, list[Found]] = {}
        for run in stored:
            if run.stored not in unclear:
                of_agent.setdefault(run.agent_id, []).append(run)
        stored = [run for of_one in of_agent.values() for run in of_one[-selection.limit :]]
    chosen = unclear.union(run.stored for run in stored)
    return [run for run in runs if run.stored in chosen or run.problem or not run.size]


def _read_starts(runs: Sequence[Found]) -> Step[dict[bytes, int]]:
    """Return when each run started, without those that don't show it, or may not be read by range."""
    starts: dict[bytes, int] = {}
    for i in range(0, len(runs), _AT_ONCE):
        group = runs[i : i + _AT_ONCE]
        tails = yield Send([("GETRANGE", run.stored, -_TAIL, -1) for run in group], may_be_refused=True)
        starts |= {
            run.stored: start for run, tail in zip(group, tails, strict=True) if (start := _start(tail)) is not None
        }
    return starts


def _start(tail: Any) -> int | None:
    found = _find_start(tail) if isinstance(tail, bytes) else None
    try:
        return read_time(found[1].decode()) if found else None
    except (RecordError, UnicodeDecodeError):
        return None
