"""Results, tokens and codes of one snapshot under one setting, computed once for everything that explains it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.breakpoints import BYTES_PER_TOKEN, expected_savings
from acg_lab.core.errors import RecordError
from acg_lab.core.planner import MIN_OBSERVATIONS
from acg_lab.core.records import PromptIR, StabilityAnalysisResult
from acg_lab.core.stability import StabilityThresholds
from acg_lab.diagnosis.block_history import BlockHistory, sort_by_time
from acg_lab.diagnosis.finding import Kind
from acg_lab.diagnosis.mended_history import MendedText
from acg_lab.snapshot.request_reader import LearningKeys
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.snapshot.span_stats import block_tokens
from acg_lab.snapshot.summary import summarize
from acg_lab.storage.observation_columns import ObservationColumns
from acg_lab.storage.recorded_runs import Call

__all__ = ["AnalysisContext", "is_template", "requests_needed"]

_HALF = 0.5
_SAME_IN_OTHER_FORMS = (Kind.JSON_KEY_ORDER, Kind.REORDERED, Kind.UNICODE_FORM, Kind.WHITESPACE)


def requests_needed(thresholds: StabilityThresholds) -> int:
    """Return the smallest number of requests from which production plans for a block that never changes."""
    full = thresholds.min_observations_for_full_confidence
    n = MIN_OBSERVATIONS
    while expected_savings(1, (n - 1) * (min(n / full, 1.0) if full else 1.0)) <= 0:
        n += 1
    return n


def is_template(block: BlockHistory) -> bool:
    """Return whether the contents of a block are one text with slots, of which at least half stays the same."""
    template = block.template
    return template is not None and template.count_shared_bytes() >= _HALF * len(block.dominant_text.encode())


@dataclass(frozen=True, eq=False)
class AnalysisContext:
    """A snapshot, the thresholds, and the results under them by learning key."""

    snapshot: Snapshot
    thresholds: StabilityThresholds
    results: Mapping[str, StabilityAnalysisResult]

    def may_show(self, block: BlockHistory) -> bool:
        """Return whether excerpts of a block may be shown: of a private one only if that was asked for."""
        return self.snapshot.shows_private or not block.is_private

    @property
    def source(self) -> ObservationColumns:
        """The observations of the snapshot."""
        return self.snapshot.columns.observations

    @cached_property
    def tokens(self) -> NDArray[np.int64]:
        """Tokens of each block, known or estimated, shape (n_blocks,)."""
        return block_tokens(self.source)

    @cached_property
    def span_codes(self) -> Mapping[str, int]:
        """The code of each span id."""
        return {span_id: code for code, span_id in enumerate(self.source.span_pool)}

    @cached_property
    def _prefixes(self) -> Mapping[str, float]:
        return {profile.learning_key: profile.prefix_tokens for profile in summarize(self.snapshot, self.results)}

    @cached_property
    def first_calls(self) -> Mapping[str, Call]:
        """The first recorded request of each profile that has one."""
        runs, snapshot = self.snapshot.runs, self.snapshot
        rules_of: dict[str, set[str]] = {}
        for key in self.results:
            rules_of.setdefault(snapshot.owners[key].agent_id, set()).add(snapshot.rules[key].rules)
        keys = LearningKeys(runs)
        found: dict[str, Call] = {}
        for record, calls in zip(runs.records, runs.calls, strict=True):
            for call in calls:
                for rules in rules_of.get(record.agent_id, ()):
                    with suppress(RecordError):  # production skips it too
                        if call.request is not None:
                            found.setdefault(keys.key(record.agent_id, call, rules), call)
        return found

    def prefix_tokens(self, key: str) -> float:
        """Return the mean tokens of a profile's stable prefix."""
        return self._prefixes[key]

    def tokens_from(self, key: str, rank: int) -> float:
        """Return the mean tokens per request of a profile's stable prefix, from its block number ``rank`` on."""
        source = self.source
        window = source.number[key]
        scores = self.results[key].scores[rank : self.results[key].stable_prefix_length]
        codes = [self.span_codes[score.span_id] for score in scores]
        blocks = source.blocks_of(window)
        held = np.isin(source.spans[blocks], codes)
        return float(self.tokens[blocks][held].sum()) / len(source.observations_of(window))

    def newest(self, key: str) -> PromptIR:
        """Return the newest observation of a profile."""
        source = self.source
        return source.observation(source.observations_of(source.number[key])[-1])

    def breaking_span(self, key: str) -> str:
        """Return the span id of the breaking block of a profile.

        Of several spans at its index, a system message is preferred, then the commonest span. (Production lists the
        least stable of them first, which is usually a block that takes the position of the others.)
        """
        result = self.results[key]
        tokens_after = result.scores[result.stable_prefix_length :]
        indexes = {count.span_id: count.sequence_index for count in self.snapshot.counts[key]}
        tied = [score for score in tokens_after if indexes[score.span_id] == indexes[tokens_after[0].span_id]]
        return max(tied, key=lambda s: (s.span_id.startswith("system-"), s.observation_count)).span_id

    def block_history(self, keys: Sequence[str], span_id: str, threshold: float) -> BlockHistory:
        """Return the history of a block in the requests of some profiles."""
        rows = sort_by_time(self.source, [self.source.number[key] for key in keys])
        return BlockHistory(self.source, rows, self.span_codes[span_id], threshold)

    def count_steady_tokens(self, block: BlockHistory, excluded: Collection[int], enough: float = 1.0) -> float:
        """Return the tokens per request of contents that enough requests have, at any position.

        Blocks of the spans ``excluded``, by code, are left out. The share that is ``enough`` is at most the threshold.
        """
        held = [
            {content for span, content in zip(r.spans, r.contents, strict=True) if span not in excluded}
            for r in block.requests
        ]
        in_requests = Counter(content for contents in held for content in contents)
        needed = min(max(self.thresholds.stable_threshold, _HALF), enough) * len(held)
        steady = {content for content, count in in_requests.items() if count >= needed}
        total = 0
        for row, request in zip(block.rows, block.requests, strict=True):
            first = int(self.source.block_offsets[row])
            pairs = enumerate(zip(request.spans, request.contents, strict=True), first)
            total += sum(int(self.tokens[i]) for i, (span, code) in pairs if code in steady and span not in excluded)
        return total / len(held)

    def count_template_tokens(self, block: BlockHistory) -> float:
        """Return the tokens per request that the block's contents share, 0 if it is not a template.

        In a template at least half of the text stays the same, in pieces too long to agree by accident.
        """
        if (template := block.template) is None or not is_template(block):
            return 0.0
        fits = sum(block.counts[block.by_count[i]] for i in template.members)
        return fits / len(block.rows) * template.count_shared_bytes() / BYTES_PER_TOKEN

    def count_tokens_inside(self, block: BlockHistory, kind: Kind) -> float:
        """Return the tokens per request of a block that do not change, or that say the same in several forms."""
        if kind not in _SAME_IN_OTHER_FORMS:
            # Causes of one block keep as much out of reach, so that the first in the text comes first.
            whole = self.count_template_tokens(block.whole) if isinstance(block, MendedText) else 0.0
            return whole or self.count_template_tokens(block)
        placed = zip(block.rows, block.positions, strict=True)
        held = [int(self.source.block_offsets[row]) + at for row, at in placed if at is not None]
        return float(self.tokens[held].sum()) / len(block.rows)

    def count_dominant_tokens(self, block: BlockHistory) -> float:
        """Return the tokens per request of the block's dominant content."""
        dominant = block.by_count[0]
        at = block.codes.index(dominant)
        row = int(self.source.block_offsets[block.rows[at]]) + (block.positions[at] or 0)
        return int(self.tokens[row]) * block.share
