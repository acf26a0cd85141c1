"""Run the requests of one scope through a provider's cache, by the matching model that its rules are written for."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

import numpy as np

from acg_lab.providers.block_cache import simulate_blocks
from acg_lab.providers.breakpoint_cache import simulate_boundaries, simulate_breakpoints
from acg_lab.providers.clock import NANOSECONDS
from acg_lab.providers.lookups import Settings
from acg_lab.providers.outcomes import CacheOutcome
from acg_lab.providers.prompts import Ints, PromptTable
from acg_lab.providers.rules import CacheProvider, Matching, SettingValue
from acg_lab.providers.unit_cache import simulate_units

__all__ = ["find_minimums", "run_cache", "run_variants"]

_MODELS: Final[dict[Matching, Callable[[PromptTable, Settings, Ints], CacheOutcome]]] = {
    "breakpoint": simulate_breakpoints,
    "boundary": simulate_boundaries,
    "unit": simulate_units,
    "block": simulate_blocks,
}
_DAY: Final = 86_400 * NANOSECONDS


def run_cache(table: PromptTable, provider: CacheProvider) -> CacheOutcome:
    """Return what a provider's cache does with each request of a table.

    Parameters
    ----------
    table : PromptTable
        One cache scope: requests that may read each other's entries. Read, never changed.
    provider : CacheProvider

    Returns
    -------
    CacheOutcome
        Rows in the order of the table.
    """
    return _MODELS[provider.matching](table, provider.settings, find_minimums(table, provider))


def run_variants(table: PromptTable, provider: CacheProvider) -> Iterator[tuple[str, SettingValue, CacheOutcome]]:
    """Yield what the cache does under each alternative of each unsettled rule: setting, value, outcome.

    One switch is turned at a time; the outcomes, with that of `run_cache`, span what can be known.
    """
    for setting, value, variant in provider.variants():
        yield setting, value, run_cache(table, variant)


def find_minimums(table: PromptTable, provider: CacheProvider) -> Ints:
    """Return the shortest prefix that each request's model cached on its day, in tokens."""
    days = table.started // _DAY
    keys, which = np.unique(days * len(table.model_names) + table.models, return_inverse=True)
    minimums = [
        provider.minimum_of(table.model_names[model], datetime.fromtimestamp(day * 86_400, UTC).date())
        for day, model in (divmod(key, len(table.model_names)) for key in keys.tolist())
    ]
    found: Ints = np.array(minimums, np.int64)[which.reshape(-1)]
    return found
