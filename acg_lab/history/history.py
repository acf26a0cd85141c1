"""What a replay walks over: every recorded request as a row of codes, and when it was sent and learned.

Belongs here: the shape of a history. Where it comes from is told in `acg_lab.history.build_history` and
`acg_lab.history.build_history`; what is known when, in `acg_lab.history.visibility`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.rules import RulesName
from acg_lab.storage.columns import ObservationColumns

__all__ = ["UNKNOWN", "History", "HistoryProfile", "Requests"]

UNKNOWN = -1


class HistoryProfile(NamedTuple):
    """Whose requests are learned together, and by which generation of the rules."""

    agent_id: str
    learning_key: str
    rules: RulesName


class Requests(NamedTuple):
    """Facts of requests, one a row.

    Attributes
    ----------
    started : array of int64
        Nanoseconds since 1970.
    run : array of int64
        Number of its run in `History.run_ids`.
    call : array of int64
        Position among the calls of its run.
    known : array of int64
        Of its agent's runs those with a smaller number than this were learned before it started.
    usage : array of int64
        Tokens of its prompt as the provider counted them, -1 where that is not known.
    cut : array of bool
        Whether it seems to have been recorded cut to the current turn.
    """

    started: NDArray[np.int64]
    run: NDArray[np.int64]
    call: NDArray[np.int64]
    known: NDArray[np.int64]
    usage: NDArray[np.int64]
    cut: NDArray[np.bool_]


@dataclass(frozen=True, eq=False, kw_only=True)
class History:
    """Every recorded request, by profile, of each in the order in which production learned them.

    Attributes
    ----------
    observations : ObservationColumns
        The requests as blocks; window ``p`` holds all that profile ``p`` ever learned.
    profiles : tuple of Profile, length n_windows
    requests : Requests
        Rows as in ``observations``.
    run_ids : sequence of str, length n_runs
        Runs by agent, of each in the order of its index.
    first_run : array of int64, shape (n_runs,)
        Number of the first run of the same agent.
    caveats : tuple of str
        What a reader of the numbers must know.
    """

    observations: ObservationColumns
    profiles: tuple[HistoryProfile, ...]
    requests: Requests
    run_ids: Sequence[str]
    first_run: NDArray[np.int64]
    caveats: tuple[str, ...] = ()

    def profile_of_row(self) -> NDArray[np.int64]:
        """Return the number of the profile of every row."""
        offsets = self.observations.window_offsets
        return np.repeat(np.arange(len(self.profiles)), np.diff(offsets))
