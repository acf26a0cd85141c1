"""Rules of providers' prompt caches as dated data, the matching models that they feed, prices and token counts.

Nothing here reads bodies or snapshots: `acg_lab.simulation` makes prompts into a `PromptTable`.
"""

from acg_lab.providers.engines import self_hosted
from acg_lab.providers.matching import run_cache, run_variants
from acg_lab.providers.outcomes import NOTHING, CacheOutcome, Doubt, LookupReason, Refusal
from acg_lab.providers.prices import PriceList, TokenPrices, relative_cost
from acg_lab.providers.prompts import (
    AUTOMATIC_BY_DEFAULT,
    NO_NODE,
    NO_TIME,
    Branches,
    BreakpointOrigin,
    PieceKind,
    PromptTable,
    RequestFlag,
    join_branches,
)
from acg_lab.providers.registry import PROVIDERS, choose_provider, find_provider, list_providers
from acg_lab.providers.rules import CacheProvider, Evidence, Minimum, Multipliers, Rate, Rule
from acg_lab.providers.token_counts import TokenCounter

__all__ = [
    "AUTOMATIC_BY_DEFAULT",
    "NOTHING",
    "NO_NODE",
    "NO_TIME",
    "PROVIDERS",
    "Branches",
    "BreakpointOrigin",
    "CacheOutcome",
    "CacheProvider",
    "Doubt",
    "Evidence",
    "LookupReason",
    "Minimum",
    "Multipliers",
    "PieceKind",
    "PriceList",
    "PromptTable",
    "Rate",
    "Refusal",
    "RequestFlag",
    "Rule",
    "TokenCounter",
    "TokenPrices",
    "choose_provider",
    "find_provider",
    "join_branches",
    "list_providers",
    "relative_cost",
    "run_cache",
    "run_variants",
    "self_hosted",
]
