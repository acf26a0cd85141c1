"""What simulating costs: one history at once, and growth with the number of agents."""

import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import pytest
from benchmarks.measuring import best_in_turns, tell
from simulation.fleet import judge, make_fleet, simulate_fleet
from simulation.messages_traffic import traffic

import acg_lab as acg
from acg_lab.simulation import simulate
from acg_lab.simulation.history import prepare_history

SIMULATION, LIMIT, PARTS, FLEET = 0.1, 2.0, 0.3, 60.0  # seconds, on a machine of its own
MEMORY = 2e9  # bytes


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
    one, two, four = best_in_turns(benchmark, [partial(judge, make_fleet(n)) for n in (40, 80, 160)], 3)
    tell(benchmark, one=one, two=two, four=four, per_request_us=four / (160 * 500) * 1e6)
    assert four <= 2.6 * two <= 2.6 * 2.6 * one


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory of a process is read from /proc")
def test_a_million_requests_of_a_fleet(benchmark):
    """1,000,000 requests of 2,000 agents: costs, limit, parts and verdicts within a minute.

    They take 2 GB at the most: a process of its own is measured, interpreter and requests included.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        seconds, peak = benchmark.pedantic(lambda: pool.submit(simulate_fleet, 2000).result(), rounds=1)
    tell(benchmark, seconds=seconds, megabytes=peak / 1e6)
    assert peak <= MEMORY
    assert seconds <= FLEET
