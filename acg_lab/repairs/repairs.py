"""All repairs as one type, and the check that a value is one."""

from collections.abc import Sequence
from typing import Any, TypeAlias, get_args

from acg_lab.core.errors import UsageError
from acg_lab.repairs.content_repairs import (
    Drop,
    MergeProfiles,
    MoveToEnd,
    MoveToSystemPrompt,
    Pin,
    RemovePattern,
    SplitMessage,
    UseOneForm,
)
from acg_lab.repairs.order_repairs import SortItems, SortMessages, SortTools
from acg_lab.repairs.sending_repairs import AddBreakpoint, SetTtl, StaggerParallelRequests, UseAutomaticCaching

__all__ = ["Repair", "check_repairs"]

Repair: TypeAlias = (
    Pin
    | Drop
    | MoveToEnd
    | MoveToSystemPrompt
    | SortTools
    | SortItems
    | SortMessages
    | SplitMessage
    | UseOneForm
    | RemovePattern
    | MergeProfiles
    | AddBreakpoint
    | SetTtl
    | UseAutomaticCaching
    | StaggerParallelRequests
)


def check_repairs(value: Repair | Sequence[Repair]) -> tuple[Repair, ...]:
    """Return one repair, or several, as a tuple.

    Raises
    ------
    UsageError
        If one of them is not a repair; the message lists all repairs.
    """
    several: Sequence[Any] = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else (value,)
    repairs = tuple(several)
    for repair in repairs:
        if not isinstance(repair, get_args(Repair)):
            names = ", ".join(f"acg.repairs.{kind.__name__}" for kind in get_args(Repair))
            msg = f"A repair must be one of {names}, with its fields, or a sequence of them; got {repair!r}."
            raise UsageError(msg)
    return repairs
