"""The generations of the rules, and what differs between them, as tables (spec sections 2, 3 and 8).

Belongs here: every fact that one generation has and another has not, as data or as one of the small functions of
`acg_lab.core.messages`. No other module asks which generation it is in; it asks the table. Code that all generations
share lives in the module named for it: `prompt_ir`, `keys`, `stability`.
"""

from collections.abc import Mapping

from acg_lab.core import messages as m
from acg_lab.core.errors import UsageError
from acg_lab.core.rule_types import MessageRule, Rules, RulesName

__all__ = ["NEWEST", "RULES", "Rules", "RulesName", "get_rules"]


_FLOW = Rules(
    name="nemo-flow-0.2",
    key_prefix="nemo_flow:",
    messages={
        "system": MessageRule(True, m.plain("system", "system"), m.text_seed("system")),
        "user": MessageRule(False, m.plain("user", "user"), m.text_seed("user")),
        "assistant": MessageRule(False, m.assistant, m.assistant_seed),
        "tool": MessageRule(False, m.tool, m.text_seed("tool")),
    },
    block_parts={"text": m.field("text"), "image_url": m.nothing},
    seed_parts={"text": m.field("text"), "image_url": m.image_tag},
    keep_empty_parts=True,
    tool_name=m.function_name,
    opening=m.no_blocks,
    closing=m.no_blocks,
    system_fingerprint=m.system_texts,
    response_format=m.no_response_format,
    has_scaffold=m.no_scaffold,
    exact_prefix=False,
    rewrites_body=True,
    records_turns=False,
)

_RELAY_6 = _FLOW._replace(
    name="nemo-relay-0.6",
    key_prefix="nemo_relay:",
    messages={
        **_FLOW.messages,
        "developer": MessageRule(True, m.plain("system", "developer", suffix="-developer"), m.text_seed("developer")),
        "function": MessageRule(False, m.function, m.function_seed),
        "tool_call": MessageRule(False, m.whole("assistant", "developer", "name"), m.tool_call_seed),
        "tool_result": MessageRule(False, m.whole("tool", "tool", "call_id"), m.tool_result_seed),
        "provider_native": MessageRule(False, m.whole("user", "developer", "kind"), m.native_seed),
    },
    block_parts={
        **dict.fromkeys(m.PART_FIELDS, m.compact_part),
        "text": m.field("text"),
        "refusal": m.field("refusal"),
        "image_url": m.nothing,
        "image": m.nothing,
    },
    seed_parts={
        **dict.fromkeys(m.PART_FIELDS, m.compact_part),
        "text": m.field("text"),
        "refusal": m.field("refusal"),
        "image_url": m.image_tag,
    },
    keep_empty_parts=False,
    tool_name=m.function_name_or_kind,
    opening=m.instructions,
    system_fingerprint=m.system_items_hash,
    rewrites_body=False,
    records_turns=True,
)

_RELAY_8 = _RELAY_6._replace(
    name="nemo-relay-0.8",
    closing=m.structured_output,
    response_format=m.response_format,
    has_scaffold=m.scaffold,
    exact_prefix=True,
)

RULES: Mapping[RulesName, Rules] = {rules.name: rules for rules in (_FLOW, _RELAY_6, _RELAY_8)}
NEWEST: RulesName = "nemo-relay-0.8"


def get_rules(name: str) -> Rules:
    """Return a generation by its name.

    Raises
    ------
    UsageError
        If there is no generation of that name; the message lists those that there are.
    """
    for rules in RULES.values():
        if rules.name == name:
            return rules
    msg = f"The 'rules' setting must be one of {', '.join(map(repr, RULES))}; got {name!r}."
    raise UsageError(msg)
