"""Production's key layout, shared by every source that has it (spec section 6)."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from acg_lab.core.errors import SourceError, UsageError
from acg_lab.storage.base import EntryKind, Selection

__all__ = ["INDEX", "KINDS", "StoredKey", "choose_prefix", "find_prefix", "parse_stored_key"]

KINDS: Final[dict[str, EntryKind]] = {
    "acg_observations:": "observations",
    "acg_stability:": "stability",
    "runs:": "run",
}
INDEX: Final = "runs_index:"
# "runs:" alone tells nothing: other applications may well use it.
_TELLING: Final = ("acg_observations:", "acg_stability:", INDEX)


class StoredKey(NamedTuple):
    """What stands under a stored key: ``key`` without prefix and kind, and of a run its agent and id."""

    kind: EntryKind
    key: str
    agent_id: str = ""

    def wanted(self, selection: Selection) -> bool:
        """Whether the selection wants it."""
        return selection.wants_agent(self.agent_id) if self.kind == "run" else selection.wants_key(self.key)


def find_prefix(key: str) -> str | None:
    """Return the key prefix of a stored key, None where nothing tells that it is one of ours."""
    if not any(name in key for name in _TELLING):
        return None
    # An agent id may hold such a name too; the first one is production's.
    return key[: min(key.find(name) for name in (*KINDS, INDEX) if name in key)]


def choose_prefix(found: Iterable[str], label: str) -> str:
    """Return the one prefix that a source uses.

    Raises
    ------
    UsageError
        If there are several; the message names them.
    SourceError
        If there is none.
    """
    prefixes = sorted(set(found))
    if len(prefixes) == 1:
        return prefixes[0]
    if prefixes:
        names = " and ".join(map(repr, prefixes))
        msg = f"{label} holds entries under the key prefixes {names}; say which one with key_prefix=... (--key-prefix)."
        raise UsageError(msg)
    msg = f"{label} holds no entries of the governor under any key prefix; is it the right one?"
    raise SourceError(msg)


def parse_stored_key(stored: str, prefix: str) -> StoredKey | None:
    """Tell what stands under a stored key; None for what is not ours, or not under this prefix."""
    if not stored.startswith(prefix):
        return None
    rest = stored[len(prefix) :]
    for name, kind in KINDS.items():
        if rest.startswith(name):
            key = rest[len(name) :]
            return StoredKey(kind, key, key.rpartition(":")[0] if kind == "run" else "")
    return None
