"""Put money into findings: what each fault costs over the history, and what its repairs save, by simulation.

Faults of how requests are sent (a breakpoint that ends too early, a TTL that is too short) become findings too. A
repair is offered only if it saves money; what usage contradicts is not reported.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from msgspec.structs import replace

from acg_lab._format import counted
from acg_lab.core.stability import StabilityThresholds
from acg_lab.diagnosis.build_findings import BuiltFinding
from acg_lab.diagnosis.context import AnalysisContext
from acg_lab.diagnosis.edit_findings import build_edit_findings
from acg_lab.diagnosis.finding import Evidence, Finding, Kind
from acg_lab.diagnosis.repair_costs import AgentCosts, CauseCost, read_costs
from acg_lab.diagnosis.repair_trials import MAX_TRIED, MIN_SAVED, Draft, Plan, try_repairs
from acg_lab.diagnosis.sending_faults import (
    MECHANISMS,
    UNREAD_WRITES,
    Mechanism,
    find_unread_writes,
    plan_breakpoints,
)
from acg_lab.diagnosis.suggestions import FILLED_IN, pin_values
from acg_lab.repairs.apply import select_windows
from acg_lab.repairs.content_repairs import MergeProfiles, MoveToSystemPrompt, Pin, UseOneForm
from acg_lab.repairs.effects import Effect, measure_effect, measure_extent
from acg_lab.repairs.sending_repairs import AddBreakpoint
from acg_lab.simulation.verdicts import Verdict
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.storage.base import Progress

__all__ = ["Drafted", "PricedFindings", "draft_findings", "price_findings"]

_MIN_SENDING: Final = 0.03  # of an agent's cost; a smaller loss by how requests are sent is not reported
_instructions: Final = re.compile(r"system-\d+(-instructions)?")
_UNPLANNED: Final = (
    Kind.FRAGMENTED_BY_FIRST_MESSAGE,
    Kind.UNKNOWN_MODEL_FAMILY,
    Kind.BOUND_TO_REQUESTS,
    Kind.TOO_FEW_REQUESTS,
)
_REFUSALS: Final = (Kind.BELOW_MINIMUM, Kind.UNKNOWN_MODEL_FAMILY, Kind.BOUND_TO_REQUESTS, Kind.TOO_FEW_REQUESTS)


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
    if finding.kind is Kind.CACHE_MARKS:
        return (Verdict.NO_BREAKPOINT, Verdict.NOT_WRITTEN, Verdict.BREAKPOINT_SHORT)
    if finding.kind in _UNPLANNED:
        return (Verdict.NO_BREAKPOINT,)
    if finding.kind is Kind.RAW_BYTES_DIFFER:
        return (Verdict.PARAMETERS_CHANGED, Verdict.TOOLS_CHANGED, Verdict.SYSTEM_CHANGED, Verdict.HISTORY_CHANGED)
    # Tools are numbered like system messages.
    is_system = finding.span_id is not None and finding.span_id.startswith("system-")
    return (Verdict.SYSTEM_CHANGED, Verdict.TOOLS_CHANGED) if is_system else (Verdict.HISTORY_CHANGED,)


class PricedFindings(NamedTuple):
    """Findings with their costs, dearest first; those without a cost follow, by tokens.

    With them the healthy profiles, those of which nobody knows, and notes on where the costs come from.
    """

    findings: list[Finding]
    healthy: tuple[str, ...]
    unknown: tuple[str, ...]
    notes: tuple[str, ...]


class Drafted(NamedTuple):
    """Findings with what their agents' requests cost, before any repair was tried.

    Attributes
    ----------
    costs : dict of str to AgentCosts
        By agent id; without the agents whose costs are not known.
    drafts : list of Draft
    """

    costs: dict[str, AgentCosts]
    drafts: list[Draft]


def draft_findings(
    context: AnalysisContext, built: Sequence[BuiltFinding], keys: AbstractSet[str], on_progress: Progress
) -> Drafted:
    """Simulate agents, and return findings with what they may cost.

    Parameters
    ----------
    context : AnalysisContext
    built : sequence of BuiltFinding
        By tokens, costliest first.
    keys : set of str
        The profiles that are explained.
    on_progress : callable
        Called for each agent, with 1 and the number of agents.
    """
    by_agent: dict[str, list[str]] = {}
    for key in context.results:
        if key in keys:
            by_agent.setdefault(context.snapshot.owners[key].agent_id, []).append(key)
    costs: dict[str, AgentCosts] = {}
    for agent_id in by_agent:
        found = read_costs(context.snapshot, agent_id)
        if found is not None:
            costs[agent_id] = found
        on_progress(1, len(by_agent))
    return Drafted(
        costs, [draft for agent_id, one in costs.items() for draft in _drafts(context, one, by_agent[agent_id], built)]
    )


def price_findings(
    snap: Snapshot,
    thresholds: StabilityThresholds,
    built: Sequence[BuiltFinding],
    drafted: Drafted,
    keys: Sequence[str],
) -> PricedFindings:
    """Return findings with what they cost and what their repairs save.

    Parameters
    ----------
    snap : Snapshot
    thresholds : StabilityThresholds
    built : sequence of BuiltFinding
        By tokens, costliest first.
    drafted : Drafted
        Of the same findings.
    keys : sequence of str
        The profiles that are explained.
    """
    costs, drafts = drafted
    drafts = sorted(drafts, key=lambda draft: -draft.bound)
    try_repairs(snap, drafts)
    priced = [finding for draft in drafts if (finding := draft.finish(snap, thresholds)) is not None]
    priced.sort(key=lambda one: (one.is_event, -(one.money_lost or 0.0), -one.total_lost, one.learning_key))
    priced = _without_repeats(priced)
    rest = [one.finding for one in built if one.finding.agent_id not in costs]
    found_keys = {key for finding in (*priced, *rest) for key in finding.evidence.profiles}
    without = [key for key in keys if key not in found_keys]
    healthy, unknown = _divide_by_health(snap, costs, without)
    notes = *_note_usage(list(costs.values())), *_note_untried(priced)
    return PricedFindings([*map(_without_untried, priced), *rest], healthy, unknown, notes)


def _without_untried(finding: Finding) -> Finding:
    """Return a finding without the repairs that were not tried: nobody knows that they save."""
    return replace(finding, repairs=tuple(effect for effect in finding.repairs if effect.money_saved is not None))


def _note_usage(costs: Sequence[AgentCosts]) -> tuple[str, ...]:
    """Return a sentence on requests whose costs are simulated for want of recorded usage."""
    n_without, n = sum(one.n_without_usage for one in costs), sum(one.n_requests for one in costs)
    if not n_without:
        return ()
    return (f"{n_without:,} of {counted(n, 'request')} have no recorded usage: their cost is simulated.",)


def _note_untried(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return a sentence on repairs that were not tried."""
    n = sum(effect.money_saved is None for finding in findings for effect in finding.repairs)
    if not n:
        return ()
    were = "was" if n == 1 else "were"
    most = f"at most {MAX_TRIED} are, those that can save most"
    return (f"{counted(n, 'further repair')} {were} not tried: {most}. Explain one agent to try its own.",)


def _without_repeats(findings: Sequence[Finding]) -> list[Finding]:
    """Leave out faults of how requests are sent that another finding's repair fixes too: they save the same money.

    That is a dearer one's best repair, or, where their own was not tried, any that it is part of. What is written for
    nothing may be read once another fault is fixed.
    """
    sending = {mechanism.kind for mechanism in MECHANISMS}
    saving = [
        (finding.agent_id, set(effect.repairs))
        for finding in findings
        for effect in finding.repairs
        if effect.money_saved is not None
    ]
    offered: set[tuple[str, Plan]] = set()
    kept = []
    for finding in findings:
        if finding.kind is Kind.WRITES_UNREAD and any(agent == finding.agent_id for agent, _ in saving):
            continue
        if finding.repairs and finding.kind in sending:
            effect = finding.repairs[0]
            best = finding.agent_id, effect.repairs
            is_part = any(agent == finding.agent_id and plan.issuperset(effect.repairs) for agent, plan in saving)
            if best in offered or (effect.money_saved is None and is_part):
                continue
            offered.add(best)
        kept.append(finding)
    return kept


def _divide_by_health(
    snap: Snapshot, costs: Mapping[str, AgentCosts], keys: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return, of profiles without findings, the healthy ones and those of which nobody knows.

    Nobody knows where requests are recorded without a known cost: all failed, or the model has no price, say. Where
    none are recorded, prompts without a fault are all that is asked for.
    """
    runs = zip(snap.runs.records, snap.runs.calls, strict=True)
    unpriced = {run.agent_id for run, calls in runs if any(call.request is not None for call in calls)} - {*costs}
    by_agent = {key: snap.owners[key].agent_id for key in keys}
    healthy = tuple(
        key
        for key, agent_id in by_agent.items()
        if agent_id not in unpriced and (agent_id not in costs or costs[agent_id].are_healthy)
    )
    return healthy, tuple(key for key, agent_id in by_agent.items() if agent_id in unpriced)


def _drafts(
    context: AnalysisContext, costs: AgentCosts, keys: Sequence[str], built: Sequence[BuiltFinding]
) -> list[Draft]:
    """Return the findings of one agent, and those of how its requests are sent."""
    mine = [one for one in built if one.finding.agent_id == costs.agent_id]
    drafts = [_draft_of(context, one, costs) for one in mine if _agrees(one.finding, costs)]
    threshold = max(_MIN_SENDING * costs.cost, MIN_SAVED)
    says_all = [draft for draft in drafts if not draft.plans or draft.finding.kind is Kind.CACHE_MARKS]
    stated = {verdict for draft in says_all for verdict in _verdicts_of(draft.finding)}
    for mechanism in MECHANISMS:
        found = [costs.causes[one] for one in mechanism.verdicts if one in costs.causes and one not in stated]
        cost = CauseCost(sum(one.requests for one in found), sum(one.avoidable for one in found))
        if mechanism.kind is Kind.TTL_TOO_SHORT and found:
            # With this TTL it was not avoidable; it is what is lost beyond what was.
            cost = CauseCost(cost.requests, max(costs.lost - costs.totals.avoidable, 0.0))
        is_unread = mechanism.kind is Kind.BELOW_MINIMUM and cost.requests > len(costs.simulation) / 2
        if cost.avoidable >= threshold or (is_unread and not any(draft.finding.repairs for draft in drafts)):
            drafts.append(_draft_mechanism(context, mechanism, costs, cost, tuple(keys)))
    unread = find_unread_writes(costs.simulation)
    if unread.avoidable >= threshold:
        drafts.append(_draft_mechanism(context, UNREAD_WRITES, costs, unread, tuple(keys)))
    return [*drafts, *_draft_edits(costs, keys, drafts)]


def _draft_edits(costs: AgentCosts, keys: Sequence[str], drafts: Sequence[Draft]) -> Iterator[Draft]:
    """Yield drafts of edits inside conversations, but for those that a dearer finding is about too."""
    for edit in build_edit_findings(costs.simulation, costs.agent_id, keys):
        lost = edit.money_lost or 0.0
        if not any(draft.finding.kind is edit.kind and draft.caused >= lost for draft in drafts):
            yield Draft(edit, costs, lost, lost, [])


def _agrees(finding: Finding, costs: AgentCosts) -> bool:
    """Whether usage agrees with a finding that says something is not cached."""
    if finding.kind not in _REFUSALS:
        return True
    return costs.reads < finding.tokens_lost * len(costs.simulation) / 2


def _draft_of(context: AnalysisContext, built: BuiltFinding, costs: AgentCosts) -> Draft:
    """Return a draft of a fault in the prompts; where breakpoints end early, each repair is tried with one more too."""
    finding = built.finding
    if finding.kind is Kind.STABLE_START:
        lost = costs.unread(finding.tokens_lost)
        repairs = _mark_starts(finding, costs)
        plans = [effect.repairs for effect in repairs]
        return Draft(replace(finding, repairs=tuple(repairs)), costs, lost, lost, plans)
    keys = tuple(context.snapshot.profile_names.of_agent(finding.agent_id))
    repairs = [
        replace(effect, repairs=tuple(one for one in effect.repairs if not isinstance(one, MergeProfiles)))
        for effect in finding.repairs
    ]
    repairs = [effect for effect in repairs if effect.repairs]
    if finding.kind in FILLED_IN and (pinned := [plan for effect in repairs if (plan := pin_values(effect.repairs))]):
        # Where a provider reads nothing behind what changes, values at the end may cost as much as at the start.
        profiles, thresholds = finding.evidence.profiles, context.thresholds
        repairs += [measure_effect(context.snapshot, profiles, plan, thresholds) for plan in pinned[:1]]
    if finding.kind is Kind.RAW_BYTES_DIFFER and not finding.is_event:
        repairs = _effects(context, keys, [(UseOneForm(learning_keys=keys),)])
    if finding.kind is Kind.CACHE_MARKS:
        repairs = _effects(context, keys, plan_breakpoints(keys))
    caused = sum(costs.causes[one].avoidable for one in _verdicts_of(finding) if one in costs.causes)
    acts = costs.simulation.history.acts
    if finding.kind not in (*_CHANGES, Kind.CACHE_MARKS) and (acts or costs.needs_breakpoints):
        more = AddBreakpoint(at="system", learning_keys=keys)
        pairs = [(replace(effect, repairs=(*effect.repairs, more)), effect) for effect in repairs]
        # The governor's breakpoint ends before the system prompt; the application's own may do.
        repairs = [effect for pair in pairs for effect in (pair if acts else reversed(pair))]
    if finding.is_event:
        caused = max(
            caused, costs.restart(finding.evidence.profiles, finding.evidence.last_change, context.prefix_tokens)
        )
    plans = [effect.repairs for effect in repairs] or _measures(finding, built.everything)
    if not plans and _is_of_messages(finding):
        caused = max(caused, costs.unread(_readable(context, finding)))
    bound = _bound(finding, costs, caused)
    is_event = finding.is_event or finding.kind in _CHANGES
    drafted = replace(finding, repairs=tuple(repairs))
    measures = built.everything, built.others
    return Draft(drafted, costs, bound, caused, plans, is_event, *measures)


def _mark_starts(finding: Finding, costs: AgentCosts) -> list[Effect]:
    """Return the repairs of a stable start, each with a breakpoint at its end where a cache needs one."""
    if not costs.needs_breakpoints:
        return [*finding.repairs]
    marked = []
    for effect in finding.repairs:
        is_moved = any(isinstance(one, MoveToSystemPrompt) for one in effect.repairs)
        end = AddBreakpoint("system" if is_moved else finding.span_id or "", learning_keys=finding.evidence.profiles)
        marked.append(replace(effect, repairs=(*effect.repairs, end)))
    return marked


def _is_of_messages(finding: Finding) -> bool:
    """Whether a fault is in messages, or in forms of one content: no simulated repair shows what it costs."""
    in_messages = finding.kind not in _UNPLANNED and not (finding.span_id or "system-").startswith("system-")
    return in_messages or (finding.kind is Kind.RAW_BYTES_DIFFER and not finding.is_event)


def _readable(context: AnalysisContext, finding: Finding) -> float:
    """Return the leading tokens of each prompt that could be read without a fault."""
    if finding.evidence.n_profiles_if_fixed:
        return finding.evidence.stable_tokens_after
    return context.prefix_tokens(finding.learning_key) + finding.tokens_lost


def _measures(finding: Finding, everything: Plan) -> list[Plan]:
    """Return what measures the cost of a change to the instructions that no repair is known for: no change at all."""
    if everything and not finding.is_event:
        return [everything]
    if (
        finding.is_event
        or finding.kind in (*_CHANGES, Kind.RAW_BYTES_DIFFER)
        or _instructions.fullmatch(finding.span_id or "") is None
    ):
        return []
    return [(Pin(finding.span_id or "", learning_keys=finding.evidence.profiles),)]


def _bound(finding: Finding, costs: AgentCosts, caused: float) -> float:
    """Return what a repair can save at most: what the cache could have saved, or the tokens that it never sees again.

    Where every request has another prefix the provider reads all that it can, and that is nothing.
    """
    if finding.is_event or (finding.kind in _CHANGES and not finding.evidence.beside):
        return caused
    sent = float(costs.simulation.tokens.sum())
    unread = costs.cost * min(finding.total_lost / sent, 1.0) if sent else 0.0
    return max(costs.lost, costs.totals.avoidable, unread)


def _draft_mechanism(
    context: AnalysisContext, mechanism: Mechanism, costs: AgentCosts, cost: CauseCost, keys: tuple[str, ...]
) -> Draft:
    plans = mechanism.plans(keys)
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
        repairs=tuple(_effects(context, keys, plans)),
    )
    return Draft(finding, costs, cost.avoidable, cost.avoidable, plans)


def _effects(context: AnalysisContext, keys: Sequence[str], plans: Iterable[Plan]) -> list[Effect]:
    """Return repairs of how requests are sent as effects: they leave what is learned as it is."""
    extent = measure_extent(select_windows(context.snapshot, keys), context.thresholds)
    return [Effect(repairs=plan, before=extent, after=extent) for plan in plans]
