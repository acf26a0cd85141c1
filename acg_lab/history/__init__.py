"""Replay: what production would have known before every recorded request, for all thresholds at once.

Belongs here: walking a history once, and answering any threshold from what was found. Imports the core, storage's
columns, snapshots and numpy.

=============== =====================================================================================
module          what it holds
=============== =====================================================================================
``replaying``   `replay`: from a snapshot to a trace
``history``     the shape of a history; ``from_runs``, ``from_windows``, ``reading`` make it
``order``       what is known when: overlapping runs, equal times, clocks that jump
``walk``        the walk over one profile, a pure function of plain arrays
``spans``       counting spans (rules before 0.8); ``exact``: counting exact prefixes (0.8)
``known``       one task a profile, and joining what their walks found
``levels``      from levels and thresholds to lengths
``trace``       `Trace`; ``steps`` its steps, ``part`` its numbers, ``results`` whole results
``merging``     joining traces
=============== =====================================================================================
"""

from acg_lab.history.history import HistoryProfile
from acg_lab.history.replay import replay
from acg_lab.history.trace import Trace, merge

__all__ = ["HistoryProfile", "Trace", "merge", "replay"]
