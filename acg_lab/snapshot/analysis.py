"""Analysing every profile of a snapshot, each by its generation of the rules."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.exact_prefix import BlockIdentity, majority_prefix, shared_depths, window_fingerprint
from acg_lab.core.records import StabilityAnalysisResult
from acg_lab.core.rules import get_rules
from acg_lab.core.stability import StabilityThresholds, judge_spans, leading_stable, result_of
from acg_lab.core.window import SpanCount
from acg_lab.snapshot.model import Snapshot, check_snapshot, check_thresholds
from acg_lab.snapshot.results import Results
from acg_lab.storage.columns import ObservationColumns

__all__ = ["analyze", "analyze_profile", "count_sharing", "judge_columns", "shared_prefixes", "window_codes"]


def analyze(snapshot: Snapshot, thresholds: StabilityThresholds | None = None, *, rules: str | None = None) -> Results:
    """Analyse every profile of a snapshot.

    Parameters
    ----------
    snapshot : Snapshot
        Read, never changed.
    thresholds : StabilityThresholds, optional
        Production's defaults when left out.
    rules : str, optional
        Name of the generation of the rules; each profile's own (``snapshot.rules``) when left out.

    Returns
    -------
    Results
        A dict by learning key, in the order of ``snapshot.windows``; each result equal to
        `acg_lab.core.analyze_stability` of that window.

    Raises
    ------
    UsageError
        If what is given is no snapshot, no thresholds, or no generation.
    """
    check_snapshot(snapshot)
    thresholds = check_thresholds(thresholds)
    return Results(
        (key, analyze_profile(snapshot, key, thresholds, rules or snapshot.rules[key].rules))
        for key in snapshot.windows
    )


def analyze_profile(
    snapshot: Snapshot, key: str, thresholds: StabilityThresholds, rules: str
) -> StabilityAnalysisResult:
    """Analyse one profile."""
    return judge_columns(snapshot.columns.observations, key, snapshot.counts[key], thresholds, rules)


def judge_columns(
    source: ObservationColumns, key: str, counts: Iterable[SpanCount], thresholds: StabilityThresholds, rules: str
) -> StabilityAnalysisResult:
    """Analyse one window of columns that is counted already."""
    n = len(source.observations_of(source.number[key]))
    scores = judge_spans(counts, n, thresholds)
    if not get_rules(rules).exact_prefix:
        return result_of(scores, leading_stable(scores), n)
    blocks, hashes, identities = _codes(source, key)
    depth = majority_prefix(blocks, thresholds.stable_threshold, int)
    rows = [(codes[:depth], request_hash) for codes, request_hash in zip(blocks, hashes, strict=True)]
    return result_of(scores, depth, n, window_fingerprint(key, rows, depth, identities.__getitem__))


def shared_prefixes(snapshot: Snapshot, key: str) -> list[int]:
    """Return how many observations share each depth of the commonest exact prefix, from 1 block on."""
    blocks, _, _ = window_codes(snapshot, key)
    return shared_depths(blocks, int)


def count_sharing(snapshot: Snapshot, key: str, depth: int) -> int:
    """Return how many observations share the commonest exact prefix of so many blocks; 0 if none is that long."""
    blocks, _, _ = window_codes(snapshot, key)
    counts = Counter(tuple(codes[:depth]) for codes in blocks if len(codes) >= depth)
    return max(counts.values(), default=0)


def window_codes(snapshot: Snapshot, key: str) -> tuple[list[list[int]], list[str | None], Mapping[int, BlockIdentity]]:
    """Return a window's blocks as codes that are equal where the blocks are the same, and what each stands for."""
    return _codes(snapshot.columns.observations, key)


def _codes(
    source: ObservationColumns, key: str
) -> tuple[list[list[int]], list[str | None], Mapping[int, BlockIdentity]]:
    window = source.number[key]
    rows, observations = source.blocks_of(window), source.observations_of(window)
    columns = (source.spans[rows], source.contents[rows], _kinds(source)[source.forms[rows]])
    together = np.stack(columns, axis=1).astype(np.int64)
    distinct, codes = np.unique(together, axis=0, return_inverse=True)
    first = {code: row for row, code in reversed(list(enumerate(codes.tolist())))}
    identities = {
        code: BlockIdentity(
            source.span_pool[distinct[code, 0]],
            source.form_pool[source.forms[rows][row]].role,
            source.form_pool[source.forms[rows][row]].content_type,
            source.content_pool[distinct[code, 1]],
        )
        for code, row in first.items()
    }
    ends = (source.block_offsets[observations.start : observations.stop + 1] - rows.start).tolist()
    listed: list[int] = codes.tolist()
    blocks = [listed[a:b] for a, b in pairwise(ends)]
    return blocks, [source.request_hashes[row] for row in observations], identities


def _kinds(source: ObservationColumns) -> NDArray[np.int64]:
    """Return a number for each form, equal where role and content type are."""
    forms: Sequence[tuple[str, str]] = [(f.role, f.content_type) for f in source.form_pool]
    numbers = {form: i for i, form in enumerate(dict.fromkeys(forms))}
    return np.array([numbers[form] for form in forms], np.int64)
