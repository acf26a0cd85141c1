"""Put money into findings: what each fault costs over the history, and what its repairs save, by simulation.

Faults of how requests are sent (a breakpoint that ends too early, a TTL that is too short) become findings too. A
repair is offered only if it saves money; what usage contradicts is not reported.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from acg_lab._format import counted
from acg_lab.core.stability import StabilityThresholds
from acg_lab.diagnosis.context import AnalysisContext
from acg_lab.diagnosis.edit_findings import build_edit_findings
from acg_lab.diagnosis.finding import Evidence, Finding, Kind
from acg_lab.diagnosis.repair_costs import AgentCosts, CauseCost, read_costs
from acg_lab.repairs.apply import select_windows
from acg_lab.repairs.content_repairs import MergeProfiles, Pin
from acg_lab.repairs.effects import Effect, measure_extent
from acg_lab.repairs.repairs import Repair
from acg_lab.repairs.sending_repairs import AddBreakpoint, SetTtl, StaggerParallelRequests, UseAutomaticCaching
from acg_lab.simulation.verdicts import Verdict
from acg_lab.storage.base import Progress

__all__ = ["PricedFindings", "price_findings"]

Plan = tuple[Repair, ...]
_MAX_TRIED: Final = 16  # repairs that one explanation simulates
_MIN_SHARE: Final = 0.01  # of an agent's cost; a smaller loss is not reported
_MIN_SENDING: Final = 0.03  # the same, of how requests are sent: there a little is always lost
_MIN_SAVED: Final = 0.005  # US dollars; less is shown as nothing
_ROUND: Final = 0.05
_HEALTHY: Final = 0.05  # of an agent's cost, which even a healthy one may lose
_UNNAMED: Final = (Kind.UNKNOWN, Kind.VARIANTS)
_instructions: Final = re.compile(r"system-\d+(-instructions)?")
_UNPLANNED: Final = (
    Kind.CACHE_MARKS,
    Kind.FRAGMENTED_BY_FIRST_MESSAGE,
    Kind.UNKNOWN_MODEL_FAMILY,
    Kind.BOUND_TO_REQUESTS,
    Kind.TOO_FEW_REQUESTS,
)
_REFUSALS: Final = (Kind.BELOW_MINIMUM, Kind.UNKNOWN_MODEL_FAMILY, Kind.BOUND_TO_REQUESTS, Kind.TOO_FEW_REQUESTS)


class _Mechanism(NamedTuple):
    """A fault of how requests are sent: what it is called, the verdicts that show it, and what mends it."""

    kind: Kind
    verdicts: tuple[Verdict, ...]
    plans: Callable[[tuple[str, ...]], list[Plan]]
    words: str


def _breakpoints(keys: tuple[str, ...]) -> list[Plan]:
    return [
        (AddBreakpoint(at="system", learning_keys=keys),),
        (UseAutomaticCaching(learning_keys=keys),),
        (AddBreakpoint(at="last_message", learning_keys=keys),),
    ]


def _automatic(keys: tuple[str, ...]) -> list[Plan]:
    return [(UseAutomaticCaching(learning_keys=keys),), (AddBreakpoint(at="system", learning_keys=keys),)]


_MECHANISMS: Final = (
    _Mechanism(
        Kind.BREAKPOINT_SHORT,
        (Verdict.BREAKPOINT_SHORT, Verdict.NOT_WRITTEN),
        _breakpoints,
        "the last breakpoint ends before what {requests} share with earlier ones, so that is processed again each time",
    ),
    _Mechanism(
        Kind.NO_BREAKPOINT,
        (Verdict.NO_BREAKPOINT,),
        _automatic,
        "{requests} share a prefix with earlier ones and have no breakpoint, so nothing of it is cached",
    ),
    _Mechanism(
        Kind.LOOKBACK_EXCEEDED,
        (Verdict.LOOKBACK_EXCEEDED,),
        lambda keys: [
            (AddBreakpoint(at="last_message", learning_keys=keys),),
            (UseAutomaticCaching(learning_keys=keys),),
        ],
        "{requests} added more blocks after the last cached one than the provider looks back for",
    ),
    _Mechanism(
        Kind.TTL_TOO_SHORT,
        (Verdict.EXPIRED,),
        lambda keys: [(SetTtl("1h", learning_keys=keys),)],
        "{requests} came after what they share with earlier ones had expired",
    ),
    _Mechanism(
        Kind.PARALLEL_REQUESTS,
        (Verdict.IN_FLIGHT,),
        lambda keys: [(StaggerParallelRequests(learning_keys=keys),)],
        "{requests} were sent before the first of them could be read from the cache",
    ),
    _Mechanism(
        Kind.BELOW_MINIMUM,
        (Verdict.BELOW_MINIMUM,),
        lambda _keys: [],
        "what {requests} share with earlier ones is shorter than the provider caches",
    ),
)
# Changes whose repair may be out of reach: their cost is what their requests could have saved.
_CHANGES: Final[Mapping[Kind, Verdict]] = {
    Kind.MODEL_CHANGED: Verdict.MODEL_CHANGED,
    Kind.TOOLS_ADDED: Verdict.TOOLS_CHANGED,
    Kind.TOOLS_REMOVED: Verdict.TOOLS_CHANGED,
    Kind.TOOLS_EDITED: Verdict.TOOLS_CHANGED,
    Kind.TOOLS_REORDERED: Verdict.TOOLS_CHANGED,
}


def _verdicts_of(finding: Finding) -> tuple[Verdict, ...]:
    """Return the verdicts of the requests that a fault concerns."""
    if finding.kind in _CHANGES:
        return (_CHANGES[finding.kind],)
    if finding.kind is Kind.BELOW_MINIMUM:
        return (Verdict.BELOW_MINIMUM,)
    if finding.kind in _UNPLANNED:
        return (Verdict.NO_BREAKPOINT,)
    if finding.kind is Kind.RAW_BYTES_DIFFER:
        return (Verdict.TOOLS_CHANGED, Verdict.SYSTEM_CHANGED, Verdict.HISTORY_CHANGED)
    # Tools are numbered like system messages.
    is_system = finding.span_id is not None and finding.span_id.startswith("system-")
    return (Verdict.SYSTEM_CHANGED, Verdict.TOOLS_CHANGED) if is_system else (Verdict.HISTORY_CHANGED,)


class PricedFindings(NamedTuple):
    """Findings with their costs, dearest first; those without a cost follow, by tokens.

    With them the healthy profiles, and notes on where the costs come from.
    """

    findings: list[Finding]
    healthy: tuple[str, ...]
    notes: tuple[str, ...]


def price_findings(
    context: AnalysisContext, findings: Sequence[Finding], keys: Iterable[str], on_progress: Progress
) -> PricedFindings:
    """Return findings with what they cost and what their repairs save.

    Parameters
    ----------
    context : AnalysisContext
    findings : sequence of Finding
        By tokens, costliest first.
    keys : iterable of str
        The profiles that are explained.
    on_progress : callable
        Called for each agent, with 1 and the number of agents.
    """
    snap = context.snapshot
    by_agent: dict[str, list[str]] = {}
    for key in context.results:
        if key in set(keys):
            by_agent.setdefault(snap.owners[key].agent_id, []).append(key)
    costs: dict[str, AgentCosts] = {}
    for agent_id in by_agent:
        found = read_costs(snap, agent_id)
        if found is not None:
            costs[agent_id] = found
        on_progress(1, len(by_agent))
    drafts = [draft for agent_id, one in costs.items() for draft in _drafts(context, one, by_agent[agent_id], findings)]
    drafts.sort(key=lambda draft: -draft.bound)
    _try(context, drafts)
    priced = [finding for draft in drafts if (finding := draft.finish(context.thresholds)) is not None]
    priced.sort(key=lambda finding: (-(finding.money_lost or 0.0), -finding.total_lost, finding.learning_key))
    priced = _without_repeats(priced)
    rest = [finding for finding in findings if finding.agent_id not in costs]
    found_keys = {key for finding in (*priced, *rest) for key in finding.evidence.profiles}
    healthy = tuple(
        key
        for agent_id, of_agent in by_agent.items()
        for key in of_agent
        if key not in found_keys and (agent_id not in costs or _is_healthy(costs[agent_id]))
    )
    return PricedFindings(priced + rest, healthy, _note_usage(list(costs.values())))


def _note_usage(costs: Sequence[AgentCosts]) -> tuple[str, ...]:
    """Return a sentence on requests whose costs are simulated for want of recorded usage."""
    n_without, n = sum(one.n_without_usage for one in costs), sum(len(one.simulation) for one in costs)
    if not n_without:
        return ()
    return (f"{n_without:,} of {counted(n, 'request')} have no recorded usage: their cost is simulated.",)


def _without_repeats(findings: Sequence[Finding]) -> list[Finding]:
    """Leave out faults of how requests are sent that a dearer one's best repair mends too: they save the same money."""
    sending = {mechanism.kind for mechanism in _MECHANISMS}
    offered: set[tuple[str, Plan]] = set()
    kept = []
    for finding in findings:
        if finding.repairs and finding.kind in sending:
            best = finding.agent_id, finding.repairs[0].repairs
            if best in offered:
                continue
            offered.add(best)
        kept.append(finding)
    return kept


def _is_healthy(costs: AgentCosts) -> bool:
    """Whether an agent is healthy by usage, or by simulation without: it reads, and loses next to nothing."""
    return costs.reads > 0 and costs.lost <= _HEALTHY * costs.cost


class _Draft:
    """A finding whose repairs are being tried.

    Attributes
    ----------
    finding : Finding
    costs : AgentCosts
    bound : float
        What a repair can save at most, in US dollars: repairs of the dearest faults are tried first.
    caused : float
        What its requests could have saved by simulation: its cost where no repair tells more.
    plans : sequence of Plan
        The repairs to try, the best first. If none is offered they only measure what the fault costs.
    """

    def __init__(self, finding: Finding, costs: AgentCosts, bound: float, caused: float, plans: Sequence[Plan]) -> None:
        self.finding, self.costs, self.bound, self.caused, self.plans = finding, costs, bound, caused, plans
        self.saved: dict[Plan, float] = {}

    @property
    def floor(self) -> float:
        """The least saving that is worth an attempt."""
        return min(_MIN_SAVED, _MIN_SHARE * self.costs.cost)

    @property
    def is_answered(self) -> bool:
        """Whether a repair was found that saves money, or none can."""
        return self.bound < self.floor or any(saved >= self.floor for saved in self.saved.values())

    def finish(self, thresholds: StabilityThresholds) -> Finding | None:
        """Return the finding with its cost and repairs; None if it costs next to nothing."""
        evidence = self._with_threshold(thresholds)
        best = max([*self.saved.values(), evidence.threshold_saved or 0.0])
        lost = best if best > 0 else 0.0 if self.saved else self.caused
        cost = self.costs.cost
        is_event = self.finding.kind in _CHANGES
        if lost < max(_MIN_SHARE * cost, self.floor) and not (is_event and lost > 0):
            return None
        effects = {effect.repairs: effect for effect in self.finding.repairs}
        offered = sorted(
            (
                replace(effects[plan], money_saved=saved)
                for plan, saved in self.saved.items()
                if plan in effects and saved >= self.floor
            ),
            key=lambda effect: -(effect.money_saved or 0.0),
        )
        return replace(
            self.finding,
            evidence=evidence,
            repairs=tuple(offered),
            bound_repairs=0,
            money_lost=lost,
            agent_cost=cost,
            days=self.costs.days,
        )

    def _with_threshold(self, thresholds: StabilityThresholds) -> Evidence:
        """Return the evidence with the threshold that saves most: the one that just includes the block, or a round one.

        A threshold that saves nothing is not recommended.
        """
        evidence = self.finding.evidence
        if evidence.threshold is None:
            return evidence
        rounded = int(evidence.threshold / _ROUND + 1e-9) * _ROUND
        saved = {
            one: self.costs.saved_by_threshold(replace(thresholds, stable_threshold=one))
            for one in {evidence.threshold, round(rounded, 2)}
        }
        best = max(saved, key=saved.__getitem__)
        if saved[best] < self.floor:
            return replace(evidence, threshold=None)
        return replace(evidence, threshold=best, threshold_saved=saved[best])


def _drafts(
    context: AnalysisContext, costs: AgentCosts, keys: Sequence[str], findings: Sequence[Finding]
) -> list[_Draft]:
    """Return the findings of one agent, and those of how its requests are sent."""
    mine = [finding for finding in findings if finding.agent_id == costs.agent_id]
    drafts = [_draft_of(context, finding, costs) for finding in mine if _agrees(finding, costs)]
    threshold = max(_MIN_SENDING * costs.cost, _MIN_SAVED)
    stated = {verdict for draft in drafts for verdict in _verdicts_of(draft.finding) if not draft.plans}
    for mechanism in _MECHANISMS:
        found = [costs.causes[one] for one in mechanism.verdicts if one in costs.causes and one not in stated]
        cost = CauseCost(sum(one.requests for one in found), sum(one.avoidable for one in found))
        if mechanism.kind is Kind.TTL_TOO_SHORT and found:
            # With this TTL it was not avoidable; it is what is lost beyond what was.
            cost = CauseCost(cost.requests, max(costs.lost - costs.totals.avoidable, 0.0))
        is_unread = mechanism.kind is Kind.BELOW_MINIMUM and cost.requests > len(costs.simulation) / 2
        if cost.avoidable >= threshold or (is_unread and not any(draft.finding.repairs for draft in drafts)):
            drafts.append(_draft_mechanism(context, mechanism, costs, cost, tuple(keys)))
    named = {finding.kind for finding in mine}
    for edit in build_edit_findings(costs.simulation, costs.agent_id, keys):
        if edit.kind not in named:
            lost = edit.money_lost or 0.0
            drafts.append(_Draft(edit, costs, lost, lost, []))
    return drafts


def _agrees(finding: Finding, costs: AgentCosts) -> bool:
    """Whether usage agrees with a finding that says something is not cached."""
    if finding.kind not in _REFUSALS:
        return True
    return costs.reads < finding.tokens_lost * len(costs.simulation) / 2


def _draft_of(context: AnalysisContext, finding: Finding, costs: AgentCosts) -> _Draft:
    """Return a draft of a fault in the prompts; where breakpoints end early, each repair is tried with one more too."""
    keys = tuple(context.snapshot.profile_names.of_agent(finding.agent_id))
    repairs = [
        replace(effect, repairs=tuple(one for one in effect.repairs if not isinstance(one, MergeProfiles)))
        for effect in finding.repairs
    ]
    repairs = [effect for effect in repairs if effect.repairs]
    caused = sum(costs.causes[one].avoidable for one in _verdicts_of(finding) if one in costs.causes)
    if finding.kind not in _CHANGES and costs.simulation.history.acts:
        more = AddBreakpoint(at="system", learning_keys=keys)
        repairs = [other for effect in repairs for other in (replace(effect, repairs=(*effect.repairs, more)), effect)]
    plans = [effect.repairs for effect in repairs] or _measures(finding)
    return _Draft(replace(finding, repairs=tuple(repairs)), costs, _bound(finding, costs, caused), caused, plans)


def _measures(finding: Finding) -> list[Plan]:
    """Return what measures the cost of a change to the instructions that no repair is known for: no change at all."""
    if finding.kind not in _UNNAMED or _instructions.fullmatch(finding.span_id or "") is None:
        return []
    return [(Pin(finding.span_id or "", learning_keys=finding.evidence.profiles),)]


def _bound(finding: Finding, costs: AgentCosts, caused: float) -> float:
    """Return what a repair can save at most: what the cache could have saved, or the tokens that it never sees again.

    Where every request has another prefix the provider reads all that it can, and that is nothing.
    """
    if finding.kind in _CHANGES:
        return caused
    sent = float(costs.simulation.tokens.sum())
    unread = costs.cost * min(finding.total_lost / sent, 1.0) if sent else 0.0
    return max(costs.lost, costs.totals.avoidable, unread)


def _draft_mechanism(
    context: AnalysisContext, mechanism: _Mechanism, costs: AgentCosts, cost: CauseCost, keys: tuple[str, ...]
) -> _Draft:
    plans = mechanism.plans(keys)
    extent = measure_extent(select_windows(context.snapshot, keys), context.thresholds)
    words = mechanism.words.format(requests=f"{cost.requests:,} of {counted(len(costs.simulation), 'request')}")
    finding = Finding(
        learning_key=keys[0],
        agent_id=costs.agent_id,
        span_id=None,
        kind=mechanism.kind,
        timing=None,
        tokens_lost=0.0,
        requests=cost.requests,
        sentence=f"{words[0].upper()}{words[1:]}.",
        evidence=Evidence(requests=len(costs.simulation), present=cost.requests, profiles=keys),
        repairs=tuple(Effect(repairs=plan, before=extent, after=extent) for plan in plans),
    )
    return _Draft(finding, costs, cost.avoidable, cost.avoidable, plans)


def _try(context: AnalysisContext, drafts: Sequence[_Draft]) -> None:
    """Simulate repairs, the first of each finding first; further ones only where it saved nothing."""
    n_tried = 0
    for turn in range(max((len(draft.plans) for draft in drafts), default=0)):
        for draft in drafts:
            if turn >= len(draft.plans) or draft.is_answered:
                continue
            plan = draft.plans[turn]
            n_tried += 1  # known ones count too: the same question has the same answer
            if n_tried > _MAX_TRIED:
                return
            saved = draft.costs.saved(context.snapshot, plan)
            if saved is not None:
                draft.saved[plan] = saved
