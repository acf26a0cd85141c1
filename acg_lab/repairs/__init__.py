"""Changes to prompts as values, and the snapshots production would have stored with them.

Pure functions of a snapshot and repairs; nothing here looks for what is wrong.
"""

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

__all__ = [
    "AddBreakpoint",
    "Drop",
    "MergeProfiles",
    "MoveToEnd",
    "MoveToSystemPrompt",
    "Pin",
    "RemovePattern",
    "SetTtl",
    "SortItems",
    "SortMessages",
    "SortTools",
    "SplitMessage",
    "StaggerParallelRequests",
    "UseAutomaticCaching",
    "UseOneForm",
]


def __dir__() -> list[str]:
    """Offer the public names to completion, and no module behind them."""
    return [name for name in globals() if name.startswith("__")] + __all__
