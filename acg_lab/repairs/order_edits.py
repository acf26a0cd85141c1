"""Sort tools, items of lists, and messages in a table of blocks."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

import numpy as np

from acg_lab.core.errors import UsageError
from acg_lab.repairs.block_rows import EditContext, find_instruction_rows, find_span_rows, reorder
from acg_lab.repairs.block_table import BlockTable, Bools
from acg_lab.repairs.order_repairs import SortItems, SortMessages, SortTools
from acg_lab.repairs.permutations import identify_items
from acg_lab.storage.columns import is_redacted

__all__ = ["SORTED_TYPES", "group_messages", "sort_items", "sort_messages", "sort_tools"]

SORTED_TYPES: Final = ("text", "tool_schema", "structured_output")  # a tool call is found by its id


def sort_tools(table: BlockTable, chosen: Bools, _repair: SortTools, _context: EditContext) -> BlockTable:
    """Sort the tools of each observation by name, and equal names by definition."""
    rows = np.flatnonzero(chosen & table.have_form(content_type=("tool_schema",)))
    columns = (table.spans[rows], table.indexes[rows], table.contents[rows], table.forms[rows])
    distinct, first, inverse = np.unique(np.stack(columns, axis=1), axis=0, return_index=True, return_inverse=True)
    keys = [_tool_key(table, row) for row in rows[first].tolist()]
    rank = {key: i for i, key in enumerate(sorted(set(keys)))}
    ranks = np.array([rank[key] for key in keys], np.int64)[inverse] if len(distinct) else rows
    order = np.arange(len(table.spans))
    order[rows] = rows[np.lexsort((ranks, table.owner[rows]))]
    return table.reordered(order)


def _tool_key(table: BlockTable, row: int) -> tuple[str, str]:
    name = table.block_name(row)
    return table.span_pool[table.spans[row]] if name is None else name, table.content_pool[table.contents[row]]


def sort_items(table: BlockTable, chosen: Bools, repair: SortItems, context: EditContext) -> BlockTable:
    """Give each content the commonest order that its items have in an agent's rows of the same span."""
    found = chosen if repair.span_id is None else find_span_rows(table, chosen, repair.span_id)
    rows = np.flatnonzero(found & table.have_form(content_type=SORTED_TYPES))
    codes = np.unique(table.contents[rows]).tolist()
    if codes and all(is_redacted(table.content_pool[code]) for code in codes):
        msg = "The texts of this source are hashes, so their items cannot be sorted; pin or drop whole blocks."
        raise UsageError(msg)
    items = {code: identify_items(table.content_pool[code]) for code in codes}
    groups: dict[tuple[int, int, object], dict[int, int]] = {}
    columns = (context.agents[table.owner[rows]], table.spans[rows], table.contents[rows])
    keys = [(agent, span, items[code]) for agent, span, code in zip(*(c.tolist() for c in columns), strict=True)]
    for key, code in zip(keys, table.contents[rows].tolist(), strict=True):
        counts = groups.setdefault(key, {})
        counts[code] = counts.get(code, 0) + 1
    commonest = {key: max(counts, key=counts.__getitem__) for key, counts in groups.items()}
    return table.with_contents(rows, [commonest[key] for key in keys])


def sort_messages(table: BlockTable, chosen: Bools, repair: SortMessages, _context: EditContext) -> BlockTable:
    """Sort the blocks from a span on, each with its answer, in the observations that have enough of them."""
    starts = np.flatnonzero(find_span_rows(table, chosen, repair.span_id))
    order = np.arange(len(table.owner))
    is_message = ~(table.is_fixed | find_instruction_rows(table))
    for start in starts.tolist():
        rows = order[start : start + repair.n_blocks]
        if len(rows) < repair.n_blocks or table.owner[rows[-1]] != table.owner[start] or not is_message[rows].all():
            continue
        roles = [table.form_pool[form].role for form in table.forms[rows].tolist()]
        texts = [table.content_pool[code] for code in table.contents[rows].tolist()]
        order[start : start + repair.n_blocks] = rows[[i for group in group_messages(roles, texts) for i in group]]
    return reorder(table, table, order)


def group_messages(roles: Sequence[str], texts: Sequence[str]) -> list[list[int]]:
    """Return the numbers of blocks in groups that stay together, the groups in the order of their texts.

    A group begins where the first role comes again after another one. Blocks of one role are a group each.

    Examples
    --------
    >>> group_messages(["user", "assistant", "user", "assistant"], ["b", "1", "a", "2"])
    [[2, 3], [0, 1]]
    """
    is_one_role = len(set(roles)) == 1
    number = 0
    numbers = []
    for i, role in enumerate(roles):
        number += i > 0 and (is_one_role or (role == roles[0] and roles[i - 1] != role))
        numbers.append(number)
    groups = [[i for i, _ in group] for _, group in groupby(enumerate(numbers), lambda pair: pair[1])]
    return sorted(groups, key=lambda group: [texts[i] for i in group])
