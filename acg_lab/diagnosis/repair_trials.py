"""Try repairs of findings by simulation: a few only, each time the one that can still save most.

What was not tried is counted and never offered; what it can save at most stays the cost of its finding.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from acg_lab.core.stability import StabilityThresholds
from acg_lab.diagnosis.finding import Evidence, Finding
from acg_lab.diagnosis.repair_costs import AgentCosts
from acg_lab.diagnosis.threshold_plateau import find_plateau
from acg_lab.repairs.effects import Effect
from acg_lab.repairs.repairs import Repair
from acg_lab.repairs.sending import SENDINGS
from acg_lab.snapshot.snapshot import Snapshot

__all__ = ["MAX_TRIED", "MIN_SAVED", "Draft", "Plan", "try_repairs"]

Plan = tuple[Repair, ...]
MAX_TRIED: Final = 10  # repairs that one explanation simulates
MIN_SAVED: Final = 0.005  # US dollars; less is shown as nothing
_HALF: Final = 0.5
_MIN_SHARE: Final = 0.01  # of an agent's cost; a smaller loss is not reported
_MIN_EVENT: Final = 0.001  # of an agent's cost; a cheaper event cost nothing


@dataclass(eq=False)
class Draft:
    """A finding whose repairs are being tried.

    Attributes
    ----------
    finding : Finding
    costs : AgentCosts
    bound : float
        What a repair can save at most, in US dollars.
    caused : float
        What its requests could have saved by simulation: its cost where no repair shows more.
    plans : sequence of Plan
        The repairs to try, the best first. If none is offered they only measure what the fault costs.
    is_event : bool
        Whether it is reported however little it costs.
    everything, others : tuple of Repair
        What mends all causes that change the same prompts, and all but this one: it costs what the first saves beyond.
    """

    finding: Finding
    costs: AgentCosts
    bound: float
    caused: float
    plans: Sequence[Plan]
    is_event: bool = False
    everything: Plan = ()
    others: Plan = ()
    n_tried: int = 0
    saved: dict[Plan, float] = field(default_factory=dict)
    measured: float | None = None

    @property
    def floor(self) -> float:
        """The least saving that is worth an attempt."""
        return min(MIN_SAVED, _MIN_SHARE * self.costs.cost)

    @property
    def next_plan(self) -> Plan | None:
        """The repair to try next; None if one was found that saves money, or none can."""
        enough = max(self.floor, _HALF * self.bound) if self.others else self.floor  # alone a repair may save little
        is_answered = self.bound < self.floor or any(saved >= enough for saved in self.saved.values())
        return None if is_answered or self.n_tried == len(self.plans) else self.plans[self.n_tried]

    def try_next(self, snap: Snapshot) -> None:
        """Simulate the next repair."""
        plan = self.plans[self.n_tried]
        self.n_tried += 1
        saved = self.costs.saved(snap, plan)
        if saved is not None:
            self.saved[plan] = saved

    @property
    def measures(self) -> tuple[Plan, ...]:
        """The repairs that show what this cause alone costs: of all causes, and of all others; none if they can't."""
        best = max(self.saved, key=self.saved.__getitem__, default=())
        if best and self.saved[best] < self.floor:
            best = ()
        if not self.others or not (self.everything or best or self.caused):
            return ()
        sending = tuple(repair for repair in best if isinstance(repair, SENDINGS))
        return ((*self.everything, *sending) if self.everything else best, (*self.others, *sending))

    def take_known(self) -> None:
        """Take over what further repairs save that were simulated for another cause."""
        for plan in self.plans[self.n_tried :]:
            saved = self.costs.known(plan)
            if self.others and saved is not None:
                self.saved[plan] = saved

    def measure(self, snap: Snapshot) -> None:
        """Simulate what this cause costs when the others are mended."""
        everything, others = self.measures
        mended = max(self.costs.saved(snap, others) or 0.0, 0.0)
        saved = self.costs.saved(snap, everything) if everything else None
        if saved is not None:
            self.measured = max(saved - mended, 0.0)
        elif not everything:
            share = min(self.finding.total_lost / max(self.costs.tokens, 1.0), 1.0)
            self.measured = min(max(self.caused - mended, share * self.costs.cost), self.costs.cost - mended)

    def finish(self, snap: Snapshot, thresholds: StabilityThresholds) -> Finding | None:
        """Return the finding with its cost and repairs; None if it costs next to nothing."""
        evidence = self._with_threshold(snap, thresholds)
        best = max([*self.saved.values(), evidence.threshold_saved or 0.0])
        is_open = self.next_plan is not None or not self.saved
        lost = best if best > 0 else self.caused if is_open else 0.0
        lost = lost if self.measured is None else self.measured
        is_measured = not evidence.beside or (self.measured is not None and bool(self.measures[0]))
        cost = self.costs.cost
        if lost < (_MIN_EVENT * cost if self.is_event else max(_MIN_SHARE * cost, self.floor)):
            return None
        return replace(
            self.finding,
            evidence=evidence,
            repairs=tuple(self._offered()),
            bound_repairs=0,
            money_lost=lost,
            lost_at_most=not is_measured if evidence.beside else best <= 0,
            agent_cost=cost,
            days=self.costs.days,
        )

    def _offered(self) -> list[Effect]:
        """Return the repairs that save money, the best first, else the one that would be tried next."""
        effects = {effect.repairs: effect for effect in self.finding.repairs}
        offered = [
            replace(effects[plan], money_saved=saved)
            for plan, saved in self.saved.items()
            if plan in effects and saved >= self.floor
        ]
        offered.sort(key=lambda effect: -(effect.money_saved or 0.0))
        if self.next_plan in effects:
            offered.append(effects[self.next_plan])
        return offered

    def _with_threshold(self, snap: Snapshot, thresholds: StabilityThresholds) -> Evidence:
        """Return the evidence with a threshold that saves money and would on other requests too, or with none."""
        evidence = self.finding.evidence
        if evidence.threshold is None:
            return evidence
        found = find_plateau(
            lambda one: self.costs.saved_by_threshold(snap, replace(thresholds, stable_threshold=one)),
            evidence.threshold,
            evidence.requests,
        )
        if found is None or found.saved < self.floor:
            return replace(evidence, threshold=None)
        return replace(evidence, threshold=found.threshold, threshold_saved=found.saved)


def try_repairs(snap: Snapshot, drafts: Sequence[Draft]) -> None:
    """Simulate repairs until each finding has one that saves money, or `MAX_TRIED` were simulated.

    Next comes the repair that can save most beyond what its agent saves already. One repair for two findings counts
    once. What other causes of the same block cost is simulated last. What is kept between trials is freed at the end.
    """
    try:
        _try_all(snap, drafts)
    finally:
        for draft in drafts:
            draft.costs.forget()


def _try_all(snap: Snapshot, drafts: Sequence[Draft]) -> None:
    tried: set[tuple[str, Plan]] = set()
    while _try_best(snap, drafts, tried):
        pass
    for draft in drafts:
        draft.take_known()
    for draft in sorted(drafts, key=lambda one: -max(one.saved.values(), default=one.caused)):
        asked = {(draft.costs.agent_id, plan) for plan in draft.measures if plan}
        if asked and len(tried | asked) <= MAX_TRIED:
            tried |= asked
            draft.measure(snap)


def _try_best(snap: Snapshot, drafts: Sequence[Draft], tried: set[tuple[str, Plan]]) -> bool:
    """Simulate the repair that can save most; return False if none is left."""
    waiting = [(draft, (draft.costs.agent_id, plan)) for draft in drafts if (plan := draft.next_plan) is not None]
    waiting = [(draft, asked) for draft, asked in waiting if len(tried) < MAX_TRIED or asked in tried]
    if waiting:
        draft, asked = max(waiting, key=lambda one: _gain(one[0], drafts))
        tried.add(asked)
        draft.try_next(snap)
    return bool(waiting)


def _gain(draft: Draft, drafts: Sequence[Draft]) -> float:
    """Return what a draft's next repair can save beyond the best one of its agent; each vain attempt halves the hope.

    A part of a repair that saves money can save no more than that.
    """
    of_agent = [one for one in drafts if one.costs is draft.costs]
    saved = {plan: amount for one in of_agent for plan, amount in one.saved.items() if amount >= one.floor}
    if any(set(draft.next_plan or ()) <= set(plan) for plan in saved):
        return 0.0
    room = max(draft.costs.lost, draft.costs.totals.avoidable, *(one.bound for one in of_agent))
    gain: float = min(draft.bound, room - max(saved.values(), default=0.0)) / 2**draft.n_tried
    return gain
