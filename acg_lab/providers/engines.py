"""Prefix caches of self-hosted engines (acg_lab/docs/providers.md, section 7).

They have no prices and, by default, no expiry: what counts is block size and capacity, which are yours to state. One
worker is simulated; a router over several is not.
"""

from typing import Final

from acg_lab.providers.rules import CacheProvider, Evidence, Rule, SettingValue

__all__ = ["SGLANG", "TENSORRT_LLM", "VLLM", "self_hosted"]

_D, _I, _U = Evidence.DOCUMENTED, Evidence.INFERRED, Evidence.UNKNOWN


def self_hosted(
    block_tokens: int,
    *,
    capacity_blocks: int = 0,
    ttl: int = 0,
    caches_answers: bool = True,
    name: str = "self-hosted",
    title: str = "Self-hosted engine",
    source: str = "the caller",
) -> CacheProvider:
    """Describe a prefix cache of your own.

    Parameters
    ----------
    block_tokens : int
        Tokens of one block (vLLM's block size, SGLang's page size). A shared prefix shorter than a block reads nothing.
    capacity_blocks : int, default 0
        How many blocks fit; 0 for no limit. The least recently used are evicted, of one prompt the tail first.
    ttl : int, default 0
        Seconds after which an unused block expires; 0 for never.
    caches_answers : bool, default True
        Whether generated tokens stay cached.

    Returns
    -------
    CacheProvider

    Examples
    --------
    >>> self_hosted(16, capacity_blocks=50_000).settings["capacity_blocks"]
    50000
    """

    def rule(number: int, says: str, evidence: Evidence, setting: str, value: SettingValue) -> Rule:
        return Rule(
            name=f"V-{number}",
            says=says,
            source=source,
            as_of="2026-08",
            evidence=evidence,
            setting=setting,
            value=value,
        )

    return CacheProvider(
        name=name,
        title=title,
        matching="block",
        rules=(
            rule(1, "Prefixes match in full blocks.", _D, "block_tokens", block_tokens),
            rule(2, "What is read is a whole number of blocks.", _D, "step_tokens", block_tokens),
            rule(3, "The engine adds no text of its own.", _D, "hidden_tokens", 0),
            rule(4, "The block is the only minimum.", _D, "minimum_tokens", 0),
            rule(5, "At least one token of a prompt is computed.", _D, "reads_whole_prompt", False),
            rule(6, "Generated tokens are cached too.", _D, "caches_answers", caches_answers),
            rule(
                7, "Blocks are evicted least recently used first, tails first.", _D, "capacity_blocks", capacity_blocks
            ),
            rule(8, "Nothing expires unless asked for.", _D, "ttl", ttl),
            rule(9, "A block is readable as soon as it is full.", _D, "visible_at", "start"),
            rule(10, "Times of answers matter only for what they add.", _I, "missing_time", "end"),
            rule(11, "Writing is not billed.", _D, "write_ttl", 0),
            rule(12, "A block that is held is read.", _D, "chance", 1.0),
            rule(13, "An expired block is gone.", _D, "may_live_longer", False),
        ),
    )


VLLM: Final = self_hosted(16, name="vllm", title="vLLM V1", source="docs.vllm.ai, design/prefix_caching")
SGLANG: Final = self_hosted(
    64, name="sglang", title="SGLang (page size by backend)", source="SGLang server arguments, radix_cache"
)
TENSORRT_LLM: Final = self_hosted(
    32, name="tensorrt-llm", title="TensorRT-LLM", source="TensorRT-LLM docs/source/features/kvcache.md"
)
