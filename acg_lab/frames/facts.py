"""What the scores of a result leave out, put beside them: the facts of each span, from the windows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from acg_lab.core.errors import UsageError
from acg_lab.core.records import StabilityAnalysisResult
from acg_lab.frames.names import SCORES, category, counts_of
from acg_lab.snapshot.analysis import count_sharing
from acg_lab.snapshot.snapshot import Snapshot, check_keys, columns_of
from acg_lab.snapshot.span_stats import SpanFacts, count_tool_orders, observe_spans

if TYPE_CHECKING:
    from acg_lab.storage.columns import ObservationColumns

__all__ = ["FACTS", "find_facts"]

FACTS: Final = tuple(SCORES)[tuple(SCORES).index("role") :]


def find_facts(snap: Snapshot, results: Mapping[str, StabilityAnalysisResult]) -> dict[str, Any]:
    """Return the columns `FACTS` of all scores, result by result in prompt order.

    Raises
    ------
    UsageError
        If a result is not of the snapshot's window.
    """
    check_keys(snap, results)
    one = len(results) == 1
    source = columns_of(snap, results) if one else snap.columns.observations
    found = observe_spans(source, None if one else snap.span_counts)
    rows = np.array(_rows(snap, source, found, results), np.int64)
    forms = source.forms[found.newest[rows]]
    facts: dict[str, Any] = {
        name: category(forms, [str(getattr(form, name)) for form in source.form_pool], name)
        for name in ("role", "content_type")
    }
    facts |= {
        "tokens": found.tokens[rows],
        "contents": found.counts.contents[rows],
        "usual": found.counts.usual[rows],
        "changes": found.changes[rows],
        "last_change": counts_of(found.last_change[rows], found.last_change[rows] == 0),
        "first_position": found.counts.indexes[rows],
        "sharing": [shared for key, result in results.items() for shared in _sharing(snap, key, result)],
    }
    return facts | _tools(source, results)


def _rows(
    snap: Snapshot, source: "ObservationColumns", found: SpanFacts, results: Mapping[str, StabilityAnalysisResult]
) -> list[int]:
    """Return where the facts of each score stand."""
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


def _sharing(snap: Snapshot, key: str, result: StabilityAnalysisResult) -> list[int | None]:
    """Tell of a stable block that breaks an exact prefix how many requests share the prefix that it would end."""
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
