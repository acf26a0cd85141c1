"""Choose the recorded requests that a repair is for, by the learning keys of their profiles."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from acg_lab.core.errors import RecordError
from acg_lab.core.rules import RulesName
from acg_lab.repairs.repairs import Repair
from acg_lab.snapshot.request_reader import LearningKeys
from acg_lab.storage.columns import Call, Runs

__all__ = ["ChosenCall", "choose_calls"]


class ChosenCall(NamedTuple):
    """A call whose request is to be repaired: its agent and learning key, and where it stands."""

    agent_id: str
    key: str
    run: int
    position: int
    call: Call


def choose_calls(runs: Runs, repair: Repair, rules: Mapping[str, RulesName], recorded: Runs) -> Iterator[ChosenCall]:
    """Yield the calls that a repair is for; those whose request production can't read are passed over.

    Parameters
    ----------
    runs : Runs
        As earlier repairs left them.
    repair : Repair
    rules : mapping of str to str
        The rules version of each agent; other agents are passed over.
    recorded : Runs
        The same calls before all repairs: a profile may be named by the learning key that its requests had then.
    """
    names = frozenset(repair.learning_keys)
    keys, former = LearningKeys(runs), LearningKeys(recorded)
    for number, (record, calls) in enumerate(zip(runs.records, runs.calls, strict=True)):
        agent_id = record.agent_id
        if agent_id not in rules:
            continue
        for position, call in enumerate(calls):
            if call.record.kind != "llm" or call.request is None:
                continue
            try:
                key = keys.key(agent_id, call, rules[agent_id])
                before = recorded.calls[number][position]
                if names and key not in names and former.key(agent_id, before, rules[agent_id]) not in names:
                    continue
            except RecordError:
                continue
            yield ChosenCall(agent_id, key, number, position, call)
