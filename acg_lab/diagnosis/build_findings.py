"""Build findings from what was found: splits of profiles, breaks of prefixes, refusals, and differences in raw bytes.

Similar faults of several profiles of an agent share one finding, and so do similar splits. Evidence and repairs
are those of the costliest, tokens the mean.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple, TypeAlias, TypeVar

from msgspec.structs import replace

from acg_lab._format import counted
from acg_lab.diagnosis.block_history import BlockHistory
from acg_lab.diagnosis.context import AnalysisContext
from acg_lab.diagnosis.finding import Evidence, Finding, Kind, Timing
from acg_lab.diagnosis.measure_plans import Plan, plan_mending, plan_mending_all
from acg_lab.diagnosis.mended_history import MendedText
from acg_lab.diagnosis.phrases import to_sentence, tokens_per_request
from acg_lab.diagnosis.planner_refusals import PlannerRefusal, find_refusals
from acg_lab.diagnosis.prefix_breaks import Fault, build_evidence, find_threshold
from acg_lab.diagnosis.profile_splits import ProfileSplit, describe_splits, mean_tokens
from acg_lab.diagnosis.raw_differences import RawDifference
from acg_lab.diagnosis.sent_forms import describe_respects
from acg_lab.diagnosis.suggestions import try_break_repairs, try_split_repairs
from acg_lab.repairs.effects import Effect
from acg_lab.storage.times import render_time

__all__ = [
    "BuiltFinding",
    "build_fault_findings",
    "build_raw_difference_findings",
    "build_refusal_findings",
    "build_split_findings",
]

T = TypeVar("T")


class BuiltFinding(NamedTuple):
    """A finding, and what measures its cost where other causes change the same prompts.

    Attributes
    ----------
    finding : Finding
    everything, others : tuple of Repair
        Repairs of all causes together, and of all but this one; empty without other causes or known repairs.
    """

    finding: Finding
    everything: Plan = ()
    others: Plan = ()


def _group_alike(
    items: Iterable[T], cost: Callable[[T], float], similarity: Callable[[T], Hashable]
) -> Iterable[list[T]]:
    """Return lists of similar items, each with the costliest first."""
    found: dict[Hashable, list[T]] = {}
    for item in sorted(items, key=cost, reverse=True):
        found.setdefault(similarity(item), []).append(item)
    return found.values()


# --- splits of profiles ---


def build_split_findings(
    context: AnalysisContext, splits: Iterable[ProfileSplit], *, text: bool
) -> Iterator[BuiltFinding]:
    """Yield findings of splits; splits of one agent are similar if they have the same kind and parts of keys."""

    def similarity(split: ProfileSplit) -> Hashable:
        # First messages, models and lists of tools do not belong to one block.
        block = split.main.block.span_id if split.main.part in ("system", "response_format") else None
        parts = tuple(cause.part for cause in split.causes)
        return context.snapshot.owners[split.keys[0]].agent_id, split.kind, parts, block

    in_order = sorted(splits, key=lambda split: split.keys)
    joined: _Joined = {}
    for of_kind in _group_alike(in_order, lambda split: split.lost * split.requests, similarity):
        yield _build_split_finding(context, of_kind, joined, text=text)


_Joined: TypeAlias = dict[Hashable, tuple[Effect, ...]]  # repairs of all causes, by splits


def _build_split_finding(
    context: AnalysisContext, splits: Sequence[ProfileSplit], joined: _Joined, *, text: bool
) -> BuiltFinding:
    cause = splits[0].main
    block, is_block = cause.block, cause.part != "model"
    keys = tuple(key for split in splits for key in split.keys)
    # A model is not a block, so the contents of its requests are no evidence.
    known: dict[str, object] = {} if is_block else {"distinct": len(keys), "variants": (), "places": (), "n_places": 0}
    known |= {"profiles": keys, "n_profiles_if_fixed": len(splits), "details": splits[0].details}
    known["stable_tokens_after"] = mean_tokens(splits, "shared")
    finding = Finding(
        learning_key=keys[0],
        agent_id=context.snapshot.owners[keys[0]].agent_id,
        span_id=block.span_id if is_block else None,
        kind=cause.kind,
        timing=cause.change_history.timing,
        tokens_lost=mean_tokens(splits, "lost"),
        sentence=describe_splits(context, splits),
        requests=sum(split.requests for split in splits),
        evidence=build_evidence(
            block, cause.change_history, text=text and is_block and context.may_show(block), **known
        ),
        repairs=_try_repairs(context, splits, joined),
    )
    others = [(other.block, other.kind) for other in splits[0].others]
    return _measure_alone(finding, block, others, keys)


def _try_repairs(context: AnalysisContext, splits: Sequence[ProfileSplit], joined: _Joined) -> tuple[Effect, ...]:
    """Return the repairs of similar splits, and of other causes together with them: some save nothing alone."""
    alone = try_split_repairs(context, splits)
    if not splits[0].others:
        return alone
    together = [_join_causes(split) for split in splits]
    known = tuple((split.keys, tuple((one.block.span_id, one.kind) for one in split.causes)) for split in together)
    if known not in joined:
        joined[known] = try_split_repairs(context, together)
    return tuple({effect.repairs: effect for effect in (*alone, *joined[known])}.values())


def _join_causes(split: ProfileSplit) -> ProfileSplit:
    """Return a split with all causes, in the same order whichever of them it is of."""
    causes = sorted((*split.causes, *split.others), key=lambda one: (one.part, one.block.span_id, one.kind))
    return split._replace(causes=tuple(causes), others=())


def _measure_alone(
    finding: Finding, block: BlockHistory, others: Sequence[tuple[BlockHistory, Kind]], keys: tuple[str, ...]
) -> BuiltFinding:
    """Return a finding with the repairs that show what it costs when the others are mended."""
    if not others:
        return BuiltFinding(finding)
    beside = tuple((other.span_id, kind) for other, kind in others)
    slots = block.numbers if isinstance(block, MendedText) else ()
    finding = replace(finding, evidence=replace(finding.evidence, beside=beside, slots=slots))
    everything = plan_mending_all([(block, finding.kind), *others], keys)
    return BuiltFinding(finding, everything, plan_mending(others, block, keys))


# --- breaks of prefixes ---


def build_fault_findings(
    context: AnalysisContext, faults: Mapping[str, Sequence[Fault]], *, text: bool
) -> Iterator[BuiltFinding]:
    """Yield findings of faults by learning key; faults of one agent are similar at the same block and of one kind."""
    pairs = [(key, fault) for key in sorted(faults) for fault in faults[key]]

    def cost(pair: tuple[str, Fault]) -> float:
        return pair[1].lost * len(pair[1].block.rows)

    def similarity(pair: tuple[str, Fault]) -> Hashable:
        key, fault = pair
        return context.snapshot.owners[key].agent_id, fault.block.span_id, fault.kind, bool(fault.others)

    for several in _group_alike(pairs, cost, similarity):
        yield _build_fault_finding(context, dict(several), text=text)


def _build_fault_finding(context: AnalysisContext, faults: Mapping[str, Fault], *, text: bool) -> BuiltFinding:
    key, fault = next(iter(faults.items()))
    block = fault.block
    effects, bound = try_break_repairs(context, key, fault.kind, block, fault.others)
    requests = sum(len(other.block.rows) for other in faults.values())
    tokens = sum(other.lost * len(other.block.rows) for other in faults.values()) / requests
    evidence = build_evidence(
        block,
        block.change_history,
        text=text and context.may_show(block),
        stable_tokens_after=fault.tokens_after,
        unchanging=fault.tokens_inside,
        threshold=find_threshold(context, key, fault),
        profiles=tuple(faults),
        details=fault.detection.details if fault.detection else (),
    )
    finding = Finding(
        learning_key=key,
        agent_id=context.snapshot.owners[key].agent_id,
        span_id=block.span_id,
        kind=fault.kind,
        timing=block.change_history.timing,
        tokens_lost=tokens,
        sentence=fault.describe(tokens, len(faults)),
        requests=requests,
        evidence=evidence,
        repairs=effects,
        bound_repairs=bound,
    )
    others = [(other.block, other.kind) for other in fault.others]
    return _measure_alone(finding, block, others, tuple(faults))


# --- refusals ---


def build_refusal_findings(context: AnalysisContext, keys: Sequence[str]) -> Iterator[BuiltFinding]:
    """Yield findings of some profiles for which production plans nothing."""
    owners = context.snapshot.owners
    in_order = sorted(keys, key=lambda key: owners[key].agent_id)
    for agent_id, of_agent in groupby(in_order, lambda key: owners[key].agent_id):
        for refusal in find_refusals(context, list(of_agent)):
            yield _build_refusal_finding(context, agent_id, refusal)


def _build_refusal_finding(context: AnalysisContext, agent_id: str, refusal: PlannerRefusal) -> BuiltFinding:
    requests = sum(context.results[key].total_observations for key in refusal.keys)
    finding = Finding(
        learning_key=refusal.keys[0],
        agent_id=agent_id,
        span_id=None,
        kind=refusal.kind,
        timing=None,
        tokens_lost=refusal.lost,
        sentence=to_sentence(f"{refusal.wording}; {tokens_per_request(refusal.lost)} are stable but not cached"),
        requests=requests,
        evidence=Evidence(requests=requests, profiles=refusal.keys),
    )
    return BuiltFinding(finding)


# --- differences in raw bytes ---


def build_raw_difference_findings(context: AnalysisContext, unequal: Iterable[RawDifference]) -> Iterator[BuiltFinding]:
    """Yield findings of blocks sent in several forms; similar are the same block and difference of one agent."""

    def cost(found: RawDifference) -> float:
        missed = 1 if found.changed_at is not None else found.share * sum(found.counts)
        return missed * context.tokens_from(found.key, found.rank)

    def similarity(found: RawDifference) -> Hashable:
        is_event = found.changed_at is not None
        return context.snapshot.owners[found.key].agent_id, found.span_id, found.differ, is_event

    in_order = sorted(unequal, key=lambda found: found.key)
    for several in _group_alike(in_order, cost, similarity):
        yield _build_raw_difference_finding(context, several, sum(map(cost, several)))


def _build_raw_difference_finding(
    context: AnalysisContext, several: Sequence[RawDifference], total: float
) -> BuiltFinding:
    found = several[0]
    requests = sum(sum(other.counts) for other in several)
    where = f", in {len(several):,} profiles" if len(several) > 1 else ""
    forms = describe_respects(found.differ).replace("in forms", f"in {counted(len(found.counts), 'form')}")
    forms = forms if forms.startswith("sent") else f"sent {forms}"
    name = "the response format" if found.span_id is None else repr(found.span_id)
    cost = f"the provider cannot read {tokens_per_request(total / requests)} from there on"
    clause = f"{name} is the same to the learner but is {forms}{where}"
    moment = None if found.changed_at is None else render_time(found.changed_at)
    if moment is not None:
        clause = f"the form of {name} changed once (at {moment[:16].replace('T', ' ')} UTC): it is {forms}{where}"
    finding = Finding(
        learning_key=found.key,
        agent_id=context.snapshot.owners[found.key].agent_id,
        span_id=found.span_id,
        kind=Kind.RAW_BYTES_DIFFER,
        timing=None if moment is None else Timing.ONCE,
        tokens_lost=total / requests,
        sentence=to_sentence(f"{clause}; {cost}"),
        requests=requests,
        evidence=Evidence(
            requests=sum(found.counts),
            present=sum(found.counts),
            distinct=len(found.counts),
            last_change=moment,
            profiles=tuple(other.key for other in several),
            details=found.differ,
        ),
    )
    return BuiltFinding(finding)
