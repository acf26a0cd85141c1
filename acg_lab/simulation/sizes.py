"""How many tokens each prefix has: as billed where a bill states it, estimated in between.

A prefix has one size wherever it occurs. A request is measured with what *earlier* bills stated, and its own total. The
estimates between two stated sizes are scaled to fit; what a model makes of bytes, of messages and of tools is learned
from earlier bills too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from acg_lab.providers.prompts import PieceKind
from acg_lab.simulation.pieces import FRAMING, GAP
from acg_lab.simulation.requests import RecordedRequests, gather

__all__ = ["SizeSource", "Sizes", "measure_prefixes"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
CountTokens = Callable[[bytes], int]

# Before any bill: a token for every four bytes, nothing for framing and for the frame of a tool's call or result; and
# how many squares of tokens, prompts and calls of evidence that is worth.
_PRIOR: Final = np.array([1.0, 0.0, 0.0])
_PRIOR_WEIGHT: Final = np.array([500.0**2, 0.01, 1.0])
_USUAL: Final = 500.0  # tokens of a usual interval, which the weights are relative to
_MOST_ROWS: Final = 50_000  # what keeps the memory of one pass small; rates are learned within a group of scopes
_DIFFERENT: Final = 1e-9
_ERROR: Final = 0.25  # of an estimate that nothing anchors
_SCALED_ERROR: Final = 0.05
_SANE: Final = (0.2, 5.0)  # a stated size outside this range of its estimate is not one of this prefix


class SizeSource(IntEnum):
    """Where a request's prompt tokens come from."""

    RECORDED = 0  # its own bill
    ANCHORED = 1  # an earlier bill stated the size of this very prompt
    SCALED = 2  # estimated with rates learned from earlier bills
    ESTIMATE = 3  # bytes // 4, or the tokenizer that the user gave


@dataclass(frozen=True, eq=False, kw_only=True)
class Sizes:
    """Sizes of a history's prefixes.

    Attributes
    ----------
    ends : per piece, int64
        Tokens of the prefix that ends with the piece.
    margins : per piece, float
        By how much that may be wrong, 0 where a bill states it.
    tokens : per request, int64
        The whole prompt, at least the end of its last piece.
    sources : per request, uint8
        `SizeSource` of ``tokens``.
    """

    ends: Ints
    margins: Floats
    tokens: Ints
    sources: NDArray[np.uint8]


def measure_prefixes(
    requests: RecordedRequests,
    written: Ints,
    *,
    hits: Ints | None = None,
    count_tokens: CountTokens | None = None,
    learn_from: NDArray[np.bool_] | None = None,
) -> Sizes:
    """Measure every prefix of every request.

    Parameters
    ----------
    requests : RecordedRequests
    written : per request
        The piece where read and written tokens together end, -1 where that is not known.
    hits : per request, optional
        The piece where read tokens end, -1 where that is not known.
    count_tokens : callable, optional
        Counts the tokens of a content, for contents that no bill states.
    learn_from : per request, bool, optional
        Learn from the bills of these requests only, whenever they were sent.

    Returns
    -------
    Sizes
    """
    groups = list(requests.by_scope(np.arange(len(requests)), _MOST_ROWS))
    if len(groups) == 1:
        return _measure(requests, written, hits, count_tokens, learn_from)
    ends, margins = np.zeros(len(requests.nodes), np.int64), np.zeros(len(requests.nodes))
    tokens, sources = np.zeros(len(requests), np.int64), np.zeros(len(requests), np.uint8)
    for rows in groups:
        offsets, pieces = gather(requests.piece_offsets, rows)
        # Pieces are numbered anew in each group.
        shift = np.append(offsets[:-1] - requests.piece_offsets[rows], 0)
        here = [None if at is None else np.where(at[rows] >= 0, at[rows] + shift[:-1], -1) for at in (written, hits)]
        learned = None if learn_from is None else learn_from[rows]
        found = _measure(requests.select(rows), here[0], here[1], count_tokens, learned)  # type: ignore[arg-type]
        ends[pieces], margins[pieces] = found.ends, found.margins
        tokens[rows], sources[rows] = found.tokens, found.sources
    return Sizes(ends=ends, margins=margins, tokens=tokens, sources=sources)


def _measure(
    requests: RecordedRequests,
    written: Ints,
    hits: Ints | None,
    count_tokens: CountTokens | None,
    learn_from: NDArray[np.bool_] | None,
) -> Sizes:
    owner, bounds = requests.request_of_piece, requests.piece_offsets
    anchors = _anchors(requests, written, hits)
    if learn_from is not None:
        anchors = anchors.select(learn_from[anchors.requests])
    features = _features(requests, count_tokens)
    raw = np.cumsum(features @ _PRIOR) if len(features) else np.zeros(0)
    raw -= np.repeat(np.concatenate(([0.0], raw))[bounds[:-1]], np.diff(bounds))
    anchors = anchors.select(_is_sane(anchors.tokens, raw[anchors.pieces]))
    stated = _stated(requests, anchors, owner, np.flatnonzero(learn_from) if learn_from is not None else None)
    rates = _rates(requests, features, stated, learn_from)
    estimates = (features * rates[owner]).sum(1)
    ends = np.cumsum(np.maximum(estimates, 0.0))
    ends -= np.repeat(np.concatenate(([0.0], ends))[bounds[:-1]], np.diff(bounds))
    has_rates = (np.abs(rates - _PRIOR).sum(1) > _DIFFERENT)[owner] if len(owner) else np.zeros(0, bool)
    return _fit(requests, ends, stated, has_rates)


@dataclass(frozen=True, eq=False)
class _Anchors:
    """Sizes that bills state: which request's bill, of which piece's prefix, and how many tokens."""

    requests: Ints
    pieces: Ints
    tokens: Ints

    def select(self, kept: NDArray[np.bool_]) -> "_Anchors":
        return _Anchors(self.requests[kept], self.pieces[kept], self.tokens[kept])


def _anchors(requests: RecordedRequests, written: Ints, hits: Ints | None) -> _Anchors:
    last = requests.piece_offsets[1:] - 1
    whole = np.flatnonzero((requests.prompt > 0) & ~requests.cut & (np.diff(requests.piece_offsets) > 0))
    cached = np.maximum(requests.read, 0) + np.maximum(requests.write, 0)
    partly = np.flatnonzero((written >= 0) & (cached > 0))
    read = np.flatnonzero((hits >= 0) & (requests.read > 0)) if hits is not None else np.zeros(0, np.int64)
    return _Anchors(
        np.concatenate((whole, partly, read)),
        np.concatenate((last[whole], written[partly], hits[read] if hits is not None else read)),
        np.concatenate((requests.prompt[whole], cached[partly], requests.read[read])),
    )


def _is_sane(tokens: Ints, estimates: Floats) -> NDArray[np.bool_]:
    ratio = (tokens - 1000) / np.maximum(estimates, 1.0), (tokens + 1000) / np.maximum(estimates, 1.0)
    return (ratio[0] < _SANE[1]) & (ratio[1] > _SANE[0])


def _stated(requests: RecordedRequests, anchors: _Anchors, owner: Ints, learned: Ints | None) -> Floats:
    """Return the size of each piece's prefix as an earlier bill states it, NaN where none does.

    Of several bills the newest earlier one counts: a provider may change how it counts. Tools have the same size in
    whatever order they stand.
    """
    found = _look_up(requests.nodes, anchors, owner, learned, len(requests))
    sets, pieces = _tool_sets(requests, owner)
    if not len(pieces):
        return found
    set_of = np.full(len(owner), -1, np.int64)
    set_of[pieces] = sets
    of_tools = anchors.select(set_of[anchors.pieces] >= 0)
    unknown = pieces[np.isnan(found[pieces])]
    if len(unknown):
        found[unknown] = _look_up(set_of, of_tools, owner, learned, len(requests))[unknown]
    return found


def _look_up(codes: Ints, anchors: _Anchors, owner: Ints, learned: Ints | None, n_requests: int) -> Floats:
    """Return what the newest earlier anchor of each piece's code states."""
    n = n_requests + 1
    of_anchor = codes[anchors.pieces]
    when = anchors.requests if learned is None else np.full(len(of_anchor), -1)
    order = np.lexsort((when, of_anchor))
    keys = of_anchor[order] * n + when[order] + 1
    at = np.searchsorted(keys, codes * n + owner + 1, side="left") - 1
    found = np.full(len(owner), np.nan)
    has = (at >= 0) & (codes >= 0)
    has[has] = of_anchor[order][at[has]] == codes[has]
    found[has] = anchors.tokens[order][at[has]]
    return found


def _tool_sets(requests: RecordedRequests, owner: Ints) -> tuple[Ints, Ints]:
    """Return a code for the tools of each request, whatever their order, and the pieces that end them."""
    is_tool = requests.kinds == PieceKind.TOOL
    is_last = is_tool.copy()
    is_last[:-1] &= ~(is_tool[1:] & (owner[1:] == owner[:-1]))
    pieces = np.flatnonzero(is_last)
    _, first, which = np.unique(requests.nodes[pieces], return_index=True, return_inverse=True)
    codes: dict[tuple[int, bytes], int] = {}
    by_node = []
    for piece in pieces[first].tolist():
        request = int(owner[piece])
        tools = np.sort(requests.contents[int(requests.piece_offsets[request]) : piece + 1])
        by_node.append(codes.setdefault((int(requests.models[request]), tools.tobytes()), len(codes)))
    return np.array(by_node, np.int64)[which.reshape(-1)] if len(pieces) else pieces, pieces


def _features(requests: RecordedRequests, count_tokens: CountTokens | None) -> Floats:
    """Return what the tokens of each piece are estimated from: its own estimate, framing, and frames of tool calls."""
    used = np.unique(requests.contents)
    table = np.zeros(len(requests.texts))
    if count_tokens is None:
        table[used] = requests.n_bytes[used] // 4
    else:
        table[used] = [count_tokens(requests.texts[code]) for code in used.tolist()]
    if len(table):
        table[[FRAMING, GAP]] = 0.0
    is_framing = requests.contents == FRAMING
    is_use = np.isin(requests.kinds, (PieceKind.TOOL_USE, PieceKind.TOOL_RESULT))
    return np.stack((table[requests.contents], is_framing, is_use), axis=1).astype(float)


def _rates(
    requests: RecordedRequests, features: Floats, stated: Floats, learn_from: NDArray[np.bool_] | None
) -> Floats:
    """Return the rates of each request's features, learned from the bills of earlier requests of its model.

    Each whole bill says what the pieces behind the longest prefix of stated size have together. The sums of a least
    squares fit run along with the requests, so each fit costs the same however long the history is.
    """
    n, bounds = len(requests), requests.piece_offsets
    lengths = np.diff(bounds)
    whole = (requests.prompt > 0) & ~requests.cut & (lengths > 0)
    if learn_from is not None:
        whole &= learn_from
    x, y = _open_ends(features, stated, bounds, requests.prompt)
    usable = whole & (y > 0) & (x[:, 0] > 0)
    weight = np.where(usable, 1.0 / np.maximum(x[:, 0], 50.0), 0.0)
    grams = np.einsum("n,ni,nj->nij", weight, x, x)
    sums = np.einsum("n,n,ni->ni", weight, np.where(usable, y, 0.0), x)
    prior = np.diag(_PRIOR_WEIGHT / _USUAL)
    rates = np.tile(_PRIOR, (n, 1))
    for model in np.unique(requests.models).tolist():
        mine = np.flatnonzero(requests.models == model)
        gram, total = _before(grams[mine], learn_from), _before(sums[mine], learn_from)
        rates[mine] = np.linalg.solve(gram + prior, (total + prior @ _PRIOR)[..., np.newaxis])[..., 0]
    rates[:, 0] = np.clip(rates[:, 0], 0.2, 8.0)
    rates[:, 1:] = np.clip(rates[:, 1:], 0.0, [3000.0, 60.0])
    return rates


def _before(values: Floats, learn_from: NDArray[np.bool_] | None) -> Floats:
    """Return the sums over earlier rows; over all rows where what may be learned from is given."""
    if learn_from is not None:
        return np.broadcast_to(values.sum(0), values.shape)
    sums = np.cumsum(values, axis=0)
    return sums - values


def _open_ends(features: Floats, stated: Floats, bounds: Ints, prompt: Ints) -> tuple[Floats, Floats]:
    """Return, of each request, the features behind its longest prefix of stated size, and the tokens that they have."""
    n, lengths = len(prompt), np.diff(bounds)
    owner = np.repeat(np.arange(n), lengths)
    number = np.arange(len(owner))
    is_last = number == bounds[1:][owner] - 1
    known = np.where(np.isfinite(stated) & ~is_last, number, -1)
    deepest = np.full(n, -1, np.int64)
    np.maximum.at(deepest, owner, known)
    base = np.where(deepest >= 0, np.append(stated, 0.0)[deepest], 0.0)
    cumulative = np.concatenate((np.zeros((1, features.shape[1])), np.cumsum(features, axis=0)))
    begin = np.where(deepest >= 0, deepest + 1, bounds[:-1])
    return cumulative[bounds[1:]] - cumulative[begin], prompt.astype(float) - base


def _fit(requests: RecordedRequests, estimates: Floats, stated: Floats, has_rates: NDArray[np.bool_]) -> Sizes:
    """Bend the estimates so that they pass through the stated sizes and each request's own total."""
    n, bounds, owner = len(requests), requests.piece_offsets, requests.request_of_piece
    lengths = np.diff(bounds)
    last = bounds[1:] - 1
    known = np.isfinite(stated)
    billed = (requests.prompt >= 0) & (lengths > 0)
    own = billed & ~requests.cut
    fixed = stated.copy()
    fixed[last[own]] = requests.prompt[own]
    knots = _consistent(np.isfinite(fixed), fixed, owner)
    ends = _interpolate(estimates, fixed, knots, owner, bounds)
    ends = _place_tails(requests, ends, estimates, owner)
    ends = np.maximum.accumulate(np.rint(ends) + owner * _FAR) - owner * _FAR if n else ends
    tokens = np.where(lengths > 0, np.append(ends, 0.0)[np.where(lengths > 0, last, -1)], 0.0)
    cached = np.maximum(requests.read, 0) + np.maximum(requests.write, 0)  # the least, where no bill states the whole
    tokens = np.where(requests.prompt >= 0, requests.prompt, np.maximum(tokens, cached)).astype(np.int64)
    ends = np.minimum(ends, tokens[owner])
    scaled = np.zeros(n, bool)
    scaled[owner] = has_rates
    anchored = np.zeros(n, bool)
    anchored[lengths > 0] = known[last[lengths > 0]]
    sources = np.where(
        requests.prompt >= 0,
        SizeSource.RECORDED,
        np.where(anchored, SizeSource.ANCHORED, np.where(scaled, SizeSource.SCALED, SizeSource.ESTIMATE)),
    )
    return Sizes(
        ends=ends.astype(np.int64),
        margins=_margins(ends, knots, owner, bounds, has_rates),
        tokens=tokens,
        sources=sources.astype(np.uint8),
    )


_FAR: Final = 1e10  # further than any prompt is long: keeps the running maximum of one request from the next


def _consistent(is_knot: NDArray[np.bool_], fixed: Floats, owner: Ints) -> NDArray[np.bool_]:
    """Return the knots whose sizes do not fall below those before them nor exceed the last one."""
    at = np.flatnonzero(is_knot)
    if not len(at):
        return is_knot
    values, of = fixed[at], owner[at].astype(float)
    ceiling = np.minimum.accumulate((values + of * _FAR)[::-1])[::-1] - of * _FAR
    kept = is_knot.copy()
    kept[at] = values <= ceiling
    return kept


def _interpolate(estimates: Floats, fixed: Floats, knots: NDArray[np.bool_], owner: Ints, bounds: Ints) -> Floats:
    """Scale estimates between knots; behind the last knot of a request they keep their own scale."""
    n_pieces = len(estimates)
    number = np.arange(n_pieces)
    start = bounds[:-1][owner]
    before = np.maximum.accumulate(np.where(knots, number, -1)) if n_pieces else number
    before = np.concatenate(([-1], before[:-1])) if n_pieces else before
    has_before = before >= start
    after = np.minimum.accumulate(np.where(knots, number, n_pieces)[::-1])[::-1] if n_pieces else number
    has_after = after < bounds[1:][owner]
    padded_e, padded_f = np.append(estimates, 0.0), np.append(fixed, 0.0)
    low_e, low_f = (np.where(has_before, values[before], 0.0) for values in (padded_e, padded_f))
    high_e, high_f = (np.where(has_after, values[np.minimum(after, n_pieces)], 0.0) for values in (padded_e, padded_f))
    span = high_e - low_e
    scale = np.where(has_after, (high_f - low_f) / np.where(span > 0, span, 1.0), 1.0)
    ends = low_f + (estimates - low_e) * scale
    return np.where(knots, fixed, ends)


def _place_tails(requests: RecordedRequests, ends: Floats, estimates: Floats, owner: Ints) -> Floats:
    """Measure what stands behind a gap from the end of the prompt, where the whole prompt was billed."""
    gaps = np.flatnonzero(requests.contents == GAP)
    if not len(gaps):
        return ends
    of = owner[gaps]
    gap_of = np.full(len(requests), -1, np.int64)
    gap_of[of] = gaps
    total = np.where(requests.prompt >= 0, requests.prompt, -1)[owner].astype(float)
    last = requests.piece_offsets[1:][owner] - 1
    begin = np.where(gap_of[owner] >= 0, gap_of[owner], 0)
    before = np.where(begin > requests.piece_offsets[:-1][owner], ends[begin - 1], 0.0)
    tail = estimates[last] - estimates[begin]  # what is recorded behind the gap
    behind = (gap_of[owner] >= 0) & (np.arange(len(owner)) >= begin) & (total >= 0)
    squeezed = np.minimum(1.0, np.maximum(total - before, 0.0) / np.maximum(tail, 1.0))
    return np.where(behind, total - (estimates[last] - estimates) * squeezed, ends)


def _margins(ends: Floats, knots: NDArray[np.bool_], owner: Ints, bounds: Ints, has_rates: NDArray[np.bool_]) -> Floats:
    """Return how far each size may be off: a share of the distance to the nearest stated one."""
    n_pieces = len(ends)
    if not n_pieces:
        return ends
    number = np.arange(n_pieces)
    before = np.maximum.accumulate(np.where(knots, number, -1))
    after = np.minimum.accumulate(np.where(knots, number, n_pieces)[::-1])[::-1]
    low = np.where(before >= bounds[:-1][owner], ends[before], 0.0)
    high = np.where(after < bounds[1:][owner], np.append(ends, 0.0)[after], np.inf)
    distance = np.minimum(ends - low, high - ends)
    return np.where(knots, 0.0, distance * np.where(has_rates, _SCALED_ERROR, _ERROR))
