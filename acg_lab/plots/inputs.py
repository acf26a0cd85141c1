"""What a plot is given: a snapshot and a learning key, or frames.

Checks it, picks the rows of one profile, and reads from them what the words of a figure need.
"""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from acg_lab.core.errors import UsageError
from acg_lab.diagnosis.break_reason import BlockCounts, BreakReason, find_break_reason

if TYPE_CHECKING:
    from acg_lab.snapshot.snapshot import Snapshot

__all__ = [
    "breaking_row",
    "check_columns",
    "check_source",
    "confidence_words",
    "reason_of",
    "rows_of",
    "select_key",
    "select_profile",
]

_SHOWN: Final = 3


def check_source(data: Any, maker: str, *, expected: str = "Snapshot", attribute: str = "windows") -> None:
    """Raise UsageError unless data is a frame, or has the attribute of what ``maker`` makes frames of."""
    if not isinstance(data, pd.DataFrame) and not hasattr(data, attribute):
        msg = f"Expected a {expected}, or a frame of {maker}; got {type(data).__name__}."
        raise UsageError(msg)


def check_columns(frame: Any, columns: Collection[str], maker: str) -> pd.DataFrame:
    """Return the frame; raise UsageError if it lacks a column. ``maker`` names the function that makes such frames."""
    if not isinstance(frame, pd.DataFrame):
        msg = f"Expected a Snapshot, or a frame of {maker}; got {type(frame).__name__}."
        raise UsageError(msg)
    if missing := [name for name in columns if name not in frame]:
        msg = f"Expected a frame of {maker}; it has no column {missing[0]!r}."
        raise UsageError(msg)
    return frame


def select_key(snap: "Snapshot", learning_key: str | None) -> str | None:
    """Return the learning key to draw: the one asked for, else the only one; None if the snapshot has none."""
    windows: Collection[str] = getattr(snap, "windows", ())
    if learning_key is not None or not windows:
        return learning_key
    if len(windows) > 1:
        raise UsageError(_ask_which(list(windows)))
    return next(iter(windows))


def select_profile(frame: pd.DataFrame, learning_key: str | None) -> pd.DataFrame:
    """Return the rows of one profile: the one asked for, else the only one."""
    keys = frame["learning_key"].astype(object)
    if learning_key is None:
        found = list(dict.fromkeys(keys.dropna()))
        if len(found) > 1:
            raise UsageError(_ask_which(found))
        return frame
    if not (keys == learning_key).any():
        msg = f"The frame has no rows of the learning key {learning_key!r}."
        raise UsageError(msg)
    return frame[keys == learning_key].reset_index(drop=True)


def _ask_which(keys: list[str]) -> str:
    shown = ", ".join(map(repr, keys[:_SHOWN]))
    return f"There are {len(keys):,} profiles; say which one to draw: learning_key=, one of {shown}, ..."


def rows_of(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield the rows of a frame as named tuples."""
    yield from frame.itertuples(index=False)


def confidence_words(scores: pd.DataFrame) -> str | None:
    """Return "confidence 0.70" if confidence is not full: the least in the prefix, else the first block's."""
    leading: Any = scores["confidence"][scores["in_prefix"]]
    least = leading.min() if len(leading) else scores["confidence"].iloc[0]
    return f"confidence {least:.2f}" if least < 1 else None


def breaking_row(scores: pd.DataFrame) -> Any:
    """Return the row of the block that breaks the prefix, a Series; None if none does."""
    rows = np.flatnonzero(scores["breaks"])
    return scores.iloc[rows[0]] if len(rows) else None


def reason_of(row: Any, stable_threshold: float) -> BreakReason | None:
    """Return why the block of a row of `acg_lab.frames.scores` breaks the prefix.

    None if the frame was made of results alone: they do not hold how often contents occur.
    """

    def count(name: str) -> int | None:
        value = getattr(row, name)
        return None if pd.isna(value) else int(value)

    contents, n_dominant = count("contents"), count("n_dominant")
    if contents is None or n_dominant is None:
        return None
    counts = BlockCounts(
        requests=row.requests,
        present=row.present,
        n_dominant=n_dominant,
        contents=contents,
        changes=count("changes"),
        last_change=count("last_change"),
        tools=count("tools"),
        tool_orders=count("tool_orders") if row.content_type == "tool_schema" else None,
        n_sharing_prefix=count("n_sharing_prefix"),
    )
    return find_break_reason(counts, own_score=row.score, stable_threshold=stable_threshold)
