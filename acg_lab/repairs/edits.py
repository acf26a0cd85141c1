"""What each repair does to blocks, in one table.

Belongs here: one function a repair, from a table of blocks to another. Which observations are chosen, what becomes of
learning keys, and merging stand elsewhere.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any, TypeAlias

import numpy as np

from acg_lab.core.errors import UsageError
from acg_lab.core.prompt_ir import normalize_whitespace
from acg_lab.repairs import repairs as r
from acg_lab.repairs.block_table import Bools, Rows, Table
from acg_lab.storage.columns import Codes, is_redacted

__all__ = ["EDITS"]

_SHOWN = 12
_HASH = 16


def _span_rows(table: Table, chosen: Bools, span_id: str) -> Bools:
    """Tell the rows of a span; raises if no chosen observation has it."""
    found: Bools = chosen & (table.spans == table.span_pool.find(span_id))
    if not found.any():
        codes = dict.fromkeys(table.spans[chosen].tolist())
        names = ", ".join(repr(table.span_pool[code]) for code in list(codes)[:_SHOWN])
        more = f" and {len(codes) - _SHOWN:,} more" if len(codes) > _SHOWN else ""
        msg = f"There is no span {span_id!r} in the chosen profiles; there are {names or 'none'}{more}."
        raise UsageError(msg)
    return found


def _placed_rows(table: Table, chosen: Bools, repair: r.Drop | r.MoveToEnd | r.MoveToSystemPrompt) -> Bools:
    found = _span_rows(table, chosen, repair.span_id)
    if not repair.contents:
        return found
    codes = np.unique(table.contents[found])
    hashes = {sha256(table.content_pool[code].encode()).hexdigest()[:_HASH]: code for code in codes.tolist()}
    if unknown := [name for name in repair.contents if name not in hashes]:
        msg = f"{repair.span_id!r} has no content of hash {unknown[0]!r}; it has {', '.join(list(hashes)[:_SHOWN])}."
        raise UsageError(msg)
    return found & np.isin(table.contents, [hashes[name] for name in repair.contents])


def _movable(table: Table, chosen: Bools, repair: r.MoveToEnd | r.MoveToSystemPrompt) -> Bools:
    """Tell the rows to move; raises if production would put one of them where it is anyway."""
    found = _placed_rows(table, chosen, repair)
    if (found & table.is_fixed).any():
        msg = f"{repair.span_id!r} is a tool or response format: production puts it where it is. Pin, drop or sort it."
        raise UsageError(msg)
    return found


def _settled(before: Table, table: Table, order: Rows) -> Table:
    """Put rows into an order, but tools and response format before the first message that is not system.

    That is where production has them. Where they were elsewhere ``before`` the edit, somebody else put them there, and
    they stay.
    """
    everything = np.arange(len(before.owner))
    elsewhere = before.owner[everything != _by_rank(before, everything)]
    return table.arranged(np.where(np.isin(table.owner[order], elsewhere), order, _by_rank(table, order)))


def _by_rank(table: Table, order: Rows) -> Rows:
    owner = table.owner[order]
    other = np.cumsum(~table.is_scaffold[order])
    rank = np.where(other > np.concatenate(([0], other))[np.searchsorted(owner, owner)], 2, table.is_fixed[order])
    return order[np.lexsort((rank, owner))]


def _drop(table: Table, chosen: Bools, repair: r.Drop, _agents: Codes) -> Table:
    return _settled(table, table, np.flatnonzero(~_placed_rows(table, chosen, repair)))


def _move_back(table: Table, chosen: Bools, repair: r.MoveToEnd, _agents: Codes) -> Table:
    found = _movable(table, chosen, repair)
    if (found & _instructions(table)).any():
        msg = f"{repair.span_id!r} holds the instructions, which always come first."
        raise UsageError(msg)
    return _settled(table, table, np.lexsort((found, table.owner)))


def _instructions(table: Table) -> Bools:
    """Tell the rows that hold the instructions of a request."""
    spans = np.unique(table.spans).tolist()
    named = np.isin(table.spans, [code for code in spans if table.span_pool[code].endswith("-instructions")])
    rows = np.flatnonzero(named & table.are(role=("system",), content_type=("text",)))
    found = np.zeros(len(table.spans), np.bool_)
    found[[row for row in rows.tolist() if table.name(row) == "-instructions"]] = True
    return found


def _move_forward(table: Table, chosen: Bools, repair: r.MoveToSystemPrompt, _agents: Codes) -> Table:
    found = _movable(table, chosen, repair)
    other = np.cumsum(~table.are(role=("system",), content_type=("text",)))
    before = np.concatenate(([0], other))[np.searchsorted(table.owner, table.owner)]
    leading = other == before
    moved = found & ~leading
    hosts = np.full(int(table.owner[-1]) + 1, -1)
    rows = np.flatnonzero(_instructions(table) & leading)
    hosts[table.owner[rows[::-1]]] = rows[::-1]
    joining = moved & (hosts[table.owner] >= 0)
    changed = _joined(table, np.flatnonzero(joining), hosts)
    changed = _as_system(changed, np.flatnonzero(moved & ~joining))
    order = np.lexsort((np.where(leading, 0, np.where(moved, 1, 2)), table.owner))
    return _settled(table, changed, order[~joining[order]])


def _joined(table: Table, rows: Rows, hosts: Rows) -> Table:
    """Add the texts of rows to those of their observations' hosts."""
    texts: dict[int, list[str]] = {}
    for row in rows.tolist():
        host = int(hosts[table.owner[row]])
        texts.setdefault(host, [table.content_pool[table.contents[host]]])
        texts[host].append(table.content_pool[table.contents[row]])
    codes = [table.content_pool.code(normalize_whitespace("\n".join(joined))) for joined in texts.values()]
    return table.edited(np.array(list(texts), np.int64), codes)


def _as_system(table: Table, rows: Rows) -> Table:
    """Make system messages of rows."""
    spans = table.spans.copy()
    spans[rows] = [table.span_pool.code(f"system-{index}") for index in table.indexes[rows].tolist()]
    return replace(table, spans=spans).reformed(rows, role="system", content_type="text", provenance="system")


def _sort_tools(table: Table, chosen: Bools, _repair: r.SortTools, _agents: Codes) -> Table:
    rows = np.flatnonzero(chosen & table.are(content_type=("tool_schema",)))
    columns = (table.spans[rows], table.indexes[rows], table.contents[rows], table.forms[rows])
    distinct, first, inverse = np.unique(np.stack(columns, axis=1), axis=0, return_index=True, return_inverse=True)
    keys = [_tool_key(table, row) for row in rows[first].tolist()]
    rank = {key: i for i, key in enumerate(sorted(set(keys)))}
    ranks = np.array([rank[key] for key in keys], np.int64)[inverse] if len(distinct) else rows
    order = np.arange(len(table.spans))
    order[rows] = rows[np.lexsort((ranks, table.owner[rows]))]
    return table.arranged(order)


def _tool_key(table: Table, row: int) -> tuple[str, str]:
    name = table.name(row)
    return table.span_pool[table.spans[row]] if name is None else name, table.content_pool[table.contents[row]]


def _pin(table: Table, chosen: Bools, repair: r.Pin, agents: Codes) -> Table:
    found = np.flatnonzero(_span_rows(table, chosen, repair.span_id))
    of_row = agents[table.owner[found]]
    for agent in np.unique(of_row):
        rows = found[of_row == agent]
        _, first, counts = np.unique(table.contents[rows], return_index=True, return_counts=True)
        dominant = rows[first[counts == counts.max()].min()]
        table = _pinned(table, rows, int(dominant), repair.pattern)
    return table


def _pinned(table: Table, rows: Rows, dominant: int, pattern: str | None) -> Table:
    content = int(table.contents[dominant])
    if pattern is None:
        differ = rows[table.contents[rows] != content]
        known = table.form_pool[table.forms[dominant]].token_metadata
        return table.edited(rows, np.full(len(rows), content)).reformed(differ, token_metadata=known)
    search = r.compiled(pattern)
    pieces = [match.group() for match in search.finditer(table.content_pool[content])]

    def change(text: str) -> str:
        left = iter(pieces)
        return search.sub(lambda match: next(left, match.group()), text)

    return _rewritten(table, rows, change)


def _strip(table: Table, chosen: Bools, repair: r.RemovePattern, _agents: Codes) -> Table:
    found = chosen if repair.span_id is None else _span_rows(table, chosen, repair.span_id)
    search = r.compiled(repair.pattern)
    return _rewritten(table, np.flatnonzero(found), lambda text: search.sub("", text))


def _rewritten(table: Table, rows: Rows, change: Callable[[str], str]) -> Table:
    """Change each distinct text of rows; the response format is not normalised, as in production."""
    verbatim = table.are(content_type=("structured_output",))[rows]
    codes = np.unique(table.contents[rows]).tolist()
    if codes and all(is_redacted(table.content_pool[code]) for code in codes):
        msg = "The texts of this source are hashes, in which nothing can be matched; pin or drop whole blocks."
        raise UsageError(msg)
    for part, tidy in ((rows[~verbatim], normalize_whitespace), (rows[verbatim], str)):
        codes, inverse = np.unique(table.contents[part], return_inverse=True)
        new = []
        for code in codes.tolist():
            text = table.content_pool[code]
            changed = change(text)
            new.append(code if changed == text else table.content_pool.code(tidy(changed)))
        table = table.edited(part, np.array(new, np.int32)[inverse])
    return table


def _nothing(table: Table, _chosen: Bools, _repair: r.Repair, _agents: Codes) -> Table:
    return table


def _add_breakpoint(table: Table, chosen: Bools, repair: r.AddBreakpoint, _agents: Codes) -> Table:
    if repair.at not in r.AddBreakpoint.PLACES:
        _span_rows(table, chosen, repair.at)
    return table


Edit: TypeAlias = Callable[[Table, Bools, Any, Codes], Table]
# Each takes a table, the rows that may be changed, the repair, and a number for the agent of each observation.
EDITS: Mapping[type[r.Repair], Edit] = {
    r.Pin: _pin,
    r.Drop: _drop,
    r.MoveToEnd: _move_back,
    r.MoveToSystemPrompt: _move_forward,
    r.SortTools: _sort_tools,
    r.RemovePattern: _strip,
    r.MergeProfiles: _nothing,
    r.AddBreakpoint: _add_breakpoint,
    r.SetTtl: _nothing,
    r.UseAutomaticCaching: _nothing,
    r.StaggerParallelRequests: _nothing,
}
