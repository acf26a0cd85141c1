"""What walks found, put together: the shape of every state, and what every live request repeated.

Belongs here: cutting a history into one task a profile, and joining the walks again. Tasks are plain arrays and
independent of each other, so they can be walked anywhere and joined in any grouping.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.rules import get_rules
from acg_lab.history.history import History
from acg_lab.history.visibility import Entries, States
from acg_lab.history.walk_types import Blocks, Shapes, Task, Walk
from acg_lab.storage.columns import offsets

__all__ = ["TaskSlot", "WindowResults", "find_tasks", "join_walks"]

Numbers = NDArray[np.int64]


class WindowResults(NamedTuple):
    """What was known with one window.

    Attributes
    ----------
    shapes : Shapes
        How prefixes depend on the threshold.
    exact : array of bool, shape (n_shapes,)
        Whether a majority has to share the prefix exactly.
    shape : array of int, shape (n_states,)
        Of each state.
    matched : array of int, shape (n_entries,)
        How many blocks led the live request that were the dominant ones of the state it met.
    """

    shapes: Shapes
    exact: NDArray[np.bool_]
    shape: NDArray[np.int32]
    matched: NDArray[np.int32]


class TaskSlot(NamedTuple):
    """Where a walk belongs: its states, its meetings among all entries; and whether its prefixes are exact ones."""

    states: slice
    entries: Numbers
    exact: bool


def find_tasks(history: History, states: States, entries: Entries) -> Iterator[tuple[Task, TaskSlot]]:
    """Yield the task of every profile, and where it belongs; made one by one, since together they are large."""
    columns = history.observations
    names = np.array([*columns.span_pool, ""], object)
    rank = np.empty(len(names), np.int64)
    rank[np.argsort(names, kind="stable")] = np.arange(len(names))
    kinds = {kind: i for i, kind in enumerate(dict.fromkeys((f.role, f.content_type) for f in columns.form_pool))}
    kind = np.array([kinds[form.role, form.content_type] for form in columns.form_pool], np.int64)
    order = np.argsort(entries.state, kind="stable")
    row = np.repeat(np.arange(len(entries.own)), np.diff(entries.offsets))[order]
    bounds = np.searchsorted(states.profile, np.arange(len(history.profiles) + 1)).tolist()
    meetings = np.searchsorted(entries.state[order], bounds).tolist()
    for profile, described in enumerate(history.profiles):
        first, last = bounds[profile], bounds[profile + 1]
        met = slice(meetings[profile], meetings[profile + 1])
        own = columns.observations_of(profile)
        foreign = ~entries.own[row[met]]
        request = row[met] - own.start
        request[foreign] = len(own) + np.arange(np.count_nonzero(foreign))
        exact = get_rules(described.rules).exact_prefix
        task = Task(
            blocks=_blocks(history, own, row[met][foreign], rank, kind),
            ends=states.end[first:last],
            met=entries.state[order[met]] - first,
            request=request,
            exact=exact,
        )
        yield task, TaskSlot(slice(first, last), order[met], exact)


def _blocks(history: History, own: range, foreign: Numbers, rank: Numbers, kind: Numbers) -> Blocks:
    columns = history.observations
    ends = columns.block_offsets[own.start : own.stop + 1]
    lengths = columns.block_offsets[foreign + 1] - columns.block_offsets[foreign]
    starts = columns.block_offsets[foreign] - offsets(lengths)[:-1]
    rows = np.concatenate((np.arange(ends[0], ends[-1]), np.repeat(starts, lengths) + np.arange(lengths.sum())))
    return Blocks(
        offsets=offsets(np.concatenate((np.diff(ends), lengths))),
        span=rank[columns.spans[rows]],
        content=columns.contents[rows].astype(np.int64),
        kind=kind[columns.forms[rows]],
        number=columns.indexes[rows].astype(np.int64),
    )


def join_walks(places: Sequence[TaskSlot], walks: Sequence[Walk], n_states: int, n_entries: int) -> WindowResults:
    """Put together what walks with one window found."""
    shape, matched = np.zeros(n_states, np.int32), np.zeros(n_entries, np.int32)
    shapes = [walk.shapes for walk in walks]
    sizes = [len(found.n) for found in shapes]
    for place, walk, shift in zip(places, walks, offsets(sizes)[:-1].tolist(), strict=True):
        shape[place.states] = walk.shape + shift
        matched[place.entries] = walk.matched
    exact = np.repeat(np.array([place.exact for place in places], bool), sizes)
    return WindowResults(join_shapes(shapes), exact, shape, matched)


def join_shapes(found: Sequence[Shapes]) -> Shapes:
    """Return the shapes of several walks, one after the other."""
    if not found:
        return Shapes(
            *(np.zeros(n, kind) for n, kind in zip((0, 1, 0, 0, 0), ("i8", "i8", "i4", "i4", "i4"), strict=True))
        )
    shifts = offsets([len(shapes.depth) for shapes in found])[:-1].tolist()
    ends = [shapes.offsets[1:] + shift for shapes, shift in zip(found, shifts, strict=True)]
    n, _, depth, present, dominant = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return Shapes(n, np.concatenate([np.zeros(1, np.int64), *ends]), depth, present, dominant)
