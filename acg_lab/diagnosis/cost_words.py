"""The words for what an agent pays and loses, in the table of a command and in a report, and for what nobody knows.

Invariant: what is not known is called so; it is never a number.
"""

import numpy as np

from acg_lab._format import counted, money, percent, printable
from acg_lab.diagnosis.agent_costs import AgentCost
from acg_lab.diagnosis.miss_words import describe_miss
from acg_lab.diagnosis.repair_trials import MIN_SAVED
from acg_lab.simulation.result import CacheSimulation

__all__ = ["describe_amount", "describe_cause", "describe_read_share", "explain_unknown_reads"]


def describe_amount(dollars: float, tokens: float, full: float) -> str:
    """Return an amount of money; without a price a share of the cost without a cache; else that it is unknown.

    >>> describe_amount(2.04, 1e6, 2e6), describe_amount(float("nan"), 1e6, 2e6), describe_amount(float("nan"), 0, 0)
    ('$2.04', '50%', 'unknown')
    """
    if dollars == dollars:  # noqa: PLR0124  not NaN
        return money(dollars)
    return percent(tokens / full) if full > 0 else "unknown"


def describe_read_share(share: float) -> str:
    """Return the share of an agent's tokens that was read.

    >>> describe_read_share(0.334), describe_read_share(float("nan"))
    ('33%', 'unknown')
    """
    return percent(share) if share == share else "unknown"  # noqa: PLR0124  not NaN


def describe_cause(cost: AgentCost) -> str:
    """Return what an agent loses most for; in parentheses why its requests miss where nothing could have been saved."""
    if cost.worst is not None and (cost.worst.lost > 0 or cost.worst.lost_tokens > 0):
        return printable(describe_miss(cost.worst))
    if cost.lost >= MIN_SAVED:  # requests that missed lost nothing, so those lost it that wrote
        return "writes that nothing read"
    return "" if cost.worst is None else f"({printable(describe_miss(cost.worst))})"


def explain_unknown_reads(sim: CacheSimulation) -> tuple[str, str] | None:
    """Return why nothing is known of what a cache read, as a clause and its reason; None where something is."""
    answered = ~sim.failed
    if not answered.any():
        failed = counted(len(sim), "request")
        return "No request was answered", f"{failed} failed: not billed, so nothing is known of a cache"
    has_rules = np.array([name != "" for name in sim.cache_providers], bool)
    if (answered & (sim.billed | has_rules)).any():
        return None
    reason = "no bill says so, and the cache of these models has no known rules (cache_provider names one)"
    return "What the cache read is not known", reason
