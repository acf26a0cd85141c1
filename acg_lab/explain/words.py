"""Plain sentences.

Belongs here: the words of every sentence that an explanation says, made of numbers and names. Span ids and names of
agents, models and tools are shown as they are; prompt text never.
"""

from acg_lab.explain.change import Change
from acg_lab.explain.finding import Kind, Timing
from acg_lab.snapshot.model import counted

__all__ = ["SHORT", "lost", "sentence", "when"]

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
    """Say when a block changes."""
    n, distinct = len(change.rows), len(change.counts)
    of_all = f"{counted(distinct, 'content')} in {counted(n, 'request')}"
    match change.sequel.timing:
        case Timing.ONCE:
            ago = n - (change.sequel.last_change or 0)
            return f"once, {counted(ago, 'request')} ago"
        case Timing.EVERY_REQUEST:
            return f"in every request or nearly so ({of_all})"
        case Timing.DRIFTING:
            return f"time and again, never back ({of_all})"
        case _:
            return f"back and forth ({of_all})"


def lost(tokens: float) -> str:
    """Say what is lost."""
    return f"{tokens:,.0f} tokens per request"
