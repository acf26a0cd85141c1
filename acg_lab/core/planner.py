"""What the governor does to a live request (spec planner.md).

Belongs here: which result a request meets, the gate of generation 0.8, what each provider then does, and why nothing
is planned where nothing is. The choice of breakpoints is in `acg_lab.core.breakpoints`.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import reduce
from operator import add
from typing import Final, Literal, TypeAlias, get_args

from msgspec import Struct

from acg_lab.core.breakpoints import (
    MINIMUM_TOKENS,
    MULTIPLIERS,
    BreakpointSegment,
    Multipliers,
    choose_ends,
    find_candidates,
    make_segments,
    minimum_tokens,
)
from acg_lab.core.cache_marks import Surface, body_of, mark_paths
from acg_lab.core.errors import RecordError, UsageError
from acg_lab.core.exact_prefix import BlockIdentity, identity, prefix_fingerprint
from acg_lab.core.keys import learning_key
from acg_lab.core.learner import HotCache
from acg_lab.core.prompt_ir import build_prompt_ir
from acg_lab.core.records import AnnotatedLlmRequest, JsonObject, PromptIR, StabilityAnalysisResult
from acg_lab.core.rules import Rules, get_rules

__all__ = ["MIN_OBSERVATIONS", "BreakpointPlan", "PlanReason", "Provider", "plan_request"]

Provider: TypeAlias = Literal["anthropic", "openai", "passthrough"]
Entry: TypeAlias = Literal["profile", "agent"]
_OPENAI_SURFACES: Final = ("chat", "responses")
MIN_OBSERVATIONS: Final = 2  # with fewer production plans nothing


class PlanReason(StrEnum):
    """What came of a request, and why nothing is planned where nothing is; `message` says it to a user."""

    PLANNED = "planned"
    CANONICAL = "canonical"
    UNREADABLE = "unreadable"
    NOTHING_LEARNED = "nothing learned"
    ONE_OBSERVATION = "one observation"
    FINGERPRINT = "fingerprint"
    PASSTHROUGH = "passthrough"
    SURFACE = "surface"
    NO_MODEL = "no model"
    UNKNOWN_MODEL_FAMILY = "family"
    NO_PREFIX = "no prefix"
    NO_CANDIDATE = "no candidate"
    NOT_WORTH_IT = "not worth it"
    INCOMPATIBLE_SURFACE = "incompatible surface"

    @property
    def message(self) -> str:
        """One sentence for a user."""
        return _MESSAGES[self]


_MESSAGES: Final[Mapping[PlanReason, str]] = {
    PlanReason.PLANNED: "Cache breakpoints are placed.",
    PlanReason.CANONICAL: "The prefix is sent in canonical form; the provider caches by itself.",
    PlanReason.UNREADABLE: "The request can't be read, so it is passed on untouched.",
    PlanReason.NOTHING_LEARNED: "Nothing was learned for this agent yet.",
    PlanReason.ONE_OBSERVATION: "The profile that the request meets has seen fewer than two requests.",
    PlanReason.FINGERPRINT: (
        "The request does not start with the stable prefix that was learned (there may be none), "
        "or is not the repeated request that this prefix is bound to."
    ),
    PlanReason.PASSTHROUGH: "Provider 'passthrough' learns, but never changes a request.",
    PlanReason.SURFACE: (
        "Provider 'anthropic' marks only Messages requests, which production knows by their top-level 'system'."
    ),
    PlanReason.NO_MODEL: "The request names no model, so the shortest prefix that can be cached is unknown.",
    PlanReason.UNKNOWN_MODEL_FAMILY: "The model belongs to no family that production knows.",
    PlanReason.NO_PREFIX: "The profile has no stable prefix.",
    PlanReason.NO_CANDIDATE: "No stable prefix of the request is as long as the shortest that the model caches.",
    PlanReason.NOT_WORTH_IT: "Too few reads are expected to pay for writing the prefix to the cache.",
    PlanReason.INCOMPATIBLE_SURFACE: "Provider 'openai' rewrites only Chat and Responses requests.",
}


class BreakpointPlan(Struct, frozen=True, kw_only=True):
    """What the governor does to one request.

    Attributes
    ----------
    reason : PlanReason
    learning_key : str or None
        Of the live request; None where it can't be read.
    entry : {"profile", "agent"} or None
        Whose result it meets: its profile's, or the agent's seed entry's; None where nothing was learned.
    n_observations, depth : int
        Of that result: its observations, and its stable prefix in blocks; 0 where there is none.
    segments : tuple of BreakpointSegment
        Shortest prefix first; at most four.
    paths : tuple of str or None
        JSON path of the object that each segment's mark goes to; None for a mark that goes nowhere.
    """

    reason: PlanReason
    learning_key: str | None = None
    entry: Entry | None = None
    n_observations: int = 0
    depth: int = 0
    segments: tuple[BreakpointSegment, ...] = ()
    paths: tuple[str | None, ...] = ()

    @property
    def ends(self) -> tuple[int, ...]:
        """The planned prefix ends, in blocks, ascending."""
        return tuple(segment.end for segment in self.segments)

    @property
    def expected_savings(self) -> float:
        """What all breakpoints are worth together, in input tokens at full price."""
        # Left to right, as the selection adds them up; `sum` compensates from Python 3.12 on.
        return reduce(add, (segment.expected_savings for segment in self.segments), 0.0)


def plan_request(
    request: AnnotatedLlmRequest | None,
    hot_cache: HotCache,
    *,
    agent_id: str,
    provider: Provider,
    rules: str,
    surface: Surface | None = "anthropic",
    body: JsonObject | None = None,
    families: Mapping[str, int] = MINIMUM_TOKENS,
    multipliers: Multipliers = MULTIPLIERS,
) -> BreakpointPlan:
    """Tell what a runtime would do to a live request.

    Parameters
    ----------
    request : AnnotatedLlmRequest or None
        The live request, normalised, whole and never cut to a turn; None for one that can't be normalised.
    hot_cache : HotCache
        What the runtime knows. A run is learned when it ends, so calls of one run never profit from its earlier ones.
    agent_id : str
    provider : {"anthropic", "openai", "passthrough"}
        The setting ``acg.provider``.
    rules : str
        Name of the generation of the rules.
    surface : {"anthropic", "chat", "responses"} or None
        What kind of body it is; `surface_of` tells.
    body : JSON object, optional
        The body as the planner meets it, for the paths of the marks. When left out it is made of the request (see
        `body_of`), which gave the right paths for every recorded request. In generation 0.2 leave it out for a call
        made with a codec: the codec writes the body anew.
    families : mapping of str to int
        Shortest cached prefix by model family, in tokens.
    multipliers : Multipliers
        Prices of cached tokens.

    Returns
    -------
    BreakpointPlan

    Raises
    ------
    UsageError
        If the provider or the rules are unknown.
    """
    table = get_rules(rules)
    if provider not in get_args(Provider):
        msg = f"The 'provider' setting must be one of {', '.join(map(repr, get_args(Provider)))}; got {provider!r}."
        raise UsageError(msg)
    if request is None or (observed := _observe(request, agent_id, table)) is None:
        return BreakpointPlan(reason=PlanReason.UNREADABLE)
    key, ir = observed
    entry, result = _meet(hot_cache, key)
    if result is None:
        return BreakpointPlan(reason=PlanReason.NOTHING_LEARNED, learning_key=key)
    segments: tuple[BreakpointSegment, ...] = ()
    reason = _refusal(ir, key, result, table) or _without_marks(result, provider, surface)
    if reason is None:
        reason, segments = _plan_marks(ir, result, request.model, families, multipliers)
    targets = [segment.target for segment in segments]
    return BreakpointPlan(
        reason=reason,
        learning_key=key,
        entry=entry,
        n_observations=result.total_observations,
        depth=result.stable_prefix_length,
        segments=segments,
        paths=mark_paths(targets, body_of(request, rules=rules) if body is None else body) if targets else (),
    )


def _observe(request: AnnotatedLlmRequest, agent_id: str, table: Rules) -> tuple[str, PromptIR] | None:
    """Return the learning key and the blocks of the live request; None for one that can't be read."""
    try:
        key = learning_key(agent_id, request, rules=table.name)
        return key, build_prompt_ir(request, ir_id="", created_at="", rules=table.name)
    except RecordError:
        return None


def _meet(hot_cache: HotCache, key: str) -> tuple[Entry | None, StabilityAnalysisResult | None]:
    """Return the result that requests of this key meet: their profile's, else the seed entry, whatever it is of."""
    profile = hot_cache.acg_profiles.get(key)
    if profile is not None:
        return "profile", profile
    seed = hot_cache.acg_stability
    return (None, None) if seed is None else ("agent", seed)


def _refusal(ir: PromptIR, key: str, result: StabilityAnalysisResult, table: Rules) -> PlanReason | None:
    """Tell what keeps every provider from acting: too little seen, or the gate of generation 0.8; None for nothing."""
    if result.total_observations < MIN_OBSERVATIONS:
        return PlanReason.ONE_OBSERVATION
    if not table.exact_prefix:
        return None
    depth = result.stable_prefix_length
    blocks = [BlockIdentity._make(identity(block)) for block in ir.blocks[:depth]]
    fingerprint = prefix_fingerprint(key, blocks, depth, ir.source_request_hash)
    same = fingerprint is not None and fingerprint == result.stable_prefix_fingerprint
    return None if same else PlanReason.FINGERPRINT


def _plan_marks(
    ir: PromptIR,
    result: StabilityAnalysisResult,
    model: str | None,
    families: Mapping[str, int],
    multipliers: Multipliers,
) -> tuple[PlanReason, tuple[BreakpointSegment, ...]]:
    """Place breakpoints as provider ``anthropic`` does, or tell why there are none."""
    if model is None:
        return PlanReason.NO_MODEL, ()
    minimum = minimum_tokens(model, families)
    if minimum is None:
        return PlanReason.UNKNOWN_MODEL_FAMILY, ()
    if result.stable_prefix_length == 0:
        return PlanReason.NO_PREFIX, ()
    candidates = tuple(find_candidates(ir, result, minimum))
    if not candidates:
        return PlanReason.NO_CANDIDATE, ()
    ends = choose_ends(candidates, multipliers)
    return (PlanReason.PLANNED if ends else PlanReason.NOT_WORTH_IT), make_segments(ir, ends, multipliers)


def _without_marks(result: StabilityAnalysisResult, provider: Provider, surface: Surface | None) -> PlanReason | None:
    """Tell what comes of a request that gets no marks in any case; None for one that may get some."""
    if provider == "passthrough":
        return PlanReason.PASSTHROUGH
    if provider == "anthropic":
        return None if surface == "anthropic" else PlanReason.SURFACE
    if result.stable_prefix_length == 0:
        return PlanReason.NO_PREFIX
    return PlanReason.CANONICAL if surface in _OPENAI_SURFACES else PlanReason.INCOMPATIBLE_SURFACE
