"""Recorded requests as the tables that the matching models read: one for each provider's requests.

Tables are views of the requests: made when they are read, never kept, since they are larger than all that is learned
from them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from acg_lab.providers.matching import run_cache
from acg_lab.providers.outcomes import CacheOutcome
from acg_lab.providers.prompts import NO_NODE, Branches, PieceKind, PromptTable, join_branches
from acg_lab.providers.rules import CacheProvider
from acg_lab.simulation.breakpoints import Breakpoints
from acg_lab.simulation.requests import RecordedRequests, gather
from acg_lab.simulation.sizes import Sizes

__all__ = ["CacheRun", "run_caches"]

Ints = NDArray[np.int64]
_MOST_ROWS: Final = 50_000  # what keeps the memory of one pass small
_ANSWERS = (PieceKind.ASSISTANT, PieceKind.THINKING, PieceKind.TOOL_USE)


@dataclass(frozen=True, eq=False)
class TableParts:
    """What all tables of one provider's requests have in common, whatever breakpoints they carry.

    ``rows`` are requests of the whole history, in the order of the tables.
    """

    provider: CacheProvider
    rows: Ints
    offsets: Ints
    nodes: NDArray[np.int32]
    answers: Ints
    branches: Branches | None


@dataclass(frozen=True, eq=False)
class CacheRun:
    """One provider's requests, and what its cache did with them."""

    requests: RecordedRequests
    parts: TableParts
    sizes: Sizes
    breakpoints: Breakpoints
    outcome: CacheOutcome

    @property
    def provider(self) -> CacheProvider:
        """Whose cache it was."""
        return self.parts.provider

    @property
    def rows(self) -> Ints:
        """The requests, as rows of the whole history."""
        return self.parts.rows

    @property
    def pieces(self) -> Ints:
        """The piece of the whole history that each piece of the table is."""
        return gather(self.requests.piece_offsets, self.rows)[1]

    @property
    def table(self) -> PromptTable:
        """The requests as their cache met them, made anew."""
        return _make_table(self.requests, self.parts, self.sizes, self.breakpoints)


def split_requests(
    requests: RecordedRequests, providers: NDArray[np.int64], values: tuple[CacheProvider, ...]
) -> Iterator[TableParts]:
    """Yield the requests of each provider; those without a recorded request or a provider are left out."""
    recorded = np.diff(requests.piece_offsets) > 0
    for code, provider in enumerate(values):
        of_provider = np.flatnonzero((providers == code) & recorded)
        for rows in requests.by_scope(of_provider, _MOST_ROWS) if len(of_provider) else ():
            offsets, pieces = gather(requests.piece_offsets, rows)
            _, nodes = np.unique(requests.nodes[pieces], return_inverse=True)
            nodes = nodes.reshape(-1)
            shares_inside = provider.matching in ("block", "unit")
            yield TableParts(
                provider,
                rows,
                offsets,
                nodes.astype(np.int32),
                _find_answers(requests, rows, offsets, nodes, pieces),
                _find_branches(requests, nodes, pieces, offsets) if shares_inside else None,
            )


def run_caches(
    requests: RecordedRequests, parts: tuple[TableParts, ...], sizes: Sizes, breakpoints: Breakpoints
) -> list[CacheRun]:
    """Run every provider's requests through its cache."""
    runs: list[CacheRun] = []
    for one in parts:
        outcome = run_cache(_make_table(requests, one, sizes, breakpoints), one.provider)
        runs.append(CacheRun(requests, one, sizes, breakpoints, outcome))
    return runs


def _make_table(requests: RecordedRequests, parts: TableParts, sizes: Sizes, breakpoints: Breakpoints) -> PromptTable:
    rows = parts.rows
    pieces = gather(requests.piece_offsets, rows)[1]
    breakpoint_offsets, chosen = gather(breakpoints.offsets, rows)
    shift = parts.offsets[:-1] - requests.piece_offsets[rows]
    return PromptTable(
        piece_offsets=parts.offsets,
        nodes=parts.nodes.astype(np.int64),
        ends=sizes.ends[pieces],
        margins=sizes.margins[pieces],
        kinds=requests.kinds[pieces],
        messages=requests.messages[pieces].astype(np.int64),
        allows_breakpoint=requests.allows_breakpoint[pieces],
        tokens=sizes.tokens[rows],
        started=requests.started[rows],
        first_token=requests.first_token[rows],
        ended=requests.ended[rows],
        models=requests.models[rows],
        model_names=requests.model_names,
        breakpoint_offsets=breakpoint_offsets,
        breakpoint_pieces=breakpoints.pieces[chosen] + np.repeat(shift, np.diff(breakpoint_offsets)),
        breakpoint_ttls=breakpoints.ttls[chosen],
        breakpoint_origins=breakpoints.origins[chosen],
        automatic_ttls=breakpoints.automatic_ttls[rows],
        flags=requests.flags[rows],
        answers=parts.answers,
        branches=parts.branches,
    )


def _find_answers(requests: RecordedRequests, rows: Ints, offsets: Ints, nodes: Ints, pieces: Ints) -> Ints:
    """Return the node of each prompt with its answer, where the next request of the run repeats both."""
    answers = np.full(len(rows), NO_NODE, np.int64)
    run = requests.runs[rows]
    order = np.argsort(run, kind="stable")
    same = run[order][:-1] == run[order][1:]
    first, following = order[:-1][same], order[1:][same]
    last = offsets[first + 1] - 1
    begin = offsets[following] + (offsets[first + 1] - offsets[first])
    fits = begin < offsets[following + 1]
    first, following, last, begin = first[fits], following[fits], last[fits], begin[fits]
    kinds, messages = requests.kinds[pieces], requests.messages[pieces]
    goes_on = (nodes[begin - 1] == nodes[last]) & np.isin(kinds[begin], _ANSWERS)
    first, following, begin = first[goes_on], following[goes_on], begin[goes_on]
    end = begin.copy()
    while True:
        ahead = end + 1
        inside = ahead < offsets[following + 1]
        inside[inside] = messages[ahead[inside]] == messages[begin[inside]]
        if not inside.any():
            break
        end[inside] += 1
    answers[first] = nodes[end]
    return answers


def _find_branches(requests: RecordedRequests, nodes: Ints, pieces: Ints, offsets: Ints) -> Branches:
    """Return where prompts part inside a piece."""
    _, at = np.unique(nodes, return_index=True)
    is_first = np.zeros(len(nodes), bool)
    is_first[offsets[:-1]] = True
    # Prompts of different scopes or models share nothing, however alike their first pieces are.
    parents = np.where(is_first[at], len(at) + _roots(requests, pieces[at]), nodes[at - 1])
    texts = [requests.texts[code] for code in requests.contents[pieces[at]].tolist()]
    return join_branches(parents, texts)


def _roots(requests: RecordedRequests, pieces: Ints) -> Ints:
    """Return a number for what each piece's prompt starts from."""
    owner = requests.request_of_piece[pieces]
    key = np.stack((requests.scopes[owner], requests.models[owner], requests.parameters[owner]))
    _, code = np.unique(key, axis=1, return_inverse=True)
    return code.reshape(-1)
