"""The learning key: which profile an observation belongs to (``acg_lab/docs/rules/learner.md``, 3)."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from acg_lab.core.canonical import hash_text
from acg_lab.core.messages import map_messages, message_rule, tool_schemas
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
    """The parts of a learning key; fingerprints as in the key, most of them truncated.

    Examples
    --------
    >>> parts = parse_learning_key("chat::model=m::seed=no-seed::system=no-system::tools=no-tools")
    >>> parts.agent_id, parts.tools
    ('chat', 'no-tools')
    """

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
    """Return the learning key of a request: the key of the profile that it belongs to.

    Parameters
    ----------
    agent_id : str
        The agent that made the request.
    request : AnnotatedLlmRequest
        Read, never changed.
    rules : str
        Name of the rules version.
    schemas : sequence of str, optional
        Canonical JSON of the request's tools, if already known.

    Returns
    -------
    str
        Agent, model, and fingerprints of first message, system prompt and tools; from 0.8 on of the response format.

    Raises
    ------
    RecordError
        If production cannot read the request.

    Examples
    --------
    >>> request = AnnotatedLlmRequest(messages=({"role": "user", "content": "Hi"},), model="gpt-4.1")
    >>> learning_key("chat", request)
    'chat::model=gpt-4.1::seed=user:sha256:3639::system=no-system::tools=no-tools'
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
    """Split a learning key into its parts.

    Agent ids and models may themselves contain ``::model=``. Without ``agent_id``, the agent id ends at the first
    ``::model=`` and the model at the last ``::seed=``.

    Parameters
    ----------
    key : str
        The key; a display name is not one.
    agent_id : str, optional
        The agent, if it is known.

    Returns
    -------
    LearningKey or None
        None if the text is not a learning key (of that agent), for example an agent id. Never raises for a text.

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
    """The agent that a stored key belongs to, and whether the key is the agent's seed entry."""

    agent_id: str
    is_seed: bool


def assign_agents(keys: Collection[str], agent_ids: Collection[str] = ()) -> Mapping[str, Owner]:
    """Return the agent of each stored key, and whether the key is the agent's seed entry.

    Agent ids and models may contain the separators of a learning key, so keys are compared with the known agents: those
    passed in, and every key that others continue as ``{key}::model=...``. A key belongs to the longest agent id that it
    continues.

    Parameters
    ----------
    keys : collection of str
        All keys under which windows or results are stored: learning keys and agent ids.
    agent_ids : collection of str
        Agents known from elsewhere, for example from runs.
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

    return next((found for found in map_messages(request, seed) if found is not None), "no-seed")


def _tools(request: AnnotatedLlmRequest, schemas: Sequence[str]) -> str:
    if request.tools is None:
        return "no-tools"
    joined = "|".join(schemas)
    return hash_text(joined) if joined else "tools-unavailable"
