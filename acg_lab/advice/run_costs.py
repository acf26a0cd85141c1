"""The cost of runs at settings that were priced, agent by agent; what a choice of settings is judged on.

Costs of agents add up, so those of a fleet can be put together from what was priced in many processes.

Invariant: agents are in the order of ``agent_ids``, and the runs of an agent in order of time.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.config.settings import AcgSettings
from acg_lab.core.planner import PlanReason

__all__ = ["AgentRunCosts", "RunCosts"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_READ: Final = 2  # row of the tokens that are read


class AgentRunCosts(NamedTuple):
    """What the runs of one agent cost.

    Attributes
    ----------
    agent_id : str
    n_requests : int
    starts : array of int64, shape (n_runs,)
        When the first request of each run was sent.
    costs : dict of int to array of float64, shape (3, n_runs)
        By number of the breakpoints: US dollars, uncached tokens, tokens that are read.
    without_cache : array of float64, shape (3, n_runs)
        At full price.
    """

    agent_id: str
    n_requests: int
    starts: Ints
    costs: dict[int, Floats]
    without_cache: Floats


class RunCosts:
    """The cost of runs at the settings that were priced.

    Parameters
    ----------
    agents : sequence of AgentRunCosts
    unit : str
        What a run here is: one run, or several that are taken as one.

    Attributes
    ----------
    priced : tuple of AgentRunCosts
    agent_ids : tuple of str
        Agents in the order of the costs.
    run_agents, run_starts : array of int64
        Agent of each run, and when its first request was sent.
    n_requests : int
    currency : {"USD", "uncached tokens"}
    """

    def __init__(self, agents: Sequence[AgentRunCosts], unit: str = "run") -> None:
        self.priced = tuple(agents)
        self.unit = unit
        self.agent_ids = tuple(agent.agent_id for agent in agents)
        self.run_agents = np.repeat(np.arange(len(agents)), [len(agent.starts) for agent in agents])
        self.run_starts = np.concatenate([np.zeros(0, np.int64), *(agent.starts for agent in agents)])
        self.n_requests = sum(agent.n_requests for agent in agents)
        has_prices = sum(float(agent.without_cache[0].sum()) for agent in agents) > 0
        self.currency = "USD" if has_prices else "uncached tokens"

    def cost_of_runs(self, number: Ints, *, in_tokens: bool = False) -> Floats:
        """Return the cost of each run at one setting, shape (n_runs,); NaN where it was not simulated."""
        row = self._row(in_tokens=in_tokens)
        found = [np.zeros(0)]
        for agent, one in zip(self.priced, number.tolist(), strict=True):
            cost = agent.costs.get(one)
            found.append(np.full(len(agent.starts), np.nan) if cost is None else cost[row])
        return np.concatenate(found)

    def cost_of_runs_without_cache(self, *, in_tokens: bool = False) -> Floats:
        """Return the cost of each run at full price, shape (n_runs,)."""
        row = self._row(in_tokens=in_tokens)
        return np.concatenate([np.zeros(0), *(agent.without_cache[row] for agent in self.priced)])

    def cost_of_groups(self, numbers: Ints, groups: Ints, n_groups: int, *, in_tokens: bool = False) -> Floats:
        """Return the cost of groups of runs at each setting, shape (n_settings, n_groups), NaN where unknown."""
        row = self._row(in_tokens=in_tokens)
        total = np.zeros((len(numbers), n_groups))
        ends = np.cumsum([len(agent.starts) for agent in self.priced])
        for column, (agent, of_runs) in enumerate(zip(self.priced, np.split(groups, ends[:-1]), strict=True)):
            by_number = np.full((_n_distinct(agent, numbers[:, column]), n_groups), np.nan)
            for number, cost in agent.costs.items():
                by_number[number] = np.bincount(of_runs, cost[row], n_groups)
            total += by_number[numbers[:, column]]
        return total

    def cost_by_agent(self, numbers: Ints, *, in_tokens: bool = False) -> Floats:
        """Return the cost of each setting by agent, shape (n_settings, n_agents); NaN where it was not simulated."""
        return self._by_agent(numbers, self._row(in_tokens=in_tokens))

    def read_by_agent(self, numbers: Ints) -> Floats:
        """Return the tokens that are read, as `cost_by_agent`."""
        return self._by_agent(numbers, _READ)

    def _by_agent(self, numbers: Ints, row: int) -> Floats:
        found = np.full(numbers.shape, np.nan)
        for column, agent in enumerate(self.priced):
            by_number = np.full(_n_distinct(agent, numbers[:, column]), np.nan)
            for number, cost in agent.costs.items():
                by_number[number] = cost[row].sum()
            found[:, column] = by_number[numbers[:, column]]
        return found

    @property
    def cost_without_cache(self) -> Floats:
        """The cost of each agent at full price."""
        row = self._row(in_tokens=False)
        return np.array([agent.without_cache[row].sum() for agent in self.priced])

    def why_nothing(self, settings: AcgSettings) -> PlanReason | None:  # noqa: ARG002  where a history is at hand
        """Return why most requests would get no breakpoint with settings; None where it is not known."""
        return None

    def _row(self, *, in_tokens: bool) -> int:
        return 0 if self.currency == "USD" and not in_tokens else 1


def _n_distinct(agent: AgentRunCosts, numbers: Ints) -> int:
    """Return how many numbers of breakpoints there are, priced or not."""
    return 1 + max(int(numbers.max(initial=0)), max(agent.costs, default=0))
