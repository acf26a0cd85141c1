"""Plain sentences.

Belongs here: the words of every sentence that an explanation says, made of numbers and names. Span ids and names of
agents, models and tools are shown as they are; prompt text never.
"""

import numpy as np

from acg_lab._format import counted
from acg_lab.diagnosis.block_history import BlockHistory, ChangeHistory
from acg_lab.diagnosis.finding import Kind, Timing

__all__ = ["SHORT", "lost", "moment", "sentence", "when"]

# In a table, beside the breaking block.
SHORT = {
    Kind.DATETIME: "date or time",
    Kind.IDENTIFIER: "identifier",
    Kind.COUNTER: "counter",
    Kind.PATH: "path or host",
    Kind.NUMBER: "number",
    Kind.WHITESPACE: "white space",
    Kind.JSON_KEY_ORDER: "JSON key order",
    Kind.BLOCK_MISSING: "missing",
    Kind.SHIFTED: "shifted",
    Kind.TOOLS_ADDED: "tools added",
    Kind.TOOLS_REMOVED: "tools removed",
    Kind.TOOLS_REORDERED: "tools reordered",
    Kind.TOOLS_EDITED: "tools edited",
    Kind.RETRIEVED_TEXT: "retrieved text",
    Kind.VARIANTS: "alternates",
    Kind.FRAGMENTED_BY_FIRST_MESSAGE: "first message",
    Kind.MODEL_CHANGED: "model changed",
    Kind.RAW_BYTES_DIFFER: "sent otherwise",
    Kind.UNKNOWN: "changes",
}


def sentence(text: str) -> str:
    """Make a sentence of a clause."""
    return f"{text[:1].upper()}{text[1:]}."


def when(change: BlockHistory) -> str:
    """Say when a block changes, to follow what changes; of tools, whose order is told elsewhere, without counts."""
    n, distinct = len(change.rows), len(change.counts)
    unusual = n - max(change.counts.values())
    of_all = f"{counted(distinct, 'content')} in {counted(n, 'request')}"
    match change.sequel.timing:
        case Timing.ONCE:
            ago = counted(n - (change.sequel.last_change or 0), "request")
            return f"once, {ago} ago{moment(change, change.sequel)}"
        case Timing.EVERY_REQUEST:
            told = f"in {'every' if distinct == n else 'nearly every'} request", of_all
        case Timing.DRIFTING:
            told = "time and again", of_all
        case _:
            told = "back and forth", f"{of_all}; {unusual:,} without the dominant one"
    return told[0] if change.form.content_type == "tool_schema" else f"{told[0]} ({told[1]})"


def moment(change: BlockHistory, sequel: ChangeHistory) -> str:
    """Say after which time something changed last: that of the last request before it."""
    if not sequel.last_change:
        return ""
    before = np.datetime64(int(change.source.created.nanoseconds[change.rows[sequel.last_change - 1]]), "ns")
    return f" (after {str(before)[:16].replace('T', ' ')} UTC)"


def lost(tokens: float) -> str:
    """Say what is lost."""
    return f"{tokens:,.0f} tokens per request"
