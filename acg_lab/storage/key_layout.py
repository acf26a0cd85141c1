"""Production's layout of keys, shared by every source that has it (``acg_lab/docs/rules/learner.md``, 6)."""

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
# Other applications may use "runs:" as well, so it does not identify a prefix.
_DISTINCTIVE: Final = ("acg_observations:", "acg_stability:", INDEX)


class StoredKey(NamedTuple):
    """A stored key, parsed: the kind of its document, and the key without prefix and kind.

    For a run ``key`` is ``{agent_id}:{run id}``; ``agent_id`` is empty for other kinds.
    """

    kind: EntryKind
    key: str
    agent_id: str = ""

    def is_wanted(self, selection: Selection) -> bool:
        """Return whether the selection includes the document."""
        return selection.wants_agent(self.agent_id) if self.kind == "run" else selection.wants_key(self.key)


def find_prefix(key: str) -> str | None:
    """Return the key prefix of a stored key, or None if the key is not recognisably production's."""
    if not any(name in key for name in _DISTINCTIVE):
        return None
    # An agent id may contain such a name too; the first occurrence is production's.
    return key[: min(key.find(name) for name in (*KINDS, INDEX) if name in key)]


def choose_prefix(found: Iterable[str], label: str) -> str:
    """Return the only prefix that a source uses.

    Raises
    ------
    UsageError
        If there are several; the message lists them.
    SourceError
        If there is none.
    """
    prefixes = sorted(set(found))
    if len(prefixes) == 1:
        return prefixes[0]
    if prefixes:
        names = " and ".join(map(repr, prefixes))
        msg = f"{label} holds entries under the key prefixes {names}; choose one with key_prefix=... (--key-prefix)."
        raise UsageError(msg)
    msg = f"{label} holds no entries of the governor under any key prefix; is it the right source?"
    raise SourceError(msg)


def parse_stored_key(stored: str, prefix: str) -> StoredKey | None:
    """Return the parts of a stored key, or None if it has another prefix or is not production's."""
    if not stored.startswith(prefix):
        return None
    rest = stored[len(prefix) :]
    for name, kind in KINDS.items():
        if rest.startswith(name):
            key = rest[len(name) :]
            return StoredKey(kind, key, key.rpartition(":")[0] if kind == "run" else "")
    return None
