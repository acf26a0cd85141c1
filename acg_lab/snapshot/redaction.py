"""A source with pseudonyms in place of all texts: the same sizes, and equal where texts were equal.

Invariant: every analysis that needs no text gives the same answer.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from acg_lab.core.keys import Owner
from acg_lab.snapshot.redacted_runs import Redactor, RunRedactor
from acg_lab.snapshot.redacted_windows import WindowRedactor
from acg_lab.snapshot.rules_detection import DetectedRules
from acg_lab.storage.columns import Columns

__all__ = ["redact_columns"]

_CAVEAT: Final = (
    "texts are pseudonyms (a redacted export): kinds of content cannot be told, and of caches that match inside a "
    "block what was read is shown as the least that it can be"
)


def redact_columns(
    columns: Columns,
    owners: Mapping[str, Owner],
    rules: Mapping[str, DetectedRules],
    salt: bytes,
    *,
    redacts_names: bool = False,
) -> Columns:
    """Return a source with pseudonyms in place of texts.

    Parameters
    ----------
    columns : Columns
        Read, never changed.
    owners : mapping of str to Owner
        The agent of each key.
    rules : mapping of str to DetectedRules
        The rules version of each profile, which pseudonyms do not show.
    salt : bytes
        Equal texts of sources with one salt get one pseudonym.
    redacts_names : bool
        Whether the ids of agents, runs, requests and accounts are replaced too.
    """
    redactor = Redactor(salt, redacts_names=redacts_names)
    runs = RunRedactor(columns.runs, redactor).redacted
    of_agents: dict[str, list[str]] = {}
    for key, found in rules.items():
        names = of_agents.setdefault(owners[key].agent_id, [])
        if found.rules not in names:
            names.append(found.rules)
    windows = WindowRedactor(columns, runs, owners, of_agents, redactor)
    origin = columns.origin._replace(
        redacted=redactor.names.digest("", "salt")[:16],
        caveats=(*_rename(columns.origin.caveats, owners, redactor), _CAVEAT),
    )
    return Columns(
        observations=windows.observations,
        results=windows.results(),
        runs=runs,
        key_prefix=columns.key_prefix,
        rules={windows.keys[key]: (*found,) for key, found in rules.items()},
        unread=columns.unread,
        origin=origin,
    )


def _rename(caveats: Sequence[str], owners: Mapping[str, Owner], redactor: Redactor) -> Sequence[str]:
    """Return sentences with the names of agents as they are after it."""
    agents = sorted({owner.agent_id for owner in owners.values()}, key=len, reverse=True)
    for agent_id in agents if redactor.redacts_names else ():
        caveats = [caveat.replace(agent_id, redactor.name("agent", agent_id)) for caveat in caveats]
    return caveats
