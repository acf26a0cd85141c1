"""Caches of other vendors, as far as they are documented (acg_lab/docs/providers.md, sections 5 and 6).

What a vendor does not state is unknown and has alternatives; where no hit is promised, ``chance`` stands for how
often one happens, and its alternatives are never and always.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from acg_lab.providers.rules import CacheProvider, Evidence, Minimum, Rate, Rule, SettingValue

__all__ = ["DEEPSEEK", "GEMINI", "GLM", "MISTRAL", "MOONSHOT", "QWEN_EXPLICIT", "QWEN_IMPLICIT", "XAI"]

_D, _I, _U, _C = Evidence.DOCUMENTED, Evidence.INFERRED, Evidence.UNKNOWN, Evidence.CONFLICT
_L, _M = Evidence.LISTED, Evidence.MEASURED
_LISTS: Final = "genai-prices 0.2.3 and LiteLLM 1.110.2, 2026-11"

# What an automatic cache of prefixes does unless its vendor says otherwise.
_UNSTATED: Final[Mapping[str, tuple[str, SettingValue, tuple[SettingValue, ...]]]] = MappingProxyType(
    {
        "block_tokens": ("Prefixes match up to a multiple of this many tokens.", 1, ()),
        "step_tokens": ("Reported tokens are a multiple of this.", 1, (64, 128)),
        "hidden_tokens": ("Tokens of the vendor's own text before the prompt.", 0, ()),
        "minimum_tokens": ("The shortest prefix that is cached.", 1, (1024,)),
        "ttl": ("Seconds since the last use that a prefix is kept.", 3600, (300, 86_400)),
        "may_live_longer": ("It may live longer.", True, ()),
        "reads_whole_prompt": ("A prompt may be read whole.", True, ()),
        "caches_answers": ("Answers are cached as well.", False, (True,)),
        "capacity_blocks": ("No capacity is stated.", 0, ()),
        "write_ttl": ("Writing costs nothing extra.", 0, ()),
        "visible_at": ("A prompt is readable at this moment of its answer.", "end", ("first_token",)),
        "missing_time": ("The end of the answer stands in for a first token that was not recorded.", "end", ("start",)),
        "chance": ("How often a live prefix is read.", 1.0, ()),
    }
)


def _rules(source: str, as_of: str, *stated: Rule, prefix: str) -> tuple[Rule, ...]:
    """Return what a vendor states, then what it does not."""
    settled = {rule.setting for rule in stated}
    unstated = tuple(
        Rule(
            name=f"{prefix}-{name}",
            says=says,
            source="acg_lab",
            as_of="2026-11",
            evidence=_U if alternatives else _I,
            setting=name,
            value=value,
            alternatives=alternatives,
        )
        for name, (says, value, alternatives) in _UNSTATED.items()
        if name not in settled
    )
    return tuple(replace(rule, source=rule.source or source, as_of=rule.as_of or as_of) for rule in stated) + unstated


def _rule(
    name: str,
    says: str,
    evidence: Evidence = _D,
    *,
    source: str = "",
    as_of: str = "",
    alternatives: tuple[SettingValue, ...] = (),
    **setting: SettingValue,
) -> Rule:
    key, value = next(iter(setting.items()), ("", None))
    return Rule(
        name=name,
        says=says,
        source=source,
        as_of=as_of,
        evidence=evidence,
        setting=key,
        value=value,
        alternatives=alternatives,
    )


def _no_promise(name: str, evidence: Evidence = _D) -> Rule:
    """Return the rule of a cache that promises no hit."""
    return _rule(
        name, "No hit is promised: what a hit would read, and how often.", evidence, alternatives=(0.0, 1.0), chance=0.5
    )


DEEPSEEK: Final = CacheProvider(
    name="deepseek",
    title="DeepSeek V4",
    matching="unit",
    rules=_rules(
        "api-docs.deepseek.com/guides/kv_cache",
        "2026",
        _rule("D-1", "Units end where user input and answers end, and where prompts were found to part."),
        _rule("D-2", "Answers are cached as well.", caches_answers=True),
        _rule(
            "D-3",
            "A unit also ends after every fixed number of tokens, which is not stated.",
            _U,
            unit_tokens=0,
            alternatives=(64, 128),
        ),
        _rule(
            "D-4",
            "Hits are multiples of 128.",
            _M,
            source="deepseek-v4-for-copilot #25",
            step_tokens=128,
            alternatives=(1, 64),
        ),
        _rule("D-5", "Kept for hours to days.", ttl=21_600, alternatives=(3600, 172_800)),
        prefix="D",
    ),
    rates=(
        Rate(model="", read=0.02, evidence=_L, source=_LISTS),
        Rate(model="deepseek-v4-pro", read=0.033, evidence=_L, source=_LISTS),
    ),
)

GEMINI: Final = CacheProvider(
    name="gemini",
    title="Google Gemini, implicit",
    matching="block",
    rules=_rules(
        "ai.google.dev/gemini-api/docs/caching",
        "2026-09-02",
        _rule("G-1", "Implicit caching is on from Gemini 2.5 on."),
        _no_promise("G-2"),
        _rule(
            "G-3",
            "Measured hits are irregular: none over bands of prompt sizes, cold for several turns.",
            _M,
            source="python-genai #2064, #1880; rig #2375",
        ),
        prefix="G",
    ),
    minimums=(
        Minimum(model="", tokens=4096, evidence=_C, source="ai.google.dev, 2026-09", alternatives=(1024, 6144)),
        Minimum(
            model="gemini-2.5", tokens=2048, evidence=_C, source="ai.google.dev, 2026-09", alternatives=(1024, 4096)
        ),
    ),
    rates=(
        Rate(model="", read=0.1, evidence=_D, source="Gemini pricing, 2026-09-23"),
        Rate(model="gemini-4", read=0.05, evidence=_L, source="LiteLLM 1.110.2, 2026-11"),
    ),
)

XAI: Final = CacheProvider(
    name="xai",
    title="xAI Grok",
    matching="block",
    rules=_rules(
        "docs.x.ai, prompt-caching",
        "2026",
        _rule("X-1", "Automatic, per server; a conversation id or a prompt cache key pins requests to one."),
        _rule("X-2", "Steps of 128 tokens.", _M, as_of="2026-08-19", step_tokens=128),
        _no_promise("X-3"),
        prefix="X",
    ),
    rates=(Rate(model="", read=0.25, evidence=_L, source=f"{_LISTS}: 0.15 to 0.25 by model"),),
)

MISTRAL: Final = CacheProvider(
    name="mistral",
    title="Mistral",
    matching="block",
    rules=_rules(
        "docs.mistral.ai, prompt-caching",
        "2026",
        _rule("M-1", "Used when a prompt cache key is sent.", requires_key=True),
        _no_promise("M-2"),
        prefix="M",
    ),
    rates=(Rate(model="", read=0.1, evidence=_D, source="docs.mistral.ai, 2026"),),
)

GLM: Final = CacheProvider(
    name="glm",
    title="Z.ai GLM",
    matching="block",
    rules=_rules("genai-prices 0.2.3", "2026-11", _rule("Z-1", "Automatic.", _L), _no_promise("Z-2", _U), prefix="Z"),
    rates=(Rate(model="", read=0.25, evidence=_L, source=f"{_LISTS}: 0.18 to 0.25 by model"),),
)

MOONSHOT: Final = CacheProvider(
    name="moonshot",
    title="Moonshot Kimi K3",
    matching="block",
    rules=_rules(
        "forum.moonshot.ai/t/613",
        "2026-10",
        _rule("K-1", "Automatic; since 2026-10 a write is billed for 5 min, or 1 h if asked for.", ttl=300),
        _rule("K-2", "Writes are billed apart.", write_ttl=300),
        _rule(
            "K-3",
            "Steps of 256 tokens.",
            _M,
            source="pi-provider-kimi-code, docs/caching.md",
            step_tokens=256,
            alternatives=(1,),
        ),
        prefix="K",
    ),
    rates=(
        Rate(model="", read=0.1, writes={300: 1.0, 3600: 2.0}, evidence=_L, source="LiteLLM 1.110.2, 2026-11"),
        Rate(
            model="kimi-k3-highspeed",
            read=0.05,
            writes={300: 1.0, 3600: 2.0},
            evidence=_L,
            source="LiteLLM 1.110.2, 2026-11",
        ),
    ),
)

_QWEN: Final = "alibabacloud.com/help/en/model-studio/context-cache"

QWEN_EXPLICIT: Final = CacheProvider(
    name="qwen",
    title="Qwen, explicit",
    matching="breakpoint",
    rules=tuple(
        replace(rule, source=rule.source or _QWEN, as_of="2026-10-11")
        for rule in (
            _rule("Q-1", "At most four breakpoints.", max_breakpoints=4),
            _rule("Q-2", "A search steps back over 20 content blocks.", lookback=20),
            _rule("Q-3", "Each block is a position.", tool_runs_are_one_position=False),
            _rule("Q-4", "At least 1,024 tokens.", minimum_tokens=1024),
            _rule("Q-5", "An entry lives 300 s, renewed by a hit; 1 h on Qwen4.", default_ttl=300),
            _rule("Q-6", "No life beyond the TTL is counted on.", _U, grace=0, alternatives=(120,)),
            _rule("Q-7", "An entry is readable after the answer that created it.", visible_at="end"),
            _rule("Q-7a", "A first token stands in for a missing end.", _I, missing_time="end"),
            _rule("Q-8", "Qwen4 has an automatic mode.", automatic_mode=True),
            _rule("Q-9", "Server tools get no breakpoint.", _I, server_tool_breakpoints=False),
            _rule("Q-10", "A read renews the shorter entries too.", _U, renews="prefixes", alternatives=("hit",)),
            _rule("Q-11", "A breakpoint reads entries of another TTL.", _U, ttl_in_key=False, alternatives=(True,)),
            _rule("Q-12", "No entry is promised to live longer.", _I, may_live_longer=False),
        )
    ),
    rates=(Rate(model="", read=0.1, writes={300: 1.25, 3600: 2.0}, evidence=_D, source=f"{_QWEN}; 1 h inferred"),),
)

QWEN_IMPLICIT: Final = CacheProvider(
    name="qwen-implicit",
    title="Qwen, implicit",
    matching="block",
    rules=_rules(
        _QWEN,
        "2026-10-11",
        _no_promise("Q-20"),
        _rule(
            "Q-21",
            "The shortest prefix: 256 (2026-03) or 1,024 (2026-10).",
            _C,
            minimum_tokens=1024,
            alternatives=(256,),
        ),
        prefix="Q",
    ),
    rates=(Rate(model="", read=0.2, evidence=_D, source=_QWEN),),
)
