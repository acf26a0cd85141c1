"""Real traffic as Messages bodies: the simulation agrees with a slow one that shares no code with it."""

from collections import Counter

import numpy as np
import pytest
from simulation.messages_traffic import FEW, traffic

from acg_lab.simulation import Verdict, calibrate, simulate


@pytest.fixture(scope="module")
def sim():
    return simulate(traffic(FEW // 2))


def test_reads_and_writes_agree_with_the_slow_simulator(sim):
    """Every request reads what the slow simulator reads, within 1% of the prompt; nearly all exactly."""
    found = calibrate(sim)
    assert found.total.any_read == 1.0
    assert found.total.within_1_percent == 1.0
    assert np.mean(sim.simulated_read == sim.recorded_read) >= 0.95


def test_conversations_that_grow_are_hits(sim):
    """A conversation with breakpoints of its own hits from its second request on."""
    assert Counter(sim.verdicts)[Verdict.HIT] >= 0.95 * len(sim)


def test_costs_lie_between_the_limit_and_no_cache(sim):
    """The bill lies between the limit and full price, in money."""
    totals = sim.totals()
    assert 0 < totals.limit <= totals.as_was < totals.without_cache
    assert totals.lost == pytest.approx(totals.as_was - totals.limit)
