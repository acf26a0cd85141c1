"""A source with pseudonyms in place of all texts: the same sizes, and equal where texts were equal.

Invariant: every analysis that needs no text gives the same answer.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from acg_lab.core.keys import Owner
from acg_lab.snapshot.private_texts import find_private_texts
from acg_lab.snapshot.redacted_runs import PrivatePseudonyms, PrivateRedactor, Redactor, RunRedactor
from acg_lab.snapshot.redacted_windows import WindowRedactor
from acg_lab.snapshot.rules_detection import DetectedRules
from acg_lab.storage.columns import Columns, Origin
from acg_lab.storage.pseudonyms import Pseudonyms

__all__ = ["redact_columns", "redact_private", "rules_of_agents"]

_CAVEAT: Final = (
    "texts are pseudonyms (a redacted export): kinds of content cannot be told, and of caches that match inside a "
    "block what was read is shown as the least that it can be"
)
_PRIVATE_CAVEAT: Final = "pseudonyms stand for the texts of blocks that are labelled private or restricted"


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
    redactor = Redactor(Pseudonyms(salt), redacts_names=redacts_names)
    caveats = (*_rename(columns.origin.caveats, owners, redactor), _CAVEAT)
    return _redact(columns, owners, rules, redactor, columns.origin._replace(caveats=caveats, only_private=False))


def redact_private(
    columns: Columns, owners: Mapping[str, Owner], rules: Mapping[str, DetectedRules], salt: bytes
) -> Columns:
    """Return a source with pseudonyms in place of the texts of blocks labelled private or restricted.

    Parameters are those of `redact_columns`.
    """
    private = find_private_texts(columns, rules_of_agents(owners, rules))
    redactor = PrivateRedactor(PrivatePseudonyms(salt, private), redacts_names=False)
    caveats = (*columns.origin.caveats, _PRIVATE_CAVEAT)
    return _redact(columns, owners, rules, redactor, columns.origin._replace(caveats=caveats, only_private=True))


def rules_of_agents(owners: Mapping[str, Owner], rules: Mapping[str, DetectedRules]) -> Mapping[str, Sequence[str]]:
    """Return the rules versions of each agent's profiles."""
    of_agents: dict[str, dict[str, None]] = {}
    for key, found in rules.items():
        of_agents.setdefault(owners[key].agent_id, {})[found.rules] = None
    return {agent_id: tuple(names) for agent_id, names in of_agents.items()}


def _redact(
    columns: Columns,
    owners: Mapping[str, Owner],
    rules: Mapping[str, DetectedRules],
    redactor: Redactor,
    origin: Origin,
) -> Columns:
    runs = RunRedactor(columns.runs, redactor).redacted
    windows = WindowRedactor(columns, runs, owners, rules_of_agents(owners, rules), redactor)
    return Columns(
        observations=windows.observations,
        results=windows.results(),
        runs=runs,
        key_prefix=columns.key_prefix,
        rules={windows.keys[key]: (*found,) for key, found in rules.items()},
        unread=columns.unread,
        origin=origin._replace(redacted=redactor.names.digest("", "salt")[:16]),
    )


def _rename(caveats: Sequence[str], owners: Mapping[str, Owner], redactor: Redactor) -> Sequence[str]:
    """Return sentences with the names of agents as they are after it."""
    agents = sorted({owner.agent_id for owner in owners.values()}, key=len, reverse=True)
    for agent_id in agents if redactor.redacts_names else ():
        caveats = [caveat.replace(agent_id, redactor.name("agent", agent_id)) for caveat in caveats]
    return caveats
