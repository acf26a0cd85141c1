"""What windows hold of each span, beyond the counts that the core judges by.

Belongs here: facts that say why a block is not stable, and how large it is; as arrays over columns of codes. No record
is made, no text is looked at but for its length.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.snapshot.counting import SpanCounts, block_tokens, count_spans
from acg_lab.storage.columns import ObservationColumns

__all__ = ["SpanFacts", "ToolOrders", "Variants", "count_tool_orders", "list_variants", "observe_spans"]

Numbers = NDArray[np.int64]


class SpanFacts(NamedTuple):
    """A row a span of a window, by window, then by code of the span; all columns are of shape (n_spans,).

    Attributes
    ----------
    counts : SpanCounts
        What is counted of each.
    newest : block rows
        The newest block of each.
    tokens : float
        Mean where the span is present.
    changes : int
        How often its content is another one than in the request before that has the span. Of a span that a request
        repeats the first block counts.
    last_change : int
        How many requests ago that last happened: 1 is the newest request; 0 where it never did.
    """

    counts: SpanCounts
    newest: Numbers
    tokens: NDArray[np.float64]
    changes: Numbers
    last_change: Numbers


class ToolOrders(NamedTuple):
    """How many tools every request of a window has, if they are the same ones in each, and in how many orders."""

    tools: int
    orders: int


def observe_spans(source: ObservationColumns, counts: SpanCounts | None = None) -> SpanFacts:
    """Find the facts of every span of every window; ``counts`` are `count_spans` of it, where they are known."""
    counts = counts or count_spans(source)
    n = len(counts.spans)
    newest = np.zeros(n, np.int64)
    newest[counts.of_block] = np.arange(len(source.spans))  # of equal places the last one is kept
    tokens = np.bincount(counts.of_block, weights=block_tokens(source), minlength=n) / np.maximum(counts.present, 1)
    changes, last_change = _changes(source, counts)
    return SpanFacts(counts, newest, tokens, changes, last_change)


def _changes(source: ObservationColumns, counts: SpanCounts) -> tuple[Numbers, Numbers]:
    """Return how often each span's content changed from request to request, and how long ago it last did."""
    n = len(counts.spans)
    in_time = counts.first[np.argsort(counts.of_block[counts.first], kind="stable")]
    spans, contents = counts.of_block[in_time], source.contents[in_time]
    changed = (spans[1:] == spans[:-1]) & (contents[1:] != contents[:-1])
    at = spans[1:][changed]
    observations = np.searchsorted(source.block_offsets, in_time[1:][changed], side="right") - 1
    last_change = np.zeros(n, np.int64)
    last_change[at] = source.window_offsets[counts.windows[at] + 1] - observations
    return np.bincount(at, minlength=n), last_change


def count_tool_orders(source: ObservationColumns) -> list[ToolOrders | None]:
    """Tell of each window whether all its requests have the same tools; None where they do not, or have none."""
    is_tool = np.array([form.content_type == "tool_schema" for form in source.form_pool], bool)
    rows = np.flatnonzero(is_tool[source.forms]) if len(source.forms) else np.empty(0, np.int64)
    observations = np.searchsorted(source.block_offsets, rows, side="right") - 1
    ends = np.searchsorted(observations, np.arange(len(source.block_offsets))).tolist()
    tools = source.contents[rows]
    # Their codes in ascending order, observation by observation.
    n_texts = max(len(source.content_pool), 1)
    alphabetical = (np.sort(observations * n_texts + tools, kind="stable") % n_texts).astype(tools.dtype)
    ordered = [tools[a:b].tobytes() for a, b in pairwise(ends)]
    as_set = [alphabetical[a:b].tobytes() for a, b in pairwise(ends)]
    found: list[ToolOrders | None] = []
    for window in range(len(source.keys)):
        of_window = source.observations_of(window)
        same = len(set(as_set[of_window.start : of_window.stop])) == 1
        n = len(as_set[of_window.start]) // tools.itemsize if same else 0
        found.append(ToolOrders(n, len(set(ordered[of_window.start : of_window.stop]))) if n else None)
    return found


class Variants(NamedTuple):
    """The distinct contents of each span of each window, the commonest of a span first, then the one seen first.

    ``first`` and ``newest`` are block rows, ``position`` the smallest sequence index of the span, ``counts`` how
    often the content occurs; all of shape (n_variants,), by window, then in prompt order.
    """

    first: Numbers
    newest: Numbers
    position: Numbers
    counts: Numbers


def list_variants(source: ObservationColumns) -> Variants:
    """List the distinct contents of each span of each window."""
    spans = count_spans(source)
    codes = spans.of_block * max(len(source.content_pool), 1) + source.contents
    _, first, of_block, counts = np.unique(codes, return_index=True, return_inverse=True, return_counts=True)
    newest = np.zeros(len(first), np.int64)
    newest[of_block] = np.arange(len(codes))
    span = spans.of_block[first]
    position = spans.indexes[span].astype(np.int64)
    order = np.lexsort((first, -counts, span, position, spans.windows[span]))
    return Variants(first[order], newest[order], position[order], counts[order])
