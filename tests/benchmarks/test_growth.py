"""Twice the agents take about twice as long, whatever is done: each public operation at n, 2n and 4n."""

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import redis
from benchmarks.growing import bodies, many_agents, write_sources
from benchmarks.measuring import cpu_seconds, tell

import acg_lab as acg
from acg_lab.diagnosis.misses import find_misses

A_DOUBLING, TURNS = 2.3, 2
OLD = {"since": "2026-11-04"}


class Operation(NamedTuple):
    """What is measured: ``work`` on what ``prepare`` makes of the sources and n, for so many agents at first."""

    n: int
    work: Callable[[Any], object]
    prepare: Callable[["Sources", int], Any]


class Sources:
    """A log, an export and a Redis for each size, made when first asked for."""

    def __init__(self, folder, url):
        self.folder, self._url = folder, url
        self._loaded, self._stored = {}, {}

    def _make(self, n):
        if n not in self._loaded:
            write_sources(self.folder, n)
            self._loaded[n] = acg.load(self.folder / str(n), progress=False)

    def log(self, n):
        self._make(n)
        return self.folder / f"{n}.jsonl"

    def export(self, n):
        self._make(n)
        return self.folder / str(n)

    def snapshot(self, n):
        """Return a snapshot that nothing has been computed of."""
        self._make(n)
        return replace(self._loaded[n])

    def copy(self, n):
        return self.snapshot(n), self.folder / f"copy-{n}"

    def redis(self, n):
        if n not in self._stored:
            self._stored[n] = f"{self._url.rpartition('/')[0]}/{len(self._stored) + 1}"
            self.snapshot(n).to_redis(self._stored[n], key_prefix="p:")
        return self._stored[n]

    def empty_redis(self, n):
        with redis.Redis.from_url(url := f"{self._url.rpartition('/')[0]}/0") as client:
            client.flushdb()
        return self.snapshot(n), url


def load(**options):
    return lambda source: acg.load(source, progress=False, **options)


def half_of_keys(sources, n):
    return sources.export(n), sources.snapshot(n).columns.observations.keys[::2]


def judge(trace):
    sim = acg.simulate(trace)
    return sim.cost, sim.verdicts, sim.parts


def frames(*names):
    return lambda given: [getattr(acg.frames, name)(given) for name in names]


def trace_of(sources, n):
    return acg.replay(sources.snapshot(n), progress=False)


def simulation_of(sources, n):
    return acg.simulate(trace_of(sources, n))


FEW, MANY = 10, 30
OPERATIONS = {
    "load a Redis": Operation(MANY, load(), Sources.redis),
    "load a Redis since": Operation(MANY, load(**OLD), Sources.redis),
    "load a Redis, newest": Operation(MANY, load(limit=2), Sources.redis),
    "load an export": Operation(MANY, load(), Sources.export),
    "load an export since": Operation(MANY, load(**OLD), Sources.export),
    "load an export, newest": Operation(MANY, load(limit=2), Sources.export),
    "load half of an export": Operation(MANY, lambda given: load(keys=given[1])(given[0]), half_of_keys),
    "load a log": Operation(MANY, load(), Sources.log),
    "from_requests": Operation(MANY, acg.from_requests, lambda _, n: bodies(n)),
    "to_parquet": Operation(MANY, lambda given: given[0].to_parquet(given[1], overwrite=True), Sources.copy),
    "to_redis": Operation(MANY, lambda given: given[0].to_redis(given[1], key_prefix="p:"), Sources.empty_redis),
    "analyze": Operation(MANY, acg.analyze, Sources.snapshot),
    "verify": Operation(MANY, acg.verify, Sources.snapshot),
    "replay": Operation(MANY, lambda snap: acg.replay(snap, progress=False), Sources.snapshot),
    "simulate": Operation(MANY, judge, trace_of),
    "misses": Operation(MANY, find_misses, simulation_of),
    "explain": Operation(FEW, lambda snap: acg.explain(snap, progress=False), Sources.snapshot),
    "sweep": Operation(FEW, lambda snap: acg.sweep(snap, progress=False), Sources.snapshot),
    "recommend": Operation(FEW, lambda snap: acg.recommend(snap, progress=False), Sources.snapshot),
    "report": Operation(FEW, lambda snap: acg.report(snap, progress=False), Sources.snapshot),
    "open the tuner": Operation(MANY, acg.ThresholdTuner, Sources.snapshot),
    "open the tuner on thousands of agents": Operation(1_500, acg.ThresholdTuner, lambda _, n: many_agents(n)),
    "frames": Operation(MANY, frames("profiles", "scores", "windows", "blocks", "calls"), Sources.snapshot),
    "frames of a simulation": Operation(MANY, frames("requests", "misses", "costs"), simulation_of),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory, redis_server):
    with redis.Redis.from_url(redis_server.url()) as client:
        client.flushall()
        yield Sources(tmp_path_factory.mktemp("growth"), redis_server.url())
        client.flushall()


@pytest.mark.parametrize("name", OPERATIONS)
def test_growth_is_linear(benchmark, sources, name):
    """Four times the agents take at most 2.3 times 2.3 times as long: the best of turns, in processor time."""
    operation, sizes = OPERATIONS[name], [OPERATIONS[name].n * times for times in (1, 2, 4)]
    found = {n: [] for n in sizes}

    def turn():
        for n in sizes:
            given = operation.prepare(sources, n)
            gc.collect()
            gc.freeze()
            found[n].append(cpu_seconds(lambda given=given: operation.work(given)))
            gc.unfreeze()

    benchmark.pedantic(turn, rounds=TURNS)
    times = [min(of_size) for of_size in found.values()]
    tell(
        benchmark,
        n=sizes[0],
        **{f"seconds_{n}": t for n, t in zip(sizes, times, strict=True)},
        ratio=times[2] / times[0],
    )
    assert times[2] <= A_DOUBLING**2 * times[0]
