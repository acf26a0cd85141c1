"""Breakpoints of requests that a repair sends otherwise: more of them, with another TTL, or automatic ones."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.markers import UNSTATED
from acg_lab.providers.prompts import BreakpointOrigin, PieceKind
from acg_lab.simulation.breakpoints import Breakpoints
from acg_lab.simulation.requests import RecordedRequests, SentOtherwise

__all__ = ["send_otherwise"]

Ints = NDArray[np.int64]
_MOST: Final = 4  # breakpoints that Anthropic takes in one request
_AUTOMATIC_TTL: Final = 300
_INSTRUCTIONS: Final = (PieceKind.SYSTEM, PieceKind.DEVELOPER)


def send_otherwise(requests: RecordedRequests, breakpoints: Breakpoints) -> Breakpoints:
    """Return breakpoints with what repairs change; a breakpoint that would be the fifth of a request is left out."""
    automatic = breakpoints.automatic_ttls.copy()
    anthropic = requests.api_names.index("anthropic")
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
        for piece in dict.fromkeys(_pieces(requests, row, otherwise)):
            if piece not in mine and len(mine) + n_more + (automatic[row] > 0) < _MOST:
                added.append(piece)
                n_more += 1
            elif piece not in mine:
                refused += 1
    return _with_ttls(requests, _merged(requests, breakpoints, np.array(added, np.int64), automatic, refused))


def _pieces(requests: RecordedRequests, row: int, otherwise: SentOtherwise) -> list[int]:
    """Return the pieces that take a further breakpoint, by the places that a repair names."""
    begin, end = int(requests.piece_offsets[row]), int(requests.piece_offsets[row + 1])
    kinds, messages = requests.kinds[begin:end], requests.messages[begin:end]
    numbered = int(messages.max(initial=-1)) + 1
    lifted = max(otherwise.n_messages - numbered, 0)  # system messages that the body has in its system prompt
    is_system = kinds == PieceKind.SYSTEM
    follows = (messages >= 0) & ~np.isin(kinds, _INSTRUCTIONS)
    first = int(np.argmax(follows)) if follows.any() else end - begin
    own = int(is_system.sum()) - lifted
    found: list[int] = []
    for name, index in otherwise.sending.breakpoints:
        fits = {
            "system": np.isin(kinds, _INSTRUCTIONS) & (np.arange(end - begin) < first),
            "tools": kinds == PieceKind.TOOL,
            "last_message": np.ones(end - begin, bool),
            "instructions": is_system & (np.cumsum(is_system) <= own),
            "tool": _nth(kinds == PieceKind.TOOL, index),
            "message": messages == index - lifted if index >= lifted else _nth(is_system, own + index),
        }[name]
        at = np.flatnonzero(fits & requests.allows_breakpoint[begin:end])
        if len(at):
            found.append(begin + int(at[-1]))
    return found


def _nth(mask: NDArray[np.bool_], number: int) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = mask & (np.cumsum(mask) == number + 1)
    return found


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
