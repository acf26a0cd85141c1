"""What breaks the prefixes of a snapshot, why, and what mending it wins.

Belongs here: putting findings together, of profiles that are kept apart, of blocks that end a prefix, and of what
production refuses. What is found, and by which evidence, is the business of the modules that it calls.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from acg_lab.core.stability import StabilityThresholds
from acg_lab.explain.breaks import WORTH_SAYING, Fault, evidence_of, find_break, threshold_for
from acg_lab.explain.bytes import Unequal, find_unequal
from acg_lab.explain.case import Case
from acg_lab.explain.finding import Evidence, Finding, Kind
from acg_lab.explain.findings import Findings
from acg_lab.explain.groups import Group, find_groups, tell_group
from acg_lab.explain.planning import Refusal, find_refusals
from acg_lab.explain.remedies import try_for_break, try_for_group
from acg_lab.explain.windows import check_keys
from acg_lab.explain.words import SHORT, lost, sentence
from acg_lab.snapshot.analysis import analyze_profile
from acg_lab.snapshot.checking import check_snapshot, check_thresholds
from acg_lab.snapshot.model import Snapshot, counted

__all__ = ["Causes", "explain", "find_causes"]

_UNNAMED = (Kind.UNKNOWN, Kind.VARIANTS)
_OFTEN = 0.1
# What has a cause that can be named is told however little it costs.
_ALWAYS = frozenset(Kind) - {*_UNNAMED, Kind.NORMALISED_AWAY, Kind.TOO_FEW_REQUESTS}


def explain(
    snap: Snapshot,
    learning_key: str | None = None,
    thresholds: StabilityThresholds | None = None,
    *,
    text: bool = False,
) -> Findings:
    """Explain what ends the stable prefixes of a snapshot, and what mending it wins.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    learning_key : str, optional
        Explain this profile only; what keeps it apart from others of its agent is told too.
    thresholds : StabilityThresholds, optional
        Production's defaults when left out.
    text : bool
        Put excerpts of the differing texts into the evidence.

    Returns
    -------
    Findings
        Costliest first, by the tokens lost in all requests; profiles of an agent with the same kind of change at the
        same block share one. A profile without a finding gives no reason to complain: its prefix ends where the
        conversation begins, or goes on. Under a ``stable_threshold`` above 1 there is none, and
        `Findings.impossible` says why.

    Raises
    ------
    UsageError
        If what is given is no snapshot or no thresholds, or there is no profile of that learning key.

    Examples
    --------
    >>> import acg_lab as acg
    >>> acg.explain(acg.load("data/sample", agent_id="handbook-search"))[0].kind.value
    'retrieved_text'
    """
    case, keys = _case(snap, learning_key, thresholds)
    if case.thresholds.stable_threshold > 1:
        limit = case.thresholds.stable_threshold
        return Findings(impossible=f"No block can be stable: scores end at 1, and stable_threshold is {limit!r}")
    groups = [group for group in find_groups(case) if _is_said(group) and not keys.isdisjoint(group.keys)]
    faults = {key: fault for key in case.results if key in keys and (fault := find_break(case, key).fault)}
    findings = [_of_group(case, group, text=text) for group in groups]
    findings += [_of_faults(case, alike, text=text) for alike in _alike(case, faults)]
    explained = {*faults, *(key for group in groups for key in group.keys)}
    findings += _of_refusals(case, [key for key in case.results if key in keys - explained])
    findings += [_of_unequal(case, found) for found in find_unequal(case) if found.key in keys]
    findings = [finding for finding in findings if finding.kind in _ALWAYS or finding.tokens_lost >= WORTH_SAYING]
    findings.sort(key=lambda finding: (-finding.total_lost, finding.learning_key, finding.kind))
    told = {key for finding in findings for key in finding.evidence.profiles}
    return Findings(findings, healthy=tuple(key for key in case.results if key in keys - told))


def _case(snap: Snapshot, learning_key: str | None, limits: StabilityThresholds | None) -> tuple[Case, set[str]]:
    """Return what to look at, of one agent only if one profile is asked for, and the profiles that are asked for."""
    check_snapshot(snap)
    thresholds = check_thresholds(limits)
    wanted = list(snap.windows)
    asked = set(wanted)
    if learning_key is not None:
        asked = set(check_keys([learning_key], snap.windows))
        agent_id = snap.owners[learning_key].agent_id
        wanted = [key for key in wanted if snap.owners[key].agent_id == agent_id]
    results = {key: analyze_profile(snap, key, thresholds, snap.rules[key].rules) for key in wanted}
    return Case(snap, thresholds, results), asked


def _is_said(group: Group) -> bool:
    """Whether the evidence carries a complaint: of contents that nobody can name, only if they cost something.

    A few system prompts that take turns, each used often, are meant: that is what profiles are for.
    """
    return group.kind not in _UNNAMED or group.lost >= max(WORTH_SAYING, _OFTEN * group.shared)


def _of_group(case: Case, group: Group, *, text: bool) -> Finding:
    change, is_block = group.change, group.part != "model"
    # Another model is no block: what its requests hold is no evidence.
    known: dict[str, object] = {} if is_block else {"distinct": len(group.keys), "variants": (), "places": ()}
    known |= {"profiles": group.keys, "details": group.details, "stable_behind": group.shared}
    return Finding(
        learning_key=group.keys[0],
        agent_id=case.snapshot.owners[group.keys[0]].agent_id,
        span_id=change.span_id if is_block else None,
        kind=group.kind,
        timing=group.sequel.timing,
        tokens_lost=group.lost,
        sentence=tell_group(case, group),
        requests=len(change.rows),
        evidence=evidence_of(change, group.sequel, text=text and is_block, **known),
        repairs=try_for_group(case, group),
    )


def _alike(case: Case, faults: Mapping[str, Fault]) -> Iterable[Mapping[str, Fault]]:
    """Put together what is of one kind, at the same block of one agent; the costliest profile first."""
    together: dict[tuple[str, str, Kind], dict[str, Fault]] = {}
    costs = {key: fault.lost * len(fault.change.rows) for key, fault in faults.items()}
    for key in sorted(faults, key=lambda key: (-costs[key], key)):
        alike = case.snapshot.owners[key].agent_id, faults[key].change.span_id, faults[key].kind
        together.setdefault(alike, {})[key] = faults[key]
    return together.values()


def _of_faults(case: Case, faults: Mapping[str, Fault], *, text: bool) -> Finding:
    """Make one finding of faults that are alike: evidence and repairs are those of the costliest profile."""
    key, fault = next(iter(faults.items()))
    change = fault.change
    effects, bound = try_for_break(case, key, fault.kind, change)
    requests = sum(len(other.change.rows) for other in faults.values())
    tokens = sum(other.lost * len(other.change.rows) for other in faults.values()) / requests
    evidence = evidence_of(
        change,
        change.sequel,
        text=text,
        stable_behind=fault.behind,
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


def _of_refusals(case: Case, keys: list[str]) -> Iterator[Finding]:
    owners = case.snapshot.owners
    keys.sort(key=lambda key: owners[key].agent_id)
    for agent_id, of_agent in groupby(keys, lambda key: owners[key].agent_id):
        for refusal in find_refusals(case, list(of_agent)):
            yield _of_refusal(case, agent_id, refusal)


def _of_refusal(case: Case, agent_id: str, refusal: Refusal) -> Finding:
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


def _of_unequal(case: Case, found: Unequal) -> Finding:
    tokens = found.share * case.tokens_from(found.key, found.rank)
    words = (
        f"{found.span_id!r} is the same to the learner, but is sent in {counted(len(found.counts), 'form')} that differ"
    )
    return Finding(
        learning_key=found.key,
        agent_id=case.snapshot.owners[found.key].agent_id,
        span_id=found.span_id,
        kind=Kind.NORMALISED_AWAY,
        timing=None,
        tokens_lost=tokens,
        sentence=sentence(f"{words} in {found.differ}; the provider can't read {lost(tokens)} from there on"),
        requests=sum(found.counts),
        evidence=Evidence(
            requests=sum(found.counts),
            present=sum(found.counts),
            distinct=len(found.counts),
            profiles=(found.key,),
            details=(found.differ,),
        ),
    )


class Causes(NamedTuple):
    """In a few words: by learning key what ends each stable prefix, and by agent what keeps its profiles apart."""

    breaks: Mapping[str, str]
    splits: Mapping[str, str]


def find_causes(snap: Snapshot, thresholds: StabilityThresholds | None = None) -> Causes:
    """Return what ends each stable prefix in a few words, for a table; no repair is tried."""
    case, _ = _case(snap, None, thresholds)
    breaks = {key: find_break(case, key).words for key in case.results}
    groups = sorted(filter(_is_said, find_groups(case)), key=lambda group: group.lost)
    return Causes(breaks, {snap.owners[group.keys[0]].agent_id: SHORT[group.kind] for group in groups})
