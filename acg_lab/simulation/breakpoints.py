"""Which breakpoints the requests of a simulation carry: those that were sent, or those of another policy."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.errors import UsageError
from acg_lab.core.markers import UNSTATED
from acg_lab.providers.prompts import BreakpointOrigin, PieceKind
from acg_lab.simulation.plans import Plans
from acg_lab.simulation.requests import RecordedRequests

__all__ = ["POLICIES", "Breakpoints", "PromptView", "choose_breakpoints", "governor_acts"]

Ints = NDArray[np.int64]
POLICIES: Final = ("sent", "planned", "automatic", "none")
_AUTOMATIC_TTL: Final = 300


@dataclass(frozen=True, eq=False)
class Breakpoints:
    """Breakpoints of every request, in prompt order: request i has ``offsets[i]:offsets[i + 1]``.

    ``pieces`` are pieces of all requests, ``ttls`` seconds (0: unstated), ``origins`` `BreakpointOrigin`.
    ``automatic_ttls`` is per request, as in `acg_lab.providers.PromptTable`. ``refused`` counts requests that would
    have carried more than four, of which the planned ones are left out.
    """

    offsets: Ints
    pieces: Ints
    ttls: Ints
    origins: NDArray[np.uint8]
    automatic_ttls: Ints
    refused: int = 0


class PromptView(NamedTuple):
    """What a policy of your own sees of one request: one entry per piece, and when it was sent.

    ``kinds`` are `PieceKind`, ``messages`` the number of the message or -1, ``ends`` the tokens of the prefix that ends
    with the piece, ``allows_breakpoint`` whether a breakpoint may stand there.
    ``started`` is in nanoseconds since 1970, UTC.

    Examples
    --------
    A policy that marks the end of the first message:

    >>> def mark_first_message(view: PromptView) -> list[int]:
    ...     return np.flatnonzero((view.messages == 0) & view.allows_breakpoint)[-1:].tolist()
    """

    agent_id: str
    run_id: str
    model: str
    started: int
    kinds: NDArray[np.uint8]
    messages: NDArray[np.int32]
    ends: Ints
    allows_breakpoint: NDArray[np.bool_]


Policy = Callable[[PromptView], Iterable["int | tuple[int, int]"]]


def governor_acts(requests: RecordedRequests) -> bool:
    """Whether the bills show that something places breakpoints that the application does not send.

    Only requests without breakpoints of their own, on the Messages API, can show it: without a breakpoint nothing is
    written.
    """
    has_own = np.zeros(len(requests), bool)
    has_own[requests.request_of_piece[requests.own_breakpoints >= 0]] = True
    silent = ~has_own & (requests.automatic_ttls <= 0) & (requests.apis == requests.api_names.index("anthropic"))
    return bool(np.any(silent & (requests.write > 0)))


def choose_breakpoints(
    requests: RecordedRequests,
    policy: "str | Policy",
    plans: Plans | None,
    ends: Ints | None = None,
    *,
    recorded_plans: Plans | None = None,
) -> Breakpoints:
    """Return the breakpoints of every request under a policy.

    Parameters
    ----------
    requests : RecordedRequests
    policy : {"sent", "planned", "automatic", "none"} or callable
        A callable gets a `PromptView`, and returns pieces of it, each alone or with a TTL in seconds.
    plans : Plans or None
        What the governor planned; None where it does not act.
    ends : per piece, optional
        Sizes, for a callable.
    recorded_plans : Plans, optional
        What the governor planned as it ran. A runtime that binds a scope records requests with its breakpoints in them:
        those that stand where it planned them are not the application's.

    Raises
    ------
    UsageError
        If the policy is unknown, or a callable returns something else.
    """
    if callable(policy):
        return _ask(requests, policy, ends)
    if policy not in POLICIES:
        names = ", ".join(map(repr, (*POLICIES, "limit")))
        msg = f"The 'breakpoints' option must be one of {names}, or callable; got {policy!r}."
        raise UsageError(msg)
    nothing = np.zeros(0, np.int64)
    own = np.flatnonzero(requests.own_breakpoints >= 0) if policy == "sent" else nothing
    if recorded_plans is not None and len(own):
        is_raw = requests.raw[requests.request_of_piece[own]]
        own = own[is_raw | ~np.isin(own, recorded_plans.pieces) | (requests.own_breakpoints[own] != UNSTATED)]
    planned = plans.pieces if plans is not None and policy in ("sent", "planned") else nothing
    automatic = requests.automatic_ttls
    if policy == "automatic":
        automatic = np.where(automatic > 0, automatic, _AUTOMATIC_TTL)
    elif policy != "sent":
        automatic = np.zeros_like(automatic)
    return _merge(requests, own, planned, automatic)


def _merge(requests: RecordedRequests, own: Ints, planned: Ints, automatic: Ints) -> Breakpoints:
    """Put own and planned breakpoints together; a planned one replaces an own one at the same place."""
    owner = requests.request_of_piece
    own = own[~np.isin(own, planned)]
    total = np.bincount(owner[own], minlength=len(requests)) + (automatic > 0)
    with_plans = total + np.bincount(owner[planned], minlength=len(requests))
    refused = with_plans > _MOST
    planned = planned[~refused[owner[planned]]] if len(planned) else planned
    pieces = np.concatenate((own, planned))
    ttls = np.concatenate((requests.own_breakpoints[own].astype(np.int64), np.full(len(planned), UNSTATED)))
    origins = np.repeat(np.array([BreakpointOrigin.OWN, BreakpointOrigin.PLANNED], np.uint8), (len(own), len(planned)))
    return _in_order(requests, pieces, ttls, origins, automatic, int(np.count_nonzero(refused & (total <= _MOST))))


_MOST: Final = 4


def _in_order(
    requests: RecordedRequests, pieces: Ints, ttls: Ints, origins: NDArray[np.uint8], automatic: Ints, refused: int
) -> Breakpoints:
    order = np.argsort(pieces, kind="stable")
    pieces = pieces[order]
    bounds = np.searchsorted(pieces, requests.piece_offsets)
    return Breakpoints(bounds, pieces, ttls[order], origins[order], automatic, refused)


def _ask(requests: RecordedRequests, policy: Policy, ends: Ints | None) -> Breakpoints:
    pieces: list[int] = []
    ttls: list[int] = []
    bounds = requests.piece_offsets.tolist()
    sizes = np.zeros(len(requests.nodes), np.int64) if ends is None else ends
    for i, (begin, end) in enumerate(itertools.pairwise(bounds)):
        of = slice(begin, end)
        view = PromptView(
            requests.agent_ids[requests.agents[i]],
            requests.run_ids[requests.runs[i]],
            requests.model_names[requests.models[i]],
            int(requests.started[i]),
            requests.kinds[of],
            requests.messages[of],
            sizes[of],
            requests.allows_breakpoint[of],
        )
        chosen = sorted({_piece_and_ttl(one, end - begin) for one in _listed(policy(view))})
        pieces += [begin + piece for piece, _ in chosen]
        ttls += [ttl for _, ttl in chosen]
    origins = np.full(len(pieces), BreakpointOrigin.OWN, np.uint8)
    automatic = np.zeros(len(requests), np.int64)
    return _in_order(requests, np.array(pieces, np.int64), np.array(ttls, np.int64), origins, automatic, 0)


def _listed(chosen: object) -> Iterable[object]:
    if not isinstance(chosen, Iterable):
        msg = f"A callable for 'breakpoints' must return positions, [] for none; got {type(chosen).__name__}."
        raise UsageError(msg)
    return chosen


def _piece_and_ttl(one: object, n_pieces: int) -> tuple[int, int]:
    piece: Any
    ttl: Any
    piece, ttl = one if isinstance(one, tuple) and len(one) == 2 else (one, UNSTATED)  # noqa: PLR2004
    if not all(isinstance(value, int | np.integer) for value in (piece, ttl)) or not 0 <= int(piece) < n_pieces:
        msg = (
            f"A policy must return pieces of the request, from 0 to {n_pieces - 1}, each alone or with a TTL in "
            f"seconds; got {one!r}."
        )
        raise UsageError(msg)
    return int(piece), int(ttl)


def last_breakpoints(requests: RecordedRequests, breakpoints: Breakpoints) -> Ints:
    """Return the last breakpoint of each request up to which its bill counts, -1 where that is not known.

    Only caches with breakpoints bill so; where the provider chooses the place, it is the last block, if that was
    recorded.
    """
    last = np.full(len(requests), -1, np.int64)
    has = np.diff(breakpoints.offsets) > 0
    last[has] = breakpoints.pieces[breakpoints.offsets[1:][has] - 1]
    is_automatic = (breakpoints.automatic_ttls > 0) & (np.diff(requests.piece_offsets) > 0)
    owner = requests.request_of_piece
    last_allowed = np.full(len(requests), -1, np.int64)
    may = requests.allows_breakpoint & (requests.kinds != PieceKind.FRAMING)
    np.maximum.at(last_allowed, owner[may], np.flatnonzero(may))
    last = np.where(is_automatic, np.maximum(last, last_allowed), last)
    # OpenAI places one itself unless the body rules it out, at the end of a message that it chooses.
    is_implicit = (breakpoints.automatic_ttls < 0) & (requests.apis != requests.api_names.index("anthropic"))
    return np.where((requests.write >= 0) & ~(is_automatic & requests.cut) & ~is_implicit, last, -1)
