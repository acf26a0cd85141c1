"""What each agent pays for input: one row per agent."""

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from acg_lab.core.errors import UsageError
from acg_lab.diagnosis.agent_costs import AgentCost, summarize_costs
from acg_lab.diagnosis.miss_words import describe_miss
from acg_lab.frames.columns import make_frame
from acg_lab.simulation import CacheSimulation

__all__ = ["AGENT_COSTS", "agent_costs"]

_COUNTS: Final = ("requests", "without_usage", "failed", "without_price")  # n_* of an AgentCost
AGENT_COSTS: Final = {
    "agent_id": "names",
    **dict.fromkeys((*_COUNTS, "tokens"), "int64"),
    **dict.fromkeys(("read_share", "cost", "limit", "lost"), "float64"),
    **dict.fromkeys(("cost_tokens", "limit_tokens", "lost_tokens", "full_tokens"), "float64"),
    "cause": "verdict",
    "kind": "change",
    "block": "str",
    "words": "str",
}


def agent_costs(data: CacheSimulation | Sequence[AgentCost]) -> pd.DataFrame:
    """Return one row per agent: what its input cost as billed, what it lost, and what most of the loss is for.

    Parameters
    ----------
    data : CacheSimulation or sequence of AgentCost
        Read, never changed.

    Returns
    -------
    DataFrame
        Dearest loss first. agent_id; requests, without_usage, failed, without_price (number); tokens (of all prompts);
        read_share; cost, limit, lost (US dollars: as billed, at the limit, the difference; NaN without a price);
        cost_tokens, limit_tokens, lost_tokens, full_tokens (the same in uncached tokens, and without a cache); cause,
        kind, block, words (of the dearest miss; missing or empty if there is none).

    Raises
    ------
    UsageError
        If it is neither.

    Examples
    --------
    >>> import acg_lab as acg
    >>> sim = acg.simulate(acg.load("data/sample", agent_id="support-mail"))
    >>> acg.frames.agent_costs(sim)[["agent_id", "requests", "words"]].to_numpy().tolist()
    [['support-mail', 293, 'breakpoint ends before system prompt']]
    """
    costs = summarize_costs(data) if isinstance(data, CacheSimulation) else data
    if not isinstance(costs, Sequence) or not all(isinstance(cost, AgentCost) for cost in costs):
        msg = f"Expected a CacheSimulation (of acg.simulate), or costs of agents; got {type(data).__name__}."
        raise UsageError(msg)
    worst = [cost.worst for cost in costs]
    values: dict[str, Any] = {name: [getattr(cost, f"n_{name}") for cost in costs] for name in _COUNTS}
    values |= {
        "cause": [None if miss is None else miss.cause.value for miss in worst],
        "kind": [None if miss is None or miss.kind is None else miss.kind.value for miss in worst],
        "block": ["" if miss is None else miss.block for miss in worst],
        "words": ["" if miss is None else describe_miss(miss) for miss in worst],
    }
    values |= {name: [getattr(cost, name) for cost in costs] for name in AGENT_COSTS if name not in values}
    return make_frame(AGENT_COSTS, values)
