"""Counting columns of codes, so that the core can judge them."""

from collections.abc import Collection
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from acg_lab.core.window import SpanCount
from acg_lab.storage.columns import ObservationColumns

__all__ = ["SpanCounts", "block_tokens", "count_columns", "count_spans"]

Numbers = NDArray[np.int64]
_BYTES_PER_TOKEN = 4  # production's estimate, where a block's tokens are not known


class SpanCounts(NamedTuple):
    """What windows hold of each span: a row a span of a window, by window, then by code of the span.

    Attributes
    ----------
    windows, spans : (n_spans,)
        Position of the window's key in ``source.keys``, and code of the span.
    of_block : (n_blocks,)
        Row of each block's span.
    first : (n_pairs,)
        The first block of each span in each observation that has it, by observation, then by span.
    indexes, present, contents, usual : (n_spans,)
        Smallest sequence index; observations that have the span; distinct contents; how often the commonest occurs.
    """

    windows: Numbers
    spans: Numbers
    of_block: Numbers
    first: Numbers
    indexes: NDArray[np.uint32]
    present: Numbers
    contents: Numbers
    usual: Numbers


def count_spans(source: ObservationColumns) -> SpanCounts:
    """Count the spans of all windows at once."""
    n_names, n_texts = max(len(source.span_pool), 1), max(len(source.content_pool), 1)
    windows = np.repeat(np.arange(len(source.keys)), np.diff(source.window_offsets))
    lengths = np.diff(source.block_offsets)
    # Where an index is asked for, numpy sorts stably: a third of the time, since most rows are in order already.
    codes, _, of_block = np.unique(
        np.repeat(windows, lengths) * n_names + source.spans, return_index=True, return_inverse=True
    )
    n = len(codes)
    indexes = np.full(n, np.iinfo(np.uint32).max, np.uint32)
    np.minimum.at(indexes, of_block, source.indexes)
    per_content, _, counts = np.unique(of_block * n_texts + source.contents, return_index=True, return_counts=True)
    usual = np.zeros(n, np.int64)
    np.maximum.at(usual, per_content // n_texts, counts)
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
        usual=usual,
    )


def count_columns(
    source: ObservationColumns, keys: Collection[str], counts: SpanCounts | None = None
) -> list[list[SpanCount]]:
    """Count the spans of several windows at once, as `acg_lab.core.window.CountedWindow` counts one.

    ``counts`` are `count_spans` of the source, where they are known already.
    """
    counts = counts or count_spans(source)
    names = [source.span_pool[span] for span in counts.spans.tolist()]
    columns = (column.tolist() for column in (counts.indexes, counts.present, counts.usual))
    spans = list(map(SpanCount._make, zip(names, *columns, strict=True)))
    ends = np.searchsorted(counts.windows, np.arange(len(source.keys) + 1)).tolist()
    return [spans[ends[window] : ends[window + 1]] for window in map(source.number.__getitem__, keys)]


def block_tokens(source: ObservationColumns) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the tokens of every block row, known or estimated."""
    estimated = np.zeros(len(source.content_pool), np.int64)
    for code in np.flatnonzero(np.bincount(source.contents, minlength=len(estimated))).tolist():
        text = source.content_pool[code]
        estimated[code] = (len(text) if text.isascii() else len(text.encode())) // _BYTES_PER_TOKEN
    known = np.array([_known(form.token_metadata) for form in source.form_pool], np.int64)
    if not len(source.contents) or (known < 0).all():
        return estimated[source.contents]
    return np.where(known[source.forms] >= 0, known[source.forms], estimated[source.contents])


def _known(token_metadata: str | None) -> int:
    return -1 if token_metadata is None else int(msgspec.json.decode(token_metadata)["token_count"])
