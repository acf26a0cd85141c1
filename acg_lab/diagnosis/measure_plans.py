"""Plan repairs that mend all causes of a change, or all but one, to measure what that one costs."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from acg_lab.diagnosis.block_history import BlockHistory
from acg_lab.diagnosis.finding import Kind
from acg_lab.diagnosis.mended_history import MendedText
from acg_lab.repairs.content_repairs import Pin
from acg_lab.repairs.order_repairs import SortTools
from acg_lab.repairs.repairs import Repair

__all__ = ["Plan", "plan_mending", "plan_mending_all"]

Plan: TypeAlias = tuple[Repair, ...]
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
    if not beside:
        return elsewhere
    slots = tuple(sorted({number for block in beside for number in block.numbers}))
    if not elsewhere and len(beside) < len(others):
        return ()
    return (Pin(span_id=left.span_id, slots=slots, learning_keys=keys), *elsewhere)
