"""Measuring: what all benchmarks share."""

import gc
import gzip
import json
import os
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("ACG_LAB_SHARED") or ROOT.parent / "shared") / "data" / "tau_airline"


def lines(name):
    path = DATA / name
    if not path.exists():
        pytest.skip("no recordings: neither ACG_LAB_SHARED nor a folder 'shared' beside the repository")
    with gzip.open(path) as file:
        return [json.loads(line) for line in file]


def seconds(work):
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def cpu_seconds(work):
    """Return the processor time of work, which a busy neighbour hardly changes."""
    started = time.process_time()
    work()
    return time.process_time() - started


def worker_seconds():
    """Return the processor time of each of joblib's workers so far, by process."""
    workers = [one for one in psutil.Process().children(recursive=True) if "loky" in " ".join(one.cmdline())]
    return {one.pid: sum(one.cpu_times()[:2]) for one in workers}


def best_in_turns(benchmark, works, turns):
    """Return each work's least processor time of several turns, so that a busy neighbour meets all of them."""

    def turn():
        for work, times in zip(works, found, strict=True):
            gc.collect()
            times.append(cpu_seconds(work))

    found = [[] for _ in works]
    benchmark.pedantic(turn, rounds=turns)
    return [min(times) for times in found]


def interleaved(benchmark, work, base, rounds):
    """Time both in turn, so that a busy neighbour meets both; return the times of ``base``."""
    bases = []
    benchmark.pedantic(work, setup=lambda: bases.append(seconds(base)), rounds=rounds)
    return bases


def tell(benchmark, **figures):
    """Keep figures with the benchmark's own, and show them."""
    benchmark.extra_info.update(figures)
    print(f"\n{benchmark.name}: " + ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))
