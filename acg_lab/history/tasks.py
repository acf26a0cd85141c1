"""Cut a history into one task per profile, and join the results of their walks.

Invariant: tasks are plain arrays and independent of each other, so they can be walked in any order or process and
joined in any grouping.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.rules import get_rules
from acg_lab.history.history import History
from acg_lab.history.visibility import Entries, States
from acg_lab.history.walk_types import Blocks, PrefixCurves, Task, WalkResult
from acg_lab.storage.observation_columns import offsets

__all__ = ["TaskSlot", "WindowResults", "find_tasks", "join_walks"]

Numbers = NDArray[np.int64]


class WindowResults(NamedTuple):
    """The results of all walks with one observation window.

    Attributes
    ----------
    curves : PrefixCurves
        How prefixes depend on the threshold.
    exact : array of bool, shape (n_curves,)
        Whether each is a curve of exact prefixes.
    curve : array of int32, shape (n_states,)
        The curve of each state.
    matched : array of int32, shape (n_entries,)
        How many leading blocks of the live request were the dominant ones of the state that it met.
    """

    curves: PrefixCurves
    exact: NDArray[np.bool_]
    curve: NDArray[np.int32]
    matched: NDArray[np.int32]


class TaskSlot(NamedTuple):
    """Where a walk's results belong: its states, its lookups among all entries; and whether its prefixes are exact."""

    states: slice
    entries: Numbers
    exact: bool


def find_tasks(history: History, states: States, entries: Entries) -> Iterator[tuple[Task, TaskSlot]]:
    """Yield the task of each profile and its slot, one by one, since all tasks together are large."""
    columns = history.observations
    names = np.array([*columns.span_pool, ""], object)
    rank = np.empty(len(names), np.int64)
    rank[np.argsort(names, kind="stable")] = np.arange(len(names))
    kinds = {kind: i for i, kind in enumerate(dict.fromkeys((f.role, f.content_type) for f in columns.form_pool))}
    kind = np.array([kinds[form.role, form.content_type] for form in columns.form_pool], np.int64)
    order = np.argsort(entries.state, kind="stable")
    row = np.repeat(np.arange(len(entries.own)), np.diff(entries.offsets))[order]
    bounds = np.searchsorted(states.profile, np.arange(len(history.profiles) + 1)).tolist()
    lookup_bounds = np.searchsorted(entries.state[order], bounds).tolist()
    for number, profile in enumerate(history.profiles):
        first, last = bounds[number], bounds[number + 1]
        lookups = slice(lookup_bounds[number], lookup_bounds[number + 1])
        own = columns.observations_of(number)
        foreign = ~entries.own[row[lookups]]
        request = row[lookups] - own.start
        request[foreign] = len(own) + np.arange(np.count_nonzero(foreign))
        exact = get_rules(profile.rules).exact_prefix
        task = Task(
            blocks=_gather_blocks(history, own, row[lookups][foreign], rank, kind),
            ends=states.end[first:last],
            lookup_state=entries.state[order[lookups]] - first,
            lookup_request=request,
            exact=exact,
        )
        yield task, TaskSlot(slice(first, last), order[lookups], exact)


def _gather_blocks(history: History, own: range, foreign: Numbers, rank: Numbers, kind: Numbers) -> Blocks:
    """Return the blocks of a profile's own requests, then those of the foreign ones."""
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


def join_walks(slots: Sequence[TaskSlot], walks: Sequence[WalkResult], n_states: int, n_entries: int) -> WindowResults:
    """Join the results of walks with one window, each into its slot."""
    curve, matched = np.zeros(n_states, np.int32), np.zeros(n_entries, np.int32)
    curves = [walk.curves for walk in walks]
    sizes = [len(found.n) for found in curves]
    for slot, walk, shift in zip(slots, walks, offsets(sizes)[:-1].tolist(), strict=True):
        curve[slot.states] = walk.curve + shift
        matched[slot.entries] = walk.matched
    exact = np.repeat(np.array([slot.exact for slot in slots], bool), sizes)
    return WindowResults(_join_curves(curves), exact, curve, matched)


def _join_curves(found: Sequence[PrefixCurves]) -> PrefixCurves:
    if not found:
        kinds = zip((0, 1, 0, 0, 0), ("i8", "i8", "i4", "i4", "i4"), strict=True)
        return PrefixCurves(*(np.zeros(n, kind) for n, kind in kinds))
    shifts = offsets([len(curves.depth) for curves in found])[:-1].tolist()
    ends = [curves.offsets[1:] + shift for curves, shift in zip(found, shifts, strict=True)]
    n, _, depth, present, dominant = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return PrefixCurves(n, np.concatenate([np.zeros(1, np.int64), *ends]), depth, present, dominant)
