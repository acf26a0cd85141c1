"""The change behind each verdict: the request in which it happened, and the two pieces that differ.

A request that the governor did not plan because its profile was new missed for what made the profile new, which may
have happened requests ago. Invariant: a verdict that follows from no other request has itself as its origin.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.simulation.parts import TokenParts
from acg_lab.simulation.verdicts import VERDICTS, Verdict, Verdicts

__all__ = ["CHANGES", "Origins", "find_origins"]

Ints = NDArray[np.int64]
CHANGES: Final = frozenset(
    {
        Verdict.MODEL_CHANGED,
        Verdict.SCOPE_CHANGED,
        Verdict.TOOLS_CHANGED,
        Verdict.SYSTEM_CHANGED,
        Verdict.PARAMETERS_CHANGED,
        Verdict.HISTORY_CHANGED,
    }
)


class Origins(NamedTuple):
    """Where the cause of each verdict lies; shape (n_requests,) each.

    Attributes
    ----------
    rows : array of int64
        The request in which it happened; mostly the request itself.
    pieces, counterparts : array of int64
        For changes, the first piece that differs from the reference and the reference's piece there, -1 for none; else
        the piece that decided, as in `Verdicts`.
    """

    rows: Ints
    pieces: Ints
    counterparts: Ints


def find_origins(verdicts: Verdicts, parts: TokenParts, profiles: Ints) -> Origins:
    """Return where the causes of verdicts lie; ``profiles`` are the profile of each request, -1 for none."""
    rows = np.arange(len(profiles))
    found, first = np.unique(profiles, return_index=True)
    follows = (verdicts.caused_by != verdicts.codes) & (profiles >= 0)
    rows[follows] = first[np.searchsorted(found, profiles[follows])]
    is_change = np.isin(verdicts.caused_by, [VERDICTS.index(change) for change in CHANGES])
    return Origins(
        rows,
        np.where(is_change, parts.first_difference[rows], verdicts.pieces),
        np.where(is_change, parts.counterpart[rows], verdicts.counterparts),
    )
