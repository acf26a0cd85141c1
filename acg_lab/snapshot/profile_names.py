"""Display names of profiles, and the way from a name back to a learning key.

Invariant: within one set of profiles no two names are equal, and every name resolves to the profile it was made for.
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from acg_lab._format import ELLIPSIS
from acg_lab.core.errors import UsageError
from acg_lab.core.keys import LearningKey, parse_learning_key

__all__ = ["ProfileNames"]

_PARTS, _DIGITS = ("model", "seed", "system", "tools", "response_format"), (4, 8, 16, 64)
_MAX_LISTED = 3


class ProfileNames(Mapping[str, str]):
    """The display names of some profiles, by learning key; ``parts`` holds the parsed keys.

    A name is the agent's, followed by the parts of the learning key in which the agent's profiles differ:
    ``support-mail``, ``sales-analyst tools…d206``. Of a hash it has the last digits, as many as it takes.

    Parameters
    ----------
    owners : mapping of str to str or None
        The agent of each learning key; None where only the key itself can say.

    Examples
    --------
    >>> key = "chat::model=m::seed=user:sha256:0bfe::system=no-system::tools=no-tools"
    >>> names = ProfileNames({key: "chat", key.replace("0bfe", "77c2"): "chat"})
    >>> list(names.values())
    ['chat seed…0bfe', 'chat seed…77c2']
    >>> names.resolve("chat seed...0bfe") == key
    True
    """

    def __init__(self, owners: Mapping[str, str | None]) -> None:
        self.parts = {key: _parse(key, agent_id) for key, agent_id in owners.items()}
        of_agent: dict[str, list[str]] = {}
        for key, parsed in self.parts.items():
            of_agent.setdefault(parsed.agent_id, []).append(key)
        names: dict[str, str] = {}
        for agent_id, keys in of_agent.items():
            suffixes = _differing_parts([self.parts[key] for key in keys])
            names |= {key: f"{agent_id} {suffix}".rstrip(" ") for key, suffix in zip(keys, suffixes, strict=True)}
        self._names = {key: names[key] for key in self.parts}

    def __getitem__(self, key: str) -> str:
        return self._names[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def of_agent(self, agent_id: str) -> list[str]:
        """Return the learning keys of an agent's profiles.

        Raises
        ------
        UsageError
            If the agent has no profile; the message lists the nearest agents.
        """
        if keys := [key for key, parsed in self.parts.items() if parsed.agent_id == agent_id]:
            return keys
        agents = dict.fromkeys(parsed.agent_id for parsed in self.parts.values())
        msg = f"There is no profile of agent {agent_id!r}; {_list_nearest(str(agent_id), list(agents))}."
        raise UsageError(msg)

    def resolve(self, profile: str | None = None, *, agent_id: str | None = None) -> str:
        """Return the learning key of one profile.

        Parameters
        ----------
        profile : str, optional
            A learning key or a display name; ``...`` may stand for ``…``. The name may have fewer or more parts than
            the one shown here, as long as it fits one profile.
        agent_id : str, optional
            The agent to look in; on its own it stands for the agent's only profile.

        Raises
        ------
        UsageError
            If no profile fits, or more than one; the message lists the nearest.
        """
        if profile is not None and not isinstance(profile, str):
            msg = f"A profile must be named by a str, its learning key or display name; got {profile!r}."
            raise UsageError(msg)
        if profile in self.parts and agent_id in (None, self.parts[profile].agent_id):
            return profile
        keys = list(self) if agent_id is None else self.of_agent(agent_id)
        found = keys if profile is None else self._match(profile, keys)
        if len(found) == 1:
            return found[0]
        names = [self._names[key] for key in found or keys]
        if not found:
            msg = f"There is no profile {profile or ''!r}; {_list_nearest(profile or '', names)}."
        elif profile is None:
            whose = "" if agent_id is None else f" of agent {agent_id!r}"
            msg = f"There are {len(found):,} profiles{whose}; choose one by learning_key=, such as {_list(names)}."
        else:
            msg = f"{profile!r} fits {len(found):,} profiles; choose one of {_list(names)}."
        raise UsageError(msg)

    def _match(self, profile: str, keys: Sequence[str]) -> list[str]:
        """Return the keys that a learning key or display name fits: exactly if any does, else part by part."""
        name = profile.replace("...", ELLIPSIS)
        for exact in (profile, name):
            if found := [key for key in keys if exact in (key, self._names[key])]:
                return found
        return [key for key in keys if _fits(name, self.parts[key])]


def _parse(key: str, agent_id: str | None) -> LearningKey:
    """Return the parts of a learning key; a key that cannot be parsed stands for itself."""
    parsed = parse_learning_key(key, agent_id=agent_id)
    return LearningKey(key if parsed is None else parsed.agent_id, *(parsed or ("", "", "", "", ""))[1:])


def _differing_parts(keys: Sequence[LearningKey]) -> list[str]:
    """Return for each key of one agent the parts that the keys do not share, hashes as short as uniqueness allows."""
    differing = [part for part in _PARTS if len({getattr(key, part) for key in keys}) > 1]
    suffixes: list[str] = []
    for digits in _DIGITS:
        suffixes = [" ".join(_shorten(part, getattr(key, part), digits) for part in differing) for key in keys]
        if len(set(suffixes)) == len(suffixes):
            break
    return suffixes


def _shorten(part: str, value: str | None, digits: int) -> str:
    text, _, hash_ = (value or "").rpartition("sha256:")
    if part == "model" or text or (value or "").startswith("sha256:"):
        return f"{part}{ELLIPSIS}{hash_[-digits:]}"
    return value or f"no-{part.replace('_', '-')}"


def _fits(name: str, key: LearningKey) -> bool:
    """Return whether every word of a name after the agent fits a part of the key."""
    agent_id, rest = name[: len(key.agent_id)], name[len(key.agent_id) :]
    if agent_id != key.agent_id or not (not rest or rest.startswith(" ")):
        return False
    return all(_fits_part(word, key) for word in rest.split())


def _fits_part(word: str, key: LearningKey) -> bool:
    part, ellipsis, end = word.partition(ELLIPSIS)
    if ellipsis and part in _PARTS:
        return (getattr(key, part) or "").endswith(end)
    return any(_shorten(part, getattr(key, part), 0) == word for part in _PARTS)


def _list_nearest(wanted: str, known: Sequence[str]) -> str:
    if not known:
        return "there are none"
    return f"the nearest of {len(known):,}: {_list(get_close_matches(wanted, known, n=_MAX_LISTED, cutoff=0))}"


def _list(names: Sequence[str]) -> str:
    more = f", ... ({len(names) - _MAX_LISTED:,} more)" if len(names) > _MAX_LISTED else ""
    return ", ".join(map(repr, names[:_MAX_LISTED])) + more
