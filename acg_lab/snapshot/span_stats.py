"""Counts and facts of the spans of windows: what the core judges by, what explains instability, how large a span is.

All of it is computed over columns of codes. No record is made, and of texts only the length is used.
"""

from collections.abc import Collection
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from acg_lab.core.breakpoints import estimate_text_tokens
from acg_lab.core.window import SpanCount
from acg_lab.storage.observation_columns import ObservationColumns

__all__ = [
    "SpanCounts",
    "SpanFacts",
    "ToolOrders",
    "Variants",
    "block_tokens",
    "count_columns",
    "count_spans",
    "count_tool_orders",
    "list_variants",
    "observe_spans",
]

Numbers = NDArray[np.int64]


class SpanCounts(NamedTuple):
    """The counts of each span of each window: one row per span of a window, by window, then by code of the span.

    Attributes
    ----------
    windows, spans : (n_spans,)
        Position of the window's key in ``source.keys``, and code of the span.
    of_block : (n_blocks,)
        Row of each block's span.
    first : (n_pairs,)
        The first block of each span in each observation that has it, by observation, then by span.
    indexes, present, contents, dominant : (n_spans,)
        Smallest sequence index; observations with the span; distinct contents; occurrences of the dominant content.
    """

    windows: Numbers
    spans: Numbers
    of_block: Numbers
    first: Numbers
    indexes: NDArray[np.uint32]
    present: Numbers
    contents: Numbers
    dominant: Numbers


def count_spans(source: ObservationColumns) -> SpanCounts:
    """Count the spans of all windows at once."""
    n_names, n_texts = max(len(source.span_pool), 1), max(len(source.content_pool), 1)
    windows = np.repeat(np.arange(len(source.keys)), np.diff(source.window_offsets))
    lengths = np.diff(source.block_offsets)
    # With return_index numpy sorts stably, in a third of the time, since most rows are in order already.
    codes, _, of_block = np.unique(
        np.repeat(windows, lengths) * n_names + source.spans, return_index=True, return_inverse=True
    )
    n = len(codes)
    indexes = np.full(n, np.iinfo(np.uint32).max, np.uint32)
    np.minimum.at(indexes, of_block, source.indexes)
    per_content, _, counts = np.unique(of_block * n_texts + source.contents, return_index=True, return_counts=True)
    dominant = np.zeros(n, np.int64)
    np.maximum.at(dominant, per_content // n_texts, counts)
    pairs = np.repeat(np.arange(len(lengths)), lengths) * max(n, 1) + of_block
    pairs, first = np.unique(pairs, return_index=True)
    return SpanCounts(
        windows=codes // n_names,
        spans=codes % n_names,
        of_block=of_block,
        first=first,
        indexes=indexes,
        present=np.bincount(pairs % max(n, 1), minlength=n),
        contents=np.bincount(per_content // n_texts, minlength=n),
        dominant=dominant,
    )


def count_columns(
    source: ObservationColumns, keys: Collection[str], counts: SpanCounts | None = None
) -> list[list[SpanCount]]:
    """Return the counts that `acg_lab.core.window.CountedWindow` has, for several windows at once.

    ``counts`` is the result of `count_spans`, if already known.
    """
    counts = counts or count_spans(source)
    names = [source.span_pool[span] for span in counts.spans.tolist()]
    columns = (column.tolist() for column in (counts.indexes, counts.present, counts.dominant))
    spans = list(map(SpanCount._make, zip(names, *columns, strict=True)))
    ends = np.searchsorted(counts.windows, np.arange(len(source.keys) + 1)).tolist()
    return [spans[ends[window] : ends[window + 1]] for window in map(source.number.__getitem__, keys)]


def block_tokens(source: ObservationColumns) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the tokens of every block row: recorded counts where there are any, else estimates."""
    estimated = np.zeros(len(source.content_pool), np.int64)
    for code in np.flatnonzero(np.bincount(source.contents, minlength=len(estimated))).tolist():
        estimated[code] = estimate_text_tokens(source.content_pool[code])
    known = np.array([_known(form.token_metadata) for form in source.form_pool], np.int64)
    if not len(source.contents) or (known < 0).all():
        return estimated[source.contents]
    return np.where(known[source.forms] >= 0, known[source.forms], estimated[source.contents])


def _known(token_metadata: str | None) -> int:
    return -1 if token_metadata is None else int(msgspec.json.decode(token_metadata)["token_count"])


class SpanFacts(NamedTuple):
    """Facts of each span of each window, in the order of `SpanCounts`; all columns have shape (n_spans,).

    Attributes
    ----------
    counts : SpanCounts
    newest : int
        Row of the newest block of the span.
    tokens : float
        Mean tokens over the requests that have the span.
    changes : int
        How often the content differs from that in the previous request with the span. If a request repeats the span,
        its first block counts.
    last_change : int
        How many requests ago the content last changed; 1 for the newest request, 0 if it never did.
    """

    counts: SpanCounts
    newest: Numbers
    tokens: NDArray[np.float64]
    changes: Numbers
    last_change: Numbers


class ToolOrders(NamedTuple):
    """The number of tools, if all requests of a window have the same ones, and in how many orders they occur."""

    tools: int
    orders: int


def observe_spans(source: ObservationColumns, counts: SpanCounts | None = None) -> SpanFacts:
    """Return the facts of every span of every window; ``counts`` is the result of `count_spans`, if already known."""
    counts = counts or count_spans(source)
    n = len(counts.spans)
    newest = np.zeros(n, np.int64)
    newest[counts.of_block] = np.arange(len(source.spans))  # the last assignment to a span is kept
    tokens = np.bincount(counts.of_block, weights=block_tokens(source), minlength=n) / np.maximum(counts.present, 1)
    changes, last_change = _changes(source, counts)
    return SpanFacts(counts, newest, tokens, changes, last_change)


def _changes(source: ObservationColumns, counts: SpanCounts) -> tuple[Numbers, Numbers]:
    """Return how often each span's content changed from request to request, and how many requests ago it last did."""
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
    """Return the tools of each window; None if its requests have different tools, or none."""
    is_tool = np.array([form.content_type == "tool_schema" for form in source.form_pool], bool)
    rows = np.flatnonzero(is_tool[source.forms]) if len(source.forms) else np.empty(0, np.int64)
    observations = np.searchsorted(source.block_offsets, rows, side="right") - 1
    ends = np.searchsorted(observations, np.arange(len(source.block_offsets))).tolist()
    tools = source.contents[rows]
    # The codes of each observation's tools in ascending order.
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
    """The distinct contents of each span of each window, by window, then in prompt order, the commonest first.

    Attributes
    ----------
    first, newest : (n_variants,)
        Rows of the first and the newest block with the content.
    position : (n_variants,)
        Smallest sequence index of the span.
    counts : (n_variants,)
        How often the content occurs.
    """

    first: Numbers
    newest: Numbers
    position: Numbers
    counts: Numbers


def list_variants(source: ObservationColumns) -> Variants:
    """Return the distinct contents of each span of each window."""
    spans = count_spans(source)
    codes = spans.of_block * max(len(source.content_pool), 1) + source.contents
    _, first, of_block, counts = np.unique(codes, return_index=True, return_inverse=True, return_counts=True)
    newest = np.zeros(len(first), np.int64)
    newest[of_block] = np.arange(len(codes))
    span = spans.of_block[first]
    position = spans.indexes[span].astype(np.int64)
    order = np.lexsort((first, -counts, span, position, spans.windows[span]))
    return Variants(first[order], newest[order], position[order], counts[order])
