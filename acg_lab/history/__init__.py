"""Replay recorded requests: what production would have known before each of them, for all thresholds at once.

================= ==================================================================================
module            what it does
================= ==================================================================================
``replay``        `replay`: from a snapshot to a trace
``history``       the shape of a history; ``build_history`` makes one from runs or windows
``visibility``    which runs each request knew: overlapping runs, equal times, clocks that jump
``walk``          slides a window over one profile; ``walk_types`` has what goes in and comes out
``span_counter``  counts spans (rules before 0.8); ``prefix_counter`` exact prefixes (0.8)
``tasks``         cuts a history into one task per profile, and joins their walks
``lookup``        what each request met, for any threshold
``trace``         `Trace`; ``merging`` puts traces together
================= ==================================================================================
"""

from acg_lab.history.history import HistoryProfile
from acg_lab.history.merging import merge
from acg_lab.history.replay import replay
from acg_lab.history.trace import Trace

__all__ = ["HistoryProfile", "Trace", "merge", "replay"]
