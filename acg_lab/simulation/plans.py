"""What the governor planned for every recorded request, with what it had learned by then.

The choice itself is the core's; here each distinct question is asked once: requests that met the same result with the
same leading blocks have the same plan. A request that was recorded cut shows its leading system blocks and tools whole;
plans that reach further see only what was recorded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.breakpoints import choose_ends, find_candidates, minimum_tokens
from acg_lab.core.cache_marks import Target, target_of
from acg_lab.core.exact_prefix import BlockIdentity, identity, prefix_fingerprint
from acg_lab.core.planner import PlanReason
from acg_lab.core.records import PromptIR, StabilityAnalysisResult
from acg_lab.core.rules import get_rules
from acg_lab.core.stability import StabilityThresholds
from acg_lab.history.lookup import ReplayedHistory
from acg_lab.providers.prompts import PieceKind
from acg_lab.simulation.requests import RecordedRequests

__all__ = ["REASONS", "Plans", "place_plans", "plan_history"]

Ints = NDArray[np.int64]
REASONS: Final = tuple(PlanReason)
_CODE: Final = {reason: code for code, reason in enumerate(REASONS)}
_MIN_OBSERVATIONS: Final = 2


class _Plan(NamedTuple):
    reason: PlanReason
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Plans:
    """Planned breakpoints of requests.

    Attributes
    ----------
    reasons : per request, int64
        Codes of `REASONS`; -1 for a request that the learner never saw.
    offsets : (n_requests + 1,)
    pieces : per planned breakpoint
        The piece that it stands on.
    """

    reasons: Ints
    offsets: Ints
    pieces: Ints


_known: "WeakKeyDictionary[ReplayedHistory, dict[tuple[object, ...], list[_Plan]]]" = WeakKeyDictionary()


def plan_history(part: ReplayedHistory, thresholds: StabilityThresholds, window: int) -> Sequence[_Plan]:
    """Return the plan of each row of a replayed history; kept with it, since every simulation asks again."""
    kept = _known.setdefault(part, {})
    key = (thresholds, window)
    if key not in kept:
        kept[key] = _Planner(part, thresholds, window).plans()
    return kept[key]


class _Planner:
    """Plans the rows of one history at one setting."""

    def __init__(self, part: ReplayedHistory, thresholds: StabilityThresholds, window: int) -> None:
        self._part, self._thresholds, self._window = part, thresholds, window
        self._columns = part.history.observations
        self._plans: dict[tuple[object, ...], _Plan] = {}

    def plans(self) -> list[_Plan]:
        """Return the plan of every row."""
        entries, n = self._part.entries, len(self._part.profile)
        bounds = entries.offsets.tolist()
        found: list[_Plan] = [_Plan(PlanReason.NOTHING_LEARNED)] * n
        first = np.where(np.diff(entries.offsets) > 0, np.append(entries.state, 0)[entries.offsets[:-1]], -1)
        met: tuple[int, ...] = ()
        result: StabilityAnalysisResult | None = None
        for row in np.argsort(first, kind="stable").tolist():
            states = tuple(entries.state[bounds[row] : bounds[row + 1]].tolist())
            if not states:
                continue
            if states != met:
                met, result = states, self._part.result(row, self._thresholds, self._window)
            if result is not None:
                found[row] = self._plan(row, states, result)
        return found

    def _plan(self, row: int, states: tuple[int, ...], result: StabilityAnalysisResult) -> _Plan:
        depth = result.stable_prefix_length
        begin, end = self._columns.block_offsets[row : row + 2].tolist()
        leading = slice(begin, min(begin + depth + 1, end))
        columns = (self._columns.spans, self._columns.contents, self._columns.forms)
        profile = int(self._part.profile[row])
        key = (states, profile, end - begin < depth, *(column[leading].tobytes() for column in columns))
        plan = self._plans.get(key)
        if plan is None:
            ir = self._columns.observation(row)
            plan, whole = _plan(ir, result, *self._part.history.profiles[profile][1:])
            if whole:  # bound to the whole request, so no other request has this plan
                return plan
            self._plans[key] = plan
        return plan


def _plan(ir: PromptIR, result: StabilityAnalysisResult, learning_key: str, rules: str) -> tuple[_Plan, bool]:
    """Return the plan, and whether it depends on the whole request."""
    if result.total_observations < _MIN_OBSERVATIONS:
        return _Plan(PlanReason.ONE_OBSERVATION), False
    whole = False
    if get_rules(rules).exact_prefix:
        depth = result.stable_prefix_length
        blocks = [BlockIdentity._make(identity(block)) for block in ir.blocks[:depth]]
        whole = not all(block.is_scaffold for block in blocks)
        fingerprint = prefix_fingerprint(learning_key, blocks, depth, ir.source_request_hash if whole else None)
        if fingerprint is None or fingerprint != result.stable_prefix_fingerprint:
            return _Plan(PlanReason.FINGERPRINT), whole
    return _place(ir, result, learning_key), whole


def _place(ir: PromptIR, result: StabilityAnalysisResult, learning_key: str) -> _Plan:
    model = learning_key.split("::model=", 1)[-1].split("::seed=", 1)[0]
    minimum = minimum_tokens(model)
    if minimum is None:
        return _Plan(PlanReason.NO_MODEL if model == "unknown" else PlanReason.UNKNOWN_MODEL_FAMILY)
    if result.stable_prefix_length == 0:
        return _Plan(PlanReason.NO_PREFIX)
    candidates = tuple(find_candidates(ir, result, minimum))
    if not candidates:
        return _Plan(PlanReason.NO_CANDIDATE)
    ends = choose_ends(candidates)
    if not ends:
        return _Plan(PlanReason.NOT_WORTH_IT)
    return _Plan(PlanReason.PLANNED, tuple(target_of(ir, end.end) for end in ends))


def place_plans(requests: RecordedRequests, plans: Sequence[_Plan]) -> Plans:
    """Return where the planned breakpoints of each request stand among its pieces.

    Only Messages bodies with a top-level system text are planned for. Breakpoints that production would put on a
    message that is not there are left out.

    Parameters
    ----------
    requests : RecordedRequests
    plans : sequence
        By row of the replayed histories, in their order.
    """
    counts = np.zeros(len(requests), np.int64)
    reasons = np.full(len(requests), -1, np.int64)
    is_messages = requests.apis == requests.api_names.index("anthropic")
    firsts, lasts = _first_and_last(requests)
    pieces: list[int] = []
    for i, step in enumerate(requests.steps.tolist()):
        if step < 0:
            continue
        plan = plans[step]
        if plan.targets and not (is_messages[i] and (i, PieceKind.SYSTEM) in firsts):
            plan = _Plan(PlanReason.SURFACE)
        reasons[i] = _CODE[plan.reason]
        found = {piece for target in plan.targets if (piece := _piece_of(i, target, firsts, lasts)) is not None}
        counts[i] = len(found)
        pieces += sorted(found)
    return Plans(
        reasons=reasons,
        offsets=np.concatenate(([0], np.cumsum(counts))),
        pieces=np.array(pieces, np.int64),
    )


_Where = Mapping[tuple[int, int], int]


def _piece_of(request: int, target: Target, firsts: _Where, lasts: _Where) -> int | None:
    if target.field == "tools":
        first, last = firsts.get((request, PieceKind.TOOL)), lasts.get((request, PieceKind.TOOL))
        at = None if first is None else first + target.index
        return at if at is not None and last is not None and at <= last else None
    if target.field == "system":
        return lasts.get((request, PieceKind.SYSTEM))
    return lasts.get((request, -1 - target.index))


def _first_and_last(requests: RecordedRequests) -> tuple[dict[tuple[int, int], int], dict[tuple[int, int], int]]:
    """Return where each request's tools, system and messages begin and end; messages by -1 less their number."""
    owner = requests.request_of_piece
    kind = np.where(requests.messages >= 0, -1 - requests.messages.astype(np.int64), requests.kinds.astype(np.int64))
    first = np.ones(len(owner), bool)
    first[1:] = (owner[1:] != owner[:-1]) | (kind[1:] != kind[:-1])
    last = np.append(first[1:], True)[: len(first)]
    return tuple(  # type: ignore[return-value]
        dict(zip(zip(owner[at].tolist(), kind[at].tolist(), strict=True), np.flatnonzero(at).tolist(), strict=True))
        for at in (first, last)
    )
