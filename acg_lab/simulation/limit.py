"""The limit: what a cache could have read at best, had every breakpoint been placed with the future known.

Each prefix is written once and read for as long as requests that hold it follow within the TTL; where reads would not
pay for the write, it stays uncached. There is no limit to the number of breakpoints or to the look-back. The provider's
minimum and TTLs hold. No placement of breakpoints costs less.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.providers.matching import find_minimums, run_cache
from acg_lab.providers.prompts import PromptTable, RequestFlag
from acg_lab.providers.rules import CacheProvider, SettingValue

__all__ = ["LimitTokens", "find_limit"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_SECOND: Final = 10**9
# For models without a known price the choice still needs one; these are the commonest.
_READ: Final = 0.1
_WRITES: Final = {300: 1.25}


class LimitTokens(NamedTuple):
    """Tokens of each request at the limit: read, and written by TTL in seconds."""

    read: Ints
    written: dict[int, Ints]


def find_limit(table: PromptTable, provider: CacheProvider) -> LimitTokens:
    """Return what each request of a table would have read and written at the limit."""
    if provider.matching in ("block", "unit"):
        return _limit_without_breakpoints(table, provider)
    n = table.n_requests
    owner = np.repeat(np.arange(n), np.diff(table.piece_offsets))
    reaches = table.ends >= find_minimums(table, provider)[owner]
    reaches &= (table.flags[owner] & RequestFlag.FAILED) == 0
    pieces = np.flatnonzero(reaches)
    if not len(pieces):
        return LimitTokens(np.zeros(n, np.int64), {})
    of = owner[pieces]
    is_first = np.concatenate(([True], of[1:] != of[:-1]))
    before = np.where(is_first, 0, table.ends[pieces - 1])
    order = np.argsort(table.nodes[pieces], kind="stable")
    pieces, of, tokens = pieces[order], of[order], (table.ends[pieces] - before)[order].astype(float)
    read = np.zeros(n)
    written: dict[int, Floats] = {}
    for model in np.unique(table.models[of]).tolist():
        mine = table.models[of] == model
        rates = provider.multipliers_of(table.model_names[model])
        reads, writes = (rates.read, dict(rates.writes)) if rates is not None else (_READ, _WRITES)
        chosen = _choose(table.nodes[pieces[mine]], table.started[of[mine]], tokens[mine], reads, writes or _WRITES)
        np.add.at(read, of[mine], np.where(chosen == _IS_READ, tokens[mine], 0.0))
        for ttl in writes or _WRITES:
            total = written.setdefault(ttl, np.zeros(n))
            np.add.at(total, of[mine], np.where(chosen == ttl, tokens[mine], 0.0))
    return LimitTokens(read.astype(np.int64), {ttl: total.astype(np.int64) for ttl, total in written.items()})


_IS_READ: Final = -1
_UNCACHED: Final = 0


def _choose(nodes: Ints, started: Ints, tokens: Floats, read: float, writes: dict[int, float]) -> Ints:
    """Return what becomes of each occurrence of a prefix: read, left uncached, or written with a TTL.

    Occurrences are by prefix, then time. Those within the shortest TTL of each other are a burst. A burst is left
    alone, or written by its first and read by the others. From some burst on an entry of the longest TTL may serve all
    that follow.
    """
    short, long = min(writes), max(writes)
    new_node = np.concatenate(([True], nodes[1:] != nodes[:-1]))
    gaps = np.concatenate(([0], np.diff(started)))
    new_burst = new_node | (gaps > short * _SECOND)
    new_chain = new_node | (gaps > long * _SECOND)
    bursts = np.flatnonzero(new_burst)
    total = np.add.reduceat(tokens, bursts)
    first = tokens[bursts]
    cached = writes[short] * first + read * (total - first)
    pays = cached < total
    cost = np.where(pays, cached, total)
    burst_of = np.cumsum(new_burst) - 1
    chosen = np.where(pays[burst_of], np.where(new_burst, short, _IS_READ), _UNCACHED)
    if long == short:
        return chosen
    begins = _first_long_burst(new_chain[bursts], cost, total, first, read, writes[long])
    chain_of = np.cumsum(new_chain[bursts]) - 1
    start = begins[chain_of]
    by_long = (start >= 0) & (np.arange(len(bursts)) >= start)
    is_writer = new_burst & (np.arange(len(bursts)) == start)[burst_of]
    return np.where(by_long[burst_of], np.where(is_writer, long, _IS_READ), chosen)


def _first_long_burst(
    new_chain: NDArray[np.bool_], cost: Floats, total: Floats, first: Floats, read: float, write: float
) -> Ints:
    """Return the burst of each chain from which on an entry of the longest TTL is cheapest, -1 for none."""
    chains = np.flatnonzero(new_chain)
    ends = np.append(chains[1:], len(cost))
    chain_of = np.cumsum(new_chain) - 1
    costs, totals = np.concatenate(([0.0], np.cumsum(cost))), np.concatenate(([0.0], np.cumsum(total)))
    at = np.arange(len(cost))
    remaining = totals[ends[chain_of]] - totals[at]
    # What is paid from this burst to the end of the chain, less what would be paid without the longer entry.
    difference = write * first + read * (remaining - first) - (costs[ends[chain_of]] - costs[at])
    best = np.minimum.reduceat(difference, chains)
    at_best = np.where(difference == best[chain_of], at, len(cost))
    return np.where(best < -1e-9, np.minimum.reduceat(at_best, chains), -1)  # noqa: PLR2004 - rounding


def _limit_without_breakpoints(table: PromptTable, provider: CacheProvider) -> LimitTokens:
    """Where nothing is placed, the limit is a cache that holds every prompt at once."""
    known = provider.settings
    kindest: dict[str, SettingValue] = {"visible_at": "start", "missing_time": "start", "capacity_blocks": 0}
    outcome = run_cache(table, provider.with_settings(**{k: v for k, v in kindest.items() if k in known}))
    written = {ttl: outcome.written_tokens[:, i] for i, ttl in enumerate(outcome.ttls)}
    return LimitTokens(outcome.read_tokens, written)
