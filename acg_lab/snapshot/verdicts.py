"""The result of verifying a snapshot: a verdict for each stored entry, with the first difference found."""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from acg_lab._format import printable

__all__ = ["Difference", "Status", "Verdict", "Verification"]


class Status(StrEnum):
    """The outcome for one stored entry, worded for people."""

    EQUAL = "equal"
    TIES = "equal but for the order of tied spans"
    LONGER = "window longer than the runs explain"
    LOST = "window lacks updates that the runs have"
    DIFFERENT = "different"
    UNCHECKED = "not comparable"
    CHANGED = "changed while reading"

    @property
    def is_fine(self) -> bool:
        """Whether nothing contradicts what production stored."""
        return self in (Status.EQUAL, Status.TIES, Status.LONGER)


class Difference(NamedTuple):
    """The first difference found: place, field, and both values; of texts only their hashes."""

    place: str
    field: str
    ours: Any
    stored: Any

    def __str__(self) -> str:
        return f"{self.place}, {self.field}: ours {self.ours!r}, stored {self.stored!r}"


class Verdict(NamedTuple):
    """The verdict on one profile or seed entry; ``checked_runs`` says whether its window was compared with runs."""

    key: str
    agent_id: str
    rules: str
    status: Status
    checked_runs: bool
    detail: str = ""
    difference: Difference | None = None


class Verification(NamedTuple):
    """All verdicts, by key, and the settings that explain each agent's results (or that were passed in).

    ``notes`` say what was learned here instead of stored, and which requests cannot be read.
    """

    verdicts: tuple[Verdict, ...]
    settings: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything could be compared, and nothing differs."""
        return all(verdict.status.is_fine for verdict in self.verdicts)

    @property
    def conclusion(self) -> str:
        """All verdicts in one sentence."""
        counts = Counter(verdict.status for verdict in self.verdicts)
        if not self.verdicts:
            return "There is nothing to verify."
        if counts[Status.DIFFERENT] or counts[Status.LOST]:
            return "Something differs."
        left = [(Status.UNCHECKED, "could not"), (Status.CHANGED, "changed while they were read")]
        if why := [f"{counts[status]:,} of {len(self.verdicts):,} {words}" for status, words in left if counts[status]]:
            return f"Nothing differs among the entries that could be compared; {', '.join(why)}."
        return "Nothing differs."

    def __repr__(self) -> str:
        counts = Counter(verdict.status for verdict in self.verdicts)
        lines = [f"<Verification: {', '.join(f'{n:,} {status}' for status, n in counts.most_common())}"]
        wrong = [verdict for verdict in self.verdicts if not verdict.status.is_fine]
        lines += [f"  {printable(bad.key)}: {printable(bad.detail or bad.status)}" for bad in wrong[:20]]
        lines += [f"  {printable(note)}" for note in self.notes]
        return "\n".join(lines) + ">"
