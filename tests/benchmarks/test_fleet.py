"""What surveys take: on two workers against one, and as fleets grow; ten million requests are surveyed by hand."""

import joblib
import pytest
from benchmarks.many_agents import make_fleet
from benchmarks.measuring import cpu_seconds, tell, worker_seconds

import acg_lab as acg

SPEED_UP, GROWTH = 1.6, 1.5  # times one worker; times the time for each request of a small fleet
QUIET = {"findings": False, "progress": False}


def test_two_workers_against_one(benchmark, tmp_path):
    """Of 200 agents the busier of two workers has at most 1/1.6 of the work of one; start-up apart.

    That is processor time, which neighbours hardly change; on a quiet machine it is the time that passes.
    """
    few = make_fleet(tmp_path / "few", 20, 50, 2)
    many = make_fleet(tmp_path / "many", 200, 50, 2)
    acg.survey(few, **QUIET)
    alone = cpu_seconds(lambda: acg.survey(many, **QUIET))
    joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
    acg.survey(few, n_jobs=2, **QUIET)  # starts the workers
    before = worker_seconds()
    here = benchmark.pedantic(cpu_seconds, (lambda: acg.survey(many, n_jobs=2, **QUIET),), rounds=1)
    spent = [seconds - before[pid] for pid, seconds in worker_seconds().items() if seconds > before.get(pid, seconds)]
    ratio = alone / max(spent)
    tell(benchmark, ratio=ratio, limit=SPEED_UP, alone=alone, busier=max(spent), other=min(spent), here=here)
    assert len(spent) == 2
    assert ratio >= SPEED_UP


@pytest.mark.slow
def test_the_growth_of_a_survey(benchmark, tmp_path):
    """A request of 100,000 costs at most 1.5 times what one of 20,000 does; agents have 2,000 each."""
    found = {}
    for n_agents in (10, 50):
        path = make_fleet(tmp_path / f"{n_agents}", n_agents, 2000, 2)
        found[n_agents] = cpu_seconds(lambda path=path: acg.survey(path, **QUIET)) / n_agents
    ratio = benchmark.pedantic(lambda: found[50] / found[10], rounds=1)
    tell(benchmark, ratio=ratio, limit=GROWTH, seconds_for_100_000=50 * found[50])
    assert ratio <= GROWTH
