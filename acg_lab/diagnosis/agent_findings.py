"""Find what breaks the prefixes of agents, before money is put into it; agents by agents, on several cores if asked.

Invariant: what is found of an agent does not depend on the other agents, nor on where it is found.
"""

import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace as replace_fields
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace

from acg_lab.core.stability import StabilityThresholds
from acg_lab.diagnosis.build_findings import (
    BuiltFinding,
    build_fault_findings,
    build_raw_difference_findings,
    build_refusal_findings,
    build_split_findings,
)
from acg_lab.diagnosis.context import AnalysisContext
from acg_lab.diagnosis.cost_findings import Drafted, draft_findings
from acg_lab.diagnosis.finding import Finding, Kind, Timing
from acg_lab.diagnosis.planner_refusals import LEAST_CACHED
from acg_lab.diagnosis.prefix_breaks import MIN_TOKENS_LOST, find_break
from acg_lab.diagnosis.profile_splits import ProfileSplit, find_splits
from acg_lab.diagnosis.raw_differences import find_raw_differences
from acg_lab.diagnosis.repair_trials import try_repairs
from acg_lab.diagnosis.roles import Roles, find_roles
from acg_lab.diagnosis.stable_starts import build_start_findings
from acg_lab.snapshot.analysis import analyze_profile
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.storage._runtime import Bar, paused_collector
from acg_lab.storage.base import Progress
from acg_lab.storage.column_parts import keep_windows
from acg_lab.storage.cores import count_cores, run_on_cores
from acg_lab.storage.lazy import JsonPool

__all__ = ["AgentFindings", "Question", "build_context", "find_agent_findings", "find_faulty_splits", "spread_agents"]

_UNNAMED = (Kind.UNKNOWN, Kind.REDACTED, Kind.VARIANTS, Kind.FEATURE_VARIANTS)
_MIN_SHARE = 0.1  # of the shared tokens
_MIN_TOKENS = 0.5  # per request; less rounds to none
_PROFILE = 15  # as many requests take about as long as a profile does beside its requests
# Faults with a known cause are reported however little they cost.
_ALWAYS = frozenset(Kind) - {*_UNNAMED, Kind.RAW_BYTES_DIFFER, Kind.TOO_FEW_REQUESTS}


class AgentFindings(NamedTuple):
    """What was found of some agents.

    Attributes
    ----------
    roles : list of Roles
    built : list of BuiltFinding
        By tokens, costliest first.
    drafted : Drafted or None
        With costs; None where they were not asked for.
    """

    roles: list[Roles]
    built: list[BuiltFinding]
    drafted: Drafted | None


class Question(NamedTuple):
    """What is asked: see `acg_lab.explain`."""

    thresholds: StabilityThresholds
    text: bool
    money: bool


def build_context(snap: Snapshot, keys: Iterable[str], thresholds: StabilityThresholds) -> AnalysisContext:
    """Return the context of some profiles."""
    with paused_collector():
        results = {key: analyze_profile(snap, key, thresholds, snap.rules[key].rules) for key in keys}
    return AnalysisContext(snap, thresholds, results)


def find_agent_findings(
    context: AnalysisContext, keys: AbstractSet[str], question: Question, on_progress: Progress
) -> AgentFindings:
    """Return what is found of all agents of a context, about the profiles ``keys``."""
    with paused_collector():  # it would walk over all that was found, again and again
        roles = [found for found in find_roles(context) if any(not keys.isdisjoint(one) for one in found.keys)]
        built = _build_findings(context, roles, keys, text=question.text)
    return AgentFindings(roles, built, draft_findings(context, built, keys, on_progress) if question.money else None)


def _build_findings(
    context: AnalysisContext, roles: Sequence[Roles], keys: AbstractSet[str], *, text: bool
) -> list[BuiltFinding]:
    """Return the findings that are worth reporting, by tokens, costliest first."""
    splits = [split for split in find_faulty_splits(context, roles) if not keys.isdisjoint(split.keys)]
    faults = {key: found for key in context.results if key in keys and (found := find_break(context, key).faults)}
    unexplained = keys - faults.keys() - {key for split in splits for key in split.keys}
    built = [
        *build_split_findings(context, splits, text=text),
        *build_fault_findings(context, faults, text=text),
        *build_refusal_findings(context, [key for key in context.results if key in unexplained]),
        *map(BuiltFinding, build_start_findings(context, keys)),
        *build_raw_difference_findings(
            context, [found for found in find_raw_differences(context) if found.key in keys]
        ),
    ]
    built = [one for one in built if one.finding.kind in _ALWAYS or one.finding.tokens_lost >= MIN_TOKENS_LOST]
    built = [one._replace(finding=_say_what_is_no_fault(one.finding)) for one in built]
    return sorted(built, key=lambda one: _order(one.finding))


def spread_agents(
    snap: Snapshot, wanted: Sequence[str], keys: AbstractSet[str], question: Question, n_jobs: int, bar: Bar
) -> AgentFindings:
    """Return what is found of the agents of some profiles, with agents apart on several cores where there are several.

    Parameters
    ----------
    snap : Snapshot
    wanted : sequence of str
        All profiles of the agents.
    keys : set of str
        Those that are explained.
    question : Question
    n_jobs : int
    bar : Bar
    """
    by_agent: dict[str, list[str]] = {}
    for key in wanted:
        by_agent.setdefault(snap.owners[key].agent_id, []).append(key)
    n_parts = min(count_cores(n_jobs), len(by_agent)) if snap.recorded is snap else 1
    if n_parts == 1:
        return find_agent_findings(build_context(snap, wanted, question.thresholds), keys, question, bar)
    parts = _deal(snap, by_agent, n_parts)
    order = {agent_id: i for i, agent_id in enumerate(by_agent)}
    found: list[AgentFindings] = []
    with run_on_cores(partial(_find_apart, question), _take_parts(snap, parts, by_agent, keys), n_jobs) as results:
        for part, result in zip(parts, results, strict=True):
            bar(len(part), len(by_agent))
            found.append(result)
    return _join(found, order)


class _Part(NamedTuple):
    """Some agents: what a snapshot holds of them, their profiles, and those that are explained."""

    snapshot: Snapshot
    wanted: list[str]
    keys: AbstractSet[str]


def _find_apart(question: Question, packed: bytes) -> AgentFindings:
    with paused_collector():
        part: _Part = pickle.loads(packed)  # noqa: S301  made by the process that asks
    context = build_context(part.snapshot, part.wanted, question.thresholds)
    found = find_agent_findings(context, part.keys, question, lambda *_: None)
    if found.drafted is not None:
        # Costs remember what repairs save, and which is tried next of an agent does not depend on the others: what is
        # tried of these agents later is tried here.
        try_repairs(part.snapshot, [replace_fields(draft, saved={}) for draft in found.drafted.drafts])
    return found


def _deal(snap: Snapshot, by_agent: Mapping[str, Sequence[str]], n_parts: int) -> list[list[str]]:
    """Return agents in parts that take about as long: the largest first, each to the part that has least."""
    sizes = {agent_id: _PROFILE * len(keys) for agent_id, keys in by_agent.items()}
    for record, calls in zip(snap.runs.records, snap.runs.calls, strict=True):
        if record.agent_id in sizes:
            sizes[record.agent_id] += len(calls)
    parts: list[list[str]] = [[] for _ in range(n_parts)]
    filled = [0] * n_parts
    for agent_id in sorted(sizes, key=lambda one: -sizes[one]):
        least = filled.index(min(filled))
        parts[least].append(agent_id)
        filled[least] += sizes[agent_id]
    return parts


def _take_parts(
    snap: Snapshot, parts: Iterable[Sequence[str]], by_agent: Mapping[str, Sequence[str]], keys: AbstractSet[str]
) -> Iterator[bytes]:
    """Yield parts as bytes: joblib's own pickler asks of every object how it can be sent."""
    runs = snap.columns.runs
    # What was parsed is not sent.
    runs = replace_fields(runs, messages=JsonPool(runs.messages.texts), values=JsonPool(runs.values.texts))
    for agent_ids in parts:
        own, agents = [key for agent_id in agent_ids for key in by_agent[agent_id]], set(agent_ids)
        columns = keep_windows(snap.columns, lambda _: True, own)
        taken = runs.take(i for i, record in enumerate(runs.records) if record.agent_id in agents)
        columns = replace_fields(columns, results=dict(columns.results), runs=taken, problems=())
        owners = {key: snap.owners[key] for key in own}
        part = _Part(replace_fields(snap, columns=columns, owners=owners), own, keys & set(own))
        with paused_collector():
            packed = pickle.dumps(part, pickle.HIGHEST_PROTOCOL)
        yield packed


def _join(parts: Sequence[AgentFindings], order: dict[str, int]) -> AgentFindings:
    """Return what was found of all parts, in the order in which one process finds it."""
    roles = sorted((one for part in parts for one in part.roles), key=lambda one: one.agent_id)
    built = sorted((one for part in parts for one in part.built), key=lambda one: _order(one.finding))
    drafted = [part.drafted for part in parts if part.drafted is not None]
    if not drafted:
        return AgentFindings(roles, built, None)
    costs = {agent_id: one for part in drafted for agent_id, one in part.costs.items()}
    drafts = sorted((one for part in drafted for one in part.drafts), key=lambda one: order[one.costs.agent_id])
    costs = {agent_id: costs[agent_id] for agent_id in order if agent_id in costs}
    return AgentFindings(roles, built, Drafted(costs, drafts))


def find_faulty_splits(context: AnalysisContext, roles: Sequence[Roles]) -> Iterator[ProfileSplit]:
    """Yield the splits that are worth reporting; profiles of different roles are meant to be apart."""
    role_of = {key: number for found in roles for number, keys in enumerate(found.keys) for key in keys}
    for split in find_splits(context):
        is_of_one_role = len({role_of.get(key) for key in split.keys}) == 1
        if (is_of_one_role or split.main.part in ("seed", "model")) and _is_worth_reporting(split):
            yield split


def _is_worth_reporting(split: ProfileSplit) -> bool:
    """Return whether a split is worth reporting; changes of unknown kind only if they cost enough.

    Which profile a first message leads to matters only to prompts that are long enough for some cache.

    A few system prompts that alternate, each used often, are intended: that is what profiles are for.
    """
    if split.main.change_history.timing is Timing.ONCE and split.kind in _ALWAYS:
        return split.lost > 0
    if split.kind is Kind.FRAGMENTED_BY_FIRST_MESSAGE and split.shared < LEAST_CACHED:
        return False
    if split.kind in _UNNAMED:
        return split.lost >= max(MIN_TOKENS_LOST, _MIN_SHARE * split.shared)
    return split.lost >= (_MIN_TOKENS if split.kind in _ALWAYS else MIN_TOKENS_LOST)


def _say_what_is_no_fault(finding: Finding) -> Finding:
    """Return a finding that says of an event that it may have been meant."""
    if not finding.is_event:
        return finding
    return replace(finding, sentence=f"{finding.sentence.removesuffix('.')}; no fault if it was meant.")


def _order(finding: Finding) -> tuple[object, ...]:
    """Return what findings are sorted by: of equally costly ones of a profile, what stands first in the prompt."""
    places = finding.evidence.places
    offset = places[0].offset if places else 0
    return finding.is_event, -finding.total_lost, finding.learning_key, finding.span_id or "", offset, finding.kind
