"""What a provider's cache did with each request of a table, as columns.

Token counts are those of the table: nothing here is estimated, and nothing is money.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

import numpy as np
from numpy.typing import NDArray

from acg_lab.providers.prompts import Ints

__all__ = ["NOTHING", "CacheOutcome", "Doubt", "LookupReason", "Refusal"]

NOTHING: Final = -1  # no piece, no request


class LookupReason(IntEnum):
    """What became of one place that a request looked up.

    Examples
    --------
    >>> LookupReason(4).name
    'EXPIRED'
    """

    HIT = 0
    COVERED = 1  # shorter than what was read, so not needed
    BELOW_MINIMUM = 2  # the provider ignores the breakpoint
    IN_FLIGHT = 3  # written, but the writer's answer had not begun
    EXPIRED = 4
    LOOKBACK_EXCEEDED = 5  # a live entry lies further back than the provider looks
    BOUNDARY_ABSENT = 6  # a live entry ends where this request has no boundary
    NOT_WRITTEN = 7  # no earlier request wrote an entry here


class Refusal(IntEnum):
    """Why the provider does not answer a request at all, or why it is left out.

    Examples
    --------
    >>> Refusal(2).name
    'TOO_MANY_BREAKPOINTS'
    """

    NONE = 0
    FAILED = 1  # recorded as answered by an error
    TOO_MANY_BREAKPOINTS = 2
    TTL_ORDER = 3  # a shorter TTL stands before a longer one
    BREAKPOINT_NOT_ALLOWED = 4  # a breakpoint stands where none may
    AUTOMATIC_CONFLICT = 5  # the last block has a breakpoint of another TTL


class Doubt(IntFlag):
    """What could have turned out the other way.

    Examples
    --------
    >>> Doubt.NEAR_TTL in Doubt(3)
    True
    """

    NEAR_MINIMUM = 1  # a breakpoint within the counting error of the minimum
    NEAR_TTL = 2  # an entry looked up within ten seconds of its expiry
    TIME_UNKNOWN = 4  # the writer's first token is not recorded, and the request came before its answer ended
    BEST_EFFORT = 8  # sent in a batch, or to a cache that promises nothing
    MAY_LIVE_LONGER = 16  # expired by the promise, but the provider may keep entries longer


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CacheOutcome:
    """What happened to each request, in the order of the table.

    Attributes
    ----------
    read_tokens : (n_requests,)
        Tokens read from the cache; with ``chance`` below 1, what a hit would read.
    read_pieces : (n_requests,)
        The piece (index into the per-piece columns of the table) that the read ends in, `NOTHING` if nothing was read.
    live_pieces : (n_requests,)
        The last piece that ends a live, readable entry, whether or not the request looked there; else `NOTHING`.
    writers : (n_requests,)
        The request that wrote what was read, else `NOTHING`.
    idle_seconds : (n_requests,)
        From the last touch of the entry that was read to this request; for an expired lookup, of the longest entry that
        had expired; NaN if neither.
    written_tokens : (n_requests, n_ttls)
        Tokens written, by TTL.
    ttls : (n_ttls,)
        In seconds, ascending.
    write_offsets, write_pieces, write_ttls, write_tokens
        Each write apart, in prompt order: request i made ``write_offsets[i]:write_offsets[i + 1]``.
    lookup_offsets, lookup_pieces, lookup_reasons, lookup_breakpoints
        Each looked-up place, longest first: its piece, `LookupReason`, and the breakpoint of the table that stands
        there (`NOTHING` for places of the provider's own).
    refusals : (n_requests,)
        `Refusal`; a refused request neither reads nor writes.
    doubts : (n_requests,)
        `Doubt`.
    chance : float
        How likely a hit is where the provider promises none; 1 for all others.

    Examples
    --------
    Two equal requests, 330 seconds apart; entries live for 300:

    >>> import numpy as np
    >>> from acg_lab.providers import (
    ...     AUTOMATIC_BY_DEFAULT,
    ...     NO_NODE,
    ...     BreakpointOrigin,
    ...     PieceKind,
    ...     PromptTable,
    ...     find_provider,
    ...     run_cache,
    ... )
    >>> n = 2
    >>> table = PromptTable(
    ...     piece_offsets=np.arange(n + 1),
    ...     nodes=np.zeros(n, np.int64),
    ...     ends=np.full(n, 2000),
    ...     margins=np.zeros(n),
    ...     kinds=np.full(n, PieceKind.SYSTEM, np.uint8),
    ...     messages=np.full(n, -1),
    ...     allows_breakpoint=np.ones(n, bool),
    ...     tokens=np.full(n, 2000),
    ...     started=np.array([0, 330]) * 10**9,
    ...     first_token=np.array([1, 331]) * 10**9,
    ...     ended=np.array([2, 332]) * 10**9,
    ...     models=np.zeros(n, np.int64),
    ...     model_names=("claude-sonnet-4-5",),
    ...     breakpoint_offsets=np.arange(n + 1),
    ...     breakpoint_pieces=np.arange(n),
    ...     breakpoint_ttls=np.zeros(n, np.int64),
    ...     breakpoint_origins=np.full(n, BreakpointOrigin.OWN, np.uint8),
    ...     automatic_ttls=np.full(n, AUTOMATIC_BY_DEFAULT),
    ...     flags=np.zeros(n, np.uint8),
    ...     answers=np.full(n, NO_NODE),
    ... )
    >>> outcome = run_cache(table, find_provider("anthropic"))
    >>> outcome
    <CacheOutcome: 2 requests, 0 tokens read, 4,000 written>
    >>> [LookupReason(reason).name for reason in outcome.lookup_reasons], outcome.idle_seconds
    (['NOT_WRITTEN', 'EXPIRED'], array([ nan, 330.]))
    """

    read_tokens: Ints
    read_pieces: Ints
    live_pieces: Ints
    writers: Ints
    idle_seconds: NDArray[np.float64]
    written_tokens: Ints
    ttls: tuple[int, ...]
    write_offsets: Ints
    write_pieces: Ints
    write_ttls: Ints
    write_tokens: Ints
    lookup_offsets: Ints
    lookup_pieces: Ints
    lookup_reasons: NDArray[np.uint8]
    lookup_breakpoints: Ints
    refusals: NDArray[np.uint8]
    doubts: NDArray[np.uint8]
    chance: float = 1.0

    @property
    def n_requests(self) -> int:
        """How many requests the outcome covers."""
        return len(self.read_tokens)

    def __repr__(self) -> str:
        read, written = int(self.read_tokens.sum()), int(self.written_tokens.sum())
        return f"<CacheOutcome: {self.n_requests:,} requests, {read:,} tokens read, {written:,} written>"
