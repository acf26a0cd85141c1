"""What prompt tokens cost: the offline price list of genai-prices, the caller's own prices, and relative cost without.

Prices are those of the request's time and of the tier that its whole prompt falls in. A model that no list knows has no
price: its cost is NaN, never a guess. Regional surcharges and negotiated discounts are the caller's to add.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.errors import UsageError
from acg_lab.core.plain_numbers import plain_number
from acg_lab.providers.clock import NANOSECONDS
from acg_lab.providers.prompts import Ints
from acg_lab.providers.rules import Multipliers, canonical_model, nearest_ttl

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

__all__ = ["PriceList", "TokenPrices", "relative_cost"]

Floats = NDArray[np.float64]

_HOUR: Final = 3600 * NANOSECONDS
_MILLION: Final = 1e6
_LIST_DATES: Final[Mapping[str, str]] = {"0.2.3": "2026-11"}  # a list holds no date of its own
# Which field of the list prices a write that lives so long; the first that the list has. Others follow from the rules.
_WRITE_FIELDS: Final[Mapping[int, tuple[str, ...]]] = {
    300: ("cache_write_5m_mtok", "cache_write_mtok"),
    1800: ("cache_write_mtok",),
    3600: ("cache_write_1h_mtok",),
}


@dataclass(frozen=True)
class TokenPrices:
    """Prices of one model in US dollars per million prompt tokens.

    Parameters
    ----------
    input, read : float
        Of an uncached token and of one read from the cache.
    writes : mapping, optional
        From TTL in seconds to the price of a token written for so long; a TTL that is absent costs the input price.

    Raises
    ------
    UsageError
        If a price is negative, infinite or not a number.

    Examples
    --------
    >>> TokenPrices(input=3.0, read=0.3, writes={300: 3.75}).read
    0.3
    """

    input: float
    read: float
    writes: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what can't be a price."""
        for name, price in (("input", self.input), ("read", self.read), *(("writes", p) for p in self.writes.values())):
            number = plain_number(price)
            if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < math.inf:
                msg = f"TokenPrices.{name} must be at least 0, in dollars per million tokens; got {price!r}"
                raise UsageError(msg)

    def write(self, ttl: int) -> float:
        """Return the price of a token written for a TTL in seconds."""
        return self.writes.get(ttl, self.input)


class PriceList:
    """Prices by model and time.

    Parameters
    ----------
    own : mapping, optional
        Prices of your own by model name, in place of the list's, at any time and in any tier.
    multipliers : mapping, optional
        By model name: what cached tokens cost relative to uncached ones (`CacheProvider.multipliers_of`), for what the
        list does not price, such as writes that live 12 hours.

    Examples
    --------
    >>> prices = PriceList(own={"our-model": TokenPrices(2.0, 0.2, {300: 2.5})})
    >>> prices.find("our-model", datetime(2026, 11, 1, tzinfo=UTC)).read
    0.2
    """

    def __init__(
        self, own: Mapping[str, TokenPrices] | None = None, multipliers: Mapping[str, Multipliers] | None = None
    ) -> None:
        self._own = dict(own or {})
        for model, price in self._own.items():
            if not isinstance(price, TokenPrices):
                msg = f"The price of {model!r} must be a TokenPrices(input, read, writes); got {type(price).__name__}"
                raise UsageError(msg)
        self._multipliers = dict(multipliers or {})

    @property
    def source(self) -> str:
        """Which list this is, and of when."""
        listed = version("genai-prices")
        return f"genai-prices {listed} ({_LIST_DATES.get(listed, 'date not known')})"

    def find(
        self,
        model: str,
        when: datetime,
        prompt_tokens: int = 0,
        *,
        batch: bool = False,
        service_tier: str | None = None,
    ) -> TokenPrices | None:
        """Return the prices of one request, or None for a model that no list knows.

        Parameters
        ----------
        model : str
        when : datetime
            Of the request, with its time zone: prices change by date and, for some models, by hour.
        prompt_tokens : int, default 0
            The whole prompt; a tier's prices hold for all tokens of a prompt that is longer than the tier's start.
        batch : bool, default False
            Sent in a batch. A model that the list has no batch price of costs the standard one.
        service_tier : str, optional
            ``"flex"``, ``"priority"``, ``"fast"``.
        """
        if model in self._own:
            return self._own[model]
        row = self._rows(model, int(when.timestamp()) // 3600, batch=batch, service_tier=service_tier)
        if row is None:
            return None
        at = int(np.searchsorted(row.starts, prompt_tokens))
        writes = {ttl: float(prices[at]) for ttl, prices in row.writes.items()}
        return TokenPrices(float(row.input[at]), float(row.read[at]), writes)

    def price(
        self,
        models: Sequence[str],
        model: Ints,
        started: Ints,
        read: Ints,
        written: Ints,
        ttls: Sequence[int],
        uncached: Ints,
        *,
        batch: NDArray[np.bool_] | None = None,
        service_tier: str | None = None,
    ) -> Floats:
        """Return what the prompt of each request costs, in US dollars.

        Parameters
        ----------
        models : sequence of str
        model : (n_requests,)
            Index into ``models``.
        started : (n_requests,)
            Nanoseconds since 1970, UTC.
        read, uncached : (n_requests,)
            Tokens. The prompt is what was read, written, and neither.
        written : (n_requests, n_ttls)
            Tokens by TTL.
        ttls : (n_ttls,)
            In seconds.
        batch : (n_requests,), optional
            Which requests were sent in a batch.
        service_tier : str, optional
            Of all requests; as in `find`.

        Returns
        -------
        ndarray of float, (n_requests,)
            NaN for models without a price.
        """
        prompt = read + written.sum(axis=1) + uncached
        batches = np.zeros(len(read), bool) if batch is None else batch
        cost = np.full(len(read), np.nan)
        hours = started // _HOUR
        keys, group = np.unique(np.stack((model, hours, batches)), axis=1, return_inverse=True)
        members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group.reshape(-1)))[:-1])
        for (at, hour, batched), rows in zip(keys.T.tolist(), members, strict=True):
            found = self._rows(models[at], hour, batch=bool(batched), service_tier=service_tier)
            if found is None:
                continue
            tier = np.searchsorted(found.starts, prompt[rows])
            total = uncached[rows] * found.input[tier] + read[rows] * found.read[tier]
            for column, ttl in enumerate(ttls):
                total += written[rows, column] * found.write(ttl)[tier]
            cost[rows] = total / _MILLION
        return cost

    def _rows(self, model: str, hour: int, *, batch: bool, service_tier: str | None) -> "_Tiers | None":
        own = self._own.get(model)
        if own is not None:
            writes = {ttl: np.array([price]) for ttl, price in own.writes.items()}
            return _Tiers(np.array([]), np.array([own.input]), np.array([own.read]), writes, is_whole=True)
        listed = _listed(model, hour, batch, service_tier)
        if listed is None:
            return None
        return listed.completed(self._multipliers.get(model))

    def __repr__(self) -> str:
        return f"<PriceList: {self.source}; {len(self._own)} prices of your own>"


@dataclass(frozen=True, eq=False)
class _Tiers:
    """Prices by tier: entry k holds for prompts longer than ``starts[k - 1]``."""

    starts: Floats
    input: Floats
    read: Floats
    writes: Mapping[int, Floats]
    is_whole: bool = False  # a TTL that is not among the writes costs nothing extra

    def write(self, ttl: int) -> Floats:
        """Return the price of a token written for a TTL: at least what the next shorter one costs."""
        return self.writes.get(ttl if self.is_whole else nearest_ttl(ttl, self.writes), self.input)

    def completed(self, multipliers: Multipliers | None) -> "_Tiers":
        """Return the prices with those that only the rules know."""
        if multipliers is None:
            return self
        missing = {ttl: self.input * m for ttl, m in multipliers.writes.items() if ttl not in self.writes}
        return _Tiers(self.starts, self.input, self.read, {**self.writes, **missing})


def relative_cost(read: Ints, written: Ints, ttls: Sequence[int], uncached: Ints, multipliers: Multipliers) -> Floats:
    """Return the cost of prompts in uncached tokens: what models without a price are compared by.

    Parameters
    ----------
    read, uncached : (n_requests,)
        Tokens.
    written : (n_requests, n_ttls)
        Tokens by TTL.
    ttls : (n_ttls,)
        In seconds.
    multipliers : Multipliers

    Returns
    -------
    (n_requests,) float
        Uncached tokens that cost the same.

    Examples
    --------
    >>> rates = Multipliers(0.1, {300: 1.25})
    >>> relative_cost(np.array([1000]), np.array([[100]]), (300,), np.array([10]), rates)
    array([235.])
    """
    weights = np.array([multipliers.write(ttl) for ttl in ttls], np.float64)
    return np.asarray(read * multipliers.read + written @ weights + uncached, np.float64)


@cache
def _listed(model: str, hour: int, batch: bool, service_tier: str | None) -> _Tiers | None:  # noqa: FBT001
    """Return the list's prices of a model in one hour (since 1970); lists change prices on whole hours."""
    info = _find_model(model)
    if info is None:
        return None
    context = ({"processing": "batch"} if batch else {}) | ({"service_tier": service_tier} if service_tier else {})
    return _tiers_of(info.get_prices(datetime.fromtimestamp(hour * 3600, UTC), context or None))


@cache
def _find_model(model: str) -> "ModelInfo | None":
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - a list of 30,000 lines, loaded when asked for

    # The clouds spell names in their own way; the list finds most models by the vendor's.
    for name in dict.fromkeys((model, canonical_model(model), canonical_model(model).partition(":")[0])):
        try:
            return get_snapshot().find_provider_model(name, None, None, None)[1]
        except LookupError:
            continue
    return None


def _tiers_of(prices: "ModelPrice") -> _Tiers | None:
    stated = {key: value for key, value in vars(prices).items() if value is not None}
    if "input_mtok" not in stated:
        return None
    starts = sorted({tier.start for value in stated.values() for tier in getattr(value, "tiers", ())})

    def by_tier(value: Any) -> Floats:
        prices = [(0, getattr(value, "base", value)), *((t.start, t.price) for t in getattr(value, "tiers", ()))]
        return np.array([float(max(p for p in prices if p[0] <= start)[1]) for start in (0, *starts)])

    full = by_tier(stated["input_mtok"])
    writes = {
        ttl: by_tier(stated[key])
        for ttl, keys in _WRITE_FIELDS.items()
        if (key := next((k for k in keys if k in stated), None)) is not None
    }
    read = by_tier(stated["cache_read_mtok"]) if "cache_read_mtok" in stated else full
    return _Tiers(np.array(starts, np.float64), full, read, writes)
