"""By which generation of the rules each agent is replayed, and what is not certain about it."""

from typing import NamedTuple

from acg_lab.core.rules import NEWEST, RULES, RulesName, get_rules
from acg_lab.snapshot.snapshot import Snapshot

__all__ = ["Chosen", "choose_rules"]

_OLDEST = next(iter(RULES.values()))


class Chosen(NamedTuple):
    """The generation of an agent, and what must be said of the choice; nothing if it is certain."""

    rules: RulesName
    caveat: str = ""


def choose_rules(snapshot: Snapshot, agent_id: str, rules: str) -> Chosen:
    """Choose the generation of an agent whose runs are replayed.

    A process has one generation for all its profiles. Where a source holds profiles of several, as after an update,
    it is the newest that certainly wrote any.
    """
    given = snapshot.rules_setting if rules == "auto" else rules
    if given != "auto":
        return Chosen(get_rules(given).name)
    found = [snapshot.rules[key] for key in snapshot.windows if snapshot.owners[key].agent_id == agent_id]
    if not found and snapshot.columns.key_prefix == _OLDEST.key_prefix:
        return Chosen(_OLDEST.name)
    certain = {generation.rules for generation in found if generation.decided}
    possible = certain or {generation.rules for generation in found} or {NEWEST}
    names = [name for name in RULES if name in possible]
    if len(names) > 1:
        caveat = f"agent {agent_id!r} has profiles of {' and '.join(names)}, and is replayed by the newest of them"
    elif not certain:
        caveat = f"agent {agent_id!r} is replayed by {names[0]}, a guess: nothing stored tells its rules"
    else:
        return Chosen(names[0])
    return Chosen(names[-1], f"{caveat}; the option rules= sets another")
