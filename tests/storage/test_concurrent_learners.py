"""Learners that share a Redis lose nothing, blocking or asyncio, whatever happens between them."""

import asyncio
import os
import subprocess
import sys

import pytest
import redis
import redis.asyncio
from strategies import make_id, make_request, make_run

import acg_lab as acg
from acg_lab.core import AcgLearner, HotCache
from acg_lab.core.learner import system_stamp
from acg_lab.core.learner_backend import Load
from acg_lab.storage.redis_backend import AsyncRedisBackend, RedisBackend

BLOCKING = """
import sys
sys.path.insert(0, sys.argv[3])
from strategies import make_request, make_run
from acg_lab.core import AcgLearner, HotCache
from acg_lab.storage.redis_backend import RedisBackend

with RedisBackend(sys.argv[1], key_prefix="p:", writable=True) as backend:
    learner, hot_cache = AcgLearner("a", observation_window=5000), HotCache()
    for i in range(int(sys.argv[2])):
        learner.process_run(make_run(make_request()), backend, hot_cache)
"""
ASYNC = """
import asyncio, sys
sys.path.insert(0, sys.argv[3])
from strategies import make_request, make_run
from acg_lab.core import AcgLearner, HotCache
from acg_lab.storage.redis_backend import AsyncRedisBackend

async def main():
    async with AsyncRedisBackend(sys.argv[1], key_prefix="p:", writable=True) as backend:
        learner, hot_cache = AcgLearner("a", observation_window=5000), HotCache()
        for i in range(int(sys.argv[2])):
            await learner.aprocess_run(make_run(make_request()), backend, hot_cache)

asyncio.run(main())
"""
HERE = __file__.rpartition("/storage/")[0]


def kept(url):
    """Return how many different observations the one profile holds, and whether its result and the seed agree."""
    with RedisBackend(url, key_prefix="p:") as backend:
        (key,) = {key for key in acg.load(backend).windows if key != "a"}
        window, seed = backend.load_observations(key), backend.load_observations("a")
        result, of_seed = backend.load_stability(key), backend.load_stability("a")
    assert (seed, of_seed) == (window, result)
    assert result.total_observations == len(window)
    return len({observation.ir_id for observation in window})


LONG = pytest.mark.skipif(not os.environ.get("ACG_LAB_LONG"), reason="takes minutes: set ACG_LAB_LONG=1")


@pytest.mark.parametrize(("n_processes", "n_runs"), [(4, 25), pytest.param(8, 500, marks=LONG)])
def test_processes_lose_nothing(redis_url, n_processes, n_runs):
    """As many observations are kept as runs were learned, by half blocking and half asyncio processes together."""
    started = [
        subprocess.Popen([sys.executable, "-c", (BLOCKING, ASYNC)[i % 2], redis_url, str(n_runs), HERE])
        for i in range(n_processes)
    ]
    assert [process.wait(timeout=1500) for process in started] == [0] * n_processes
    assert kept(redis_url) == n_processes * n_runs


def learn(url, stamp, use_asyncio):
    """Learn one run with a stamp that may meddle in between."""
    learner, hot_cache, run = AcgLearner("a"), HotCache(), make_run(make_request())
    if not use_asyncio:
        with RedisBackend(url, key_prefix="p:", writable=True) as backend:
            return learner.process_run(run, backend, hot_cache, stamp=stamp)

    async def main():
        async with AsyncRedisBackend(url, key_prefix="p:", writable=True) as backend:
            return await learner.aprocess_run(run, backend, hot_cache, stamp=stamp)

    return asyncio.run(main())


def disturb(monkeypatch, meddle, n):
    """Let something happen after each of the first n loads of a learner, before it stores."""
    step, left = AcgLearner.step, [n]

    def disturbed(self, run, stamp):
        generator, answer = step(self, run, stamp), None
        while True:
            try:
                command = generator.send(answer)
            except StopIteration as done:
                return done.value
            answer = yield command
            if isinstance(command, Load) and left[0] > 0:
                left[0] -= 1
                monkeypatch.setattr(AcgLearner, "step", step)
                meddle()
                monkeypatch.setattr(AcgLearner, "step", disturbed)

    monkeypatch.setattr(AcgLearner, "step", disturbed)


@pytest.mark.parametrize("use_asyncio", [False, True], ids=["blocking", "asyncio"])
def test_what_another_stores_in_between_is_kept(redis_url, use_asyncio, monkeypatch):
    """A window that another process stores between our load and store makes us learn anew; all are kept."""
    disturb(monkeypatch, lambda: learn(redis_url, system_stamp, use_asyncio=False), 3)
    assert learn(redis_url, system_stamp, use_asyncio).seed.total_observations == 4
    assert kept(redis_url) == 4


@pytest.mark.parametrize("use_asyncio", [False, True], ids=["blocking", "asyncio"])
def test_a_lost_reply_is_no_second_observation(redis_url, use_asyncio, monkeypatch):
    """If the reply to the transaction is lost, the observation is looked for, and learned once."""
    kind = redis.asyncio.client.Pipeline if use_asyncio else redis.client.Pipeline
    execute, lost = kind.execute, []

    async def lose_async(self, *args, **kwargs):
        replies = await execute(self, *args, **kwargs)
        if len(replies) == 4 and not lost:
            lost.append(replies)
            raise redis.ConnectionError
        return replies

    def lose(self, *args, **kwargs):
        replies = execute(self, *args, **kwargs)
        if len(replies) == 4 and not lost:
            lost.append(replies)
            raise redis.ConnectionError
        return replies

    monkeypatch.setattr(kind, "execute", lose_async if use_asyncio else lose)
    update = learn(redis_url, system_stamp, use_asyncio)
    assert len(lost) == 1
    assert update.seed.total_observations == 1
    assert kept(redis_url) == 1


def test_endless_conflicts_are_an_error(redis_url, redis_client, monkeypatch):
    """If others store the window each time, the run ends with an error after a bounded number of attempts."""
    monkeypatch.setattr("acg_lab.storage.redis_learning._ATTEMPTS", 5)
    n = iter(range(100))

    def meddle():
        redis_client.set(f"p:acg_observations:{key}", f"[]{' ' * next(n)}")

    learn(redis_url, system_stamp, use_asyncio=False)
    (key,) = {key for key in acg.load(RedisBackend(redis_url, key_prefix="p:")).windows if key != "a"}
    disturb(monkeypatch, meddle, 100)
    with pytest.raises(acg.SourceError, match="each time"):
        learn(redis_url, lambda: (make_id(1), system_stamp()[1]), use_asyncio=False)
    assert next(n) == 5
