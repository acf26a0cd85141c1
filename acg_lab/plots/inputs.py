"""What a plot is given: a snapshot and a learning key, or frames.

Checks it, picks the rows of one profile, and reads from them what the words of a figure need.
"""

from collections.abc import Collection, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from acg_lab._format import counted
from acg_lab.core.errors import UsageError
from acg_lab.diagnosis.break_reason import BlockCounts, BreakReason, find_break_reason
from acg_lab.snapshot.profile_names import ProfileNames

if TYPE_CHECKING:
    from acg_lab.snapshot.snapshot import Snapshot

__all__ = [
    "breaking_row",
    "check_columns",
    "check_source",
    "confidence_words",
    "name_profiles",
    "profile_words",
    "reason_of",
    "rows_of",
    "select_agent",
    "select_key",
    "select_profile",
    "shared_words",
]

_SEVERAL: Final = 2
_LISTED: Final = 3
_SAME: Final = {
    "seed": "same first message",
    "system": "same system prompt",
    "tools": "same tools",
    "response_format": "same response format",
}


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


def select_agent(frame: pd.DataFrame, agent_id: str | None, *, several: bool = True) -> pd.DataFrame:
    """Return the rows of one agent; those of all where none is named and ``several`` may be drawn together.

    Raises
    ------
    UsageError
        If there is no such agent, or several and none is named; the message lists them or the nearest.
    """
    known = list(dict.fromkeys(frame["agent_id"].dropna().astype(str))) if "agent_id" in frame else []
    if agent_id is None:
        if several or len(known) < _SEVERAL:
            return frame
        names = ", ".join(map(repr, known[:_LISTED])) + (", …" if len(known) > _LISTED else "")
        msg = f"There are {counted(len(known), 'agent')}; choose one by agent_id=, such as {names}."
        raise UsageError(msg)
    if agent_id not in known:
        near = ", ".join(map(repr, get_close_matches(str(agent_id), known, _LISTED, 0))) or "there is none"
        msg = f"The 'agent_id' option must name an agent of what is drawn; got {agent_id!r}. The nearest: {near}."
        raise UsageError(msg)
    return frame[frame["agent_id"].astype(object) == agent_id].reset_index(drop=True)


def select_key(snap: "Snapshot", learning_key: str | None, agent_id: str | None = None) -> str | None:
    """Return the learning key of the profile to draw; None if the snapshot has no profile and none was named."""
    names: ProfileNames | None = getattr(snap, "profile_names", None)  # frames refuse what is not a Snapshot
    if names is None or (learning_key is None and agent_id is None and not names):
        return learning_key
    return names.resolve(learning_key, agent_id=agent_id)


def select_profile(frame: pd.DataFrame, learning_key: str | None, agent_id: str | None = None) -> pd.DataFrame:
    """Return the rows of one profile: the one asked for, else the only one."""
    if learning_key is None and agent_id is None and len(frame["learning_key"].dropna().unique()) < _SEVERAL:
        return frame
    key = name_profiles(frame).resolve(learning_key, agent_id=agent_id)
    return frame[frame["learning_key"].astype(object) == key].reset_index(drop=True)


def name_profiles(frame: pd.DataFrame) -> ProfileNames:
    """Return the display names of the profiles in a frame."""
    found = frame.drop_duplicates("learning_key").dropna(subset="learning_key")
    agents = found["agent_id"].astype(object) if "agent_id" in found else [None] * len(found)
    pairs = zip(found["learning_key"], agents, strict=True)
    return ProfileNames({str(key): None if pd.isna(agent) else str(agent) for key, agent in pairs})


def profile_words(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return display name and model of the profile of a frame's rows, as far as they are known."""
    if frame.empty:
        return ()
    names, key = name_profiles(frame.iloc[:1]), str(frame["learning_key"].iloc[0])
    name = str(frame["profile"].iloc[0]) if "profile" in frame else names[key]
    return tuple(filter(None, (name, names.parts[key].model)))


def shared_words(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return what all profiles of a frame have in common; if there are several agents, their number."""
    parts = list(name_profiles(frame).parts.values())
    agents = {one.agent_id for one in parts}
    words = [next(iter(agents)) if len(agents) == 1 else counted(len(agents), "agent") if agents else ""]
    values = {name: {getattr(one, name) for one in parts} for name in ("model", *_SAME)}
    words += [value for value in values.pop("model") if value and len({one.model for one in parts}) == 1]
    words += [_SAME[name] for name, found in values.items() if len(found) == 1 and "sha256:" in str(next(iter(found)))]
    return tuple(words)


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
