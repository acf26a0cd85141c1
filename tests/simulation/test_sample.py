"""The simulation of the sample: what its bills say, found again by rules that know nothing of how it was made."""

from pathlib import Path

import numpy as np
import pytest

import acg_lab as acg
from acg_lab.simulation import Verdict, calibrate, simulate
from acg_lab.simulation.history import prepare_history, read_settings

SAMPLE = Path(__file__).parents[2] / "data" / "sample"


@pytest.fixture(scope="module")
def trace():
    return acg.replay(acg.load(SAMPLE), progress=False)


@pytest.fixture(scope="module")
def sim(trace):
    return simulate(trace)


@pytest.fixture(scope="module")
def tuned(trace):
    return simulate(trace, 0.9)


def of_run(sim, run_id):
    return [i for i, name in enumerate(sim.run_ids) if name.startswith(run_id)]


def test_whether_anything_was_read_agrees_for_every_request(sim):
    """The rules read something exactly where the bill does, 4,177 times."""
    assert len(sim) == 4177
    assert np.array_equal(sim.simulated_read > 0, sim.recorded_read > 0)


def test_the_second_half_follows_from_sizes_of_the_first(trace):
    """With sizes learned on the first half, 99% of the second agree in read position and in tokens."""
    history, settings = prepare_history(trace), read_settings(None, 100, "settings")
    n = len(history.requests)
    first = np.arange(n) < n // 2
    sizes = history.sizes(settings, learn_from=first)
    for run in history.run(settings, "sent", settings, sizes):
        late = run.rows >= n // 2
        recorded, simulated = history.requests.read[run.rows][late], run.outcome.read_tokens[late]
        prompt = history.requests.prompt[run.rows][late]
        assert np.mean((recorded > 0) == (simulated > 0)) >= 0.99
        assert np.mean(np.abs(recorded - simulated) <= 0.01 * prompt) >= 0.99


def test_parts_add_up_to_every_prompt(sim):
    """Read, missed, changed, new and not recorded are the whole prompt, and none is negative."""
    parts = sim.parts
    assert np.array_equal(sum(parts), sim.tokens)
    assert min(int(part.min()) for part in parts) >= 0


def test_a_clock_in_the_system_prompt_shows_in_the_parts_of_one_request(sim):
    """A first request of support-chat: its tools were missed, its system prompt changed, its question is new."""
    i = of_run(sim, "01a1cfe3-cbec")[0]
    parts = sim.parts
    assert sim.tokens[i] == 2901
    assert [int(part[i]) for part in (parts.read, parts.missed, parts.changed, parts.new)] == [0, 1488, 1373, 40]


def test_reads_and_writes_of_a_growing_conversation(sim):
    """The coder's first requests write what the next ones read."""
    rows = of_run(sim, "01a1d064-23e0")[:3]
    expected = [(0, 3358), (3358, 145), (3503, 372)]
    assert [(int(sim.simulated_read[i]), int(sim.simulated_written[i])) for i in rows] == expected
    assert [(int(sim.recorded_read[i]), int(sim.recorded_written[i])) for i in rows] == expected


def test_reads_of_a_cache_of_blocks(sim):
    """Where the provider caches by itself, reads are the shared prefix rounded down to 128."""
    rows = of_run(sim, "01a1d0a2-0fe8")[:3]
    assert [int(sim.tokens[i]) for i in rows] == [2399, 2517, 2591]
    assert [int(sim.simulated_read[i]) for i in rows] == [0, 2304, 2432]


@pytest.mark.parametrize(
    ("agent_id", "before", "after"),
    [("claims-triage", (59.15, 50.83), (73.12, 39.62)), ("claims-triage-next", (29.92, 74.87), (0.69, 99.55))],
)
def test_what_another_threshold_would_have_cost(sim, tuned, agent_id, before, after):
    """At 0.9 one agent reads more, and the other next to nothing; in percent of tokens, and of the cost uncached."""
    for found, expected in ((sim, before), (tuned, after)):
        one = found.select(agent_id=agent_id)
        assert (round(100 * one.read_share, 2), round(100 * one.relative_cost, 2)) == expected


def test_a_change_that_touches_nothing_changes_nothing(sim, tuned):
    """sales-analyst plans the same at 0.9: no token, no cost differs."""
    one, other = (found.select(agent_id="sales-analyst") for found in (sim, tuned))
    assert np.array_equal(one.read, other.read)
    assert np.array_equal(one.written, other.written)
    assert np.array_equal(one.cost, other.cost)
    assert not other.clipped.any()


def test_the_base_is_the_bill(sim):
    """As it was, reads and writes are those of the bill, and its cost the recorded one."""
    assert np.array_equal(sim.read, sim.recorded_read)
    assert np.array_equal(sim.written, np.maximum(sim.recorded_written, 0))
    assert np.array_equal(sim.cost, sim.cost_as_was)


def test_who_loses_most_and_by_what(sim):
    """support-chat loses most, by its clock; three agents by a breakpoint before the system prompt; coder hardly."""
    agents = sim.by_agent()
    lost = {agent_id: one.totals().lost for agent_id, one in agents.items()}
    assert max(lost, key=lost.__getitem__) == "support-chat"
    causes = agents["support-chat"].caused_by
    assert causes.count(Verdict.SYSTEM_CHANGED) >= 490
    for agent_id in ("sales-analyst", "code-review", "support-mail"):
        one = agents[agent_id]
        dearest = {}
        for cause, cost in zip(one.caused_by, one.avoidable, strict=True):
            dearest[cause] = dearest.get(cause, 0) + cost
        assert max(dearest, key=dearest.__getitem__) == Verdict.BREAKPOINT_SHORT
    assert agents["sales-analyst"].caused_by.count(Verdict.TOOLS_CHANGED) < 0.03 * len(agents["sales-analyst"])
    assert agents["handbook-search"].verdicts.count(Verdict.BELOW_MINIMUM) > 100
    assert lost["coder"] < 0.05 * agents["coder"].totals().as_was


def test_calibration_of_the_sample_is_good(sim):
    """The simulation agrees with the bills of the sample, and says so in words."""
    found = calibrate(sim)
    assert found.verdict.startswith("Good: ")
    assert found.total.n_requests == 4177
    assert {one.agent_id for one in found.by_agent} == set(sim.agent_ids)
    assert all(one.within_1_percent >= 0.99 for one in found.by_agent)


def test_nothing_beats_the_limit(trace, sim):
    """No policy costs less than the limit, by agent."""
    for policy in ("sent", "planned", "automatic", "none"):
        other = simulate(trace, breakpoints=policy)
        for agent_id, one in other.by_agent().items():
            limit = sim.select(agent_id=agent_id).limit_cost_tokens.sum()
            assert one.simulated_cost_tokens.sum() >= limit - 1, (policy, agent_id)
