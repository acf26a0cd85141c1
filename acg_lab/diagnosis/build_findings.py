"""Findings of what was found.

Belongs here: a finding of profiles that are kept apart, of blocks that end a prefix, of what production refuses, and of
what only the provider sees to differ. What is alike in several profiles of an agent, or groups of them, is one finding:
evidence and repairs are those of the costliest, tokens the mean.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TypeVar

from acg_lab._format import counted
from acg_lab.diagnosis.context import AnalysisContext
from acg_lab.diagnosis.finding import Evidence, Finding, Kind
from acg_lab.diagnosis.phrases import lost, sentence
from acg_lab.diagnosis.planner_refusals import PlannerRefusal, find_refusals
from acg_lab.diagnosis.prefix_breaks import Fault, evidence_of, threshold_for
from acg_lab.diagnosis.profile_splits import Group, mean_of, tell_groups
from acg_lab.diagnosis.raw_differences import Unequal
from acg_lab.diagnosis.suggestions import try_for_break, try_for_groups

__all__ = ["of_faults", "of_groups", "of_refusals", "of_unequal"]

T = TypeVar("T")


def _together(items: Iterable[T], cost: Callable[[T], float], alike: Callable[[T], Hashable]) -> Iterable[list[T]]:
    """Put together what is alike; in each list the costliest first, of equals the first."""
    found: dict[Hashable, list[T]] = {}
    for item in sorted(items, key=cost, reverse=True):
        found.setdefault(alike(item), []).append(item)
    return found.values()


# --- profiles kept apart ---


def of_groups(case: AnalysisContext, groups: Iterable[Group], *, text: bool) -> Iterator[Finding]:
    """Yield findings of groups of profiles; alike are those of one kind, in the same parts of keys of one agent."""

    def alike(group: Group) -> Hashable:
        # First messages, models and lists of tools stand at no one block.
        block = group.main.change.span_id if group.main.part in ("system", "response_format") else None
        parts = tuple(cause.part for cause in group.causes)
        return case.snapshot.owners[group.keys[0]].agent_id, group.kind, parts, block

    in_order = sorted(groups, key=lambda group: group.keys)
    for of_kind in _together(in_order, lambda group: group.lost * group.requests, alike):
        yield _of_groups(case, of_kind, text=text)


def _of_groups(case: AnalysisContext, groups: Sequence[Group], *, text: bool) -> Finding:
    cause = groups[0].main
    change, is_block = cause.change, cause.part != "model"
    keys = tuple(key for group in groups for key in group.keys)
    # Another model is no block: what its requests hold is no evidence.
    known: dict[str, object] = {} if is_block else {"distinct": len(keys), "variants": (), "places": ()}
    known |= {"profiles": keys, "n_profiles_if_fixed": len(groups), "details": groups[0].details}
    known["stable_tokens_after"] = mean_of(groups, "shared")
    return Finding(
        learning_key=keys[0],
        agent_id=case.snapshot.owners[keys[0]].agent_id,
        span_id=change.span_id if is_block else None,
        kind=cause.kind,
        timing=cause.sequel.timing,
        tokens_lost=mean_of(groups, "lost"),
        sentence=tell_groups(case, groups),
        requests=sum(group.requests for group in groups),
        evidence=evidence_of(change, cause.sequel, text=text and is_block, **known),
        repairs=try_for_groups(case, groups),
    )


# --- blocks that end a prefix ---


def of_faults(case: AnalysisContext, faults: Mapping[str, Fault], *, text: bool) -> Iterator[Finding]:
    """Yield findings of faults by learning key; alike are those of one kind, at the same block of one agent."""

    def cost(key: str) -> float:
        return faults[key].lost * len(faults[key].change.rows)

    def alike(key: str) -> Hashable:
        return case.snapshot.owners[key].agent_id, faults[key].change.span_id, faults[key].kind

    for keys in _together(sorted(faults), cost, alike):
        yield _of_faults(case, {key: faults[key] for key in keys}, text=text)


def _of_faults(case: AnalysisContext, faults: Mapping[str, Fault], *, text: bool) -> Finding:
    key, fault = next(iter(faults.items()))
    change = fault.change
    effects, bound = try_for_break(case, key, fault.kind, change)
    requests = sum(len(other.change.rows) for other in faults.values())
    tokens = sum(other.lost * len(other.change.rows) for other in faults.values()) / requests
    evidence = evidence_of(
        change,
        change.sequel,
        text=text,
        stable_tokens_after=fault.behind,
        unchanging=fault.inside,
        threshold=threshold_for(case, key, fault),
        profiles=tuple(faults),
        details=fault.match.details if fault.match else (),
    )
    return Finding(
        learning_key=key,
        agent_id=case.snapshot.owners[key].agent_id,
        span_id=change.span_id,
        kind=fault.kind,
        timing=change.sequel.timing,
        tokens_lost=tokens,
        sentence=fault.tell(tokens, len(faults)),
        requests=requests,
        evidence=evidence,
        repairs=effects,
        bound_repairs=bound,
    )


# --- what production refuses ---


def of_refusals(case: AnalysisContext, keys: Sequence[str]) -> Iterator[Finding]:
    """Yield findings of what production refuses to plan, of some profiles."""
    owners = case.snapshot.owners
    in_order = sorted(keys, key=lambda key: owners[key].agent_id)
    for agent_id, of_agent in groupby(in_order, lambda key: owners[key].agent_id):
        for refusal in find_refusals(case, list(of_agent)):
            yield _of_refusal(case, agent_id, refusal)


def _of_refusal(case: AnalysisContext, agent_id: str, refusal: PlannerRefusal) -> Finding:
    requests = sum(case.results[key].total_observations for key in refusal.keys)
    return Finding(
        learning_key=refusal.keys[0],
        agent_id=agent_id,
        span_id=None,
        kind=refusal.kind,
        timing=None,
        tokens_lost=refusal.lost,
        sentence=sentence(f"{refusal.words}; {lost(refusal.lost)} are stable and not cached"),
        requests=requests,
        evidence=Evidence(requests=requests, profiles=refusal.keys),
    )


# --- what only the provider sees ---


def of_unequal(case: AnalysisContext, unequal: Iterable[Unequal]) -> Iterator[Finding]:
    """Yield findings of blocks sent in several forms; alike are those of one agent that differ in the same."""

    def cost(found: Unequal) -> float:
        return found.share * case.tokens_from(found.key, found.rank) * sum(found.counts)

    def alike(found: Unequal) -> Hashable:
        return case.snapshot.owners[found.key].agent_id, found.span_id, found.differ

    in_order = sorted(unequal, key=lambda found: found.key)
    for several in _together(in_order, cost, alike):
        yield _of_unequal(case, several, sum(map(cost, several)))


def _of_unequal(case: AnalysisContext, several: Sequence[Unequal], total: float) -> Finding:
    found = several[0]
    requests = sum(sum(other.counts) for other in several)
    so = f"so it is in {len(several):,} profiles, where " if len(several) > 1 else ""
    forms = f"is sent in {counted(len(found.counts), 'form')} that differ in {found.differ}"
    cost = f"the provider can't read {lost(total / requests)} from there on"
    return Finding(
        learning_key=found.key,
        agent_id=case.snapshot.owners[found.key].agent_id,
        span_id=found.span_id,
        kind=Kind.RAW_BYTES_DIFFER,
        timing=None,
        tokens_lost=total / requests,
        sentence=sentence(f"{found.span_id!r} is the same to the learner, but {forms}; {so}{cost}"),
        requests=requests,
        evidence=Evidence(
            requests=sum(found.counts),
            present=sum(found.counts),
            distinct=len(found.counts),
            profiles=tuple(other.key for other in several),
            details=(found.differ,),
        ),
    )
