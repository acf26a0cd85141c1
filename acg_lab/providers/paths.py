"""Prompts as paths of nodes, with the places inside pieces where prompts part.

Unit and block caches share any common beginning, so their walk needs every point where two prompts part, not just the
ends of pieces.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from acg_lab.providers.prompts import NO_NODE, Ints, PromptTable

__all__ = ["Paths", "find_paths"]

_ROUNDING: Final = 1e-9  # a share is a quotient: 7 of 25 tokens must not become 6


@dataclass(frozen=True, eq=False)
class Paths:
    """Each request's nodes from the first token on; request i has ``offsets[i]:offsets[i + 1]``.

    ``ends`` are the tokens of each node's prefix, ``pieces`` the piece that it lies in (or ends). ``parents`` (n_nodes)
    holds the node before each, `NO_NODE` at the start of a prompt and for nodes on no path.
    """

    offsets: Ints
    nodes: Ints
    ends: Ints
    pieces: Ints
    parents: Ints


def find_paths(table: PromptTable) -> Paths:
    """Return the path of each request, with inner nodes where the table has branches."""
    n_pieces = len(table.nodes)
    starts = np.concatenate(([0], table.ends[:-1])) if n_pieces else table.ends
    firsts = table.piece_offsets[:-1]
    starts[firsts[firsts < n_pieces]] = 0
    branches = table.branches
    if branches is None:
        nodes, ends, pieces, offsets = table.nodes, table.ends, np.arange(n_pieces), table.piece_offsets
    else:
        low, high = branches.offsets[table.nodes], branches.offsets[table.nodes + 1]
        lengths = high - low + 1  # the inner nodes, then the piece's own
        total = np.concatenate(([0], np.cumsum(lengths)))
        pieces = np.repeat(np.arange(n_pieces), lengths)
        within = np.arange(total[-1]) - total[pieces]
        inner = within < lengths[pieces] - 1
        at = (low[pieces] + within)[inner]
        nodes, ends = table.nodes[pieces], table.ends[pieces]
        nodes[inner] = branches.nodes[at]
        sizes = (table.ends - starts)[pieces[inner]]
        ends[inner] = starts[pieces[inner]] + np.floor(branches.shares[at] * sizes + _ROUNDING).astype(np.int64)
        offsets = total[table.piece_offsets]
    parents = np.full(table.n_nodes, NO_NODE)
    if len(nodes):
        before = np.concatenate(([NO_NODE], nodes[:-1]))
        first = offsets[:-1]
        before[first[first < len(nodes)]] = NO_NODE
        parents[nodes] = before
    return Paths(offsets, nodes, ends, pieces, parents)
