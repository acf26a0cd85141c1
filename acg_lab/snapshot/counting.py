"""Counting columns of codes, so that the core can judge them."""

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.window import SpanCount
from acg_lab.storage.columns import ObservationColumns

__all__ = ["count_columns"]


def count_columns(source: ObservationColumns, keys: Collection[str]) -> list[list[SpanCount]]:
    """Count the spans of several windows at once, as `acg_lab.core.window.CountedWindow` counts one."""
    windows = np.repeat(np.arange(len(source.keys)), np.diff(source.window_offsets))
    lengths = np.diff(source.block_offsets)
    span = np.repeat(windows, lengths) * max(len(source.span_pool), 1) + source.spans
    spans, row_span = np.unique(span, return_inverse=True)
    indexes = np.full(len(spans), np.iinfo(np.uint32).max, np.uint32)
    np.minimum.at(indexes, row_span, source.indexes)
    per_content, counts = np.unique(row_span * max(len(source.content_pool), 1) + source.contents, return_counts=True)
    dominant = np.zeros(len(spans), np.int64)
    np.maximum.at(dominant, per_content // max(len(source.content_pool), 1), counts)
    observation = np.repeat(np.arange(len(lengths)), lengths)
    pairs = np.unique(observation * max(len(spans), 1) + row_span)
    present = np.bincount(pairs % max(len(spans), 1), minlength=len(spans))
    return _grouped(source, keys, spans, zip(indexes.tolist(), present.tolist(), dominant.tolist(), strict=True))


def _grouped(
    source: ObservationColumns, keys: Collection[str], spans: NDArray[np.int64], facts: Any
) -> list[list[SpanCount]]:
    grouped: list[list[SpanCount]] = [[] for _ in source.keys]
    n = max(len(source.span_pool), 1)
    for code, (index, present, dominant) in zip(spans.tolist(), facts, strict=True):
        grouped[code // n].append(SpanCount(source.span_pool[code % n], index, present, dominant))
    return [grouped[source.number[key]] for key in keys]
