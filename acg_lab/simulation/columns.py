"""A history simulated: tokens and costs as they were, under a change, at the limit; parts on demand."""

from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from acg_lab.providers.clock import NANOSECONDS
from acg_lab.providers.matching import find_minimums
from acg_lab.providers.outcomes import Refusal
from acg_lab.providers.prices import PriceList
from acg_lab.simulation.costs import (
    CachedTokens,
    TokenRates,
    all_ttls,
    billed_tokens,
    default_ttls,
    rates_of,
    shift_bill,
    tokens_of_runs,
)
from acg_lab.simulation.history import GovernorSettings, PreparedHistory
from acg_lab.simulation.limit import find_limit
from acg_lab.simulation.parts import SharedPrefixes, TokenParts, divide_prompts, find_shared
from acg_lab.simulation.requests import RecordedRequests
from acg_lab.simulation.sizes import Sizes
from acg_lab.simulation.tables import CacheRun

if TYPE_CHECKING:
    from acg_lab.simulation.plans import Plans

__all__ = ["SimulatedHistory"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_LIMIT: Final = "limit"


class SimulatedHistory:
    """Columns of one simulation over a whole history; `CacheSimulation` shows some of its rows."""

    def __init__(
        self,
        history: PreparedHistory,
        sizes: Sizes,
        before: list[CacheRun],
        after: "list[CacheRun] | None",
        settings: GovernorSettings,
        config: GovernorSettings,
        prices: PriceList,
        *,
        refused: int = 0,
        acts: bool = False,
    ) -> None:
        self.history, self.sizes = history, sizes
        self._parts_of_trace = history.parts  # the history holds them only for as long as something else does
        self.before, self.after = before, before if after is None else after
        self.is_limit, self.settings, self.config = after is None, settings, config
        self.price_list, self.refused, self.acts = prices, refused, acts
        self.ttls = all_ttls(history.providers, [*before, *self.after])

    @property
    def requests(self) -> RecordedRequests:
        """What was recorded."""
        return self.history.requests

    @property
    def prompt(self) -> Ints:
        """Tokens of each whole prompt; 0 for a failed request, which is not billed."""
        return self.sizes.tokens

    @cached_property
    def counted(self) -> NDArray[np.bool_]:
        """Which requests count in costs and shares: those that were answered."""
        return ~self.requests.failed

    @cached_property
    def billed_mask(self) -> NDArray[np.bool_]:
        """Which requests have recorded usage: the whole prompt and what was read of it."""
        return (self.requests.prompt >= 0) & (self.requests.read >= 0)

    @cached_property
    def refusals(self) -> NDArray[np.uint8]:
        """Why the provider refuses each request as it is simulated: a `Refusal`; `NONE` of those that failed."""
        found = np.zeros(len(self.requests), np.uint8)
        for run in self.after:
            found[run.rows] = run.outcome.refusals
        found[self.requests.failed] = int(Refusal.NONE)
        return found

    @property
    def is_change(self) -> bool:
        """Whether something else was simulated than what was recorded, and than its limit."""
        return self.after is not self.before

    # --- tokens ---

    @cached_property
    def simulated_before(self) -> CachedTokens:
        """What the rules read and write in the history as it was."""
        return tokens_of_runs(len(self.requests), self.before, self.ttls)

    @cached_property
    def simulated(self) -> CachedTokens:
        """What the rules read and write under the change."""
        if self.is_limit:
            return self.limit
        return self._after() if self.is_change else self.simulated_before

    def _after(self) -> CachedTokens:
        return tokens_of_runs(len(self.requests), self.after, self.ttls)

    @cached_property
    def limit(self) -> CachedTokens:
        """What the rules read and write at the limit."""
        n = len(self.requests)
        read, written = np.zeros(n, np.int64), np.zeros((n, len(self.ttls)), np.int64)
        for run in self.before:
            found = find_limit(run.table, run.provider)
            read[run.rows] = found.read
            for ttl, tokens in found.written.items():
                written[run.rows, self.ttls.index(ttl)] = tokens
        return CachedTokens(read, written)

    @cached_property
    def as_was(self) -> CachedTokens:
        """What was billed; simulated where the bill does not say."""
        default = default_ttls(self.history.providers, self.history.provider_of)
        return billed_tokens(self.requests, self.simulated_before, default, self.ttls)

    @cached_property
    def _shifted(self) -> tuple[CachedTokens, NDArray[np.bool_]]:
        return shift_bill(self.prompt, self.as_was, self.simulated_before, self.simulated)

    @property
    def tokens(self) -> CachedTokens:
        """What would be billed under the change."""
        return self._shifted[0]

    @property
    def clipped(self) -> NDArray[np.bool_]:
        """Which requests could not take the whole difference."""
        return self._shifted[1]

    @cached_property
    def at_limit(self) -> CachedTokens:
        """What would be billed at the limit."""
        return shift_bill(self.prompt, self.as_was, self.simulated_before, self.limit)[0]

    # --- costs ---

    @cached_property
    def rates(self) -> tuple[TokenRates, TokenRates]:
        """Rates in money and relative to an uncached token."""
        history = self.history
        return rates_of(self.requests, self.prompt, history.provider_of, history.providers, self.ttls, self.price_list)

    def cost(self, tokens: "CachedTokens | None", *, money: bool) -> Floats:
        """Return the cost of each request's prompt; without a cache if ``tokens`` is None."""
        if tokens is None:
            none = np.zeros((len(self.prompt), len(self.ttls)), np.int64)
            tokens = CachedTokens(np.zeros_like(self.prompt), none)
        return np.where(self.counted, self.rates[0 if money else 1].cost(self.prompt, tokens), 0.0)

    # --- where tokens went, and why ---

    @cached_property
    def shared(self) -> SharedPrefixes:
        """What each request shares with earlier ones."""
        return find_shared(self.requests, self.sizes)

    @cached_property
    def minimums(self) -> Ints:
        """The shortest prefix that each request's cache keeps."""
        found = np.zeros(len(self.requests), np.int64)
        for run in self.before:
            found[run.rows] = find_minimums(run.table, run.provider)
        return found

    @cached_property
    def lifetimes(self) -> Ints:
        """Seconds that an entry of each request's cache lives by default, 0 for no limit."""
        by_provider = []
        for provider in self.history.providers:
            settings = provider.settings
            ttl = settings.get("default_ttl", settings.get("ttl", 0))
            by_provider.append(ttl if isinstance(ttl, int) else 0)
        found = np.array([*by_provider, 300], np.int64)[self.history.provider_of]
        # A longer TTL that the request asks for itself.
        longest = (
            np.maximum.reduceat(
                np.append(self.requests.own_breakpoints, -1),
                np.minimum(self.requests.piece_offsets[:-1], len(self.requests.own_breakpoints)),
            )
            if len(self.requests)
            else found
        )
        asked = np.where(np.diff(self.requests.piece_offsets) > 0, longest, -1)
        return np.maximum(found, np.maximum(asked, np.maximum(self.requests.automatic_ttls, 0)))

    @cached_property
    def grains(self) -> Ints:
        """What shared tokens of each request's cache are rounded down to a multiple of."""
        by_provider = []
        for provider in self.history.providers:
            step = provider.settings.get("step_tokens", 1) if provider.matching in ("block", "unit") else 1
            by_provider.append(max(step, 1) if isinstance(step, int) else 1)
        return np.array([*by_provider, 1], np.int64)[self.history.provider_of]

    @cached_property
    def inside(self) -> Ints:
        """Tokens that prompts share inside a piece, behind the last piece that they share whole; for block caches."""
        found = np.zeros(len(self.requests), np.int64)
        for run in self.before:
            if run.parts.branches is not None:
                found[run.rows] = _shared_inside(run, self.shared)
        return found

    @cached_property
    def parts(self) -> TokenParts:
        """Where each prompt token went."""
        return divide_prompts(
            self.requests,
            self.sizes,
            self.shared,
            self.tokens.read,
            self.lifetimes,
            self.minimums,
            self.inside,
            self.grains,
        )

    @cached_property
    def plans(self) -> "Plans | None":
        """What the governor planned, where it acts."""
        return self.history.plans(self.settings) if self.acts else None

    @cached_property
    def waits(self) -> Floats:
        """Seconds since the reference was sent, NaN without one."""
        references, started = self.shared.references, self.requests.started
        waited = (started - np.append(started, 0)[references]) / NANOSECONDS
        return np.where(references >= 0, waited, np.nan)


def _shared_inside(run: CacheRun, shared: SharedPrefixes) -> Ints:
    """Return how many tokens of its first piece that is not shared each request shares with an earlier sibling."""
    table, branches = run.table, run.parts.branches
    n, lengths = len(run.rows), shared.lengths[run.rows]
    found = np.zeros(n, np.int64)
    if branches is None:
        return found
    goes_on = lengths < np.diff(table.piece_offsets)
    at = np.where(goes_on, table.piece_offsets[:-1] + lengths, 0)
    nodes = table.nodes[at]
    inner_begin, inner_end = branches.offsets[nodes], branches.offsets[nodes + 1]
    seen: set[int] = set()
    owner = np.repeat(np.arange(n), np.diff(table.piece_offsets))
    is_new = np.zeros(len(table.nodes), bool)
    _, first = np.unique(table.nodes, return_index=True)
    is_new[first] = True
    new_of: dict[int, list[int]] = {}
    for piece in np.flatnonzero(is_new & (np.diff(branches.offsets)[table.nodes] > 0)).tolist():
        new_of.setdefault(int(owner[piece]), []).append(int(table.nodes[piece]))
    bounds, inner = branches.offsets.tolist(), branches.nodes.tolist()
    for i in range(n):
        if goes_on[i]:
            known = [k for k in range(int(inner_begin[i]), int(inner_end[i])) if inner[k] in seen]
            if known:
                start = int(table.ends[at[i] - 1]) if lengths[i] else 0
                found[i] = int((int(table.ends[at[i]]) - start) * branches.shares[known[-1]])
        for node in new_of.get(i, ()):
            seen.update(inner[bounds[node] : bounds[node + 1]])
    return found
