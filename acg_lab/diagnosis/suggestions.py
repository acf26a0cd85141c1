"""Try the repairs that fit a finding, and measure how much they save.

For each kind of change there are the repairs that an engineer would think of. They are tried on the profiles that the
finding is about; a repair that saves nothing is not suggested, nor one that needs more than a line to say.

Invariant: no repair removes a content that most requests share.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

from msgspec.structs import replace

from acg_lab.core.errors import UsageError
from acg_lab.core.rules import get_rules
from acg_lab.diagnosis.block_history import BlockHistory, short_hash
from acg_lab.diagnosis.causes import Cause
from acg_lab.diagnosis.context import AnalysisContext, is_template
from acg_lab.diagnosis.finding import Kind
from acg_lab.diagnosis.mended_history import MendedText
from acg_lab.diagnosis.planner_refusals import count_scaffold_blocks
from acg_lab.diagnosis.profile_splits import ProfileSplit, mean_tokens
from acg_lab.diagnosis.split_causes import SplitCause
from acg_lab.diagnosis.structure import count_permuted, find_inserted, is_missing
from acg_lab.repairs.apply import ProfileWindows, apply_repair, select_windows
from acg_lab.repairs.content_repairs import (
    Drop,
    MergeProfiles,
    MoveToEnd,
    MoveToSystemPrompt,
    Pin,
    SplitMessage,
    UseOneForm,
)
from acg_lab.repairs.effects import Effect, measure_extent, recovered_tokens
from acg_lab.repairs.order_repairs import SortItems, SortMessages, SortTools
from acg_lab.repairs.repairs import Repair
from acg_lab.repairs.sending_repairs import AddBreakpoint

__all__ = ["FILLED_IN", "pin_values", "try_break_repairs", "try_split_repairs", "try_start_repairs"]

_WINDOW = 100
_MAX_MOVED = 12  # blocks; more of them are a conversation, not instructions
_MAX_TAKEN = 3  # blocks that a plan takes away from their positions; more of them are another prompt
_HALF = 0.5  # of the requests; what more of them share is not dropped
Plan: TypeAlias = tuple[Repair, ...]
# What the application says there is meant, so it can move but not be pinned.
_NEEDED = (
    Kind.APPENDED,
    Kind.CHECKLIST,
    Kind.LOCALE,
    Kind.MEMORY,
    Kind.OPTIONAL_SENTENCE,
    Kind.PERSON,
    Kind.RELATIVE_TIME,
    Kind.WORKING_DIRECTORY_STATE,
)
# Values that a program fills in.
FILLED_IN = (Kind.DATETIME, Kind.IDENTIFIER, Kind.COUNTER, Kind.PATH, Kind.NUMBER)
# What can be said at the end as well; a text that grows is no value.
_MOVABLE = (*FILLED_IN, *(kind for kind in _NEEDED if kind is not Kind.APPENDED), Kind.UNKNOWN)
_INTENDED = (
    Kind.MODEL_CHANGED,
    Kind.CACHE_MARKS,
    Kind.TOOLS_ADDED,
    Kind.TOOLS_REMOVED,
    Kind.TOOLS_EDITED,
    Kind.UNKNOWN,
    Kind.REDACTED,
    Kind.VARIANTS,
    Kind.CHANGED_ONCE,
    *_NEEDED,
)
_numbered = re.compile(r"([a-z]+)-(\d+)(.*)", re.DOTALL)


def try_break_repairs(
    context: AnalysisContext, key: str, kind: Kind, block: BlockHistory, others: Sequence[Cause] = ()
) -> tuple[tuple[Effect, ...], int]:
    """Try repairs for the block that ends a profile's prefix; other causes in it are mended with it.

    Returns
    -------
    effects : tuple of Effect
        Effects of the repairs that make the prefix longer, best first.
    n_bound : int
        How many of them, the last ones, extend the prefix beyond the scaffold; the rules of 0.8 bind such a prefix to
        whole requests.
    """
    if count_permuted(block):
        plans = _plan_order(key, block)  # blocks that change places are each needed, wherever they stand
    else:
        plans = _PLANS.get(kind, _plan_pins_and_moves)(context, key, block)
    beside = [_fix_value(other.kind, other.block, (key,)) for other in others if other.block.span_id == block.span_id]
    if None not in beside:
        joined = [_join(*plan, *(repair for fix in beside for repair in fix or ())) for plan in plans if plan]
        plans = [*plans, *(plan for plan in joined if plan not in plans)]
    tried = _try_plans(context, [key], plans)
    helpful = [(is_bound, effect) for is_bound, effect in tried if effect.tokens_gained >= 1]
    helpful.sort(key=lambda item: (item[0], -round(item[1].tokens_gained)))
    return tuple(effect for _, effect in helpful), sum(is_bound for is_bound, _ in helpful)


def try_split_repairs(context: AnalysisContext, splits: Sequence[ProfileSplit]) -> tuple[Effect, ...]:
    """Try repairs for similar splits; return the effects of those that save something, best first.

    Later plans include earlier ones, so none is tried after one that removes the split.
    """
    effects: list[Effect] = []
    keys = [key for split in splits for key in split.keys]
    n_apart = sum(split.n_apart for split in splits)
    lost, shared = mean_tokens(splits, "lost"), mean_tokens(splits, "shared")
    for _, effect in _try_plans(context, keys, _plan_merges(context, splits)):
        if effect.after.profiles < n_apart and recovered_tokens(effect, lost, shared) >= 1:
            effects.append(effect)
        if effect.after.profiles == len(splits):
            break
    return tuple(sorted(effects, key=lambda effect: (effect.after.profiles, -round(effect.after.prefix_tokens))))


def try_start_repairs(
    context: AnalysisContext, keys: tuple[str, ...], span_id: str, n_characters: int
) -> tuple[Effect, ...]:
    """Try repairs for stable text at the start of a message: it becomes the system prompt, or a message of its own."""
    split = SplitMessage(span_id, n_characters=n_characters, learning_keys=keys)
    to_system = MoveToSystemPrompt(span_id, learning_keys=keys)
    return tuple(effect for _, effect in _try_plans(context, keys, [(split, to_system), (split,)]))


def pin_values(repairs: Sequence[Repair]) -> Plan:
    """Return repairs that take values out instead of saying them at the end; none if they move nothing."""
    pinned = tuple(
        Pin(one.span_id, slots=one.slots, learning_keys=one.learning_keys)
        if isinstance(one, MoveToEnd) and one.slots
        else one
        for one in repairs
    )
    return () if pinned == tuple(repairs) else pinned


def _try_plans(context: AnalysisContext, keys: Sequence[str], plans: Sequence[Plan]) -> Iterator[tuple[bool, Effect]]:
    """Yield for each plan that can be applied whether it binds the prefix to whole requests, and its effect."""
    windows = select_windows(context.snapshot, keys)
    before = measure_extent(windows, context.thresholds)
    for plan in filter(None, plans):
        with suppress(UsageError):  # a block that cannot be moved
            after = windows
            for repair in plan:
                after = apply_repair(after, repair, _WINDOW)
            effect = Effect(repairs=plan, before=before, after=measure_extent(after, context.thresholds))
            yield _is_bound(after, effect.after.prefix_blocks), effect


def _is_bound(windows: ProfileWindows, prefix_blocks: float) -> bool:
    """Return whether prefixes of this mean length extend beyond the scaffold under rules that then bind them."""
    source = windows.observations
    if not all(get_rules(windows.rules[key].rules).exact_prefix for key in source.keys):
        return False
    counts = [len(source.observations_of(window)) for window in range(len(source.keys))]
    scaffold = sum(count * count_scaffold_blocks(source, window) for window, count in enumerate(counts)) / sum(counts)
    return prefix_blocks > scaffold + 1e-9


# --- plans for a break ---


def _plan_pins_and_moves(_context: AnalysisContext, key: str, block: BlockHistory) -> list[Plan]:
    keys = (key,)
    return [
        (Pin(span_id=block.span_id, learning_keys=keys),),
        (_to_end(block.span_id, learning_keys=keys),),
    ]


def _plan_values(_context: AnalysisContext, key: str, block: BlockHistory) -> list[Plan]:
    """Return plans for values: they are said at the end, or taken out where they can't be."""
    keys = (key,)
    if moved := _values_to_end(block, keys):
        return [moved]
    is_free = block.form.content_type == "text" and not block.span_id.endswith("-instructions")
    return [(_to_end(block.span_id, learning_keys=keys) if is_free else Pin(block.span_id, learning_keys=keys),)]


def _plan_needed_values(context: AnalysisContext, key: str, block: BlockHistory) -> list[Plan]:
    return [*_plan_moves(context, key, block), _values_to_end(block, (key,))]


def _values_to_end(block: BlockHistory, keys: tuple[str, ...]) -> Plan:
    """Return the move of what varies in a text; none where its contents are different texts."""
    is_text = block.form.content_type == "text" and block.form.role in ("system", "user")
    if not is_text or not is_template(block):
        return ()
    if isinstance(block, MendedText):
        return (MoveToEnd(block.span_id, slots=block.numbers, learning_keys=keys),)
    return (MoveToEnd(block.span_id, slots="all", learning_keys=keys),)


def _join(*repairs: Repair) -> Plan:
    """Return repairs in which all slots of a block move, or are pinned, at once: each repair numbers them anew.

    What is done to the whole block comes after them, and once.
    """
    moved = _unite_slots(one for one in repairs if isinstance(one, MoveToEnd))
    pinned = _unite_slots(one for one in repairs if isinstance(one, Pin))
    joined: list[Repair] = []

    def is_of_block(one: Repair) -> bool:
        return isinstance(one, Pin | SortItems) and one.span_id in moved

    for one in sorted(repairs, key=is_of_block):
        new: Repair = one
        if isinstance(one, MoveToEnd) and one.span_id in moved:
            new = replace(one, slots=moved[one.span_id])
        elif isinstance(one, Pin) and (one.span_id in moved or one.span_id in pinned):
            new = replace(one, slots=() if one.span_id in moved else pinned[one.span_id])
        if new not in joined or not isinstance(new, Pin | MoveToEnd | SortItems):
            joined.append(new)
    return tuple(joined)


def _unite_slots(repairs: Iterable[Pin | MoveToEnd]) -> dict[str, tuple[int, ...]]:
    """Return the numbers of all slots that some repairs name, by span id."""
    slots: dict[str, set[int]] = {}
    for one in repairs:
        if isinstance(one.slots, tuple) and one.slots:
            slots.setdefault(one.span_id, set()).update(one.slots)
    return {span_id: tuple(sorted(numbers)) for span_id, numbers in slots.items()}


def _plan_moves(context: AnalysisContext, key: str, block: BlockHistory) -> list[Plan]:
    to_end = (_to_end(block.span_id, learning_keys=(key,)),)
    return [_plan_move_to_system_prompt(context, key, block, itself=False), to_end]


def _plan_for_variants(context: AnalysisContext, key: str, block: BlockHistory) -> list[Plan]:
    to_system_prompt = _plan_move_to_system_prompt(context, key, block, itself=True)
    return [to_system_prompt, *reversed(_plan_pins_and_moves(context, key, block))]


def _plan_taking_away(_context: AnalysisContext, key: str, block: BlockHistory) -> list[Plan]:
    return [_take_away(kind, block, (key,)) for kind in (MoveToEnd, Drop)]


def _come_and_go(block: BlockHistory) -> list[tuple[int, int]]:
    """Return codes of span and content of the blocks that come and go: the block itself, or those that shift it."""
    return [(block.span, block.by_count[0])] if is_missing(block) else find_inserted(block)


def _take_away(kind: type[MoveToEnd | Drop], block: BlockHistory, keys: tuple[str, ...]) -> Plan:
    """Return repairs that take what comes and goes away from its position; none where that takes what requests share.

    The last block is first, so that the others keep their ids.
    """
    limit = _HALF if kind is Drop else 1.0
    taken = _come_and_go(block)
    contents: dict[str, list[str]] = {}
    for span, content in taken:
        share = sum(content in request.contents for request in block.requests) / len(block.requests)
        if share > limit or share == 1.0:
            return ()
        contents.setdefault(block.source.span_pool[span], []).append(short_hash(block.text(content)))
    if len(contents) > _MAX_TAKEN:
        return ()
    blocks = sorted(contents.items(), key=lambda item: _number_of(item[0]), reverse=True)
    make = _to_end if kind is MoveToEnd else Drop
    return tuple(make(span_id, contents=tuple(hashes), learning_keys=keys) for span_id, hashes in blocks)


def _to_end(span_id: str, *, contents: tuple[str, ...] = (), learning_keys: tuple[str, ...]) -> MoveToEnd:
    """Return the move of a block to the end; a system message would stay part of the learning key there."""
    as_user = span_id.startswith("system-")
    return MoveToEnd(span_id, as_user=as_user, contents=contents, learning_keys=learning_keys)


def _number_of(span_id: str) -> int:
    found = _numbered.fullmatch(span_id)
    return int(found[2]) if found else 0


def _plan_sorting(_context: AnalysisContext, key: str, _block: BlockHistory) -> list[Plan]:
    return [(SortTools(learning_keys=(key,)),)]


def _plan_order(key: str, block: BlockHistory) -> list[Plan]:
    """Return plans for messages in changing order; a provider may want a breakpoint where their order ends."""
    sort = _sort((key,), block)
    request, at = next((r, at) for r, at in zip(block.requests, block.positions, strict=True) if at is not None)
    end = request.spans[min(at + count_permuted(block), len(request.spans)) - 1]
    return [sort, (*sort, AddBreakpoint(block.source.span_pool[end], learning_keys=(key,)))]


def _plan_items(_context: AnalysisContext, key: str, block: BlockHistory) -> list[Plan]:
    return [_sort((key,), block)]


def _sort(keys: tuple[str, ...], block: BlockHistory) -> Plan:
    """Return what sends messages, or the items of lists, in one order; lists of one tool may stand in others too."""
    if n_blocks := count_permuted(block):
        return (SortMessages(block.span_id, n_blocks=n_blocks, learning_keys=keys),)
    is_tool = block.form.content_type == "tool_schema"
    return (SortItems(None if is_tool else block.span_id, learning_keys=keys),)


def _plan_nothing(_context: AnalysisContext, _key: str, _block: BlockHistory) -> list[Plan]:
    return []


_PLANS: Mapping[Kind, Callable[[AnalysisContext, str, BlockHistory], list[Plan]]] = {
    Kind.TOOLS_REORDERED: _plan_sorting,
    Kind.REORDERED: _plan_items,
    Kind.TOOLS_ADDED: _plan_nothing,
    Kind.TOOLS_REMOVED: _plan_nothing,
    Kind.TOOLS_EDITED: _plan_nothing,
    Kind.SHIFTED: _plan_taking_away,
    Kind.BLOCK_MISSING: _plan_taking_away,
    Kind.RETRIEVED_TEXT: _plan_moves,
    Kind.VARIANTS: _plan_for_variants,
    Kind.FEATURE_VARIANTS: _plan_for_variants,
    **dict.fromkeys(_MOVABLE, _plan_needed_values),
    **dict.fromkeys(FILLED_IN, _plan_values),
    **dict.fromkeys((Kind.APPENDED, Kind.CHANGED_ONCE, Kind.REDACTED), _plan_moves),
}


def _plan_move_to_system_prompt(context: AnalysisContext, key: str, block: BlockHistory, *, itself: bool) -> Plan:
    """Return a plan that moves the stable blocks after the change, or from it on, into the system prompt."""
    result = context.results[key]
    later = result.scores[result.stable_prefix_length + 1 :]
    stable = [score.span_id for score in later if score.classification == "stable"]
    movable = [span for span in ([block.span_id] if itself else []) + stable if not span.startswith("system-")]
    if not movable or len(movable) > _MAX_MOVED or (itself and block.form.is_scaffold):
        return ()
    # A block that joins the instructions leaves its position, and the blocks after it move up.
    joins = any(score.span_id.endswith("-instructions") for score in result.scores[:1])
    return tuple(
        MoveToSystemPrompt(span_id=_renumber(span, -i if joins else 0), learning_keys=(key,))
        for i, span in enumerate(movable)
    )


def _renumber(span_id: str, step: int) -> str:
    found = _numbered.fullmatch(span_id)
    return f"{found[1]}-{int(found[2]) + step}{found[3]}" if found else span_id


# --- plans for splits ---


def _plan_merges(context: AnalysisContext, splits: Sequence[ProfileSplit]) -> list[Plan]:
    """Return plans for similar splits: fix each cause, then also sort tools and merge by first message."""
    fixes = [_find_fix(cause, split.keys) for split in splits for cause in split.causes]
    if None in fixes:
        return []
    plan = _join(*(repair for fix in fixes for repair in fix or ()))
    if any(split.kind in (Kind.UNKNOWN, Kind.REDACTED) for split in splits):
        return [plan]  # what another repair saves is no evidence for a fault without a name
    if any(split.others for split in splits):
        return [plan]  # merging waits for the other causes
    if len(splits) == 1 and not plan:
        return [(MergeProfiles(learning_keys=splits[0].keys),)]
    merge = MergeProfiles(agent_id=context.snapshot.owners[splits[0].keys[0]].agent_id)
    sort = SortTools(learning_keys=tuple(key for split in splits for key in split.keys))
    return [plan, (*plan, merge), (sort, *plan), (sort, *plan, merge)]


def _find_fix(cause: SplitCause, keys: tuple[str, ...]) -> Plan | None:
    """Return the fix of a cause, empty if merging is enough; None if there is none or the change is intended."""
    block = cause.block
    if cause.part == "seed" and cause.kind is not Kind.FRAGMENTED_BY_FIRST_MESSAGE:
        return None  # the first message is also what the user asks
    match cause.kind:
        case Kind.FRAGMENTED_BY_FIRST_MESSAGE:
            return ()
        case Kind.RAW_BYTES_DIFFER:
            return (UseOneForm(learning_keys=keys), MergeProfiles(learning_keys=keys))
        case Kind.TOOLS_REORDERED:
            return (SortTools(learning_keys=keys),)
        case Kind.BLOCK_MISSING | Kind.SHIFTED:
            is_instructions = block.span_id.endswith("-instructions")
            return _take_away(Drop if is_instructions else MoveToEnd, block, keys) or None
    return _fix_value(cause.kind, block, keys)


def _fix_value(kind: Kind, block: BlockHistory, keys: tuple[str, ...]) -> Plan | None:
    """Return the fix of what varies in a block: it is sorted or moves, else it is pinned; None if it is intended."""
    if kind is Kind.REORDERED:
        return _sort(keys, block)
    moved = _values_to_end(block, keys) if kind in _MOVABLE else ()
    slots = block.numbers if isinstance(block, MendedText) else ()
    return moved or (None if kind in _INTENDED else (Pin(span_id=block.span_id, slots=slots, learning_keys=keys),))
