"""What breaks a prefix, why, and what mending it wins.

Belongs here: detectors of what changes, repairs as values, and snapshots as they would be with a repair. Pure functions
of a snapshot and settings. Imports core, storage's columns, snapshot, numpy,
and at call time dateutil (dates) and rapidfuzz (differences).
"""

import sys
from types import ModuleType

from acg_lab.explain import repairs
from acg_lab.explain.effects import Effect, Extent, effect
from acg_lab.explain.explaining import Causes, explain, find_causes
from acg_lab.explain.finding import Evidence, Finding, Kind, Timing
from acg_lab.explain.findings import Findings
from acg_lab.explain.what_if import RepairedSnapshot, what_if

__all__ = [
    "Causes",
    "Effect",
    "Evidence",
    "Extent",
    "Finding",
    "Findings",
    "Kind",
    "RepairedSnapshot",
    "Timing",
    "effect",
    "explain",
    "find_causes",
    "repairs",
    "what_if",
]


class _Room(ModuleType):
    """A room named as what it is for: once it is loaded, ``acg_lab.explain`` is the room, and may be called."""

    __call__ = staticmethod(explain)


sys.modules[__name__].__class__ = _Room
