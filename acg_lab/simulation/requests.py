"""Recorded requests as columns: who sent them, when, what was billed, and of what pieces they are made.

Every LLM call of a history is a row, in order of start, whether or not its request was recorded. Two requests share a
node exactly where they share all pieces up to it, in one scope, of one model, under equal parameters.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.prompt_ir import normalize_whitespace
from acg_lab.simulation.bodies import Api, Parameters
from acg_lab.simulation.contents import plain_text
from acg_lab.storage.observation_columns import offsets
from acg_lab.storage.pseudonyms import sent_size
from acg_lab.storage.recorded_runs import Runs, Sending

__all__ = ["APIS", "FACTS", "PER_PIECE", "RecordedRequests", "SentOtherwise", "gather", "number_prefixes"]

Ints = NDArray[np.int64]
APIS: Final[tuple[Api, ...]] = ("anthropic", "openai-chat", "openai-responses")
FACTS: Final = [
    "agents",
    "runs",
    "positions",
    "calls",
    "models",
    "scopes",
    "apis",
    "parameters",
    "steps",
    "started",
    "first_token",
    "ended",
    "timed",
    "prompt",
    "read",
    "write",
    "write_long",
    "output",
    "recorded",
    "raw",
    "cut",
    "failed",
    "disbelieved",
    "flags",
    "automatic_ttls",
]
PER_PIECE: Final = ("contents", "kinds", "messages", "allows_breakpoint", "own_breakpoints", "nodes")


class SentOtherwise(NamedTuple):
    """What a repair changes in the way a request is sent, and how many messages the request was recorded with."""

    sending: Sending
    n_messages: int


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class RecordedRequests:
    """All LLM calls of a history, in order of start, then of agent, run and call.

    Attributes
    ----------
    agent_ids, run_ids, model_names, scope_names : tuple of str
        What the codes in ``agents``, ``runs``, ``models`` and ``scopes`` stand for.
    agents, runs, positions, calls, models, scopes, apis, parameters : per request, int64
        ``positions`` are those of the runs in the source, ``calls`` those in the run; ``apis`` and ``parameters`` are
        codes of `api_names` and of ``parameter_values``.
    steps : per request, int64
        Row in the replayed history, -1 for a call that the learner never saw.
    started, first_token, ended : per request, int64
        Nanoseconds since 1970; `acg_lab.providers.prompts.NO_TIME` where unknown. ``started`` is assumed where the
        record has no time, see `acg_lab.simulation.untimed`.
    timed : per request, bool
        Whether the record says when the request was sent.
    prompt, read, write, write_long, output : per request, int64
        Tokens as billed, -1 where not recorded; ``write_long`` is the part of ``write`` with the longer TTL.
    recorded, raw, cut, failed : per request, bool
        Whether the request was recorded, whether as sent, whether only its last turn was, and whether it was answered
        by an error.
    disbelieved : per request, bool
        Whether what is recorded as billed can't be this prompt's; then ``prompt``, ``read`` and ``write`` are -1.
    flags, automatic_ttls : per request
        As in `acg_lab.providers.PromptTable`.
    piece_offsets : (n_requests + 1,)
    contents, kinds, messages, allows_breakpoint, own_breakpoints, nodes : per piece
        ``contents`` are codes of ``texts``; ``own_breakpoints`` the TTL of the application's breakpoint, -1 for none;
        ``nodes`` the prefix that ends here.
    texts : sequence of bytes
        Contents by code. Private: prompts.
    vendor_diagnoses : per request, tuple of str
        What the provider's answer says of a miss; empty where it says nothing.
    sendings : mapping of int to SentOtherwise
        What repairs change in the way requests are sent, by request.
    is_redacted : bool
        Whether ``texts`` are pseudonyms.
    private_texts : frozenset of str
        Texts that are not shown, white space normalised.
    """

    agent_ids: tuple[str, ...]
    run_ids: tuple[str, ...]
    model_names: tuple[str, ...]
    scope_names: tuple[str, ...]
    parameter_values: tuple[Parameters, ...]
    agents: Ints
    runs: Ints
    positions: Ints
    calls: Ints
    models: Ints
    scopes: Ints
    apis: Ints
    parameters: Ints
    steps: Ints
    started: Ints
    first_token: Ints
    ended: Ints
    timed: NDArray[np.bool_]
    prompt: Ints
    read: Ints
    write: Ints
    write_long: Ints
    output: Ints
    recorded: NDArray[np.bool_]
    raw: NDArray[np.bool_]
    cut: NDArray[np.bool_]
    failed: NDArray[np.bool_]
    disbelieved: NDArray[np.bool_]
    flags: NDArray[np.uint8]
    automatic_ttls: Ints
    piece_offsets: Ints
    contents: NDArray[np.int32]
    kinds: NDArray[np.uint8]
    messages: NDArray[np.int32]
    allows_breakpoint: NDArray[np.bool_]
    own_breakpoints: NDArray[np.int32]
    nodes: Ints
    texts: Sequence[bytes]
    vendor_diagnoses: tuple[str, ...]
    sendings: Mapping[int, "SentOtherwise"] = field(default_factory=dict)
    is_redacted: bool = False
    private_texts: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.started)

    @cached_property
    def n_bytes(self) -> Ints:
        """The size of each content as it was sent."""
        measure = sent_size if self.is_redacted else len
        return np.fromiter(map(measure, self.texts), np.int64, len(self.texts))

    def is_private(self, content: int) -> bool:
        """Return whether a content, by its code, is not shown."""
        return bool(self.private_texts) and (
            normalize_whitespace(plain_text(self.texts[content])) in self.private_texts
        )

    @property
    def api_names(self) -> tuple[Api, ...]:
        """What the codes in ``apis`` stand for."""
        return APIS

    @property
    def request_of_piece(self) -> Ints:
        """The request of each piece."""
        return np.repeat(np.arange(len(self)), np.diff(self.piece_offsets))

    def count_pieces(self, chosen: NDArray[np.bool_]) -> Ints:
        """Return how many pieces of each request are chosen."""
        before = np.concatenate(([0], np.cumsum(chosen, dtype=np.int32)))
        return (before[self.piece_offsets[1:]] - before[self.piece_offsets[:-1]]).astype(np.int64)

    def select(self, rows: Ints) -> "RecordedRequests":
        """Return some of the requests, ascending; codes and nodes stay what they are."""
        piece_offsets, pieces = gather(self.piece_offsets, rows)
        columns = {name: getattr(self, name)[rows] for name in FACTS}
        columns |= {name: getattr(self, name)[pieces] for name in PER_PIECE}
        said = tuple(self.vendor_diagnoses[row] for row in rows.tolist())
        return replace(self, piece_offsets=piece_offsets, vendor_diagnoses=said, **columns)

    def sent_as(self, runs: Runs) -> "RecordedRequests":
        """Return the same requests, sent as repairs of these runs say; the runs differ in nothing else."""
        where = zip(self.positions.tolist(), self.calls.tolist(), strict=True)
        calls = enumerate(runs.calls[position][at] for position, at in where)
        sendings = {row: SentOtherwise(call.sending, len(call.messages)) for row, call in calls if call.sending}
        return replace(self, sendings=sendings)

    def in_chunks(self, most: int = 50_000) -> Iterator[tuple[slice, slice]]:
        """Yield slices of requests and of their pieces, so that work by piece needs memory for a few at a time."""
        for begin in range(0, len(self), most):
            rows = slice(begin, min(begin + most, len(self)))
            yield rows, slice(int(self.piece_offsets[begin]), int(self.piece_offsets[rows.stop]))

    def by_scope(self, rows: Ints, most: int) -> Iterator[Ints]:
        """Yield requests in groups of whole scopes, of about ``most`` each: caches of scopes are independent."""
        if len(rows) <= most:
            yield rows
            return
        scopes, counts = np.unique(self.scopes[rows], return_counts=True)
        group = np.zeros(len(self.scope_names), np.int64)
        group[scopes] = np.cumsum(counts) // most
        of_row = group[self.scopes[rows]]
        for one in np.unique(of_row).tolist():
            yield rows[of_row == one]

    def __repr__(self) -> str:
        return (
            f"<RecordedRequests: {len(self):,} requests, {len(self.contents):,} pieces, {len(self.texts):,} contents>"
        )


def number_prefixes(roots: Ints, codes: Ints, piece_offsets: Ints) -> Ints:
    """Return the number of each prefix, from 0: equal for equal roots and equal codes up to a piece.

    Examples
    --------
    >>> number_prefixes(np.array([0, 0]), np.array([5, 6, 5, 7]), np.array([0, 2, 4]))
    array([0, 1, 0, 2])
    """
    nodes = np.empty(len(codes), np.int64)
    lengths, parents = np.diff(piece_offsets), roots
    alive, n_nodes, width = np.flatnonzero(lengths > 0), 0, int(codes.max(initial=0)) + 1
    parents = roots[alive]
    level = 0
    while len(alive):
        at = piece_offsets[alive] + level
        found, number = np.unique(parents * width + codes[at], return_inverse=True)
        nodes[at] = number = number.reshape(-1) + n_nodes
        n_nodes += len(found)
        level += 1
        goes_on = lengths[alive] > level
        alive, parents = alive[goes_on], number[goes_on]
    return _by_appearance(nodes)


def _by_appearance(nodes: Ints) -> Ints:
    """Renumber so that a prefix seen earlier has the smaller number; the order of columns then follows time."""
    _, first, inverse = np.unique(nodes, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.reshape(-1)]


def gather(bounds: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Return the offsets of some rows' entries among themselves, and the indices of those entries."""
    lengths = bounds[rows + 1] - bounds[rows]
    new = offsets(lengths)
    return new, np.arange(new[-1]) - np.repeat(new[:-1] - bounds[rows], lengths)
