"""Breakpoints of requests that a repair sends otherwise: more of them, with another TTL, or automatic ones."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.markers import UNSTATED
from acg_lab.providers.prompts import BreakpointOrigin, PieceKind
from acg_lab.simulation.breakpoints import Breakpoints
from acg_lab.simulation.requests import RecordedRequests, gather

__all__ = ["send_otherwise"]

Ints = NDArray[np.int64]
_MOST: Final = 4  # breakpoints that Anthropic takes in one request
_AUTOMATIC_TTL: Final = 300
_INSTRUCTIONS: Final = (PieceKind.SYSTEM, PieceKind.DEVELOPER)


def send_otherwise(requests: RecordedRequests, breakpoints: Breakpoints) -> Breakpoints:
    """Return breakpoints with what repairs change; a breakpoint that would be the fifth of a request is left out."""
    automatic = breakpoints.automatic_ttls.copy()
    anthropic = requests.api_names.index("anthropic")
    places = _find_places(requests)
    added: list[int] = []
    refused = breakpoints.refused
    for row, otherwise in requests.sendings.items():
        mine = set(breakpoints.pieces[breakpoints.offsets[row] : breakpoints.offsets[row + 1]].tolist())
        if otherwise.sending.automatic and automatic[row] <= 0 and requests.apis[row] == anthropic:
            if len(mine) < _MOST:
                automatic[row] = _AUTOMATIC_TTL
            else:
                refused += 1
        n_more = 0
        named = (places[place].get(row) for place in otherwise.sending.breakpoints)
        for piece in dict.fromkeys(piece for piece in named if piece is not None):
            if piece not in mine and len(mine) + n_more + (automatic[row] > 0) < _MOST:
                added.append(piece)
                n_more += 1
            elif piece not in mine:
                refused += 1
    return _with_ttls(requests, _merged(requests, breakpoints, np.array(added, np.int64), automatic, refused))


Place = tuple[str, int]


def _find_places(requests: RecordedRequests) -> dict[Place, dict[int, int]]:
    """Return for each place that repairs name the piece that takes a further breakpoint there, by request."""
    rows: dict[Place, list[int]] = {}
    for row, otherwise in requests.sendings.items():
        for place in otherwise.sending.breakpoints:
            rows.setdefault(place, []).append(row)
    return {place: _find_last(requests, place, np.array(of_place, np.int64)) for place, of_place in rows.items()}


def _find_last(requests: RecordedRequests, place: Place, rows: Ints) -> dict[int, int]:
    """Return the last piece of a place that may take a breakpoint, by request; requests without one are left out."""
    name, index = place
    bounds, pieces = gather(requests.piece_offsets, rows)
    kinds, messages = requests.kinds[pieces], requests.messages[pieces].astype(np.int64)
    owner = np.repeat(np.arange(len(rows)), np.diff(bounds))
    numbered = np.zeros(len(rows), np.int64)
    np.maximum.at(numbered, owner, messages + 1)
    n_messages = np.array([requests.sendings[row].n_messages for row in rows.tolist()], np.int64)
    lifted = np.maximum(n_messages - numbered, 0)  # system messages that the body has in its system prompt

    def count(chosen: NDArray[np.bool_]) -> Ints:
        """Return how many pieces of the same request are chosen up to each piece."""
        total = np.concatenate(([0], np.cumsum(chosen)))
        return total[1:] - total[bounds[owner]]

    is_system, is_tool = kinds == PieceKind.SYSTEM, kinds == PieceKind.TOOL
    is_instruction = np.isin(kinds, _INSTRUCTIONS)
    own = (np.bincount(owner[is_system], minlength=len(rows)) - lifted)[owner]
    is_lifted = index < lifted[owner]
    fits = {
        "system": is_instruction & (count((messages >= 0) & ~is_instruction) == 0),
        "tools": is_tool,
        "last_message": np.ones(len(pieces), bool),
        "instructions": is_system & (count(is_system) <= own),
        "tool": is_tool & (count(is_tool) == index + 1),
        "message": np.where(
            is_lifted, is_system & (count(is_system) == own + index + 1), messages == index - lifted[owner]
        ),
    }[name]
    at = np.flatnonzero(fits & requests.allows_breakpoint[pieces])
    last = np.searchsorted(at, bounds[1:]) - 1
    has = np.flatnonzero((last >= 0) & (np.append(at, -1)[last] >= bounds[:-1]))
    return dict(zip(rows[has].tolist(), pieces[at[last[has]]].tolist(), strict=True))


def _merged(
    requests: RecordedRequests, breakpoints: Breakpoints, added: Ints, automatic: Ints, refused: int
) -> Breakpoints:
    pieces = np.concatenate((breakpoints.pieces, added))
    order = np.argsort(pieces, kind="stable")
    pieces = pieces[order]
    return replace(
        breakpoints,
        offsets=np.searchsorted(pieces, requests.piece_offsets),
        pieces=pieces,
        ttls=np.concatenate((breakpoints.ttls, np.full(len(added), UNSTATED)))[order],
        origins=np.concatenate((breakpoints.origins, np.full(len(added), BreakpointOrigin.OWN, np.uint8)))[order],
        automatic_ttls=automatic,
        refused=refused,
    )


def _with_ttls(requests: RecordedRequests, breakpoints: Breakpoints) -> Breakpoints:
    """Return breakpoints of which those of some requests ask for another TTL."""
    asked = np.zeros(len(requests), np.int64)
    for row, otherwise in requests.sendings.items():
        asked[row] = otherwise.sending.ttl
    of_piece = asked[requests.request_of_piece[breakpoints.pieces]]
    automatic = breakpoints.automatic_ttls
    return replace(
        breakpoints,
        ttls=np.where(of_piece > 0, of_piece, breakpoints.ttls),
        automatic_ttls=np.where((asked > 0) & (automatic > 0), asked, automatic),
    )
