"""Fleets, each made once, and a real cluster of two processes."""

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
def start_cluster():
    """Start a Dask cluster of two worker processes on this machine; yield its client."""
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as started, distributed.Client(started) as client:
        yield client


@pytest.fixture(scope="package")
def cluster():
    """A cluster whose workers are left alone."""
    with start_cluster() as client:
        yield client


@pytest.fixture
def mortal_cluster():
    """A cluster of one's own, whose workers or scheduler may end."""
    with start_cluster() as client:
        yield client
