"""Sort tools, items of lists, and messages in recorded requests."""

from collections.abc import Iterator
from operator import attrgetter
from typing import Any, Final, NamedTuple

from acg_lab.core.errors import RecordError
from acg_lab.repairs.chosen_calls import ChosenCall
from acg_lab.repairs.order_edits import SORTED_TYPES, group_messages
from acg_lab.repairs.order_repairs import SortItems, SortMessages, SortTools
from acg_lab.repairs.permutations import identify_items
from acg_lab.repairs.request_blocks import BlockFinder, FoundBlock
from acg_lab.repairs.request_context import Change, RequestContext, copy_block
from acg_lab.repairs.request_form import CannotRepairError, RequestForms, RequestPools

__all__ = ["sort_items", "sort_messages", "sort_tools"]

_Key = tuple[str, str, tuple[str, str]]  # agent, span id, and items
_TEXTS: Final = ("text", "input_text", "output_text")


def sort_tools(_context: RequestContext, _repair: SortTools) -> Change:
    """Return what sorts the tools of a request."""

    def change(finder: BlockFinder, one: ChosenCall, forms: RequestForms) -> bool:
        tools = finder.tool_blocks(one.call)
        order = sorted(range(len(tools)), key=lambda i: (tools[i].draft.suffix, tools[i].content))
        if order == list(range(len(tools))):
            return False
        for form in forms.forms:
            form.tools = [(form.tools or [])[i] for i in order]
        return True

    return change


class _Sent(NamedTuple):
    """A content as it was sent first, by learning key, and how many requests have it."""

    block: FoundBlock
    donor: ChosenCall
    n_requests: int


def sort_items(context: RequestContext, repair: SortItems) -> Change:
    """Return what gives contents with the same items the commonest order of them."""
    identify = _Identifier()
    sent: dict[_Key, dict[str, _Sent]] = {}
    for one in sorted(context.chosen, key=attrgetter("key")):
        try:
            found = list(_sortable_blocks(context.finders[context.rules[one.agent_id]], one, repair))
        except RecordError:
            continue
        for span_id, block in found:
            if not _is_text(context.pools, one, block):
                continue
            of_items = sent.setdefault((one.agent_id, span_id, identify[block.content]), {})
            known = of_items.get(block.content, _Sent(block, one, 0))
            of_items[block.content] = known._replace(n_requests=known.n_requests + 1)
    commonest = {key: max(of_items.values(), key=attrgetter("n_requests")) for key, of_items in sent.items()}

    def change(finder: BlockFinder, one: ChosenCall, forms: RequestForms) -> bool:
        n_changed = 0
        for span_id, block in _sortable_blocks(finder, one, repair):
            best = commonest.get((one.agent_id, span_id, identify[block.content]))
            if best is not None and best.block.content != block.content:
                if not _is_text(forms.pools, one, block):
                    raise CannotRepairError
                n_changed += copy_block(finder, block, forms, best.block, best.donor)
        return n_changed > 0

    return change


class _Identifier(dict[str, tuple[str, str]]):
    """What identifies the items of each content."""

    def __missing__(self, content: str) -> tuple[str, str]:
        found = self[content] = identify_items(content)
        return found


def _sortable_blocks(finder: BlockFinder, one: ChosenCall, repair: SortItems) -> Iterator[tuple[str, FoundBlock]]:
    if repair.span_id is not None:
        found = finder.find(one.call, repair.span_id)
        blocks = [] if found is None else [(repair.span_id, found)]
    else:
        blocks = [(f"{b.draft.role}-{i}{b.draft.suffix}", b) for i, b in enumerate(finder.blocks(one.call))]
    return ((span_id, block) for span_id, block in blocks if block.draft.content_type in SORTED_TYPES)


def _is_text(pools: RequestPools, one: ChosenCall, block: FoundBlock) -> bool:
    """Whether nothing but text is in a block; images would go with the order."""
    if block.place.field != "message":
        return True
    value: Any = pools.messages.value(int(one.call.messages[block.place.position])).get("content")
    return not isinstance(value, list | tuple) or all(part.get("type") in _TEXTS for part in value)


def sort_messages(_context: RequestContext, repair: SortMessages) -> Change:
    """Return what sorts neighbouring messages of a request."""

    def change(finder: BlockFinder, one: ChosenCall, forms: RequestForms) -> bool:
        blocks = list(finder.blocks(one.call))
        names = [f"{block.draft.role}-{i}{block.draft.suffix}" for i, block in enumerate(blocks)]
        first = names.index(repair.span_id)
        chosen = blocks[first : first + repair.n_blocks]
        if len(chosen) < repair.n_blocks or any(block.place.field != "message" for block in chosen):
            return False
        groups = group_messages([block.draft.role for block in chosen], [block.content for block in chosen])
        at = [block.place.position for block in chosen]
        others = (*blocks[:first], *blocks[first + len(chosen) :])
        beside = {block.place.position for block in others if block.place.field == "message"}
        # A message with several blocks moves whole.
        order = list(dict.fromkeys(at[i] for group in groups for i in group))
        whole = [position for group in groups for position in dict.fromkeys(at[i] for i in group)]
        if len(whole) != len(order) or sorted(order) != list(range(at[0], at[-1] + 1)) or beside & set(order):
            raise CannotRepairError
        if order == sorted(order):
            return False
        for form in forms.forms:
            form.messages[at[0] : at[-1] + 1] = [form.messages[position] for position in order]
        return True

    return change
