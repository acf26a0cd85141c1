"""A simulated history with its verdicts: what the cache did with each request, and where the cause of it lies."""

from functools import cached_property

from acg_lab.simulation.columns import SimulatedHistory
from acg_lab.simulation.origins import Origins, find_origins
from acg_lab.simulation.verdicts import Verdicts, judge_requests
from acg_lab.storage._runtime import paused_collector

__all__ = ["JudgedHistory"]


class JudgedHistory(SimulatedHistory):
    """A simulated history with one verdict per request, judged on first use."""

    @cached_property
    def verdicts(self) -> Verdicts:
        """One verdict per request."""
        with paused_collector():
            return judge_requests(self)

    @cached_property
    def origins(self) -> Origins:
        """Where the cause of each verdict lies."""
        return find_origins(self.verdicts, self.parts, self.history.profiles)
