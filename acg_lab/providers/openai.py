"""OpenAI's two caches: boundaries from GPT-5.6 on, block prefixes before (acg_lab/docs/providers.md, section 4).

A prompt cache key, the model, tools, format, effort and verbosity are part of what makes prefixes equal, so they are
decided where prompts become nodes. Routing among machines is not simulated: what it loses shows as disagreement with
the recorded usage.
"""

from dataclasses import replace
from datetime import date
from typing import Final

from acg_lab.providers.rules import CacheProvider, Evidence, Rate, Rule, SettingValue

__all__ = ["OPENAI", "OPENAI_IN_MEMORY", "OPENAI_LONG_STEPS", "OPENAI_PREFIX", "RETENTION_CHANGED"]

_GUIDE: Final = "developers.openai.com/api/docs/guides/prompt-caching"
_SDK: Final = "openai Python SDK 3.57.0"
_LISTS: Final = "genai-prices 0.2.3 and LiteLLM 1.110.2, 2026-11"
_D, _I, _U, _C, _S = Evidence.DOCUMENTED, Evidence.INFERRED, Evidence.UNKNOWN, Evidence.CONFLICT, Evidence.SDK


def _rule(name: str, says: str, evidence: Evidence = _D, **setting: SettingValue) -> Rule:
    """Return a rule of the guide as of September 2026, with its setting if it has one."""
    key, value = next(iter(setting.items()), ("", None))
    return Rule(name=name, says=says, source=_GUIDE, as_of="2026-09-20", evidence=evidence, setting=key, value=value)


_BOUNDARY_RULES: Final = (
    _rule(
        "O-1",
        "In implicit mode, the default, one breakpoint ends the latest eligible message: a user message, the last of a "
        "run of tool outputs, or the last of the first run of developer messages.",
    ),
    _rule("O-2", "At most four writes: the implicit one and the latest explicit ones.", max_breakpoints=4),
    _rule("O-3", "Looked up are the first two explicit breakpoints,", first_explicit=2),
    replace(
        _rule("O-3a", "the latest 50 explicit breakpoints,", _C, latest_explicit=50),
        alternatives=(80,),
        source=f"{_GUIDE}; {_SDK} says 80",
    ),
    _rule("O-3b", "in implicit mode up to 20 earlier ends of eligible messages,", earlier_messages=20),
    _rule("O-3c", "and the end of the first run of developer messages."),
    _rule("O-4", "A prefix that no boundary of this request ends is not read."),
    _rule("O-5", "No breakpoint stands on instructions, tool definitions or the assistant's output."),
    _rule("O-6", "At least 1,024 visible tokens; boundaries are exact.", minimum_tokens=1024),
    _rule("O-7", "An entry lives at least 30 min after it was written or read last.", default_ttl=1800),
    _rule("O-7a", "It may live longer.", may_live_longer=True),
    replace(_rule("O-7b", "No life beyond the TTL is counted on.", grace=0)),
    replace(
        _rule("O-7c", "A read renews the shorter entries of its prefix too.", _U, renews="prefixes"),
        alternatives=("hit",),
        source="acg_lab",
    ),
    replace(
        _rule("O-8", "A TTL of 12 h can be asked for.", _C), source=f"{_SDK}; the guide of 2026-09 knows only 30 min"
    ),
    replace(
        _rule("O-8a", "A breakpoint reads entries of another TTL.", _U, ttl_in_key=False),
        alternatives=(True,),
        source="acg_lab",
    ),
    _rule("O-9", "A token is read, written or uncached, at one of three rates."),
    _rule("O-10", "Entries of different prompt cache keys are apart.", _C),
    replace(_rule("O-11", "A prewarm fills the cache without output.", _S), source=_SDK, as_of="2026-11"),
    replace(
        _rule("O-12", "An entry is readable when the writer's answer has ended.", _U, visible_at="end"),
        alternatives=("first_token",),
        source="acg_lab",
    ),
    replace(
        _rule(
            "O-12a", "The end of the answer stands in for a first token that was not recorded.", _I, missing_time="end"
        ),
        alternatives=("start",),
        source="acg_lab",
    ),
)

_WRITES: Final = {1800: 1.25, 43_200: 2.5}

OPENAI: Final = CacheProvider(
    name="openai",
    title="OpenAI, GPT-5.6 and later",
    matching="boundary",
    rules=_BOUNDARY_RULES,
    rates=(
        Rate(model="", read=0.1, writes=_WRITES, evidence=_D, source=f"{_GUIDE}, 2026-09-20; 12 h: LiteLLM 1.110.2"),
        Rate(model="gpt-6.1-sol", read=0.05, writes=_WRITES, evidence=_D, source="OpenAI pricing, 2026-09-24"),
        Rate(model="gpt-6.1-terra", read=0.05, writes=_WRITES, evidence=_D, source="OpenAI pricing, 2026-09-24"),
    ),
)

_PREFIX_RULES: Final = (
    _rule("P-1", "Caching is on from gpt-4o on; prefixes match up to fixed intervals,", _I, block_tokens=128),
    _rule("P-2", "counted from the provider's own text, whose size is not known,", _U, hidden_tokens=0),
    _rule("P-3", "and what is reported is rounded down.", step_tokens=128),
    replace(
        _rule("P-4", "The shortest prefix that is cached.", _C, minimum_tokens=1024),
        alternatives=(2048,),
        source=f"{_GUIDE}: 1,024 until mid-2026, 2,048 on 2026-09-02, 'varies' on 2026-09-20",
    ),
    replace(
        _rule("P-5", "Kept `24h`: usually 30 min after the last use, up to 24 h.", _U, ttl=1800),
        alternatives=(86_400,),
    ),
    _rule("P-6", "It may live longer.", may_live_longer=True),
    _rule("P-7", "A prompt may be read whole.", _I, reads_whole_prompt=True),
    _rule("P-8", "Answers are cached when a later prompt has brought them.", _I, caches_answers=False),
    _rule("P-9", "No capacity is stated.", _U, capacity_blocks=0),
    _rule("P-10", "Writing costs nothing extra.", write_ttl=0),
    replace(
        _rule("P-11", "A prompt is readable when the answer to it begins.", _U, visible_at="first_token"),
        alternatives=("start", "end"),
        source="acg_lab",
    ),
    replace(
        _rule(
            "P-11a", "The end of the answer stands in for a first token that was not recorded.", _I, missing_time="end"
        ),
        alternatives=("start",),
        source="acg_lab",
    ),
    _rule(
        "P-12", "A live prefix is read, apart from overflow to other machines above about 15 requests/min.", chance=1.0
    ),
)

_READ_RATES: Final = {
    0.5: ("gpt-4o", "o1", "o3-mini"),
    0.25: ("gpt-4.1", "o3", "o4-mini"),
    0.1: ("gpt-5", "gpt-5.1", "gpt-5.2", "gpt-5.4", "gpt-5.5"),
    1.0: ("o1-pro", "o3-pro", "gpt-5-pro", "gpt-5.2-pro", "gpt-5.4-pro", "gpt-5.5-pro"),
}

OPENAI_PREFIX: Final = CacheProvider(
    name="openai-prefix",
    title="OpenAI before GPT-5.6, retention 24h",
    matching="block",
    rules=_PREFIX_RULES,
    rates=tuple(
        Rate(model=model, read=read, evidence=Evidence.LISTED, source=_LISTS)
        for read, models in _READ_RATES.items()
        for model in models
    ),
)

# The default until 2026-05-29, and with zero data retention since; `registry` chooses by date.
OPENAI_IN_MEMORY: Final = replace(
    OPENAI_PREFIX,
    name="openai-in-memory",
    title="OpenAI before GPT-5.6, retention in_memory",
    rules=tuple(
        replace(
            rule, says="Kept in memory: 5 to 10 min after the last use, at most 1 h.", value=300, alternatives=(600,)
        )
        if rule.setting == "ttl"
        else rule
        for rule in _PREFIX_RULES
    ),
)

OPENAI_LONG_STEPS: Final = replace(
    OPENAI_PREFIX,
    name="openai-gpt-5.5",
    title="OpenAI GPT-5.5, retention 24h",
    rules=tuple(
        replace(rule, says="On GPT-5.5 prefixes match up to intervals of 2,048 tokens,", value=2048, evidence=_D)
        if rule.setting == "block_tokens"
        else rule
        for rule in _PREFIX_RULES
    ),
)

RETENTION_CHANGED: Final = date(2026, 5, 29)  # from then on, 24h unless zero data retention is set (guide, 2026-09-20)
