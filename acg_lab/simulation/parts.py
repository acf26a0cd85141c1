"""Where each prompt token went: read, missed, changed, new, or not recorded. The parts always add up to the prompt.

What was shared with an earlier request could have been read. What follows was changed where the reference, the request
that this one goes on from, holds the same content; the rest is new.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from acg_lab.simulation.pieces import FRAMING, GAP
from acg_lab.simulation.requests import RecordedRequests, gather
from acg_lab.simulation.sizes import Sizes

__all__ = ["NO_REQUEST", "TokenParts", "divide_prompts", "find_shared"]

Ints = NDArray[np.int64]
NO_REQUEST: Final = -1
_SECOND: Final = 10**9
_MOST_ROWS: Final = 50_000  # what keeps the memory of one pass small


@dataclass(frozen=True, eq=False, kw_only=True)
class SharedPrefixes:
    """What each request shares with earlier ones of its scope.

    Attributes
    ----------
    lengths, tokens : per request, int64
        The longest prefix that any earlier request held, in pieces and tokens.
    previous : per piece, int32
        The newest earlier request that held the prefix that ends here, `NO_REQUEST` if none.
    references : per request, int64
        The request that this one goes on from, `NO_REQUEST` if none.
    in_run : per request, bool
        Whether the reference is the previous request of the same run.
    """

    lengths: Ints
    tokens: Ints
    previous: NDArray[np.int32]
    references: Ints
    in_run: NDArray[np.bool_]


@dataclass(frozen=True, eq=False, kw_only=True)
class TokenParts:
    """Tokens of each request, int64; they add up to the whole prompt.

    ``shared`` is the longest prefix that an earlier request held. ``first_difference`` is the first piece that is not
    the reference's, -1 if there is none that counts as a change; ``counterpart`` the reference's piece at its place.
    """

    read: Ints
    missed_live: Ints
    missed_expired: Ints
    changed: Ints
    new: Ints
    not_recorded: Ints
    shared: Ints
    first_difference: Ints
    counterpart: Ints


def find_shared(requests: RecordedRequests, sizes: Sizes) -> SharedPrefixes:
    """Find the longest prefix that each request shares with an earlier one, and its reference."""
    bounds = requests.piece_offsets
    previous = _previous_holders(requests)
    lengths = requests.count_pieces(previous >= 0)
    # Framing is no block: no prefix that a cache keeps ends with it.
    at = bounds[:-1] + lengths - 1
    lengths -= (lengths > 0) & (np.append(requests.contents, GAP)[at] == FRAMING)
    at = np.where(lengths > 0, bounds[:-1] + lengths - 1, -1)
    tokens = np.where(lengths > 0, np.append(sizes.ends, 0)[at], 0)
    sharing = np.where(lengths > 0, np.append(previous, NO_REQUEST)[at], NO_REQUEST)
    in_run = _previous_of(requests, requests.runs)
    of_agent = _previous_of(requests, requests.agents)
    references = np.where(in_run >= 0, in_run, np.where(sharing >= 0, sharing, of_agent))
    has_pieces = np.diff(bounds) > 0
    return SharedPrefixes(
        lengths=lengths,
        tokens=tokens,
        previous=previous,
        references=np.where(has_pieces, references, NO_REQUEST),
        in_run=(in_run >= 0) & has_pieces,
    )


def _previous_holders(requests: RecordedRequests) -> NDArray[np.int32]:
    """Return the newest earlier request that holds the node of each piece; scopes share no nodes."""
    previous = np.full(len(requests.nodes), NO_REQUEST, np.int32)
    for rows in requests.by_scope(np.arange(len(requests)), _MOST_ROWS):
        offsets, pieces = gather(requests.piece_offsets, rows)
        owner = np.repeat(rows, np.diff(offsets))
        nodes = requests.nodes[pieces]
        order = np.argsort(nodes, kind="stable")
        same = nodes[order][1:] == nodes[order][:-1]
        previous[pieces[order[1:][same]]] = owner[order[:-1][same]]
    return previous


def _previous_of(requests: RecordedRequests, groups: Ints) -> Ints:
    """Return the newest earlier recorded request of each request's group."""
    found = np.full(len(requests), NO_REQUEST, np.int64)
    rows = np.flatnonzero(np.diff(requests.piece_offsets) > 0)
    order = rows[np.argsort(groups[rows], kind="stable")]
    same = groups[order][1:] == groups[order][:-1]
    found[order[1:][same]] = order[:-1][same]
    return found


def divide_prompts(
    requests: RecordedRequests,
    sizes: Sizes,
    shared: SharedPrefixes,
    read: Ints,
    ttls: Ints,
    minimums: Ints,
    inside: Ints,
    grains: Ints,
) -> TokenParts:
    """Divide each prompt's tokens.

    Parameters
    ----------
    requests, sizes, shared
    read : per request
        As recorded, else as simulated.
    ttls, minimums : per request
        Seconds that an entry of its cache lives (0: no limit), and the shortest prefix that is cached.
    inside : per request
        Tokens that the prompt shares behind the last shared piece, inside the next one; for caches of blocks.
    grains : per request
        Shared tokens are rounded down to a multiple of this; 1 for caches of exact prefixes.
    """
    tokens = sizes.tokens
    read = np.minimum(read, tokens)
    reach = np.minimum(shared.tokens + inside, tokens) // grains * grains
    missed = np.maximum(reach - read, 0)
    live = np.maximum(_live_tokens(requests, sizes, shared, ttls, minimums, inside) // grains * grains - read, 0)
    live = np.minimum(live, missed)
    changed, first, counterpart = _changed(requests, sizes, shared, np.maximum(read, reach))
    hidden = _hidden(requests, sizes, np.maximum(read, reach))
    rest = tokens - read - missed
    changed = np.minimum(changed, np.maximum(rest - hidden, 0))
    hidden = np.minimum(hidden, rest)
    return TokenParts(
        read=read,
        missed_live=live,
        missed_expired=missed - live,
        changed=changed,
        new=rest - changed - hidden,
        not_recorded=hidden,
        shared=reach,
        first_difference=first,
        counterpart=counterpart,
    )


def _live_tokens(
    requests: RecordedRequests, sizes: Sizes, shared: SharedPrefixes, ttls: Ints, minimums: Ints, inside: Ints
) -> Ints:
    """Return the longest shared prefix that was sent again within its TTL, if it reaches the minimum."""
    is_live = np.zeros(len(requests.nodes), bool)
    for rows, pieces in requests.in_chunks():
        lengths = np.diff(requests.piece_offsets[rows.start : rows.stop + 1])
        oldest = np.where(ttls[rows] == 0, np.iinfo(np.int64).min, requests.started[rows] - ttls[rows] * _SECOND)
        previous = shared.previous[pieces]
        is_live[pieces] = (previous >= 0) & (requests.started[previous] >= np.repeat(oldest, lengths))
    count = requests.count_pieces(is_live)
    at = np.where(count > 0, requests.piece_offsets[:-1] + count - 1, -1)
    live = np.where(count > 0, np.append(sizes.ends, 0)[at], 0) + np.where(count == shared.lengths, inside, 0)
    return np.where(live >= minimums, live, 0)


def _hidden(requests: RecordedRequests, sizes: Sizes, begin: Ints) -> Ints:
    """Return the tokens behind a position that were not recorded."""
    lengths = np.diff(requests.piece_offsets)
    hidden = np.where(lengths == 0, np.maximum(sizes.tokens - begin, 0), 0)
    gaps = np.flatnonzero(requests.contents == GAP)
    of = requests.request_of_piece[gaps]
    start = np.where(gaps > requests.piece_offsets[of], sizes.ends[gaps - 1], 0)
    hidden[of] = np.maximum(sizes.ends[gaps] - np.maximum(start, begin[of]), 0)
    last = requests.piece_offsets[1:] - 1
    # What the bill counts behind the last recorded piece.
    beyond = np.where(lengths > 0, sizes.tokens - np.maximum(np.append(sizes.ends, 0)[last], begin), 0)
    return hidden + np.maximum(beyond, 0)


def _changed(requests: RecordedRequests, sizes: Sizes, shared: SharedPrefixes, begin: Ints) -> tuple[Ints, Ints, Ints]:
    """Return changed tokens behind a position, the first piece that differs, and the reference's piece at its place."""
    n, bounds = len(requests), requests.piece_offsets
    changed, first, counterpart = (np.full(n, fill, np.int64) for fill in (0, -1, -1))
    has = np.flatnonzero(shared.references >= 0)
    lengths = np.diff(bounds)
    common = _common_pieces(requests, shared, has)
    # Where nothing of the reference is left behind what is shared, nothing was changed.
    ends = _comparable_ends(requests)
    left = common < np.minimum(ends[shared.references[has]] - bounds[shared.references[has]], _FAR)
    left &= bounds[has] + common < np.minimum(ends[has], bounds[has] + lengths[has])
    compare = _Comparison(requests, sizes, ends)
    for i, k in zip(has[left].tolist(), common[left].tolist(), strict=True):
        reference = int(shared.references[i])
        changed[i] = compare.changed(i, reference, k, int(begin[i]), in_run=bool(shared.in_run[i]))
        parts = compare.parting(i, reference, k)
        if compare.differs(i, reference, parts, in_run=bool(shared.in_run[i])):
            first[i], counterpart[i] = bounds[i] + parts, bounds[reference] + parts
    return changed, first, counterpart


_FAR: Final = 1 << 40


def _comparable_ends(requests: RecordedRequests) -> Ints:
    """Return where the pieces of each request end that are known to follow each other: at what was cut."""
    ends = requests.piece_offsets[1:].copy()
    gaps = np.flatnonzero(requests.contents == GAP)
    ends[requests.request_of_piece[gaps]] = gaps
    return ends


def _common_pieces(requests: RecordedRequests, shared: SharedPrefixes, rows: Ints) -> Ints:
    """Return how many leading pieces each request has in common with its reference."""
    bounds, nodes = requests.piece_offsets, requests.nodes
    lengths = np.minimum(np.diff(bounds)[rows], np.diff(bounds)[shared.references[rows]])
    common = np.minimum(shared.lengths[rows], lengths)
    # Mostly the whole shared prefix is the reference's; else the point where they part is found by halving.
    low, high = np.zeros(len(rows), np.int64), common.copy()
    here, there = bounds[:-1][rows], bounds[:-1][shared.references[rows]]
    while np.any(low < high):
        middle = (low + high + 1) // 2
        at = np.maximum(middle, 1) - 1
        same = (middle > 0) & (nodes[here + at] == nodes[there + at])
        low, high = np.where(same, middle, low), np.where(same | (low >= high), high, middle - 1)
    return low


class _Comparison:
    """Compares a request with its reference, piece by piece."""

    def __init__(self, requests: RecordedRequests, sizes: Sizes, ends: Ints) -> None:
        self._requests, self._sizes, self._comparable = requests, sizes, ends
        self._contents, self._kinds = requests.contents, requests.kinds
        self._code_of: dict[int, int] = {}
        self._codes: dict[bytes, int] = {}

    def differs(self, request: int, reference: int, k: int, *, in_run: bool) -> bool:
        """Whether the first difference counts as a change: not where another run only says something else."""
        bounds = self._requests.piece_offsets
        here, there = int(bounds[request]) + k, int(bounds[reference]) + k
        if here >= self._comparable[request] or there >= self._comparable[reference]:
            return False
        if in_run or self._requests.messages[here] < 0 or self._requests.messages[there] < 0:
            return True
        rest = set(self._texts_of(there, int(self._comparable[reference])))
        return any(code in rest for code in self._texts_of(here, int(self._comparable[request])))

    def changed(self, request: int, reference: int, k: int, begin: int, *, in_run: bool) -> int:
        """Return the tokens behind a position that the reference holds too, in another place."""
        bounds, ends = self._requests.piece_offsets, self._sizes.ends
        first, last = int(bounds[request]), int(self._comparable[request])
        rest = Counter(self._texts_of(int(bounds[reference]) + k, int(self._comparable[reference])))
        parts = self.parting(request, reference, k)
        total = 0
        for piece, code in zip(range(first + k, last), self._texts_of(first + k, last), strict=True):
            start = int(ends[piece - 1]) if piece > first else 0
            size = int(ends[piece]) - max(start, begin)
            if rest[code] > 0:
                rest[code] -= 1
                total += max(size, 0)
            elif piece == first + parts and self._may_match(request, reference, parts, in_run):
                total += self._equal_ends(piece, int(bounds[reference]) + parts, start, begin)
        return total

    def _texts_of(self, begin: int, end: int) -> list[int]:
        """Return a code for each piece that is the same for a text sent as such and one sent as a block."""
        found = []
        for content in self._contents[begin:end].tolist():
            code = self._code_of.get(content)
            if code is None:
                lead, text = split_content(self._requests.texts[content])
                code = self._code_of[content] = self._codes.setdefault(lead + b" " + text, len(self._codes))
            found.append(code)
        return found

    def parting(self, request: int, reference: int, k: int) -> int:
        """Return how many leading pieces are the same, framing included."""
        bounds, nodes = self._requests.piece_offsets, self._requests.nodes
        here, there = int(bounds[request]) + k, int(bounds[reference]) + k
        last, other = int(self._comparable[request]), int(self._comparable[reference])
        is_framing = here < last and there < other and self._contents[here] == FRAMING
        return k + bool(is_framing and nodes[here] == nodes[there])

    def _may_match(self, request: int, reference: int, k: int, in_run: bool) -> bool:  # noqa: FBT001
        bounds = self._requests.piece_offsets
        here, there = int(bounds[request]) + k, int(bounds[reference]) + k
        if here >= self._comparable[request] or there >= self._comparable[reference]:
            return False
        same_kind = self._kinds[here] == self._kinds[there]
        return bool(same_kind) and self.differs(request, reference, k, in_run=in_run)

    def _equal_ends(self, piece: int, other: int, start: int, begin: int) -> int:
        """Return the tokens of a piece that are the reference's too, at its beginning and end; 0 of pseudonyms."""
        if self._requests.is_redacted:
            return 0
        ours = split_content(self._requests.texts[self._contents[piece]])[1]
        theirs = split_content(self._requests.texts[self._contents[other]])[1]
        shorter = min(len(ours), len(theirs))
        lead = common_bytes(ours, theirs)
        tail = min(common_bytes(ours[::-1], theirs[::-1]), shorter - lead)
        if lead + tail < shorter * _ALIKE or not shorter:
            return 0
        size, length = int(self._sizes.ends[piece]) - start, len(ours)
        fresh = round(size * (length - lead - tail) / length)
        hidden = max(begin - start, 0)  # tokens of the piece that were read or shared
        before = max(size * lead // length - hidden, 0)
        return max(size - max(hidden, size * lead // length + fresh), 0) + before


def split_content(content: bytes) -> tuple[bytes, bytes]:
    """Return what leads a content, such as the role of its message, and its text or block without the shell of a text.

    Examples
    --------
    >>> split_content(b'{"role":"user"},"content":"hi"') == split_content(
    ...     b'{"role":"user"},"content":[{"type":"text","text":"hi"}'
    ... )
    True
    """
    lead, found, text = content.partition(_CONTENT)
    if not found:
        lead, text = b"", content.removeprefix(b"s").removeprefix(b"S")
    text = text.removeprefix(b"[")
    if text.startswith(_SHELL) and text.endswith(b'"}'):
        text = text[len(_SHELL) : -1]
    return lead, text


_CONTENT: Final = b',"content":'
_SHELL: Final = b'{"type":"text","text":'
_ALIKE: Final = 0.5  # of the shorter text: less in common is another text, not a changed one


def common_bytes(a: bytes, b: bytes) -> int:
    """Return how many leading bytes two contents share, by halving."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
