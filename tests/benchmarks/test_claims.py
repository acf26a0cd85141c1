"""What is claimed of speed and memory, as ratios measured in one run (``pytest tests/benchmarks --benchmark-only``).

The recordings are no part of the repository: a folder ``shared`` beside it, or the one that ACG_LAB_SHARED names.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from benchmarks.measuring import ROOT, interleaved, lines, tell
from conformance.runtime import Runtime, RuntimeUnavailable

import acg_lab as acg
from acg_lab.core import AcgLearner, HotCache, PromptIR, RunRecord, StabilityAnalysisResult
from acg_lab.repairs.effects import measure_effect

TURNS = 5


def size_mb(folder):
    return sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6


def test_loading_from_redis(benchmark, filled, redis_client):
    """Loading reaches at least half the rate of GET and typed decoding of the same values."""
    keys = list(redis_client.scan_iter(count=1000))
    kinds = {key: StabilityAnalysisResult if b"acg_stability:" in key else tuple[PromptIR, ...] for key in keys}

    def get_and_decode():
        for key, kind in kinds.items():
            msgspec.json.decode(redis_client.get(key), type=kind)

    mb = sum(map(redis_client.strlen, keys)) / 1e6
    base = min(interleaved(benchmark, lambda: acg.load(filled, progress=False), get_and_decode, 5))
    load = benchmark.stats.stats.min
    tell(benchmark, load_mb_s=mb / load, get_and_decode_mb_s=mb / base, ratio=base / load, at_least=0.5)
    assert base / load >= 0.5


def test_loading_from_parquet(benchmark, filled, tmp_path):
    """An export is at most 1.5 MB and loads at least 5 times faster than the Redis."""
    acg.load(filled, progress=False).to_parquet(tmp_path / "export")

    def load(source):
        return lambda: acg.load(source, progress=False)

    redis = min(interleaved(benchmark, load(tmp_path / "export"), load(filled), 5))
    parquet, size = benchmark.stats.stats.min, size_mb(tmp_path / "export")
    tell(benchmark, redis_s=redis, parquet_s=parquet, ratio=redis / parquet, at_least=5, mb=size, mb_at_most=1.5)
    assert redis / parquet >= 5
    assert size <= 1.5


def test_effects_of_repairs(benchmark, filled):
    """What a repair wins on each of the 193 profiles is told in at most twice the time of loading them from Redis."""
    snap = acg.load(filled, progress=False)
    results = acg.analyze(snap)
    breaks = [(key, r.scores[r.stable_prefix_length :][:1]) for key, r in results.items()]

    def effects():
        return [measure_effect(snap, key, acg.repairs.MoveToEnd(broken[0].span_id)) for key, broken in breaks if broken]

    redis = min(interleaved(benchmark, effects, lambda: acg.load(filled, progress=False), 5))
    told = benchmark.stats.stats.min
    tell(benchmark, redis_s=redis, effects_s=told, n=len(effects()), ratio=told / redis, at_most=2)
    assert told / redis <= 2


def test_size_with_runs(benchmark, filled_with_runs, tmp_path):
    """With 54 MB of runs an export is at most 3 MB."""
    snap = acg.load(filled_with_runs, progress=False)
    assert len(snap.columns.runs) == 200
    benchmark.pedantic(lambda: snap.to_parquet(tmp_path / "export", overwrite=True), rounds=3)
    tell(benchmark, mb=size_mb(tmp_path / "export"), mb_at_most=3)
    assert size_mb(tmp_path / "export") <= 3


# Not ru_maxrss: a child starts with its parent's, so under a large pytest nothing would ever be seen to grow. And an
# empty export warms the imports up: memory that a larger one leaves to the allocator would hide what comes after.
PEAK = """
import sys
import acg_lab as acg

def status(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name + ":"))

acg.load(sys.argv[2], progress=False)  # imports all that a load needs
if "://" in sys.argv[1]:
    acg.load(sys.argv[1], progress=False, keys=["none"])  # and opens the connection
before = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # the peak counts from here
snap = acg.load(sys.argv[1], progress=False)
print(status("VmHWM") - before)
"""


def test_peak_memory(benchmark, filled, tmp_path):
    """Either load takes at most 48 MB above the interpreter with its imports."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of a process can be measured on Linux only")
    acg.load(filled, progress=False).to_parquet(tmp_path / "export")
    acg.load(acg.MemoryBackend()).to_parquet(tmp_path / "empty")

    def peak(source):
        command = [sys.executable, "-c", PEAK, str(source), str(tmp_path / "empty")]
        return int(subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout) / 1024

    redis, parquet = benchmark.pedantic(lambda: (peak(filled), peak(tmp_path / "export")), rounds=1)
    tell(benchmark, redis_mb=redis, parquet_mb=parquet, at_most=48)
    assert max(redis, parquet) <= 48


def one_profile(n):
    """Return requests that all belong to one profile: their first user message is the same."""
    bodies = [body for conversation in lines("requests.jsonl.gz") for body in conversation["calls"]][:n]
    for body in bodies:
        next(message for message in body["messages"] if message["role"] == "user")["content"] = "hello"
    return bodies


def as_run(number, body):
    began = "2026-01-01T00:00:00Z"
    call = {"kind": "llm", "name": "n", "started_at": began, "annotated_request": body}
    return msgspec.convert({"id": str(number), "agent_id": "a", "started_at": began, "calls": [call]}, RunRecord)


def runtime_ms(bodies, warm, *, learners):
    """Return the processor time of a run in the real runtime."""
    runs = [[body] for body in bodies]
    with Runtime("0.3.0") as runtime:
        runtime.configure(agent_id="a", backend="in_memory", observation_window=100, learners=learners)
        runtime.drive(runs[:warm], agent_id="a", wait="end")
        timing = runtime.drive(runs[warm:], agent_id="a", wait="end")
    return timing.cpu_ns / 1e6 / len(runs[warm:])


def our_ms(runs, warm):
    """Return the processor time of a run in our learner, measured as the runtime's is: all of them together."""
    learner, backend, hot_cache = AcgLearner("a"), acg.MemoryBackend(), HotCache()
    for run in runs[:warm]:
        learner.process_run(run, backend, hot_cache)
    started = time.process_time_ns()
    for run in runs[warm:]:
        learner.process_run(run, backend, hot_cache)
    spent = time.process_time_ns() - started
    (profile,) = hot_cache.acg_profiles
    assert len(backend.load_observations(profile)) == 100
    return spent / 1e6 / len(runs[warm:])


def test_learner(benchmark):
    """A run of one request costs at most a tenth of what the real learner takes, the window of 100 full.

    Both sides are processor time over the same requests, in turns, so that a busy neighbour meets both.
    """
    warm, bodies, ours, theirs = 100, one_profile(400), [], []
    runs = [as_run(number, body) for number, body in enumerate(bodies)]
    try:
        for _ in range(TURNS):
            theirs.append(runtime_ms(bodies, warm, learners=True) - runtime_ms(bodies, warm, learners=False))
            ours.append(benchmark.pedantic(our_ms, (runs, warm)) if not ours else our_ms(runs, warm))
    except RuntimeUnavailable as error:
        pytest.skip(f"the real runtime can't be had: {error}")
    our, their = statistics.median(ours), statistics.median(theirs)
    tell(benchmark, ours_ms=our, runtime_ms=their, times=their / our, at_least=10)
    assert our <= their / 10


def test_import(benchmark):
    """Importing the core takes at most 100 ms more than bare Python."""

    def start(statement):
        return lambda: subprocess.run([sys.executable, "-c", statement], check=True, cwd=ROOT)

    bare = statistics.median(interleaved(benchmark, start("import acg_lab.core"), start("pass"), 7)) * 1e3
    core = benchmark.stats.stats.median * 1e3
    tell(benchmark, core_ms=core, bare_ms=bare, extra_ms=core - bare, at_most=100)
    assert core - bare <= 100
