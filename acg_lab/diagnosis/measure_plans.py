r"""Plan repairs that mend the other causes of a change, to measure what one costs alone; they are never offered.

A slot is named by the text around it, so a plan may hold text of prompts: it stays inside an explanation.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from acg_lab.diagnosis.block_history import BlockHistory
from acg_lab.diagnosis.finding import Kind
from acg_lab.diagnosis.mended_history import MendedText
from acg_lab.repairs.content_repairs import Pin, SortTools
from acg_lab.repairs.repairs import Repair
from acg_lab.repairs.text_template import Slot, Template

__all__ = ["Plan", "plan_mending", "plan_mending_all"]

Plan: TypeAlias = tuple[Repair, ...]
_NEAR: Final = 64  # characters around a slot that name it


_UNKNOWN_REPAIR: Final = (Kind.MODEL_CHANGED, Kind.TOOLS_ADDED, Kind.TOOLS_EDITED, Kind.TOOLS_REMOVED)
_Cause: TypeAlias = tuple[BlockHistory, Kind]


def plan_mending_all(causes: Sequence[_Cause], keys: tuple[str, ...]) -> Plan:
    """Return repairs that mend some causes, each with its history and kind; none if no repair of one is known."""
    if any(kind in _UNKNOWN_REPAIR for _, kind in causes):
        return ()
    pinned = dict.fromkeys(block.span_id for block, kind in causes if kind is not Kind.TOOLS_REORDERED)
    pins = [Pin(span_id=span_id, learning_keys=keys) for span_id in pinned]
    sorts = [SortTools(learning_keys=keys)] * any(kind is Kind.TOOLS_REORDERED for _, kind in causes)
    return (*pins, *sorts)


def plan_mending(others: Sequence[_Cause], left: BlockHistory, keys: tuple[str, ...]) -> Plan:
    """Return repairs that mend other causes and leave one; none if no repair of one of them is known.

    Parameters
    ----------
    others : sequence of (BlockHistory, Kind)
        The histories and kinds of the other causes.
    left : BlockHistory
        The history of the cause that is left.
    keys : tuple of str
        The profiles that are repaired.
    """
    beside = [block for block, _ in others if isinstance(block, MendedText) and block.span_id == left.span_id]
    elsewhere = plan_mending_all([one for one in others if one[0] not in beside], keys)
    if not beside or not isinstance(left, MendedText):
        return elsewhere
    pattern = _find_pattern(beside)
    if pattern is None or (not elsewhere and len(beside) < len(others)):
        return ()
    return (Pin(span_id=left.span_id, pattern=pattern, learning_keys=keys), *elsewhere)


def _find_pattern(causes: Sequence[MendedText]) -> str | None:
    """Return a regular expression that matches some slots in every text and nothing else; None if there is none."""
    template = causes[0].whole.template
    if template is None:
        return None
    wanted = sorted({slot for cause in causes for slot in cause.slots}, key=lambda slot: slot.offset)
    pattern = "|".join(_name_slots(template, wanted))
    search = re.compile(pattern)
    for number, text in enumerate(template.texts):
        places = [(slot.starts[number], slot.stops[number]) for slot in wanted]
        if [match.span() for match in search.finditer(text)] != places:
            return None
    return pattern


def _name_slots(template: Template, wanted: Sequence[Slot]) -> Iterator[str]:
    """Yield an expression for each slot: what stands between the texts before and after it."""
    text = template.texts[template.reference]
    stops = [0, *(slot.offset + slot.length for slot in template.slots)]
    starts = [*(slot.offset for slot in template.slots[1:]), len(text)]
    for slot, before, after in zip(template.slots, stops, starts, strict=False):
        if slot in wanted:
            lead = text[max(before, slot.offset - _NEAR) : slot.offset]
            end = slot.offset + slot.length
            tail = text[end : min(after, end + _NEAR)]
            yield (
                (f"(?<={re.escape(lead)})" if lead else r"\A")
                + "(?s:.*?)"
                + (f"(?={re.escape(tail)})" if tail else r"\Z")
            )
