"""Fleets, each made once, and real clusters of processes."""

import subprocess
import sys
from contextlib import contextmanager

import pytest
from fleet.fleets import make_fleet, single_calls


@pytest.fixture(scope="session")
def fleets(tmp_path_factory):
    """Make fleets by seed, each once, with what single calls say of them."""
    made = {}

    def fleet(seed):
        if seed not in made:
            path = make_fleet(tmp_path_factory.mktemp("fleet") / "export", seed)
            made[seed] = path, single_calls(path)
        return made[seed]

    return fleet


@contextmanager
def start_cluster(n_workers=2):
    """Start a Dask cluster of worker processes on this machine; yield its client."""
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": n_workers, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as started, distributed.Client(started) as client:
        yield client


@pytest.fixture(scope="package")
def cluster():
    """A cluster whose workers are left alone."""
    with start_cluster() as client:
        yield client


@pytest.fixture
def mortal_cluster():
    """A cluster of one's own, whose workers may end."""
    with start_cluster() as client:
        yield client


@pytest.fixture
def empty_cluster():
    """A cluster that has no workers yet, as an adaptive one."""
    with start_cluster(n_workers=0) as client:
        yield client


@pytest.fixture
def mortal_scheduler(tmp_path):
    """A scheduler in a process of its own, with one worker, and a client."""
    distributed = pytest.importorskip("distributed")
    known = ["--scheduler-file", str(tmp_path / "scheduler.json")]
    dask, quiet = [sys.executable, "-m", "dask"], {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with (
        subprocess.Popen([*dask, "scheduler", "--port", "0", "--no-dashboard", *known], **quiet) as scheduler,
        subprocess.Popen(
            [*dask, "worker", "--no-nanny", "--no-dashboard", "--nthreads", "1", *known], **quiet
        ) as worker,
    ):
        try:
            with distributed.Client(scheduler_file=known[1], timeout=60) as client:
                client.wait_for_workers(1, timeout=60)
                yield scheduler, client
        finally:
            worker.kill()
            scheduler.kill()
