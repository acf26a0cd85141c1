"""Which cache a request met: by API, model and date, or as the caller says.

Dated rules of one provider (minimums) live in the provider; where a date changes the kind of cache, the registry
chooses another provider.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, TypeAlias

from acg_lab.core.errors import UsageError
from acg_lab.providers.anthropic import ANTHROPIC, BEDROCK, VERTEX
from acg_lab.providers.engines import SGLANG, TENSORRT_LLM, VLLM
from acg_lab.providers.openai import OPENAI, OPENAI_IN_MEMORY, OPENAI_LONG_STEPS, OPENAI_PREFIX, RETENTION_CHANGED
from acg_lab.providers.others import DEEPSEEK, GEMINI, GLM, MISTRAL, MOONSHOT, QWEN_EXPLICIT, QWEN_IMPLICIT, XAI
from acg_lab.providers.rules import CacheProvider, canonical_model

__all__ = ["PROVIDERS", "CacheProviderLike", "ProviderTable", "choose_provider", "find_provider", "list_providers"]

CacheProviderLike: TypeAlias = CacheProvider | str

PROVIDERS: Final[dict[str, CacheProvider]] = {
    provider.name: provider
    for provider in (
        ANTHROPIC,
        BEDROCK,
        VERTEX,
        OPENAI,
        OPENAI_PREFIX,
        OPENAI_IN_MEMORY,
        OPENAI_LONG_STEPS,
        DEEPSEEK,
        GEMINI,
        QWEN_EXPLICIT,
        QWEN_IMPLICIT,
        MOONSHOT,
        XAI,
        MISTRAL,
        GLM,
        VLLM,
        SGLANG,
        TENSORRT_LLM,
    )
}

# Families of models by how their names begin, vendor prefix aside; the first that fits counts.
_FAMILIES: Final = (
    (re.compile(r"deepseek"), DEEPSEEK),
    (re.compile(r"gemini"), GEMINI),
    (re.compile(r"grok"), XAI),
    (re.compile(r"kimi|moonshot"), MOONSHOT),
    (re.compile(r"glm"), GLM),
    (re.compile(r"mi[sx]tral|codestral|magistral|devstral|ministral|pixtral"), MISTRAL),
)
_BOUNDARIES_SINCE: Final = (5, 6)


def find_provider(cache_provider: CacheProviderLike) -> CacheProvider:
    """Return a provider by name; a provider is returned unchanged.

    Parameters
    ----------
    cache_provider : str or CacheProvider
        A name of `PROVIDERS`, or a provider of your own.

    Returns
    -------
    CacheProvider

    Raises
    ------
    UsageError
        If no provider has the name. ``"auto"`` does not name one: `choose_provider` needs a request.

    Examples
    --------
    >>> find_provider("openai").matching
    'boundary'
    """
    if isinstance(cache_provider, CacheProvider):
        return cache_provider
    if not isinstance(cache_provider, str) or cache_provider not in PROVIDERS:
        msg = f"cache_provider must be a CacheProvider, 'auto' or one of {', '.join(PROVIDERS)}; got {cache_provider!r}"
        raise UsageError(msg)
    return PROVIDERS[cache_provider]


def choose_provider(
    api: str, model: str | None, when: date, *, zero_retention: bool = False, has_breakpoints: bool = False
) -> CacheProvider | None:
    """Choose the cache that a request met.

    Parameters
    ----------
    api : str
        ``"anthropic"``, ``"openai-chat"`` or ``"openai-responses"``: the shape of the body, which other vendors share.
    model : str or None
    when : date
        The day of the request, UTC.
    zero_retention : bool, default False
        Whether the account keeps no data (OpenAI; it shortens what is kept).
    has_breakpoints : bool, default False
        Whether the body has breakpoints of its own (Qwen; it makes the cache explicit).

    Returns
    -------
    CacheProvider or None
        None where no rules are known for the model.

    Examples
    --------
    >>> choose_provider("openai-chat", "gpt-5.1", date(2026, 3, 1)).name
    'openai-in-memory'
    >>> choose_provider("anthropic", "anthropic.claude-sonnet-4-5-20250929-v1:0", date(2026, 3, 1)).name
    'bedrock'
    """
    if model is None:
        return ANTHROPIC if api == "anthropic" else None
    name = canonical_model(model)
    if name.startswith("claude"):
        return _claude(model.lower())
    if name.startswith(("qwen", "qwq")):
        return QWEN_EXPLICIT if has_breakpoints else QWEN_IMPLICIT
    family = next((provider for pattern, provider in _FAMILIES if pattern.match(name)), None)
    return family or _openai(name, when, zero_retention=zero_retention)


def _claude(model: str) -> CacheProvider:
    """Return the cache of a Claude model by how a cloud spells its name."""
    if re.search(r"(^|[./])anthropic\.claude|^bedrock/", model):
        return BEDROCK
    return VERTEX if "@" in model or model.startswith(("vertex", "publishers/")) else ANTHROPIC


def _openai(name: str, when: date, *, zero_retention: bool) -> CacheProvider | None:
    version = re.match(r"(?:gpt-|chatgpt-)?(\d+)(?:\.(\d+))?", name.removeprefix("openai.")) if "gpt" in name else None
    if version is None:
        return _retained(when, zero_retention=zero_retention) if re.match(r"o[134](-|$)|codex", name) else None
    number = int(version[1]), int(version[2] or 0)
    if "oss" in name or number < (4, 0):
        return None
    if number >= _BOUNDARIES_SINCE:
        return OPENAI
    if number == (5, 5):
        return OPENAI_LONG_STEPS
    return _retained(when, zero_retention=zero_retention)


def _retained(when: date, *, zero_retention: bool) -> CacheProvider:
    return OPENAI_IN_MEMORY if zero_retention or when < RETENTION_CHANGED else OPENAI_PREFIX


@dataclass(frozen=True)
class ProviderTable:
    """Providers side by side; for people. ``rows`` holds the cells, ``columns`` their names."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __iter__(self) -> Iterator[dict[str, str]]:
        """Yield one row as a mapping from column to cell."""
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)

    def __repr__(self) -> str:
        lines = (self.columns, *self.rows)
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )


def list_providers(providers: Sequence[CacheProvider] | None = None) -> ProviderTable:
    """List providers: how each matches, its TTL and minimum, what reads cost, and which settings are unsettled.

    Parameters
    ----------
    providers : sequence of CacheProvider, optional
        Those of the registry when left out.

    Returns
    -------
    ProviderTable
        One row per provider; iterates over rows as mappings.

    Examples
    --------
    >>> next(iter(list_providers()))["name"]
    'anthropic'
    """
    rows = []
    for provider in PROVIDERS.values() if providers is None else providers:
        settings = provider.settings
        ttl = settings.get("default_ttl", settings.get("ttl", 0))
        minimums = sorted({m.tokens for m in provider.minimums} or {provider.minimum_of("", date.max)})
        reads = sorted({rate.read for rate in provider.rates})
        rows.append(
            (
                provider.name,
                provider.title,
                provider.matching,
                f"{ttl} s" if ttl else "-",
                _range_of([f"{tokens:,}" for tokens in minimums]),
                _range_of([f"{read:g}" for read in reads]),
                ", ".join(provider.switches) or "-",
            )
        )
    return ProviderTable(("name", "title", "matching", "ttl", "minimum", "read", "unsettled"), tuple(rows))


def _range_of(values: list[str]) -> str:
    return "-" if not values else values[0] if len(values) == 1 else f"{values[0]} to {values[-1]}"
