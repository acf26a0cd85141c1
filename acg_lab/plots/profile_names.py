"""What profiles are called in figures: the parts of their learning keys in which they differ."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import pandas as pd

from acg_lab._format import counted
from acg_lab.core.keys import parse_learning_key

__all__ = ["cause_of", "distinct_names", "profile_words", "shared_words"]

_DIGITS, _MOST_DIGITS = 4, 64  # of a hash
_SAME: Final = {
    "seed": "same first message",
    "system": "same system prompt",
    "tools": "same tools",
    "response_format": "same response format",
}
_tool_call = re.compile(r"(tool-\d+)-.+", re.DOTALL).fullmatch


def profile_words(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return agent, model and short name of the profile of a frame's rows, as far as they are known."""
    if frame.empty:
        return ()
    parts = _parts(frame["learning_key"].iloc[0], frame["agent_id"].iloc[0])
    if "model" not in parts:
        return tuple(filter(None, parts.values()))
    seeded = _is_hash(parts["seed"])
    return parts["agent"], parts["model"], _short("seed" if seeded else "system", parts, _DIGITS).replace("=", " ")


def distinct_names(frame: pd.DataFrame) -> list[str]:
    """Return a name for each row of profiles: its agent, if there are several, and the parts in which it differs.

    Digits of hashes are added until no two names are the same.
    """
    split = [_parts(key, agent) for key, agent in zip(frame["learning_key"], frame["agent_id"], strict=True)]
    by_agent: dict[str, list[Mapping[str, str]]] = {}
    for parts in split:
        by_agent.setdefault(parts["agent"], []).append(parts)
    shown = {agent: _differing_parts(own) for agent, own in by_agent.items()}
    for agent, parts_shown in shown.items():
        shown[agent] = ["agent", *parts_shown] if len(shown) > 1 or not parts_shown else parts_shown
    names: list[str] = []
    for digits in range(_DIGITS, _MOST_DIGITS):
        names = [" ".join(_short(n, parts, digits) for n in shown[parts["agent"]] if n in parts) for parts in split]
        if len(set(names)) == len(names):
            break
    return names


def _differing_parts(split: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the names of the parts that are not the same in all keys."""
    return [name for name in _all_parts(split) if len({parts.get(name) for parts in split}) > 1]


def shared_words(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return in words what all profiles have in common; if there are several agents, their number."""
    split = [_parts(key, agent) for key, agent in zip(frame["learning_key"], frame["agent_id"], strict=True)]
    values = {name: {parts.get(name) for parts in split} for name in _all_parts(split)}
    agents = values.get("agent", set())
    words = [str(next(iter(agents))) if len(agents) == 1 else counted(len(agents), "agent") if agents else ""]
    if len(values.get("model", ())) == 1:
        words += map(str, values["model"])
    words += [text for name, text in _SAME.items() if len(found := values.get(name, set())) == 1 and _hashed(found)]
    return tuple(words)


def cause_of(span_id: str) -> str:
    """Return the name of a block without the id of a tool call, so that equal causes add up.

    >>> cause_of("tool-20-call_7MqMjJMaXLRTp"), cause_of("system-1-book")
    ('tool-20', 'system-1-book')
    """
    found = _tool_call(span_id)
    return found[1] if found else span_id


def _parts(key: object, agent_id: object) -> Mapping[str, str]:
    """Return the parts of a learning key by name; a text that is not a learning key is its own only part."""
    known = None if pd.isna(agent_id) else str(agent_id)  # type: ignore[call-overload]
    parsed = parse_learning_key(str(key), agent_id=known)
    if parsed is None:
        return {"agent": known or "", "key": str(key)} if str(key) != known else {"agent": known}
    parts = parsed._asdict()
    return {"agent": parts.pop("agent_id"), **{name: value for name, value in parts.items() if value}}


def _all_parts(split: Iterable[Mapping[str, str]]) -> list[str]:
    return list(dict.fromkeys(name for parts in split for name in parts))


def _hashed(values: Iterable[str | None]) -> bool:
    return all(value is not None and _is_hash(value) for value in values)


def _is_hash(value: str) -> bool:
    return "sha256:" in value


def _short(name: str, parts: Mapping[str, str], digits: int) -> str:
    """Return one part as ``name=value``, hashes cut; agents and words like ``no-tools`` need no name."""
    value = parts[name]
    if _is_hash(value):
        return f"{name}={value.rpartition('sha256:')[2][:digits]}"
    return value if name in ("agent", "key") or value.startswith(("no-", "tools-", "stable-")) else f"{name}={value}"
