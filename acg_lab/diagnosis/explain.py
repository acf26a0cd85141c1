"""What breaks the prefixes of a snapshot, why, and what mending it wins.

Belongs here: what is looked for, what of it is worth saying, and in which order. How it is found, and told, is the
business of the modules that it calls.
"""

from collections.abc import Mapping
from typing import NamedTuple

from acg_lab.core.stability import StabilityThresholds
from acg_lab.diagnosis.build_findings import of_faults, of_groups, of_refusals, of_unequal
from acg_lab.diagnosis.context import AnalysisContext
from acg_lab.diagnosis.finding import Kind
from acg_lab.diagnosis.findings import Findings
from acg_lab.diagnosis.phrases import SHORT
from acg_lab.diagnosis.prefix_breaks import WORTH_SAYING, find_break
from acg_lab.diagnosis.profile_splits import Group, find_groups
from acg_lab.diagnosis.raw_differences import find_unequal
from acg_lab.snapshot.analysis import analyze_profile
from acg_lab.snapshot.snapshot import Snapshot, check_snapshot, check_thresholds

__all__ = ["Causes", "explain", "find_causes"]

_UNNAMED = (Kind.UNKNOWN, Kind.VARIANTS)
_OFTEN = 0.1
_ANY = 0.5  # tokens per request; less is none
# What has a cause that can be named is told however little it costs.
_ALWAYS = frozenset(Kind) - {*_UNNAMED, Kind.RAW_BYTES_DIFFER, Kind.TOO_FEW_REQUESTS}


def explain(
    snap: Snapshot,
    learning_key: str | None = None,
    thresholds: StabilityThresholds | None = None,
    *,
    agent_id: str | None = None,
    text: bool = False,
) -> Findings:
    """Explain what ends the stable prefixes of a snapshot, and how much fixing it saves.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    learning_key : str, optional
        Explain this profile only, by learning key or display name, and what keeps it apart from others of its agent.
    thresholds : StabilityThresholds, optional
        Production's defaults when left out.
    agent_id : str, optional
        Explain this agent's profiles only.
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
    case, keys = _case(snap, learning_key, agent_id, thresholds)
    if case.thresholds.stable_threshold > 1:
        limit = case.thresholds.stable_threshold
        impossible = f"No block can be stable: scores end at 1, and stable_threshold is {limit!r}"
        return Findings(impossible=impossible, unread=snap.unread)
    groups = [group for group in find_groups(case) if _is_said(group) and not keys.isdisjoint(group.keys)]
    faults = {key: fault for key in case.results if key in keys and (fault := find_break(case, key).fault)}
    explained = {*faults, *(key for group in groups for key in group.keys)}
    findings = [
        *of_groups(case, groups, text=text),
        *of_faults(case, faults, text=text),
        *of_refusals(case, [key for key in case.results if key in keys - explained]),
        *of_unequal(case, [found for found in find_unequal(case) if found.key in keys]),
    ]
    findings = [finding for finding in findings if finding.kind in _ALWAYS or finding.tokens_lost >= WORTH_SAYING]
    findings.sort(key=lambda finding: (-finding.total_lost, finding.learning_key, finding.kind))
    told = {key for finding in findings for key in finding.evidence.profiles}
    healthy = tuple(key for key in case.results if key in keys - told)
    return Findings(findings, healthy=healthy, unread=snap.unread)


def _case(
    snap: Snapshot, learning_key: str | None, agent_id: str | None, limits: StabilityThresholds | None
) -> tuple[AnalysisContext, set[str]]:
    """Return what to look at, of one agent only if one profile is asked for, and the profiles that are asked for."""
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


def _is_said(group: Group) -> bool:
    """Whether the evidence carries a complaint: of contents that nobody can name, only if they cost something.

    A few system prompts that take turns, each used often, are meant: that is what profiles are for.
    """
    if group.kind in _UNNAMED:
        return group.lost >= max(WORTH_SAYING, _OFTEN * group.shared)
    return group.lost >= (_ANY if group.kind in _ALWAYS else WORTH_SAYING)


class Causes(NamedTuple):
    """In a few words: by learning key what ends each stable prefix, and by agent what keeps its profiles apart."""

    breaks: Mapping[str, str]
    splits: Mapping[str, str]


def find_causes(snap: Snapshot, thresholds: StabilityThresholds | None = None) -> Causes:
    """Return what ends each stable prefix in a few words, for a table; no repair is tried."""
    case, _ = _case(snap, None, None, thresholds)
    breaks = {key: find_break(case, key).words for key in case.results}
    groups = sorted(filter(_is_said, find_groups(case)), key=lambda group: group.lost)
    return Causes(breaks, {snap.owners[group.keys[0]].agent_id: SHORT[group.kind] for group in groups})
