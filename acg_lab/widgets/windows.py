"""A snapshot in another observation window: what the windows would hold, and what was known before every request.

Belongs here: `Window`, all that the tuner knows of one observation window, and making it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, Final, NamedTuple

import numpy as np

from acg_lab.core.errors import UsageError
from acg_lab.history import Trace, replay
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.storage.columns import ObservationColumns
from acg_lab.storage.times import Times
from acg_lab.widgets.prefixes import Prefixes

__all__ = ["Window", "check_trace", "make_window", "newest", "source_of", "walk_window"]

_POOLS: Final = {"spans": "span_pool", "contents": "content_pool", "forms": "form_pool", "headers": "header_pool"}


class Window(NamedTuple):
    """One observation window: what all profiles hold at its end, and the trace of the way there."""

    size: int
    snap: Snapshot
    prefixes: Prefixes
    trace: Trace | None


def check_trace(snap: Snapshot, given: object) -> None:
    """Refuse what is no trace of a snapshot; None is none yet.

    Raises
    ------
    UsageError
        If it is no trace, or has agents that the snapshot has not, whose requests would be counted in.
    """
    if given is None:
        return
    if not isinstance(given, Trace):
        msg = f"A trace is what acg_lab.history returns; got {type(given).__name__}."
        raise UsageError(msg)
    if strangers := {profile.agent_id for profile in given.profiles} - set(snap.agent_ids):
        msg = f"The trace has an agent that the snapshot has not: {min(strangers)!r}; expected acg_lab.replay(snap)."
        raise UsageError(msg)


def source_of(snap: Snapshot, key: str, size: int, trace: Trace | None) -> ObservationColumns:
    """Return where the newest ``size`` requests of a profile are to be found.

    The stored window holds no more than production's own setting; a trace of recorded runs has all requests.
    """
    stored = snap.n_observations(key)
    for part in trace.parts if trace is not None and size > stored else ():
        recorded = part.history.observations
        if key in recorded.number and len(recorded.observations_of(recorded.number[key])) > stored:
            return recorded
    return snap.columns.observations


def newest(snap: Snapshot, size: int, trace: Trace | None = None) -> Snapshot:
    """Return the snapshot as it would be with an observation window of ``size`` requests."""
    by_source: dict[int, tuple[ObservationColumns, list[str]]] = {}
    for key in snap.windows:
        source = source_of(snap, key, size, trace)
        by_source.setdefault(id(source), (source, []))[1].append(key)
    taken = [_newest(source, keys, size) for source, keys in by_source.values()]
    columns = replace(snap.columns, observations=reduce(_joined, taken))
    return replace(snap, columns=columns, is_filtered=True)


def _newest(source: ObservationColumns, keys: Sequence[str], size: int) -> ObservationColumns:
    keys = sorted(keys)
    rows = [row for key in keys for row in source.observations_of(source.number[key])[-size:]]
    return source.take(np.array(sorted(rows), np.int64), sorted(keys))


def _joined(one: ObservationColumns, other: ObservationColumns) -> ObservationColumns:
    """Put the windows of two sources side by side; equal texts of different windows may have different codes."""
    pools: Any = {name: [*getattr(one, name), *getattr(other, name)] for name in _POOLS.values()}
    codes: Any = {
        name: np.concatenate((getattr(one, name), getattr(other, name) + len(getattr(one, pool))))
        for name, pool in _POOLS.items()
    }
    offsets: Any = {
        name: np.concatenate((getattr(one, name), getattr(other, name)[1:] + getattr(one, name)[-1]))
        for name in ("window_offsets", "block_offsets")
    }
    return ObservationColumns(
        keys=(*one.keys, *other.keys),
        ir_ids=[*one.ir_ids, *other.ir_ids],
        request_hashes=[*one.request_hashes, *other.request_hashes],
        created=Times(np.concatenate((one.created.nanoseconds, other.created.nanoseconds)), {}),
        indexes=np.concatenate((one.indexes, other.indexes)),
        **pools,
        **codes,
        **offsets,
    )


def make_window(snap: Snapshot, size: int, trace: Trace | None) -> Window:
    """Put a window together; ``trace`` is one that holds it, or None."""
    rules = {key: generation.rules for key, generation in snap.rules.items()}
    cut = newest(snap, size, trace) if snap.windows else snap
    return Window(size, cut, Prefixes(cut, rules), trace)


def walk_window(snap: Snapshot, size: int, tell: Callable[[int, int], None]) -> Window:
    """Replay the history in a window of ``size``, telling how far it is."""
    return make_window(snap, size, replay(snap, window=size, progress=tell))
