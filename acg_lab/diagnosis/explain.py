"""Explain what breaks the stable prefixes of a snapshot, why, and how much fixing it saves."""

from collections.abc import Mapping
from typing import NamedTuple

from acg_lab.config.thresholds import check_thresholds
from acg_lab.core.stability import StabilityThresholds
from acg_lab.diagnosis.agent_findings import Question, build_context, find_faulty_splits, spread_agents
from acg_lab.diagnosis.cost_findings import price_findings
from acg_lab.diagnosis.findings import Findings
from acg_lab.diagnosis.phrases import KIND_LABELS
from acg_lab.diagnosis.prefix_breaks import find_break
from acg_lab.diagnosis.roles import describe_roles, find_roles
from acg_lab.snapshot.snapshot import Snapshot, check_snapshot
from acg_lab.storage._runtime import Bar
from acg_lab.storage.cores import check_n_jobs

__all__ = ["Causes", "explain", "find_causes"]


def explain(
    snap: Snapshot,
    learning_key: str | None = None,
    thresholds: StabilityThresholds | None = None,
    *,
    agent_id: str | None = None,
    text: bool = False,
    money: bool = True,
    n_jobs: int = 1,
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
    n_jobs : int, default 1
        Cores to explain several agents on; -1 for all. The findings are the same. `acg_lab.survey` does more for a
        fleet: its workers load for themselves, and each agent has ten repairs of its own.
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
        If `snap` is not a Snapshot, `thresholds` are not StabilityThresholds, `n_jobs` is no number of cores, or the
        profile does not exist.

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
    n_jobs = check_n_jobs(n_jobs)
    thresholds = _check(snap, thresholds)
    wanted, keys = _choose_profiles(snap, learning_key, agent_id)
    if thresholds.stable_threshold > 1:
        limit = thresholds.stable_threshold
        impossible = f"No block can be stable: no score exceeds 1, and stable_threshold is {limit!r}"
        return Findings(impossible=impossible, unread=snap.unread)
    with Bar("simulating agents", shown=progress, unit=" agents") as bar:
        roles, built, drafted = spread_agents(snap, wanted, keys, Question(thresholds, text, money), n_jobs, bar)
        notes, asked = tuple(map(describe_roles, roles)), [key for key in wanted if key in keys]
        if drafted is not None:
            priced = price_findings(snap, thresholds, built, drafted, asked)
            notes = (*notes, *priced.notes)
            return Findings(
                priced.findings, healthy=priced.healthy, unknown=priced.unknown, notes=notes, unread=snap.unread
            )
    findings = [one.finding for one in built]
    found = {key for finding in findings for key in finding.evidence.profiles}
    healthy = tuple(key for key in asked if key not in found)
    return Findings(findings, healthy=healthy, notes=notes, unread=snap.unread)


def _check(snap: Snapshot, thresholds: StabilityThresholds | None) -> StabilityThresholds:
    check_snapshot(snap)
    return check_thresholds(thresholds)


def _choose_profiles(snap: Snapshot, learning_key: str | None, agent_id: str | None) -> tuple[list[str], set[str]]:
    """Return all profiles of the agents that are asked about, and the profiles to explain."""
    names = snap.profile_names
    if learning_key is None:
        wanted = list(names if agent_id is None else names.of_agent(agent_id))
        return wanted, set(wanted)
    key = names.resolve(learning_key, agent_id=agent_id)
    return list(names.of_agent(snap.owners[key].agent_id)), {key}


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
    thresholds = _check(snap, thresholds)
    context = build_context(snap, snap.profile_names, thresholds)
    breaks = {key: find_break(context, key).label for key in context.results}
    splits = sorted(find_faulty_splits(context, [*find_roles(context)]), key=lambda split: split.lost)
    return Causes(breaks, {snap.owners[split.keys[0]].agent_id: KIND_LABELS[split.kind] for split in splits})
