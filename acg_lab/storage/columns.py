"""A whole source as columns: observations, results and runs, where they come from, and what could not be read.

Each distinct text, message and tool list is kept once, and named by its code: its position in a pool.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from acg_lab.core.errors import RecordError
from acg_lab.core.records import StabilityAnalysisResult
from acg_lab.storage.observation_columns import ObservationColumns
from acg_lab.storage.recorded_runs import Runs

__all__ = ["Columns", "Origin", "is_redacted"]

_redacted = re.compile(r"(?:[a-z0-9]+:)?[0-9a-f]{16,128}\b.{0,24}")


class Origin(NamedTuple):
    """Where the contents of a source come from.

    Attributes
    ----------
    learned_here : bool
        Whether windows and results were learned here from runs, and not stored by production.
    caveats : tuple of str
        What had to be inferred, what was omitted, and what the source does not contain.
    sample_rate : float
        The share of the traffic in the source, in (0, 1], as stated by the caller.
    redacted : str
        What names the salt of the pseudonyms that stand for texts; empty if the texts are what was sent.
    only_private : bool
        Whether they stand for the texts of private and restricted blocks only.
    """

    learned_here: bool = False
    caveats: tuple[str, ...] = ()
    sample_rate: float = 1.0
    redacted: str = ""
    only_private: bool = False

    @property
    def is_redacted(self) -> bool:
        """Whether pseudonyms stand for all texts."""
        return bool(self.redacted) and not self.only_private


_UNKNOWN_ORIGIN = Origin()


@dataclass(frozen=True, eq=False, kw_only=True)
class Columns:
    """Everything that one read of a source found.

    Attributes
    ----------
    problems : tuple of RecordError
        The entries that cannot be read.
    key_prefix : str or None
        Production's key prefix; None if unknown.
    rules : mapping of str to (str, str, bool)
        Name, evidence and certainty of rules versions that windows do not show, such as those of repaired windows.
    unread : tuple of str or None
        Sentences on recorded requests that production cannot read; None if they were not checked.
    """

    observations: ObservationColumns
    results: Mapping[str, StabilityAnalysisResult]
    runs: Runs
    problems: tuple[RecordError, ...] = ()
    key_prefix: str | None = None
    rules: Mapping[str, tuple[str, str, bool]] = field(default_factory=dict)
    unread: tuple[str, ...] | None = None
    origin: Origin = _UNKNOWN_ORIGIN


def is_redacted(text: str) -> bool:
    """Return whether a text is a hash that replaces a content, as in redacted exports."""
    return _redacted.fullmatch(text) is not None
