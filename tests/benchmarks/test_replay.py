"""What is claimed of the replay's speed and memory, as ratios measured in one run.

The recordings are no part of the repository; see ``test_claims.py``, which also says how the real learner is timed.
"""

import statistics
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from benchmarks.measuring import ROOT, cpu_seconds, lines, tell
from conformance.runtime import Runtime, RuntimeUnavailable
from history.histories import at, run_id

import acg_lab as acg
from acg_lab.core import RunRecord

RULES = "nemo-relay-0.8"
TURNS = 5
PATIENCE = 900.0  # seconds: a busy machine may take its time
# With so many requests behind it a window is full; the real learner is timed over so many more.
TIMED = {100: 300, 500: 100}


@pytest.fixture(scope="module")
def bodies():
    return [body for conversation in lines("requests.jsonl.gz") for body in conversation["calls"]]


@pytest.fixture(scope="module")
def snap(bodies):
    """All requests of tau_airline, one a run, a second apart."""
    backend = acg.MemoryBackend()
    for number, body in enumerate(bodies):
        call = {"kind": "llm", "name": "n", "started_at": at(number), "annotated_request": body}
        record = {"id": run_id(number), "agent_id": "a", "started_at": at(number), "ended_at": at(number + 0.5)}
        backend.store_run(msgspec.convert({**record, "calls": [call]}, RunRecord))
    return acg.load(backend, progress=False)


def step_us(snap, window):
    """Return the processor time of a step, from snapshot to trace, everything included."""
    return cpu_seconds(lambda: acg.replay(snap, window, RULES, progress=False)) * 1e6 / len(snap.runs)


def learner_us(bodies, window):
    """Return the processor time of a run in the real learner, its window full."""
    runs = [[body] for body in bodies[: window + TIMED[window]]]

    def drive(*, learners):
        with Runtime("0.10.4") as runtime:
            runtime.configure(
                agent_id="a", backend="in_memory", observation_window=window, learners=learners, full_payloads=True
            )
            runtime.drive(runs[:window], agent_id="a", wait="end", timeout=PATIENCE)
            return (
                runtime.drive(runs[window:], agent_id="a", wait="end", timeout=PATIENCE).cpu_ns
                / 1e3
                / len(runs[window:])
            )

    return drive(learners=True) - drive(learners=False)


@pytest.mark.parametrize(("window", "at_least"), [(100, 200), (500, 1000)])
def test_step(benchmark, bodies, snap, window, at_least):
    """A step costs at most 1/200 of what the real learner costs a run with a window of 100, and 1/1,000 with 500."""
    ours = []
    try:
        theirs = learner_us(bodies, window)
    except RuntimeUnavailable as error:
        pytest.skip(f"the real runtime can't be had: {error}")
    benchmark.pedantic(lambda: ours.append(step_us(snap, window)), rounds=TURNS)
    step = statistics.median(ours)
    tell(benchmark, step_us=step, learner_us=theirs, times=theirs / step, at_least=at_least)
    assert step <= theirs / at_least


def test_window_is_free(benchmark, snap):
    """A window of 500 costs at most 1.3 times one of 20."""
    small, large = [], []

    def both():
        small.append(step_us(snap, 20))
        large.append(step_us(snap, 500))

    benchmark.pedantic(both, rounds=2 * TURNS)
    ratio = statistics.median(large) / statistics.median(small)
    tell(benchmark, us_20=statistics.median(small), us_500=statistics.median(large), ratio=ratio, at_most=1.3)
    assert ratio <= 1.3


def test_thresholds(benchmark, snap):
    """1,000 stable thresholds cost less than a tenth of the walk."""
    trace = acg.replay(snap, 100, RULES, progress=False)
    numbers = np.linspace(0.0, 1.0, 1000)
    walks = []
    benchmark.pedantic(
        lambda: trace.prefix_lengths(numbers),
        setup=lambda: walks.append(cpu_seconds(lambda: step_us(snap, 100))),
        rounds=5,
    )
    asked, walk = benchmark.stats.stats.median, statistics.median(walks)
    tell(benchmark, thresholds_ms=asked * 1e3, walk_ms=walk * 1e3, share=asked / walk, below=0.1)
    assert asked < walk / 10


FLEET = Path(__file__).with_name("fleet.py")


@pytest.mark.parametrize("rules", ["nemo-flow-0.2", RULES])
def test_fleet(benchmark, rules):
    """1,000,000 observations of 30 blocks in 2,000 profiles stay below 2 GB, and cost at most 11 times 100,000.

    The smaller is measured before and after the larger: a busy neighbour, if there is one, meets both.
    """
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of a process can be measured on Linux only")

    def measure(n):
        command = [sys.executable, str(FLEET), str(n), rules]
        done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT, text=True)
        seconds, peak = map(float, done.stdout.split())
        return seconds, peak

    sizes = (100_000, 1_000_000, 100_000)
    (before, _), (large, peak), (after, _) = benchmark.pedantic(lambda: [measure(n) for n in sizes], rounds=1)
    small = statistics.mean((before, after))
    tell(benchmark, seconds=large, times=large / small, at_most=11, peak_gb=peak / 1e9, below_gb=2)
    assert peak < 2e9
    assert large <= 11 * small
