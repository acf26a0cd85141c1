"""A snapshot in another observation window: what each profile would hold, and what was known before every request."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, Final, NamedTuple

import numpy as np

from acg_lab.core.errors import UsageError
from acg_lab.history import Trace, replay
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.storage.observation_columns import ObservationColumns
from acg_lab.storage.times import Times
from acg_lab.widgets.prefixes import Prefixes

__all__ = ["Window", "check_trace", "keep_newest", "make_window", "replay_window", "source_of"]

_POOLS: Final = {"spans": "span_pool", "contents": "content_pool", "forms": "form_pool", "headers": "header_pool"}


class Window(NamedTuple):
    """One observation window: the snapshot cut to it, all prefixes in it, and the trace of its replay, if known."""

    size: int
    snap: Snapshot
    prefixes: Prefixes
    trace: Trace | None


def check_trace(snap: Snapshot, given: object) -> None:
    """Raise UsageError unless ``given`` is None or a Trace of the snapshot.

    A trace of agents that the snapshot lacks would count their requests too.
    """
    if given is None:
        return
    if not isinstance(given, Trace):
        msg = f"The 'trace' option must be a Trace, as acg_lab.replay returns; got {type(given).__name__}."
        raise UsageError(msg)
    if strangers := {profile.agent_id for profile in given.profiles} - set(snap.agent_ids):
        msg = f"The trace has an agent that the snapshot lacks: {min(strangers)!r}; expected acg_lab.replay(snap)."
        raise UsageError(msg)


def source_of(snap: Snapshot, key: str, size: int, trace: Trace | None) -> ObservationColumns:
    """Return the columns that hold the newest ``size`` requests of a profile.

    The stored window holds no more than the current setting allows; a trace of recorded runs has all requests.
    """
    stored = snap.n_observations(key)
    for part in trace.parts if trace is not None and size > stored else ():
        recorded = part.history.observations
        if key in recorded.number and len(recorded.observations_of(recorded.number[key])) > stored:
            return recorded
    return snap.columns.observations


def keep_newest(snap: Snapshot, size: int, trace: Trace | None = None) -> Snapshot:
    """Return the snapshot with an observation window of ``size`` requests."""
    by_source: dict[int, tuple[ObservationColumns, list[str]]] = {}
    for key in snap.windows:
        source = source_of(snap, key, size, trace)
        by_source.setdefault(id(source), (source, []))[1].append(key)
    taken = [_take_newest(source, keys, size) for source, keys in by_source.values()]
    columns = replace(snap.columns, observations=reduce(_join, taken))
    return replace(snap, columns=columns, is_filtered=True)


def _take_newest(source: ObservationColumns, keys: Sequence[str], size: int) -> ObservationColumns:
    keys = sorted(keys)
    rows = [row for key in keys for row in source.observations_of(source.number[key])[-size:]]
    return source.take(np.array(sorted(rows), np.int64), sorted(keys))


def _join(one: ObservationColumns, other: ObservationColumns) -> ObservationColumns:
    """Join the windows of two sources; equal texts of different windows may have different codes."""
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
        is_redacted=one.is_redacted,
        **pools,
        **codes,
        **offsets,
    )


def make_window(snap: Snapshot, size: int, trace: Trace | None) -> Window:
    """Make an observation window; ``trace`` is one that holds it, or None."""
    rules = {key: detected.rules for key, detected in snap.rules.items()}
    cut = keep_newest(snap, size, trace) if snap.windows else snap
    return Window(size, cut, Prefixes(cut, rules), trace)


def replay_window(snap: Snapshot, size: int, on_step: Callable[[int, int], None]) -> Window:
    """Replay the history in a window of ``size``; ``on_step`` is called with what was done, and the total."""
    return make_window(snap, size, replay(snap, window=size, progress=on_step))
