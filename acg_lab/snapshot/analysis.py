"""Analyse the windows of a snapshot, as columns of codes, by the core's rules.

Every result equals `acg_lab.core.analyze_stability` of the same window.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from acg_lab._format import counted, cut, html_table, html_text, printable
from acg_lab.config.thresholds import check_thresholds
from acg_lab.core.exact_prefix import BlockIdentity, count_sharing_by_depth, find_majority_depth, window_fingerprint
from acg_lab.core.records import StabilityAnalysisResult
from acg_lab.core.rules import get_rules
from acg_lab.core.stability import StabilityThresholds, count_leading_stable, judge_spans, make_result
from acg_lab.core.window import SpanCount
from acg_lab.snapshot.block_identities import identify_blocks
from acg_lab.snapshot.profile_names import ProfileNames
from acg_lab.snapshot.snapshot import Snapshot, check_snapshot
from acg_lab.storage.observation_columns import ObservationColumns

__all__ = ["Results", "analyze", "analyze_profile", "count_sharing", "judge_columns", "shared_prefixes", "window_codes"]

_SHOWN, _WIDTH, _SPAN = 20, 100, 16
_TITLES = ("profile", "requests", "prefix", "of blocks", "then", "class", "score")
_NUMBERS = ("requests", "prefix", "of blocks", "score")
_HTML = 78


class Results(dict[str, StabilityAnalysisResult]):
    """Results of `acg_lab.analyze` by learning key: a dict with a table as its repr.

    Attributes
    ----------
    unread : tuple of str
        Recorded requests that production cannot read, one sentence per reason.
    """

    unread: tuple[str, ...] = ()

    def __repr__(self) -> str:
        rests: list[str] = []
        for n, prefix, blocks, span, class_, score in self._rows():
            end = f"{cut(printable(span), _SPAN)} {class_} {score}".strip() or "nothing"
            rests.append(f" {n:>5} requests, {prefix}/{blocks} blocks, then {end}")
        names = self._names(_WIDTH - 2 - max(map(len, rests), default=0))
        width = max(map(len, names), default=0)
        lines = [f"<{self._title()}>", *(f"  {n:<{width}}{rest}" for n, rest in zip(names, rests, strict=True))]
        more = [f"  ... and {self._more()}"] if len(self) > _SHOWN else []
        return "\n".join([*lines, *more, *(f"  {printable(text)}" for text in self.unread)])

    def _repr_html_(self) -> str:
        named = zip(self._names(_HTML), self._rows(), strict=True)
        rows = ([html_text(cell) for cell in (name, *row)] for name, row in named)
        more = f"<p>... and {self._more()}</p>" if len(self) > _SHOWN else ""
        more += "".join(f"<p>{html_text(text)}</p>" for text in self.unread)
        return f"<b>{self._title()}</b>{html_table(_TITLES, rows, numbers=_NUMBERS)}{more}"

    def _title(self) -> str:
        requests = counted(sum(result.total_observations for result in self.values()), "request")
        return f"Results: {counted(len(self), 'profile')}, {requests}"

    def _more(self) -> str:
        return f"{counted(len(self) - _SHOWN, 'more profile')}; acg_lab.frames.scores has all"

    def _names(self, width: int) -> list[str]:
        """Return the display names of the profiles that are shown."""
        names = islice(ProfileNames(dict.fromkeys(self)).values(), _SHOWN)
        return [cut(printable(name), width) for name in names]

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for result in islice(self.values(), _SHOWN):
            length = result.stable_prefix_length
            ends = [(score.span_id, score.classification, f"{score.score:.4g}") for score in result.scores[length:][:1]]
            counts = f"{result.total_observations:,}", f"{length:,}", f"{len(result.scores):,}"
            yield *counts, *(ends[0] if ends else ("", "", ""))


def analyze(snapshot: Snapshot, thresholds: StabilityThresholds | None = None, *, rules: str | None = None) -> Results:
    """Analyse every profile of a snapshot.

    Parameters
    ----------
    snapshot : Snapshot
        Read, never changed.
    thresholds : StabilityThresholds, optional
        Production's defaults if omitted.
    rules : str, optional
        Name of the rules version for all profiles; the detected one of each (`Snapshot.rules`) if omitted.

    Returns
    -------
    Results
        A dict by learning key, in the order of ``snapshot.windows``; each result equals
        `acg_lab.core.analyze_stability` of that window.

    Raises
    ------
    UsageError
        If an argument has the wrong type, or the rules version is unknown.

    Examples
    --------
    >>> from acg_lab.snapshot.load import load
    >>> from acg_lab.storage.memory import MemoryBackend
    >>> analyze(load(MemoryBackend()))
    <Results: 0 profiles, 0 requests>
    """
    check_snapshot(snapshot)
    thresholds = check_thresholds(thresholds)
    results = Results(
        (key, analyze_profile(snapshot, key, thresholds, rules or snapshot.rules[key].rules))
        for key in snapshot.windows
    )
    results.unread = snapshot.unread
    return results


def analyze_profile(
    snapshot: Snapshot, key: str, thresholds: StabilityThresholds, rules: str
) -> StabilityAnalysisResult:
    """Analyse one profile."""
    return judge_columns(snapshot.columns.observations, key, snapshot.counts[key], thresholds, rules)


def judge_columns(
    source: ObservationColumns, key: str, counts: Iterable[SpanCount], thresholds: StabilityThresholds, rules: str
) -> StabilityAnalysisResult:
    """Analyse one counted window of columns."""
    n = len(source.observations_of(source.number[key]))
    scores = judge_spans(counts, n, thresholds)
    if not get_rules(rules).exact_prefix:
        return make_result(scores, count_leading_stable(scores), n)
    blocks, hashes, identities = identify_blocks(source, key)
    depth = find_majority_depth(blocks, thresholds.stable_threshold, int)
    rows = [(codes[:depth], request_hash) for codes, request_hash in zip(blocks, hashes, strict=True)]
    return make_result(scores, depth, n, window_fingerprint(key, rows, depth, identities.__getitem__))


def shared_prefixes(snapshot: Snapshot, key: str) -> list[int]:
    """Return how many observations share each depth of the majority's exact prefix, starting with 1 block."""
    blocks, _, _ = window_codes(snapshot, key)
    return count_sharing_by_depth(blocks, int)


def count_sharing(snapshot: Snapshot, key: str, depth: int) -> int:
    """Return how many observations share the commonest exact prefix of ``depth`` blocks; 0 if none is that long."""
    blocks, _, _ = window_codes(snapshot, key)
    counts = Counter(tuple(codes[:depth]) for codes in blocks if len(codes) >= depth)
    return max(counts.values(), default=0)


def window_codes(snapshot: Snapshot, key: str) -> tuple[list[list[int]], list[str | None], Mapping[int, BlockIdentity]]:
    """Return the blocks of a window as codes, the request hashes, and the identity that each code stands for."""
    return identify_blocks(snapshot.columns.observations, key)
