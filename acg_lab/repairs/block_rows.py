"""Choose rows of a table of blocks, and put them in an order that production would give them."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from acg_lab.core.errors import UsageError
from acg_lab.repairs.block_table import BlockTable, Bools, Rows
from acg_lab.repairs.passages import Passages
from acg_lab.storage.observation_columns import Codes

__all__ = ["EditContext", "find_instruction_rows", "find_span_rows", "reorder"]

_MAX_LISTED: Final = 12


class EditContext(NamedTuple):
    """What an edit may need: a number for the agent of each observation, and passages by that number."""

    agents: Codes
    passages: Mapping[int, Passages]


def find_span_rows(table: BlockTable, chosen: Bools, span_id: str) -> Bools:
    """Return which rows are of a span; raise UsageError if no chosen observation has it."""
    found: Bools = chosen & (table.spans == table.span_pool.find(span_id))
    if not found.any():
        codes = dict.fromkeys(table.spans[chosen].tolist())
        names = ", ".join(repr(table.span_pool[code]) for code in list(codes)[:_MAX_LISTED])
        more = f" and {len(codes) - _MAX_LISTED:,} more" if len(codes) > _MAX_LISTED else ""
        msg = f"There is no span {span_id!r} in the chosen profiles; there are {names or 'none'}{more}."
        raise UsageError(msg)
    return found


def find_instruction_rows(table: BlockTable) -> Bools:
    """Return which rows hold the instructions of a request."""
    spans = np.unique(table.spans).tolist()
    named = np.isin(table.spans, [code for code in spans if table.span_pool[code].endswith("-instructions")])
    rows = np.flatnonzero(named & table.have_form(role=("system",), content_type=("text",)))
    found = np.zeros(len(table.spans), np.bool_)
    found[[row for row in rows.tolist() if table.block_name(row) == "-instructions"]] = True
    return found


def reorder(before: BlockTable, table: BlockTable, order: Rows) -> BlockTable:
    """Reorder rows, with tools and response format before the first message that is not system.

    That is where production puts them. Observations that had them elsewhere before the edit were written by another
    program, and keep the given order.
    """
    everything = np.arange(len(before.owner))
    elsewhere = before.owner[everything != _put_tools_first(before, everything)]
    return table.reordered(np.where(np.isin(table.owner[order], elsewhere), order, _put_tools_first(table, order)))


def _put_tools_first(table: BlockTable, order: Rows) -> Rows:
    """Return the order with each observation's tools and response format before its first message."""
    owner = table.owner[order]
    other = np.cumsum(~table.is_scaffold[order])
    rank = np.where(other > np.concatenate(([0], other))[np.searchsorted(owner, owner)], 2, table.is_fixed[order])
    return order[np.lexsort((rank, owner))]
