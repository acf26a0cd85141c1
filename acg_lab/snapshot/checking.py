"""Arguments that many functions take, checked alike.

Belongs here: refusing what is no snapshot and no thresholds. What is taken for a snapshot may be an address with a
password, so only its type is told.
"""

from acg_lab.core.errors import UsageError
from acg_lab.core.stability import StabilityThresholds
from acg_lab.snapshot.model import Snapshot

__all__ = ["check_snapshot", "check_thresholds"]


def check_snapshot(given: object) -> None:
    """Check that a snapshot was given.

    Raises
    ------
    UsageError
        If something else was.
    """
    if not isinstance(given, Snapshot):
        msg = f"Expected a Snapshot, as acg_lab.load makes it of a source; got {type(given).__name__}."
        raise UsageError(msg)


def check_thresholds(given: StabilityThresholds | None) -> StabilityThresholds:
    """Return the thresholds, production's defaults for None.

    Raises
    ------
    UsageError
        If something else was given.
    """
    if given is None:
        return StabilityThresholds()
    if not isinstance(given, StabilityThresholds):
        example = "StabilityThresholds(stable_threshold=0.9)"
        msg = f"The 'thresholds' must be a StabilityThresholds, such as acg_lab.{example}; got {given!r}."
        raise UsageError(msg)
    return given
