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
from acg_lab.storage._runtime import paused_collector

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

    Examples
    --------
    >>> import numpy as np
    >>> from acg_lab.providers import (
    ...     AUTOMATIC_BY_DEFAULT,
    ...     NO_NODE,
    ...     BreakpointOrigin,
    ...     PieceKind,
    ...     PromptTable,
    ...     find_provider,
    ... )
    >>> n = 2
    >>> table = PromptTable(
    ...     piece_offsets=np.arange(n + 1),
    ...     nodes=np.zeros(n, np.int64),
    ...     ends=np.full(n, 2000),
    ...     margins=np.zeros(n),
    ...     kinds=np.full(n, PieceKind.SYSTEM, np.uint8),
    ...     messages=np.full(n, -1),
    ...     allows_breakpoint=np.ones(n, bool),
    ...     tokens=np.full(n, 2000),
    ...     started=np.array([0, 10]) * 10**9,
    ...     first_token=np.array([1, 11]) * 10**9,
    ...     ended=np.array([2, 12]) * 10**9,
    ...     models=np.zeros(n, np.int64),
    ...     model_names=("claude-sonnet-4-5",),
    ...     breakpoint_offsets=np.arange(n + 1),
    ...     breakpoint_pieces=np.arange(n),
    ...     breakpoint_ttls=np.zeros(n, np.int64),
    ...     breakpoint_origins=np.full(n, BreakpointOrigin.OWN, np.uint8),
    ...     automatic_ttls=np.full(n, AUTOMATIC_BY_DEFAULT),
    ...     flags=np.zeros(n, np.uint8),
    ...     answers=np.full(n, NO_NODE),
    ... )
    >>> run_cache(table, find_provider("anthropic")).read_tokens
    array([   0, 2000])
    """
    with paused_collector():  # it would go through all entries, again and again as they become more
        return _MODELS[provider.matching](table, provider.settings, find_minimums(table, provider))


def run_variants(table: PromptTable, provider: CacheProvider) -> Iterator[tuple[str, SettingValue, CacheOutcome]]:
    """Yield what the cache does under each alternative of each unsettled rule.

    One switch is turned at a time; the outcomes, with that of `run_cache`, span what can be known.

    Parameters
    ----------
    table : PromptTable
        As for `run_cache`.
    provider : CacheProvider

    Yields
    ------
    setting, value, outcome : str, value of the setting, CacheOutcome

    Examples
    --------
    Two equal requests, 330 seconds apart. Entries live for 300; whether sometimes for longer, nobody promises:

    >>> import numpy as np
    >>> from acg_lab.providers import (
    ...     AUTOMATIC_BY_DEFAULT,
    ...     NO_NODE,
    ...     BreakpointOrigin,
    ...     PieceKind,
    ...     PromptTable,
    ...     find_provider,
    ... )
    >>> n = 2
    >>> table = PromptTable(
    ...     piece_offsets=np.arange(n + 1),
    ...     nodes=np.zeros(n, np.int64),
    ...     ends=np.full(n, 2000),
    ...     margins=np.zeros(n),
    ...     kinds=np.full(n, PieceKind.SYSTEM, np.uint8),
    ...     messages=np.full(n, -1),
    ...     allows_breakpoint=np.ones(n, bool),
    ...     tokens=np.full(n, 2000),
    ...     started=np.array([0, 330]) * 10**9,
    ...     first_token=np.array([1, 331]) * 10**9,
    ...     ended=np.array([2, 332]) * 10**9,
    ...     models=np.zeros(n, np.int64),
    ...     model_names=("claude-sonnet-4-5",),
    ...     breakpoint_offsets=np.arange(n + 1),
    ...     breakpoint_pieces=np.arange(n),
    ...     breakpoint_ttls=np.zeros(n, np.int64),
    ...     breakpoint_origins=np.full(n, BreakpointOrigin.OWN, np.uint8),
    ...     automatic_ttls=np.full(n, AUTOMATIC_BY_DEFAULT),
    ...     flags=np.zeros(n, np.uint8),
    ...     answers=np.full(n, NO_NODE),
    ... )
    >>> for setting, value, outcome in run_variants(table, find_provider("anthropic")):
    ...     print(setting, value, outcome.read_tokens)
    minimums smallest [0 0]
    minimums largest [0 0]
    grace 120 [   0 2000]
    missing_time start [0 0]
    renews hit [0 0]
    ttl_in_key True [0 0]
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
