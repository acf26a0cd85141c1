"""What production does to a live request, and why (``acg_lab/docs/rules/planner.md``, 2, 3 and 6).

`plan_request` looks up the result that applies to a request, checks the gate of `nemo-relay-0.8`, and decides what the
provider setting makes of it. Breakpoints are chosen in `acg_lab.core.breakpoints`.
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
MIN_OBSERVATIONS: Final = 2  # production plans nothing for profiles with fewer


class PlanReason(StrEnum):
    """The outcome of planning a request, or why nothing is planned; `message` words it for a user.

    Examples
    --------
    >>> PlanReason("no prefix").message
    'The profile has no stable prefix.'
    """

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
        """The reason in one sentence."""
        return _MESSAGES[self]


_MESSAGES: Final[Mapping[PlanReason, str]] = {
    PlanReason.PLANNED: "Cache breakpoints are placed.",
    PlanReason.CANONICAL: "The prefix is sent in canonical form; the provider caches it automatically.",
    PlanReason.UNREADABLE: "The request cannot be read, so it is passed on unchanged.",
    PlanReason.NOTHING_LEARNED: "Nothing has been learned for this agent yet.",
    PlanReason.ONE_OBSERVATION: "The profile of the request has seen fewer than two requests.",
    PlanReason.FINGERPRINT: (
        "The request does not start with the learned stable prefix (if there is one), "
        "or differs from the repeated request that this prefix is bound to."
    ),
    PlanReason.PASSTHROUGH: "Provider 'passthrough' learns but never changes a request.",
    PlanReason.SURFACE: ("Provider 'anthropic' marks only Messages requests, recognised by their top-level 'system'."),
    PlanReason.NO_MODEL: "The request names no model, so the shortest prefix that can be cached is unknown.",
    PlanReason.UNKNOWN_MODEL_FAMILY: "Production does not know the family of the model.",
    PlanReason.NO_PREFIX: "The profile has no stable prefix.",
    PlanReason.NO_CANDIDATE: "The stable prefix is shorter than the shortest that the model caches.",
    PlanReason.NOT_WORTH_IT: "Too few reads are expected to pay for writing the prefix to the cache.",
    PlanReason.INCOMPATIBLE_SURFACE: "Provider 'openai' rewrites only Chat and Responses requests.",
}


class BreakpointPlan(Struct, frozen=True, kw_only=True):
    """What production does to one request.

    Attributes
    ----------
    reason : PlanReason
    learning_key : str or None
        Learning key of the request; None if it cannot be read.
    entry : {"profile", "agent"} or None
        Which result applies: that of its profile, or that of the agent's seed entry; None if nothing was learned.
    n_observations, depth : int
        Observations of that result, and its stable prefix in blocks; 0 if there is none.
    segments : tuple of BreakpointSegment
        Shortest prefix first; at most four.
    paths : tuple of str or None
        JSON path of the object that takes each segment's mark; None for a mark that cannot be placed.

    Examples
    --------
    >>> plan = BreakpointPlan(reason=PlanReason.NO_PREFIX)
    >>> plan.ends, plan.expected_savings
    ((), 0.0)
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
        """The planned ends of prefixes, in blocks, ascending."""
        return tuple(segment.end for segment in self.segments)

    @property
    def expected_savings(self) -> float:
        """What all breakpoints together are expected to save, in input tokens at full price."""
        # Added from left to right, as `choose_ends` does; `sum` compensates from Python 3.12 on.
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
    """Return what production would do to a live request.

    Parameters
    ----------
    request : AnnotatedLlmRequest or None
        The live request, normalised and not truncated to a turn; None for one that cannot be normalised.
    hot_cache : HotCache
        What the runtime knows. A run is learned when it ends, so its calls never profit from its earlier ones.
    agent_id : str
    provider : {"anthropic", "openai", "passthrough"}
        The setting ``acg.provider``.
    rules : str
        Name of the rules version.
    surface : {"anthropic", "chat", "responses"} or None
        The kind of request body, as returned by `surface_of`.
    body : JSON object, optional
        The request body as the planner sees it, for the paths of the marks. If omitted it is made of the request by
        `body_of`, which returned the right paths for every recorded request. In `nemo-flow-0.2` omit it for a call made
        with a codec, which rewrites the body.
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
        If the provider or the rules version is unknown.

    Examples
    --------
    >>> plan_request(None, HotCache(), agent_id="chat", provider="anthropic", rules="nemo-relay-0.8").reason.message
    'The request cannot be read, so it is passed on unchanged.'
    """
    table = get_rules(rules)
    if provider not in get_args(Provider):
        msg = f"The 'provider' setting must be one of {', '.join(map(repr, get_args(Provider)))}; got {provider!r}."
        raise UsageError(msg)
    if request is None or (observed := _observe(request, agent_id, table)) is None:
        return BreakpointPlan(reason=PlanReason.UNREADABLE)
    key, ir = observed
    entry, result = _look_up(hot_cache, key)
    if result is None:
        return BreakpointPlan(reason=PlanReason.NOTHING_LEARNED, learning_key=key)
    segments: tuple[BreakpointSegment, ...] = ()
    reason = _find_refusal(ir, key, result, table) or _plan_without_marks(result, provider, surface)
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
    """Return the learning key and the blocks of the live request, or None if it cannot be read."""
    try:
        key = learning_key(agent_id, request, rules=table.name)
        return key, build_prompt_ir(request, ir_id="", created_at="", rules=table.name)
    except RecordError:
        return None


def _look_up(hot_cache: HotCache, key: str) -> tuple[Entry | None, StabilityAnalysisResult | None]:
    """Return the result that applies to a learning key: its profile's, else the seed entry's, whatever its key."""
    profile = hot_cache.acg_profiles.get(key)
    if profile is not None:
        return "profile", profile
    seed = hot_cache.acg_stability
    return (None, None) if seed is None else ("agent", seed)


def _find_refusal(ir: PromptIR, key: str, result: StabilityAnalysisResult, table: Rules) -> PlanReason | None:
    """Return why no provider acts: too few observations, or the gate of `nemo-relay-0.8`; None if neither."""
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
    """Place breakpoints as provider ``anthropic`` does, or return why there are none."""
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


def _plan_without_marks(
    result: StabilityAnalysisResult, provider: Provider, surface: Surface | None
) -> PlanReason | None:
    """Return the outcome of a request that never gets marks, or None if it may get some."""
    if provider == "passthrough":
        return PlanReason.PASSTHROUGH
    if provider == "anthropic":
        return None if surface == "anthropic" else PlanReason.SURFACE
    if result.stable_prefix_length == 0:
        return PlanReason.NO_PREFIX
    return PlanReason.CANONICAL if surface in _OPENAI_SURFACES else PlanReason.INCOMPATIBLE_SURFACE
