"""Caches that read only what an earlier request wrote at a place that this request looks up.

Both breakpoint models run here: `find_breakpoints` and `find_boundaries` say where a request looks and writes, the
walk below keeps the entries. It visits requests in order of start, once, and each piece of a prompt once a request.
"""

from array import array
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from acg_lab.providers.clock import NANOSECONDS, find_visibility
from acg_lab.providers.entries import EXPIRED, IN_FLIGHT, LIFE, LIVE, TOUCHED, WRITER, EntryStore, State
from acg_lab.providers.lookups import Places, Settings, find_boundaries, find_breakpoints
from acg_lab.providers.outcomes import NOTHING, CacheOutcome, Doubt, LookupReason
from acg_lab.providers.prefix_tree import PrefixTree, find_prefix_tree
from acg_lab.providers.prompts import NO_NODE, Ints, PromptTable, RequestFlag

__all__ = ["simulate_boundaries", "simulate_breakpoints"]

_REASONS: Final = {IN_FLIGHT: int(LookupReason.IN_FLIGHT), EXPIRED: int(LookupReason.EXPIRED)}
_HIT, _COVERED = int(LookupReason.HIT), int(LookupReason.COVERED)
_BELOW, _NOT_WRITTEN = int(LookupReason.BELOW_MINIMUM), int(LookupReason.NOT_WRITTEN)
_EXPIRED_LOOKUP, _BATCH = int(LookupReason.EXPIRED), int(RequestFlag.BATCH)  # numpy takes 20 times as long for an enum


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


class _Results:
    """What the walk finds, request by request, in columns; of sure hits the rest follows from the prompts alone."""

    def __init__(self, n: int, reasons: NDArray[np.uint8]) -> None:
        self.read_piece, self.live, self.writer = (array("q", (NOTHING,)) * n for _ in range(3))
        self.idle = array("q", (NOTHING,)) * n  # nanoseconds
        self.doubts = bytearray(n)
        self.reasons = bytearray(reasons.tobytes())  # of each place
        self.sure: list[int] = []  # requests that read their longest prefix that may have an entry


@dataclass(eq=False)
class _Lookups:
    """The places, as rows once a request needs them: piece, first of its search, below the minimum, TTL.

    ``behind`` are those that write a prefix up to the candidate, which only requests write that don't read it.
    """

    table: PromptTable
    places: Places
    tree: PrefixTree
    below: NDArray[np.bool_]
    behind: NDArray[np.bool_]

    @cached_property
    def rows(self) -> list[tuple[int, int, bool, int]]:
        columns = (self.places.pieces, self.places.lows, self.below, self.places.ttls)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    @cached_property
    def offsets(self) -> list[int]:
        found: list[int] = self.places.offsets.tolist()
        return found

    @cached_property
    def _writes(self) -> tuple[list[tuple[int, int, int]], list[int]]:
        *columns, ends = _list_writes(self.table, self.places, self.behind, self.tree)
        return list(zip(*columns, strict=True)), [0, *ends]

    def list_writes(self, request: int) -> list[tuple[int, int, int]]:
        """Return piece, number of the prefix, and TTL of what a request may write up to its candidate."""
        rows, offsets = self._writes
        return rows[offsets[request] : offsets[request + 1]]


def _walk(table: PromptTable, places: Places, settings: Settings, minimums: Ints, beyond: LookupReason) -> CacheOutcome:
    n, owner = table.n_requests, places.owner
    below = table.ends[places.pieces] < minimums[owner]
    tree = find_prefix_tree(table, places)
    seen = find_visibility(table, str(settings["visible_at"]), str(settings["missing_time"]))
    cache = EntryStore(settings, seen, tree)
    results = _Results(n, np.where(below, np.uint8(_BELOW), np.uint8(_NOT_WRITTEN)))
    writer, idle, sure = results.writer, results.idle, results.sure
    answered = places.refusals == 0
    can_write = places.writes & ~below & answered[owner]
    ahead = can_write & (places.pieces > tree.candidates[owner])
    _, write_numbers, write_ttls, write_ends = _list_writes(table, places, ahead, tree)
    lookups = _Lookups(table, places, tree, below, can_write & ~ahead)
    candidates = np.where(answered, tree.candidate_numbers, NO_NODE)
    is_reached = _reached_by_last(places, below, tree) & (not cache.ttl_in_key)
    columns = (candidates.tolist(), table.started.tolist(), is_reached.tolist(), write_ends)
    at = 0
    for i, (number, now, reached, end) in enumerate(zip(*columns, strict=True)):
        if number != NO_NODE:
            if reached and (entry := cache.read_surely(number, now)):
                writer[i], idle[i] = entry[WRITER], now - entry[TOUCHED]
                sure.append(i)
            else:
                hit = _read(i, lookups, _Look(cache, tree.list_kept(i, cache.entries), now), results, beyond)
                for piece, behind, ttl in lookups.list_writes(i):
                    if piece > hit:
                        cache.write(behind, i, now, ttl)
        while at < end:
            cache.write(write_numbers[at], i, now, write_ttls[at])
            at += 1
    met = _settle_sure_hits(results, tree, places, below)
    return _outcome(table, places, minimums, can_write, results, met, cache.longer)


def _list_writes(
    table: PromptTable, places: Places, chosen: NDArray[np.bool_], tree: PrefixTree
) -> tuple[list[int], list[int], list[int], list[int]]:
    """Return piece, number of the prefix, and TTL of the places chosen, and where those of each request end."""
    pieces = places.pieces[chosen]
    numbers = tree.number_of[table.nodes[pieces]]
    ends = np.searchsorted(places.owner[chosen], np.arange(1, table.n_requests + 1))
    return pieces.tolist(), numbers.tolist(), places.ttls[chosen].tolist(), ends.tolist()


def _reached_by_last(places: Places, below: NDArray[np.bool_], tree: PrefixTree) -> NDArray[np.bool_]:
    """Return whether the last place of each request looks up its longest prefix that may have an entry."""
    last = places.offsets[1:] - 1
    has_places = places.offsets[1:] > places.offsets[:-1]
    if not len(places.pieces):
        return has_places
    found: NDArray[np.bool_] = (
        has_places & (places.lows[last] <= tree.candidates) & (tree.candidates <= places.pieces[last]) & ~below[last]
    )
    return found


def _settle_sure_hits(
    results: _Results, tree: PrefixTree, places: Places, below: NDArray[np.bool_]
) -> tuple[Ints, Ints, NDArray[np.uint8]]:
    """Return the piece that each request read to, its last live piece, and what each place met."""
    read, live = (np.frombuffer(column, np.int64) for column in (results.read_piece, results.live))
    reasons = np.frombuffer(results.reasons, np.uint8)
    if not results.sure:
        return read, live, reasons
    sure, hits = np.array(results.sure), np.full(len(read), NOTHING)
    hits[sure] = read[sure] = live[sure] = tree.candidates[sure]
    hit = hits[places.owner]
    met = np.where(places.pieces <= hit, np.uint8(_COVERED), np.uint8(_HIT))
    reasons = np.where((hit != NOTHING) & ~below, met, reasons)
    reasons[places.offsets[sure + 1] - 1] = _HIT
    return read, live, reasons


class _Look:
    """What one request can meet: the prefixes of its prompt that have entries, longest first, examined when needed."""

    def __init__(self, cache: EntryStore, kept: list[tuple[int, int]], now: int) -> None:
        self.kept = kept
        self.ttl_in_key = cache.ttl_in_key
        self.now = now
        self.cache = cache
        self._known: dict[int, State] = {}

    def state(self, node: int, ttl: int = 0) -> State:
        """Return the state of a prefix; with a TTL (ns), of its entries of that TTL."""
        if ttl:
            entries = self.cache.look_up(node)
            return self.cache.state([entry for entry in entries if entry[LIFE] == ttl], self.now)
        found = self._known.get(node)
        if found is None:
            found = self._known[node] = self.cache.state(self.cache.look_up(node), self.now)
        return found

    def longest_live(self) -> int:
        """Return the piece that ends the longest readable prefix, or NOTHING."""
        return next((piece for piece, node in self.kept if self.state(node)[0] == LIVE), NOTHING)


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
        if state == LIVE:
            results.writer[request], results.idle[request] = writer, idle
            return _HIT, at, node
        if reason == _NOT_WRITTEN and state in _REASONS:
            reason = _REASONS[state]
            if state == EXPIRED and results.idle[request] == NOTHING:
                results.idle[request] = idle
    return reason, NOTHING, NO_NODE


def _outcome(
    table: PromptTable,
    places: Places,
    minimums: Ints,
    can_write: NDArray[np.bool_],
    results: _Results,
    met: tuple[Ints, Ints, NDArray[np.uint8]],
    longer: bool,  # noqa: FBT001
) -> CacheOutcome:
    n, owner = table.n_requests, places.owner
    read_pieces, live_pieces, reasons = met
    read = np.where(read_pieces == NOTHING, 0, table.ends[read_pieces] if len(table.ends) else 0)
    is_written = can_write & (places.pieces > read_pieces[owner])
    writers, pieces, write_ttls = owner[is_written], places.pieces[is_written], places.ttls[is_written]
    ends = table.ends[pieces]
    tokens = ends - read[writers]
    tokens[1:] = np.where(writers[1:] == writers[:-1], ends[1:] - ends[:-1], tokens[1:])
    ttls = sorted(set(write_ttls.tolist()))
    written = np.zeros((n, len(ttls)), np.int64)
    np.add.at(written, (writers, np.searchsorted(ttls, write_ttls)), tokens)
    idle = np.frombuffer(results.idle, np.int64)
    # Longest first: the order in which they are looked up.
    order = (places.offsets[:-1] + places.offsets[1:] - 1)[owner] - np.arange(len(owner))
    return CacheOutcome(
        read_tokens=read,
        read_pieces=read_pieces,
        live_pieces=live_pieces,
        writers=np.frombuffer(results.writer, np.int64),
        idle_seconds=np.where(idle == NOTHING, np.nan, idle / NANOSECONDS),
        written_tokens=written,
        ttls=tuple(ttls),
        write_offsets=np.searchsorted(writers, np.arange(n + 1)),
        write_pieces=pieces,
        write_ttls=write_ttls,
        write_tokens=tokens,
        lookup_offsets=places.offsets,
        lookup_pieces=places.pieces[order],
        lookup_reasons=reasons[order],
        lookup_breakpoints=places.given[order],
        refusals=places.refusals,
        doubts=_find_doubts(table, places, minimums, results, reasons, longer),
    )


def _find_doubts(
    table: PromptTable,
    places: Places,
    minimums: Ints,
    results: _Results,
    reasons: NDArray[np.uint8],
    longer: bool,  # noqa: FBT001
) -> NDArray[np.uint8]:
    """Return what could have turned out the other way for each request."""
    doubts, owner = np.frombuffer(results.doubts, np.uint8), places.owner
    margins = table.margins[places.pieces]
    near = (margins > 0) & (np.abs(table.ends[places.pieces] - minimums[owner]) <= margins) & places.writes
    doubts[owner[near]] |= np.uint8(Doubt.NEAR_MINIMUM)
    doubts[(table.flags & _BATCH) != 0] |= np.uint8(Doubt.BEST_EFFORT)
    if longer:
        doubts[owner[reasons == _EXPIRED_LOOKUP]] |= np.uint8(Doubt.MAY_LIVE_LONGER)
    return doubts
