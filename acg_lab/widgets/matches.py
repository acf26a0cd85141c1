"""How many requests repeated the whole stable prefix, by setting and agent; a drag asks often, so answers are kept."""

from collections import OrderedDict
from typing import Final

from acg_lab.config import AcgSettings
from acg_lab.history import Trace
from acg_lab.widgets.prefixes import Matched, count_matched

__all__ = ["MatchCounts"]

_COUNTS_KEPT: Final = 32
_TRACES_KEPT: Final = 8


class MatchCounts:
    """Counts matching requests, and keeps the last counts and the traces of the last agents."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[float, int, str | None], Matched] = OrderedDict()
        self._traces: OrderedDict[tuple[int, str], Trace | None] = OrderedDict()

    def count(self, trace: Trace, settings: AcgSettings, agent_id: str | None) -> Matched:
        """Return how many of an agent's requests matched their prefix; None is every agent."""
        size, thresholds = settings.observation_window, settings.thresholds
        key = (thresholds.stable_threshold, size, agent_id)
        if key not in self._counts:
            of_agent = trace if agent_id is None else self._trace_of(trace, size, agent_id)
            self._counts[key] = count_matched(of_agent, thresholds, size) if of_agent else Matched(0, 0)
            if len(self._counts) > _COUNTS_KEPT:
                self._counts.popitem(last=False)
        else:
            self._counts.move_to_end(key)
        return self._counts[key]

    def _trace_of(self, trace: Trace, size: int, agent_id: str) -> Trace | None:
        """Return the steps of one agent, None if there are none."""
        if (size, agent_id) not in self._traces:
            is_known = any(profile.agent_id == agent_id for profile in trace.profiles)
            self._traces[size, agent_id] = trace.select(agent_id=agent_id) if is_known else None
            if len(self._traces) > _TRACES_KEPT:
                self._traces.popitem(last=False)
        return self._traces[size, agent_id]

    def clear(self) -> None:
        """Forget everything."""
        self._counts.clear()
        self._traces.clear()
