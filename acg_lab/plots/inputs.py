"""What a plot is given: a snapshot and a key, or frames.

Belongs here: checking it, and picking the rows of one profile.
"""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from acg_lab._format import counted
from acg_lab.core.errors import UsageError
from acg_lab.snapshot.profile_names import ProfileNames

if TYPE_CHECKING:
    from acg_lab.snapshot.snapshot import Snapshot

__all__ = [
    "check_columns",
    "check_source",
    "confidence_of",
    "name_profiles",
    "one_key",
    "one_profile",
    "profile_words",
    "rows",
    "shared_words",
]

_SEVERAL: Final = 2
_SAME: Final = {
    "seed": "same first message",
    "system": "same system prompt",
    "tools": "same tools",
    "response_format": "same response format",
}


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


def one_key(snap: "Snapshot", learning_key: str | None, agent_id: str | None = None) -> str | None:
    """Return the learning key of the profile to draw; None if the snapshot has no profile and none was named."""
    names: ProfileNames | None = getattr(snap, "profile_names", None)  # `frames` refuses what is no snapshot
    if names is None or (learning_key is None and agent_id is None and not names):
        return learning_key
    return names.resolve(learning_key, agent_id=agent_id)


def one_profile(frame: pd.DataFrame, learning_key: str | None, agent_id: str | None = None) -> pd.DataFrame:
    """Return the rows of one profile."""
    if learning_key is None and agent_id is None and len(frame["learning_key"].dropna().unique()) < _SEVERAL:
        return frame
    key = name_profiles(frame).resolve(learning_key, agent_id=agent_id)
    return frame[frame["learning_key"].astype(object) == key].reset_index(drop=True)


def name_profiles(frame: pd.DataFrame) -> ProfileNames:
    """Return the display names of the profiles that a frame has rows of."""
    found = frame.drop_duplicates("learning_key").dropna(subset="learning_key")
    agents = found["agent_id"].astype(object) if "agent_id" in found else [None] * len(found)
    pairs = zip(found["learning_key"], agents, strict=True)
    return ProfileNames({str(key): None if pd.isna(agent) else str(agent) for key, agent in pairs})


def profile_words(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return display name and model of the profile that the rows of a frame belong to, as far as known."""
    if frame.empty:
        return ()
    names, key = name_profiles(frame.iloc[:1]), str(frame["learning_key"].iloc[0])
    name = str(frame["profile"].iloc[0]) if "profile" in frame else names[key]
    return tuple(filter(None, (name, names.parts[key].model)))


def shared_words(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return what all profiles of a frame have in common; several agents are counted."""
    parts = list(name_profiles(frame).parts.values())
    agents = {one.agent_id for one in parts}
    words = [next(iter(agents)) if len(agents) == 1 else counted(len(agents), "agent") if agents else ""]
    values = {name: {getattr(one, name) for one in parts} for name in ("model", *_SAME)}
    words += [value for value in values.pop("model") if value and len({one.model for one in parts}) == 1]
    words += [_SAME[name] for name, found in values.items() if len(found) == 1 and "sha256:" in str(next(iter(found)))]
    return tuple(words)


def rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield the rows of a frame as named tuples."""
    yield from frame.itertuples(index=False)


def confidence_of(scores: pd.DataFrame) -> str | None:
    """Return the words for a confidence that is not full: the least of the prefix, or the first block's."""
    leading: Any = scores["confidence"][scores["in_prefix"]]
    least = leading.min() if len(leading) else scores["confidence"].iloc[0]
    return f"confidence {least:.2f}" if least < 1 else None
