"""A snapshot as it would be if requests had been sent mended.

Belongs here: which profiles a repair is for, the windows that come of it, and the snapshot that holds them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from acg_lab._format import counted
from acg_lab.core.keys import Owner
from acg_lab.history.replay import choose_rules
from acg_lab.repairs.apply import apply_repair, windows_of
from acg_lab.repairs.repairs import Repair, as_repairs
from acg_lab.repairs.requests import repair_requests
from acg_lab.snapshot.rules_detection import DetectedRules
from acg_lab.snapshot.snapshot import Snapshot, check_snapshot
from acg_lab.storage.columns import Columns, Runs

__all__ = ["RepairedSnapshot", "what_if"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class RepairedSnapshot(Snapshot):
    """A snapshot as it would be with repairs; see `what_if`.

    Attributes
    ----------
    base : Snapshot
        The one that was repaired.
    repairs : tuple of Repair
        In the order in which they were applied.
    members : mapping of str to tuple of str
        By learning key, the keys of the profiles of ``base`` that its observations are from, sorted.
    stand_ins : frozenset of str
        The learning keys that stand in for one that can't be known from windows.
    """

    base: Snapshot
    repairs: tuple[Repair, ...]
    members: Mapping[str, tuple[str, ...]]
    stand_ins: frozenset[str]
    rules_of: Mapping[str, DetectedRules]

    @property
    def runs(self) -> Runs:
        """The recorded runs with repaired requests; recorded usage is what the requests as sent were billed."""
        return self._repaired[0]

    @property
    def recorded(self) -> Snapshot:
        """The snapshot that was repaired."""
        return self.base

    @property
    def sent_as_recorded(self) -> tuple[str, ...]:
        """Which recorded requests a repair could not be applied to, in sentences with counts."""
        return self._repaired[1]

    @cached_property
    def _repaired(self) -> tuple[Runs, tuple[str, ...]]:
        recorded = runs = self.base.runs
        if not len(recorded):
            return recorded, ()
        rules = {agent_id: choose_rules(self.base, agent_id, "auto").rules for agent_id in self.base.agent_ids}
        caveats = []
        for repair in self.repairs:
            found = repair_requests(runs, repair, rules, recorded)
            runs = found.runs
            if found.n_left:
                n = counted(found.n_left, "recorded request")
                caveats.append(f"{n} can't be changed so that {repair.describe}: simulated and replayed as sent")
        return runs, tuple(caveats)

    @property
    def rules(self) -> Mapping[str, DetectedRules]:
        """By which generation of the rules each profile is analysed: that of its largest member."""
        return self.rules_of

    @property
    def facts(self) -> str:
        """What is inside, in one line."""
        facts = "; ".join(
            (f"{super().facts}; {counted(len(self.base.windows), 'profile')} before", *self.sent_as_recorded)
        )
        return f"{facts}; {counted(len(self.stand_ins), 'stand-in')} for unknown keys" if self.stand_ins else facts


def what_if(snap: Snapshot, repair: Repair | Sequence[Repair], *, observation_window: int = 100) -> Snapshot:
    """Return the snapshot that production would have stored of mended requests.

    Every window is what production would have observed, blocks, numbers and names, had the requests been sent as the
    repair says; so `acg_lab.analyze`, frames and plots of it show what mending wins.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    repair : Repair or sequence of Repair
        Of `acg_lab.repairs`; each of a sequence is applied to what the one before it left.
    observation_window : int
        Of profiles that become one, their observations are put in the order of time (equal times: in the order of
        their learning keys, then as stored) and the newest so many are kept, at least one. Other windows keep their
        length.

    Returns
    -------
    Snapshot
        ``snap`` itself if there is no repair. Else a `RepairedSnapshot`, without stored results, seed entries and runs:
        they tell of requests as they were sent. (To replay or verify, mend the application and record it.)

    Raises
    ------
    UsageError
        If it is no snapshot or repair, there is no such span, content or learning key, a block can't be moved, or
        texts to be matched are hashes.

    Notes
    -----
    A repair that changes system prompt, tools or response format changes learning keys, and where there is no scaffold
    (before 0.8 always), one that changes the first message does: profiles merge, or split. The new keys are
    production's as far as windows determine them; `RepairedSnapshot.stand_ins` names those that are not, and
    `acg_lab.repairs.rekey` says how they are made. Fingerprints follow the keys.

    What can't be known from a window stays as it was: ``ir_id``, and ``source_request_hash``, which goes on naming the
    request that was sent. On an export with hashes in the place of texts, contents can only be compared: patterns are
    refused, and keys that change are stand-ins.
    """
    check_snapshot(snap)
    if not (repairs := as_repairs(repair)):
        return snap
    windows, base, told = windows_of(snap), snap, repairs
    if isinstance(snap, RepairedSnapshot):
        windows = windows._replace(members=snap.members, stand_ins=snap.stand_ins)
        base, told = snap.base, snap.repairs + repairs
    for each in repairs:
        windows = apply_repair(windows, each, observation_window)
    return RepairedSnapshot(
        source=f"{base.source}, what if {' and '.join(each.describe for each in told)}",
        columns=Columns(
            observations=windows.observations,
            results={},
            runs=Runs(),
            key_prefix=base.columns.key_prefix,
            rules=windows.rules,
        ),
        owners={key: Owner(agent_id, False) for key, agent_id in windows.agents.items()},
        rules_setting=base.rules_setting,
        caveats=base.caveats,
        base=base,
        repairs=told,
        members=windows.members,
        stand_ins=windows.stand_ins,
        rules_of=windows.rules,
    )
