"""Caches of common prefixes: read is the longest prefix that is still stored, rounded down to whole blocks.

With a capacity, blocks are evicted least recently used first, and of one prompt its tail first, as self-hosted engines
do. One worker is simulated; blocks that a running request holds are not locked.
"""

from collections import OrderedDict

import numpy as np

from acg_lab.providers.clock import NANOSECONDS, NEAR_TTL, find_visibility
from acg_lab.providers.lookups import Settings
from acg_lab.providers.outcomes import NOTHING, CacheOutcome, Doubt, LookupReason, Refusal
from acg_lab.providers.paths import Paths, find_paths
from acg_lab.providers.prompts import NO_NODE, Ints, PromptTable, RequestFlag

__all__ = ["PrefixStore", "prefix_outcome", "simulate_blocks", "whole_setting"]


def simulate_blocks(table: PromptTable, settings: Settings, minimums: Ints) -> CacheOutcome:
    """Run requests through a cache of block prefixes (acg_lab/docs/providers.md, section 1).

    Parameters
    ----------
    table : PromptTable
    settings : dict
        ``block_tokens``, ``step_tokens`` (reported tokens are rounded down to it), ``hidden_tokens`` (of the provider's
        own text before the prompt), ``ttl`` (seconds; 0: no limit), ``capacity_blocks`` (0: no limit),
        ``caches_answers``, ``reads_whole_prompt`` (else at least one token is computed), ``write_ttl`` (seconds, under
        which writes are billed; 0: writes cost nothing extra), ``visible_at``, ``missing_time``, ``chance``.
    minimums : (n_requests,)
        In tokens.

    Returns
    -------
    CacheOutcome
        Each request has one lookup, its whole prompt, if it has pieces.
    """
    paths = find_paths(table)
    store = PrefixStore(settings, paths)
    seen = find_visibility(table, str(settings["visible_at"]), str(settings["missing_time"]))
    outside = (table.flags & RequestFlag.FAILED) != 0
    if settings.get("requires_key"):
        outside |= (table.flags & RequestFlag.KEYED) == 0
    n = table.n_requests
    shared = np.zeros(n, np.int64)
    at = np.full(n, NOTHING)
    doubts = np.zeros(n, np.uint8)
    reasons = np.full(n, LookupReason.NOT_WRITTEN, np.uint8)
    nodes, ends, offsets = paths.nodes.tolist(), paths.ends.tolist(), paths.offsets.tolist()
    answers = table.answers.tolist() if settings["caches_answers"] else [NO_NODE] * n
    started, readable = table.started.tolist(), seen.readable.tolist()
    ended = find_visibility(table, "end", "end").readable.tolist()
    assumed = seen.assumed_until.tolist()
    for i in np.flatnonzero(~outside).tolist():
        low, high, now = offsets[i], offsets[i + 1], started[i]
        if low == high:
            continue
        path = nodes[low:high]
        steps, shared[i], reasons[i], doubts[i] = store.read(path, ends[low:high], now)
        at[i] = low + steps - 1 if steps else NOTHING
        store.write(path, now, readable[i], assumed[i])
        if answers[i] != NO_NODE:
            store.write_answer(answers[i], path[-1], ended[i])
    return prefix_outcome(table, paths, settings, minimums, shared, at, reasons, doubts)


class PrefixStore:
    """What is stored of each node: from when it is readable, its last touch, and until when that is an assumption."""

    def __init__(self, settings: Settings, paths: Paths) -> None:
        self.life = whole_setting(settings, "ttl") * NANOSECONDS
        self.readable: dict[int, int] = {}
        self.touched: dict[int, int] = {}
        self.assumed: dict[int, int] = {}
        self.parents = paths.parents.tolist()
        self.longer = bool(settings["may_live_longer"])
        capacity = whole_setting(settings, "capacity_blocks")
        self.blocks = _Blocks(capacity, whole_setting(settings, "block_tokens"), paths) if capacity else None

    def read(self, path: list[int], ends: list[int], now: int) -> tuple[int, int, int, int]:
        """Return how many nodes of a path are readable, the tokens of that, why not more, and the doubts."""
        steps = len(path)
        reason, doubts = LookupReason.NOT_WRITTEN, 0
        # Whoever stored a node stored all before it, no later: the first one found is the longest.
        while steps and (node := path[steps - 1]) is not None:
            if node in self.touched:
                spare = self.life - (now - self.touched[node]) if self.life else NEAR_TTL + 1
                doubts |= Doubt.NEAR_TTL if -NEAR_TTL <= spare <= NEAR_TTL else 0
                doubts |= Doubt.TIME_UNKNOWN if now < self.assumed[node] else 0
                if spare >= 0 and self.readable[node] <= now:
                    break
                reason = LookupReason.EXPIRED if spare < 0 else LookupReason.IN_FLIGHT
            steps -= 1
        tokens = ends[steps - 1] if steps else 0
        if self.blocks is not None:
            steps, tokens = self.blocks.cut(path[:steps], tokens)
        if reason == LookupReason.EXPIRED and self.longer:
            doubts |= Doubt.MAY_LIVE_LONGER
        return steps, tokens, LookupReason.HIT if steps else reason, doubts

    def touch(self, nodes: list[int], now: int) -> None:
        """Renew what is stored and readable among some nodes."""
        for node in nodes:
            touched = self.touched.get(node)
            if touched is not None and self.readable[node] <= now and not (self.life and now - touched > self.life):
                self.touched[node] = now

    def write(self, path: list[int], now: int, readable: int, assumed: int) -> None:
        """Store a prompt, or touch what is stored of it."""
        for node in path:
            touched = self.touched.get(node)
            if touched is None or (self.life and now - touched > self.life) or readable < self.readable[node]:
                self.readable[node], self.assumed[node] = readable, assumed
            if touched is None or now > touched:
                self.touched[node] = now
        if self.blocks is not None:
            self.blocks.use(path)

    def write_answer(self, node: int, after: int, ended: int) -> None:
        """Store what an answer adds to its prompt."""
        path = [node]
        while (node := self.parents[node]) not in {after, NO_NODE}:
            path.append(node)
        self.write(path[::-1], ended, ended, ended)


class _Blocks:
    """Which blocks of which nodes are held, up to a capacity."""

    def __init__(self, capacity: int, size: int, paths: Paths) -> None:
        self.capacity = capacity
        self.size = size
        ends = np.zeros(len(paths.parents), np.int64)
        ends[paths.nodes] = paths.ends
        before = np.where(paths.parents == NO_NODE, 0, ends[paths.parents])
        self.firsts: list[int] = (before // size).tolist()
        self.counts: list[int] = (ends // size - before // size).tolist()
        self.held: OrderedDict[int, int] = OrderedDict()  # node -> blocks, least recently used first
        self.total = 0

    def cut(self, path: list[int], tokens: int) -> tuple[int, int]:
        """Return how many nodes of a path are held, the last perhaps in part, and the tokens of that."""
        for step, node in enumerate(path):
            held = self.held.get(node, 0)
            if held < self.counts[node]:
                return step + (held > 0), (self.firsts[node] + held) * self.size
        return len(path), tokens

    def use(self, path: list[int]) -> None:
        """Hold a path whole, and evict what no longer fits; of equally old blocks the tail goes first."""
        for node in reversed(path):
            self.total += self.counts[node] - self.held.get(node, 0)
            self.held[node] = self.counts[node]
            self.held.move_to_end(node)
        while self.total > self.capacity:
            node, held = next(iter(self.held.items()))
            drop = min(held, self.total - self.capacity)
            self.total -= drop
            if drop == held:
                del self.held[node]
            else:
                self.held[node] = held - drop


def prefix_outcome(
    table: PromptTable,
    paths: Paths,
    settings: Settings,
    minimums: Ints,
    shared: Ints,
    at: Ints,
    reasons: np.ndarray[tuple[int], np.dtype[np.uint8]],
    doubts: np.ndarray[tuple[int], np.dtype[np.uint8]],
) -> CacheOutcome:
    """Turn shared prefixes into what the provider reports: rounded, capped, and not below the minimum.

    ``shared`` are the tokens of the longest stored prefix, ``at`` the entry of ``paths`` that it ends with.
    """
    block, step = whole_setting(settings, "block_tokens"), whole_setting(settings, "step_tokens")
    hidden = whole_setting(settings, "hidden_tokens")
    lasts = table.piece_offsets[1:] - 1
    has_pieces = np.diff(table.piece_offsets) > 0
    sizes = np.where(has_pieces, table.ends[lasts] if len(table.ends) else 0, 0)
    usable = shared if settings["reads_whole_prompt"] else np.minimum(shared, np.maximum(table.tokens - 1, 0))

    def rounded(tokens: Ints) -> Ints:
        seen: Ints = ((tokens + hidden) // block * block - hidden) // step * step
        return np.where(tokens >= np.maximum(minimums, 1), np.maximum(seen, 0), 0)

    read = rounded(usable)
    reasons = np.where((shared > 0) & (read == 0), LookupReason.BELOW_MINIMUM, reasons).astype(np.uint8)
    margins = np.where(at == NOTHING, 0, table.margins[paths.pieces[at]] if len(paths.pieces) else 0)
    doubts = doubts | np.where(
        (margins > 0) & (np.abs(usable - minimums) <= margins), Doubt.NEAR_MINIMUM, Doubt(0)
    ).astype(np.uint8)
    best_effort = ((table.flags & RequestFlag.BATCH) != 0) | (float(str(settings["chance"])) < 1)
    doubts[best_effort] |= np.uint8(Doubt.BEST_EFFORT)
    failed = (table.flags & RequestFlag.FAILED) != 0
    pieces = np.where(read > 0, _piece_at(table, read), NOTHING)
    ttl = whole_setting(settings, "write_ttl")
    written = np.where(failed, 0, np.maximum(rounded(sizes) - read, 0)) if ttl else np.zeros(table.n_requests, np.int64)
    writers = np.flatnonzero(written)
    n = table.n_requests
    return CacheOutcome(
        read_tokens=read,
        read_pieces=pieces,
        live_pieces=np.where(at == NOTHING, NOTHING, paths.pieces[at] if len(paths.pieces) else NOTHING),
        writers=np.full(n, NOTHING),
        idle_seconds=np.full(n, np.nan),
        written_tokens=written[:, None] if ttl else np.zeros((n, 0), np.int64),
        ttls=(ttl,) if ttl else (),
        write_offsets=np.concatenate(([0], np.cumsum(written > 0))),
        write_pieces=lasts[writers],
        write_ttls=np.full(len(writers), ttl),
        write_tokens=written[writers],
        lookup_offsets=np.concatenate(([0], np.cumsum(has_pieces & ~failed))),
        lookup_pieces=lasts[has_pieces & ~failed],
        lookup_reasons=reasons[has_pieces & ~failed],
        lookup_breakpoints=np.full(int((has_pieces & ~failed).sum()), NOTHING),
        refusals=np.where(failed, Refusal.FAILED, Refusal.NONE).astype(np.uint8),
        doubts=doubts,
        chance=float(str(settings["chance"])),
    )


def _piece_at(table: PromptTable, tokens: Ints) -> Ints:
    """Return the piece of each request that holds a number of tokens from the start."""
    sizes = np.diff(table.piece_offsets)
    owner = np.repeat(np.arange(table.n_requests), sizes)
    reached = np.bincount(owner, table.ends < tokens[owner], minlength=table.n_requests).astype(np.int64)
    pieces: Ints = table.piece_offsets[:-1] + np.minimum(reached, np.maximum(sizes - 1, 0))
    return pieces


def whole_setting(settings: Settings, name: str) -> int:
    """Return a setting that is a number of something."""
    value = settings[name]
    return int(value) if isinstance(value, int | float) else 0
