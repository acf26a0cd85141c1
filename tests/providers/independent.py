"""The same history for tokenbill, an independent replay of Anthropic's cache, and what it says of each request.

Its public replay prices changes of policy; what it predicts of the requests as they were is behind two functions of
version 0.2.0, which the test extra pins.
"""

from tokenbill.core.cache_rules import RulesTable
from tokenbill.core.records import (
    Attempt,
    Attribution,
    BlockRef,
    Breakpoint,
    ContentFingerprint,
    Inference,
    InferenceKind,
    Lane,
    LaneKind,
    Outcome,
    PricingContext,
    Request,
    RequestParams,
    UsageBuckets,
)
from tokenbill.sim.block_replay import _build, _simulate

from acg_lab.providers import PieceKind

_KINDS = {
    PieceKind.TOOL: ("tools", "tool_def"),
    PieceKind.SYSTEM: ("system", "system_text"),
    PieceKind.THINKING: ("messages", "thinking"),
    PieceKind.TOOL_USE: ("messages", "tool_use"),
    PieceKind.TOOL_RESULT: ("messages", "tool_result"),
}
_TTLS = {0: "5m", 300: "5m", 3600: "1h"}


class _Minimum:
    """All that the replay asks of a price list."""

    def __init__(self, tokens):
        self._tokens = tokens

    def min_cacheable_tokens(self, _context, **_):
        return self._tokens


def make_lane(prompts, name="lane", channel="anthropic_api"):
    """Make the lane of one cache scope; a request is named by its index."""
    requests = tuple(_request(prompt, i, name, channel) for i, prompt in enumerate(prompts) if not prompt.failed)
    return Lane(
        lane_key=name,
        session_key="session",
        kind=LaneKind.MAIN,
        parent_lane_key=None,
        cache_scope_key=f"ws:{name}",
        requests=requests,
    )


def replay(lanes, minimum):
    """Return read, written for 5 min, and written for 1 h of each request, by lane and index."""
    found = _simulate(_build(lanes, pricer=_Minimum(minimum), rules=RulesTable())).preds
    return {name: (p.r, p.w5, p.w1) for name, p in found.items()}


def _request(prompt, i, lane, channel):
    blocks = tuple(_block(piece) for piece in prompt.pieces)
    tiers = [block.tier for block in blocks]
    tools, system = tiers.count("tools"), tiers.count("system")
    usage = UsageBuckets(uncached_input=prompt.tokens)
    context = PricingContext(provider="anthropic", channel=channel, model=prompt.model, model_raw=prompt.model)
    first, took = (None if s is None else round(s * 1000) for s in (prompt.first_token, prompt.took))
    attempt = Attempt(
        attempt_id=f"{lane}/{i}",
        attempt_no=0,
        ts_start_ms=1_800_000_000_000 + round(prompt.at * 1000),
        ttft_ms=first,
        duration_ms=took,
        outcome=Outcome.OK,
        http_status=200,
        error_type=None,
        retry_layer=None,
        retry_after_ms=None,
        should_retry=None,
        provider_request_id=None,
        provider_message_id=None,
        model_served=prompt.model,
        stop_reason=None,
        inferences=(Inference(f"{lane}/{i}", InferenceKind.MESSAGE, usage, context),),
    )
    return Request(
        request_id=f"{lane}/{i}",
        session_key="session",
        lane_key=lane,
        seq=i,
        attribution=Attribution(),
        params=RequestParams(
            model_requested=prompt.model,
            breakpoints=tuple(Breakpoint(k, _TTLS[ttl]) for k, ttl in sorted(prompt.breakpoints.items())),
            automatic_caching=prompt.automatic > 0,
        ),
        attempts=(attempt,),
        fingerprint=ContentFingerprint("key", blocks, (tools, tools + system, len(blocks))),
    )


def _block(piece):
    tier, kind = _KINDS.get(piece.kind, ("messages", "text"))
    return BlockRef(
        h=f"{piece.text}",
        h_sorted=None,
        h_norm=None,
        tier=tier,
        kind=kind,
        role=None,
        n_bytes=piece.tokens,
        est_tokens=piece.tokens,
    )
