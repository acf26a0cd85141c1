"""What settings would cost, simulated in a background thread while sliders move.

`CostHistory` prices the settings being tried for all agents, and then the stable thresholds around them for the agent
being shown, so that a drag only looks costs up. Invariant: what is not priced yet is unknown, never an older number.
"""

from collections.abc import Callable
from threading import RLock, Thread
from time import monotonic, sleep
from typing import Any, Final, NamedTuple
from weakref import WeakMethod

import numpy as np

from acg_lab.advice.current import current_settings
from acg_lab.advice.evaluation import Evaluation, SettingPoints, acts_in
from acg_lab.advice.planned_breakpoints import NO_BREAKPOINTS
from acg_lab.config import AcgSettings
from acg_lab.core.errors import AcgLabError
from acg_lab.history import Trace
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.widgets.background import switching_often

__all__ = ["AgentCost", "CostHistory"]

Plan = tuple[float, int, int, bool]  # stable threshold, minimum observations, window, whether the governor acts
_STEPS: Final = 101  # of the stable threshold's slider
_REST: Final = 0.005  # seconds between two prices, for the drag
_QUIET: Final = 0.5  # seconds after a slider last moved before pricing goes on
_MONTH_NS: Final = 30 * 86400 * 10**9
_DAY_NS: Final = 86400 * 10**9


class AgentCost(NamedTuple):
    """Input cost of recorded requests, of one agent or all, under one setting.

    Attributes
    ----------
    cost : float
        With the setting, in ``currency``.
    without_cache, limit : float
        At full price, and at the least that could have been paid.
    requests : int
    months : float
        Of the recorded traffic, of 30 days each; 0 where it is shorter than a day.
    currency : {"USD", "uncached tokens"}
    read_share : float
        Share of the prompt tokens that the provider would read from its cache, 0 to 1.
    """

    cost: float
    without_cache: float
    limit: float
    requests: int
    months: float
    currency: str
    read_share: float


class _Priced(NamedTuple):
    """What one setting would cost an agent, and the tokens that would be read."""

    cost: float
    read: float


class _Facts(NamedTuple):
    """What of the recorded requests no setting changes, by agent; None stands for all agents."""

    limit: dict[str | None, float]
    requests: dict[str | None, int]
    months: float


class CostHistory:
    """The costs of settings on a recorded history.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    on_end : bound method
        Its object is not kept alive. Called in the thread when the settings that were asked for are priced, with the
        reason if they can't be.
    """

    def __init__(self, snap: Snapshot, on_end: Callable[[str | None], None]) -> None:
        self._snap, self._tell = snap, WeakMethod(on_end)  # the thread may outlive whoever asked
        self._lock = RLock()
        self._evaluations: dict[int, Evaluation] = {}
        self._costs: dict[Plan, dict[str, _Priced]] = {}
        self._facts: _Facts | None = None
        self._now: tuple[AcgSettings, AcgSettings] | None = None
        self._wanted: tuple[Trace, AcgSettings, tuple[AcgSettings, ...], str | None] | None = None
        self._thread: Thread | None = None
        self._is_closed = self._failed = False
        self._quiet_at = 0.0

    @property
    def acts(self) -> bool | None:
        """Whether the governor placed breakpoints in the recorded history; None while that is unknown."""
        return None if self._now is None else acts_in(self._now[1])

    def find(self, settings: AcgSettings, agent_id: str | None) -> AgentCost | None:
        """Return what settings cost an agent, None for all; None while that is unknown. Fast enough for a drag."""
        facts, base = self._facts, next(iter(self._evaluations.values()), None)
        priced = self._costs.get(self._plan(settings))
        if facts is None or base is None or priced is None or agent_id not in facts.requests:
            return None
        at = range(len(base.agent_ids)) if agent_id is None else (base.agent_ids.index(agent_id),)
        if any(base.agent_ids[i] not in priced for i in at):
            return None
        without = float(sum(base.cost_without_cache[i] for i in at))
        cost = sum(priced[base.agent_ids[i]].cost for i in at)
        read, tokens = sum(priced[base.agent_ids[i]].read for i in at), float(sum(base.prompt_tokens[i] for i in at))
        return AgentCost(
            cost=cost,
            without_cache=without,
            limit=facts.limit[agent_id],
            requests=facts.requests[agent_id],
            months=facts.months,
            currency=base.currency,
            read_share=read / tokens if tokens else 0.0,
        )

    def find_most_to_win(self, current: AcgSettings) -> str | None:
        """Return the agent that pays most beyond what it could pay; None while that is unknown."""
        found = {agent_id: self.find(current, agent_id) for agent_id in self._known_agents}
        won = {agent_id: cost.cost - cost.limit for agent_id, cost in found.items() if cost is not None}
        return max(won, key=lambda agent_id: won[agent_id], default=None)

    def _plan(self, settings: AcgSettings) -> Plan:
        now = None if self._now is None else self._now[1]
        provider = settings.provider or (now.provider if now else None)
        acts = provider == "anthropic"
        thresholds = settings.thresholds
        minimum = thresholds.min_observations_for_full_confidence
        return (thresholds.stable_threshold, minimum, settings.observation_window, acts)

    def follow(
        self, trace: Trace, current: AcgSettings, settings: tuple[AcgSettings, ...], agent_id: str | None
    ) -> None:
        """Price settings for all agents in the background, and then all thresholds for one agent."""
        with self._lock:
            if self._is_closed or self._failed or not len(trace):
                return
            self._wanted = (trace, current, settings, agent_id)
            if self._thread is None:
                self._thread = Thread(target=self._run, daemon=True, name="acg-lab costs")
                self._thread.start()

    def make_way(self) -> None:
        """Let a slider move: nothing more is begun until it rests."""
        self._quiet_at = monotonic() + _QUIET

    def close(self) -> None:
        """Stop pricing, for good."""
        self._is_closed = True

    def join(self, timeout: float) -> None:
        """Wait until nothing is being priced."""
        if (thread := self._thread) is not None:
            thread.join(timeout)

    def _run(self) -> None:
        try:
            while (work := self._next()) is not None:
                with switching_often():
                    work()
                sleep(_REST)
                while (wait := self._quiet_at - monotonic()) > 0 and not self._is_closed:
                    sleep(wait)
        except AcgLabError as error:  # shown by whoever asked for the costs
            self._failed, self._thread = True, None
            self._on_end(str(error))

    def _on_end(self, error: str | None) -> None:
        if not self._is_closed and (tell := self._tell()) is not None:
            tell(error)

    def _next(self) -> Callable[[], None] | None:
        """Return the next piece of work; None if all is done, which ends the thread."""
        with self._lock:
            if self._wanted is None or self._is_closed:
                self._thread = None
                return None
            trace, current, settings, agent_id = self._wanted
            if self._now is None or self._now[0] != current:
                return lambda: self._begin(trace, current)
            for one in settings:
                if one.observation_window not in self._evaluations:
                    return lambda one=one: self._open(trace, one.observation_window)  # type: ignore[misc]
            missing = {self._plan(one): one for one in settings if self.find(one, None) is None}
            for one in missing.values():
                is_last = len(missing) == 1
                return lambda one=one: self._price(one, None, tells=is_last)  # type: ignore[misc]
            warm = (t for t in self._around(settings[-1]) if agent_id and self.find(t, agent_id) is None)
            if (next_one := next(warm, None)) is not None and agent_id in self._known_agents:
                return lambda: self._price(next_one, agent_id, tells=False)
            self._wanted = self._thread = None
            return None

    @property
    def _known_agents(self) -> tuple[str, ...]:
        return next((found.agent_ids for found in self._evaluations.values()), ())

    @staticmethod
    def _around(settings: AcgSettings) -> list[AcgSettings]:
        """Return the settings of all steps of the slider, the nearest first."""
        at, low = settings.thresholds.stable_threshold, settings.thresholds.semi_stable_threshold
        steps = sorted(np.linspace(0, 1, _STEPS).round(2).tolist(), key=lambda step: abs(step - at))
        return [settings.replace(stable_threshold=s, semi_stable_threshold=min(low, s)) for s in steps]

    def _begin(self, trace: Trace, current: AcgSettings) -> None:
        self._evaluations.clear()
        self._costs.clear()
        self._now = current, current_settings(self._snap, trace, current)
        self._open(trace, current.observation_window)

    def _open(self, trace: Trace, size: int) -> None:
        """Prepare the pricing of one observation window, from the same bills as the others."""
        assert self._now is not None  # noqa: S101  `_begin` comes first
        now = self._now[1]
        self._evaluations[size] = Evaluation(trace, now, sorted({now.observation_window, size}))
        if self._facts is None:
            self._facts = _facts_of(self._evaluations[size])

    def _price(self, settings: AcgSettings, agent_id: str | None, *, tells: bool) -> None:
        plan = self._plan(settings)
        evaluation = self._evaluations[settings.observation_window]
        stable, minimum, size, acts = plan
        points = SettingPoints(
            stable=np.array([stable]),
            minimums=np.array([minimum], np.int64),
            windows=np.array([size], np.int64),
            acts=np.array([acts]),
        )
        numbers = evaluation.number(points)
        if agent_id is None:
            evaluation.price(numbers)
        else:
            alone = np.full_like(numbers, NO_BREAKPOINTS)  # priced once, for whoever is not asked for
            at = evaluation.agent_ids.index(agent_id)
            alone[:, at] = numbers[:, at]
            evaluation.price(alone)
        costs, reads = evaluation.cost_by_agent(numbers)[0].tolist(), evaluation.read_by_agent(numbers)[0].tolist()
        found = {one: _Priced(*pair) for one, *pair in zip(evaluation.agent_ids, costs, reads, strict=True)}
        known = {one: priced for one, priced in found.items() if not np.isnan(priced.cost)}
        self._costs[plan] = self._costs.get(plan, {}) | known
        if tells:
            self._on_end(None)


def _facts_of(evaluation: Evaluation) -> _Facts:
    sim, is_money = evaluation.sim, evaluation.currency == "USD"
    whole: Any = {None: sim}
    parts: dict[str | None, Any] = whole | sim.by_agent()
    starts = evaluation.run_starts
    span = int(np.max(starts) - np.min(starts)) if len(starts) else 0
    return _Facts(
        limit={name: of.totals(money=is_money).limit for name, of in parts.items()},
        requests={name: len(of) for name, of in parts.items()},
        months=span / _MONTH_NS if span >= _DAY_NS else 0.0,
    )
