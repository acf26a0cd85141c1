"""The learning key: which profile an observation belongs to (spec section 3).

Belongs here: making a learning key of a request, and taking one apart again.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from acg_lab.core.canonical import hash_text
from acg_lab.core.messages import each_message, message_rule, tool_schemas
from acg_lab.core.records import AnnotatedLlmRequest, JsonObject
from acg_lab.core.rules import Rules, get_rules

__all__ = ["LearningKey", "Owner", "assign_agents", "learning_key", "parse_learning_key"]

_CUT = 16
_pattern = re.compile(
    r"(?P<agent_id>.*?)::model=(?P<model>.*)::seed=(?P<seed>[a-z0-9:-]+)::system=(?P<system>no-system|sha256:[0-9a-f]+)"
    r"::tools=(?P<tools>no-tools|tools-unavailable?|sha256:[0-9a-f]+)(?:::response_format=(?P<response_format>sha256:[0-9a-f]{64}))?",
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


def learning_key(
    agent_id: str,
    request: AnnotatedLlmRequest,
    *,
    rules: str = "nemo-flow-0.2",
    schemas: Sequence[str] | None = None,
) -> str:
    """Return the key of the profile that the request belongs to.

    ``schemas`` is the canonical JSON of the request's tools, where it is known already.

    Raises
    ------
    RecordError
        If the request is of a shape that production can't read.
    """
    table = get_rules(rules)
    system = table.system_fingerprint(table, request)
    tools = _tools(request, tool_schemas(request) if schemas is None else schemas)
    if table.has_scaffold(table, request):
        seed = "stable-scaffold"
    else:
        seed, system, tools = _seed(table, request)[:_CUT], system[:_CUT], tools[:_CUT]
    model = "unknown" if request.model is None else request.model
    response_format = table.response_format(request)
    tail = "" if response_format is None else f"::response_format={hash_text(response_format)}"
    return f"{agent_id}::model={model}::seed={seed}::system={system}::tools={tools}{tail}"


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
    found = _pattern(key[len(agent_id) :]) if key.startswith(f"{agent_id}::model=") else None
    return LearningKey(**{**found.groupdict(), "agent_id": agent_id}) if found else None


class Owner(NamedTuple):
    """Whose a stored key is, and whether it is the agent's seed entry instead of a profile."""

    agent_id: str
    is_seed: bool


def assign_agents(keys: Collection[str], agent_ids: Collection[str] = ()) -> Mapping[str, Owner]:
    """Tell seed entries from profiles, and whose they are.

    Agent ids and models may hold what separates the parts of a learning key. What decides is which agents there are:
    those given (say, of runs), and each key that others continue as ``{key}::model=...``. A key belongs to the longest
    of them that it continues.

    Parameters
    ----------
    keys : collection of str
        All keys under which windows or results are stored, learning keys and plain agent ids.
    agent_ids : collection of str
        Agents known from elsewhere.
    """
    known = {*keys, *agent_ids}
    owners = {key: _owner(key, known) for key in keys}
    agents = {*agent_ids, *(owner.agent_id for owner in owners.values())}
    return {key: Owner(key, True) if key in agents else owner for key, owner in owners.items()}


def _owner(key: str, known: Collection[str]) -> Owner:
    end = key.rfind("::model=")
    while end >= 0:
        if key[:end] in known and parse_learning_key(key, agent_id=key[:end]):
            return Owner(key[:end], False)
        end = key.rfind("::model=", 0, end)
    parsed = parse_learning_key(key)
    return Owner(parsed.agent_id, False) if parsed else Owner(key, True)


def _seed(table: Rules, request: AnnotatedLlmRequest) -> str:
    def seed(message: JsonObject) -> str | None:
        rule = message_rule(table, message)
        return None if rule.scaffold else rule.seed(table, message)

    return next((found for found in each_message(request, seed) if found is not None), "no-seed")


def _tools(request: AnnotatedLlmRequest, schemas: Sequence[str]) -> str:
    if request.tools is None:
        return "no-tools"
    joined = "|".join(schemas)
    return hash_text(joined) if joined else "tools-unavailable"
