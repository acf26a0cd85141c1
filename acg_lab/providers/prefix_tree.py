"""The prefixes that some request writes, as a tree of chains, and for each request the longest that may be cached.

It follows from the prompts and breakpoints alone, whatever the cache does, so it is found for all requests at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acg_lab.providers.lookups import Places
from acg_lab.providers.outcomes import NOTHING
from acg_lab.providers.prompts import NO_NODE, Ints, PromptTable

__all__ = ["PrefixTree", "find_prefix_tree"]


@dataclass(frozen=True, eq=False)
class PrefixTree:
    """The prefixes that some request writes, numbered anew, as chains: a chain goes on as long as nothing branches off.

    A read of a prefix passes through the whole of each chain above its own. ``pieces`` end the prefixes ``numbers``;
    request i has ``bounds[i]:bounds[i + 1]``. Its candidate is the last of them that an earlier request may have
    written, so that no longer one can have an entry.
    """

    number_of: Ints  # by node, NO_NODE where nobody writes
    pieces: Ints
    numbers: Ints
    bounds: Ints
    candidates: Ints  # pieces, NOTHING for none
    candidate_numbers: Ints  # NO_NODE for none
    chain_of: list[int]
    depth: list[int]
    above: list[int]  # by chain, NO_NODE for the first

    def list_kept(self, request: int, entries: Sequence[Sequence[object]]) -> list[tuple[int, int]]:
        """Return the pieces and numbers of a request's prefixes that have entries, longest first."""
        part = slice(self.bounds[request], self.bounds[request + 1])
        pairs = zip(self.pieces[part][::-1].tolist(), self.numbers[part][::-1].tolist(), strict=True)
        return [pair for pair in pairs if entries[pair[1]]]


def find_prefix_tree(table: PromptTable, places: Places) -> PrefixTree:
    """Return the prefixes that the places write."""
    number_of = np.full(table.n_nodes, NO_NODE)
    nodes = table.nodes[places.pieces[places.writes]]
    number_of[nodes] = 0
    written = np.flatnonzero(number_of == 0)
    number_of[written] = np.arange(len(written))
    first_writer = np.zeros(len(written), np.int64)
    first_writer[number_of[nodes[::-1]]] = places.owner[places.writes][::-1]  # the last assignment counts
    numbers = number_of[table.nodes]
    pieces = np.flatnonzero(numbers != NO_NODE)
    numbers = numbers[pieces]
    bounds = np.searchsorted(pieces, table.piece_offsets)
    candidates, candidate_numbers = _find_candidates(pieces, numbers, bounds, first_writer)
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
    return PrefixTree(number_of, pieces, numbers, bounds, candidates, candidate_numbers, chain_of, depth, above)


def _find_candidates(pieces: Ints, numbers: Ints, bounds: Ints, first_writer: Ints) -> tuple[Ints, Ints]:
    """Return each request's last piece that ends a prefix which an earlier request may have written, and its number."""
    n = len(bounds) - 1
    if not len(pieces):
        return np.full(n, NOTHING), np.full(n, NO_NODE)
    reader = np.repeat(np.arange(n), bounds[1:] - bounds[:-1])
    at = np.flatnonzero(first_writer[numbers] < reader)
    last = np.full(n, NOTHING)
    last[reader[at]] = at  # rising, so the last assignment counts
    has_one = last != NOTHING
    return np.where(has_one, pieces[last], NOTHING), np.where(has_one, numbers[last], NO_NODE)
