"""Speed of the matching models: on a scope of tau_airline's size, on a fleet, and beside an independent replay."""

from functools import partial
from time import perf_counter

import pytest
from benchmarks.measuring import best_in_turns, interleaved, tell
from providers.fleet import make_scope
from providers.histories import Prompt, block, make_table
from providers.independent import _Minimum, make_lane
from tokenbill.core.cache_rules import RulesTable
from tokenbill.sim.block_replay import _build, _simulate

from acg_lab.providers import find_provider, run_cache

TAU_AIRLINE = 2454  # requests, of about 60 pieces


@pytest.mark.parametrize("name", ["anthropic", "openai", "openai-prefix", "deepseek", "vllm"])
def test_a_scope_of_tau_airlines_size(benchmark, name):
    """2,454 requests of 62 pieces run through each kind of cache in a tenth of a second."""
    table, provider = make_scope(TAU_AIRLINE), find_provider(name)
    benchmark.pedantic(run_cache, (table, provider), rounds=7, warmup_rounds=1)
    tell(benchmark, pieces=len(table.nodes), milliseconds=1000 * benchmark.stats.stats.min)
    if name == "anthropic":
        assert benchmark.stats.stats.min <= 0.1


@pytest.mark.parametrize("name", ["anthropic", "openai", "openai-prefix", "deepseek"])
def test_time_grows_linearly(benchmark, name):
    """Four times the requests take less than six times as long."""
    provider = find_provider(name)
    works = [partial(run_cache, make_scope(n), provider) for n in (4000, 8000, 16_000)]
    one, two, four = best_in_turns(benchmark, works, 5)
    tell(benchmark, twofold=two / one, fourfold=four / one)
    assert four / one < 6


def test_a_million_requests_of_a_fleet(benchmark):
    """1,000,000 requests of 2,000 scopes take less than a minute; scopes are one table each, made and dropped."""
    provider = find_provider("anthropic")

    def run():
        spent, read = 0.0, 0
        for scope in range(2000):
            table = make_scope(500, seed=scope)
            started = perf_counter()
            read += int(run_cache(table, provider).read_tokens.sum())
            spent += perf_counter() - started
        return spent, read

    spent, read = benchmark.pedantic(run, rounds=1)
    tell(benchmark, seconds=spent, tokens_read=read)
    assert read > 0
    assert spent < 60


@pytest.mark.parametrize(("conversations", "turns", "at_least"), [(15, 20, 6), (120, 20, 8), (15, 80, 10)])
def test_beside_an_independent_replay(benchmark, conversations, turns, at_least):
    """Faster than tokenbill 0.2.0 on the same growing conversations, the more so the more and the longer they are.

    Both start from pieces: their sizes, hashes, times and breakpoints. Ours says for each request what was read and
    written, why, and what was in doubt; theirs what was read and written. On a quiet machine ours took an eighth of
    its time with 15 conversations of 20 turns, a twelfth with 120, and a nineteenth with 80 turns.
    """
    prompts = []
    for conversation in range(conversations):
        pieces = [block(f"system {k}", 500, message=-1) for k in range(20)]
        for turn in range(turns):
            pieces += [block(f"{conversation} {turn} {k}", 100, message=turn) for k in range(4)]
            at = 40.0 * conversation + 2.0 * turn
            prompts.append(Prompt(tuple(pieces), at, {19: 0, len(pieces) - 1: 0}, first_token=1.0))
    prompts.sort(key=lambda prompt: prompt.at)
    table, provider, lane = make_table(prompts), find_provider("anthropic"), make_lane(prompts)

    def replay():
        chains = _build([lane], pricer=_Minimum(1024), rules=RulesTable())
        return _simulate(chains).preds

    ours, theirs = run_cache(table, provider), replay()
    assert ours.read_tokens.tolist() == [theirs[f"lane/{i}"].r for i in range(len(prompts))]
    times = interleaved(benchmark, lambda: run_cache(table, provider), replay, 21)
    ratio = min(times) / benchmark.stats.stats.min
    tell(benchmark, ratio=ratio, at_least=at_least)
    assert ratio >= at_least
