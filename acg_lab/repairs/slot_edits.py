"""Pin or move slots in a table of blocks: the passages of a block that vary, while the rest of it stays."""

from collections.abc import Iterable, Mapping

from acg_lab.core.prompt_ir import normalize_whitespace
from acg_lab.repairs.block_table import BlockTable, Rows
from acg_lab.repairs.passages import Passages
from acg_lab.storage.observation_columns import Codes

__all__ = ["move_slots", "pin_slots"]


def pin_slots(table: BlockTable, rows: Rows, agents: Codes, passages: Mapping[int, Passages]) -> BlockTable:
    """Return the table with the slots of some rows set to their dominant values; agents are numbers by observation."""
    known: dict[tuple[int, int], int] = {}
    for pair in _pairs(table, rows, agents):
        agent, content = pair
        if pair not in known:
            text = passages[agent].pin(table.content_pool[content]) if agent in passages else None
            known[pair] = content if text is None else table.content_pool.code(text)
    return table.with_contents(rows, [known[pair] for pair in _pairs(table, rows, agents)])


def move_slots(table: BlockTable, rows: Rows, agents: Codes, passages: Mapping[int, Passages]) -> BlockTable:
    """Return the table with the slots of some rows in a message of the user at the end of their observations."""
    known: dict[tuple[int, int], tuple[int, int]] = {}
    for pair in _pairs(table, rows, agents):
        agent, content = pair
        if pair not in known:
            found = passages[agent].take_out(table.content_pool[content]) if agent in passages else None
            rest, taken = found or ("", "")
            code = table.content_pool.code
            known[pair] = (code(rest), code(normalize_whitespace(taken))) if taken else (content, -1)
    edited = [known[pair] for pair in _pairs(table, rows, agents)]
    changed = table.with_contents(rows, [rest for rest, _ in edited])
    moved = [(row, taken) for row, (_, taken) in zip(rows.tolist(), edited, strict=True) if taken >= 0]
    if not moved:
        return changed
    of_user = {"role": "user", "content_type": "text", "provenance": "user", "token_metadata": None}
    forms = [table.form_pool[table.forms[row]]._replace(**of_user) for row, _ in moved]
    owners = table.owner[[row for row, _ in moved]]
    return changed.with_last_blocks(owners, [taken for _, taken in moved], forms)


def _pairs(table: BlockTable, rows: Rows, agents: Codes) -> Iterable[tuple[int, int]]:
    """Return agent and content of each row."""
    return zip(agents[table.owner[rows]].tolist(), table.contents[rows].tolist(), strict=True)
