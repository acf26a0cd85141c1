"""Columns of frames: values to arrays with the dtypes of a schema.

Invariant: a frame has its columns in the order of its schema and with its dtypes, however many rows it has.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from acg_lab.frames.schema import FIXED, NAMES, TIME

__all__ = ["category", "compact", "counts_of", "make_frame", "times_of"]


def make_frame(columns: Mapping[str, str], values: Mapping[str, Any]) -> pd.DataFrame:
    """Return a frame of all columns of a schema, in its order and with its dtypes, with a plain index."""
    return pd.DataFrame({name: _typed(values[name], kind) for name, kind in columns.items()})


def _typed(values: Any, kind: str) -> Any:
    if isinstance(values, pd.api.extensions.ExtensionArray):
        return values
    if kind == NAMES:
        names = dict.fromkeys(name for name in values if name is not None)
        return pd.Categorical(values, categories=pd.Index(list(names), dtype="str"))
    if kind in FIXED:
        return pd.Categorical(values, dtype=FIXED[kind])
    if kind == TIME:
        return values if isinstance(values, pd.DatetimeIndex) else times_of(values)
    return pd.array(values, dtype=kind)


def category(codes: NDArray[Any], pool: Sequence[str], kind: str = NAMES) -> pd.Categorical:
    """Return a categorical of codes into a pool of texts: of the texts in use, or of the categories of a fixed kind."""
    used, inverse = compact(codes, len(pool))
    names = [pool[code] for code in used.tolist()]
    if kind == NAMES:
        return pd.Categorical.from_codes(inverse, categories=pd.Index(names, dtype="str"))
    fixed = FIXED[kind]
    return pd.Categorical.from_codes(fixed.categories.get_indexer(pd.Index(names, dtype="str"))[inverse], dtype=fixed)


def compact(codes: NDArray[Any], n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the codes below ``n`` that are in use, ascending, and the position of each code among them."""
    used = np.flatnonzero(np.bincount(codes, minlength=n))
    position = np.zeros(n, np.int64)
    position[used] = np.arange(len(used))
    return used, position[codes]


def counts_of(values: NDArray[Any], missing: NDArray[np.bool_]) -> pd.arrays.IntegerArray:
    """Return a column of whole numbers, some of them missing."""
    return pd.arrays.IntegerArray(values.astype(np.int64), missing)


def times_of(nanoseconds: Any) -> pd.DatetimeIndex:
    """Return a column of times from nanoseconds since 1970; the smallest number stands for a missing time."""
    return pd.DatetimeIndex(np.asarray(nanoseconds, np.int64).view("datetime64[ns]")).tz_localize("UTC")
