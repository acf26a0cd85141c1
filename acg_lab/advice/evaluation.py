"""The cost of every setting for every agent, run by run: settings that plan the same are simulated once.

A setting is priced for each agent apart, since agents share no cache. What was priced stays when the work is
interrupted.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from acg_lab.advice.plan_codes import PlanCodes
from acg_lab.advice.planned_breakpoints import NO_BREAKPOINTS, PlannedBreakpoints
from acg_lab.advice.run_costs import AgentRunCosts, RunCosts
from acg_lab.advice.setting_costs import AgentRequests, take_agent
from acg_lab.config.settings import AcgSettings
from acg_lab.core.planner import PlanReason
from acg_lab.history.lookup import ReplayedHistory
from acg_lab.history.replay import walk_history
from acg_lab.history.trace import Trace
from acg_lab.simulation.plans import PlannedRequest, plan_history
from acg_lab.simulation.simulate import simulate
from acg_lab.storage.cores import run_on_cores

if TYPE_CHECKING:
    from acg_lab.providers.rules import CacheProvider

__all__ = ["Evaluation", "SettingPoints", "acts_in", "walk_more"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Progress = Callable[[int, int], object]
_ON_THE_WAY: Final = (PlanReason.NOTHING_LEARNED, PlanReason.ONE_OBSERVATION, PlanReason.PLANNED)
_PLANNING: Final = "anthropic"  # the only provider setting under which the governor places breakpoints


def acts_in(settings: AcgSettings) -> bool:
    """Whether the governor places breakpoints with these settings."""
    return settings.provider == _PLANNING


@dataclass(frozen=True, eq=False, kw_only=True)
class SettingPoints:
    """Settings as columns, one row per setting.

    Attributes
    ----------
    stable : array of float64
    minimums, windows : array of int64
        ``min_observations_for_full_confidence`` and ``observation_window``.
    acts : array of bool
        Whether the governor places breakpoints.
    """

    stable: Floats
    minimums: Ints
    windows: Ints
    acts: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.stable)


def walk_more(trace: Trace, windows: Sequence[int]) -> tuple[ReplayedHistory, ...]:
    """Return the histories of a trace, walked with further observation windows."""
    missing = [window for window in windows if window not in trace.windows]
    if not missing:
        return trace.parts
    walked = (walk_history(part.history, missing, lambda *_: None) for part in trace.parts)
    return tuple(
        replace(part, results={**part.results, **more.results}) for part, more in zip(trace.parts, walked, strict=True)
    )


class Evaluation(RunCosts):
    """Prices settings on a recorded history.

    Attributes
    ----------
    sim : CacheSimulation
        The history as it was.
    """

    def __init__(
        self, trace: Trace, config: AcgSettings, windows: Sequence[int], cache_provider: "CacheProvider | str" = "auto"
    ) -> None:
        now = config.observation_window
        if now not in trace.windows:
            trace = replace(trace, parts=walk_more(trace, (now,)), windows=(*trace.windows, now))
        self.sim = base = simulate(trace, config=config, cache_provider=cache_provider)
        self._agents: list[AgentRequests] = []
        self._planned: list[PlannedBreakpoints] = []
        self._parts = parts = walk_more(trace, windows)
        shifts = [0, *accumulate(len(part.profile) for part in parts)]
        codes = [PlanCodes(part) for part in parts]
        requests, recorded = base.history.requests, base.history.plans
        kept = np.zeros(len(requests), bool)
        kept[base.rows] = True
        priced = []
        for code in np.unique(requests.agents[base.rows]).tolist():
            rows = np.flatnonzero(requests.agents == code)
            runs, first, local = np.unique(requests.runs[rows], return_index=True, return_inverse=True)
            order = np.argsort(first, kind="stable")
            rank = np.empty(len(runs), np.int64)
            rank[order] = np.arange(len(runs))
            groups = np.where(kept[rows], rank[local.reshape(-1)], len(runs))
            one = take_agent(base.history, rows, groups, len(runs) + 1, recorded)
            steps = requests.steps[rows]
            part = int(np.searchsorted(shifts, steps.max(initial=0), side="right")) - 1
            own = np.where(steps >= 0, steps - shifts[part], -1)
            self._agents.append(one)
            self._planned.append(PlannedBreakpoints(one.requests, codes[part], own))
            starts = requests.started[rows][first[order]].astype(np.int64)
            n_requests = int(np.count_nonzero(kept[rows]))
            full = one.cost_without_cache[:, : len(runs)]
            priced.append(AgentRunCosts(requests.agent_ids[code], n_requests, starts, {}, full))
        super().__init__(priced)

    def number(self, points: SettingPoints) -> Ints:
        """Return the number of the breakpoints that each setting leads to, shape (n_settings, n_agents)."""
        found = np.full((len(points), len(self._agents)), NO_BREAKPOINTS, np.int64)
        for window in np.unique(points.windows[points.acts]).tolist():
            mine = np.flatnonzero(points.acts & (points.windows == window))
            thresholds, column = np.unique(points.stable[mine], return_inverse=True)
            minimums = points.minimums[mine]
            for agent, planned in enumerate(self._planned):
                numbers = planned.number(thresholds, np.unique(minimums).tolist(), window)
                for minimum, of_minimum in numbers.items():
                    at = minimums == minimum
                    found[mine[at], agent] = of_minimum[column.reshape(-1)[at]]
        return found

    def price(self, numbers: Ints, on_progress: Progress | None = None, n_jobs: int = 1) -> bool:
        """Simulate the breakpoints that have no cost yet, in the order of the settings.

        Returns
        -------
        bool
            False if the work was interrupted.
        """
        distinct = {pair: None for row in numbers.tolist() for pair in enumerate(row)}
        missing = [(agent, number) for agent, number in distinct if number not in self.priced[agent].costs]
        tasks = ((self._agents[agent], self._planned[agent].breakpoints(number)) for agent, number in missing)
        try:
            with run_on_cores(_cost, tasks, n_jobs) as costs:
                for (agent, number), cost in zip(missing, costs, strict=True):
                    self.priced[agent].costs[number] = cost[:, : len(self.priced[agent].starts)]
                    if on_progress is not None:
                        on_progress(1, len(missing))
        except KeyboardInterrupt:
            return False
        return True

    @property
    def prompt_tokens(self) -> Floats:
        """The prompt tokens of each agent."""
        return np.array([agent.prompt_tokens[:-1].sum() for agent in self._agents])

    def why_nothing(self, settings: AcgSettings) -> PlanReason:
        """Return why most requests would get no breakpoint with settings whose window was walked."""
        plans = (plan for part in self._parts for plan in _plans_of(part, settings))
        counts = Counter(plan.reason for plan in plans if plan.reason not in _ON_THE_WAY)
        return counts.most_common(1)[0][0] if counts else PlanReason.NOTHING_LEARNED

    @property
    def cost_as_was(self) -> Floats:
        """The cost of each agent as billed."""
        return self._known("cost_as_was")

    def _known(self, name: str) -> Floats:
        row = self._row(in_tokens=False)
        return np.array([getattr(agent, name)[row, :-1].sum() for agent in self._agents])

    @property
    def n_simulated(self) -> int:
        """How many distinct sets of breakpoints were simulated."""
        return sum(len(agent.costs) for agent in self.priced)


def _plans_of(part: ReplayedHistory, settings: AcgSettings) -> Sequence[PlannedRequest]:
    return plan_history(part, settings.thresholds, settings.observation_window)


def _cost(task: tuple[AgentRequests, tuple[Ints, Ints]]) -> Floats:
    agent, planned = task
    return agent.cost(planned)
