"""Caches that read only what an earlier request wrote at a place that this request looks up.

Both breakpoint models run here: `find_breakpoints` and `find_boundaries` say where a request looks and writes, the
walk below keeps the entries. It visits requests in order of start, once, and each piece of a prompt once a request.
"""

from dataclasses import dataclass, field
from itertools import chain
from math import isnan
from typing import Final, TypeAlias

import numpy as np

from acg_lab.providers.clock import NANOSECONDS, NEAR_TTL, Visibility, find_visibility
from acg_lab.providers.lookups import Places, Settings, find_boundaries, find_breakpoints
from acg_lab.providers.outcomes import NOTHING, CacheOutcome, Doubt, LookupReason
from acg_lab.providers.prompts import Ints, PromptTable, RequestFlag

__all__ = ["simulate_boundaries", "simulate_breakpoints"]

_READABLE, _TOUCHED, _LIFE, _WRITER = range(
    4
)  # fields of an entry: [readable from, last touch, TTL, written by], in ns
_LIVE, _IN_FLIGHT, _EXPIRED, _ABSENT = range(4)
_REASONS: Final = {_IN_FLIGHT: LookupReason.IN_FLIGHT, _EXPIRED: LookupReason.EXPIRED}

_Entry: TypeAlias = list[int]
_Place: TypeAlias = tuple[int, int, bool, bool, int]  # piece, first piece of its search, below the minimum, writes, TTL
_State: TypeAlias = tuple[int, int, int, int]  # live, in flight or expired; written by; idle (ns); doubts


def simulate_breakpoints(table: PromptTable, settings: Settings, minimums: Ints) -> CacheOutcome:
    """Run requests through a cache that steps back from breakpoints (providers.md, the breakpoint model).

    Parameters
    ----------
    table : PromptTable
    settings : dict
        Of the provider; see `CacheProvider.settings`.
    minimums : (n_requests,)
        The shortest prefix that each request's model caches, in tokens.

    Returns
    -------
    CacheOutcome
    """
    return _walk(table, find_breakpoints(table, settings), settings, minimums, LookupReason.LOOKBACK_EXCEEDED)


def simulate_boundaries(table: PromptTable, settings: Settings, minimums: Ints) -> CacheOutcome:
    """Run requests through a cache that reads only at boundaries which the request holds itself.

    Parameters and result are those of `simulate_breakpoints`.
    """
    return _walk(table, find_boundaries(table, settings), settings, minimums, LookupReason.BOUNDARY_ABSENT)


@dataclass(eq=False)
class _Results:
    """What the walk finds, request by request."""

    read: list[int]
    read_piece: list[int]
    live: list[int]
    writer: list[int]
    idle: list[float]
    doubts: list[int]
    reasons: list[int]
    writes: list[tuple[int, int, int, int]] = field(default_factory=list)  # request, piece, ttl, tokens


def _walk(table: PromptTable, places: Places, settings: Settings, minimums: Ints, beyond: LookupReason) -> CacheOutcome:
    n = table.n_requests
    seen = find_visibility(table, str(settings["visible_at"]), str(settings["missing_time"]))
    cache = _Cache(settings, seen)
    results = _Results(
        [0] * n, [NOTHING] * n, [NOTHING] * n, [NOTHING] * n, [float("nan")] * n, [0] * n, [0] * len(places.pieces)
    )
    owner = np.repeat(np.arange(n), np.diff(places.offsets))
    below = table.ends[places.pieces] < minimums[owner]
    nodes, ends = table.nodes.tolist(), table.ends.tolist()
    candidates, bounds = _writable_pieces(table, places)
    place_offsets, started = places.offsets.tolist(), table.started.tolist()
    columns = list(
        zip(
            places.pieces.tolist(),
            places.lows.tolist(),
            below.tolist(),
            (places.writes & ~below).tolist(),
            places.ttls.tolist(),
            strict=True,
        )
    )
    known = cache.entries
    for i, refused in enumerate(places.refusals.tolist()):
        if refused:
            continue
        now = started[i]
        found = [piece for piece in candidates[bounds[i] : bounds[i + 1]] if nodes[piece] in known]
        first = place_offsets[i]
        own = columns[first : place_offsets[i + 1]]
        hit = NOTHING
        if found:
            found.reverse()
            kept = [(piece, known[nodes[piece]]) for piece in found]
            hit, ttl = _read(i, first, own, _Look(cache, kept, now), results)
            if hit != NOTHING:
                results.read[i] = ends[hit]
                cache.renew([entries for piece, entries in kept if piece <= hit], now, ttl)
            _mark_beyond(i, first, own, results, beyond)
        else:
            for k, place in enumerate(own, first):
                results.reasons[k] = LookupReason.BELOW_MINIMUM if place[2] else LookupReason.NOT_WRITTEN
        covered = results.read[i]
        for piece, _, _, writes, ttl in own:
            if writes and piece > hit:
                cache.write(nodes[piece], i, now, ttl)
                results.writes.append((i, piece, ttl, ends[piece] - covered))
                covered = ends[piece]
    return _outcome(table, places, minimums, owner, results, cache.longer)


def _writable_pieces(table: PromptTable, places: Places) -> tuple[list[int], list[int]]:
    """Return the pieces whose prefix some request writes, and where each request's begin among them."""
    written = np.zeros(table.n_nodes, bool)
    written[table.nodes[places.pieces[places.writes]]] = True
    pieces = np.flatnonzero(written[table.nodes])
    return pieces.tolist(), np.searchsorted(pieces, table.piece_offsets).tolist()


class _Cache:
    """The entries of one scope, by node; several for a prefix that was written more than once at a time."""

    def __init__(self, settings: Settings, seen: Visibility) -> None:
        self.entries: dict[int, list[_Entry]] = {}
        self.longer = bool(settings["may_live_longer"])
        self._grace = int(float(str(settings["grace"])) * NANOSECONDS)
        self.ttl_in_key = bool(settings["ttl_in_key"])
        self._renew_all = settings["renews"] == "prefixes"
        self._readable = seen.readable.tolist()
        self._assumed = seen.assumed_until.tolist()

    def state(self, entries: list[_Entry], now: int) -> _State:
        """Return the best state among the entries of a prefix."""
        best = (_ABSENT, NOTHING, 0)
        doubts = 0
        for readable, touched, life, writer in entries:
            idle = now - touched
            spare = life + self._grace - idle
            if -NEAR_TTL <= spare <= NEAR_TTL:
                doubts |= Doubt.NEAR_TTL
            if now < self._assumed[writer]:
                doubts |= Doubt.TIME_UNKNOWN
            state = _EXPIRED if spare < 0 else _IN_FLIGHT if readable > now else _LIVE
            if state < best[0] or (state == best[0] and idle < best[2]):
                best = state, writer, idle
        return *best, doubts

    def renew(self, prefixes: list[list[_Entry]], now: int, ttl: int) -> None:
        """Touch what a read touches: the first prefix is the one that was read."""
        for entries in prefixes if self._renew_all else prefixes[:1]:
            for entry in entries:
                alive = entry[_READABLE] <= now <= entry[_TOUCHED] + entry[_LIFE] + self._grace
                if alive and (not ttl or entry[_LIFE] == ttl):
                    entry[_TOUCHED] = now

    def write(self, node: int, request: int, now: int, ttl: int) -> None:
        """Store an entry, and forget those of the prefix that have expired."""
        entries = self.entries.setdefault(node, [])
        if entries:
            entries[:] = [e for e in entries if e[_TOUCHED] + e[_LIFE] + self._grace >= now]
        entries.append([self._readable[request], now, ttl * NANOSECONDS, request])


class _Look:
    """What one request can meet: the prefixes of its prompt that have entries, longest first, examined when needed."""

    def __init__(self, cache: _Cache, kept: list[tuple[int, list[_Entry]]], now: int) -> None:
        self.kept = kept
        self.ttl_in_key = cache.ttl_in_key
        self._cache = cache
        self._now = now
        self._known: dict[int, _State] = {}

    def state(self, piece: int, entries: list[_Entry], ttl: int = 0) -> _State:
        """Return the state of a prefix; with a TTL (ns), of its entries that live so long."""
        if ttl:
            return self._cache.state([entry for entry in entries if entry[_LIFE] == ttl], self._now)
        found = self._known.get(piece)
        if found is None:
            found = self._known[piece] = self._cache.state(entries, self._now)
        return found

    def longest_live(self) -> int:
        """Return the piece that ends the longest readable prefix, or NOTHING."""
        return next((piece for piece, entries in self.kept if self.state(piece, entries)[0] == _LIVE), NOTHING)


def _read(request: int, first: int, own: list[_Place], look: _Look, results: _Results) -> tuple[int, int]:
    """Search from each place, longest first; note what each met; return the piece that was read and by which TTL."""
    hit, by_ttl = NOTHING, 0
    for k in range(len(own) - 1, -1, -1):
        piece, low, below, _, ttl = own[k]
        if below:
            reason = LookupReason.BELOW_MINIMUM
        elif hit != NOTHING:
            reason = LookupReason.COVERED if piece <= hit else LookupReason.HIT
        else:
            key = ttl * NANOSECONDS if look.ttl_in_key else 0
            reason, hit = _search(piece, low, key, look, results, request)
            by_ttl = key
        results.reasons[first + k] = reason
    results.read_piece[request] = hit
    results.live[request] = look.longest_live()
    return hit, by_ttl


def _mark_beyond(request: int, first: int, own: list[_Place], results: _Results, beyond: LookupReason) -> None:
    """Say where a live entry, longer than what was read, was out of a place's reach."""
    live, hit = results.live[request], results.read_piece[request]
    if live <= hit:
        return
    for k, (_, low, *_) in enumerate(own, first):
        if results.reasons[k] == LookupReason.NOT_WRITTEN and live < low:
            results.reasons[k] = beyond


def _search(piece: int, low: int, ttl: int, look: _Look, results: _Results, request: int) -> tuple[LookupReason, int]:
    """Return what one search met: the first live entry and its piece, else why there is none."""
    reason = LookupReason.NOT_WRITTEN
    for at, entries in look.kept:
        if at > piece:
            continue
        if at < low:
            break
        state, writer, idle, doubts = look.state(at, entries, ttl)
        results.doubts[request] |= doubts
        if state == _LIVE:
            results.writer[request], results.idle[request] = writer, idle / NANOSECONDS
            return LookupReason.HIT, at
        if reason == LookupReason.NOT_WRITTEN and state in _REASONS:
            reason = _REASONS[state]
            if state == _EXPIRED and isnan(results.idle[request]):
                results.idle[request] = idle / NANOSECONDS
    return reason, NOTHING


def _outcome(
    table: PromptTable,
    places: Places,
    minimums: Ints,
    owner: Ints,
    results: _Results,
    longer: bool,  # noqa: FBT001
) -> CacheOutcome:
    n = table.n_requests
    flat = np.fromiter(chain.from_iterable(results.writes), np.int64, 4 * len(results.writes)).reshape(-1, 4)
    ttls, column = np.unique(flat[:, 2], return_inverse=True)
    written = np.zeros((n, len(ttls)), np.int64)
    np.add.at(written, (flat[:, 0], column.reshape(-1)), flat[:, 3])
    doubts = np.array(results.doubts, np.uint8)
    ends, margins = table.ends[places.pieces], table.margins[places.pieces]
    near = (margins > 0) & (np.abs(ends - minimums[owner]) <= margins) & places.writes
    doubts[owner[near]] |= np.uint8(Doubt.NEAR_MINIMUM)
    doubts[(table.flags & RequestFlag.BATCH) != 0] |= np.uint8(Doubt.BEST_EFFORT)
    reasons = np.array(results.reasons, np.uint8)
    if longer:
        doubts[owner[reasons == LookupReason.EXPIRED]] |= np.uint8(Doubt.MAY_LIVE_LONGER)
    # Longest first: the order in which they are looked up.
    order = np.lexsort((-places.pieces, owner))
    return CacheOutcome(
        read_tokens=np.array(results.read, np.int64),
        read_pieces=np.array(results.read_piece, np.int64),
        live_pieces=np.array(results.live, np.int64),
        writers=np.array(results.writer, np.int64),
        idle_seconds=np.array(results.idle, np.float64),
        written_tokens=written,
        ttls=tuple(ttls.tolist()),
        write_offsets=np.concatenate(([0], np.cumsum(np.bincount(flat[:, 0], minlength=n)))),
        write_pieces=flat[:, 1],
        write_ttls=flat[:, 2],
        write_tokens=flat[:, 3],
        lookup_offsets=places.offsets,
        lookup_pieces=places.pieces[order],
        lookup_reasons=reasons[order],
        lookup_marks=places.marks[order],
        refusals=places.refusals,
        doubts=doubts,
    )
