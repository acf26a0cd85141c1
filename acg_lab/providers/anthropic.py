"""Anthropic's cache, on its own API and on the clouds that serve Claude (acg_lab/docs/providers.md, sections 2 and 3).

Rules carry the numbers of that page. What happens to a request's content (tiers, parameters, thinking) is decided where
prompts become nodes; these rules are about entries.
"""

from dataclasses import replace
from datetime import date
from typing import Final

from acg_lab.providers.rules import CacheProvider, Evidence, Minimum, Rate, Rule

__all__ = ["ANTHROPIC", "BEDROCK", "VERTEX"]

_PAGE: Final = "platform.claude.com/docs/en/build-with-claude/prompt-caching"
_D, _I, _U, _C, _L = Evidence.DOCUMENTED, Evidence.INFERRED, Evidence.UNKNOWN, Evidence.CONFLICT, Evidence.LISTED

_RULES: Final = (
    Rule(
        name="A-1",
        says="Prompts are rendered as tools, system, messages; a prefix covers all before it.",
        source=_PAGE,
        as_of="2026-09",
        evidence=_D,
    ),
    Rule(
        name="A-2",
        says="At most four breakpoints in a request; more is an error.",
        source=_PAGE,
        as_of="2026-09",
        evidence=_D,
        setting="max_breakpoints",
        value=4,
    ),
    Rule(
        name="A-3",
        says="A request stores one entry per breakpoint behind what it read, and none elsewhere.",
        source=_PAGE,
        as_of="2026-09",
        evidence=_D,
    ),
    Rule(
        name="A-4",
        says="A search steps back from a breakpoint, which counts as the first position.",
        source=_PAGE,
        as_of="2026-09",
        evidence=_D,
        setting="lookback",
        value=20,
    ),
    Rule(
        name="A-5",
        says="A run of tool_use blocks is one position, and so is a run of tool_result blocks.",
        source=_PAGE,
        as_of="2026-10-06",
        evidence=_D,
        setting="tool_runs_are_one_position",
        value=True,
    ),
    Rule(
        name="A-6",
        says="A breakpoint does not belong to the content; moving it changes no prefix.",
        source="iTerm2 release note",
        as_of="2026-06-22",
        evidence=Evidence.MEASURED,
    ),
    Rule(
        name="A-7",
        says="A breakpoint whose prefix is shorter than the model's minimum is ignored.",
        source=_PAGE,
        as_of="2026-09",
        evidence=_D,
    ),
    Rule(
        name="A-8",
        says="An entry lives 300 s (or 3,600 s) from the start of the request that wrote or read it last; longer TTLs "
        "stand before shorter ones.",
        source=_PAGE,
        as_of="2026-10-06",
        evidence=_D,
        setting="default_ttl",
        value=300,
    ),
    Rule(
        name="A-9",
        says="Measured: gone between 300 and 420 s; how long an entry outlives its TTL is not promised.",
        source="cacheeconomics 0.2.1, measurement notes",
        as_of="2026-07-28",
        evidence=_U,
        setting="grace",
        value=0,
        alternatives=(120,),
    ),
    Rule(
        name="A-10",
        says="An entry is readable when the writer's answer begins.",
        source=_PAGE,
        as_of="2026-09",
        evidence=_D,
        setting="visible_at",
        value="first_token",
    ),
    Rule(
        name="A-10a",
        says="Where the first token was not recorded, the end of the answer stands in for it.",
        source="acg_lab",
        as_of="2026-11",
        evidence=_I,
        setting="missing_time",
        value="end",
        alternatives=("start",),
    ),
    Rule(
        name="A-11",
        says="A top-level cache_control puts a breakpoint on the last block that may have one; it takes a slot.",
        source=_PAGE,
        as_of="2026-07",
        evidence=_D,
        setting="automatic_mode",
        value=True,
    ),
    Rule(
        name="A-12",
        says="Automatic mode exists on the Claude API, Google Cloud and Foundry, not on Bedrock.",
        source=_PAGE,
        as_of="2026-07",
        evidence=_D,
    ),
    Rule(
        name="A-13",
        says="max_tokens: 0 writes the cache without output.",
        source="github anthropics/skills, prompt-caching.md",
        as_of="2026-07-01",
        evidence=_D,
    ),
    Rule(
        name="A-14",
        says="Results of server tools get a breakpoint when the request has one already.",
        source="platform.claude.com/docs, tool-use-with-prompt-caching",
        as_of="2026-09-23",
        evidence=_D,
        setting="server_tool_breakpoints",
        value=True,
    ),
    Rule(
        name="A-15",
        says="Entries are shared within an organisation and, since 2026-02-05, a workspace.",
        source=_PAGE,
        as_of="2026-09",
        evidence=_D,
        setting="scope",
        value="workspace",
    ),
    Rule(
        name="A-16",
        says="A read renews the shorter entries of its prefix too.",
        source="acg_lab",
        as_of="2026-11",
        evidence=_U,
        setting="renews",
        value="prefixes",
        alternatives=("hit",),
    ),
    Rule(
        name="A-16a",
        says="A breakpoint reads entries of another TTL.",
        source="acg_lab",
        as_of="2026-11",
        evidence=_U,
        setting="ttl_in_key",
        value=False,
        alternatives=(True,),
    ),
    Rule(
        name="A-17",
        says="In batches caching is best effort.",
        source="platform.claude.com/docs, batch-processing",
        as_of="2026-09-23",
        evidence=_D,
    ),
    Rule(
        name="A-9a",
        says="No entry is promised to live longer than its TTL.",
        source=_PAGE,
        as_of="2026-09",
        evidence=_D,
        setting="may_live_longer",
        value=False,
    ),
)

_PRICES: Final = "platform.claude.com/docs/en/about-claude/pricing, 2026-09-23"
_LITELLM: Final = "LiteLLM 1.110.2 price file, 2026-11"
_SKILL: Final = f"{_PAGE}, 2026-10"


def _minimums(tokens: int, *models: str, evidence: Evidence = _D, source: str = _PAGE) -> tuple[Minimum, ...]:
    return tuple(Minimum(model=f"claude-{m}", tokens=tokens, evidence=evidence, source=source) for m in models)


MINIMUMS: Final = (
    Minimum(model="", tokens=1024, evidence=_I, source="acg_lab: the commonest minimum, for models of no known one"),
    *_minimums(512, "opus-5", "fable-5", "fable-5.1", "mythos-5", "mythos-5.1"),
    *_minimums(512, "opus-5.5", "sonnet-5.5", source=_SKILL),
    *_minimums(512, "haiku-5.5", evidence=_L, source=_LITELLM),
    *_minimums(512, "fable-5.2", "mythos-5.2", evidence=_I, source="acg_lab: as their siblings"),
    *_minimums(1024, "opus-4.8", "sonnet-5", "sonnet-4.5", "opus-4.1", "opus-4", "sonnet-4", "3.7-sonnet"),
    *_minimums(1024, "sonnet-3.7"),
    # A page of spring 2026 said 2,048, and so did a measurement on Bedrock of 2026-04-29.
    Minimum(model="claude-sonnet-4.6", tokens=2048, evidence=_C, source=f"{_PAGE}, spring 2026", alternatives=(1024,)),
    Minimum(
        model="claude-sonnet-4.6",
        tokens=1024,
        evidence=_C,
        source=_PAGE,
        since=date(2026, 8, 1),
        alternatives=(2048,),
    ),
    *_minimums(2048, "opus-4.7", "3.5-haiku", "haiku-3.5", "3-haiku", "haiku-3"),
    Minimum(model="claude-mythos-preview", tokens=2048, evidence=_C, source=_PAGE, alternatives=(512,)),
    *_minimums(4096, "opus-4.6", "opus-4.5", "haiku-4.5"),
)

_WRITES: Final = {300: 1.25, 3600: 2.0}
RATES: Final = (
    Rate(model="", read=0.1, writes=_WRITES, evidence=_D, source=_PRICES),
    *(
        Rate(model=f"claude-{m}", read=0.05, writes=_WRITES, evidence=_D, source=_PRICES)
        for m in ("opus-5.5", "sonnet-5.5")
    ),
    *(
        Rate(model=f"claude-{m}", read=0.025, writes=_WRITES, evidence=_D, source=_PRICES)
        for m in ("fable-5.1", "mythos-5.1")
    ),
    *(
        Rate(model=f"claude-{m}", read=0.025, writes=_WRITES, evidence=_L, source="genai-prices 0.2.3, 2026-11")
        for m in ("fable-5.2", "mythos-5.2")
    ),
)

ANTHROPIC: Final = CacheProvider(
    name="anthropic",
    title="Anthropic Claude API",
    matching="breakpoint",
    rules=_RULES,
    minimums=MINIMUMS,
    rates=RATES,
)


def _on_cloud(name: str, title: str, *changed: Rule, minimums: tuple[Minimum, ...] = MINIMUMS) -> CacheProvider:
    """Return Anthropic's rules with those that a cloud states otherwise."""
    by_name = {rule.name: rule for rule in changed}
    rules = tuple(by_name.get(rule.name, rule) for rule in _RULES)
    return replace(ANTHROPIC, name=name, title=title, rules=rules, minimums=minimums)


_AWS: Final = "docs.aws.amazon.com/bedrock, prompt-caching"
_RUNS: Final = next(rule for rule in _RULES if rule.name == "A-5")
_SCOPE: Final = next(rule for rule in _RULES if rule.name == "A-15")
_ORGANISATION: Final = replace(_SCOPE, says="Entries are shared within an organisation.", value="organisation")
_AUTOMATIC: Final = next(rule for rule in _RULES if rule.name == "A-11")

BEDROCK: Final = _on_cloud(
    "bedrock",
    "Claude on Amazon Bedrock",
    replace(
        _RUNS,
        says="The look-back is about 20 content blocks; that a run of tool blocks is one position is not stated.",
        source=_AWS,
        as_of="2026-09-23",
        evidence=_U,
        alternatives=(False,),
    ),
    replace(_AUTOMATIC, says="There is no automatic mode.", value=False),
    _ORGANISATION,
    minimums=(
        *(m for m in MINIMUMS if m.model not in {"claude-opus-4.7", "claude-sonnet-4.6"}),
        Minimum(model="claude-opus-4.7", tokens=4096, evidence=_C, source=f"{_AWS}, 2026-09-23", alternatives=(2048,)),
        Minimum(
            model="claude-sonnet-4.6",
            tokens=2048,
            evidence=_C,
            source="litellm-docs #49, measured 2026-04-29",
            alternatives=(1024,),
        ),
    ),
)

VERTEX: Final = _on_cloud(
    "vertex",
    "Claude on Google Cloud",
    replace(
        _RUNS,
        says="As on the Claude API; that a run of tool blocks is one position is not stated.",
        evidence=_U,
        alternatives=(False,),
    ),
    replace(_AUTOMATIC, evidence=_C, alternatives=(False,)),
    _ORGANISATION,
)
