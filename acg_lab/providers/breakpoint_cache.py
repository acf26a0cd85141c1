"""Caches that read only what an earlier request wrote at a place that this request looks up.

Both breakpoint models run here: `find_breakpoints` and `find_boundaries` say where a request looks and writes, the
walk below keeps the entries. It visits requests in order of start, once, and each piece of a prompt once a request.
"""

from dataclasses import dataclass, field
from functools import cached_property
from math import isnan
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from acg_lab.providers.clock import NANOSECONDS, NEAR_TTL, Visibility, find_visibility
from acg_lab.providers.lookups import Places, Settings, find_boundaries, find_breakpoints
from acg_lab.providers.outcomes import NOTHING, CacheOutcome, Doubt, LookupReason
from acg_lab.providers.prefix_tree import PrefixTree, find_prefix_tree
from acg_lab.providers.prompts import NO_NODE, Ints, PromptTable, RequestFlag

__all__ = ["simulate_boundaries", "simulate_breakpoints"]

# Fields of an entry; times in nanoseconds.
_READABLE, _TOUCHED, _LIFE, _WRITER = range(4)
_LIVE, _IN_FLIGHT, _EXPIRED, _ABSENT = range(4)
_WHOLE: Final = 1 << 62  # deeper than any chain
_REASONS: Final = {_IN_FLIGHT: int(LookupReason.IN_FLIGHT), _EXPIRED: int(LookupReason.EXPIRED)}
_HIT, _COVERED = int(LookupReason.HIT), int(LookupReason.COVERED)
_BELOW, _NOT_WRITTEN = int(LookupReason.BELOW_MINIMUM), int(LookupReason.NOT_WRITTEN)

_Entry: TypeAlias = list[int]
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
    """What the walk finds, request by request; of sure hits, the reasons of their places follow from the hit."""

    read_piece: list[int]
    live: list[int]
    writer: list[int]
    idle: list[float]
    doubts: list[int]
    reasons: list[int]
    sure: list[int] = field(default_factory=list)  # requests


@dataclass(eq=False)
class _Lookups:
    """The places, as rows once a request needs them: piece, first of its search, below the minimum, TTL."""

    places: Places
    below: NDArray[np.bool_]

    @cached_property
    def rows(self) -> list[tuple[int, int, bool, int]]:
        columns = (self.places.pieces, self.places.lows, self.below, self.places.ttls)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    @cached_property
    def offsets(self) -> list[int]:
        found: list[int] = self.places.offsets.tolist()
        return found


def _walk(table: PromptTable, places: Places, settings: Settings, minimums: Ints, beyond: LookupReason) -> CacheOutcome:
    n = table.n_requests
    owner = np.repeat(np.arange(n), np.diff(places.offsets))
    below = table.ends[places.pieces] < minimums[owner]
    tree = find_prefix_tree(table, places, owner)
    seen = find_visibility(table, str(settings["visible_at"]), str(settings["missing_time"]))
    cache = _Cache(settings, seen, tree)
    reasons = np.where(below, np.uint8(_BELOW), np.uint8(_NOT_WRITTEN)).tolist()
    results = _Results([NOTHING] * n, [NOTHING] * n, [NOTHING] * n, [float("nan")] * n, [0] * n, reasons)
    read_piece, live, writer, idle, sure = (
        results.read_piece,
        results.live,
        results.writer,
        results.idle,
        results.sure,
    )
    lookups = _Lookups(places, below)
    can_write, writes, write_offsets = _list_writes(table, places, below, tree)
    reached = _reached_by_last(places, below, tree).tolist()
    started, candidates, numbers = table.started.tolist(), tree.candidates.tolist(), tree.candidate_numbers
    for i, refused in enumerate(places.refusals.tolist()):
        if refused:
            continue
        now, hit, number = started[i], NOTHING, numbers[i]
        if number != NO_NODE:
            if reached[i] and (entry := cache.sure_hit(number, now)):
                hit = read_piece[i] = live[i] = candidates[i]
                writer[i], idle[i] = entry[_WRITER], (now - entry[_TOUCHED]) / NANOSECONDS
                sure.append(i)
                cache.renew(number, now, 0)
            else:
                hit = _read(i, lookups, _Look(cache, tree.list_kept(i, cache.entries), now), results, beyond)
        for k in range(write_offsets[i], write_offsets[i + 1]):
            piece, number, ttl = writes[k]
            if piece > hit:
                cache.write(number, i, now, ttl)
    reasons = _explain_sure_hits(places, below, owner, results)
    is_written = can_write & (places.pieces > np.array(read_piece, np.int64)[owner]) & (places.refusals[owner] == 0)
    return _outcome(table, places, minimums, owner, is_written, results, reasons, cache.longer)


def _list_writes(
    table: PromptTable, places: Places, below: NDArray[np.bool_], tree: PrefixTree
) -> tuple[NDArray[np.bool_], list[tuple[int, int, int]], list[int]]:
    """Return which places write, and of these the piece, the number of the prefix, and the TTL, with offsets."""
    can_write = places.writes & ~below
    pieces = places.pieces[can_write]
    columns = (pieces, tree.number_of[table.nodes[pieces]], places.ttls[can_write])
    offsets = np.concatenate(([0], np.cumsum(can_write)))[places.offsets]
    return can_write, list(zip(*(column.tolist() for column in columns), strict=True)), offsets.tolist()


def _reached_by_last(places: Places, below: NDArray[np.bool_], tree: PrefixTree) -> NDArray[np.bool_]:
    """Return whether the last place of each request looks up its longest prefix that may have an entry."""
    last = places.offsets[1:] - 1
    has_places = np.diff(places.offsets) > 0
    if not len(places.pieces):
        return has_places
    found: NDArray[np.bool_] = (
        has_places & (places.lows[last] <= tree.candidates) & (tree.candidates <= places.pieces[last]) & ~below[last]
    )
    return found


def _explain_sure_hits(places: Places, below: NDArray[np.bool_], owner: Ints, results: _Results) -> NDArray[np.uint8]:
    """Return what each place met; requests that read the longest prefix with an entry did so from their last place."""
    reasons: NDArray[np.uint8] = np.array(results.reasons, np.uint8)
    if not results.sure:
        return reasons
    hits, sure = np.full(len(results.live), NOTHING), np.array(results.sure)
    hits[sure] = np.array(results.live, np.int64)[sure]
    hit = hits[owner]
    met = np.where(places.pieces <= hit, np.uint8(_COVERED), np.uint8(_HIT))
    reasons = np.where((hit != NOTHING) & ~below, met, reasons)
    reasons[places.offsets[sure + 1] - 1] = _HIT
    return reasons


class _Cache:
    """The entries of one scope, by prefix; several for a prefix that was written more than once at a time.

    An entry is a list, since it is the unit of work: from when it is readable, its last touch, its TTL, who wrote it.
    A read renews every shorter entry of its prompt. It is noted with each chain that it passes through, and entries
    catch up with their chain when they are looked at: few ever are again.
    """

    def __init__(self, settings: Settings, seen: Visibility, tree: PrefixTree) -> None:
        self.entries: list[list[_Entry]] = [[] for _ in tree.chain_of]
        self._tree = tree
        self._reads: list[list[tuple[int, int, int]]] = [[] for _ in tree.above]  # when, how deep, by which TTL
        self._caught_up = [0] * len(tree.chain_of)
        self.longer = bool(settings["may_live_longer"])
        self._grace = int(float(str(settings["grace"])) * NANOSECONDS)
        self.ttl_in_key = bool(settings["ttl_in_key"])
        self._renew_all = settings["renews"] == "prefixes"
        self._readable = seen.readable.tolist()
        self._assumed = seen.assumed_until.tolist()

    def look_up(self, node: int) -> list[_Entry]:
        """Return the entries of a prefix, renewed by what was read since they were last looked at."""
        entries = self.entries[node]
        reads, start = self._reads[self._tree.chain_of[node]], self._caught_up[node]
        if not entries:
            self._caught_up[node] = len(reads)
        elif start < len(reads):
            depth, grace = self._tree.depth[node], self._grace
            for at in range(start, len(reads)):
                now, reached, ttl = reads[at]
                if reached < depth:
                    continue
                for entry in entries:
                    readable, touched, life, _ = entry
                    if readable <= now <= touched + life + grace and (not ttl or life == ttl):
                        entry[_TOUCHED] = now
            self._caught_up[node] = len(reads)
        return entries

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

    def sure_hit(self, node: int, now: int) -> _Entry | None:
        """Return the entry of a prefix if there is one alone and it is readable beyond doubt."""
        entries = self.entries[node]
        if len(entries) == 1 and not self.ttl_in_key:
            if self._caught_up[node] < len(self._reads[self._tree.chain_of[node]]):
                self.look_up(node)
            readable, touched, life, writer = entry = entries[0]
            if readable <= now and now + NEAR_TTL < touched + life + self._grace and now >= self._assumed[writer]:
                return entry
        return None

    def renew(self, node: int, now: int, ttl: int) -> None:
        """Touch what a read touches: the prefix that was read, and by default all shorter ones."""
        if not self._renew_all:
            for entry in self.look_up(node):
                alive = entry[_READABLE] <= now <= entry[_TOUCHED] + entry[_LIFE] + self._grace
                if alive and (not ttl or entry[_LIFE] == ttl):
                    entry[_TOUCHED] = now
            return
        chain, depth, above = self._tree.chain_of[node], self._tree.depth[node], self._tree.above
        while chain != NO_NODE:
            self._reads[chain].append((now, depth, ttl))
            chain, depth = above[chain], _WHOLE

    def write(self, node: int, request: int, now: int, ttl: int) -> None:
        """Store an entry, and forget those of the prefix that have expired."""
        entries = self.entries[node]
        if entries:
            entries = self.look_up(node)
            entries[:] = [e for e in entries if e[_TOUCHED] + e[_LIFE] + self._grace >= now]
        else:
            self._caught_up[node] = len(self._reads[self._tree.chain_of[node]])
        entries.append([self._readable[request], now, ttl * NANOSECONDS, request])


class _Look:
    """What one request can meet: the prefixes of its prompt that have entries, longest first, examined when needed."""

    def __init__(self, cache: _Cache, kept: list[tuple[int, int]], now: int) -> None:
        self.kept = kept
        self.ttl_in_key = cache.ttl_in_key
        self.now = now
        self.cache = cache
        self._known: dict[int, _State] = {}

    def state(self, node: int, ttl: int = 0) -> _State:
        """Return the state of a prefix; with a TTL (ns), of its entries of that TTL."""
        if ttl:
            entries = self.cache.look_up(node)
            return self.cache.state([entry for entry in entries if entry[_LIFE] == ttl], self.now)
        found = self._known.get(node)
        if found is None:
            found = self._known[node] = self.cache.state(self.cache.look_up(node), self.now)
        return found

    def longest_live(self) -> int:
        """Return the piece that ends the longest readable prefix, or NOTHING."""
        return next((piece for piece, node in self.kept if self.state(node)[0] == _LIVE), NOTHING)


def _read(request: int, lookups: _Lookups, look: _Look, results: _Results, beyond: LookupReason) -> int:
    """Search from each place, longest first; note what each met; return the piece that was read."""
    first, end = lookups.offsets[request], lookups.offsets[request + 1]
    hit, node, by_ttl = NOTHING, NO_NODE, 0
    for k in range(end - 1, first - 1, -1):
        piece, low, is_below, ttl = lookups.rows[k]
        if is_below:
            continue
        if hit != NOTHING:
            reason = _COVERED if piece <= hit else _HIT
        else:
            key = ttl * NANOSECONDS if look.ttl_in_key else 0
            reason, hit, node = _search(piece, low, key, look, results, request)
            by_ttl = key
        results.reasons[k] = reason
    results.read_piece[request] = hit
    results.live[request] = look.longest_live()
    if hit != NOTHING:
        look.cache.renew(node, look.now, by_ttl)
    if results.live[request] > hit:
        _note_beyond(request, range(first, end), lookups, results, beyond)
    return hit


def _note_beyond(request: int, own: range, lookups: _Lookups, results: _Results, beyond: LookupReason) -> None:
    """Say where a live entry, longer than what was read, was out of a place's reach."""
    live = results.live[request]
    for k in own:
        if results.reasons[k] == _NOT_WRITTEN and live < lookups.rows[k][1]:
            results.reasons[k] = beyond


def _search(piece: int, low: int, ttl: int, look: _Look, results: _Results, request: int) -> tuple[int, int, int]:
    """Return what one search met: that it read, its piece and prefix, else why there is none."""
    reason = _NOT_WRITTEN
    for at, node in look.kept:
        if at > piece:
            continue
        if at < low:
            break
        state, writer, idle, doubts = look.state(node, ttl)
        results.doubts[request] |= doubts
        if state == _LIVE:
            results.writer[request], results.idle[request] = writer, idle / NANOSECONDS
            return _HIT, at, node
        if reason == _NOT_WRITTEN and state in _REASONS:
            reason = _REASONS[state]
            if state == _EXPIRED and isnan(results.idle[request]):
                results.idle[request] = idle / NANOSECONDS
    return reason, NOTHING, NO_NODE


def _outcome(
    table: PromptTable,
    places: Places,
    minimums: Ints,
    owner: Ints,
    is_written: NDArray[np.bool_],
    results: _Results,
    reasons: NDArray[np.uint8],
    longer: bool,  # noqa: FBT001
) -> CacheOutcome:
    n = table.n_requests
    read_pieces = np.array(results.read_piece, np.int64)
    read = np.where(read_pieces == NOTHING, 0, table.ends[read_pieces] if len(table.ends) else 0)
    writers, pieces, write_ttls = owner[is_written], places.pieces[is_written], places.ttls[is_written]
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
    if longer:
        doubts[owner[reasons == LookupReason.EXPIRED]] |= np.uint8(Doubt.MAY_LIVE_LONGER)
    # Longest first: the order in which they are looked up.
    order = (places.offsets[:-1] + places.offsets[1:] - 1)[owner] - np.arange(len(owner))
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
