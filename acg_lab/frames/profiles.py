"""What the analysis of windows says: one row per profile, and one row per block of a profile."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from acg_lab.config.thresholds import check_thresholds
from acg_lab.core.errors import UsageError
from acg_lab.core.keys import parse_learning_key
from acg_lab.core.records import StabilityAnalysisResult
from acg_lab.core.stability import StabilityThresholds
from acg_lab.frames.columns import category, counts_of, make_frame
from acg_lab.frames.schema import PROFILES, SCORES
from acg_lab.snapshot.analysis import analyze, analyze_profile, count_sharing
from acg_lab.snapshot.narrow import columns_of
from acg_lab.snapshot.profile_names import ProfileNames
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.snapshot.span_stats import SpanFacts, count_tool_orders, observe_spans
from acg_lab.snapshot.summary import ProfileSummary, summarize

if TYPE_CHECKING:
    from acg_lab.storage.observation_columns import ObservationColumns

__all__ = ["profiles", "scores"]

Results = Mapping[str, StabilityAnalysisResult]
_FACTS: Final = tuple(SCORES)[tuple(SCORES).index("role") :]


def profiles(snap: Snapshot, thresholds: StabilityThresholds | None = None) -> pd.DataFrame:
    """Return one row per profile, worst loss first, then by learning key.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    thresholds : StabilityThresholds, optional
        Production's defaults when left out.

    Returns
    -------
    DataFrame
        learning_key, profile (its display name), agent_id (categorical); model; rules (the rules version it is analysed
        by); requests; blocks (in all requests), prefix_blocks (in the stable prefix); prompt_tokens, prefix_tokens
        (means per request); share (of the prompt that the prefix covers, 0 to 1); lost_tokens (of all its requests, not
        covered by the prefix); confidence (the least in the prefix, or the first block's if there is no prefix, 0 to
        1); breaking_span, breaking_class, breaking_score (of the first block after the prefix, missing if there is
        none); first_seen, last_seen (times of the oldest and the newest request, UTC).

    Raises
    ------
    UsageError
        If a threshold is written in per cent.

    Examples
    --------
    >>> import acg_lab as acg
    >>> snap = acg.load(acg.MemoryBackend())
    >>> acg.frames.profiles(snap).columns[:3].tolist()
    ['learning_key', 'profile', 'agent_id']
    """
    results = analyze(snap, check_thresholds(thresholds))
    found = summarize(snap, results)
    rows = [_profile(snap, summary, results[summary.learning_key]) for summary in found]
    return make_frame(PROFILES, {name: [row[name] for row in rows] for name in PROFILES})


def _profile(snap: Snapshot, summary: ProfileSummary, result: StabilityAnalysisResult) -> dict[str, Any]:
    key, source = summary.learning_key, snap.columns.observations
    seen = source.created.nanoseconds[source.window_offsets[source.number[key]] :][: summary.observations]
    leading = result.scores[: max(result.stable_prefix_length, 1)]
    breaks = summary.breaks
    return {
        "learning_key": key,
        "profile": snap.profile_names[key],
        "agent_id": summary.agent_id,
        "model": summary.model,
        "rules": snap.rules[key].rules,
        "requests": summary.observations,
        "blocks": summary.blocks,
        "prefix_blocks": summary.prefix_blocks,
        "prompt_tokens": summary.prompt_tokens,
        "prefix_tokens": summary.prefix_tokens,
        "share": summary.share,
        "lost_tokens": summary.lost_tokens,
        "confidence": min((score.confidence for score in leading), default=0.0),
        "breaking_span": breaks and breaks.span_id,
        "breaking_class": breaks and breaks.classification,
        "breaking_score": breaks and breaks.score,
        "first_seen": seen[0] if len(seen) else pd.NaT.value,
        "last_seen": seen[-1] if len(seen) else pd.NaT.value,
    }


def scores(
    data: StabilityAnalysisResult | Results | Snapshot,
    snap: Snapshot | None = None,
    *,
    thresholds: StabilityThresholds | None = None,
    learning_key: str | None = None,
    agent_id: str | None = None,
) -> pd.DataFrame:
    """Return one row per block of each result, in prompt order, with the facts behind its score.

    Parameters
    ----------
    data : mapping of str to StabilityAnalysisResult, StabilityAnalysisResult, or Snapshot
        Results by learning key, as `acg_lab.analyze` returns them; one result, whose profile is then unknown; or a
        snapshot, which is analysed.
    snap : Snapshot, optional
        The snapshot that was analysed. Without it, the columns from ``role`` on are missing values.
    thresholds : StabilityThresholds, optional
        By which a snapshot is analysed; production's defaults when left out.
    learning_key : str, optional
        Only this profile, by learning key or display name.
    agent_id : str, optional
        Its agent; enough if the agent has one profile.

    Returns
    -------
    DataFrame
        learning_key, profile (its display name), agent_id, span_id, role, content_type (categorical); model; position
        (in the prompt, 0 = first); score; classification (ordered: variable, semi_stable, stable); confidence (0 to 1);
        present (requests that have the block); requests (in the window); in_prefix, breaks (whether it is in the stable
        prefix, or the first after it); tokens (mean over requests that have it); contents (number of distinct
        contents); n_dominant (how often the dominant content occurs); changes (how often it changed from one request
        that has it to the next); last_change (how many requests ago, 1 = with the newest; missing if never);
        first_position (smallest sequence index); n_sharing_prefix (requests that share one exact prefix up to and
        including this block; only for a stable block that breaks the prefix under nemo-relay-0.8); tools, tool_orders
        (of the profile: how many tools all its requests have, and in how many orders; missing if requests have
        different tools).

    Raises
    ------
    UsageError
        If the snapshot has no window of a result, or another one than was analysed; or if a threshold is written in per
        cent.

    Examples
    --------
    >>> import acg_lab as acg
    >>> snap = acg.load(acg.MemoryBackend())
    >>> acg.frames.scores(snap).columns[:3].tolist()
    ['learning_key', 'profile', 'agent_id']
    """
    results = _results(data, check_thresholds(thresholds), learning_key, agent_id)
    if isinstance(data, Snapshot):
        snap = data
    names = snap.profile_names if snap else ProfileNames(dict.fromkeys(data if isinstance(data, Mapping) else results))
    columns = _score_columns(snap, results, names)
    facts = _find_facts(snap, results) if snap is not None else dict.fromkeys(_FACTS, [None] * len(columns["score"]))
    return make_frame(SCORES, {**columns, **facts})


def _results(
    data: StabilityAnalysisResult | Results | Snapshot,
    thresholds: StabilityThresholds,
    key: str | None,
    agent_id: str | None,
) -> Results:
    if isinstance(data, StabilityAnalysisResult):
        return {key or "": data}
    if isinstance(data, Snapshot):
        if key is None and agent_id is None:
            return analyze(data, thresholds)
        key = data.profile_names.resolve(key, agent_id=agent_id)
        return {key: analyze_profile(data, key, thresholds, data.rules[key].rules)}
    if not isinstance(data, Mapping):
        msg = f"Expected results by learning key (of acg.analyze), one result or a Snapshot; got {type(data).__name__}."
        raise UsageError(msg)
    if key is None and agent_id is None:
        return data
    found = ProfileNames(dict.fromkeys(data)).resolve(key, agent_id=agent_id)
    return {found: data[found]}


def _score_columns(snap: Snapshot | None, results: Results, names: Mapping[str, str]) -> dict[str, Any]:
    """Return what the results themselves hold of each block, result by result in prompt order."""
    spans = [score for result in results.values() for score in result.scores]
    n_spans = [len(result.scores) for result in results.values()]
    position = np.concatenate([*map(np.arange, n_spans), np.empty(0, np.int64)])
    owners = {} if snap is None else snap.owners
    parsed = [parse_learning_key(key, agent_id=owners[key].agent_id if key in owners else None) for key in results]

    def repeat(of_results: Iterable[Any], kind: type) -> Any:
        return np.repeat(np.array(list(of_results), kind), n_spans)

    end = repeat((result.stable_prefix_length for result in results.values()), int)
    return {
        "learning_key": category(repeat(range(len(results)), int), tuple(results)),
        "profile": repeat((names.get(key, key) for key in results), object),
        "agent_id": repeat((key and key.agent_id for key in parsed), object),
        "model": pd.array([key and key.model for key in parsed], dtype="str").repeat(n_spans),
        "position": position,
        "span_id": [score.span_id for score in spans],
        "score": [score.score for score in spans],
        "classification": [score.classification for score in spans],
        "confidence": [score.confidence for score in spans],
        "present": [score.observation_count for score in spans],
        "requests": repeat((result.total_observations for result in results.values()), int),
        "in_prefix": position < end,
        "breaks": position == end,
    }


# --- facts of the blocks, from the windows ---


def _find_facts(snap: Snapshot, results: Mapping[str, StabilityAnalysisResult]) -> dict[str, Any]:
    """Return the columns `_FACTS` of all scores, result by result in prompt order.

    Raises
    ------
    UsageError
        If a result is not of the snapshot's window.
    """
    results = {snap.profile_names.resolve(key): result for key, result in results.items()}
    is_one = len(results) == 1
    source = columns_of(snap, results) if is_one else snap.columns.observations
    found = observe_spans(source, None if is_one else snap.span_counts)
    rows = np.array(_rows(snap, source, found, results), np.int64)
    forms = source.forms[found.newest[rows]]
    facts: dict[str, Any] = {
        name: category(forms, [str(getattr(form, name)) for form in source.form_pool], name)
        for name in ("role", "content_type")
    }
    facts |= {
        "tokens": found.tokens[rows],
        "contents": found.counts.contents[rows],
        "n_dominant": found.counts.dominant[rows],
        "changes": found.changes[rows],
        "last_change": counts_of(found.last_change[rows], found.last_change[rows] == 0),
        "first_position": found.counts.indexes[rows],
        "n_sharing_prefix": [shared for key, result in results.items() for shared in _count_sharing(snap, key, result)],
    }
    return facts | _tools(source, results)


def _rows(
    snap: Snapshot, source: "ObservationColumns", found: SpanFacts, results: Mapping[str, StabilityAnalysisResult]
) -> list[int]:
    """Return the row of each score in the facts."""
    names = [source.span_pool[span] for span in found.counts.spans.tolist()]
    ends = np.searchsorted(found.counts.windows, np.arange(len(source.keys) + 1)).tolist()
    rows: list[int] = []
    for key, result in results.items():
        window = source.number[key]
        of_window = range(ends[window], ends[window + 1])
        by_name = dict(zip(names[of_window.start : of_window.stop], of_window, strict=True))
        of_result = [by_name.get(score.span_id, -1) for score in result.scores]
        if result.total_observations != len(source.observations_of(window)) or -1 in of_result:
            msg = (
                f"The result of {key!r} is not of the window that {snap.source} holds; give results of this snapshot, "
                "as acg.analyze(snap) computes them."
            )
            raise UsageError(msg)
        rows += of_result
    return rows


def _count_sharing(snap: Snapshot, key: str, result: StabilityAnalysisResult) -> list[int | None]:
    """Return how many requests share the exact prefix that would end with a stable, breaking block; else None."""
    sharing: list[int | None] = [None] * len(result.scores)
    end = result.stable_prefix_length
    if end < len(sharing) and result.scores[end].classification == "stable":
        sharing[end] = count_sharing(snap, key, end + 1)
    return sharing


def _tools(source: "ObservationColumns", results: Mapping[str, StabilityAnalysisResult]) -> dict[str, Any]:
    orders = count_tool_orders(source)
    of_results = np.array([orders[source.number[key]] or (0, 0) for key in results], np.int64).reshape(-1, 2)
    tools, n_orders = np.repeat(of_results, [len(result.scores) for result in results.values()], axis=0).T
    return {"tools": counts_of(tools, tools == 0), "tool_orders": counts_of(n_orders, tools == 0)}
