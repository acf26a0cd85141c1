"""The learning key: which profile an observation belongs to (spec section 3).

Belongs here: making a learning key of a request, and taking one apart again.
"""

import re
from typing import NamedTuple

from acg_lab.core.canonical import canonical_json, hash_text
from acg_lab.core.errors import RecordError
from acg_lab.core.records import AnnotatedLlmRequest
from acg_lab.core.rules import Rules, get_rules

__all__ = ["LearningKey", "learning_key", "parse_learning_key"]

_CUT = 16
_pattern = re.compile(
    r"(?P<agent_id>.*?)::model=(?P<model>.*)::seed=(?P<seed>[a-z0-9:-]*)::system=(?P<system>[a-z0-9:-]+)"
    r"::tools=(?P<tools>[a-z0-9:-]+?)(?:::response_format=(?P<response_format>sha256:[0-9a-f]{64}))?",
    re.DOTALL,
).fullmatch


class LearningKey(NamedTuple):
    """The parts of a learning key; fingerprints as they stand in it, mostly cut."""

    agent_id: str
    model: str
    seed: str
    system: str
    tools: str
    response_format: str | None = None


def learning_key(agent_id: str, request: AnnotatedLlmRequest, *, rules: str = "nemo-flow-0.2") -> str:
    """Return the key of the profile that the request belongs to.

    Raises
    ------
    RecordError
        If the request is of a shape that production can't read.
    """
    table = get_rules(rules)
    system = table.system_fingerprint(table, request)[:_CUT]
    seed, tools = _seed(table, request)[:_CUT], _tools(request)[:_CUT]
    return f"{agent_id}::model={request.model or 'unknown'}::seed={seed}::system={system}::tools={tools}"


def parse_learning_key(key: str, *, agent_id: str | None = None) -> LearningKey | None:
    """Take a learning key apart; None if the text is not one, but, say, a plain agent id.

    Agent ids and models may themselves contain ``::model=``. Where the agent is known, give it; else the agent id is
    taken to end at the first such place, and the model to reach to the last ``::seed=``.

    Examples
    --------
    >>> parse_learning_key("a::model=m::seed=user:sha256:0bfe::system=no-system::tools=no-tools").model
    'm'
    >>> parse_learning_key("just-an-agent") is None
    True
    """
    if agent_id is None:
        found = _pattern(key)
        return LearningKey(**found.groupdict()) if found else None
    found = _pattern("" + key[len(agent_id) :]) if key.startswith(f"{agent_id}::model=") else None
    return LearningKey(**{**found.groupdict(), "agent_id": agent_id}) if found else None


def _seed(table: Rules, request: AnnotatedLlmRequest) -> str:
    for i, message in enumerate(request.messages):
        try:
            rule = table.rule(message)
            if not rule.scaffold:
                return rule.seed(table, message)
        except RecordError as error:
            raise error.at(path=f"$.messages[{i}]") from None
    return "no-seed"


def _tools(request: AnnotatedLlmRequest) -> str:
    if request.tools is None:
        return "no-tools"
    joined = "|".join(map(canonical_json, request.tools))
    return hash_text(joined) if joined else "tools-unavailable"
