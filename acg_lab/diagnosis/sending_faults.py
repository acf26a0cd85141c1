"""Faults of how requests are sent: where breakpoints end, how long entries live, and writes that nothing reads.

Invariant: each is shown by costs and verdicts alone; no content is compared.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from acg_lab.diagnosis.finding import Kind
from acg_lab.diagnosis.misses import NO_MISS
from acg_lab.diagnosis.repair_costs import CauseCost
from acg_lab.diagnosis.repair_trials import Plan
from acg_lab.repairs.sending_repairs import AddBreakpoint, SetTtl, StaggerParallelRequests, UseAutomaticCaching
from acg_lab.simulation.result import CacheSimulation
from acg_lab.simulation.verdicts import Verdict

__all__ = ["MECHANISMS", "UNREAD_WRITES", "Mechanism", "find_unread_writes", "plan_breakpoints"]

_SECOND: Final = 10**9
_ALONE: Final = NO_MISS | {Verdict.BELOW_MINIMUM}  # what was written is not what another request could have read


class Mechanism(NamedTuple):
    """A fault of how requests are sent.

    Attributes
    ----------
    kind : Kind
    verdicts : tuple of Verdict
        Those that show it.
    plans : callable
        Takes learning keys and returns the repairs to try, the best first.
    words : str
        A sentence about ``{requests}``.
    """

    kind: Kind
    verdicts: tuple[Verdict, ...]
    plans: Callable[[tuple[str, ...]], list[Plan]]
    words: str


def plan_breakpoints(keys: tuple[str, ...]) -> list[Plan]:
    """Return the repairs to try for breakpoints that end too early, the best first."""
    return [
        (AddBreakpoint(at="system", learning_keys=keys),),
        (UseAutomaticCaching(learning_keys=keys),),
        (AddBreakpoint(at="last_message", learning_keys=keys),),
    ]


def _automatic(keys: tuple[str, ...]) -> list[Plan]:
    return [(UseAutomaticCaching(learning_keys=keys),), (AddBreakpoint(at="system", learning_keys=keys),)]


MECHANISMS: Final = (
    Mechanism(
        Kind.BREAKPOINT_SHORT,
        (Verdict.BREAKPOINT_SHORT, Verdict.NOT_WRITTEN),
        plan_breakpoints,
        "the last breakpoint ends before what {requests} share with earlier ones, so that is processed again each time",
    ),
    Mechanism(
        Kind.NO_BREAKPOINT,
        (Verdict.NO_BREAKPOINT,),
        _automatic,
        "{requests} share a prefix with earlier ones and have no breakpoint, so nothing of it is cached",
    ),
    Mechanism(
        Kind.LOOKBACK_EXCEEDED,
        (Verdict.LOOKBACK_EXCEEDED,),
        lambda keys: [
            (AddBreakpoint(at="last_message", learning_keys=keys),),
            (UseAutomaticCaching(learning_keys=keys),),
        ],
        "{requests} added more blocks after the last cached one than the provider looks back for",
    ),
    Mechanism(
        Kind.TTL_TOO_SHORT,
        (Verdict.EXPIRED,),
        lambda keys: [(SetTtl("1h", learning_keys=keys),)],
        "{requests} came after what they share with earlier ones had expired",
    ),
    Mechanism(
        Kind.PARALLEL_REQUESTS,
        (Verdict.IN_FLIGHT,),
        lambda keys: [(StaggerParallelRequests(learning_keys=keys),)],
        "{requests} were sent before the first of them could be read from the cache",
    ),
    Mechanism(
        Kind.BELOW_MINIMUM,
        (Verdict.BELOW_MINIMUM,),
        lambda _keys: [],
        "what {requests} share with earlier ones is shorter than the provider caches",
    ),
)

UNREAD_WRITES: Final = Mechanism(
    Kind.WRITES_UNREAD,
    (),
    lambda _keys: [],
    "{requests} wrote to the cache what no later request of the agent read; without their breakpoints they would cost"
    " less",
)


def find_unread_writes(sim: CacheSimulation) -> CauseCost:
    """Return the requests that paid for writes that nothing read, and what that cost beyond sending them uncached.

    Requests whose entries were still alive at the end of the history are left out: what came then is not known.
    """
    history, rows = sim.history, sim.rows
    written = history.tokens.written[rows] > 0
    lifetimes = np.where(written, np.array(history.ttls, np.int64), 0).max(axis=1, initial=0)
    is_over = sim.started_ns + lifetimes * _SECOND < sim.started_ns.max(initial=0)
    paid = np.nan_to_num(sim.cost - sim.cost_at_limit - np.maximum(sim.avoidable, 0.0))
    found = written.any(axis=1) & is_over & (paid > 0) & np.isin(sim.verdicts, list(map(str, _ALONE)))
    return CauseCost(int(found.sum()), float(paid[found].sum()))
