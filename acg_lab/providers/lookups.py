"""Where each request looks for cache entries, and where it writes them.

Both breakpoint models come down to one table of places: a place is a piece, how far back a search from it goes, and
whether an entry is written there. What a request's own breakpoints and the provider's rules make of that is decided
here, for all requests at once.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from acg_lab.providers.outcomes import NOTHING, Refusal
from acg_lab.providers.prompts import AUTOMATIC_BY_DEFAULT, Ints, PieceKind, PromptTable, RequestFlag
from acg_lab.providers.rules import SettingValue

__all__ = ["Places", "find_boundaries", "find_breakpoints"]

Settings: TypeAlias = dict[str, SettingValue]
Bools: TypeAlias = NDArray[np.bool_]
# As plain numbers, since numpy takes 20 times as long to compare with an enum.
_FRAMING, _DEVELOPER, _USER = int(PieceKind.FRAMING), int(PieceKind.DEVELOPER), int(PieceKind.USER)
_TOOL_USE, _TOOL_RESULT = int(PieceKind.TOOL_USE), int(PieceKind.TOOL_RESULT)
_SERVER_TOOL_RESULT, _FAILED = int(PieceKind.SERVER_TOOL_RESULT), int(RequestFlag.FAILED)


@dataclass(frozen=True, eq=False)
class Places:
    """The places of every request: ``offsets`` (n_requests + 1), shortest prefix first; ``owner`` is whose each is.

    A search from place p takes the last live entry among pieces ``lows[p]`` to ``pieces[p]``.
    """

    offsets: Ints
    owner: Ints
    pieces: Ints
    lows: Ints
    ttls: Ints
    given: Ints  # the breakpoint of the table, or NOTHING
    writes: Bools
    refusals: NDArray[np.uint8]


def find_breakpoints(table: PromptTable, settings: Settings) -> Places:
    """Return the places of breakpoint caches: each breakpoint, searched backwards over a number of positions."""
    default, limit = _number(settings, "default_ttl"), _number(settings, "max_breakpoints")
    counted = table.breakpoint_offsets[1:] - table.breakpoint_offsets[:-1]
    owner = np.repeat(np.arange(table.n_requests), counted)
    ttls = np.where(table.breakpoint_ttls == 0, default, table.breakpoint_ttls)
    refusals = np.zeros(table.n_requests, np.uint8)
    breakpoints = _Breakpoints(owner, table.breakpoint_pieces, ttls, np.arange(len(owner)), np.ones(len(owner), bool))
    if settings["automatic_mode"]:
        breakpoints, added, conflict = _add_automatic(table, breakpoints, default)
        refusals[conflict] = int(Refusal.AUTOMATIC_CONFLICT)
        counted[added] += 1
    not_allowed = ~table.allows_breakpoint[table.breakpoint_pieces]
    refusals[owner[not_allowed]] = int(Refusal.BREAKPOINT_NOT_ALLOWED)
    rising = (breakpoints.owner[1:] == breakpoints.owner[:-1]) & (breakpoints.ttls[1:] > breakpoints.ttls[:-1])
    refusals[breakpoints.owner[1:][rising]] = int(Refusal.TTL_ORDER)
    refusals[counted > limit] = int(Refusal.TOO_MANY_BREAKPOINTS)
    if settings["server_tool_breakpoints"]:
        breakpoints = _add_server_tools(table, breakpoints, default)
    refusals[(table.flags & _FAILED) != 0] = int(Refusal.FAILED)
    positions = _positions(table, bool(settings["tool_runs_are_one_position"]))
    lows = np.searchsorted(positions, positions[breakpoints.pieces] - (_number(settings, "lookback") - 1))
    lows = np.maximum(lows, table.piece_offsets[breakpoints.owner])
    return Places(
        _offsets(breakpoints.owner, table.n_requests),
        breakpoints.owner,
        breakpoints.pieces,
        lows,
        breakpoints.ttls,
        breakpoints.given,
        breakpoints.writes,
        refusals,
    )


def find_boundaries(table: PromptTable, settings: Settings) -> Places:
    """Return the places of boundary caches: ends of eligible messages and explicit breakpoints, each searched alone."""
    starts, n = table.piece_offsets, table.n_requests
    owner = np.repeat(np.arange(n), np.diff(starts))
    given = np.full(len(table.nodes), NOTHING)
    given[table.breakpoint_pieces] = np.arange(len(table.breakpoint_pieces))
    explicit = given != NOTHING
    implicit_mode = (table.automatic_ttls != 0)[owner]
    eligible, developer_end = _eligible_ends(table, owner)
    eligible &= implicit_mode
    from_start, from_end = _ranks(explicit, owner, starts)
    _, message_rank = _ranks(eligible, owner, starts)
    looked_up = explicit & (
        (from_start < _number(settings, "first_explicit")) | (from_end < _number(settings, "latest_explicit"))
    )
    looked_up |= eligible & (message_rank <= _number(settings, "earlier_messages"))
    looked_up |= developer_end & implicit_mode
    implicit = eligible & (message_rank == 0)
    slots = _number(settings, "max_breakpoints") - implicit_mode
    # An implicit breakpoint on an explicit one is that piece's one breakpoint, and leaves its slot to no other.
    writes = implicit | (explicit & (from_end < slots))
    pieces = np.flatnonzero(looked_up | writes)
    ttls = np.full(len(pieces), _number(settings, "default_ttl"))
    own = table.automatic_ttls[owner[pieces]]
    ttls = np.where(own > 0, own, ttls)
    stated = np.where(explicit[pieces], table.breakpoint_ttls[given[pieces]] if len(table.breakpoint_ttls) else 0, 0)
    ttls = np.where(stated > 0, stated, ttls)
    refusals = np.where((table.flags & _FAILED) != 0, np.uint8(Refusal.FAILED), np.uint8(Refusal.NONE))
    refusals[owner[explicit & ~table.allows_breakpoint]] = int(Refusal.BREAKPOINT_NOT_ALLOWED)
    whose = owner[pieces]
    return Places(_offsets(whose, n), whose, pieces, pieces, ttls, given[pieces], writes[pieces], refusals)


@dataclass(frozen=True, eq=False)
class _Breakpoints:
    """Breakpoints of all requests, by request and piece."""

    owner: Ints
    pieces: Ints
    ttls: Ints
    given: Ints  # the breakpoint of the table, or NOTHING
    writes: Bools

    def add(self, owner: Ints, pieces: Ints, ttls: Ints) -> "_Breakpoints":
        """Return these and some of the provider's own, in order."""
        pieces = np.concatenate((self.pieces, pieces))
        order = np.argsort(pieces, kind="stable")
        return _Breakpoints(
            np.concatenate((self.owner, owner))[order],
            pieces[order],
            np.concatenate((self.ttls, ttls))[order],
            np.concatenate((self.given, np.full(len(owner), NOTHING)))[order],
            np.concatenate((self.writes, np.ones(len(owner), bool)))[order],
        )


def _add_automatic(table: PromptTable, breakpoints: _Breakpoints, default: int) -> tuple[_Breakpoints, Ints, Ints]:
    """Put a breakpoint on the last piece that allows one of each request that asks for it.

    Returns the breakpoints, which requests got one, and which already have one of another TTL there.
    """
    asked = table.automatic_ttls
    requests = np.flatnonzero((asked != 0) & (asked != AUTOMATIC_BY_DEFAULT))
    if not len(requests):
        return breakpoints, requests, requests
    pieces = _last(table.allows_breakpoint, table)[requests]
    requests, pieces = requests[pieces >= 0], pieces[pieces >= 0]
    ttls = np.where(asked[requests] > 0, asked[requests], default)
    held = np.searchsorted(breakpoints.pieces, pieces)
    there = np.zeros(len(pieces), bool)
    if len(breakpoints.pieces):
        at = np.minimum(held, len(breakpoints.pieces) - 1)
        there = breakpoints.pieces[at] == pieces
        clash = there & (breakpoints.ttls[at] != ttls)
    else:
        clash = there
    new = ~there
    return breakpoints.add(requests[new], pieces[new], ttls[new]), requests[new], requests[clash]


def _add_server_tools(table: PromptTable, breakpoints: _Breakpoints, default: int) -> _Breakpoints:
    """Put a breakpoint on the last server tool result of each request that has a breakpoint at all."""
    results = (table.kinds == _SERVER_TOOL_RESULT) & table.allows_breakpoint
    if not results.any():
        return breakpoints
    requests = np.unique(breakpoints.owner)
    pieces = _last(results, table)[requests]
    new = (pieces >= 0) & ~np.isin(pieces, breakpoints.pieces)
    return breakpoints.add(requests[new], pieces[new], np.full(int(new.sum()), default))


def _last(mask: Bools, table: PromptTable) -> Ints:
    """Return the last piece of each request for which the mask holds, else NOTHING."""
    before = np.concatenate(([NOTHING], np.maximum.accumulate(np.where(mask, np.arange(len(mask)), NOTHING))))
    last = before[table.piece_offsets[1:]]
    return np.where(last >= table.piece_offsets[:-1], last, NOTHING)


def _positions(table: PromptTable, runs_are_one: bool) -> Ints:  # noqa: FBT001
    """Return a position number for each piece, rising through the whole table."""
    kinds = table.kinds
    steps = kinds != _FRAMING
    if runs_are_one and len(kinds):
        in_run = (kinds[1:] == kinds[:-1]) & ((kinds[1:] == _TOOL_USE) | (kinds[1:] == _TOOL_RESULT))
        steps[1:] &= ~in_run
        starts = table.piece_offsets[:-1]
        steps[starts[starts < len(steps)]] = True
    return np.cumsum(steps)


def _eligible_ends(table: PromptTable, owner: Ints) -> tuple[Bools, Bools]:
    """Return which pieces end an eligible message, and which of them end the first run of developer messages."""
    kinds, messages = table.kinds, table.messages
    last = np.ones(len(kinds), bool)
    last[:-1] = owner[1:] != owner[:-1]
    next_kind = np.concatenate((kinds[1:], kinds[:1]))
    next_message = np.concatenate((messages[1:], messages[:1]))
    user = (kinds == _USER) & (last | (next_message != messages))
    tool = (kinds == _TOOL_RESULT) & (last | (next_kind != _TOOL_RESULT))
    developer = (kinds == _DEVELOPER) & (last | (next_kind != _DEVELOPER))
    from_start, _ = _ranks(developer, owner, table.piece_offsets)
    developer &= from_start == 0
    return user | tool | developer, developer


def _ranks(mask: Bools, owner: Ints, starts: Ints) -> tuple[Ints, Ints]:
    """Return, for each piece of the mask, how many of its request's come before and how many after."""
    counts = np.concatenate(([0], np.cumsum(mask)))
    before = counts[:-1] - counts[starts[owner]]
    after = counts[starts[owner + 1]] - counts[1:]
    return before, after


def _offsets(owner: Ints, n: int) -> Ints:
    """Return where the entries of each request begin; ``owner`` rises."""
    return np.searchsorted(owner, np.arange(n + 1))


def _number(settings: Settings, name: str) -> int:
    value = settings[name]
    return int(value) if isinstance(value, int | float) else 0
