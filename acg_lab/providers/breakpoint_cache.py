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
_WHOLE: Final = 1 << 62  # deeper than any chain
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
    tree = _find_tree(table, places)
    seen = find_visibility(table, str(settings["visible_at"]), str(settings["missing_time"]))
    cache = _Cache(settings, seen, tree)
    results = _Results(
        [NOTHING] * n, [NOTHING] * n, [NOTHING] * n, [float("nan")] * n, [0] * n, [0] * len(places.pieces)
    )
    owner = np.repeat(np.arange(n), np.diff(places.offsets))
    below = table.ends[places.pieces] < minimums[owner]
    columns = _place_rows(table, places, below, tree)
    pieces, numbers, bounds, known = tree.pieces, tree.numbers, tree.bounds, cache.entries
    firsts, started = places.offsets.tolist(), table.started.tolist()
    for i, refused in enumerate(places.refusals.tolist()):
        if refused:
            continue
        now, first = started[i], firsts[i]
        own = columns[first : firsts[i + 1]]
        at, last = bounds[i + 1], bounds[i]
        while at < last and not known[numbers[at]]:
            at += 1
        if at < last:
            piece, node = pieces[at], numbers[at]
            is_reached = own and own[-1][1] <= piece <= own[-1][0] and not own[-1][2]
            if is_reached and (entry := cache.sure_hit(node, now)):
                hit = piece
                _note_hit(i, first, own, hit, entry, now, results)
                cache.renew(node, now, 0)
            else:
                kept = list(zip(pieces[at:last], numbers[at:last], strict=True))
                hit = _read(i, first, own, _Look(cache, kept, now), results, beyond)
        else:
            hit = NOTHING
            for k, place in enumerate(own, first):
                results.reasons[k] = _BELOW if place[2] else _NOT_WRITTEN
        for piece, _, _, node, ttl in own:
            if node != NO_NODE and piece > hit:
                cache.write(node, i, now, ttl)
                results.writes.append((i, piece, ttl))
    return _outcome(table, places, minimums, owner, results, cache.longer)


@dataclass(frozen=True, eq=False)
class _Tree:
    """The prefixes that some request writes, numbered anew, as chains: a chain goes on as long as nothing branches off.

    A read of a prefix passes through the whole of each chain above its own. ``pieces``, last first, end the prefixes
    ``numbers``; request i has ``bounds[i + 1]:bounds[i]``.
    """

    number_of: Ints  # by node, NO_NODE where nobody writes
    pieces: list[int]
    numbers: list[int]
    bounds: list[int]
    chain_of: list[int]
    depth: list[int]
    above: list[int]  # by chain, NO_NODE for the first


def _find_tree(table: PromptTable, places: Places) -> _Tree:
    number_of = np.full(table.n_nodes, NO_NODE)
    number_of[table.nodes[places.pieces[places.writes]]] = 0
    written = np.flatnonzero(number_of == 0)
    number_of[written] = np.arange(len(written))
    numbers = number_of[table.nodes]
    pieces = np.flatnonzero(numbers != NO_NODE)
    numbers = numbers[pieces]
    bounds = np.searchsorted(pieces, table.piece_offsets)
    parents = np.concatenate(([NO_NODE], numbers[:-1]))[: len(numbers)]
    parents[bounds[:-1][bounds[:-1] < len(numbers)]] = NO_NODE
    firsts = np.zeros(len(written), np.int64)
    firsts[numbers[::-1]] = np.arange(len(numbers))[::-1]  # of a number that occurs again, the last assignment counts
    parent_of = parents[firsts]
    is_alone = np.bincount(parent_of[parent_of != NO_NODE], minlength=len(written)) == 1
    goes_on = (parent_of != NO_NODE) & is_alone[parent_of]
    chain_of, depth = [NO_NODE] * len(written), [0] * len(written)
    above: list[int] = []
    # By first occurrence, so that a prefix comes before those that it begins.
    order = np.argsort(firsts)
    for number, parent, joins in zip(order.tolist(), parent_of[order].tolist(), goes_on[order].tolist(), strict=True):
        if joins:
            chain_of[number], depth[number] = chain_of[parent], depth[parent] + 1
        else:
            chain_of[number] = len(above)
            above.append(NO_NODE if parent == NO_NODE else chain_of[parent])
    return _Tree(
        number_of,
        pieces[::-1].tolist(),
        numbers[::-1].tolist(),
        (len(pieces) - bounds).tolist(),
        chain_of,
        depth,
        above,
    )


def _place_rows(table: PromptTable, places: Places, below: NDArray[np.bool_], tree: _Tree) -> list[_Place]:
    """Return the places as rows; one that writes names the prefix that it writes."""
    nodes = np.where(places.writes & ~below, tree.number_of[table.nodes[places.pieces]], NO_NODE)
    columns = (places.pieces, places.lows, below, nodes, places.ttls)
    return list(zip(*(column.tolist() for column in columns), strict=True))


class _Cache:
    """The entries of one scope, by prefix; several for a prefix that was written more than once at a time.

    An entry is a list, since it is the unit of work: from when it is readable, its last touch, its TTL, who wrote it.
    A read renews every shorter entry of its prompt. It is noted with each chain that it passes through, and entries
    catch up with their chain when they are looked at: few ever are again.
    """

    def __init__(self, settings: Settings, seen: Visibility, tree: _Tree) -> None:
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
        entries = self.look_up(node)
        if entries:
            entries[:] = [e for e in entries if e[_TOUCHED] + e[_LIFE] + self._grace >= now]
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


def _note_hit(
    request: int, first: int, own: list[_Place], hit: int, entry: _Entry, now: int, results: _Results
) -> None:
    """Note a read of the longest prefix that has an entry."""
    results.read_piece[request] = results.live[request] = hit
    results.writer[request], results.idle[request] = entry[_WRITER], (now - entry[_TOUCHED]) / NANOSECONDS
    for k, (piece, _, below, _, _) in enumerate(own, first):
        results.reasons[k] = _BELOW if below else _COVERED if piece <= hit else _HIT
    results.reasons[first + len(own) - 1] = _HIT


def _read(request: int, first: int, own: list[_Place], look: _Look, results: _Results, beyond: LookupReason) -> int:
    """Search from each place, longest first; note what each met; return the piece that was read."""
    hit, node, by_ttl = NOTHING, NO_NODE, 0
    for k in range(len(own) - 1, -1, -1):
        piece, low, below, _, ttl = own[k]
        if below:
            reason = _BELOW
        elif hit != NOTHING:
            reason = _COVERED if piece <= hit else _HIT
        else:
            key = ttl * NANOSECONDS if look.ttl_in_key else 0
            reason, hit, node = _search(piece, low, key, look, results, request)
            by_ttl = key
        results.reasons[first + k] = reason
    results.read_piece[request] = hit
    results.live[request] = look.longest_live()
    if hit != NOTHING:
        look.cache.renew(node, look.now, by_ttl)
    if results.live[request] > hit:
        _note_beyond(request, first, own, results, beyond)
    return hit


def _note_beyond(request: int, first: int, own: list[_Place], results: _Results, beyond: LookupReason) -> None:
    """Say where a live entry, longer than what was read, was out of a place's reach."""
    live = results.live[request]
    for k, (_, low, *_) in enumerate(own, first):
        if results.reasons[k] == _NOT_WRITTEN and live < low:
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
