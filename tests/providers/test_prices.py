"""Prices by model, time and tier; what no list knows has none."""

from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
import pytest
from providers.histories import SECOND

from acg_lab.core.errors import UsageError
from acg_lab.providers import Multipliers, find_provider
from acg_lab.providers.prices import PriceList, TokenPrices, relative_cost
from acg_lab.providers.token_counts import TokenCounter

NOVEMBER = datetime(2026, 11, 2, 12, tzinfo=UTC)


def find(model, when=NOVEMBER, tokens=0, **more):
    return PriceList().find(model, when, tokens, **more)


def test_reads_and_writes_have_prices_of_their_own():
    """Claude Sonnet 4.5: 3 dollars a million, a tenth for reads, 1.25 and 2 times for writes."""
    assert find("claude-sonnet-4-5") == TokenPrices(3.0, 0.3, {300: 3.75, 1800: 3.75, 3600: 6.0})


@pytest.mark.parametrize(
    "model",
    ["claude-sonnet-4-5-20250929", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "anthropic/claude-sonnet-4.5"],
)
def test_names_of_clouds_and_routers_find_their_model(model):
    """The same model by other names costs the same."""
    assert find(model).input == 3.0


@pytest.mark.parametrize(
    ("model", "start", "below", "above"),
    [
        ("claude-haiku-5-5", 100_000, 0.1, 0.5),
        ("gpt-5.4", 272_000, 2.5, 5.0),
        ("claude-sonnet-4-5", 200_000, 3.0, 6.0),
    ],
)
def test_a_tier_is_that_of_the_whole_prompt(model, start, below, above):
    """One token above the start of a tier, all tokens cost the tier's price."""
    assert (find(model, tokens=start).input, find(model, tokens=start + 1).input) == (below, above)


def test_prices_change_by_date():
    """The long-context tier of Opus 4.6 ended on 2026-03-13; GPT-5.6 got cheaper in August."""
    long = 250_000
    assert find("claude-opus-4-6", datetime(2026, 3, 12, tzinfo=UTC), long).input == 10.0
    assert find("claude-opus-4-6", datetime(2026, 3, 13, tzinfo=UTC), long).input == 5.0
    assert find("gpt-5.6", datetime(2026, 8, 20, tzinfo=UTC)).input == 5.0
    assert find("gpt-5.6", datetime(2026, 8, 21, tzinfo=UTC)).input == 4.0


def test_prices_change_by_hour():
    """DeepSeek costs double from 1 to 4 and from 6 to 10 UTC."""
    at = {hour: find("deepseek-v4-pro", NOVEMBER.replace(hour=hour)).input for hour in (0, 1, 3, 4, 6, 9, 10)}
    assert at == {0: 0.66, 1: 1.32, 3: 1.32, 4: 0.66, 6: 1.32, 9: 1.32, 10: 0.66}


def test_batches_cost_half():
    """The cache discounts stack with it."""
    assert find("claude-sonnet-4-5", batch=True) == TokenPrices(1.5, 0.15, {300: 1.875, 1800: 1.875, 3600: 3.0})


def test_what_the_list_lacks_follows_from_the_rules():
    """A write of 12 hours is in no list: 2.5 times the input price, by OpenAI's multipliers."""
    rates = {"gpt-5.6": find_provider("openai").multipliers_of("gpt-5.6")}
    assert PriceList(multipliers=rates).find("gpt-5.6", NOVEMBER).write(43_200) == 10.0


def test_unknown_models_have_no_price():
    """None rather than a guess; in a column NaN."""
    assert find("our-own-model") is None
    cost = PriceList().price(("our-own-model",), *columns([0], [0], [10], [[0]]))
    assert np.isnan(cost).all()


def columns(model, read, uncached, written, at=NOVEMBER):
    started = np.full(len(model), int(at.timestamp()) * SECOND)
    arrays = [np.array(a, np.int64) for a in (model, started, read, written)]
    return (*arrays, (300,), np.array(uncached, np.int64))


def test_requests_are_priced_together():
    """Each with its own model and tier: 3 + 0.3 * 0.1 + ..., by hand."""
    models = ("claude-sonnet-4-5", "gpt-5.4", "nobody's")
    cost = PriceList().price(
        models, *columns([0, 0, 1, 2], [1000, 0, 0, 5], [10, 250_000, 100, 5], [[200], [0], [0], [0]])
    )
    by_hand = [(1000 * 0.3 + 200 * 3.75 + 10 * 3) / 1e6, 250_000 * 6 / 1e6, 100 * 2.5 / 1e6]
    assert cost[:3].tolist() == pytest.approx(by_hand)
    assert np.isnan(cost[3])


def test_a_price_of_ones_own_goes_first():
    """At any time and in any tier."""
    own = PriceList({"claude-sonnet-4-5": TokenPrices(2.0, 0.1, {300: 2.2})})
    assert own.find("claude-sonnet-4-5", NOVEMBER, 500_000).input == 2.0
    cost = own.price(("claude-sonnet-4-5",), *columns([0], [1000], [10], [[100]]))
    assert cost.tolist() == pytest.approx([(1000 * 0.1 + 100 * 2.2 + 10 * 2.0) / 1e6])


def test_the_list_is_dated():
    """It says which list it is, and of when."""
    assert PriceList().source.startswith(f"genai-prices {version('genai-prices')} (")
    assert "1 prices of your own" in repr(PriceList({"m": TokenPrices(1, 1)}))


def test_a_ttl_of_ones_own_costs_what_the_next_shorter_does():
    """No list prices ten minutes; they cost at least what five do, as money and relative to uncached tokens."""
    prices, nothing, written = PriceList(), np.zeros(1, np.int64), np.array([[10**5, 0], [0, 10**5]])
    started = np.full(2, int(NOVEMBER.timestamp()) * 10**9)
    both = np.repeat(nothing, 2)
    five, ten = prices.price(["claude-sonnet-4-5"], both, started, both, written, (300, 600), both)
    assert five == ten == pytest.approx(0.375)
    assert Multipliers(0.1, {300: 1.25, 3600: 2.0}).write(600) == 1.25
    assert Multipliers(0.5, {}).write(600) == 1.0


def test_a_price_that_is_none_is_refused():
    """Prices of one's own are TokenPrices; anything else is named with its model."""
    with pytest.raises(UsageError, match=r"price of 'our-model' must be a TokenPrices.*got tuple"):
        PriceList(own={"our-model": (1, 2)})


@pytest.mark.parametrize("price", [-1, float("nan"), float("inf"), "3", None, True])
def test_a_negative_price_is_refused(price):
    """Prices are numbers of at least 0, and no NaN."""
    with pytest.raises(UsageError, match=r"TokenPrices\.read must be at least 0"):
        TokenPrices(1.0, price)


def test_relative_cost_needs_no_price():
    """In uncached tokens: a read counts a tenth, a write 1.25, one without a multiplier counts 1."""
    rates = Multipliers(0.1, {300: 1.25})
    cost = relative_cost(np.array([1000]), np.array([[100, 10]]), (300, 60), np.array([7]), rates)
    assert cost.tolist() == [100 + 125 + 10 + 7]


def test_tokens_are_counted_by_the_callers_tokenizer_or_by_bytes():
    """Four bytes a token, within a quarter; a tokenizer is exact unless said otherwise."""
    assert (TokenCounter().count("é" * 10), TokenCounter().basis, TokenCounter().relative_error) == (5, "bytes", 0.25)
    words = TokenCounter(lambda text: len(text.split()), error=0.3)
    assert (words.count("three little words"), words.basis, words.relative_error) == (3, "tokenizer", 0.3)
    assert TokenCounter(len).relative_error == 0.0
    assert TokenCounter().count("\ud800") == 0


@pytest.mark.parametrize("wrong", [None, -1, 1.5, "3"])
def test_a_tokenizer_must_return_a_count(wrong):
    """Anything else is the caller's mistake, said without the text."""
    with pytest.raises(UsageError, match="tokenizer must return a non-negative integer") as caught:
        TokenCounter(lambda _: wrong).count("a secret")
    assert "secret" not in str(caught.value)
