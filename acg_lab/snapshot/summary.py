"""Summaries of profiles: how long the stable prefix is, what it misses, and which block breaks it."""

from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from acg_lab.core.errors import UsageError
from acg_lab.core.keys import parse_learning_key
from acg_lab.core.planner import MIN_OBSERVATIONS
from acg_lab.core.records import BlockStability, StabilityAnalysisResult
from acg_lab.snapshot.snapshot import Snapshot, check_snapshot
from acg_lab.snapshot.span_stats import block_tokens

__all__ = ["ProfileSummary", "Totals", "summarize", "total"]


class ProfileSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The summary of one profile.

    Attributes
    ----------
    learning_key, agent_id, model : str
    observations : int
    blocks, prefix_blocks : int
        Spans, and those in the stable prefix.
    prompt_tokens, prefix_tokens : float
        Means over requests: recorded counts of blocks where there are any, else UTF-8 bytes // 4, as in production.
    lost_tokens : float
        Tokens of all observed requests that the stable prefix does not cover. All tokens if there are fewer than two
        observations, since production then plans nothing.
    breaks : BlockStability or None
        The first block after the prefix.
    """

    learning_key: str
    agent_id: str
    model: str
    observations: int
    blocks: int
    prefix_blocks: int
    prompt_tokens: float
    prefix_tokens: float
    lost_tokens: float
    breaks: BlockStability | None

    @property
    def share(self) -> float:
        """Share of the prompt's tokens in the prefix, from 0 to 1."""
        return self.prefix_tokens / self.prompt_tokens if self.prompt_tokens else 0.0


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over profiles, weighted by observations.

    ``single`` counts the profiles of one observation, ``share`` is the share of all observed tokens in a prefix.
    """

    profiles: int
    single: int
    observations: int
    prompt_tokens: float
    prefix_tokens: float
    share: float


def summarize(snapshot: Snapshot, results: Mapping[str, StabilityAnalysisResult]) -> tuple[ProfileSummary, ...]:
    """Summarise every profile, largest loss first, then by learning key.

    Parameters
    ----------
    snapshot : Snapshot
        The analysed snapshot.
    results : mapping of str to StabilityAnalysisResult
        Results of `acg_lab.analyze`, by learning key.

    Returns
    -------
    tuple of ProfileSummary
        One for each result, as shown by `acg_lab.frames.profiles` and ``acg-lab analyze``.

    Raises
    ------
    UsageError
        If `snapshot` is not a Snapshot, or a result is of a profile that it does not have.

    Examples
    --------
    >>> import acg_lab as acg
    >>> snap = acg.load("data/sample", agent_id="claims-triage")
    >>> [(profile.agent_id, profile.observations) for profile in acg.summarize(snap, acg.analyze(snap))]
    [('claims-triage', 100)]
    """
    check_snapshot(snapshot)
    tokens = _span_tokens(snapshot)
    if strangers := results.keys() - tokens.keys():
        msg = f"The results must be of profiles of the snapshot; it has none with the learning key {min(strangers)!r}."
        raise UsageError(msg)
    profiles = (_summary(snapshot, key, result, tokens[key]) for key, result in results.items())
    return tuple(sorted(profiles, key=lambda profile: (-profile.lost_tokens, profile.learning_key)))


def _summary(
    snapshot: Snapshot, key: str, result: StabilityAnalysisResult, tokens: Mapping[str, float]
) -> ProfileSummary:
    agent_id = snapshot.owners[key].agent_id
    parsed = parse_learning_key(key, agent_id=agent_id)
    n, length = result.total_observations, result.stable_prefix_length
    prompt = sum(tokens.values())
    prefix = sum(tokens[score.span_id] for score in result.scores[:length])
    return ProfileSummary(
        learning_key=key,
        agent_id=agent_id,
        model=parsed.model if parsed else "unknown",
        observations=n,
        blocks=len(result.scores),
        prefix_blocks=length,
        prompt_tokens=prompt,
        prefix_tokens=prefix,
        lost_tokens=n * (prompt - prefix if n >= MIN_OBSERVATIONS else prompt),
        breaks=result.scores[length] if length < len(result.scores) else None,
    )


def total(profiles: Iterable[ProfileSummary]) -> Totals:
    """Return the sums over profiles, weighted by their observations."""
    profiles = tuple(profiles)
    prompt = sum(profile.observations * profile.prompt_tokens for profile in profiles)
    prefix = sum(profile.observations * profile.prefix_tokens for profile in profiles)
    return Totals(
        profiles=len(profiles),
        single=sum(profile.observations < MIN_OBSERVATIONS for profile in profiles),
        observations=sum(profile.observations for profile in profiles),
        prompt_tokens=prompt,
        prefix_tokens=prefix,
        share=prefix / prompt if prompt else 0.0,
    )


def _span_tokens(snapshot: Snapshot) -> Mapping[str, Mapping[str, float]]:
    """Return the mean tokens per request of every span, by key and span id; their sum is the mean prompt."""
    source, counts = snapshot.columns.observations, snapshot.span_counts
    sums = np.bincount(counts.of_block, weights=block_tokens(source), minlength=len(counts.spans))
    means = sums / np.diff(source.window_offsets)[counts.windows]
    found: dict[str, dict[str, float]] = {key: {} for key in source.keys}
    for window, span, mean in zip(counts.windows.tolist(), counts.spans.tolist(), means.tolist(), strict=True):
        found[source.keys[window]][source.span_pool[span]] = mean
    return found
