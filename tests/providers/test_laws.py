"""What holds for every history and every kind of cache."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from providers.generate import draw_prompts
from providers.histories import make_table

from acg_lab.providers import NO_TIME, NOTHING, Evidence, LookupReason, Minimum, find_provider, run_cache
from acg_lab.providers.engines import self_hosted

SMALL = (Minimum(model="", tokens=12, evidence=Evidence.INFERRED, source="test"),)
CACHES = {
    "breakpoint": replace(find_provider("anthropic"), minimums=SMALL),
    "boundary": replace(find_provider("openai"), minimums=SMALL),
    "unit": replace(find_provider("deepseek").with_settings(step_tokens=4), minimums=SMALL),
    "block": replace(find_provider("moonshot").with_settings(step_tokens=4), minimums=SMALL),
    "evicting": self_hosted(4, capacity_blocks=12),
}
each_cache = pytest.mark.parametrize("provider", CACHES.values(), ids=CACHES)
histories = st.integers(0, 2**32 - 1).map(lambda seed: draw_prompts(np.random.default_rng(seed), deep=seed % 3 == 0))


@each_cache
@given(prompts=histories)
def test_parts_add_up(provider, prompts):
    """What is read and written is at most the prompt; each write stands in its column; a hit names piece and lookup."""
    table = make_table(prompts, branches=True)
    outcome = run_cache(table, provider)
    written = outcome.written_tokens.sum(axis=1)
    assert (outcome.read_tokens >= 0).all()
    assert (outcome.read_tokens + written <= table.tokens).all()
    owner = np.repeat(np.arange(table.n_requests), np.diff(outcome.write_offsets))
    assert np.array_equal(np.bincount(owner, outcome.write_tokens, table.n_requests).astype(int), written)
    assert (outcome.write_tokens > 0).all()
    assert np.array_equal(outcome.read_tokens > 0, outcome.read_pieces != NOTHING)
    assert not (outcome.read_tokens + written)[outcome.refusals > 0].any()
    looked_up = np.repeat(np.arange(table.n_requests), np.diff(outcome.lookup_offsets))
    hits = np.bincount(looked_up[outcome.lookup_reasons == LookupReason.HIT], minlength=table.n_requests)
    assert (hits[outcome.read_tokens > 0] > 0).all()


@each_cache
@given(prompts=histories, days=st.integers(0, 20))
def test_a_shift_of_time_changes_nothing(provider, prompts, days):
    """With rules pinned, the same history some days later reads and writes the same."""
    table = make_table(prompts, branches=True)
    later = {
        name: np.where(getattr(table, name) == NO_TIME, NO_TIME, getattr(table, name) + days * 86_400 * 10**9)
        for name in ("started", "first_token", "ended")
    }
    before, after = run_cache(table, provider), run_cache(replace(table, **later), provider)
    assert np.array_equal(before.read_tokens, after.read_tokens)
    assert np.array_equal(before.written_tokens, after.written_tokens)
    assert np.array_equal(before.lookup_reasons, after.lookup_reasons)


@each_cache
@given(prompts=histories)
def test_the_future_is_not_known(provider, prompts):
    """The first requests of a history fare as they do without the rest."""
    table = make_table(prompts, branches=True)
    part = np.arange(table.n_requests // 2)
    whole, first = run_cache(table, provider), run_cache(table.select(part), provider)
    assert np.array_equal(whole.read_tokens[part], first.read_tokens)


@pytest.mark.parametrize("name", ["unit", "block"])
@given(prompts=histories)
def test_a_longer_ttl_never_costs_reads_of_prefixes(name, prompts):
    """Caches of prefixes that keep entries for longer read at least as much, request by request."""
    table = make_table(prompts, branches=True)
    short, long = (run_cache(table, CACHES[name].with_settings(ttl=ttl)).read_tokens for ttl in (60, 600))
    assert (long >= short).all()
