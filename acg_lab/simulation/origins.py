"""The change behind each verdict: the request in which it happened, and the two pieces that differ.

A request that the governor did not plan because its profile was new missed for what made the profile new, which may
have happened requests ago. Invariant: a verdict that follows from no other request has itself as its origin.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.simulation.parts import TokenParts
from acg_lab.simulation.verdicts import VERDICTS, Verdict, Verdicts

__all__ = ["CHANGES", "DecidingPlace", "Origins", "find_origins"]

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


class DecidingPlace(NamedTuple):
    """The place in a request that decided its verdict.

    Attributes
    ----------
    block : {"tool", "system", "message", "framing"}
    path : str
        JSON path in the request's body.
    byte_offset : int
        Where the contents part, in bytes of the content as sent; 0 where there is nothing to compare with, or
        pseudonyms alone.
    length, other_length : int
        Bytes of both contents; ``other_length`` is -1 without one.
    content, other_content : int
        Codes of the pair, for `CacheSimulation.content`; -1 for none.

    Examples
    --------
    >>> import acg_lab as acg
    >>> sim = acg.simulate(acg.load("data/sample", agent_id="support-legacy"))
    >>> places = [place for request in range(len(sim)) if (place := sim.cause_place(request))]
    >>> places[0].path.startswith("$.")
    True
    """

    block: str
    path: str
    byte_offset: int
    length: int
    other_length: int
    content: int
    other_content: int


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
