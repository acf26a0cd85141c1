"""Sweeps of agents that were priced apart, with the same settings, put together: costs of agents add up.

Of an agent with more than 64 runs, neighbours in time are kept as one group, so that what is kept of an agent is small.
Groups are whole runs, and are judged and drawn again as one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from acg_lab._format import counted
from acg_lab.advice.current import current_settings
from acg_lab.advice.evaluation import Evaluation, SettingPoints, acts_in
from acg_lab.advice.run_costs import AgentRunCosts, RunCosts
from acg_lab.advice.setting_grid import SettingGrid
from acg_lab.advice.sweep import Sweep
from acg_lab.config.settings import AcgSettings
from acg_lab.core.errors import UsageError
from acg_lab.history.replay import replay
from acg_lab.snapshot.snapshot import Snapshot

if TYPE_CHECKING:
    from acg_lab.providers.rules import CacheProvider

__all__ = ["AgentPrices", "join_prices", "price_agent"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_MOST_GROUPS: Final = 64  # of an agent


class AgentPrices(msgspec.Struct, frozen=True, kw_only=True):
    """What common settings cost for one agent; arrays as bytes, little-endian.

    Attributes
    ----------
    agent_id : str
    acts : bool
        Whether the governor places breakpoints now.
    n_requests : int
    starts : bytes
        When the first run of each group began: int64.
    numbers : bytes
        Number of the breakpoints of each setting: int32.
    costs : bytes
        By number, three rows per group as in `AgentRunCosts`: float64.
    without_cache : bytes
        The same at full price.
    """

    agent_id: str
    acts: bool
    n_requests: int
    starts: bytes
    numbers: bytes
    costs: bytes
    without_cache: bytes

    def to_run_costs(self) -> AgentRunCosts:
        """Return the costs as arrays."""
        starts = np.frombuffer(self.starts, "<i8").astype(np.int64)
        costs = np.frombuffer(self.costs, "<f8").reshape(-1, 3, len(starts))
        full = np.frombuffer(self.without_cache, "<f8").reshape(3, len(starts))
        return AgentRunCosts(self.agent_id, self.n_requests, starts, dict(enumerate(costs)), full)


def price_agent(
    snapshot: Snapshot, grid: SettingGrid, current: AcgSettings, cache_provider: "CacheProvider | str" = "auto"
) -> AgentPrices | None:
    """Return what settings cost for the agent of a snapshot; None where no request of it can be replayed.

    Parameters
    ----------
    snapshot : Snapshot
        Of one agent.
    grid : SettingGrid
        The same for all agents; its first setting is the current one.
    current : AcgSettings
        What the governor runs with. Without a provider it is inferred from the agent's bills whether it acts.
    cache_provider : str or CacheProvider
        As in `acg_lab.simulate`.
    """
    trace = replay(snapshot, window=current.observation_window, progress=False)
    if not len(trace):
        return None
    now = current_settings(snapshot, trace, current)
    evaluation = Evaluation(trace, now, grid.windows, cache_provider)
    numbers = evaluation.number(_with_current(grid.points, acts=acts_in(now)))
    evaluation.price(numbers)
    (priced,) = evaluation.priced
    groups, starts = _group(priced.starts)
    distinct, codes = np.unique(numbers[:, 0], return_inverse=True)
    costs = np.stack([_add_up(priced.costs[number], groups, len(starts)) for number in distinct.tolist()])
    return AgentPrices(
        agent_id=priced.agent_id,
        acts=acts_in(now),
        n_requests=priced.n_requests,
        starts=starts.astype("<i8").tobytes(),
        numbers=codes.reshape(-1).astype("<i4").tobytes(),
        costs=costs.astype("<f8").tobytes(),
        without_cache=_add_up(priced.without_cache, groups, len(starts)).astype("<f8").tobytes(),
    )


def join_prices(grid: SettingGrid, current: AcgSettings, agents: Sequence[AgentPrices]) -> Sweep:
    """Return the sweep of several agents that share their settings, as the agents of a process do.

    Raises
    ------
    UsageError
        If there are no agents.
    """
    if not agents:
        msg = "There are no settings to compare: no agent has requests that can be replayed."
        raise UsageError(msg)
    acts = any(agent.acts for agent in agents)
    costs = RunCosts([agent.to_run_costs() for agent in agents], "group")
    numbers = np.stack([np.frombuffer(agent.numbers, "<i4") for agent in agents], axis=1).astype(np.int64)
    _, plans = np.unique(numbers, axis=0, return_inverse=True)
    by_agent = costs.cost_by_agent(numbers)
    return Sweep(
        current=current.replace(provider="anthropic" if acts else "passthrough"),
        points=_with_current(grid.points, acts=acts),
        above=grid.above,
        upto=grid.upto,
        plans=plans.reshape(-1),
        cost=by_agent.sum(axis=1),
        cost_by_agent=by_agent,
        agent_ids=costs.agent_ids,
        cost_without_cache_by_agent=costs.cost_without_cache,
        currency=costs.currency,
        complete=True,
        remarks=(*grid.remarks, *_mixed(agents)),
        evaluation=costs,
        numbers=numbers,
    )


def _mixed(agents: Sequence[AgentPrices]) -> Sequence[str]:
    n_resting = sum(not agent.acts for agent in agents)
    if n_resting in (0, len(agents)):
        return ()
    return (f"nothing shows that the governor acts for {counted(n_resting, 'agent')}: they cost now what was billed",)


def _with_current(points: SettingPoints, *, acts: bool) -> SettingPoints:
    """Return settings of which the first, the current one, acts or does not."""
    changed = points.acts.copy()
    changed[0] = acts
    return SettingPoints(stable=points.stable, minimums=points.minimums, windows=points.windows, acts=changed)


def _group(starts: Ints) -> tuple[Ints, Ints]:
    """Return the group of each run, and when the first run of each group began; runs are in order of time."""
    size = -(-len(starts) // _MOST_GROUPS)
    groups = np.arange(len(starts)) // size
    return groups, starts[::size]


def _add_up(costs: Floats, groups: Ints, n_groups: int) -> Floats:
    return np.stack([np.bincount(groups, row, n_groups) for row in costs])
