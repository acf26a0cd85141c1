"""What a plot is given: a snapshot and a key, or frames.

Belongs here: checking it, and picking the rows of one profile.
"""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from acg_lab.core.errors import UsageError

if TYPE_CHECKING:
    from acg_lab.snapshot.snapshot import Snapshot

__all__ = ["check_columns", "check_source", "confidence_of", "one_key", "one_profile", "rows"]

_SHOWN = 3


def check_columns(frame: Any, columns: Collection[str], maker: str) -> pd.DataFrame:
    """Return the frame if it has the columns; ``maker`` names the function that makes such frames."""
    if not isinstance(frame, pd.DataFrame):
        msg = f"Expected a Snapshot, or a frame of {maker}; got {type(frame).__name__}."
        raise UsageError(msg)
    if missing := [name for name in columns if name not in frame]:
        msg = f"Expected a frame of {maker}; it has no column {missing[0]!r}."
        raise UsageError(msg)
    return frame


def check_source(data: Any, maker: str, *, kind: str = "Snapshot", has: str = "windows") -> None:
    """Refuse what is neither a frame nor what ``maker`` makes one of."""
    if not isinstance(data, pd.DataFrame) and not hasattr(data, has):
        msg = f"Expected a {kind}, or a frame of {maker}; got {type(data).__name__}."
        raise UsageError(msg)


def one_key(snap: "Snapshot", learning_key: str | None) -> str | None:
    """Return the key to draw: the one asked for, or the only one; None if there is none at all."""
    windows: Collection[str] = getattr(snap, "windows", ())
    if learning_key is not None or not windows:
        return learning_key
    if len(windows) > 1:
        raise UsageError(_which(list(windows)))
    return next(iter(windows))


def one_profile(frame: pd.DataFrame, learning_key: str | None) -> pd.DataFrame:
    """Return the rows of one profile: the one asked for, or the only one."""
    keys = frame["learning_key"].astype(object)
    if learning_key is None:
        found = list(dict.fromkeys(keys.dropna()))
        if len(found) > 1:
            raise UsageError(_which(found))
        return frame
    if not (keys == learning_key).any():
        msg = f"The frame has no rows of the learning key {learning_key!r}."
        raise UsageError(msg)
    return frame[keys == learning_key].reset_index(drop=True)


def _which(keys: list[str]) -> str:
    shown = ", ".join(map(repr, keys[:_SHOWN]))
    return f"There are {len(keys):,} profiles; say which one to draw: learning_key=, one of {shown}, ..."


def rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield the rows of a frame as named tuples."""
    yield from frame.itertuples(index=False)


def confidence_of(scores: pd.DataFrame) -> str | None:
    """Return the words for a confidence that is not full: the least of the prefix, or the first block's."""
    leading: Any = scores["confidence"][scores["in_prefix"]]
    least = leading.min() if len(leading) else scores["confidence"].iloc[0]
    return f"confidence {least:.2f}" if least < 1 else None
