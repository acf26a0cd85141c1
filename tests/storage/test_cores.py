"""Tasks on several cores: their order, their errors, and where nothing is spread."""

import os

import joblib
import numpy as np
import pytest
from storage import work_on_cores as work

import acg_lab as acg
from acg_lab.storage.cores import check_n_jobs, run_on_cores


def run(function, tasks, n_jobs=2):
    with run_on_cores(function, tasks, n_jobs) as results:
        return list(results)


def test_results_come_in_the_order_of_tasks():
    """Two workers, which are not this process, return what one process returns, whatever joblib is configured for."""
    with joblib.parallel_config("threading"):
        found = run(work.slower_first, range(6))
    assert [number for number, _ in found] == [number for number, _ in run(work.slower_first, range(6), 1)]
    assert os.getpid() not in {pid for _, pid in found}


def test_an_error_arrives_as_it_was_raised():
    """The error of the first task that fails has its class and words, and no traceback of a worker."""
    with pytest.raises(acg.RecordError) as raised:
        run(work.fail_from_two, range(6))
    assert str(raised.value) == "key 'k', at $.id: expected less, got 2"
    assert (raised.value.__cause__, raised.value.__context__) == (None, None)


def test_a_worker_that_dies_is_an_error():
    """It ends the work with one sentence, and the next work finds new workers."""
    with pytest.raises(acg.AcgLabError, match="A worker process died"):
        run(work.die, [1, 2, 3])
    assert run(abs, [-1, -2]) == [1, 2]


def test_inside_a_worker_nothing_is_spread():
    """A worker does all of it in its own process."""
    assert all(len(pids) == 1 for pids in run(work.spread_inside, [1, 2]))


def test_who_leaves_early_starts_no_more_tasks():
    """Of many tasks few are taken after the first result; the next work goes on with the same workers."""
    taken = []
    with run_on_cores(work.nap, (taken.append(n) or n for n in range(500)), 2) as results:
        next(results)
    assert len(taken) < 100
    assert run(abs, [-3]) == [3]


@pytest.mark.parametrize("wrong", [0, -2, True, 1.5, "2", None])
def test_wrong_numbers_are_refused(wrong):
    """The message names the option and what came; numpy's integers are numbers."""
    with pytest.raises(acg.UsageError, match=f"'n_jobs' option must be a positive integer, or -1.*{wrong}"):
        check_n_jobs(wrong)
    assert check_n_jobs(np.int64(2)) == 2
