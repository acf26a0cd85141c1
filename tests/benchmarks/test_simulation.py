"""What simulating costs: one history at once, and growth with the number of agents."""

import time

import pytest
from benchmarks.measuring import tell
from simulation.fleet import make_fleet
from simulation.messages_traffic import traffic

import acg_lab as acg
from acg_lab.providers.prices import PriceList
from acg_lab.simulation import simulate
from acg_lab.simulation.columns import SimulatedHistory
from acg_lab.simulation.history import PreparedHistory, prepare_history, read_settings

SIMULATION, LIMIT, PARTS = 0.1, 2.0, 0.3  # seconds, on a machine of its own


@pytest.fixture(scope="module")
def trace():
    found = acg.replay(traffic(), progress=False)
    simulate(found)  # pieces, sizes and plans
    return found


def test_one_simulation_of_real_traffic(benchmark, trace):
    """2,454 requests run through a cache, with costs, in a tenth of a second."""

    def work():
        prepare_history(trace)._runs.clear()
        sim = simulate(trace)
        return sim.read, sim.cost

    benchmark.pedantic(work, rounds=5, warmup_rounds=1)
    tell(benchmark, seconds=benchmark.stats.stats.min, limit=SIMULATION)
    assert benchmark.stats.stats.min <= SIMULATION


def test_the_limit_of_real_traffic(benchmark, trace):
    """The limit of the same."""
    benchmark.pedantic(lambda: simulate(trace, breakpoints="limit").simulated_read, rounds=5, warmup_rounds=1)
    tell(benchmark, seconds=benchmark.stats.stats.min, limit=LIMIT)
    assert benchmark.stats.stats.min <= LIMIT


def test_parts_and_verdicts_of_real_traffic(benchmark, trace):
    """Parts and verdicts of the same."""

    def work():
        sim = simulate(trace)
        return sim.parts, sim.verdicts

    benchmark.pedantic(work, rounds=5, warmup_rounds=1)
    tell(benchmark, seconds=benchmark.stats.stats.min, limit=PARTS)
    assert benchmark.stats.stats.min <= PARTS


def test_growth_is_linear(benchmark):
    """Twice and four times the agents take at most a little more than twice and four times as long."""

    def run(n_agents):
        history = PreparedHistory((), make_fleet(n_agents), "auto")
        config = read_settings(None, 100, "config")
        started = time.perf_counter()
        sizes = history.sizes(config)
        runs = history.run(config, "sent", config, sizes)
        sim = SimulatedHistory(history, sizes, runs, runs, config, config, PriceList())
        sim.cost(sim.tokens, money=True)
        _ = sim.verdicts, sim.at_limit
        return time.perf_counter() - started

    run(20)
    one, two = run(40), run(80)
    four = benchmark.pedantic(lambda: run(160), rounds=1)
    tell(benchmark, one=one, two=two, four=four, per_request_us=four / (160 * 500) * 1e6)
    assert four <= 2.6 * two <= 2.6 * 2.6 * one
