"""Word findings in plain sentences, from numbers and names.

Invariant: span ids and names of agents, models and tools are shown as they are; prompt text never is.
"""

import numpy as np

from acg_lab._format import counted
from acg_lab.diagnosis.block_history import BlockHistory, ChangeHistory
from acg_lab.diagnosis.finding import Kind, Timing

__all__ = [
    "KIND_LABELS",
    "describe_alternation",
    "describe_change",
    "describe_moment",
    "describe_slots",
    "name_others",
    "to_sentence",
    "tokens_per_request",
]

_MAX_SLOTS = 3  # that a sentence names
_MAX_NAMED = 8  # slots; of more only the first and the last place are said

# For tables, beside the breaking block.
KIND_LABELS = {
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
    Kind.REORDERED: "another order",
    Kind.APPENDED: "text appended",
    Kind.UNICODE_FORM: "Unicode form",
    Kind.PERSON: "person",
    Kind.LOCALE: "locale",
    Kind.RELATIVE_TIME: "relative time",
    Kind.CHECKLIST: "checklist",
    Kind.MEMORY: "memory",
    Kind.WORKING_DIRECTORY_STATE: "working directory",
    Kind.OPTIONAL_SENTENCE: "optional sentence",
    Kind.CHANGED_ONCE: "changed once",
    Kind.VARIANTS: "alternates",
    Kind.FEATURE_VARIANTS: "feature variants",
    Kind.FRAGMENTED_BY_FIRST_MESSAGE: "first message",
    Kind.MODEL_CHANGED: "model changed",
    Kind.RAW_BYTES_DIFFER: "sent differently",
    Kind.CACHE_MARKS: "cache marks",
    Kind.STABLE_START: "stable start",
    Kind.ARGUMENTS_REORDERED: "arguments reordered",
    Kind.CALL_IDS_CHANGED: "call ids changed",
    Kind.PART_LOST: "part lost",
    Kind.THINKING_DROPPED: "thinking dropped",
    Kind.IMAGE_REPLACED: "image replaced",
    Kind.RESULTS_CLEARED: "results cleared",
    Kind.SUMMARISED: "summarised",
    Kind.MOVING_WINDOW: "moving window",
    Kind.REDACTED: "redacted",
    Kind.UNKNOWN: "changes",
}


def to_sentence(clause: str) -> str:
    """Return a clause as a sentence."""
    return f"{clause[:1].upper()}{clause[1:]}."


def describe_change(block: BlockHistory, verb: str = "changes", past: str = "changed") -> str:
    """Describe when a block changes, as a predicate such as "changes in every request (12 contents in 12 requests)".

    Of tools the list changes, so the counts of one block's contents are left out.
    """
    n, distinct = len(block.rows), len(block.counts)
    counts = f"{counted(distinct, block.unit)} in {counted(n, 'request')}"
    match block.change_history.timing:
        case Timing.ONCE:
            ago = counted(n - (block.change_history.last_change or 0), "request")
            return f"{past} once, {ago} ago{describe_moment(block, block.change_history)}"
        case Timing.EVERY_REQUEST:
            how = f"in {'every' if distinct == n else 'nearly every'} request"
        case Timing.DRIFTING:
            how = "repeatedly"
        case _:
            how, counts = "alternately", f"{counts}, {n - max(block.counts.values()):,} without the dominant one"
    return f"{verb} {how}" if block.form.content_type == "tool_schema" else f"{verb} {how} ({counts})"


def describe_alternation(block: BlockHistory) -> str:
    """Describe between how many contents a block alternates, as a predicate."""
    n, contents = len(block.rows), counted(len(block.counts), block.unit)
    others = n - max(block.counts.values())
    return f"alternates between {contents} ({others:,} of {counted(n, 'request')} without the dominant one)"


def describe_moment(block: BlockHistory, change_history: ChangeHistory) -> str:
    """Return the time of the last request before the last change, in brackets; empty if there is no change."""
    if not change_history.last_change:
        return ""
    before = np.datetime64(int(block.source.created.nanoseconds[block.rows[change_history.last_change - 1]]), "ns")
    return f" (after {str(before)[:16].replace('T', ' ')} UTC)"


def describe_slots(block: BlockHistory) -> str:
    """Describe where the contents of a block differ, such as "60 of 6,120 characters, at offset 1,204 (38 values)".

    Offsets and lengths are those of the dominant content. Hashes in place of texts show no place.
    """
    template = block.template
    if block.source.is_redacted:
        return "its texts are redacted"
    if template is None or not template.slots:
        return "its texts are not recorded" if template is None else "by no known pattern"
    length = sum(slot.length for slot in template.slots)
    differ = f"{length:,} of {counted(len(block.dominant_text), 'character')} differ"
    if len(template.slots) > _MAX_NAMED:
        begin, end = (f"{slot.offset:,}" for slot in (template.slots[0], template.slots[-1]))
        return f"{differ} in {len(template.slots):,} places, the first at offset {begin} and the last at {end}"
    first = template.slots[:_MAX_SLOTS]
    places = [f"at offset {slot.offset:,} ({counted(len({*template.values(slot)}), 'value')})" for slot in first]
    more = len(template.slots) - len(first)
    places += [f"and {more:,} more places"] * (more > 0)
    return f"{differ}, {', '.join(places)}"


def name_others(n: int) -> str:
    """Return what a sentence calls the other changes.

    Examples
    --------
    >>> name_others(1), name_others(2)
    ('the other change', 'the 2 other changes')
    """
    return "the other change" if n == 1 else f"the {n:,} other changes"


def tokens_per_request(tokens: float) -> str:
    """Return a mean as "1,234 tokens per request"."""
    return f"{tokens:,.0f} tokens per request"
