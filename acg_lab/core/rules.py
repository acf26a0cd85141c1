"""The rules versions and how they differ, as tables (``acg_lab/docs/rules/learner.md``, 2, 3 and 8).

Every fact that holds in one version and not in another is data here, or one of the small functions of
`acg_lab.core.messages`. No other module asks which version it serves; it looks the fact up. What all versions share is
in the module named for it: `prompt_ir`, `keys`, `stability`.
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
        "system": MessageRule(True, m.text_block("system", "system"), m.text_seed("system")),
        "user": MessageRule(False, m.text_block("user", "user"), m.text_seed("user")),
        "assistant": MessageRule(False, m.assistant_blocks, m.assistant_seed),
        "tool": MessageRule(False, m.tool_result_block, m.text_seed("tool")),
    },
    block_parts={"text": m.text_of("text"), "image_url": m.no_text},
    seed_parts={"text": m.text_of("text"), "image_url": m.tag_image},
    keep_empty_parts=True,
    tool_name=m.tool_name,
    opening=m.no_blocks,
    closing=m.no_blocks,
    system_fingerprint=m.hash_system_texts,
    response_format=m.ignore_response_format,
    has_scaffold=m.has_no_scaffold,
    exact_prefix=False,
    rewrites_body=True,
    records_turns=False,
)

_RELAY_6 = _FLOW._replace(
    name="nemo-relay-0.6",
    key_prefix="nemo_relay:",
    messages={
        **_FLOW.messages,
        "developer": MessageRule(
            True, m.text_block("system", "developer", suffix="-developer"), m.text_seed("developer")
        ),
        "function": MessageRule(False, m.function_result_block, m.function_seed),
        "tool_call": MessageRule(False, m.whole_message_block("assistant", "developer", "name"), m.tool_call_seed),
        "tool_result": MessageRule(False, m.whole_message_block("tool", "tool", "call_id"), m.tool_result_seed),
        "provider_native": MessageRule(
            False, m.whole_message_block("user", "developer", "kind"), m.provider_native_seed
        ),
    },
    block_parts={
        **dict.fromkeys(m.PART_FIELDS, m.print_part),
        "text": m.text_of("text"),
        "refusal": m.text_of("refusal"),
        "image_url": m.no_text,
        "image": m.no_text,
    },
    seed_parts={
        **dict.fromkeys(m.PART_FIELDS, m.print_part),
        "text": m.text_of("text"),
        "refusal": m.text_of("refusal"),
        "image_url": m.tag_image,
    },
    keep_empty_parts=False,
    tool_name=m.tool_name_or_kind,
    opening=m.instructions_block,
    system_fingerprint=m.hash_system_items,
    rewrites_body=False,
    records_turns=True,
)

_RELAY_8 = _RELAY_6._replace(
    name="nemo-relay-0.8",
    closing=m.response_format_block,
    response_format=m.print_response_format,
    has_scaffold=m.has_scaffold,
    exact_prefix=True,
)

RULES: Mapping[RulesName, Rules] = {rules.name: rules for rules in (_FLOW, _RELAY_6, _RELAY_8)}
NEWEST: RulesName = "nemo-relay-0.8"


def get_rules(name: str) -> Rules:
    """Return a rules version by name.

    Raises
    ------
    UsageError
        If the name is unknown; the message lists the known ones.

    Examples
    --------
    >>> get_rules("nemo-relay-0.8").exact_prefix
    True
    """
    for rules in RULES.values():
        if rules.name == name:
            return rules
    msg = f"The 'rules' setting must be one of {', '.join(map(repr, RULES))}; got {name!r}."
    raise UsageError(msg)
