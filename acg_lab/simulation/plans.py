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

__all__ = [
    "REASONS",
    "PlanPlaces",
    "PlannedRequest",
    "Plans",
    "place_plans",
    "plan_history",
    "plan_one",
    "plan_past_gate",
]

Ints = NDArray[np.int64]
REASONS: Final = tuple(PlanReason)
_CODE: Final = {reason: code for code, reason in enumerate(REASONS)}
_MIN_OBSERVATIONS: Final = 2


class PlannedRequest(NamedTuple):
    """What the governor planned for one request: why nothing, or where its breakpoints go."""

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


_known: "WeakKeyDictionary[ReplayedHistory, dict[tuple[object, ...], list[PlannedRequest]]]" = WeakKeyDictionary()


def plan_history(part: ReplayedHistory, thresholds: StabilityThresholds, window: int) -> Sequence[PlannedRequest]:
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
        self._plans: dict[tuple[object, ...], PlannedRequest] = {}

    def plans(self) -> list[PlannedRequest]:
        """Return the plan of every row."""
        entries, n = self._part.entries, len(self._part.profile)
        bounds = entries.offsets.tolist()
        found: list[PlannedRequest] = [PlannedRequest(PlanReason.NOTHING_LEARNED)] * n
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

    def _plan(self, row: int, states: tuple[int, ...], result: StabilityAnalysisResult) -> PlannedRequest:
        depth = result.stable_prefix_length
        begin, end = self._columns.block_offsets[row : row + 2].tolist()
        leading = slice(begin, min(begin + depth + 1, end))
        columns = (self._columns.spans, self._columns.contents, self._columns.forms)
        profile = int(self._part.profile[row])
        key = (states, profile, end - begin < depth, *(column[leading].tobytes() for column in columns))
        plan = self._plans.get(key)
        if plan is None:
            ir = self._columns.observation(row)
            plan, whole = plan_one(ir, result, *self._part.history.profiles[profile][1:])
            if whole:  # bound to the whole request, so no other request has this plan
                return plan
            self._plans[key] = plan
        return plan


def plan_one(
    ir: PromptIR, result: StabilityAnalysisResult, learning_key: str, rules: str
) -> tuple[PlannedRequest, bool]:
    """Return the plan of a request that met a result, and whether it depends on the whole request."""
    if result.total_observations < _MIN_OBSERVATIONS:
        return PlannedRequest(PlanReason.ONE_OBSERVATION), False
    whole = False
    if get_rules(rules).exact_prefix:
        depth = result.stable_prefix_length
        blocks = [BlockIdentity._make(identity(block)) for block in ir.blocks[:depth]]
        whole = not all(block.is_scaffold for block in blocks)
        fingerprint = prefix_fingerprint(learning_key, blocks, depth, ir.source_request_hash if whole else None)
        if fingerprint is None or fingerprint != result.stable_prefix_fingerprint:
            return PlannedRequest(PlanReason.FINGERPRINT), whole
    return plan_past_gate(ir, result, learning_key), whole


def plan_past_gate(ir: PromptIR, result: StabilityAnalysisResult, learning_key: str) -> PlannedRequest:
    """Return the plan of a request that has the prefix that was learned, where the rules ask for that."""
    model = learning_key.split("::model=", 1)[-1].split("::seed=", 1)[0]
    minimum = minimum_tokens(model)
    if minimum is None:
        return PlannedRequest(PlanReason.NO_MODEL if model == "unknown" else PlanReason.UNKNOWN_MODEL_FAMILY)
    if result.stable_prefix_length == 0:
        return PlannedRequest(PlanReason.NO_PREFIX)
    candidates = tuple(find_candidates(ir, result, minimum))
    if not candidates:
        return PlannedRequest(PlanReason.NO_CANDIDATE)
    ends = choose_ends(candidates)
    if not ends:
        return PlannedRequest(PlanReason.NOT_WORTH_IT)
    return PlannedRequest(PlanReason.PLANNED, tuple(target_of(ir, end.end) for end in ends))


def place_plans(requests: RecordedRequests, plans: Sequence[PlannedRequest]) -> Plans:
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
    places = PlanPlaces(requests)
    pieces: list[int] = []
    for i, step in enumerate(requests.steps.tolist()):
        if step < 0:
            continue
        plan = plans[step]
        found = places.find(i, plan)
        reasons[i] = _CODE[plan.reason if found is not None else PlanReason.SURFACE]
        counts[i] = len(found or ())
        pieces += found or ()
    return Plans(
        reasons=reasons,
        offsets=np.concatenate(([0], np.cumsum(counts))),
        pieces=np.array(pieces, np.int64),
    )


_Where = Mapping[tuple[int, int], int]


class PlanPlaces:
    """Finds the pieces that planned breakpoints of requests stand on."""

    def __init__(self, requests: RecordedRequests) -> None:
        self._is_messages = (requests.apis == requests.api_names.index("anthropic")).tolist()
        self._firsts, self._lasts = _first_and_last(requests)

    def find(self, request: int, plan: PlannedRequest) -> "list[int] | None":
        """Return the pieces in prompt order; None for a body that is not planned for though the plan has targets."""
        if not plan.targets:
            return []
        if not (self._is_messages[request] and (request, PieceKind.SYSTEM) in self._firsts):
            return None
        pieces = (_piece_of(request, target, self._firsts, self._lasts) for target in plan.targets)
        return sorted({piece for piece in pieces if piece is not None})


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
