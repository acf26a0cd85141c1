"""What mending wins, in a few numbers and a few milliseconds.

Belongs here: the extent of stable prefixes before and after a repair. The numbers are those of `acg_lab.what_if`,
analysed and summed up; only the way is shorter.
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
from acg_lab.repairs.apply import Windows, apply_repair, windows_of
from acg_lab.repairs.block_table import Rows
from acg_lab.repairs.repairs import Repair, as_repairs
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.snapshot.span_stats import block_tokens, count_spans
from acg_lab.storage.columns import ObservationColumns

__all__ = ["Effect", "Extent", "effect", "extent", "regained"]


class Extent(Struct, frozen=True, kw_only=True):
    """How far the stable prefixes of some profiles reach.

    Attributes
    ----------
    profiles, observations : int
        How many there are.
    prefix_blocks, prompt_tokens, prefix_tokens : float
        Means over the observations, each with those of its profile (see `acg_lab.snapshot.ProfileSummary`).
    """

    profiles: int
    observations: int
    prefix_blocks: float
    prompt_tokens: float
    prefix_tokens: float

    @property
    def share(self) -> float:
        """Share of the prompt's tokens that the prefix covers, from 0 to 1."""
        return self.prefix_tokens / self.prompt_tokens if self.prompt_tokens else 0.0


class Effect(Struct, frozen=True, kw_only=True):
    """What repairs do to the stable prefixes of some profiles.

    Attributes
    ----------
    repairs : tuple of Repair
        In the order in which they are applied.
    before, after : Extent
        Of the profiles as they are, and of those that come of them.
    """

    repairs: tuple[Repair, ...]
    before: Extent
    after: Extent

    @property
    def tokens_gained(self) -> float:
        """How much longer the prefix is in the mean, in tokens."""
        return self.after.prefix_tokens - self.before.prefix_tokens

    def __repr__(self) -> str:
        (first, *more) = [repair.describe for repair in self.repairs] or ["nothing is done"]
        deeds = printable(first) + (f", and {counted(len(more), 'more repair')}" if more else "")
        profiles = f"{counted(self.before.profiles, 'profile')} → {self.after.profiles:,}"
        prefix = f"prefix {self.before.prefix_tokens:,.0f} → {self.after.prefix_tokens:,.0f} tokens"
        return f"<Effect if {deeds}: {profiles}, {prefix}>"


def effect(
    snap: Snapshot,
    learning_keys: str | Sequence[str],
    repair: Repair | Sequence[Repair],
    thresholds: StabilityThresholds | None = None,
    *,
    observation_window: int = 100,
) -> Effect:
    """Return what a repair does to the stable prefixes of some profiles, looked at alone.

    Equal to summing up what `acg_lab.what_if` of these profiles alone gives, without making all of it. (Usual contents
    are those of these profiles, and others that would merge with them are left out.)

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    learning_keys : str or sequence of str
        Of the profiles to look at.
    repair : Repair or sequence of Repair
        Of `acg_lab.repairs`.
    thresholds : StabilityThresholds, optional
        Production's defaults when left out.
    observation_window : int
        How many observations merged profiles keep.

    Raises
    ------
    UsageError
        As `acg_lab.what_if`, of these profiles.
    """
    repairs, thresholds = as_repairs(repair), thresholds or StabilityThresholds()
    windows = windows_of(snap, (learning_keys,) if isinstance(learning_keys, str) else learning_keys)
    after = windows
    for each in repairs:
        after = apply_repair(after, each, observation_window)
    return Effect(repairs=repairs, before=extent(windows, thresholds), after=extent(after, thresholds))


def regained(effect: Effect, lost: float, shared: float) -> float:
    """Return the tokens of a request, in the mean, that come back where profiles kept apart become one.

    Of the ``shared`` tokens of a request ``lost`` can't be read in the mean, as requests meet profiles that are too
    young. In the one profile these requests read its prefix, which may be shorter than what all of them share.
    """
    return lost * min(1.0, effect.after.prefix_tokens / shared) if shared else 0.0


def extent(windows: Windows, thresholds: StabilityThresholds) -> Extent:
    """Measure the stable prefixes of windows."""
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
        depth = _exact_depth(source, window, thresholds) if exact else count_leading_stable(scores)
        of_span = {span.span_id: total / n for span, total in zip(spans[a:b], tokens[a:b], strict=True)}
        # In the order in which `acg_lab.summarize` adds them up: it decides the last bit.
        blocks += n * depth
        prompt += n * sum(of_span.values())
        prefix += n * sum(of_span[score.span_id] for score in scores[:depth])
    total = len(source.ir_ids)
    return Extent(
        profiles=len(source.keys),
        observations=total,
        prefix_blocks=blocks / total if total else 0.0,
        prompt_tokens=prompt / total if total else 0.0,
        prefix_tokens=prefix / total if total else 0.0,
    )


def _exact_depth(source: ObservationColumns, window: int, thresholds: StabilityThresholds) -> int:
    """Return the depth of the exact prefix, blocks compared by span, role, type and content."""
    rows = source.blocks_of(window)
    kinds: dict[tuple[str, str], int] = {}
    kind = np.array([kinds.setdefault((f.role, f.content_type), len(kinds)) for f in source.form_pool], np.int64)
    spans, contents = source.spans[rows].astype(np.int64), source.contents[rows]
    codes = ((spans * len(source.content_pool)) + contents) * len(kinds) + kind[source.forms[rows]]
    observations = source.observations_of(window)
    ends = source.block_offsets[observations.start : observations.stop + 1] - rows.start
    agreed = _agreed(codes, ends)
    blocks = [codes[a + agreed : b].tolist() for a, b in pairwise(ends.tolist())]
    return agreed + find_majority_depth(blocks, thresholds.stable_threshold, int)


def _agreed(codes: Rows, ends: Rows) -> int:
    """Return how many leading blocks all observations share."""
    shortest = int(np.diff(ends).min(initial=len(codes)))
    leading = codes[ends[:-1, np.newaxis] + np.arange(shortest)]
    differ = np.flatnonzero((leading != leading[:1]).any(axis=0))
    return int(differ[0]) if len(differ) else shortest
