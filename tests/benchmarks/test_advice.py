"""What advice costs: a sweep of all distinct settings beside one simulation, a recommendation, and a report."""

import pytest
from benchmarks.measuring import cpu_seconds, interleaved, tell
from simulation.messages_traffic import log_rows

import acg_lab as acg

SWEEP, RECOMMEND, REPORT = 20.0, 60.0, 20.0  # times one simulation; seconds on two cores
ACTING = acg.AcgSettings(provider="anthropic")


@pytest.fixture(scope="module")
def snap():
    """tau_airline as a log of Messages bodies with usage, learned by the rules of 0.8."""
    return acg.from_requests(log_rows(), api="anthropic", agent_id="airline", full_payloads=True)


def test_a_sweep_of_real_traffic(benchmark, snap):
    """All distinct settings of 2,454 requests take at most twenty times one simulation of a setting."""
    trace = acg.replay(snap, progress=False)
    thresholds = iter(range(500, 1000))

    def simulate():
        stable = next(thresholds) / 1000  # another one each time, so that nothing is known yet
        sim = acg.simulate(trace, ACTING.replace(stable_threshold=stable), config=ACTING)
        return sim.read, sim.cost

    simulate()
    found = acg.sweep(trace, current=ACTING, progress=False)
    once = min(interleaved(benchmark, lambda: acg.sweep(trace, current=ACTING, progress=False), simulate, 3))
    ratio = benchmark.stats.stats.min / once
    tell(benchmark, ratio=ratio, limit=SWEEP, once=once, settings=len(found), distinct=found.n_distinct)
    assert ratio <= SWEEP


def test_a_recommendation_for_real_traffic(benchmark, snap):
    """A recommendation for the same, repairs included, within a minute."""
    best = benchmark.pedantic(acg.recommend, (snap,), {"current": ACTING, "progress": False}, rounds=1)
    tell(benchmark, seconds=benchmark.stats.stats.min, limit=RECOMMEND, changed=float(best.is_change))
    assert benchmark.stats.stats.min <= RECOMMEND


def test_a_recommendation_for_the_sample(benchmark):
    """A recommendation for all agents of the sample, repairs included, within a minute."""
    snap = acg.load("data/sample")
    benchmark.pedantic(acg.recommend, (snap,), {"progress": False}, rounds=1)
    tell(benchmark, seconds=benchmark.stats.stats.min, limit=RECOMMEND)
    assert benchmark.stats.stats.min <= RECOMMEND


def test_a_report_of_the_sample(benchmark):
    """The whole report of the sample, with findings, advice and pictures, within twenty seconds."""
    snap = acg.load("data/sample")
    taken = benchmark.pedantic(cpu_seconds, (lambda: acg.report(snap, progress=False),), rounds=1)
    tell(benchmark, seconds=taken, limit=REPORT)
    assert taken <= REPORT
