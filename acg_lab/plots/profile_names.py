"""What profiles are called in figures: the parts of their keys that tell them apart.

Belongs here: taking learning keys apart for people to read.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import pandas as pd

from acg_lab._format import counted
from acg_lab.core.keys import parse_learning_key

__all__ = ["cause", "differing", "profile_words", "shared_words"]

_DIGITS, _LONGEST = 4, 64  # of a hash
_SAME: Final = {
    "seed": "same first message",
    "system": "same system prompt",
    "tools": "same tools",
    "response_format": "same response format",
}
_tool_call = re.compile(r"(tool-\d+)-.+", re.DOTALL).fullmatch


def profile_words(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return agent, model and a short name of the profile that the rows of a frame belong to, so far as known."""
    if frame.empty:
        return ()
    parts = _parts(frame["learning_key"].iloc[0], frame["agent_id"].iloc[0])
    if "model" not in parts:
        return tuple(filter(None, parts.values()))
    seeded = _is_hash(parts["seed"])
    return parts["agent"], parts["model"], _short("seed" if seeded else "system", parts, _DIGITS).replace("=", " ")


def differing(frame: pd.DataFrame) -> list[str]:
    """Return a name for each row of profiles: its agent, where there are several, and what its agent's differ in."""
    split = [_parts(key, agent) for key, agent in zip(frame["learning_key"], frame["agent_id"], strict=True)]
    of_agent: dict[str, list[Mapping[str, str]]] = {}
    for parts in split:
        of_agent.setdefault(parts["agent"], []).append(parts)
    shown = {agent: _telling(own) for agent, own in of_agent.items()}
    for agent, names in shown.items():
        shown[agent] = ["agent", *names] if len(shown) > 1 or not names else names
    told: list[str] = []
    for digits in range(_DIGITS, _LONGEST):
        told = [" ".join(_short(n, parts, digits) for n in shown[parts["agent"]] if n in parts) for parts in split]
        if len(set(told)) == len(told):
            break
    return told


def _telling(split: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the names of the parts that are not the same in all."""
    return [name for name in _all_parts(split) if len({parts.get(name) for parts in split}) > 1]


def shared_words(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return what all profiles have in common, in words; agents are counted where there are several."""
    split = [_parts(key, agent) for key, agent in zip(frame["learning_key"], frame["agent_id"], strict=True)]
    values = {name: {parts.get(name) for parts in split} for name in _all_parts(split)}
    agents = values.get("agent", set())
    words = [str(next(iter(agents))) if len(agents) == 1 else counted(len(agents), "agent") if agents else ""]
    if len(values.get("model", ())) == 1:
        words += map(str, values["model"])
    words += [text for name, text in _SAME.items() if len(found := values.get(name, set())) == 1 and _hashed(found)]
    return tuple(words)


def cause(span_id: str) -> str:
    """Return the name of a block without the id of a tool call, so that equal causes add up.

    >>> cause("tool-20-call_7MqMjJMaXLRTp"), cause("system-1-book")
    ('tool-20', 'system-1-book')
    """
    found = _tool_call(span_id)
    return found[1] if found else span_id


def _parts(key: object, agent_id: object) -> Mapping[str, str]:
    """Return the parts of a key by name; of what is no learning key, that alone."""
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
    """Return one part as ``name=value``, hashes cut; agents and words like ``no-tools`` speak for themselves."""
    value = parts[name]
    if _is_hash(value):
        return f"{name}={value.rpartition('sha256:')[2][:digits]}"
    return value if name in ("agent", "key") or value.startswith(("no-", "tools-", "stable-")) else f"{name}={value}"
