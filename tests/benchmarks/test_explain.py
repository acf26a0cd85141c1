"""What is claimed of the speed of `acg.explain`, as ratios to loading the same profiles from Redis."""

import time

from benchmarks.measuring import tell

import acg_lab as acg
from acg_lab.diagnosis import Kind, find_causes

ROUNDS = 5


def against_loading(benchmark, source, work):
    """Time work on a snapshot just loaded, nothing of it known yet, and the loading of it; return both, the best."""
    loads = []

    def load():
        started = time.perf_counter()
        snap = acg.load(source, progress=False)
        loads.append(time.perf_counter() - started)
        return (snap,), {}

    found = benchmark.pedantic(work, setup=load, rounds=ROUNDS)
    return found, benchmark.stats.stats.min, min(loads)


def test_explaining_193_profiles(benchmark, filled):
    """All profiles are explained, repairs tried, in at most three times the time of loading them."""
    findings, explained, loaded = against_loading(benchmark, filled, acg.explain)
    assert [finding.kind for finding in findings] == [Kind.FRAGMENTED_BY_FIRST_MESSAGE]
    tell(benchmark, load_s=loaded, explain_s=explained, ratio=explained / loaded, at_most=3)
    assert explained / loaded <= 3


def test_explaining_with_runs(benchmark, filled_with_runs):
    """So they are where runs are read too, and what was sent is compared byte by byte."""
    _, explained, loaded = against_loading(benchmark, filled_with_runs, acg.explain)
    tell(benchmark, load_s=loaded, explain_s=explained, ratio=explained / loaded, at_most=3)
    assert explained / loaded <= 3


def test_causes_for_a_table(benchmark, filled):
    """What breaks each of 193 profiles is told in a few words in less time than loading them takes."""
    causes, told, loaded = against_loading(benchmark, filled, find_causes)
    assert len(causes.breaks) == 193
    tell(benchmark, load_s=loaded, causes_s=told, ratio=told / loaded, at_most=1)
    assert told / loaded <= 1
