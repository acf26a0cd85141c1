"""Which ends of a stable prefix get a cache breakpoint (``acg_lab/docs/rules/planner.md``, 4).

A breakpoint is worth what caching the prefix up to it is expected to save. Which result a request is compared with is
decided in `acg_lab.core.planner`, where in the request body a breakpoint is marked in `acg_lab.core.cache_marks`.

The order of floating-point operations is production's: for sums above about 1e7 it decides which ends are chosen.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

from msgspec import Struct

from acg_lab.core.cache_marks import Target, target_of
from acg_lab.core.records import PromptBlock, PromptIR, StabilityAnalysisResult

__all__ = [
    "BYTES_PER_TOKEN",
    "MAX_BREAKPOINTS",
    "MINIMUM_TOKENS",
    "MULTIPLIERS",
    "BreakpointSegment",
    "Candidate",
    "EndKind",
    "Multipliers",
    "choose_ends",
    "estimate_text_tokens",
    "estimate_tokens",
    "expected_savings",
    "find_candidates",
    "make_segments",
    "minimum_tokens",
    "plan_breakpoints",
]

EndKind: TypeAlias = Literal["user", "retrieval", "tool", "system", "structured", "generic"]
BYTES_PER_TOKEN: Final = 4  # production's estimate
MAX_BREAKPOINTS: Final = 4
_TOLERANCE: Final = 1e-9
_PREFERENCE: Final[Mapping[EndKind, int]] = MappingProxyType(
    {"user": 5, "retrieval": 4, "tool": 3, "system": 2, "structured": 1, "generic": 0}
)


class Multipliers(NamedTuple):
    """What writing and reading a cached token costs, relative to an uncached input token.

    Examples
    --------
    >>> Multipliers().write, Multipliers(write=2.0).read
    (1.25, 0.1)
    """

    write: float = 1.25
    read: float = 0.1


MULTIPLIERS: Final = Multipliers()


class Candidate(NamedTuple):
    """A place where a cached prefix may end.

    Attributes
    ----------
    end : int
        Length of the prefix, in blocks.
    tokens : int
        Length of the prefix, in tokens.
    reads : float
        How often the prefix is expected to be read.
    kind : str
        Kind of the last block; it decides between ends of equal worth.
    """

    end: int
    tokens: int
    reads: float
    kind: EndKind


def expected_savings(tokens: int, reads: float, multipliers: Multipliers = MULTIPLIERS) -> float:
    """Return what caching is expected to save, in input tokens at full price; negative if it costs more.

    Examples
    --------
    >>> expected_savings(1000, 10.0)
    8750.0
    """
    return tokens * (((1.0 - multipliers.read) * reads) - (multipliers.write - 1.0))


class _Chain(NamedTuple):
    """The best choice of k breakpoints of which the last is at a given candidate.

    ``before`` is the index of the previous candidate, None for the first breakpoint.
    """

    value: float
    before: int | None


def choose_ends(
    candidates: Sequence[Candidate], multipliers: Multipliers = MULTIPLIERS, *, max_breakpoints: int = MAX_BREAKPOINTS
) -> tuple[Candidate, ...]:
    """Choose at most ``max_breakpoints`` candidates whose segments are together worth most.

    Every segment must be worth something on its own. Among choices within 1e-9 of each other, fewer breakpoints are
    preferred, then the kind of the last end (user, retrieval, tool, system, structured, generic), then the longer
    prefix.

    Parameters
    ----------
    candidates : sequence of Candidate
        Shortest first.
    max_breakpoints : int
        With 0, none is chosen.

    Returns
    -------
    tuple of Candidate
        Shortest first; empty if nothing is worth a write.
    """
    if max_breakpoints < 1:
        return ()
    chains: list[list[_Chain | None]] = []
    best: tuple[float, tuple[int, int, int], int, int] | None = None
    for i, candidate in enumerate(candidates):
        chains.append(_chains_to(i, candidates, chains, multipliers, max_breakpoints))
        for k, chain in enumerate(chains[i]):
            if chain is None:
                continue
            rank = (-k, _PREFERENCE[candidate.kind], candidate.end)
            if best is None or (lead := chain.value - best[0]) > _TOLERANCE or (lead >= -_TOLERANCE and rank > best[1]):
                best = chain.value, rank, i, k
    return tuple(_follow(candidates, chains, best[2], best[3])) if best else ()


def _chains_to(
    i: int,
    candidates: Sequence[Candidate],
    chains: Sequence[Sequence[_Chain | None]],
    multipliers: Multipliers,
    max_breakpoints: int,
) -> list[_Chain | None]:
    """Return the best chains that end at candidate i; the chain of k breakpoints is at index k - 1."""
    tokens, reads = candidates[i].tokens, candidates[i].reads
    value = expected_savings(tokens, reads, multipliers)
    if not value > 0:
        return [None] * max_breakpoints
    gains = [(j, expected_savings(tokens - other.tokens, reads, multipliers)) for j, other in enumerate(candidates[:i])]
    row: list[_Chain | None] = [_Chain(value, None)]
    for k in range(max_breakpoints - 1):
        found: _Chain | None = None
        for j, gain in gains:
            before = chains[j][k]
            if before is None or not gain > 0:
                continue
            total = before.value + gain
            # Values within 1e-9 count as equal, and then the later predecessor is preferred.
            if found is None or total - found.value >= -_TOLERANCE:
                found = _Chain(total, j)
        row.append(found)
    return row


def _follow(
    candidates: Sequence[Candidate], chains: Sequence[Sequence[_Chain | None]], i: int, k: int
) -> list[Candidate]:
    """Return the candidates of a chain, first to last."""
    chosen, place = [candidates[i]], chains[i][k]
    while place is not None and place.before is not None:
        k -= 1
        chosen.append(candidates[place.before])
        place = chains[place.before][k]
    return chosen[::-1]


# Production's table of the shortest prefix that a model family caches, in tokens. Providers may state other numbers.
MINIMUM_TOKENS: Final[Mapping[str, int]] = MappingProxyType(
    {
        **dict.fromkeys(("claude-opus-4.6", "claude-opus-4.5", "claude-haiku-4.5"), 4096),
        **dict.fromkeys(("claude-sonnet-4.6", "claude-haiku-3.5", "claude-3-opus"), 2048),
        **dict.fromkeys(("claude-opus-4.1", "claude-opus-4", "claude-sonnet-4.5", "claude-sonnet-4"), 1024),
        **dict.fromkeys(("claude-3.5-sonnet", "claude-3-haiku"), 1024),
    }
)


class BreakpointSegment(Struct, frozen=True, kw_only=True):
    """What one breakpoint adds to the cached prefix: the blocks between the previous breakpoint and its own end.

    Attributes
    ----------
    start, end : int
        The segment is ``blocks[start:end]``.
    tokens, prefix_tokens : int
        Estimated length of the segment, and of the whole prefix that ends with it.
    expected_reads : float
        How often the prefix is expected to be read.
    expected_savings : float
        What caching the segment is expected to save, in input tokens at full price.
    kind : str
        Kind of its last block.
    target : Target
        The entry of a Messages body that the mark is for.

    Examples
    --------
    >>> BreakpointSegment(
    ...     start=0,
    ...     end=2,
    ...     tokens=1500,
    ...     prefix_tokens=1500,
    ...     expected_reads=9.0,
    ...     expected_savings=11775.0,
    ...     kind="system",
    ...     target=Target("system", 0),
    ... ).end
    2
    """

    start: int
    end: int
    tokens: int
    prefix_tokens: int
    expected_reads: float
    expected_savings: float
    kind: EndKind
    target: Target


def minimum_tokens(model: str, families: Mapping[str, int] = MINIMUM_TOKENS) -> int | None:
    """Return the shortest prefix that a model caches, in tokens; None for a model of no known family.

    A model belongs to the family with the longest name that the model's name starts with.

    Examples
    --------
    >>> minimum_tokens("claude-sonnet-4-20250514"), minimum_tokens("anthropic/claude-sonnet-4")
    (1024, None)
    """
    family = max((name for name in families if model.startswith(name)), key=len, default=None)
    return None if family is None else families[family]


def estimate_text_tokens(text: str) -> int:
    """Return a quarter of the text's UTF-8 bytes, rounded down: production's estimate of its tokens.

    Examples
    --------
    >>> estimate_text_tokens("You are a helpful assistant.")
    7
    """
    return (len(text) if text.isascii() else len(text.encode())) // BYTES_PER_TOKEN


def estimate_tokens(block: PromptBlock) -> int:
    """Return the recorded token count of a block if it has one, else the estimate of `estimate_text_tokens`."""
    metadata = block.token_metadata
    return estimate_text_tokens(block.content) if metadata is None else metadata.token_count


def find_candidates(ir: PromptIR, result: StabilityAnalysisResult, minimum: int) -> Iterator[Candidate]:
    """Yield the places where a cached prefix may end, shortest first.

    Live blocks and scores are compared by position, up to the first score whose class is not ``stable``. Expected reads
    never rise from one candidate to the next: the weakest block so far decides.

    Parameters
    ----------
    ir : PromptIR
        The live request, whole.
    result : StabilityAnalysisResult
        What was learned, scores in prompt order.
    minimum : int
        The shortest prefix that the model caches, in tokens.
    """
    before, weight = 0, 1.0
    for i, (block, score) in enumerate(zip(ir.blocks[: result.stable_prefix_length], result.scores, strict=False)):
        if score.classification != "stable":
            break
        weight = min(weight, _clamp(score.score) * _clamp(score.confidence))
        tokens = before + estimate_tokens(block)
        # A tool that another tool follows is a candidate only if the prefix reaches the minimum with it.
        inside_tools = _is_tool(block) and any(map(_is_tool, ir.blocks[i + 1 : i + 2]))
        if tokens >= minimum and not (inside_tools and before >= minimum):
            yield Candidate(i + 1, tokens, (result.total_observations - 1) * weight, _kind(block))
        before = tokens


def plan_breakpoints(
    ir: PromptIR,
    result: StabilityAnalysisResult,
    model: str,
    *,
    families: Mapping[str, int] = MINIMUM_TOKENS,
    multipliers: Multipliers = MULTIPLIERS,
) -> tuple[BreakpointSegment, ...]:
    """Choose the cache breakpoints of a live request, as provider ``anthropic`` does.

    Parameters
    ----------
    ir : PromptIR
        The live request, whole. Read, never changed.
    result : StabilityAnalysisResult
        What was learned of the profile.
    model : str
        The model's name, as in the request.
    families : mapping of str to int
        Shortest cached prefix by model family, in tokens.
    multipliers : Multipliers
        Prices of cached tokens.

    Returns
    -------
    tuple of BreakpointSegment
        At most four, shortest prefix first; empty for a model of no known family, or if nothing is worth a write.

    Examples
    --------
    >>> from acg_lab.core import AnnotatedLlmRequest, BlockStability, build_prompt_ir
    >>> request = AnnotatedLlmRequest(messages=({"role": "system", "content": "policy " * 1000},))
    >>> stamp = "00000000-0000-4000-8000-000000000001", "2026-01-01T00:00:00Z"
    >>> ir = build_prompt_ir(request, ir_id=stamp[0], created_at=stamp[1])
    >>> score = BlockStability(
    ...     span_id="system-0", classification="stable", score=1.0, confidence=1.0, observation_count=20
    ... )
    >>> result = StabilityAnalysisResult(scores=(score,), stable_prefix_length=1, total_observations=20)
    >>> [(segment.end, segment.prefix_tokens) for segment in plan_breakpoints(ir, result, "claude-sonnet-4-5")]
    [(1, 1749)]
    """
    minimum = minimum_tokens(model, families)
    candidates = () if minimum is None else tuple(find_candidates(ir, result, minimum))
    return make_segments(ir, choose_ends(candidates, multipliers), multipliers)


def make_segments(
    ir: PromptIR, ends: Sequence[Candidate], multipliers: Multipliers = MULTIPLIERS
) -> tuple[BreakpointSegment, ...]:
    """Return the segments between chosen ends, shortest prefix first."""
    segments: list[BreakpointSegment] = []
    start = tokens = 0
    for end in ends:
        segments.append(
            BreakpointSegment(
                start=start,
                end=end.end,
                tokens=end.tokens - tokens,
                prefix_tokens=end.tokens,
                expected_reads=end.reads,
                expected_savings=expected_savings(end.tokens - tokens, end.reads, multipliers),
                kind=end.kind,
                target=target_of(ir, end.end),
            )
        )
        start, tokens = end.end, end.tokens
    return tuple(segments)


def _clamp(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _is_tool(block: PromptBlock) -> bool:
    return block.content_type == "tool_schema"


def _kind(block: PromptBlock) -> EndKind:
    if _is_tool(block):
        return "tool"
    if block.provenance == "retrieval":
        return "retrieval"
    if block.role == "user":
        return "user"
    if block.content_type in ("structured_output", "tool_result", "image"):
        return "structured"
    return "system" if block.role == "system" else "generic"
