r"""Plan repairs that mend the other causes of a change, to measure what one costs alone; they are never offered.

A slot is named by the text around it, so a plan may hold text of prompts: it stays inside an explanation.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TypeAlias

from acg_lab.diagnosis.block_history import BlockHistory
from acg_lab.diagnosis.finding import Kind
from acg_lab.diagnosis.mended_history import MendedText, MendedTools
from acg_lab.repairs.content_repairs import Pin, SortTools
from acg_lab.repairs.repairs import Repair
from acg_lab.repairs.text_template import Slot, Template

__all__ = ["Plan", "plan_mending", "plan_mending_all"]

Plan: TypeAlias = tuple[Repair, ...]
_NEAR = 64  # characters around a slot that name it


def plan_mending_all(blocks: Sequence[BlockHistory], keys: tuple[str, ...]) -> Plan:
    """Return repairs that mend all that varies in some blocks; lists of tools are left as they are."""
    spans = dict.fromkeys(block.span_id for block in blocks if not isinstance(block, MendedTools))
    return tuple(Pin(span_id=span_id, learning_keys=keys) for span_id in spans)


def plan_mending(others: Sequence[tuple[BlockHistory, Kind]], left: BlockHistory, keys: tuple[str, ...]) -> Plan:
    """Return repairs that mend other causes and leave one; none where no repair is known for one of them.

    Parameters
    ----------
    others : sequence of (BlockHistory, Kind)
        The histories and kinds of the other causes.
    left : BlockHistory
        The history of the cause that is left.
    keys : tuple of str
        The profiles that are repaired.
    """
    found: list[Repair] = []
    for span_id, of_span in groupby(sorted(others, key=lambda one: one[0].span_id), lambda one: one[0].span_id):
        causes = list(of_span)
        if isinstance(left, MendedTools) or any(isinstance(block, MendedTools) for block, _ in causes):
            if [kind for _, kind in causes] != [Kind.TOOLS_REORDERED]:
                return ()
            found.append(SortTools(learning_keys=keys))
        elif span_id != left.span_id:
            found.append(Pin(span_id=span_id, learning_keys=keys))
        else:
            pattern = _find_pattern([block for block, _ in causes if isinstance(block, MendedText)])
            if pattern is None:
                return ()
            found.append(Pin(span_id=span_id, pattern=pattern, learning_keys=keys))
    return tuple(found)


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
