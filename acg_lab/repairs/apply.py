"""Apply a repair to the windows of profiles: choose profiles, edit their requests, and sort them under their new keys.

The modules ``edits``, ``headers`` and ``rekey`` edit blocks, headers and learning keys.

Invariant: windows are never changed; a repair returns new ones.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from acg_lab.core.errors import UsageError
from acg_lab.core.keys import parse_learning_key
from acg_lab.core.plain_numbers import plain_number
from acg_lab.repairs.block_rows import EditContext, find_span_rows
from acg_lab.repairs.block_table import BlockTable, Rows
from acg_lab.repairs.content_repairs import MergeProfiles, MoveToEnd, Pin, UseOneForm
from acg_lab.repairs.edits import EDITS
from acg_lab.repairs.headers import build_headers
from acg_lab.repairs.passages import Passages, find_passages
from acg_lab.repairs.rekey import NewKeys, RekeyedProfile, compute_keys
from acg_lab.repairs.repairs import Repair
from acg_lab.snapshot.profile_names import ProfileNames
from acg_lab.snapshot.rules_detection import DetectedRules
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.storage.columns import is_redacted
from acg_lab.storage.lazy import LazyMapping
from acg_lab.storage.observation_columns import ObservationColumns, offsets
from acg_lab.storage.times import Times

__all__ = ["ProfileWindows", "apply_repair", "find_repaired_passages", "select_windows"]


class ProfileWindows(NamedTuple):
    """The windows of some profiles, without seed entries.

    Attributes
    ----------
    observations : ObservationColumns
    agents : mapping of str to str
        The agent of each learning key.
    rules : mapping of str to DetectedRules
        The rules version by which each profile is analysed.
    members : mapping of str to tuple of str
        The learning keys that the observations of each profile had before all repairs, sorted.
    stand_ins : frozenset of str
        The learning keys that stand in for a key that cannot be determined.
    """

    observations: ObservationColumns
    agents: Mapping[str, str]
    rules: Mapping[str, DetectedRules]
    members: Mapping[str, tuple[str, ...]]
    stand_ins: frozenset[str] = frozenset()


def select_windows(snap: Snapshot, keys: Collection[str] | None = None) -> ProfileWindows:
    """Return the windows of a snapshot: those of some learning keys, or all.

    Raises
    ------
    UsageError
        If a key has no profile.
    """
    source = snap.columns.observations
    wanted = tuple(snap.windows) if keys is None else tuple(sorted({snap.profile_names.resolve(key) for key in keys}))
    if wanted != source.keys:
        spans = [source.observations_of(source.number[key]) for key in wanted]
        rows = np.array([row for span in spans for row in span], np.int64)
        source = source.take(rows, wanted)
    agents = {key: snap.owners[key].agent_id for key in wanted}
    return ProfileWindows(source, agents, snap.rules, {key: (key,) for key in wanted})


def apply_repair(
    windows: ProfileWindows,
    repair: Repair,
    limit: int,
    passages: Mapping[str, Passages] | None = None,
    renamed: Mapping[str, str] | None = None,
) -> ProfileWindows:
    """Return the windows that production would have stored of the repaired requests.

    Parameters
    ----------
    windows : ProfileWindows
        Read, never changed.
    repair : Repair
    limit : int
        How many observations a merged window keeps; 0 keeps one.
    passages : mapping of str to Passages, optional
        What a repair of slots is about, by agent; those of the windows when left out.
    renamed : mapping of str to str, optional
        New learning keys by old ones, of a repair that changes no block; those of recorded requests show them.

    Raises
    ------
    UsageError
        If the repair does not fit the windows, or `limit` is not a non-negative integer.
    """
    limit = plain_number(limit)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        msg = f"The 'observation_window' option must be a non-negative integer; got {limit!r}."
        raise UsageError(msg)
    if passages is None:
        passages = find_repaired_passages(windows, repair)
    source = windows.observations
    sizes = np.diff(source.window_offsets)
    chosen = _choose(windows, repair.learning_keys)
    of_window = np.repeat(np.arange(len(source.keys)), sizes)
    keys = [source.keys[window] for window in of_window.tolist()]
    before = BlockTable.from_columns(source)
    numbers = {agent: i for i, agent in enumerate(dict.fromkeys(windows.agents.values()))}
    agents = np.array([numbers[windows.agents[key]] for key in source.keys], np.int32)[of_window]
    is_chosen = np.array([key in chosen for key in source.keys], np.bool_)[of_window]
    context = EditContext(agents, {numbers[agent]: found for agent, found in passages.items()})
    after = EDITS[type(repair)](before, is_chosen[before.owner], repair, context)
    if isinstance(repair, MergeProfiles):
        new = _merge_keys(windows, chosen if repair.learning_keys else (), repair.agent_id, keys)
    elif isinstance(repair, UseOneForm):
        new = NewKeys([(renamed or {}).get(key, key) for key in keys], frozenset())
    else:
        new = compute_keys(
            before, after, keys, lambda key: RekeyedProfile(windows.agents[key], windows.rules[key].rules)
        )
    return _sort_under_keys(windows, (before, after), keys, new, limit)


def find_repaired_passages(
    windows: ProfileWindows, repair: Repair, recorded: Mapping[str, Collection[str]] | None = None
) -> dict[str, Passages]:
    """Return what a repair of slots is about, by agent; of other repairs nothing.

    Parameters
    ----------
    windows : ProfileWindows
    repair : Repair
    recorded : mapping of str to collection of str, optional
        Contents that the block has in recorded requests, by agent.

    Raises
    ------
    UsageError
        If the block has no such slots, or is no text whose slots can be pinned or moved.
    """
    if not isinstance(repair, Pin | MoveToEnd) or not repair.slots:
        return {}
    chosen = _choose(windows, repair.learning_keys)
    source = windows.observations
    table = BlockTable.from_columns(source)
    of_window = np.repeat(np.arange(len(source.keys)), np.diff(source.window_offsets))[table.owner]
    is_chosen = np.array([key in chosen for key in source.keys], np.bool_)[of_window]
    rows = np.flatnonzero(find_span_rows(table, is_chosen, repair.span_id))
    _check_texts(table, rows, repair)
    counts: dict[str, Counter[str]] = {}
    for window, content in zip(of_window[rows].tolist(), table.contents[rows].tolist(), strict=True):
        agent = windows.agents[source.keys[window]]
        counts.setdefault(agent, Counter())[table.content_pool[content]] += 1
    slots = None if repair.slots == "all" else repair.slots
    found = {agent: find_passages(of, slots, (recorded or {}).get(agent, ())) for agent, of in counts.items()}
    passages = {agent: one for agent, one in found.items() if one is not None}
    if not passages:
        which = "slot that varies" if slots is None else f"slot {max(slots)}"
        msg = f"There is no {which} in {repair.span_id!r}, beside text that all its contents share."
        raise UsageError(msg)
    return passages


def _check_texts(table: BlockTable, rows: Rows, repair: Pin | MoveToEnd) -> None:
    """Raise UsageError if a block is not a text that can be edited."""
    codes = np.unique(table.contents[rows]).tolist()
    if table.source.is_redacted or all(is_redacted(table.content_pool[code]) for code in codes):
        what = "redacted" if table.source.is_redacted else "hashes"
        msg = f"The texts of this source are {what}, so they have no slots; pin or drop whole blocks."
        raise UsageError(msg)
    roles = ("system", "user") if isinstance(repair, MoveToEnd) else ("system", "user", "assistant", "tool")
    if not table.have_form(role=roles, content_type=("text",))[rows].all():
        what = "a text of the system or the user" if isinstance(repair, MoveToEnd) else "a text"
        msg = f"Slots are stretches of {what}, and {repair.span_id!r} is another block; give the whole block."
        raise UsageError(msg)


def _choose(windows: ProfileWindows, keys: Collection[str]) -> Collection[str]:
    """Return the keys of the profiles that a repair is for; a key may be one that a profile had before all repairs."""
    known = dict.fromkeys(windows.observations.keys)
    if not keys:
        return known
    former: dict[str, list[str]] = {}
    for key, members in windows.members.items():
        for member in members:
            former.setdefault(member, []).append(key)
    agents = dict(windows.agents) | {member: windows.agents[key] for key in known for member in windows.members[key]}
    names = ProfileNames(agents)
    listed = [names.resolve(key) for key in keys]
    return {key for name in listed for key in ([name] if name in known else former[name])}


def _merge_keys(windows: ProfileWindows, chosen: Collection[str], agent_id: str | None, keys: Sequence[str]) -> NewKeys:
    """Return each observation's key after a merge of the chosen profiles, or of those that differ only in ``seed=``.

    Merged profiles get the key of the largest of them.
    """
    if agent_id is not None:
        ProfileNames(windows.agents).of_agent(agent_id)
    if len(agents := {windows.agents[key] for key in chosen}) > 1:
        msg = f"Only profiles of one agent can be merged; got those of {', '.join(map(repr, sorted(agents)))}."
        raise UsageError(msg)
    groups: dict[object, list[str]] = {}
    for key in chosen or windows.observations.keys:
        parsed = parse_learning_key(key, agent_id=windows.agents[key])
        apart = parsed is None or agent_id not in (None, windows.agents[key])
        group = "chosen" if chosen else key if parsed is None or apart else parsed._replace(seed="")
        groups.setdefault(group, []).append(key)
    sizes = Counter(keys)
    largest = {max(sorted(group), key=sizes.__getitem__): group for group in groups.values()}
    new = {key: name for name, group in largest.items() for key in group}
    merged = frozenset(name for name, group in largest.items() if len(group) > 1)
    return NewKeys([new.get(key, key) for key in keys], merged)


def _sort_under_keys(
    windows: ProfileWindows, tables: tuple[BlockTable, BlockTable], keys: Sequence[str], new: NewKeys, limit: int
) -> ProfileWindows:
    """Return the windows of the edited observations under their new keys."""
    shares = Counter(zip(new.of_observation, keys, strict=True))
    origins: dict[str, list[str]] = {}
    for new_key, key in sorted(shares, key=lambda share: (-shares[share], share)):
        origins.setdefault(new_key, []).append(key)
    empty = set(windows.observations.keys) - set(keys)
    origins = {key: [*origins.get(key, ()), *({key} & empty)] for key in sorted({*origins, *empty})}
    rows, counts = _select_rows(windows.observations, new.of_observation, origins, limit)
    return ProfileWindows(
        _build_columns(*tables, rows, counts, tuple(origins)),
        {key: windows.agents[old[0]] for key, old in origins.items()},
        LazyMapping(origins, lambda key: windows.rules[origins[key][0]]),
        {key: tuple(sorted({m for name in old for m in windows.members[name]})) for key, old in origins.items()},
        new.stand_ins | {key for key, old in origins.items() if not windows.stand_ins.isdisjoint(old)},
    )


def _select_rows(
    source: ObservationColumns, keys: Sequence[str], origins: Mapping[str, Sequence[str]], limit: int
) -> tuple[Rows, Rows]:
    """Return the observations of each window and how many it has; merged windows are sorted by time and cut."""
    number = {key: i for i, key in enumerate(origins)}
    window = np.array([number[key] for key in keys], np.int64)
    merged = np.array([len(old) > 1 for old in origins.values()], np.bool_)
    times = np.where(merged[window], source.created.nanoseconds, 0) if len(window) else window
    order = np.lexsort((times, window))
    counts = np.bincount(window, minlength=len(origins))
    from_end = np.repeat(np.cumsum(counts), counts) - np.arange(len(order))
    kept = order[~merged[window[order]] | (from_end <= max(limit, 1))]
    return kept, np.bincount(window[kept], minlength=len(origins))


def _build_columns(
    before: BlockTable, after: BlockTable, rows: Rows, counts: Rows, keys: tuple[str, ...]
) -> ObservationColumns:
    """Return the columns of some observations, in windows of the given sizes."""
    source = after.source
    ends = np.searchsorted(after.owner, np.arange(len(source.ir_ids) + 1))
    lengths = np.diff(ends)[rows]
    blocks = np.repeat(ends[:-1][rows] - offsets(lengths)[:-1], lengths) + np.arange(lengths.sum())
    headers, header_pool = build_headers(before, after)
    spelled = source.created.spelled
    listed = rows.tolist()
    return ObservationColumns(
        keys=keys,
        window_offsets=offsets(counts),
        block_offsets=offsets(lengths),
        ir_ids=[source.ir_ids[row] for row in listed],
        request_hashes=[source.request_hashes[row] for row in listed],
        created=Times(
            source.created.nanoseconds[rows], {i: spelled[row] for i, row in enumerate(listed) if row in spelled}
        ),
        headers=headers[rows],
        spans=after.spans[blocks],
        contents=after.contents[blocks],
        forms=after.forms[blocks],
        indexes=after.indexes[blocks],
        span_pool=after.span_pool,
        content_pool=after.content_pool,
        form_pool=after.form_pool,
        header_pool=header_pool,
        is_redacted=source.is_redacted,
    )
