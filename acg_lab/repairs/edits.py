"""Apply a repair to a table of blocks: one function for each kind of repair, listed in `EDITS`.

Which observations a repair is for, learning keys, and merged windows are the business of `acg_lab.repairs.apply`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any, TypeAlias

import numpy as np

from acg_lab.core.errors import UsageError
from acg_lab.core.prompt_ir import normalize_whitespace
from acg_lab.repairs.base import compile_pattern
from acg_lab.repairs.block_rows import EditContext, find_instruction_rows, find_span_rows, reorder
from acg_lab.repairs.block_table import ADDED, BlockTable, Bools, Rows
from acg_lab.repairs.content_repairs import (
    Drop,
    MergeProfiles,
    MoveToEnd,
    MoveToSystemPrompt,
    Pin,
    RemovePattern,
    SplitMessage,
    UseOneForm,
)
from acg_lab.repairs.order_edits import sort_items, sort_messages, sort_tools
from acg_lab.repairs.order_repairs import SortItems, SortMessages, SortTools
from acg_lab.repairs.repairs import Repair
from acg_lab.repairs.sending_repairs import AddBreakpoint, SetTtl, StaggerParallelRequests, UseAutomaticCaching
from acg_lab.repairs.slot_edits import move_slots, pin_slots
from acg_lab.repairs.stretches import split_content
from acg_lab.storage.columns import is_redacted

__all__ = ["EDITS"]

_MAX_LISTED = 12
_HASH = 16


def _placed_rows(table: BlockTable, chosen: Bools, repair: Drop | MoveToEnd | MoveToSystemPrompt) -> Bools:
    """Return which rows are of the repair's span and have one of its contents."""
    found = find_span_rows(table, chosen, repair.span_id)
    if not repair.contents:
        return found
    codes = np.unique(table.contents[found])
    hashes = {sha256(table.content_pool[code].encode()).hexdigest()[:_HASH]: code for code in codes.tolist()}
    if unknown := [name for name in repair.contents if name not in hashes]:
        msg = (
            f"{repair.span_id!r} has no content of hash {unknown[0]!r}; it has {', '.join(list(hashes)[:_MAX_LISTED])}."
        )
        raise UsageError(msg)
    return found & np.isin(table.contents, [hashes[name] for name in repair.contents])


def _movable_rows(table: BlockTable, chosen: Bools, repair: MoveToEnd | MoveToSystemPrompt) -> Bools:
    """Return which rows to move; raise UsageError if production chooses the position of one of them."""
    found = _placed_rows(table, chosen, repair)
    if (found & table.is_fixed).any():
        msg = (
            f"{repair.span_id!r} is a tool or response format, whose position production chooses; "
            "pin it, drop it, or sort the tools."
        )
        raise UsageError(msg)
    return found


def _drop(table: BlockTable, chosen: Bools, repair: Drop, _context: EditContext) -> BlockTable:
    return reorder(table, table, np.flatnonzero(~_placed_rows(table, chosen, repair)))


def _move_to_end(table: BlockTable, chosen: Bools, repair: MoveToEnd, context: EditContext) -> BlockTable:
    found = _movable_rows(table, chosen, repair)
    if repair.slots:
        return move_slots(table, np.flatnonzero(found), context.agents, context.passages)
    if (found & find_instruction_rows(table)).any():
        msg = f"{repair.span_id!r} holds the instructions, which always come first."
        raise UsageError(msg)
    changed = table
    if repair.as_user:
        texts = found & table.have_form(role=("system",), content_type=("text",))
        changed = _make_messages(table, np.flatnonzero(texts), "user")
    return reorder(table, changed, np.lexsort((found, table.owner)))


def _move_to_system_prompt(
    table: BlockTable, chosen: Bools, repair: MoveToSystemPrompt, _context: EditContext
) -> BlockTable:
    found = _movable_rows(table, chosen, repair)
    other = np.cumsum(~table.have_form(role=("system",), content_type=("text",)))
    before = np.concatenate(([0], other))[np.searchsorted(table.owner, table.owner)]
    leading = other == before
    moved = found & ~leading
    hosts = np.full(int(table.owner[-1]) + 1, -1)
    rows = np.flatnonzero(find_instruction_rows(table) & leading)
    hosts[table.owner[rows[::-1]]] = rows[::-1]
    joining = moved & (hosts[table.owner] >= 0)
    changed = _append_to_hosts(table, np.flatnonzero(joining), hosts)
    changed = _make_messages(changed, np.flatnonzero(moved & ~joining), "system")
    order = np.lexsort((np.where(leading, 0, np.where(moved, 1, 2)), table.owner))
    return reorder(table, changed, order[~joining[order]])


def _append_to_hosts(table: BlockTable, rows: Rows, hosts: Rows) -> BlockTable:
    """Append the text of each row to that of its observation's host row."""
    texts: dict[int, list[str]] = {}
    for row in rows.tolist():
        host = int(hosts[table.owner[row]])
        texts.setdefault(host, [table.content_pool[table.contents[host]]])
        texts[host].append(table.content_pool[table.contents[row]])
    codes = [table.content_pool.code(normalize_whitespace("\n".join(joined))) for joined in texts.values()]
    return table.with_contents(np.array(list(texts), np.int64), codes)


def _split_message(table: BlockTable, chosen: Bools, repair: SplitMessage, _context: EditContext) -> BlockTable:
    found = find_span_rows(table, chosen, repair.span_id)
    is_text = table.have_form(role=("system", "user", "assistant"), content_type=("text",))
    if (found & (~is_text | find_instruction_rows(table))).any():
        msg = f"{repair.span_id!r} is no text of a message, so it cannot be split."
        raise UsageError(msg)
    codes: dict[int, tuple[int, int] | None] = {}
    for code in np.unique(table.contents[found]).tolist():
        halves = split_content(table.content_pool[code], repair.n_characters)
        codes[code] = (
            None if halves is None else (table.content_pool.code(halves[0]), table.content_pool.code(halves[1]))
        )
    rows = np.array([row for row in np.flatnonzero(found).tolist() if codes[table.contents[row]]], np.int64)
    pairs = [pair for code in table.contents[rows].tolist() if (pair := codes[code]) is not None]
    forms = [table.form_pool[form]._replace(token_metadata=None) for form in table.forms[rows].tolist()]
    changed = table.with_contents(rows, [head for head, _ in pairs])
    suffixes = [table.block_name(row) or "" for row in rows.tolist()]
    changed = changed.with_last_blocks(table.owner[rows], [rest for _, rest in pairs], forms, suffixes)
    place = np.arange(len(changed.owner), dtype=float)
    is_rest = changed.origin == ADDED
    place[is_rest] = np.flatnonzero(np.isin(changed.origin, table.origin[rows])) + 1 / 2
    return reorder(table, changed, np.lexsort((place, changed.owner)))


def _make_messages(table: BlockTable, rows: Rows, role: str) -> BlockTable:
    """Turn rows into text messages of the system or the user."""
    spans = table.spans.copy()
    spans[rows] = [table.span_pool.code(f"{role}-{index}") for index in table.indexes[rows].tolist()]
    return replace(table, spans=spans).with_forms(rows, role=role, content_type="text", provenance=role)


def _pin(table: BlockTable, chosen: Bools, repair: Pin, context: EditContext) -> BlockTable:
    found = np.flatnonzero(find_span_rows(table, chosen, repair.span_id))
    if repair.slots:
        return pin_slots(table, found, context.agents, context.passages)
    of_row = context.agents[table.owner[found]]
    for agent in np.unique(of_row):
        rows = found[of_row == agent]
        _, first, counts = np.unique(table.contents[rows], return_index=True, return_counts=True)
        dominant = rows[first[counts == counts.max()].min()]
        table = _pin_rows(table, rows, int(dominant), repair.pattern)
    return table


def _pin_rows(table: BlockTable, rows: Rows, dominant: int, pattern: str | None) -> BlockTable:
    """Set the contents of rows, or the matches of a pattern in them, to those of the dominant row."""
    content = int(table.contents[dominant])
    if pattern is None:
        differ = rows[table.contents[rows] != content]
        known = table.form_pool[table.forms[dominant]].token_metadata
        return table.with_contents(rows, np.full(len(rows), content)).with_forms(differ, token_metadata=known)
    search = compile_pattern(pattern)
    pieces = [match.group() for match in search.finditer(table.content_pool[content])]

    def change(text: str) -> str:
        left = iter(pieces)
        return search.sub(lambda match: next(left, match.group()), text)

    return _rewrite(table, rows, change)


def _remove_pattern(table: BlockTable, chosen: Bools, repair: RemovePattern, _context: EditContext) -> BlockTable:
    found = chosen if repair.span_id is None else find_span_rows(table, chosen, repair.span_id)
    search = compile_pattern(repair.pattern)
    return _rewrite(table, np.flatnonzero(found), lambda text: search.sub("", text))


def _rewrite(table: BlockTable, rows: Rows, change: Callable[[str], str]) -> BlockTable:
    """Rewrite each distinct text of rows; as in production, response formats are not normalised."""
    verbatim = table.have_form(content_type=("structured_output",))[rows]
    codes = np.unique(table.contents[rows]).tolist()
    if codes and (table.source.is_redacted or all(is_redacted(table.content_pool[code]) for code in codes)):
        what = "redacted" if table.source.is_redacted else "hashes"
        msg = f"The texts of this source are {what}, so a pattern cannot match them; pin or drop whole blocks."
        raise UsageError(msg)
    for part, tidy in ((rows[~verbatim], normalize_whitespace), (rows[verbatim], str)):
        codes, inverse = np.unique(table.contents[part], return_inverse=True)
        new = []
        for code in codes.tolist():
            text = table.content_pool[code]
            changed = change(text)
            new.append(code if changed == text else table.content_pool.code(tidy(changed)))
        table = table.with_contents(part, np.array(new, np.int32)[inverse])
    return table


def _keep(table: BlockTable, _chosen: Bools, _repair: Repair, _context: EditContext) -> BlockTable:
    return table


def _add_breakpoint(table: BlockTable, chosen: Bools, repair: AddBreakpoint, _context: EditContext) -> BlockTable:
    if repair.at not in AddBreakpoint.PLACES:
        find_span_rows(table, chosen, repair.at)
    return table


Edit: TypeAlias = Callable[[BlockTable, Bools, Any, EditContext], BlockTable]
# An edit takes a table, the rows that it may change, the repair, and what it may need beside them.
EDITS: Mapping[type[Repair], Edit] = {
    Pin: _pin,
    Drop: _drop,
    MoveToEnd: _move_to_end,
    MoveToSystemPrompt: _move_to_system_prompt,
    SortTools: sort_tools,
    SortItems: sort_items,
    SortMessages: sort_messages,
    RemovePattern: _remove_pattern,
    SplitMessage: _split_message,
    MergeProfiles: _keep,
    UseOneForm: _keep,
    AddBreakpoint: _add_breakpoint,
    SetTtl: _keep,
    UseAutomaticCaching: _keep,
    StaggerParallelRequests: _keep,
}
