"""The history that a replay walks over: every recorded request as a row of codes, and when it was sent and learned.

`acg_lab.history.build_history` makes it; `acg_lab.history.visibility` decides what each request could know.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.rules import RulesName
from acg_lab.storage.observation_columns import ObservationColumns
from acg_lab.storage.recorded_runs import Runs

__all__ = ["UNKNOWN", "History", "HistoryProfile", "Requests"]

UNKNOWN = -1


class HistoryProfile(NamedTuple):
    """A profile of a history, and the rules version by which it is replayed."""

    agent_id: str
    learning_key: str
    rules: RulesName


class Requests(NamedTuple):
    """Facts of the requests as columns, one row per request.

    Attributes
    ----------
    started : array of int64
        Start in nanoseconds since 1970.
    run : array of int64
        Number of the request's run in `History.run_ids`.
    call : array of int64
        Position among the calls of the run.
    first_unknown_run : array of int64
        Runs of the same agent with a smaller number had been learned when the request started.
    usage_tokens : array of int64
        Prompt tokens as the provider counted them, -1 where unknown.
    is_truncated : array of bool
        Whether the request seems to have been recorded without its earlier turns.
    """

    started: NDArray[np.int64]
    run: NDArray[np.int64]
    call: NDArray[np.int64]
    first_unknown_run: NDArray[np.int64]
    usage_tokens: NDArray[np.int64]
    is_truncated: NDArray[np.bool_]


@dataclass(frozen=True, eq=False, kw_only=True)
class History:
    """Every recorded request, by profile, in the order in which production learned them.

    Attributes
    ----------
    observations : ObservationColumns
        The requests as blocks; window ``p`` holds all requests that profile ``p`` ever learned.
    profiles : tuple of HistoryProfile, length n_profiles
    requests : Requests
        Rows as in ``observations``.
    run_ids : sequence of str, length n_runs
        Runs by agent, those of an agent in the order of its index.
    first_run : array of int64, shape (n_runs,)
        Number of the first run of the same agent.
    caveats : tuple of str
        What a reader of the numbers must know.
    runs : Runs
        The recorded runs that the history was made of; empty for one made of windows.
    positions : sequence of int, length n_runs
        The position of each run in ``runs``.
    """

    observations: ObservationColumns
    profiles: tuple[HistoryProfile, ...]
    requests: Requests
    run_ids: Sequence[str]
    first_run: NDArray[np.int64]
    caveats: tuple[str, ...] = ()
    runs: Runs = field(default_factory=Runs)
    positions: Sequence[int] = ()

    def profile_of_row(self) -> NDArray[np.int64]:
        """Return the number of each row's profile."""
        offsets = self.observations.window_offsets
        return np.repeat(np.arange(len(self.profiles)), np.diff(offsets))
