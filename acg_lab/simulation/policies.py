"""What input costs without a cache, as it was, under a change, and at the limit, side by side.

Invariant: read, written and uncached tokens of one policy add up to the same prompts, and the parts of a cost to it.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.simulation.costs import CachedTokens
from acg_lab.simulation.result import CacheSimulation

__all__ = ["AS_IT_WAS", "LIMIT", "NO_CACHING", "TRIED", "PolicyCost", "compare_policies"]

NO_CACHING: Final = "no caching"
AS_IT_WAS: Final = "as it was"
TRIED: Final = "tried"
LIMIT: Final = "limit"


class PolicyCost(NamedTuple):
    """What the prompts of some requests cost under one policy.

    Attributes
    ----------
    policy : str
        ``no caching``, ``as it was``, the name of a change, or ``limit``.
    agent_id : str
    n_requests, tokens : int
        Requests that were answered, and the tokens of their prompts.
    read, written, uncached : int
        The parts of ``tokens``.
    read_cost, written_cost, uncached_cost, cost : float
        What these cost, and their sum, in ``currency``; NaN where no rate is known.
    currency : {"USD", "uncached tokens"}
        US dollars where every request of the agent has a price.
    """

    policy: str
    agent_id: str
    n_requests: int
    tokens: int
    read: int
    written: int
    uncached: int
    read_cost: float
    written_cost: float
    uncached_cost: float
    cost: float
    currency: str


def compare_policies(sim: CacheSimulation, name: str = TRIED, *, money: bool | None = None) -> list[PolicyCost]:
    """Return the cost of every policy, agent by agent.

    Parameters
    ----------
    sim : CacheSimulation
    name : str
        Of the change, if one is simulated.
    money : bool, optional
        In US dollars or in uncached tokens; dollars for each agent that has prices when left out.
    """
    return [row for agent_id, of in sim.by_agent().items() for row in _of_agent(of, agent_id, name, money)]


def _of_agent(sim: CacheSimulation, agent_id: str, name: str, money: bool | None) -> Iterator[PolicyCost]:  # noqa: FBT001
    history = sim.history
    has_prices = not np.isnan(history.rates[0].uncached[sim.rows[~sim.failed]]).any() if money is None else money
    yield _cost(sim, agent_id, NO_CACHING, None, has_prices=has_prices)
    yield _cost(sim, agent_id, AS_IT_WAS, history.as_was, has_prices=has_prices)
    if history.is_change:
        yield _cost(sim, agent_id, name, history.tokens, has_prices=has_prices)
    yield _cost(sim, agent_id, LIMIT, history.at_limit, has_prices=has_prices)


def _cost(
    sim: CacheSimulation, agent_id: str, policy: str, tokens: CachedTokens | None, *, has_prices: bool
) -> PolicyCost:
    rows = sim.rows[~sim.failed]
    history = sim.history
    rates = history.rates[0 if has_prices else 1]
    prompt = history.prompt[rows]
    read = np.zeros_like(prompt) if tokens is None else tokens.read[rows]
    by_ttl = np.zeros((len(rows), len(history.ttls)), np.int64) if tokens is None else tokens.written[rows]
    written = by_ttl.sum(axis=1)
    uncached = prompt - read - written
    parts = (
        _sum(read, rates.read[rows]),
        float(sum(_sum(by_ttl[:, ttl], rates.written[rows, ttl]) for ttl in range(len(history.ttls)))),
        _sum(uncached, rates.uncached[rows]),
    )
    currency = "USD" if has_prices else "uncached tokens"
    return PolicyCost(
        policy=policy,
        agent_id=agent_id,
        n_requests=len(rows),
        tokens=int(prompt.sum()),
        read=int(read.sum()),
        written=int(written.sum()),
        uncached=int(uncached.sum()),
        read_cost=parts[0],
        written_cost=parts[1],
        uncached_cost=parts[2],
        cost=sum(parts),
        currency=currency,
    )


def _sum(tokens: NDArray[np.int64], rates: NDArray[np.float64]) -> float:
    """Return what tokens cost; those that do not occur need no rate."""
    used = tokens != 0
    return float((tokens[used] * rates[used]).sum())
