"""What each agent's requests cost, why money is lost, and what a repair saves: all of it by simulation.

Each agent is simulated once and kept for as long as its snapshot lives; a repair is simulated on the requests of its
agent only. Requests without recorded usage are simulated. Where costs are not known, nothing is claimed. What another
process sends are the figures alone: where a repair is to be tried, the agent is simulated again.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from acg_lab.core.errors import UsageError
from acg_lab.core.stability import StabilityThresholds
from acg_lab.history.replay import choose_rules, replay
from acg_lab.repairs.content_repairs import Drop
from acg_lab.repairs.repairs import Repair
from acg_lab.repairs.requests import repair_requests
from acg_lab.repairs.sending import MARKINGS
from acg_lab.repairs.what_if import what_if
from acg_lab.simulation.costs import CostTotals
from acg_lab.simulation.simulate import simulate, simulate_change
from acg_lab.simulation.verdicts import Verdict
from acg_lab.snapshot.narrow import keep_agent
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.storage.times import parse_time

if TYPE_CHECKING:
    from acg_lab.history.trace import Trace
    from acg_lab.simulation.result import CacheSimulation
    from acg_lab.storage.columns import Columns

__all__ = ["AgentCosts", "CauseCost", "read_costs"]

_DAY: Final = 86_400 * 10**9
_HALF: Final = 0.5
_HEALTHY: Final = 0.05  # of an agent's cost, which even a healthy one may lose
_READ: Final = 0.8  # of the shared tokens: caches of blocks round down, and tokens are estimated
_SHORTEST: Final = 300 * 10**9  # nanoseconds for which every cache keeps what it has written


class CauseCost(NamedTuple):
    """What one cause costs an agent: requests, and what they could have saved at most, in US dollars."""

    requests: int
    avoidable: float


class AgentCosts:
    """The costs of one agent's requests.

    Parameters
    ----------
    snap : Snapshot
        Of a repaired one, costs are those of the repaired requests.
    agent_id : str
    trace : Trace, optional
        The replay of the agent's requests as they were recorded, where there is one.
    """

    def __init__(self, snap: Snapshot, agent_id: str, trace: "Trace | None" = None) -> None:
        self.agent_id = agent_id
        self._simulate_requests(snap, trace)

    def _simulate_requests(self, snap: Snapshot, trace: "Trace | None" = None) -> None:
        # The snapshot keeps its costs, so they must not keep it.
        self._trace: Trace = replay(snap.recorded, agent_id=self.agent_id, progress=False) if trace is None else trace
        self._recorded: CacheSimulation = simulate(self._trace)
        self.simulation: CacheSimulation = self._recorded
        self._repaired_trace = self._trace
        if snap.recorded is not snap:
            self._repaired_trace = replay(snap, agent_id=self.agent_id, progress=False)
            self.simulation = simulate_change(self._recorded, self._repaired_trace)
        self._saved: dict[tuple[Repair, ...], float | None] = {}
        self._tried: _Tried | None = None
        self._part: Snapshot | None = None

    def __getstate__(self) -> dict[str, object]:
        """Return what is sent to another process: figures, and no simulation."""
        figures = ("agent_id", "totals", "days", "reads", "tokens", "n_requests", "n_without_usage")
        return {name: getattr(self, name) for name in figures} | {"_saved": self._saved}

    def _complete(self, snap: Snapshot) -> None:
        """Simulate the requests if another process sent the figures alone."""
        if "simulation" not in vars(self):
            self._simulate_requests(snap)

    @cached_property
    def totals(self) -> CostTotals:
        """What the requests cost, in US dollars."""
        return self.simulation.totals()

    @property
    def cost(self) -> float:
        """What the requests cost, in US dollars: as billed, or with the repairs of a repaired snapshot."""
        return self.totals.simulated

    @property
    def lost(self) -> float:
        """What of that the best use of the cache would have saved."""
        return max(self.totals.simulated - self.totals.limit, 0.0)

    @cached_property
    def days(self) -> float:
        """Days from the first request to the last."""
        started = self.simulation.started_ns
        return float(started[-1] - started[0]) / _DAY if len(started) else 0.0

    @cached_property
    def causes(self) -> Mapping[Verdict, CauseCost]:
        """What each cause costs, dearest first."""
        sim = self.simulation
        found: dict[Verdict, list[float]] = {}
        for cause, amount in zip(sim.caused_by, np.nan_to_num(sim.avoidable).tolist(), strict=True):
            found.setdefault(cause, []).append(amount)
        costs = {cause: CauseCost(len(amounts), sum(amounts)) for cause, amounts in found.items()}
        return dict(sorted(costs.items(), key=lambda item: -item[1].avoidable))

    @cached_property
    def reads(self) -> int:
        """Tokens that the provider read from its cache: as billed, and as simulated where no usage is recorded."""
        sim = self.simulation
        return int(np.where(sim.billed, np.maximum(sim.recorded_read, 0), sim.read).sum())

    @property
    def are_healthy(self) -> bool:
        """Whether the agent reads, and loses next to nothing: by usage, or by simulation without."""
        return self.reads > 0 and self.lost <= _HEALTHY * self.cost

    @property
    def needs_breakpoints(self) -> bool:
        """Whether a cache that the requests meet holds nothing of a request without a breakpoint."""
        return any(provider.matching == "breakpoint" for provider in self.simulation.history.history.providers)

    @cached_property
    def tokens(self) -> float:
        """Tokens of all prompts."""
        return float(self.simulation.tokens.sum())

    @cached_property
    def n_requests(self) -> int:
        """Number of requests."""
        return len(self.simulation)

    @cached_property
    def n_without_usage(self) -> int:
        """Number of requests that did not fail and have no recorded usage."""
        return int((~self.simulation.billed & ~self.simulation.failed).sum())

    def unread(self, tokens: float) -> float:
        """Return at most how many US dollars it costs that the first ``tokens`` tokens of each prompt are not read.

        The first request has to write them, and so has one that comes when no cache holds them any more.
        """
        sim = self.simulation
        is_missed = (tokens >= sim.history.minimums[sim.rows]) & (sim.parts.read < _READ * tokens)
        is_missed &= np.diff(sim.started_ns, prepend=-_SHORTEST - 1) <= _SHORTEST
        share = np.where(is_missed, tokens - sim.parts.read, 0) / np.maximum(sim.tokens, 1)
        return float(np.nansum(sim.cost_as_was * np.minimum(share, 1.0)))

    def restart(self, keys: Sequence[str], since: str | None, prefix_tokens: Callable[[str], float]) -> float:
        """Return what it cost, in US dollars, to write a prefix anew at a time; 0 where no cache held the old one.

        Parameters
        ----------
        keys : sequence of str
            The profiles before and after.
        since : str or None
            Time of the first request with the new prefix, RFC 3339.
        prefix_tokens : callable
            Returns the stable tokens of a profile.
        """
        sim = self.simulation
        rows = np.flatnonzero(np.isin(np.array(sim.learning_keys, dtype=object), list(keys)))
        if since is None or len(rows) < 2:  # noqa: PLR2004  nothing before it
            return 0.0
        started = sim.started_ns[rows]
        distance = np.abs(started - parse_time(since))
        if len(keys) > 1:  # a new prefix has a profile of its own, so only the first request of each can be meant
            _, firsts = np.unique([sim.learning_keys[row] for row in rows.tolist()], return_index=True)
            is_first = np.isin(np.arange(len(rows)), firsts)
            distance = np.where(is_first, distance, np.iinfo(np.int64).max)
        at = int(distance.argmin())
        if at == 0 or started[at] - started[at - 1] > _SHORTEST:
            return 0.0
        row = int(rows[at])
        unread = max(prefix_tokens(sim.learning_keys[row]) - float(sim.parts.read[row]), 0.0)
        paid = float(sim.cost_as_was[row]) * min(unread / max(float(sim.tokens[row]), 1.0), 1.0)
        return max(float(np.nan_to_num(paid - unread * sim.history.rates[0].read[sim.rows[row]])), 0.0)

    def saved(self, snap: Snapshot, repairs: Sequence[Repair]) -> float | None:
        """Return what repairs save in US dollars; None where they can't be simulated or would remove shared content.

        A request that can't be repaired is simulated as it was sent.
        """
        key = tuple(repairs)
        if key not in self._saved:
            self._complete(snap)
            self._saved[key] = self._simulate(snap, key)
        return self._saved[key]

    def known(self, repairs: Sequence[Repair]) -> float | None:
        """Return what repairs save if they were simulated before, else None."""
        return self._saved.get(tuple(repairs))

    def saved_by_threshold(self, snap: Snapshot, thresholds: StabilityThresholds) -> float:
        """Return what the governor's thresholds would have saved in US dollars."""
        self._complete(snap)
        totals = simulate(self._trace, thresholds).totals()
        return totals.as_was - totals.simulated

    def _simulate(self, snap: Snapshot, repairs: tuple[Repair, ...]) -> float | None:
        if any(isinstance(repair, Drop) and _is_shared(snap, self.agent_id, repair) for repair in repairs):
            return None
        # What is learned does not depend on how requests are sent, so it is replayed once for all ways.
        n = len(repairs)
        while n and isinstance(repairs[n - 1], MARKINGS):
            n -= 1
        try:
            tried = self._replay(snap, repairs[:n])
            repaired = what_if(tried.snapshot, repairs[n:])
        except UsageError:
            return None
        # Whether a request can be replayed does not depend on a repair, so the same requests are compared.
        sent = repaired.runs if n < len(repairs) else None
        cost = simulate_change(self._recorded, tried.trace, sent=sent).cost
        return self.cost - float(cost[~np.isnan(cost)].sum())

    def _own(self, snap: Snapshot) -> Snapshot:
        """Return what a recorded snapshot holds of this agent; a repair walks over all that it is applied to."""
        if snap.recorded is not snap or len(snap.agent_ids) == 1:
            return snap
        if self._part is None:
            self._part = keep_agent(snap, self.agent_id)
        return self._part

    def _replay(self, snap: Snapshot, repairs: tuple[Repair, ...]) -> "_Tried":
        """Return a snapshot with repairs of contents, and its replay; the last one is kept until `forget`."""
        if not repairs:
            return _Tried((), snap, self._repaired_trace)
        if self._tried is None or self._tried.repairs != repairs:
            repaired = what_if(self._own(snap), repairs)
            self._tried = _Tried(repairs, repaired, replay(repaired, agent_id=self.agent_id, progress=False))
        return self._tried

    def forget(self) -> None:
        """Free what is kept between trials of repairs: it holds the snapshot, which keeps these costs."""
        self._tried = self._part = None


class _Tried(NamedTuple):
    """Repairs of contents, the snapshot with them, and its replay."""

    repairs: tuple[Repair, ...]
    snapshot: Snapshot
    trace: "Trace"


def _is_shared(snap: Snapshot, agent_id: str, repair: Drop) -> bool:
    """Whether most of the requests that a repair is for have the content that it drops."""
    runs = snap.runs
    rules = {agent_id: choose_rules(snap, agent_id, "auto").rules}
    of_agent = [i for i, record in enumerate(runs.records) if record.agent_id == agent_id]
    n_requests = sum(call.request is not None for i in of_agent for call in runs.calls[i])
    return repair_requests(runs, repair, rules, runs).n_changed > _HALF * n_requests


# By what a snapshot holds: equal snapshots are not one snapshot.
_known: "WeakKeyDictionary[Columns, dict[str, AgentCosts | None]]" = WeakKeyDictionary()


def read_costs(snap: Snapshot, agent_id: str, trace: "Trace | None" = None) -> AgentCosts | None:
    """Return the costs of an agent; None where they are not known.

    They are known where a request has a price, and either usage or the body as sent is recorded: without both, nobody
    knows which breakpoints were sent. What was replayed already need not be again: ``trace`` is as for `AgentCosts`.
    """
    known = _known.setdefault(snap.columns, {})
    if agent_id not in known:
        known[agent_id] = _read(snap, agent_id, trace)
    return known[agent_id]


def _read(snap: Snapshot, agent_id: str, trace: "Trace | None") -> AgentCosts | None:
    runs = snap.runs
    of_agent = [calls for record, calls in zip(runs.records, runs.calls, strict=True) if record.agent_id == agent_id]
    requests = [call for calls in of_agent for call in calls if call.request is not None]
    if not requests:
        return None
    has_body = any(call.body is not None for call in requests)
    costs = AgentCosts(snap, agent_id, trace)
    is_known = has_body or bool(costs.simulation.billed.any())
    return costs if is_known and costs.totals.without_cache > 0 else None
