"""Which repairs fit a finding, and what they win.

Belongs here: for each kind of change the repairs that an engineer would think of, tried on the profiles that it is
about, best first. A repair that wins nothing is not told.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

from acg_lab.core.errors import UsageError
from acg_lab.core.rules import get_rules
from acg_lab.diagnosis.block_history import BlockHistory, short_hash
from acg_lab.diagnosis.context import AnalysisContext
from acg_lab.diagnosis.finding import Kind
from acg_lab.diagnosis.planner_refusals import scaffold_blocks
from acg_lab.diagnosis.profile_splits import Cause, Group, mean_of
from acg_lab.diagnosis.structure import intruders
from acg_lab.repairs.apply import Windows, apply_repair, windows_of
from acg_lab.repairs.effects import Effect, extent, regained
from acg_lab.repairs.repairs import Drop, MergeProfiles, MoveToEnd, MoveToSystemPrompt, Pin, Repair, SortTools

__all__ = ["try_for_break", "try_for_groups"]

_WINDOW = 100
_MOVABLE = 12  # blocks; more than that is a conversation, not a part of the instructions
Plan: TypeAlias = tuple[Repair, ...]
_MEANT = (
    Kind.MODEL_CHANGED,
    Kind.TOOLS_ADDED,
    Kind.TOOLS_REMOVED,
    Kind.TOOLS_EDITED,
    Kind.UNKNOWN,
    Kind.VARIANTS,
)
_numbered = re.compile(r"([a-z]+)-(\d+)(.*)", re.DOTALL)


def try_for_break(case: AnalysisContext, key: str, kind: Kind, change: BlockHistory) -> tuple[tuple[Effect, ...], int]:
    """Try repairs for the block that ends a profile's prefix.

    Returns
    -------
    effects : tuple of Effect
        Of those that make the prefix longer; best first.
    bound : int
        How many of them, the last ones, leave a prefix beyond the scaffold; generation 0.8 binds it to whole requests.
    """
    plans = _PLANS.get(kind, _of_text)(case, key, change)
    tried = list(_tried(case, [key], plans))
    won = [(bound, effect) for bound, effect in tried if effect.tokens_gained >= 1]
    won.sort(key=lambda item: (item[0], -round(item[1].tokens_gained)))
    return tuple(effect for _, effect in won), sum(bound for bound, _ in won)


def try_for_groups(case: AnalysisContext, groups: Sequence[Group]) -> tuple[Effect, ...]:
    """Try repairs for what keeps profiles of groups apart; return those that win something, best first.

    Later plans do all that earlier ones do, and more: none is tried once nothing is kept apart.
    """
    effects: list[Effect] = []
    keys = [key for group in groups for key in group.keys]
    n_apart = sum(group.n_apart for group in groups)
    lost, shared = mean_of(groups, "lost"), mean_of(groups, "shared")
    for _, effect in _tried(case, keys, _merging(case, groups)):
        if effect.after.profiles < n_apart and regained(effect, lost, shared) >= 1:
            effects.append(effect)
        if effect.after.profiles == len(groups):
            break
    return tuple(sorted(effects, key=lambda effect: (effect.after.profiles, -round(effect.after.prefix_tokens))))


def _tried(case: AnalysisContext, keys: Sequence[str], plans: Sequence[Plan]) -> Iterator[tuple[bool, Effect]]:
    """Yield, of each plan that can be carried out, whether a prefix is then bound to whole requests, and the effect."""
    windows = windows_of(case.snapshot, keys)
    before = extent(windows, case.thresholds)
    for plan in filter(None, plans):
        with suppress(UsageError):  # a block that can't be moved
            after = windows
            for repair in plan:
                after = apply_repair(after, repair, _WINDOW)
            effect = Effect(repairs=plan, before=before, after=extent(after, case.thresholds))
            yield _is_bound(after, effect.after.prefix_blocks), effect


def _is_bound(windows: Windows, prefix_blocks: float) -> bool:
    """Whether prefixes of so many blocks, in the mean, leave the scaffold, by rules that then want whole requests."""
    source = windows.observations
    if not all(get_rules(windows.rules[key].rules).exact_prefix for key in source.keys):
        return False
    counts = [len(source.observations_of(window)) for window in range(len(source.keys))]
    scaffold = sum(count * scaffold_blocks(source, window) for window, count in enumerate(counts)) / sum(counts)
    return prefix_blocks > scaffold + 1e-9


# --- what fits a break ---


def _of_text(_case: AnalysisContext, key: str, change: BlockHistory) -> list[Plan]:
    keys = (key,)
    return [
        (Pin(span_id=change.span_id, learning_keys=keys),),
        (MoveToEnd(span_id=change.span_id, learning_keys=keys),),
    ]


def _of_free_text(case: AnalysisContext, key: str, change: BlockHistory) -> list[Plan]:
    behind = (MoveToEnd(span_id=change.span_id, learning_keys=(key,)),)
    return [_forward(case, key, change, itself=False), behind]


def _of_variants(case: AnalysisContext, key: str, change: BlockHistory) -> list[Plan]:
    forward = _forward(case, key, change, itself=True)
    return [forward, *reversed(_of_text(case, key, change))]


def _of_missing(_case: AnalysisContext, key: str, change: BlockHistory) -> list[Plan]:
    return [_taken(kind, {change.span_id: change.hashes[:1]}, (key,)) for kind in (MoveToEnd, Drop)]


def _of_shifted(case: AnalysisContext, key: str, change: BlockHistory) -> list[Plan]:
    return [_taken(kind, _intruders(case, change), (key,)) for kind in (MoveToEnd, Drop)]


def _intruders(case: AnalysisContext, change: BlockHistory) -> dict[str, list[str]]:
    """Return what shifts the block: the hashes of its contents, by span id."""
    found: dict[str, list[str]] = {}
    for span, content in intruders(change):
        found.setdefault(case.source.span_pool[span], []).append(short_hash(change.text(content)))
    return found


def _taken(
    kind: type[MoveToEnd | Drop], contents: Mapping[str, Sequence[str]], keys: tuple[str, ...]
) -> tuple[MoveToEnd | Drop, ...]:
    """Take what comes and goes away from its place, the last block first, so that the others keep their names."""
    blocks = sorted(contents.items(), key=lambda item: _number(item[0]), reverse=True)
    return tuple(kind(span_id=span_id, contents=tuple(hashes), learning_keys=keys) for span_id, hashes in blocks)


def _number(span_id: str) -> int:
    found = _numbered.fullmatch(span_id)
    return int(found[2]) if found else 0


def _sorted(_case: AnalysisContext, key: str, _change: BlockHistory) -> list[Plan]:
    return [(SortTools(learning_keys=(key,)),)]


def _none(_case: AnalysisContext, _key: str, _change: BlockHistory) -> list[Plan]:
    return []


_PLANS: Mapping[Kind, Callable[[AnalysisContext, str, BlockHistory], list[Plan]]] = {
    Kind.TOOLS_REORDERED: _sorted,
    Kind.TOOLS_ADDED: _none,
    Kind.TOOLS_REMOVED: _none,
    Kind.TOOLS_EDITED: _none,
    Kind.SHIFTED: _of_shifted,
    Kind.BLOCK_MISSING: _of_missing,
    Kind.RETRIEVED_TEXT: _of_free_text,
    Kind.VARIANTS: _of_variants,
    Kind.UNKNOWN: _of_free_text,
}


def _forward(case: AnalysisContext, key: str, change: BlockHistory, *, itself: bool) -> Plan:
    """Move the stable blocks behind the change into the system prompt; with the block ``itself`` if so."""
    result = case.results[key]
    later = result.scores[result.stable_prefix_length + 1 :]
    stable = [score.span_id for score in later if score.classification == "stable"]
    movable = [span for span in ([change.span_id] if itself else []) + stable if not span.startswith("system-")]
    if not movable or len(movable) > _MOVABLE or (itself and change.form.is_scaffold):
        return ()
    # What joins the instructions leaves its place, and those behind it move up.
    joins = any(score.span_id.endswith("-instructions") for score in result.scores[:1])
    return tuple(
        MoveToSystemPrompt(span_id=_renumbered(span, -i if joins else 0), learning_keys=(key,))
        for i, span in enumerate(movable)
    )


def _renumbered(span_id: str, step: int) -> str:
    found = _numbered.fullmatch(span_id)
    return f"{found[1]}-{int(found[2]) + step}{found[3]}" if found else span_id


# --- what fits a group ---


def _merging(case: AnalysisContext, groups: Sequence[Group]) -> list[Plan]:
    """Return plans for groups that are alike: to mend each, then what tools and first messages may keep apart too."""
    fixes = [_fix(case, cause, group.keys) for group in groups for cause in group.causes]
    if None in fixes:
        return []
    plan = tuple(repair for fix in fixes for repair in fix or ())
    if len(groups) == 1 and not plan:
        return [(MergeProfiles(learning_keys=groups[0].keys),)]
    merge = MergeProfiles(agent_id=case.snapshot.owners[groups[0].keys[0]].agent_id)
    sort = SortTools(learning_keys=tuple(key for group in groups for key in group.keys))
    return [plan, (*plan, merge), (sort, *plan), (sort, *plan, merge)]


def _fix(case: AnalysisContext, cause: Cause, keys: tuple[str, ...]) -> Plan | None:
    """Return what mends a cause, nothing if profiles need but be merged; None if it can't be mended, or was meant."""
    change = cause.change
    match cause.kind:
        case Kind.FRAGMENTED_BY_FIRST_MESSAGE:
            return ()
        case Kind.RAW_BYTES_DIFFER:
            return (MergeProfiles(learning_keys=keys),)
        case Kind.TOOLS_REORDERED:
            return (SortTools(learning_keys=keys),)
        case Kind.BLOCK_MISSING:
            return _taken(Drop, {change.span_id: change.hashes[:1]}, keys)
        case Kind.SHIFTED:
            return _taken(Drop, _intruders(case, change), keys)
    return None if cause.kind in _MEANT else (Pin(span_id=change.span_id, learning_keys=keys),)
