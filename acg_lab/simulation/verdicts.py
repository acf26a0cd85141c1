"""One verdict per request: what the cache did with it, and the one thing that decided.

A change of content is the verdict only if the request that was changed could have been read had it not been. Otherwise,
and for what was missed though nothing changed, the verdict is mechanical: where breakpoints stood, what was written,
how much time had passed. What usage contradicts is ``unexplained``, never dressed up.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.planner import PlanReason
from acg_lab.providers.outcomes import NOTHING, LookupReason
from acg_lab.providers.prompts import PieceKind
from acg_lab.simulation.columns import SimulatedHistory
from acg_lab.simulation.plans import REASONS

__all__ = ["VERDICTS", "Verdict", "Verdicts", "judge_requests"]

Ints = NDArray[np.int64]
NOT_ANY: Final = -1
_ALIKE: Final = 0.25  # of a prompt that shares no beginning with its reference: less in common is another prompt
_SLIGHT: Final = 0.01
_AT_MOST: Final = 64  # a miss of less than this share of what is shared, in tokens at most, does not count


class Verdict(StrEnum):
    """What the provider's cache did with a request, and why; `message` explains it to a user.

    Examples
    --------
    >>> Verdict("expired").message
    'The entry was not used for longer than it lives.'
    """

    HIT = "hit"
    FIRST_SEEN = "first_seen"
    MODEL_CHANGED = "model_changed"
    SCOPE_CHANGED = "scope_changed"
    TOOLS_CHANGED = "tools_changed"
    SYSTEM_CHANGED = "system_changed"
    PARAMETERS_CHANGED = "parameters_changed"
    HISTORY_CHANGED = "history_changed"
    BELOW_MINIMUM = "below_minimum"
    NO_BREAKPOINT = "no_breakpoint"
    BREAKPOINT_SHORT = "breakpoint_short"
    NOT_WRITTEN = "not_written"
    LOOKBACK_EXCEEDED = "lookback_exceeded"
    BOUNDARY_ABSENT = "boundary_absent"
    IN_FLIGHT = "in_flight"
    EXPIRED = "expired"
    UNEXPLAINED = "unexplained"
    REQUEST_NOT_RECORDED = "request_not_recorded"
    READ_MORE_THAN_RECORDED = "read_more_than_recorded"
    FAILED = "failed"

    @property
    def message(self) -> str:
        """One sentence for a user."""
        return _MESSAGES[self]


_MESSAGES: Final = {
    Verdict.HIT: "The cache read all that this request shares with earlier ones.",
    Verdict.FIRST_SEEN: "No earlier request begins like this one.",
    Verdict.MODEL_CHANGED: "Another model has a cache of its own.",
    Verdict.SCOPE_CHANGED: "The request before went to another account, workspace or cache key.",
    Verdict.TOOLS_CHANGED: "The tools differ from those of the request before, in content or order.",
    Verdict.SYSTEM_CHANGED: "The system prompt differs from that of the request before.",
    Verdict.PARAMETERS_CHANGED: "A parameter that is part of the cached prefix changed; the texts did not.",
    Verdict.HISTORY_CHANGED: "An earlier message was edited, dropped, inserted, or sent in another shape.",
    Verdict.BELOW_MINIMUM: "The shared prefix is shorter than the shortest that the model caches.",
    Verdict.NO_BREAKPOINT: "The request has no breakpoint, so nothing was looked up.",
    Verdict.BREAKPOINT_SHORT: "The last breakpoint ends before the shared or changed part does.",
    Verdict.NOT_WRITTEN: "The request looked here, but no earlier request wrote an entry here.",
    Verdict.LOOKBACK_EXCEEDED: "A live entry lies further back from the breakpoint than the provider looks.",
    Verdict.BOUNDARY_ABSENT: "A live entry ends where this request has no boundary.",
    Verdict.IN_FLIGHT: "The entry was being written by a request whose answer had not begun.",
    Verdict.EXPIRED: "The entry was not used for longer than it lives.",
    Verdict.UNEXPLAINED: "The bill is not what the rules promise: eviction, routing, or what the record lacks.",
    Verdict.REQUEST_NOT_RECORDED: "The request itself was not recorded.",
    Verdict.READ_MORE_THAN_RECORDED: "More was read than any recorded request could have written.",
    Verdict.FAILED: "The request was answered by an error.",
}
VERDICTS: Final = tuple(Verdict)
_CODE: Final = {verdict: code for code, verdict in enumerate(VERDICTS)}
_YOUNG: Final = (
    PlanReason.NOTHING_LEARNED,
    PlanReason.ONE_OBSERVATION,
    PlanReason.FINGERPRINT,
    PlanReason.NOT_WORTH_IT,
)
_BY_REASON: Final = {
    LookupReason.IN_FLIGHT: Verdict.IN_FLIGHT,
    LookupReason.EXPIRED: Verdict.EXPIRED,
    LookupReason.LOOKBACK_EXCEEDED: Verdict.LOOKBACK_EXCEEDED,
    LookupReason.BOUNDARY_ABSENT: Verdict.BOUNDARY_ABSENT,
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Verdicts:
    """Verdicts of requests.

    Attributes
    ----------
    codes, caused_by, also : per request, int64
        Codes of `VERDICTS`; ``also`` is -1 where one verdict says it all.
    plan_reasons : per request, int64
        Why the governor placed no breakpoint, where it was to; a code of `acg_lab.simulation.plans.REASONS`, else -1.
    references : per request, int64
        The request that this one is compared with, -1 if none.
    pieces, counterparts : per request, int64
        The piece that decided, and the reference's piece at its place; -1 if none.
    idle_seconds : per request, float
        How long the entry had not been used, for expired ones; else NaN.
    can_be_read : per request, bool
        Whether the reference was live, and long enough to be cached.
    """

    codes: Ints
    caused_by: Ints
    also: Ints
    plan_reasons: Ints
    references: Ints
    pieces: Ints
    counterparts: Ints
    idle_seconds: NDArray[np.float64]
    can_be_read: NDArray[np.bool_]


def judge_requests(sim: SimulatedHistory) -> Verdicts:
    """Return the verdict of each request of a simulated history."""
    return _Judge(sim).judge()


class _Judge:
    """Judges requests one by one. Columns are read through views: as quick as lists, without their memory."""

    def __init__(self, sim: SimulatedHistory) -> None:
        self._sim, requests, parts, shared = sim, sim.requests, sim.parts, sim.shared
        n = len(requests)
        self.n = n
        self.contents, self.kinds = requests.contents, requests.kinds
        self.bounds, self.ends = _view(requests.piece_offsets), sim.sizes.ends
        self.read, self.reach = _view(parts.read), _view(parts.shared)
        self.changed = _view(parts.changed)
        self.first, self.counterpart = _view(parts.first_difference), _view(parts.counterpart)
        self.reference, self.shared_pieces = _view(shared.references), _view(shared.lengths)
        self.minimum = _view(sim.minimums)
        self.simulated = _view(sim.simulated.read)
        self.billed_read, self.billed_write = _view(requests.read), _view(requests.write)
        self.refusals = sim.refusals
        self.billed = sim.billed_mask
        self.models, self.scopes = _view(requests.models), _view(requests.scopes)
        self.parameters = _view(requests.parameters)
        self.run_of, self.row_of = np.full(n, NOT_ANY, np.int32), np.zeros(n, np.int32)
        self.deepest = np.full(n, NOTHING, np.int64)
        self.first_write = np.full(int(requests.nodes.max(initial=-1)) + 1, n, np.int64)
        self.idle = np.full(n, np.nan)
        self._read_outcomes()
        self.can_be_read = self._readable()

    def _read_outcomes(self) -> None:
        """Collect what was looked up and written, by pieces of the whole history."""
        requests = self._sim.requests
        for number, run in enumerate(self._sim.after):
            outcome, rows, pieces = run.outcome, run.rows, run.pieces
            self.idle[rows] = outcome.idle_seconds
            self.run_of[rows], self.row_of[rows] = number, np.arange(len(rows))
            has_read = outcome.read_pieces >= 0
            self.deepest[rows[has_read]] = pieces[outcome.read_pieces[has_read]]
            writers = np.repeat(rows, np.diff(outcome.write_offsets))
            written = pieces[outcome.write_pieces]
            np.minimum.at(self.first_write, requests.nodes[written], writers)
            np.maximum.at(self.deepest, writers, written)
            if run.provider.matching in ("block", "unit"):
                self.deepest[rows] = requests.piece_offsets[1:][rows] - 1

    def _matching(self, i: int) -> str:
        """Return the matching model of a request's cache; empty where no rules are known."""
        run = int(self.run_of[i])
        return "" if run == NOT_ANY else self._sim.after[run].provider.matching

    def _lookups(self, i: int) -> list[tuple[int, int]]:
        """Return the pieces that a request looked up, longest first, and what it met there."""
        if self.run_of[i] == NOT_ANY:
            return []
        run, row = self._sim.after[self.run_of[i]], int(self.row_of[i])
        outcome = run.outcome
        of = slice(int(outcome.lookup_offsets[row]), int(outcome.lookup_offsets[row + 1]))
        pieces = outcome.lookup_pieces[of] + (self.bounds[i] - int(run.parts.offsets[row]))
        return list(zip(pieces.tolist(), outcome.lookup_reasons[of].tolist(), strict=True))

    def _readable(self) -> NDArray[np.bool_]:
        """Whether each request's reference was live, and the prefix joined with what was changed long enough."""
        sim = self._sim
        joined = sim.parts.shared + sim.parts.changed
        lifetime = sim.lifetimes
        self.is_live = (sim.waits <= lifetime) | ((lifetime == 0) & (sim.shared.references >= 0))
        readable: NDArray[np.bool_] = self.is_live & (joined >= sim.minimums) & (joined > 0)
        return readable

    def judge(self) -> Verdicts:
        """Judge every request."""
        sim, n = self._sim, self.n
        codes, also, pieces, counterparts = (np.full(n, NOT_ANY, np.int64) for _ in range(4))
        slack = self._slack()
        recorded = np.diff(sim.requests.piece_offsets) > 0
        failed = sim.requests.failed
        plain = recorded & ~failed & (sim.parts.changed == 0) & (np.abs(sim.parts.shared - sim.parts.read) <= slack)
        plain &= sim.parts.shared > 0
        codes[plain] = _CODE[Verdict.HIT]
        codes[failed] = _CODE[Verdict.FAILED]
        codes[~recorded & ~failed] = _CODE[Verdict.REQUEST_NOT_RECORDED]
        for i in np.flatnonzero(codes == NOT_ANY).tolist():
            verdict, other, piece, counterpart = self._judge(i, float(slack[i]))
            codes[i], pieces[i], counterparts[i] = _CODE[verdict], piece, counterpart
            also[i] = NOT_ANY if other is None else _CODE[other]
        reasons = self._plan_reasons(codes)
        idle = np.where(codes == _CODE[Verdict.EXPIRED], np.where(np.isnan(self.idle), sim.waits, self.idle), np.nan)
        return Verdicts(
            codes=codes,
            caused_by=self._causes(codes, reasons),
            also=also,
            plan_reasons=reasons,
            references=sim.shared.references,
            pieces=pieces,
            counterparts=counterparts,
            idle_seconds=idle,
            can_be_read=self.can_be_read,
        )

    def _slack(self) -> NDArray[np.float64]:
        """Return by how much read and shared tokens may differ and yet be the same."""
        sim = self._sim
        at = np.where(sim.shared.lengths > 0, sim.requests.piece_offsets[:-1] + sim.shared.lengths - 1, -1)
        margin = np.append(sim.sizes.margins, 0.0)[at]
        rounding = 1.0 + np.minimum(sim.parts.shared * _SLIGHT, _AT_MOST)
        steps = np.where(sim.grains > 1, sim.grains * (margin > 0), 0)
        slack: NDArray[np.float64] = np.where(at >= 0, margin, 0.0) + rounding + steps
        return slack

    def _judge(self, i: int, slack: float) -> tuple[Verdict, "Verdict | None", int, int]:  # noqa: PLR0911 - one for each kind of answer
        read, reach, reference = self.read[i], self.reach[i], self.reference[i]
        last = self.bounds[i] + self.shared_pieces[i] - 1 if self.shared_pieces[i] else NOTHING
        if read > reach + slack:
            return Verdict.READ_MORE_THAN_RECORDED, None, last, NOTHING
        missed = reach - read if reach - read > slack else 0
        change = self._change(i, reference) if reference >= 0 else None
        is_change = change is not None and self._is_same_prompt(i)
        if reference < 0 or (reach == 0 and not is_change):
            # A cache of blocks keeps nothing of what is shorter than one.
            verdict = Verdict.BELOW_MINIMUM if self.shared_pieces[i] else Verdict.FIRST_SEEN
            return verdict, None, last, NOTHING
        if change is not None and is_change and self.can_be_read[i] and self._was_cached(i, reference):
            place = (self.first[i], self.counterpart[i])
            if not missed:
                return change, None, *place
            mechanical = self._mechanical(i, slack)
            # Had nothing changed, the reference's entry would have been read: that none is here is the change's doing.
            if self.changed[i] >= missed or mechanical == Verdict.NOT_WRITTEN:
                return change, mechanical, *place
            return mechanical, change, last, NOTHING
        if not missed and not is_change:
            return Verdict.HIT, None, last, NOTHING
        return self._mechanical(i, slack), None, last, self.counterpart[i]

    def _is_same_prompt(self, i: int) -> bool:
        """Whether what changed shows that this is the reference's prompt, changed, and not another one."""
        is_alike = self.reach[i] > 0 or self.changed[i] >= int(self._sim.prompt[i]) * _ALIKE
        return bool(self.changed[i] > 0 and is_alike)

    def _was_cached(self, i: int, reference: int) -> bool:
        """Whether the reference's entry covers what was changed, and this request would have looked for it."""
        if self._matching(i) in ("block", "unit"):
            return True
        begin = (
            self.first[i] - self.bounds[i] + self.bounds[reference] if self.first[i] >= 0 else self.bounds[reference]
        )
        looks = any(reason != LookupReason.BELOW_MINIMUM for _, reason in self._lookups(i))
        return looks and int(self.deepest[reference]) >= begin

    def _change(self, i: int, reference: int) -> "Verdict | None":  # noqa: PLR0911 - one for each kind of change
        """Return what kind of change lies between a request and its reference, None for none."""
        if self.changed[i] == 0 and self.models[i] == self.models[reference]:
            return None
        if self.models[i] != self.models[reference]:
            return Verdict.MODEL_CHANGED
        if self.scopes[i] != self.scopes[reference] or self._cache_key(i) != self._cache_key(reference):
            return Verdict.SCOPE_CHANGED
        here, there = self.first[i], self.counterpart[i]
        if here < 0:
            return None
        if self.contents[here] == self.contents[there]:
            return Verdict.PARAMETERS_CHANGED
        kinds = int(self.kinds[here]), int(self.kinds[there])
        if PieceKind.TOOL in kinds:
            return Verdict.TOOLS_CHANGED
        is_system = any(kind in (PieceKind.SYSTEM, PieceKind.FRAMING) for kind in kinds)
        leads = PieceKind.DEVELOPER in kinds and bool(np.all(self.kinds[self.bounds[i] : here] != PieceKind.USER))
        return Verdict.SYSTEM_CHANGED if is_system or leads else Verdict.HISTORY_CHANGED

    def _cache_key(self, i: int) -> str:
        return str(self._sim.requests.parameter_values[self.parameters[i]].cache_key)

    def _mechanical(self, i: int, slack: float) -> Verdict:  # noqa: PLR0911 - one for each kind of reason
        """Return why a prefix that was shared, or would have been but for a change, was not read."""
        target = max(self.reach[i], self.reach[i] + self.changed[i] if not self.reach[i] - self.read[i] > slack else 0)
        if target < self.minimum[i]:
            return Verdict.BELOW_MINIMUM
        matching = self._matching(i)
        if not matching:
            return Verdict.UNEXPLAINED  # no rules are known
        promised = self.billed[i] and self.simulated[i] > self.read[i] + slack
        lookups = self._lookups(i)
        if matching in ("block", "unit"):
            return self._without_breakpoints(i, {reason for _, reason in lookups}, promised=promised)
        # The bill shows that a request was answered, or a breakpoint that is not recorded.
        is_cached = max(self.billed_read[i], self.billed_write[i]) > 0
        if self.billed[i] and (self.refusals[i] or (is_cached and not lookups)):
            return Verdict.UNEXPLAINED
        if not lookups:
            return Verdict.NO_BREAKPOINT
        usable = [(piece, reason) for piece, reason in lookups if reason != LookupReason.BELOW_MINIMUM]
        if not usable:
            return Verdict.BELOW_MINIMUM
        if promised:
            return Verdict.UNEXPLAINED
        return self._looked_up(i, usable, slack)

    def _without_breakpoints(self, i: int, reasons: set[int], *, promised: bool) -> Verdict:
        if promised:
            return Verdict.UNEXPLAINED
        if LookupReason.IN_FLIGHT in reasons:
            return Verdict.IN_FLIGHT
        if LookupReason.EXPIRED in reasons or not self.can_be_read[i]:
            return Verdict.EXPIRED
        is_unit = self._matching(i) == "unit"
        return Verdict.NOT_WRITTEN if is_unit else Verdict.UNEXPLAINED if self.billed[i] else Verdict.BELOW_MINIMUM

    def _looked_up(self, i: int, usable: list[tuple[int, int]], slack: float) -> Verdict:
        """Return why entries at the places that a request looked up were not read, or end too early."""
        begin, last = self.bounds[i], self.bounds[i] + self.shared_pieces[i] - 1
        hits = [piece for piece, reason in usable if reason == LookupReason.HIT]
        reads_to = max((int(self.deepest[i]),) if hits else (begin - 1,))
        nodes = self._sim.requests.nodes
        found = next((p for p in range(last, -1, -1) if p >= begin and self.first_write[nodes[p]] < i), NOTHING)
        for _, reason in usable:
            if reason in _BY_REASON:
                return _BY_REASON[LookupReason(reason)]
        # Where all that is shared was read, what was changed stands behind the last breakpoint.
        ends_early = usable[0][0] < last or (usable[0][0] == last and self.reach[i] - self.read[i] <= slack)
        if ends_early and (hits or self.read[i] > 0):
            return Verdict.BREAKPOINT_SHORT
        # Of a prompt that was changed, what would have been read had it not been is as old as the reference.
        is_old = (found > reads_to or self.changed[i] > 0) and not self.is_live[i]
        return Verdict.EXPIRED if is_old else Verdict.NOT_WRITTEN

    def _plan_reasons(self, codes: Ints) -> Ints:
        plans = self._sim.plans
        if plans is None:
            return np.full(self.n, NOT_ANY, np.int64)
        return np.where(codes == _CODE[Verdict.NO_BREAKPOINT], plans.reasons, NOT_ANY)

    def _causes(self, codes: Ints, reasons: Ints) -> Ints:
        """Attribute requests that the governor did not plan to the change that made their learning key new."""
        causes = codes.copy()
        young = np.isin(reasons, [REASONS.index(reason) for reason in _YOUNG])
        if not young.any():
            return causes
        profiles = self._sim.history.profiles
        births = dict(zip(*(found.tolist() for found in np.unique(profiles, return_index=True)), strict=True))
        cause_of: dict[int, int] = {}
        for i in np.flatnonzero(young & (profiles >= 0)).tolist():
            profile = int(profiles[i])
            if profile not in cause_of:
                cause_of[profile] = self._birth(births[profile], profiles)
            if cause_of[profile] != NOT_ANY:
                causes[i] = cause_of[profile]
        return causes

    def _birth(self, i: int, profiles: Ints) -> int:
        """Return the change by which a profile's first request differs from its reference, -1 for none."""
        reference = self.reference[i]
        if reference < 0 or profiles[reference] == profiles[i]:
            return NOT_ANY
        change = self._change(i, reference)
        return NOT_ANY if change is None or not self._is_same_prompt(i) else _CODE[change]


def _view(column: Ints) -> "memoryview[int]":
    """Return a column whose entries read as integers of Python, without a copy."""
    view: memoryview[int] = np.ascontiguousarray(column).data
    return view
