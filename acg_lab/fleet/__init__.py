"""Histories of many agents: incremental exports, and the joining of their pieces."""

from acg_lab.fleet.append import Appended, append_history
from acg_lab.fleet.compact import Compacted, compact_history

__all__ = ["Appended", "Compacted", "append_history", "compact_history"]
