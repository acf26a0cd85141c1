"""What prompt tokens cost, in money and relative to uncached tokens, and how a change of reads changes a bill.

The bill is the base: under a change each request keeps what was billed, plus the difference of two simulations. What
that makes impossible is clipped, and counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.providers.prices import PriceList
from acg_lab.providers.rules import CacheProvider
from acg_lab.simulation.requests import RecordedRequests
from acg_lab.simulation.tables import CacheRun

__all__ = ["CachedTokens", "CostTotals", "TokenRates", "billed_tokens", "rates_of", "shift_bill", "tokens_of_runs"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class CostTotals(NamedTuple):
    """What the prompts of some requests cost; in US dollars, or relative to the same prompts without a cache.

    Attributes
    ----------
    without_cache, as_was, simulated, limit : float
        Every token at full price; as billed; under the simulated breakpoints and settings; at the limit.
    lost : float
        ``as_was`` less ``limit``.
    avoidable : float
        Sum of what each request could have saved, free of hindsight: an upper bound, request by request.

    Examples
    --------
    >>> import acg_lab as acg
    >>> sim = acg.simulate(acg.load("data/sample", agent_id="support-legacy"))
    >>> totals = sim.totals()
    >>> totals.limit <= totals.as_was <= totals.without_cache
    True
    """

    without_cache: float
    as_was: float
    simulated: float
    limit: float
    lost: float
    avoidable: float


@dataclass(frozen=True, eq=False)
class CachedTokens:
    """Tokens of each request: read, shape (n_requests,), and written by TTL, shape (n_requests, n_ttls)."""

    read: Ints
    written: Ints

    @property
    def total_written(self) -> Ints:
        """Written tokens of each request, whatever their TTL."""
        total: Ints = self.written.sum(axis=1)
        return total


@dataclass(frozen=True, eq=False)
class TokenRates:
    """Cost of one token of each request: uncached and read, shape (n_requests,), and written, (n_requests, n_ttls)."""

    uncached: Floats
    read: Floats
    written: Floats

    def cost(self, prompt: Ints, tokens: CachedTokens) -> Floats:
        """Return the cost of each prompt; NaN where rates are not known."""
        rest = prompt - tokens.read - tokens.total_written
        written: Floats = (tokens.written * self.written).sum(axis=1) if tokens.written.size else np.zeros(len(prompt))
        return rest * self.uncached + tokens.read * self.read + written


def tokens_of_runs(n: int, runs: Sequence[CacheRun], ttls: Sequence[int]) -> CachedTokens:
    """Return what caches read and wrote, for all requests of a history; a hit that is not sure counts by its chance."""
    read, written = np.zeros(n, np.int64), np.zeros((n, len(ttls)), np.int64)
    column = {ttl: i for i, ttl in enumerate(ttls)}
    for run in runs:
        outcome = run.outcome
        read[run.rows] = np.rint(outcome.read_tokens * outcome.chance)
        for i, ttl in enumerate(outcome.ttls):
            written[run.rows, column[ttl]] = outcome.written_tokens[:, i]
    return CachedTokens(read, written)


def billed_tokens(
    requests: RecordedRequests, simulated: CachedTokens, default: Ints, ttls: Sequence[int]
) -> CachedTokens:
    """Return what was billed, and what is simulated where the bill does not say.

    ``default`` is the TTL that each request's writes have unless the bill names another, 0 where none is billed.
    """
    has_read = requests.read >= 0
    read = np.where(has_read, requests.read, simulated.read)
    written = simulated.written.copy()
    known = requests.write >= 0
    silent = has_read & ~known & (default == 0)
    written[known | silent] = 0
    rows = np.flatnonzero(known & (requests.write > 0))
    column = np.searchsorted(np.array(ttls), default[rows]) if ttls else rows
    if len(ttls):
        column = np.minimum(column, len(ttls) - 1)
        long = np.minimum(requests.write_long[rows], requests.write[rows])
        written[rows, column] += requests.write[rows] - long
        longest = np.minimum(np.searchsorted(np.array(ttls), _long_ttl(default[rows])), len(ttls) - 1)
        written[rows, longest] += long
    return CachedTokens(read, written)


def _long_ttl(default: Ints) -> Ints:
    """Return the other TTL of a provider whose default is this one."""
    return np.where(default == 1800, 43_200, 3600)  # noqa: PLR2004 - OpenAI's 30 minutes go with 12 hours


def shift_bill(
    prompt: Ints, billed: CachedTokens, before: CachedTokens, after: CachedTokens
) -> tuple[CachedTokens, NDArray[np.bool_]]:
    """Return billed tokens plus the difference of two simulations, and which requests had to be clipped."""
    read = billed.read + after.read - before.read
    written = billed.written + after.written - before.written
    same = np.all(after.written == before.written, axis=1) & (after.read == before.read)
    clipped_read = np.clip(read, 0, np.maximum(prompt, 0))
    clipped_written = np.maximum(written, 0)
    room = prompt - clipped_read
    excess = np.maximum(clipped_written.sum(axis=1) - np.maximum(room, 0), 0)
    for column in range(written.shape[1] - 1, -1, -1):
        taken = np.minimum(excess, clipped_written[:, column])
        clipped_written[:, column] -= taken
        excess = excess - taken
    clipped = ~same & ((clipped_read != read) | np.any(clipped_written != written, axis=1))
    clipped_read = np.where(same, billed.read, clipped_read)
    clipped_written = np.where(same[:, np.newaxis], billed.written, clipped_written)
    return CachedTokens(clipped_read, clipped_written), clipped


def rates_of(
    requests: RecordedRequests,
    prompt: Ints,
    provider_of: Ints,
    providers: Sequence[CacheProvider],
    ttls: Sequence[int],
    prices: PriceList,
) -> tuple[TokenRates, TokenRates]:
    """Return the rates of each request in money and relative to an uncached token.

    A prompt's tier decides its prices, so each request has rates of its own. Relative rates of models that no rule
    knows follow from their prices.
    """
    n = len(requests)
    whole = np.maximum(prompt, 1)
    nothing, none = np.zeros(n, np.int64), np.zeros((n, len(ttls)), np.int64)
    batch = (requests.flags & 2) != 0

    def price(read: Ints, written: Ints, uncached: Ints) -> Floats:
        names, models = requests.model_names, requests.models
        return prices.price(names, models, requests.started, read, written, ttls, uncached, batch=batch) / whole

    uncached, read = price(nothing, none, whole), price(whole, none, nothing)
    written = np.empty((n, len(ttls)))
    relative_read, relative_written = np.full(n, np.nan), np.full((n, len(ttls)), np.nan)
    for column in range(len(ttls)):
        one = none.copy()
        one[:, column] = whole
        written[:, column] = price(nothing, one, nothing)
    for model, code in {(m, c) for m, c in zip(requests.models.tolist(), provider_of.tolist(), strict=True)}:
        rates = providers[code].multipliers_of(requests.model_names[model]) if code >= 0 else None
        if rates is not None:
            rows = (requests.models == model) & (provider_of == code)
            relative_read[rows] = rates.read
            relative_written[rows] = [rates.write(ttl) for ttl in ttls]
    with np.errstate(invalid="ignore", divide="ignore"):
        relative_read = np.where(np.isnan(relative_read), read / uncached, relative_read)
        ratio = written / uncached[:, np.newaxis]
        relative_written = np.where(np.isnan(relative_written), ratio, relative_written)
    return (
        TokenRates(uncached, read, written),
        TokenRates(np.ones(n), relative_read, relative_written),
    )


def all_ttls(providers: Sequence[CacheProvider], runs: Sequence[CacheRun]) -> tuple[int, ...]:
    """Return every TTL that writes are priced by or were written with, ascending."""
    priced = {ttl for provider in providers for rate in provider.rates for ttl in rate.writes}
    return tuple(sorted(priced | {ttl for run in runs for ttl in run.outcome.ttls}))


def default_ttls(providers: Sequence[CacheProvider], provider_of: Ints) -> Ints:
    """Return the TTL that each request's writes have by default, 0 where writes are not billed."""
    by_provider: list[int] = []
    for provider in providers:
        settings: Mapping[str, object] = provider.settings
        ttl = settings.get("default_ttl", settings.get("write_ttl", 0))
        by_provider.append(ttl if isinstance(ttl, int) else 0)
    return np.array([*by_provider, 0], np.int64)[provider_of]
