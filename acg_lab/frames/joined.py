"""Frames of many agents joined into one, through plain columns that can be stored and sent.

Invariant: joining the columns of frames equals the frame of all their rows, categories in order of appearance.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from acg_lab.frames.columns import make_frame, times_of

__all__ = ["Columns", "join_columns", "plain_columns"]

Columns = dict[str, list[Any]]


def plain_columns(frame: pd.DataFrame) -> Columns:
    """Return the columns of a frame as lists of numbers and texts, None where a value is missing; times in ns."""
    return {str(name): _plain(frame[name]) for name in frame}


def _plain(column: "pd.Series[Any]") -> list[Any]:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return list(column.dt.tz_localize(None).to_numpy("datetime64[ns]").view("int64").tolist())
    if column.dtype == "float64":
        return column.tolist()  # NaN is a value here
    values = column.astype(object)
    return list(values.where(column.notna(), None))


def join_columns(schema: Mapping[str, str], parts: Iterable[Columns]) -> pd.DataFrame:
    """Return one frame of the rows of all parts, in their order."""
    joined: Columns = {name: [] for name in schema}
    for part in parts:
        for name, values in part.items():
            joined[name] += values
    return make_frame(schema, {name: _typed(values, schema[name]) for name, values in joined.items()})


def _typed(values: list[Any], kind: str) -> Any:
    return times_of(values) if kind.startswith("datetime64") else values
