"""Build the snapshot that production would have stored of repaired requests.

Invariant: the snapshot that a repair is tried on is never changed.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from msgspec.structs import replace

from acg_lab._format import counted
from acg_lab.core.errors import RecordError, UsageError
from acg_lab.core.keys import Owner
from acg_lab.core.rules import RulesName
from acg_lab.history.replay import choose_rules
from acg_lab.repairs.apply import ProfileWindows, apply_repair, find_repaired_passages, select_windows
from acg_lab.repairs.content_repairs import UseOneForm
from acg_lab.repairs.passages import Passages
from acg_lab.repairs.repairs import Repair, check_repairs
from acg_lab.repairs.requests import find_contents, repair_requests
from acg_lab.snapshot.request_reader import LearningKeys
from acg_lab.snapshot.rules_detection import DetectedRules
from acg_lab.snapshot.snapshot import Snapshot, check_snapshot
from acg_lab.storage.columns import Columns
from acg_lab.storage.recorded_runs import Runs

__all__ = ["RepairedSnapshot", "what_if"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class RepairedSnapshot(Snapshot):
    """A snapshot as it would be with repairs; see `what_if`.

    Attributes
    ----------
    base, earlier : Snapshot
        The snapshot before all repairs, and the one that `what_if` got.
    repairs : tuple of Repair
        In the order in which they were applied.
    members : mapping of str to tuple of str
        By learning key, the keys of the profiles of ``base`` that its observations come from, sorted.
    stand_ins : frozenset of str
        The learning keys that stand in for a key that windows cannot determine.
    passages : tuple of mapping
        For each repair, the passages that it pins or moves by agent; empty where it is not about slots.
    """

    base: Snapshot
    earlier: Snapshot
    repairs: tuple[Repair, ...]
    members: Mapping[str, tuple[str, ...]]
    stand_ins: frozenset[str]
    rules_of: Mapping[str, DetectedRules]
    passages: tuple[Mapping[str, Passages], ...]

    @property
    def runs(self) -> Runs:
        """The recorded runs with repaired requests; recorded usage is still what the requests as sent were billed."""
        return self._repaired[0]

    @property
    def recorded(self) -> Snapshot:
        """The snapshot before all repairs."""
        return self.base

    @property
    def unrepaired(self) -> tuple[str, ...]:
        """Which recorded requests a repair could not be applied to: sentences with counts."""
        return self._repaired[1]

    @cached_property
    def _repaired(self) -> tuple[Runs, tuple[str, ...]]:
        earlier = self.earlier
        if not isinstance(earlier, RepairedSnapshot):
            return _repair_runs(self.base, self.repairs, self.passages)
        n = len(earlier.repairs)
        runs, sentences = _repair_runs(self.base, self.repairs[n:], self.passages[n:], earlier.runs)
        return runs, (*earlier.unrepaired, *sentences)

    @property
    def rules(self) -> Mapping[str, DetectedRules]:
        """The rules version by which each profile is analysed: that of its largest member."""
        return self.rules_of

    @property
    def facts(self) -> str:
        """What is inside, in one line."""
        before = f"{counted(len(self.base.windows), 'profile')} before"
        facts = "; ".join((super().facts, before, *self.unrepaired))
        return f"{facts}; {counted(len(self.stand_ins), 'stand-in')} for unknown keys" if self.stand_ins else facts


def _repair_runs(
    base: Snapshot,
    repairs: Sequence[Repair],
    passages: Sequence[Mapping[str, Passages]],
    earlier: Runs | None = None,
) -> tuple[Runs, tuple[str, ...]]:
    """Return the runs of a snapshot with repaired requests, and which requests could not be repaired.

    ``earlier`` are the runs after the repairs before these.
    """
    recorded = base.runs
    runs = recorded if earlier is None else earlier
    if not len(recorded):
        return recorded, ()
    rules = _find_rules(base)
    sentences = []
    for repair, passage in zip(repairs, passages, strict=True):
        keyed = _with_keys(repair, base)
        found = repair_requests(runs, keyed, _select_agents(rules, keyed), recorded, passage)
        runs = found.runs
        if found.n_left:
            n = counted(found.n_left, "recorded request")
            sentences.append(f"{n} can't be changed so that {repair.description}: left as sent")
    return runs, tuple(sentences)


def _find_rules(base: Snapshot) -> dict[str, RulesName]:
    return {agent_id: choose_rules(base, agent_id, "auto").rules for agent_id in base.agent_ids}


def _find_passages(
    windows: ProfileWindows,
    repair: Repair,
    base: Snapshot,
    earlier: Sequence[Repair],
    passages: Sequence[Mapping[str, Passages]],
) -> Mapping[str, Passages]:
    """Return the passages that a repair is about; slots are as wide as recorded requests need them."""
    if not getattr(repair, "slots", ()):
        return {}
    runs, _ = _repair_runs(base, earlier, passages)
    keyed = _with_keys(repair, base)
    contents = find_contents(runs, keyed, _select_agents(_find_rules(base), keyed), base.runs) if len(runs) else {}
    return find_repaired_passages(windows, repair, contents)


def _find_renamed(
    repair: Repair, base: Snapshot, earlier: Sequence[Repair], passages: Sequence[Mapping[str, Passages]]
) -> dict[str, str]:
    """Return the learning keys that requests get in one form, by those that they had; windows do not show them."""
    if not isinstance(repair, UseOneForm):
        return {}
    before, _ = _repair_runs(base, earlier, passages)
    after, _ = _repair_runs(base, (*earlier, repair), (*passages, {}))
    rules = _find_rules(base)
    readers = LearningKeys(before), LearningKeys(after)
    renamed: dict[str, str] = {}
    for record, *pair in zip(before.records, before.calls, after.calls, strict=True):
        for calls in zip(*pair, strict=True):
            if record.agent_id not in rules or calls[0].record.kind != "llm" or calls[0].request is None:
                continue
            with suppress(RecordError):  # production skips it too
                name = rules[record.agent_id]
                old, new = (
                    reader.key(record.agent_id, call, name) for reader, call in zip(readers, calls, strict=True)
                )
                renamed.setdefault(old, new)
    return renamed


def _with_keys(repair: Repair, base: Snapshot) -> Repair:
    """Return a repair that names profiles by learning key; a name that an earlier repair made stays as it is."""
    keys = []
    for name in repair.learning_keys:
        try:
            keys.append(base.profile_names.resolve(name))
        except UsageError:
            keys.append(name)
    return replace(repair, learning_keys=tuple(keys))


def _select_agents(rules: Mapping[str, RulesName], repair: Repair) -> Mapping[str, RulesName]:
    """Return the agents whose profiles a repair names; all where it names none."""
    if not repair.learning_keys:
        return rules
    return {
        agent_id: name
        for agent_id, name in rules.items()
        if any(key.startswith(f"{agent_id}::") for key in repair.learning_keys)
    }


def what_if(snap: Snapshot, repair: Repair | Sequence[Repair], *, observation_window: int = 100) -> Snapshot:
    """Return the snapshot that production would have stored if requests had been sent with a repair.

    Every window holds what production would have observed (blocks, numbers and names), so `acg_lab.analyze`, frames and
    plots of the result show how much the repair saves.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    repair : Repair or sequence of Repair
        Repairs of `acg_lab.repairs`; each is applied to the result of the one before it.
    observation_window : int, default 100
        How many observations a merged profile keeps, the newest ones (0 keeps one). They are ordered by time; equal
        times by learning key, then as stored. Profiles that are not merged keep all of theirs.

    Returns
    -------
    Snapshot
        `snap` itself if there is no repair. Otherwise a `RepairedSnapshot`, without stored results and seed entries,
        which describe the requests as they were sent. Its runs hold the repaired requests, so it can be replayed and
        simulated; where a recorded request can't be changed, it stays as sent, and ``unrepaired`` says so.

    Raises
    ------
    UsageError
        If `snap` is not a Snapshot or `repair` not a repair; if there is no such span, content or learning key; if a
        block cannot be moved; or if texts to match are hashes.

    Notes
    -----
    A repair that changes the system prompt, tools or response format changes learning keys. So does one that changes
    the first message where there is no scaffold (before 0.8 always). Profiles then merge or split. The new keys are
    production's as far as windows determine them; `RepairedSnapshot.stand_ins` names those that they do not, and
    `acg_lab.repairs.rekey` explains how keys are computed. Fingerprints follow the keys.

    What a window does not determine stays as it was: ``ir_id``, and ``source_request_hash``, which still names the
    request that was sent. In an export with hashes in place of texts, contents can only be compared: patterns are
    refused, and keys that change are stand-ins.

    Examples
    --------
    >>> import acg_lab as acg
    >>> from acg_lab.core import AnnotatedLlmRequest
    >>> key = "chat::model=m::seed=no-seed::system=no-system::tools=no-tools"
    >>> stamp = {"ir_id": "00000000-0000-4000-8000-000000000000", "created_at": "2026-11-01T08:00:00Z"}
    >>> window = []
    >>> for text in ("It is 8:00.", "It is 9:00."):
    ...     messages = ({"role": "user", "content": "Hello"}, {"role": "user", "content": text})
    ...     window.append(acg.build_prompt_ir(AnnotatedLlmRequest(messages=messages), **stamp))
    >>> backend = acg.MemoryBackend()
    >>> backend.store_observations(key, window)
    >>> snap = acg.load(backend, rules="nemo-flow-0.2")
    >>> repaired = acg.what_if(snap, acg.repairs.Pin("user-1"))
    >>> [result.stable_prefix_length for each in (snap, repaired) for result in acg.analyze(each).values()]
    [1, 2]
    """
    check_snapshot(snap)
    if not (repairs := check_repairs(repair)):
        return snap
    windows, base = select_windows(snap), snap
    applied: tuple[Repair, ...] = ()
    passages: tuple[Mapping[str, Passages], ...] = ()
    if isinstance(snap, RepairedSnapshot):
        windows = windows._replace(members=snap.members, stand_ins=snap.stand_ins)
        base, applied, passages = snap.base, snap.repairs, snap.passages
    for each in repairs:
        found = _find_passages(windows, each, base, applied, passages)
        renamed = _find_renamed(each, base, applied, passages)
        windows = apply_repair(windows, each, observation_window, found, renamed)
        applied, passages = (*applied, each), (*passages, found)
    logger.debug(
        "applied %d repairs: %d profiles before, %d after", len(repairs), len(snap.windows), len(windows.agents)
    )
    return RepairedSnapshot(
        source=f"{base.source}, what if {' and '.join(each.description for each in applied)}",
        columns=Columns(
            observations=windows.observations,
            results={},
            runs=Runs(),
            key_prefix=base.columns.key_prefix,
            rules=windows.rules,
        ),
        owners={key: Owner(agent_id, False) for key, agent_id in windows.agents.items()},
        rules_setting=base.rules_setting,
        base=base,
        earlier=snap,
        repairs=applied,
        members=windows.members,
        stand_ins=windows.stand_ins,
        rules_of=windows.rules,
        passages=passages,
    )
