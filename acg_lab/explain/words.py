"""Plain sentences.

Belongs here: the words of every sentence that an explanation says, made of numbers and names. Span ids and names of
agents, models and tools are shown as they are; prompt text never.
"""

from acg_lab.explain.change import Change
from acg_lab.explain.finding import Kind, Timing
from acg_lab.explain.timing import Sequel
from acg_lab.snapshot.model import counted

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
    Kind.UNKNOWN: "changes",
}


def sentence(text: str) -> str:
    """Make a sentence of a clause."""
    return f"{text[:1].upper()}{text[1:]}."


def when(change: Change) -> str:
    """Say when a block changes, to follow what changes."""
    n, distinct = len(change.rows), len(change.counts)
    of_all = f"{counted(distinct, 'content')} in {counted(n, 'request')}"
    match change.sequel.timing:
        case Timing.ONCE:
            ago = counted(n - (change.sequel.last_change or 0), "request")
            return f"once, {ago} ago{moment(change, change.sequel)}"
        case Timing.EVERY_REQUEST:
            return f"in {'every' if distinct == n else 'nearly every'} request ({of_all})"
        case Timing.DRIFTING:
            return f"time and again ({of_all})"
        case _:
            unusual = n - max(change.counts.values())
            return f"back and forth ({of_all}; the usual one is not in {unusual:,})"


def moment(change: Change, sequel: Sequel) -> str:
    """Say after which time something changed last: that of the last request before it; nothing where there is none."""
    at = sequel.last_change
    told = change.source.created.text(change.rows[at - 1]) if at else None
    return f" (after {told[:16].replace('T', ' ')} UTC)" if told else ""


def lost(tokens: float) -> str:
    """Say what is lost."""
    return f"{tokens:,.0f} tokens per request"
