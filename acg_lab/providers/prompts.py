"""The prompts of one cache scope as columns: what the matching models read, and all that they read.

A prompt is a row of *pieces* in render order (tools, system, messages). Each piece ends a prefix, and each distinct
prefix is a *node*: two prompts share exactly the pieces up to their last common node. Contents never enter this
package; whoever makes a table decides what makes two prefixes equal (model, cache key, tier salts, bytes as sent
without breakpoints), and gives them equal node numbers.
"""

from dataclasses import dataclass, fields
from enum import IntEnum, IntFlag
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.errors import UsageError

__all__ = [
    "AUTOMATIC_BY_DEFAULT",
    "NO_NODE",
    "NO_TIME",
    "Branches",
    "BreakpointOrigin",
    "Ints",
    "PieceKind",
    "PromptTable",
    "RequestFlag",
    "join_branches",
]

Ints: TypeAlias = NDArray[np.int64]

NO_TIME: Final = np.iinfo(np.int64).min  # a time that the record does not hold
NO_NODE: Final = -1
AUTOMATIC_BY_DEFAULT: Final = -1  # the body leaves it to the provider whether it places a breakpoint itself


class PieceKind(IntEnum):
    """What a piece of a prompt is, as far as cache rules care."""

    FRAMING = 0  # text that the provider adds itself; no block, so no look-back position and no breakpoint
    TOOL = 1  # one tool definition
    SYSTEM = 2  # a top-level system block, or `instructions`
    DEVELOPER = 3  # a system or developer message inside the messages
    USER = 4  # text, image or document in a user message
    ASSISTANT = 5
    THINKING = 6
    TOOL_USE = 7
    TOOL_RESULT = 8
    SERVER_TOOL_RESULT = 9  # the result of a tool that the provider runs (web search, code execution)


class BreakpointOrigin(IntEnum):
    """Who placed a breakpoint."""

    OWN = 0  # the application
    PLANNED = 1  # the governor
    AUTOMATIC = 2  # the provider: automatic mode, implicit mode


class RequestFlag(IntFlag):
    """What sets a request apart from an ordinary one."""

    PREWARM = 1  # fills the cache without output (`max_tokens: 0`, `prewarm: true`)
    BATCH = 2  # sent in a batch: caching is best effort
    FAILED = 4  # answered by an error: nothing was read or written
    KEYED = 8  # carries a `prompt_cache_key`


@dataclass(frozen=True, eq=False)
class Branches:
    """Where prompts part *inside* a piece, for caches that share part of a piece.

    Among the contents that follow one prefix, each common beginning of two or more is a node of its own, numbered after
    the nodes of whole pieces. ``offsets`` (n_nodes + 1) index ``nodes`` and ``shares``: the inner nodes on the way from
    a node's parent to the node, shortest first, and how far into the piece each lies, in (0, 1]; 1 where the piece
    as a whole begins another.
    """

    offsets: Ints
    nodes: Ints
    shares: NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class PromptTable:
    """The requests of one cache scope, in order of start.

    "Per piece" columns have one entry for each piece of each request; request i has pieces
    ``piece_offsets[i]:piece_offsets[i + 1]``. Piece numbers in other columns index the per-piece columns.

    Attributes
    ----------
    piece_offsets : (n_requests + 1,)
    nodes : per piece
        The prefix that ends with the piece, from 0 without gaps.
    ends : per piece, int64
        Tokens of that prefix. Never decreasing within a request.
    margins : per piece, float
        The token count may be wrong by this much either way: 0 where the bill states it.
    kinds : per piece, uint8
        `PieceKind`.
    messages : per piece
        Number of the message within the request that the piece is part of, from 0; -1 for tools, system and framing.
    allows_breakpoint : per piece, bool
        Whether the provider lets a breakpoint stand there (not on thinking, empty text, framing, sub-blocks).
    tokens : per request
        The whole prompt; at least the end of its last piece. The rest was not recorded.
    started, first_token, ended : per request
        Nanoseconds since 1970, UTC; `NO_TIME` where unknown. ``started`` is always known and never decreases.
    models : per request
        Index into ``model_names``.
    breakpoint_offsets : (n_requests + 1,)
        Request i has breakpoints ``breakpoint_offsets[i]:breakpoint_offsets[i + 1]``, in prompt order.
    breakpoint_pieces, breakpoint_ttls, breakpoint_origins : per breakpoint
        The piece that it stands on; its TTL in seconds, 0 where the body states none; `BreakpointOrigin`.
    automatic_ttls : per request
        Seconds that an automatic breakpoint lives: Anthropic's top-level ``cache_control`` (300 or 3600), OpenAI's
        implicit mode. 0: the body rules it out (``mode: explicit``). `AUTOMATIC_BY_DEFAULT`: the body does not say.
    flags : per request
        `RequestFlag`.
    answers : per request
        Node of the prompt followed by the answer that it received, `NO_NODE` where no later prompt holds it.
    branches : Branches, optional
        See there; without it prompts share whole pieces only.
    """

    piece_offsets: Ints
    nodes: Ints
    ends: Ints
    margins: NDArray[np.float64]
    kinds: NDArray[np.uint8]
    messages: Ints
    allows_breakpoint: NDArray[np.bool_]
    tokens: Ints
    started: Ints
    first_token: Ints
    ended: Ints
    models: Ints
    model_names: tuple[str, ...]
    breakpoint_offsets: Ints
    breakpoint_pieces: Ints
    breakpoint_ttls: Ints
    breakpoint_origins: NDArray[np.uint8]
    automatic_ttls: Ints
    flags: NDArray[np.uint8]
    answers: Ints
    branches: Branches | None = None

    _PER_PIECE = ("nodes", "ends", "margins", "kinds", "messages", "allows_breakpoint")
    _PER_REQUEST = ("tokens", "started", "first_token", "ended", "models", "automatic_ttls", "flags", "answers")
    _PER_BREAKPOINT = ("breakpoint_pieces", "breakpoint_ttls", "breakpoint_origins")

    def __post_init__(self) -> None:
        """Check that the columns fit together; contents of columns are the caller's business."""
        for names, length in (
            (self._PER_PIECE, int(self.piece_offsets[-1])),
            (self._PER_REQUEST, self.n_requests),
            (self._PER_BREAKPOINT, int(self.breakpoint_offsets[-1])),
            (("breakpoint_offsets",), self.n_requests + 1),
        ):
            for name in names:
                if len(getattr(self, name)) != length:
                    msg = f"PromptTable.{name} must have {length} entries; got {len(getattr(self, name))}"
                    raise UsageError(msg)

    @property
    def n_requests(self) -> int:
        """How many requests the table holds."""
        return len(self.piece_offsets) - 1

    @property
    def n_nodes(self) -> int:
        """One more than the largest node number, inner nodes of ``branches`` included."""
        columns = [self.nodes, self.answers, *([] if self.branches is None else [self.branches.nodes])]
        return max((int(column.max()) for column in columns if len(column)), default=-1) + 1

    def select(self, requests: NDArray[np.intp]) -> "PromptTable":
        """Return the table of some of the requests, in the order given; node numbers stay as they are."""
        pieces, piece_offsets = _gather(self.piece_offsets, requests)
        breakpoints, breakpoint_offsets = _gather(self.breakpoint_offsets, requests)
        columns: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        for names, index in (
            (self._PER_PIECE, pieces),
            (self._PER_REQUEST, requests),
            (self._PER_BREAKPOINT, breakpoints),
        ):
            columns.update({name: columns[name][index] for name in names})
        shift = np.repeat(piece_offsets[:-1] - self.piece_offsets[requests], np.diff(breakpoint_offsets))
        columns["breakpoint_pieces"] = columns["breakpoint_pieces"] + shift
        return PromptTable(**{**columns, "piece_offsets": piece_offsets, "breakpoint_offsets": breakpoint_offsets})

    def __repr__(self) -> str:
        return f"<PromptTable: {self.n_requests:,} requests, {len(self.nodes):,} pieces, {self.n_nodes:,} prefixes>"


def join_branches(parents: Ints, contents: list[bytes], salts: Ints | None = None) -> Branches:
    """Find where the contents that follow one prefix part.

    Parameters
    ----------
    parents : (n_nodes,)
        The node before each node, `NO_NODE` for the first piece of a prompt. Roots are siblings.
    contents : n_nodes
        What the last piece of each node holds, as bytes.
    salts : (n_nodes,), optional
        Nodes of one parent share a beginning only if their salts are equal: what sets prefixes apart besides their
        bytes (model, key, parameters) goes here.

    Returns
    -------
    Branches
        Inner nodes are numbered from ``n_nodes``. Linear in the bytes, apart from sorting siblings.

    Examples
    --------
    >>> found = join_branches(np.array([-1, 0, 0]), [b"system", b"what is it", b"what for"])
    >>> found.offsets, found.nodes, found.shares
    (array([0, 0, 1, 2]), array([3, 3]), array([0.5  , 0.625]))
    """
    inner: dict[int, list[tuple[int, int]]] = {}  # node -> (inner node, bytes), shortest first
    following = len(parents)
    keys = np.zeros_like(parents) if salts is None else salts
    order = np.lexsort((keys, parents))
    apart = (np.diff(parents[order]) != 0) | (np.diff(keys[order]) != 0)
    bounds = np.concatenate(([0], np.flatnonzero(apart) + 1, [len(parents)]))
    for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if high - low > 1:
            following = _join_siblings(order[low:high].tolist(), contents, inner, following)
    counts = [len(inner.get(node, ())) for node in range(len(parents))]
    found = [(at, size / len(contents[node])) for node in sorted(inner) for at, size in inner[node]]
    return Branches(
        np.concatenate(([0], np.cumsum(counts, dtype=np.int64))),
        np.array([at for at, _ in found], np.int64),
        np.array([share for _, share in found], np.float64),
    )


def _join_siblings(siblings: list[int], contents: list[bytes], inner: dict[int, list[tuple[int, int]]], n: int) -> int:
    """Add the inner nodes of one family; return the next free number."""
    siblings = sorted(siblings, key=contents.__getitem__)
    open_ranges: list[tuple[int, int]] = []  # (shared bytes, first sibling) of beginnings that may go on, rising
    for k in range(1, len(siblings) + 1):
        shared = _common(contents[siblings[k - 1]], contents[siblings[k]]) if k < len(siblings) else 0
        first = k - 1
        while open_ranges and open_ranges[-1][0] > shared:
            size, first = open_ranges.pop()
            for node in siblings[first:k]:
                inner.setdefault(node, []).append((n, size))  # longest first, for now
            n += 1
        if shared > (open_ranges[-1][0] if open_ranges else 0):
            open_ranges.append((shared, first))
    for node in siblings:
        inner.get(node, []).reverse()
    return n


def _common(a: bytes, b: bytes) -> int:
    """Return how many leading bytes two contents share, by halving."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _gather(offsets: Ints, rows: NDArray[np.intp]) -> tuple[Ints, Ints]:
    """Return the indices of the entries of some rows, and the offsets of those rows among them."""
    lengths = offsets[rows + 1] - offsets[rows]
    new = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    return np.arange(new[-1]) - np.repeat(new[:-1] - offsets[rows], lengths), new
