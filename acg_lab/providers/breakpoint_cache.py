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
_LIVE, _IN_FLIGHT, _EXPIRED = range(3)
_REASONS: Final = {_IN_FLIGHT: LookupReason.IN_FLIGHT, _EXPIRED: LookupReason.EXPIRED}

_Entry: TypeAlias = list[int]
_Place: TypeAlias = tuple[int, int, bool, bool, int]  # piece, first piece of its search, below the minimum, writes, TTL
_State: TypeAlias = tuple[int, int, int, int, int]  # piece, state, writer, idle (ns), doubts


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
    nodes, ends, offsets = table.nodes.tolist(), table.ends.tolist(), table.piece_offsets.tolist()
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
        low, now = offsets[i], started[i]
        found = [piece for piece, node in enumerate(nodes[low : offsets[i + 1]], low) if node in known]
        first = place_offsets[i]
        own = columns[first : place_offsets[i + 1]]
        hit = NOTHING
        if found:
            found.reverse()
            kept = [(piece, known[nodes[piece]]) for piece in found]
            hit, ttl = _read(i, first, own, {ttl: cache.look(kept, now, ttl) for ttl in cache.kinds(own)}, results)
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


class _Cache:
    """The entries of one scope, by node; several for a prefix that was written more than once at a time."""

    def __init__(self, settings: Settings, seen: Visibility) -> None:
        self.entries: dict[int, list[_Entry]] = {}
        self.longer = bool(settings["may_live_longer"])
        self._grace = int(float(str(settings["grace"])) * NANOSECONDS)
        self._ttl_in_key = bool(settings["ttl_in_key"])
        self._renew_all = settings["renews"] == "prefixes"
        self._readable = seen.readable.tolist()
        self._assumed = seen.assumed_until.tolist()

    def kinds(self, places: list[_Place]) -> set[int]:
        """Return the TTLs (ns) whose entries are told apart; 0 stands for all of them."""
        return {place[4] * NANOSECONDS for place in places} | {0} if self._ttl_in_key else {0}

    def look(self, kept: list[tuple[int, list[_Entry]]], now: int, ttl: int) -> list[_State]:
        """Return the state of each prefix that has entries of a TTL."""
        return [
            (piece, *self._state(entries, now))
            for piece, every in kept
            if (entries := [entry for entry in every if entry[_LIFE] == ttl] if ttl else every)
        ]

    def _state(self, entries: list[_Entry], now: int) -> tuple[int, int, int, int]:
        """Return the state of a prefix, who wrote it, how long it was idle (ns), and the doubts of that answer."""
        best = (_EXPIRED + 1, NOTHING, 0)
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


def _read(
    request: int, first: int, own: list[_Place], states: dict[int, list[_State]], results: _Results
) -> tuple[int, int]:
    """Search from each place, longest first; note what each met; return the piece that was read and by which TTL."""
    live = [piece for piece, state, *_ in states[0] if state == _LIVE]
    results.live[request] = live[0] if live else NOTHING
    hit, by_ttl = NOTHING, 0
    for k in range(len(own) - 1, -1, -1):
        piece, low, below, _, ttl = own[k]
        if below:
            reason = LookupReason.BELOW_MINIMUM
        elif hit != NOTHING:
            reason = LookupReason.COVERED if piece <= hit else LookupReason.HIT
        else:
            key = ttl * NANOSECONDS if len(states) > 1 else 0
            reason, found = _search(piece, low, states[key], results, request)
            if found is not None:
                hit, by_ttl = found[0], key
                results.read_piece[request], results.writer[request] = hit, found[2]
                results.idle[request] = found[3] / NANOSECONDS
        results.reasons[first + k] = reason
    return hit, by_ttl


def _mark_beyond(request: int, first: int, own: list[_Place], results: _Results, beyond: LookupReason) -> None:
    """Say where a live entry, longer than what was read, was out of a place's reach."""
    live, hit = results.live[request], results.read_piece[request]
    if live <= hit:
        return
    for k, (_, low, *_) in enumerate(own, first):
        if results.reasons[k] == LookupReason.NOT_WRITTEN and live < low:
            results.reasons[k] = beyond


def _search(
    piece: int, low: int, states: list[_State], results: _Results, request: int
) -> tuple[LookupReason, _State | None]:
    """Return what one search met: the first live entry, else why there is none."""
    reason = LookupReason.NOT_WRITTEN
    for found in states:
        at, state, _, idle, doubts = found
        if at > piece:
            continue
        if at < low:
            break
        results.doubts[request] |= doubts
        if state == _LIVE:
            return LookupReason.HIT, found
        if reason == LookupReason.NOT_WRITTEN:
            reason = _REASONS[state]
            if state == _EXPIRED and isnan(results.idle[request]):
                results.idle[request] = idle / NANOSECONDS
    return reason, None


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
    np.add.at(written, (flat[:, 0], column), flat[:, 3])
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
