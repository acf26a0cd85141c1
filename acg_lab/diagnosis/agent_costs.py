"""What each agent pays for input, what it could pay, and what most of the difference is for.

Invariant: agents come dearest loss first, in the one order that all tables share.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from acg_lab.diagnosis.misses import Miss, find_misses
from acg_lab.simulation.result import CacheSimulation

__all__ = ["AgentCost", "ProfileCost", "add_costs", "order_agents", "sum_profiles", "summarize_costs"]


class AgentCost(NamedTuple):
    """The input cost of one agent.

    Attributes
    ----------
    agent_id : str
    n_requests, n_without_usage, n_failed, n_without_price : int
        All requests; those that no bill states, that were answered by an error, whose model has no price.
    tokens : int
        Of all prompts.
    read_share : float
        Share of them that was read, of the requests that a bill or known rules of the cache speak of; NaN without any.
    cost, limit, lost : float
        In US dollars, over the requests that have a price: as billed, at the limit, and the difference; NaN where no
        request has a price.
    cost_tokens, limit_tokens, lost_tokens, full_tokens : float
        The same in uncached tokens, over the requests with known rates, and without a cache.
    worst : Miss or None
        The dearest of its misses.
    """

    agent_id: str
    n_requests: int
    n_without_usage: int
    n_failed: int
    n_without_price: int
    tokens: int
    read_share: float
    cost: float
    limit: float
    lost: float
    cost_tokens: float
    limit_tokens: float
    lost_tokens: float
    full_tokens: float
    worst: Miss | None

    @property
    def has_prices(self) -> bool:
        """Whether any request has a price."""
        return not np.isnan(self.cost)


def summarize_costs(sim: CacheSimulation, misses: Sequence[Miss] | None = None) -> list[AgentCost]:
    """Return the costs of all agents of a simulation, dearest loss first.

    Parameters
    ----------
    sim : CacheSimulation
        Costs as it was; a change that it simulates is left aside.
    misses : sequence of Miss, optional
        Those of ``sim``, where they are known already.
    """
    worst: dict[str, Miss] = {}
    for miss in find_misses(sim) if misses is None else misses:
        worst.setdefault(miss.agent_id, miss)
    found = {agent_id: _of_agent(agent_id, of_agent, worst) for agent_id, of_agent in sim.by_agent().items()}
    return [found[agent_id] for agent_id in order_agents(found)]


def order_agents(costs: Mapping[str, AgentCost]) -> list[str]:
    """Return agents dearest loss first: by money; those without prices follow, by tokens."""
    return sorted(
        costs, key=lambda a: (not costs[a].has_prices, -costs[a].lost, -np.nan_to_num(costs[a].lost_tokens), a)
    )


def add_costs(costs: Sequence[AgentCost]) -> AgentCost:
    """Return the costs of several agents together, named ``total``; money over those that have prices."""
    tokens = np.array([cost.tokens for cost in costs], float)
    shares = np.array([cost.read_share for cost in costs], float)
    known = ~np.isnan(shares)
    in_money = any(cost.has_prices for cost in costs)

    def dollars(amounts: Sequence[float]) -> float:
        return float(np.nansum(amounts)) if in_money else float("nan")

    return AgentCost(
        agent_id="total",
        n_requests=sum(cost.n_requests for cost in costs),
        n_without_usage=sum(cost.n_without_usage for cost in costs),
        n_failed=sum(cost.n_failed for cost in costs),
        n_without_price=sum(cost.n_without_price for cost in costs),
        tokens=int(tokens.sum()),
        read_share=float((tokens * shares)[known].sum() / tokens[known].sum()) if tokens[known].sum() else float("nan"),
        cost=dollars([cost.cost for cost in costs]),
        limit=dollars([cost.limit for cost in costs]),
        lost=dollars([cost.lost for cost in costs]),
        cost_tokens=float(np.nansum([cost.cost_tokens for cost in costs])),
        limit_tokens=float(np.nansum([cost.limit_tokens for cost in costs])),
        lost_tokens=float(np.nansum([cost.lost_tokens for cost in costs])),
        full_tokens=float(np.nansum([cost.full_tokens for cost in costs])),
        worst=None,
    )


def _of_agent(agent_id: str, sim: CacheSimulation, worst: Mapping[str, Miss]) -> AgentCost:
    answered = ~sim.failed
    no_price = np.isnan(sim.cost_as_was[answered])
    has_prices = bool(answered.any()) and not no_price.all()
    money, relative = sim.totals(), sim.totals(money=False)
    in_money = (money.as_was, money.limit, money.lost) if has_prices else (float("nan"),) * 3
    return AgentCost(
        agent_id,
        len(sim),
        int((answered & ~sim.billed).sum()),
        int(sim.failed.sum()),
        int(no_price.sum()),
        int(sim.tokens[answered].sum()),
        _read_share(sim),
        *in_money,
        relative.as_was,
        relative.limit,
        relative.lost,
        relative.without_cache,
        worst.get(agent_id),
    )


def _read_share(sim: CacheSimulation) -> float:
    """Return the share of prompt tokens that was read, as billed, else as simulated where the cache has known rules."""
    rows = sim.rows[~sim.failed & (sim.billed | (np.array(sim.cache_providers, dtype=object) != ""))]
    total = int(sim.history.prompt[rows].sum())
    return float(sim.history.as_was.read[rows].sum()) / total if total else float("nan")


class ProfileCost(NamedTuple):
    """The input cost of the requests that one profile learned from, as in `AgentCost`."""

    tokens: int
    read_share: float
    cost: float
    lost: float
    cost_tokens: float
    lost_tokens: float
    full_tokens: float


def sum_profiles(sim: CacheSimulation, groups: Mapping[str, Collection[str]]) -> dict[str, ProfileCost]:
    """Return the cost of groups of learning keys, by name; groups without a recorded request are left out."""
    rows_of: dict[str, list[int]] = {}
    for i, key in enumerate(sim.learning_keys):
        rows_of.setdefault(key, []).append(i)
    found = {}
    for name, keys in groups.items():
        rows = sorted(row for key in keys for row in rows_of.get(key, ()))
        if rows:
            of_group = replace(sim, rows=sim.rows[rows])
            cost = _of_agent(name, of_group, {})
            found[name] = ProfileCost(
                cost.tokens, cost.read_share, cost.cost, cost.lost, cost.cost_tokens, cost.lost_tokens, cost.full_tokens
            )
    return found
