"""A real Redis full of recordings, a real browser, and a tidy memory for each benchmark."""

import gc

import msgspec
import pytest
from benchmarks.measuring import lines
from browser.fixtures import browser, new_page, serve

__all__ = ["browser", "filled", "filled_with_runs", "new_page", "serve"]


@pytest.fixture(autouse=True)
def _tidy():
    """Keep what earlier benchmarks left out of the collector's way: it would be looked through in the longer works."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def filled(redis_url, redis_client):
    """A real Redis with 72 MB of windows and results."""
    for entry in lines("redis-0.3.0.jsonl.gz"):
        redis_client.set(entry["key"], msgspec.json.encode(entry["value"]))
    return redis_url


@pytest.fixture
def filled_with_runs(filled, redis_client):
    """The same with 54 MB of runs."""
    for run in lines("runs.jsonl.gz"):
        redis_client.set(f"nemo_flow:runs:airline:{run['id']}", msgspec.json.encode(run))
        redis_client.rpush("nemo_flow:runs_index:airline", run["id"])
    return filled
