"""Measure how much longer stable prefixes are with a repair, in a few milliseconds.

Invariant: the numbers are those of `acg_lab.summarize` of the analysed result of `acg_lab.what_if`, computed without
making that snapshot.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from msgspec import Struct

from acg_lab._format import counted, printable
from acg_lab.core.exact_prefix import find_majority_depth
from acg_lab.core.rules import get_rules
from acg_lab.core.stability import StabilityThresholds, count_leading_stable, judge_spans
from acg_lab.core.window import SpanCount
from acg_lab.repairs.apply import ProfileWindows, apply_repair, select_windows
from acg_lab.repairs.block_table import Rows
from acg_lab.repairs.repairs import Repair, check_repairs
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.snapshot.span_stats import block_tokens, count_spans
from acg_lab.storage.columns import ObservationColumns

__all__ = ["Effect", "Extent", "measure_effect", "measure_extent", "recovered_tokens"]


class Extent(Struct, frozen=True, kw_only=True):
    """How far the stable prefixes of some profiles reach.

    Attributes
    ----------
    profiles, observations : int
        How many there are.
    prefix_blocks, prompt_tokens, prefix_tokens : float
        Means over the observations, each of which counts with its profile's numbers (see
        `acg_lab.snapshot.ProfileSummary`).
    """

    profiles: int
    observations: int
    prefix_blocks: float
    prompt_tokens: float
    prefix_tokens: float

    @property
    def share(self) -> float:
        """Share of the prompt's tokens that the prefix covers, between 0 and 1."""
        return self.prefix_tokens / self.prompt_tokens if self.prompt_tokens else 0.0


class Effect(Struct, frozen=True, kw_only=True):
    """What repairs do to the stable prefixes of some profiles.

    Attributes
    ----------
    repairs : tuple of Repair
        In the order in which they are applied.
    before, after : Extent
        The extent of the profiles as they are, and of the profiles that they become.
    money_saved : float or None
        What the repairs save in US dollars over the recorded history, by simulation; None where that is not known.
    """

    repairs: tuple[Repair, ...]
    before: Extent
    after: Extent
    money_saved: float | None = None

    @property
    def tokens_gained(self) -> float:
        """Mean increase of the prefix in tokens per request."""
        return self.after.prefix_tokens - self.before.prefix_tokens

    def __repr__(self) -> str:
        (first, *more) = [repair.description for repair in self.repairs] or ["nothing changes"]
        repairs = printable(first) + (f", and {counted(len(more), 'more repair')}" if more else "")
        profiles = f"{counted(self.before.profiles, 'profile')} → {self.after.profiles:,}"
        prefix = f"prefix {self.before.prefix_tokens:,.0f} → {self.after.prefix_tokens:,.0f} tokens"
        return f"<Effect if {repairs}: {profiles}, {prefix}>"


def measure_effect(
    snap: Snapshot,
    learning_keys: str | Sequence[str],
    repair: Repair | Sequence[Repair],
    thresholds: StabilityThresholds | None = None,
    *,
    observation_window: int = 100,
) -> Effect:
    """Measure what a repair does to the stable prefixes of some profiles, looked at alone.

    The result equals the summary of `acg_lab.what_if` of a snapshot that holds only these profiles: dominant contents
    are those of these profiles, and other profiles that would merge with them are ignored.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    learning_keys : str or sequence of str
        The profiles to look at.
    repair : Repair or sequence of Repair
        Repairs of `acg_lab.repairs`, applied in order.
    thresholds : StabilityThresholds, optional
        Production's defaults when left out.
    observation_window : int, default 100
        How many observations merged profiles keep.

    Returns
    -------
    Effect

    Raises
    ------
    UsageError
        As `acg_lab.what_if` does.
    """
    repairs, thresholds = check_repairs(repair), thresholds or StabilityThresholds()
    windows = select_windows(snap, (learning_keys,) if isinstance(learning_keys, str) else learning_keys)
    after = windows
    for each in repairs:
        after = apply_repair(after, each, observation_window)
    return Effect(repairs=repairs, before=measure_extent(windows, thresholds), after=measure_extent(after, thresholds))


def recovered_tokens(effect: Effect, lost: float, shared: float) -> float:
    """Return the mean tokens per request that are recovered when separate profiles become one.

    Of the ``shared`` tokens of a request, ``lost`` cannot be read on average, since some requests meet profiles that
    are too young. In the merged profile these requests read its prefix, which may be shorter than what all requests
    share.
    """
    return lost * min(1.0, effect.after.prefix_tokens / shared) if shared else 0.0


def measure_extent(windows: ProfileWindows, thresholds: StabilityThresholds) -> Extent:
    """Return the extent of the stable prefixes of windows."""
    source = windows.observations
    counts = count_spans(source)
    tokens = np.bincount(counts.of_block, weights=block_tokens(source), minlength=len(counts.spans)).tolist()
    columns = [column.tolist() for column in (counts.spans, counts.indexes, counts.present, counts.dominant)]
    spans = [SpanCount(source.span_pool[code], *facts) for code, *facts in zip(*columns, strict=True)]
    ends = np.searchsorted(counts.windows, np.arange(len(source.keys) + 1)).tolist()
    blocks = prompt = prefix = 0.0
    for window, (key, a, b) in enumerate(zip(source.keys, ends, ends[1:], strict=False)):
        n = len(source.observations_of(window))
        scores = judge_spans(spans[a:b], n, thresholds)
        exact = get_rules(windows.rules[key].rules).exact_prefix
        length = _exact_length(source, window, thresholds) if exact else count_leading_stable(scores)
        of_span = {span.span_id: total / n for span, total in zip(spans[a:b], tokens[a:b], strict=True)}
        # The order of summation is that of `acg_lab.summarize`, since it decides the last bit.
        blocks += n * length
        prompt += n * sum(of_span.values())
        prefix += n * sum(of_span[score.span_id] for score in scores[:length])
    total = len(source.ir_ids)
    return Extent(
        profiles=len(source.keys),
        observations=total,
        prefix_blocks=blocks / total if total else 0.0,
        prompt_tokens=prompt / total if total else 0.0,
        prefix_tokens=prefix / total if total else 0.0,
    )


def _exact_length(source: ObservationColumns, window: int, thresholds: StabilityThresholds) -> int:
    """Return the length of the exact prefix; blocks are compared by span, role, content type and content."""
    rows = source.blocks_of(window)
    kinds: dict[tuple[str, str], int] = {}
    kind = np.array([kinds.setdefault((f.role, f.content_type), len(kinds)) for f in source.form_pool], np.int64)
    spans, contents = source.spans[rows].astype(np.int64), source.contents[rows]
    codes = ((spans * len(source.content_pool)) + contents) * len(kinds) + kind[source.forms[rows]]
    observations = source.observations_of(window)
    ends = source.block_offsets[observations.start : observations.stop + 1] - rows.start
    common = _count_common(codes, ends)
    blocks = [codes[a + common : b].tolist() for a, b in pairwise(ends.tolist())]
    return common + find_majority_depth(blocks, thresholds.stable_threshold, int)


def _count_common(codes: Rows, ends: Rows) -> int:
    """Return how many leading blocks all observations have in common."""
    shortest = int(np.diff(ends).min(initial=len(codes)))
    leading = codes[ends[:-1, np.newaxis] + np.arange(shortest)]
    differ = np.flatnonzero((leading != leading[:1]).any(axis=0))
    return int(differ[0]) if len(differ) else shortest
