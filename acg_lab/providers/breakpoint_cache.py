"""Caches that read only what an earlier request wrote at a place that this request looks up.

Both breakpoint models run here: `find_breakpoints` and `find_boundaries` say where a request looks and writes, the
walk below keeps the entries. It visits requests in order of start, once, and each piece of a prompt once a request.
"""

from dataclasses import dataclass, field
from itertools import chain
from math import isnan
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from acg_lab.providers.clock import NANOSECONDS, NEAR_TTL, Visibility, find_visibility
from acg_lab.providers.lookups import Places, Settings, find_boundaries, find_breakpoints
from acg_lab.providers.outcomes import NOTHING, CacheOutcome, Doubt, LookupReason
from acg_lab.providers.prompts import NO_NODE, Ints, PromptTable, RequestFlag

__all__ = ["simulate_boundaries", "simulate_breakpoints"]

# Fields of an entry; times in nanoseconds.
_READABLE, _TOUCHED, _LIFE, _WRITER = range(4)
_LIVE, _IN_FLIGHT, _EXPIRED, _ABSENT = range(4)
_REASONS: Final = {_IN_FLIGHT: int(LookupReason.IN_FLIGHT), _EXPIRED: int(LookupReason.EXPIRED)}
_HIT, _COVERED = int(LookupReason.HIT), int(LookupReason.COVERED)
_BELOW, _NOT_WRITTEN = int(LookupReason.BELOW_MINIMUM), int(LookupReason.NOT_WRITTEN)

_Entry: TypeAlias = list[int]
_Place: TypeAlias = tuple[int, int, bool, int, int]  # piece, first of its search, below the minimum, node written, TTL
_State: TypeAlias = tuple[int, int, int, int]  # live, in flight or expired; written by; idle (ns); doubts


def simulate_breakpoints(table: PromptTable, settings: Settings, minimums: Ints) -> CacheOutcome:
    """Run requests through a cache that steps back from breakpoints (acg_lab/docs/providers.md, section 1).

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

    read_piece: list[int]
    live: list[int]
    writer: list[int]
    idle: list[float]
    doubts: list[int]
    reasons: list[int]
    writes: list[tuple[int, int, int]] = field(default_factory=list)  # request, piece, ttl


def _walk(table: PromptTable, places: Places, settings: Settings, minimums: Ints, beyond: LookupReason) -> CacheOutcome:
    n = table.n_requests
    cache = _Cache(settings, find_visibility(table, str(settings["visible_at"]), str(settings["missing_time"])))
    results = _Results(
        [NOTHING] * n, [NOTHING] * n, [NOTHING] * n, [float("nan")] * n, [0] * n, [0] * len(places.pieces)
    )
    owner = np.repeat(np.arange(n), np.diff(places.offsets))
    below = table.ends[places.pieces] < minimums[owner]
    columns = _place_rows(table, places, below)
    candidates, bounds = _candidates(table, places)
    firsts, started, known = places.offsets.tolist(), table.started.tolist(), cache.entries
    for i, refused in enumerate(places.refusals.tolist()):
        if refused:
            continue
        now, first = started[i], firsts[i]
        own = columns[first : firsts[i + 1]]
        kept = [(p, entries) for p, node in candidates[bounds[i + 1] : bounds[i]] if (entries := known.get(node))]
        if kept:
            hit, ttl = _read(i, first, own, _Look(cache, kept, now), results)
            if hit != NOTHING:
                cache.renew(kept, hit, now, ttl)
            if results.live[i] > hit:
                _note_beyond(i, first, own, results, beyond)
        else:
            hit = NOTHING
            for k, place in enumerate(own, first):
                results.reasons[k] = _BELOW if place[2] else _NOT_WRITTEN
        for piece, _, _, node, ttl in own:
            if node != NO_NODE and piece > hit:
                cache.write(node, i, now, ttl)
                results.writes.append((i, piece, ttl))
    return _outcome(table, places, minimums, owner, results, cache.longer)


def _place_rows(table: PromptTable, places: Places, below: NDArray[np.bool_]) -> list[_Place]:
    """Return the places as rows; one that writes names the node that it writes."""
    nodes = np.where(places.writes & ~below, table.nodes[places.pieces], NO_NODE)
    columns = (places.pieces, places.lows, below, nodes, places.ttls)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _candidates(table: PromptTable, places: Places) -> tuple[list[tuple[int, int]], list[int]]:
    """Return the pieces, last first, whose prefix some request writes, with nodes; and where each request ends."""
    written = np.zeros(table.n_nodes, bool)
    written[table.nodes[places.pieces[places.writes]]] = True
    pieces = np.flatnonzero(written[table.nodes])[::-1]
    bounds = len(pieces) - np.searchsorted(pieces[::-1], table.piece_offsets)
    return list(zip(pieces.tolist(), table.nodes[pieces].tolist(), strict=True)), bounds.tolist()


class _Cache:
    """The entries of one scope, by node; several for a prefix that was written more than once at a time.

    An entry is a list, since it is the unit of work: from when it is readable, its last touch, its TTL, who wrote it.
    """

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

    def sure_hit(self, entries: list[_Entry], now: int) -> _Entry | None:
        """Return the entry of a prefix if there is one alone and it is readable beyond doubt."""
        if len(entries) == 1 and not self.ttl_in_key:
            readable, touched, life, writer = entry = entries[0]
            if readable <= now and now + NEAR_TTL < touched + life + self._grace and now >= self._assumed[writer]:
                return entry
        return None

    def renew(self, kept: list[tuple[int, list[_Entry]]], hit: int, now: int, ttl: int) -> None:
        """Touch what a read touches: the prefix that was read, and by default all shorter ones."""
        for piece, entries in kept:
            if piece > hit or (piece < hit and not self._renew_all):
                continue
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
        self.now = now
        self._cache = cache
        self._known: dict[int, _State] = {}

    def state(self, piece: int, entries: list[_Entry], ttl: int = 0) -> _State:
        """Return the state of a prefix; with a TTL (ns), of its entries that live so long."""
        if ttl:
            return self._cache.state([entry for entry in entries if entry[_LIFE] == ttl], self.now)
        found = self._known.get(piece)
        if found is None:
            found = self._known[piece] = self._cache.state(entries, self.now)
        return found

    def sure_hit(self, entries: list[_Entry]) -> _Entry | None:
        """Return the entry of a prefix if nothing about it needs a second look."""
        return self._cache.sure_hit(entries, self.now)

    def longest_live(self) -> int:
        """Return the piece that ends the longest readable prefix, or NOTHING."""
        return next((piece for piece, entries in self.kept if self.state(piece, entries)[0] == _LIVE), NOTHING)


def _read(request: int, first: int, own: list[_Place], look: _Look, results: _Results) -> tuple[int, int]:
    """Search from each place, longest first; note what each met; return the piece that was read and by which TTL."""
    at, entries = look.kept[0]
    if own and own[-1][1] <= at <= own[-1][0] and not own[-1][2] and (entry := look.sure_hit(entries)):
        results.read_piece[request] = results.live[request] = at
        results.writer[request], results.idle[request] = entry[_WRITER], (look.now - entry[_TOUCHED]) / NANOSECONDS
        for k, (piece, _, below, _, _) in enumerate(own, first):
            results.reasons[k] = _BELOW if below else _COVERED if piece <= at else _HIT
        results.reasons[first + len(own) - 1] = _HIT
        return at, 0
    hit, by_ttl = NOTHING, 0
    for k in range(len(own) - 1, -1, -1):
        piece, low, below, _, ttl = own[k]
        if below:
            reason = _BELOW
        elif hit != NOTHING:
            reason = _COVERED if piece <= hit else _HIT
        else:
            key = ttl * NANOSECONDS if look.ttl_in_key else 0
            reason, hit = _search(piece, low, key, look, results, request)
            by_ttl = key
        results.reasons[first + k] = reason
    results.read_piece[request] = hit
    results.live[request] = look.longest_live()
    return hit, by_ttl


def _note_beyond(request: int, first: int, own: list[_Place], results: _Results, beyond: LookupReason) -> None:
    """Say where a live entry, longer than what was read, was out of a place's reach."""
    live = results.live[request]
    for k, (_, low, *_) in enumerate(own, first):
        if results.reasons[k] == _NOT_WRITTEN and live < low:
            results.reasons[k] = beyond


def _search(piece: int, low: int, ttl: int, look: _Look, results: _Results, request: int) -> tuple[int, int]:
    """Return what one search met: the first live entry and its piece, else why there is none."""
    reason = _NOT_WRITTEN
    for at, entries in look.kept:
        if at > piece:
            continue
        if at < low:
            break
        state, writer, idle, doubts = look.state(at, entries, ttl)
        results.doubts[request] |= doubts
        if state == _LIVE:
            results.writer[request], results.idle[request] = writer, idle / NANOSECONDS
            return _HIT, at
        if reason == _NOT_WRITTEN and state in _REASONS:
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
    read_pieces = np.array(results.read_piece, np.int64)
    read = np.where(read_pieces == NOTHING, 0, table.ends[read_pieces] if len(table.ends) else 0)
    flat = np.fromiter(chain.from_iterable(results.writes), np.int64, 3 * len(results.writes)).reshape(-1, 3)
    writers, pieces, write_ttls = flat.T
    ends = table.ends[pieces]
    tokens = ends - read[writers]
    tokens[1:] = np.where(writers[1:] == writers[:-1], np.diff(ends), tokens[1:])
    ttls, column = np.unique(write_ttls, return_inverse=True)
    written = np.zeros((n, len(ttls)), np.int64)
    np.add.at(written, (writers, column.reshape(-1)), tokens)
    doubts = np.array(results.doubts, np.uint8)
    margins = table.margins[places.pieces]
    near = (margins > 0) & (np.abs(table.ends[places.pieces] - minimums[owner]) <= margins) & places.writes
    doubts[owner[near]] |= np.uint8(Doubt.NEAR_MINIMUM)
    doubts[(table.flags & RequestFlag.BATCH) != 0] |= np.uint8(Doubt.BEST_EFFORT)
    reasons = np.array(results.reasons, np.uint8)
    if longer:
        doubts[owner[reasons == LookupReason.EXPIRED]] |= np.uint8(Doubt.MAY_LIVE_LONGER)
    # Longest first: the order in which they are looked up.
    order = np.lexsort((-places.pieces, owner))
    return CacheOutcome(
        read_tokens=read,
        read_pieces=read_pieces,
        live_pieces=np.array(results.live, np.int64),
        writers=np.array(results.writer, np.int64),
        idle_seconds=np.array(results.idle, np.float64),
        written_tokens=written,
        ttls=tuple(ttls.tolist()),
        write_offsets=np.concatenate(([0], np.cumsum(np.bincount(writers, minlength=n)))),
        write_pieces=pieces,
        write_ttls=write_ttls,
        write_tokens=tokens,
        lookup_offsets=places.offsets,
        lookup_pieces=places.pieces[order],
        lookup_reasons=reasons[order],
        lookup_breakpoints=places.given[order],
        refusals=places.refusals,
        doubts=doubts,
    )
