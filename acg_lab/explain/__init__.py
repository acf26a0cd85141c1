"""What breaks a prefix, why, and what mending it wins.

Belongs here: detectors of what changes, repairs as values, and snapshots as they would be with a repair. Pure functions
of a snapshot and settings. Imports core, storage's columns, snapshot and numpy.
"""

from acg_lab.explain import repairs
from acg_lab.explain.effects import Effect, Extent, effect
from acg_lab.explain.what_if import RepairedSnapshot, what_if

__all__ = ["Effect", "Extent", "RepairedSnapshot", "effect", "repairs", "what_if"]
