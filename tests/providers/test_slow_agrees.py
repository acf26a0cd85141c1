"""The matching models agree with slow, literal readings of the rules on generated histories."""

import os
from dataclasses import replace

import numpy as np
import pytest
from providers import slow
from providers.generate import draw_prompts
from providers.histories import make_table

from acg_lab.providers import Evidence, Minimum, find_provider, run_cache
from acg_lab.providers.engines import self_hosted

# 2,000 in full; fewer when the tests are run for a quick answer.
HISTORIES = int(os.environ.get("ACG_LAB_HISTORIES", "200"))
MINIMUM = 12


def _small(name, **settings):
    minimum = Minimum(model="", tokens=MINIMUM, evidence=Evidence.INFERRED, source="test")
    return replace(find_provider(name).with_settings(**settings), minimums=(minimum,))


def _written(outcome, i):
    rows = slice(outcome.write_offsets[i], outcome.write_offsets[i + 1])
    return list(zip(outcome.write_ttls[rows].tolist(), outcome.write_tokens[rows].tolist(), strict=True))


def _assert_equal(outcome, results, seed):
    for i, result in enumerate(results):
        assert outcome.read_tokens[i] == result.read, (seed, i)
        assert bool(outcome.refusals[i]) == result.refused, (seed, i)
        assert _written(outcome, i) == result.writes, (seed, i)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"renews": "hit", "missing_time": "start"},
        {"ttl_in_key": True, "grace": 10},
        {"tool_runs_are_one_position": False, "automatic_mode": False, "server_tool_breakpoints": False},
    ],
    ids=["default", "renews hit only", "TTL in the key", "Bedrock's way"],
)
def test_breakpoint_caches_agree(settings):
    """Reads, writes by TTL and refusals are those of the literal reading, under every switch."""
    provider = _small("anthropic", **settings)
    for seed in range(HISTORIES // 2):
        rng = np.random.default_rng(seed)
        provider = provider.with_settings(lookback=int(rng.choice((3, 5, 20))))
        prompts = draw_prompts(rng)
        results = slow.run_breakpoints(prompts, provider.settings, MINIMUM)
        _assert_equal(run_cache(make_table(prompts), provider), results, seed)


@pytest.mark.parametrize("settings", [{}, {"visible_at": "first_token", "renews": "hit"}, {"ttl_in_key": True}])
def test_boundary_caches_agree(settings):
    """So it is for OpenAI's boundaries, with few of them looked up."""
    for seed in range(HISTORIES):
        rng = np.random.default_rng(seed)
        few = {"first_explicit": int(rng.integers(1, 3)), "latest_explicit": int(rng.integers(4, 7))}
        provider = _small("openai", **settings, **few, earlier_messages=int(rng.integers(0, 4)))
        prompts = draw_prompts(rng, many_breakpoints=True)
        results = slow.run_boundaries(prompts, provider.settings, MINIMUM)
        _assert_equal(run_cache(make_table(prompts), provider), results, seed)


def test_block_caches_agree():
    """So it is for block prefixes of any grain, which share parts of pieces too."""
    for seed in range(HISTORIES):
        rng = np.random.default_rng(seed)
        provider = _small(
            "openai-prefix",
            block_tokens=int(rng.choice((1, 4, 16))),
            step_tokens=int(rng.choice((1, 4))),
            hidden_tokens=int(rng.choice((0, 3))),
            ttl=int(rng.choice((0, 300))),
            caches_answers=bool(rng.random() < 0.5),
            reads_whole_prompt=bool(rng.random() < 0.5),
            visible_at=str(rng.choice(("start", "first_token", "end"))),
        )
        prompts = draw_prompts(rng, breakpoints=False, answers=True)
        results = slow.run_blocks(prompts, provider.settings, MINIMUM)
        _assert_equal(run_cache(make_table(prompts, branches=True), provider), results, seed)


def test_unit_caches_agree():
    """So it is for whole units, with units every few tokens or none."""
    for seed in range(HISTORIES):
        rng = np.random.default_rng(seed)
        provider = _small(
            "deepseek",
            unit_tokens=int(rng.choice((0, 8))),
            step_tokens=int(rng.choice((1, 4))),
            ttl=int(rng.choice((0, 300))),
            visible_at=str(rng.choice(("start", "first_token", "end"))),
        )
        prompts = draw_prompts(rng, breakpoints=False, answers=True)
        results = slow.run_units(prompts, provider.settings, MINIMUM)
        _assert_equal(run_cache(make_table(prompts, branches=True), provider), results, seed)


def test_eviction_agrees():
    """With room for few blocks, those used longest ago go first, and of one prompt its tail."""
    for seed in range(HISTORIES):
        rng = np.random.default_rng(seed)
        prompts = [p for p in draw_prompts(rng, breakpoints=False) if not p.failed]
        provider = self_hosted(int(rng.choice((1, 4, 8))), capacity_blocks=int(rng.integers(3, 40)))
        outcome = run_cache(make_table(prompts, branches=True), provider)
        slow_read = [result.read for result in slow.run_evicting(prompts, provider.settings)]
        assert outcome.read_tokens.tolist() == slow_read, seed
