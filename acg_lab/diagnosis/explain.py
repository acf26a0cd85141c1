"""Explain what breaks the stable prefixes of a snapshot, why, and how much fixing it saves.

This module decides what is looked for, what is worth reporting, and in which order.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from acg_lab.config.thresholds import check_thresholds
from acg_lab.core.stability import StabilityThresholds
from acg_lab.diagnosis.build_findings import (
    BuiltFinding,
    build_fault_findings,
    build_raw_difference_findings,
    build_refusal_findings,
    build_split_findings,
)
from acg_lab.diagnosis.context import AnalysisContext
from acg_lab.diagnosis.cost_findings import price_findings
from acg_lab.diagnosis.finding import Finding, Kind, Timing
from acg_lab.diagnosis.findings import Findings
from acg_lab.diagnosis.phrases import KIND_LABELS
from acg_lab.diagnosis.planner_refusals import LEAST_CACHED
from acg_lab.diagnosis.prefix_breaks import MIN_TOKENS_LOST, find_break
from acg_lab.diagnosis.profile_splits import ProfileSplit, find_splits
from acg_lab.diagnosis.raw_differences import find_raw_differences
from acg_lab.diagnosis.roles import Roles, describe_roles, find_roles
from acg_lab.diagnosis.stable_starts import build_start_findings
from acg_lab.snapshot.analysis import analyze_profile
from acg_lab.snapshot.snapshot import Snapshot, check_snapshot
from acg_lab.storage._runtime import Bar

__all__ = ["Causes", "explain", "find_causes"]

_UNNAMED = (Kind.UNKNOWN, Kind.REDACTED, Kind.VARIANTS, Kind.FEATURE_VARIANTS)
_MIN_SHARE = 0.1  # of the shared tokens
_MIN_TOKENS = 0.5  # per request; less rounds to none
# Faults with a known cause are reported however little they cost.
_ALWAYS = frozenset(Kind) - {*_UNNAMED, Kind.RAW_BYTES_DIFFER, Kind.TOO_FEW_REQUESTS}


def explain(
    snap: Snapshot,
    learning_key: str | None = None,
    thresholds: StabilityThresholds | None = None,
    *,
    agent_id: str | None = None,
    text: bool = False,
    money: bool = True,
    progress: bool = True,
) -> Findings:
    """Explain what ends the stable prefixes of a snapshot, and how much fixing it saves.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    learning_key : str, optional
        Explain this profile only, by learning key or display name, and what separates it from others of its agent.
    thresholds : StabilityThresholds, optional
        Production's defaults when left out.
    agent_id : str, optional
        Explain this agent's profiles only.
    text : bool
        Whether the evidence holds excerpts of the texts that differ: at each place the five commonest values, and how
        many requests have each.
    money : bool, default True
        Whether costs and savings are simulated, where requests are recorded and prices known. Each agent is simulated
        once, and at most ten repairs are, each on the requests of its agent: those that can save most. Explain one
        agent to try ten of its own. Without, only what the governor has learned is explained.
    progress : bool, default True
        Whether a progress bar appears on standard error if that is a terminal or a notebook and it takes long.

    Returns
    -------
    Findings
        Faults first, then events, which are no fault if they were meant; costliest first: by the money lost over the
        history, by simulation, where it is known, and by the tokens lost in all requests elsewhere. With money, faults
        of how requests are sent are findings too, and a repair is offered only if it saves money; how many were not
        tried is said. Profiles of an agent with the same kind of change at the same block share one finding. The prefix
        of a profile without a finding ends where the conversation starts or goes on. Under a ``stable_threshold`` above
        1 there are no findings; `Findings.impossible` says why.

    Raises
    ------
    UsageError
        If `snap` is not a Snapshot, `thresholds` are not StabilityThresholds, or the profile does not exist.

    Examples
    --------
    >>> import acg_lab as acg
    >>> from acg_lab.core import AnnotatedLlmRequest
    >>> key = "chat::model=m::seed=no-seed::system=no-system::tools=no-tools"
    >>> window = []
    >>> for minute in range(10, 20):
    ...     texts = (f"It is 08:{minute}.", "A guide that never changes. " * 20)
    ...     request = AnnotatedLlmRequest(messages=tuple({"role": "user", "content": text} for text in texts))
    ...     stamp = {"ir_id": f"00000000-0000-4000-8000-{minute:012}", "created_at": f"2026-11-01T08:{minute}:00Z"}
    ...     window.append(acg.build_prompt_ir(request, **stamp))
    >>> backend = acg.MemoryBackend()
    >>> backend.store_observations(key, window)
    >>> findings = acg.explain(acg.load(backend, rules="nemo-flow-0.2"))
    >>> [(finding.kind.value, finding.span_id, round(finding.tokens_lost)) for finding in findings]
    [('datetime', 'user-0', 139)]
    """
    context, keys = _build_context(snap, learning_key, agent_id, thresholds)
    if context.thresholds.stable_threshold > 1:
        limit = context.thresholds.stable_threshold
        impossible = f"No block can be stable: no score exceeds 1, and stable_threshold is {limit!r}"
        return Findings(impossible=impossible, unread=snap.unread)
    roles = [found for found in find_roles(context) if any(not keys.isdisjoint(one) for one in found.keys)]
    splits = [split for split in _find_faulty_splits(context, roles) if not keys.isdisjoint(split.keys)]
    faults = {key: found for key in context.results if key in keys and (found := find_break(context, key).faults)}
    unexplained = keys.difference(faults, *(split.keys for split in splits))
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
    built.sort(key=lambda one: _order(one.finding))
    findings = [one.finding for one in built]
    notes = tuple(map(describe_roles, roles))
    if money:
        with Bar("simulating agents", shown=progress, unit=" agents") as bar:
            priced = price_findings(context, built, keys, bar)
        notes = (*notes, *priced.notes)
        return Findings(
            priced.findings, healthy=priced.healthy, unknown=priced.unknown, notes=notes, unread=snap.unread
        )
    without_finding = keys.difference(*(finding.evidence.profiles for finding in findings))
    healthy = tuple(key for key in context.results if key in without_finding)
    return Findings(findings, healthy=healthy, notes=notes, unread=snap.unread)


def _order(finding: Finding) -> tuple[object, ...]:
    """Return what findings are sorted by: of equally costly ones of a profile, what stands first in the prompt."""
    places = finding.evidence.places
    offset = places[0].offset if places else 0
    return finding.is_event, -finding.total_lost, finding.learning_key, finding.span_id or "", offset, finding.kind


def _build_context(
    snap: Snapshot, learning_key: str | None, agent_id: str | None, limits: StabilityThresholds | None
) -> tuple[AnalysisContext, set[str]]:
    """Return the context and the profiles to explain; for one profile, the context covers its whole agent."""
    check_snapshot(snap)
    thresholds = check_thresholds(limits)
    names = snap.profile_names
    if learning_key is not None:
        asked = {names.resolve(learning_key, agent_id=agent_id)}
        wanted = names.of_agent(snap.owners[next(iter(asked))].agent_id)
    else:
        wanted = list(names) if agent_id is None else names.of_agent(agent_id)
        asked = set(wanted)
    results = {key: analyze_profile(snap, key, thresholds, snap.rules[key].rules) for key in wanted}
    return AnalysisContext(snap, thresholds, results), asked


def _find_faulty_splits(context: AnalysisContext, roles: Sequence[Roles]) -> Iterator[ProfileSplit]:
    """Yield the splits that are worth reporting; profiles of different roles are meant to be apart."""
    role_of = {key: number for found in roles for number, keys in enumerate(found.keys) for key in keys}
    for split in find_splits(context):
        is_of_one_role = len({role_of.get(key) for key in split.keys}) == 1
        if (is_of_one_role or split.main.part in ("seed", "model")) and _is_worth_reporting(split):
            yield split


def _say_what_is_no_fault(finding: Finding) -> Finding:
    """Return a finding that says of an event that it may have been meant."""
    if not finding.is_event:
        return finding
    return replace(finding, sentence=f"{finding.sentence.removesuffix('.')}; no fault if it was meant.")


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


class Causes(NamedTuple):
    """Labels for tables: what ends each stable prefix by learning key, and what splits each agent by agent id."""

    breaks: Mapping[str, str]
    splits: Mapping[str, str]


def find_causes(snap: Snapshot, thresholds: StabilityThresholds | None = None) -> Causes:
    """Return what ends each stable prefix as labels for a table; no repair is tried.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    thresholds : StabilityThresholds, optional
        Production's defaults when left out.

    Returns
    -------
    Causes

    Raises
    ------
    UsageError
        If `snap` is not a Snapshot, or `thresholds` are not StabilityThresholds.

    Examples
    --------
    >>> import acg_lab as acg
    >>> find_causes(acg.load(acg.MemoryBackend())).breaks
    {}
    """
    context, _ = _build_context(snap, None, None, thresholds)
    breaks = {key: find_break(context, key).label for key in context.results}
    splits = sorted(_find_faulty_splits(context, [*find_roles(context)]), key=lambda split: split.lost)
    return Causes(breaks, {snap.owners[split.keys[0]].agent_id: KIND_LABELS[split.kind] for split in splits})
