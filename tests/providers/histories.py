"""Histories by hand: prompts as lists of pieces, and the table that stands for them.

A token is a character unless a piece says how many tokens it has.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from acg_lab.providers import (
    AUTOMATIC_BY_DEFAULT,
    NO_NODE,
    NO_TIME,
    BreakpointOrigin,
    PieceKind,
    PromptTable,
    RequestFlag,
    join_branches,
)

SECOND = 1_000_000_000
EPOCH = int(datetime(2026, 11, 2, 9, tzinfo=UTC).timestamp()) * SECOND


@dataclass(frozen=True)
class Piece:
    """One block of a prompt."""

    text: str
    size: int | None = None
    kind: PieceKind = PieceKind.USER
    message: int = -1
    allows_breakpoint: bool = True
    margin: float = 0.0

    @property
    def tokens(self):
        return len(self.text) if self.size is None else self.size


@dataclass(frozen=True)
class Prompt:
    """One request: seconds are counted from `EPOCH`; ``breakpoints`` map a piece's index to a TTL (0: none stated)."""

    pieces: tuple[Piece, ...]
    at: float
    breakpoints: dict[int, int] = field(default_factory=dict)
    first_token: float | None = None  # seconds after the start
    took: float | None = 1.0
    model: str = "claude-sonnet-5"
    automatic: int = AUTOMATIC_BY_DEFAULT
    flags: int = 0
    answer: tuple[Piece, ...] = ()
    unrecorded: int = 0

    @property
    def tokens(self):
        return sum(piece.tokens for piece in self.pieces) + self.unrecorded

    @property
    def failed(self):
        return bool(self.flags & RequestFlag.FAILED)


def make_table(prompts, *, branches=False):
    """Make the table of some prompts, which are in order of start."""
    trie, contents, parents, salts = {}, [], [], []

    def node_of(parent, model, text):
        key = (parent, model if parent == NO_NODE else "", text)
        if key not in trie:
            trie[key] = len(trie)
            parents.append(parent)
            contents.append(text.encode())
            salts.append(model)
        return trie[key]

    def path(model, pieces):
        nodes, node = [], NO_NODE
        for piece in pieces:
            node = node_of(node, model, piece.text)
            nodes.append(node)
        return nodes

    paths = [path(p.model, p.pieces) for p in prompts]
    answers = [path(p.model, p.pieces + p.answer)[-1] if p.answer else NO_NODE for p in prompts]
    names = sorted({p.model for p in prompts})
    pieces = [piece for p in prompts for piece in p.pieces]
    offsets = np.concatenate(([0], np.cumsum([len(p.pieces) for p in prompts], dtype=np.int64)))
    given = [(int(offsets[i]) + k, ttl) for i, p in enumerate(prompts) for k, ttl in sorted(p.breakpoints.items())]
    ends = [np.cumsum([piece.tokens for piece in p.pieces], dtype=np.int64) for p in prompts]

    def times(of):
        return np.array([NO_TIME if s is None else EPOCH + round(s * SECOND) for s in of], np.int64)

    return PromptTable(
        piece_offsets=offsets,
        nodes=np.array([node for nodes in paths for node in nodes], np.int64),
        ends=np.concatenate([np.zeros(0, np.int64), *ends]),
        margins=np.array([piece.margin for piece in pieces], np.float64),
        kinds=np.array([piece.kind for piece in pieces], np.uint8),
        messages=np.array([piece.message for piece in pieces], np.int64),
        allows_breakpoint=np.array([piece.allows_breakpoint for piece in pieces], bool),
        tokens=np.array([p.tokens for p in prompts], np.int64),
        started=times(p.at for p in prompts),
        first_token=times(None if p.first_token is None else p.at + p.first_token for p in prompts),
        ended=times(None if p.took is None else p.at + p.took for p in prompts),
        models=np.array([names.index(p.model) for p in prompts], np.int64),
        model_names=tuple(names),
        breakpoint_offsets=np.concatenate(([0], np.cumsum([len(p.breakpoints) for p in prompts], dtype=np.int64))),
        breakpoint_pieces=np.array([piece for piece, _ in given], np.int64),
        breakpoint_ttls=np.array([ttl for _, ttl in given], np.int64),
        breakpoint_origins=np.full(len(given), BreakpointOrigin.OWN, np.uint8),
        automatic_ttls=np.array([p.automatic for p in prompts], np.int64),
        flags=np.array([p.flags for p in prompts], np.uint8),
        answers=np.array(answers, np.int64),
        branches=_join(parents, contents, salts) if branches else None,
    )


def _join(parents, contents, salts):
    """Models share nothing, whatever their prompts begin with."""
    _, codes = np.unique(salts, return_inverse=True)
    return join_branches(np.array(parents, np.int64), contents, codes.astype(np.int64))


def block(name, tokens, kind=PieceKind.USER, message=0, **more):
    """Return a piece known by its name, of some tokens."""
    return Piece(name, tokens, kind, message, **more)


def chat(n, tokens=100, start=1):
    """Return n numbered user and assistant blocks."""
    kinds = (PieceKind.USER, PieceKind.ASSISTANT)
    return tuple(block(f"block {k}", tokens, kinds[k % 2], k) for k in range(start, start + n))
