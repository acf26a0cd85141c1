"""How long a profile's stable prefix is at every threshold, and how many requests match it.

The prefix is a step function of ``stable_threshold``, computed in closed form: no threshold is tried out.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np

from acg_lab.core.exact_prefix import largest_threshold
from acg_lab.core.records import BlockStability
from acg_lab.core.rules import get_rules
from acg_lab.core.stability import StabilityThresholds, judge_spans
from acg_lab.snapshot.analysis import shared_prefixes, window_codes
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.snapshot.span_stats import block_tokens

__all__ = ["ThresholdStep", "find_threshold_steps"]


class ThresholdStep(NamedTuple):
    """One step: what holds for all thresholds in ``(above, upto]``.

    Attributes
    ----------
    above, upto : float
        Bounds of the threshold; -inf for the lowest step, inf for the highest.
    prefix_blocks : int
        Length of the stable prefix.
    prefix_tokens : float
        Length of the stable prefix in tokens, mean over requests.
    matching : int
        Requests that have the commonest content in every block of the prefix. Under `nemo-relay-0.8`, requests with the
        commonest fingerprint, which beyond the scaffold covers the whole request.
    breaks : BlockStability or None
        The first block after the prefix.
    """

    above: float
    upto: float
    prefix_blocks: int
    prefix_tokens: float
    matching: int
    breaks: BlockStability | None


def find_threshold_steps(snapshot: Snapshot, key: str) -> tuple[ThresholdStep, ...]:
    """Return the steps of a profile, by ascending threshold.

    At each threshold ``prefix_blocks`` equals that of `acg_lab.analyze` (``acg_lab/docs/rules/learner.md``, 4, 8).
    """
    n = snapshot.n_observations(key)
    exact = get_rules(snapshot.rules[key].rules).exact_prefix
    reaches = _exact_reaches(shared_prefixes(snapshot, key), n) if exact else _leading_reaches(snapshot, key)
    tokens, matching = _span_tokens(snapshot, key), _matching(snapshot, key, exact=exact)
    edges = [-math.inf, *sorted({reach for reach in reaches if reach < math.inf}), math.inf]
    steps = []
    for above, upto in pairwise(edges):
        length = sum(reach >= upto for reach in reaches)
        scores = judge_spans(snapshot.counts[key], n, StabilityThresholds(stable_threshold=min(upto, _ABOVE_ALL)))
        steps.append(
            ThresholdStep(
                above=above,
                upto=upto,
                prefix_blocks=length,
                prefix_tokens=sum(tokens[score.span_id] for score in scores[:length]),
                matching=matching[length] if length < len(matching) else 0,
                breaks=scores[length] if length < len(scores) else None,
            )
        )
    return tuple(steps)


_ABOVE_ALL = 1e9  # a threshold that no score reaches


def _leading_reaches(snapshot: Snapshot, key: str) -> list[float]:
    """Return the highest threshold at which each length of the prefix is reached, if leading scores decide.

    Spans of equal index are ordered by stability, least first, so they enter the prefix together.
    """
    n = snapshot.n_observations(key)
    scores = {score.span_id: score.score for score in judge_spans(snapshot.counts[key], n, StabilityThresholds())}
    by_index = sorted(snapshot.counts[key], key=lambda span: span.sequence_index)
    reaches: list[float] = []
    for _, tied in groupby(by_index, key=lambda span: span.sequence_index):
        group = [scores[span.span_id] for span in tied]
        reaches += [min(reaches[-1:] + group)] * len(group)
    return reaches


def _exact_reaches(shared: Sequence[int], n: int) -> list[float]:
    """Return the same if the prefix must be shared exactly; what all requests share is reached at any threshold."""
    return [math.inf if count == n else largest_threshold(count, n) for count in shared]


def _span_tokens(snapshot: Snapshot, key: str) -> Mapping[str, float]:
    """Return the tokens of each span, as a mean over all requests."""
    source = snapshot.columns.observations
    rows = source.blocks_of(source.number[key])
    spans, inverse = np.unique(source.spans[rows], return_inverse=True)
    sums = np.bincount(inverse, weights=block_tokens(source)[rows], minlength=len(spans))
    means = (sums / max(snapshot.n_observations(key), 1)).tolist()
    return {source.span_pool[span]: mean for span, mean in zip(spans.tolist(), means, strict=True)}


def _matching(snapshot: Snapshot, key: str, *, exact: bool) -> list[int]:
    """Return how many requests have the commonest prefix of each length, starting with 0 blocks."""
    blocks, hashes, identities = window_codes(snapshot, key)
    scaffolds = {code for code, identity in identities.items() if identity.is_scaffold}
    prefixes: dict[tuple[int, int], int] = {}
    counts: list[Counter[tuple[int, str | None]]] = []
    for codes, request_hash in zip(blocks, hashes, strict=True):
        prefix, bound = 0, False
        for depth, code in enumerate(codes):
            prefix = prefixes.setdefault((prefix, code), len(prefixes) + 1)
            bound = bound or (exact and code not in scaffolds)
            if depth == len(counts):
                counts.append(Counter())
            if not bound or request_hash is not None:
                counts[depth][prefix, request_hash if bound else None] += 1
    return [len(blocks), *(max(counter.values(), default=0) for counter in counts)]
