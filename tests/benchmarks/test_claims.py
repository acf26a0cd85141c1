"""What is claimed of speed and memory, as ratios measured in one run (``pytest tests/benchmarks --benchmark-only``).

The recordings are no part of the repository: a folder ``shared`` beside it, or the one that ACG_LAB_SHARED names.
"""

import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from conformance.runtime import Runtime, RuntimeUnavailable

import acg_lab as acg
from acg_lab.core import AcgLearner, HotCache, PromptIR, RunRecord, StabilityAnalysisResult

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("ACG_LAB_SHARED") or ROOT.parent / "shared") / "data" / "tau_airline"
MEBI = 1 << 20


def lines(name):
    path = DATA / name
    if not path.exists():
        pytest.skip("no recordings: neither ACG_LAB_SHARED nor a folder 'shared' beside the repository")
    with gzip.open(path) as file:
        return [json.loads(line) for line in file]


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


def seconds(work, rounds=5):
    """Return the best time of several rounds."""
    best = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def fetch_and_decode(client):
    for key in client.scan_iter(count=1000):
        kind = StabilityAnalysisResult if b"acg_stability:" in key else tuple[PromptIR, ...]
        msgspec.json.decode(client.get(key), type=kind)


def size(folder):
    return sum(file.stat().st_size for file in Path(folder).iterdir())


def test_loading_from_redis(benchmark, filled, redis_client):
    """Loading takes at most twice as long as GET and typed decoding of the same bytes."""
    base = seconds(lambda: fetch_and_decode(redis_client))
    benchmark.pedantic(lambda: acg.load(filled, progress=False), rounds=5)
    ratio = benchmark.stats.stats.min / base
    benchmark.extra_info.update(get_and_decode_s=base, ratio=ratio)
    print(f"\nload from Redis / GET + decode: {ratio:.2f} (at most 2)")
    assert ratio <= 2


def test_loading_from_parquet(benchmark, filled, tmp_path):
    """An export is at most 1.5 MB and loads at least 5 times faster than the Redis."""
    acg.load(filled).to_parquet(tmp_path / "export")
    redis = seconds(lambda: acg.load(filled, progress=False))
    benchmark.pedantic(lambda: acg.load(tmp_path / "export", progress=False), rounds=9)
    ratio = redis / benchmark.stats.stats.min
    benchmark.extra_info.update(redis_s=redis, ratio=ratio, bytes=size(tmp_path / "export"))
    print(f"\nRedis / Parquet: {ratio:.1f} (at least 5), {size(tmp_path / 'export') / 1e6:.2f} MB (at most 1.5)")
    assert ratio >= 5
    assert size(tmp_path / "export") <= 1.5e6


def test_size_with_runs(benchmark, filled_with_runs, tmp_path):
    """With 54 MB of runs an export is at most 3 MB."""
    snap = acg.load(filled_with_runs)
    benchmark.pedantic(lambda: snap.to_parquet(tmp_path / "export", overwrite=True), rounds=3)
    print(f"\nexport with runs: {size(tmp_path / 'export') / 1e6:.2f} MB (at most 3)")
    assert size(tmp_path / "export") <= 3e6


PEAK = """
import sys
import acg_lab as acg

def status(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name + ":"))

acg.load(sys.argv[1], progress=False, agent_id="nobody")  # imports all that a load needs
before = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # the peak counts from here
snap = acg.load(sys.argv[1], progress=False)
print(status("VmHWM") - before)
"""


def test_peak_memory(benchmark, filled, tmp_path):
    """Either load takes at most 48 MB above the interpreter with its imports."""
    acg.load(filled).to_parquet(tmp_path / "export")
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of a process can be measured on Linux only")

    def peaks():
        found = []
        for source in (filled, str(tmp_path / "export")):
            command = [sys.executable, "-c", PEAK, source]
            found.append(int(subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout) / 1024)
        return found

    redis, parquet = benchmark.pedantic(peaks, rounds=1)
    print(f"\npeak memory: Redis {redis:.0f} MB, Parquet {parquet:.0f} MB (at most 48)")
    assert max(redis, parquet) <= 48


def one_profile(n):
    """Return requests that all belong to one profile: their first user message is the same."""
    bodies = [body for conversation in lines("requests.jsonl.gz") for body in conversation["calls"]][:n]
    for body in bodies:
        body["messages"][1]["content"] = "hello"
    return bodies


def runtime_seconds(version, bodies, warm, *, learners):
    with Runtime(version) as runtime:
        runtime.configure(agent_id="a", backend="in_memory", observation_window=100, learners=learners)
        runtime.drive([[body] for body in bodies[:warm]], agent_id="a", wait="end")
        timing = runtime.drive([[body] for body in bodies[warm:]], agent_id="a", wait="end")
    return timing.cpu_ns / 1e9 / (len(bodies) - warm)


def test_learner(benchmark):
    """A run of one request costs at most a tenth of what the real learner takes, the window of 100 full."""
    warm, bodies = 120, one_profile(400)
    try:
        with_learner, without = (runtime_seconds("0.3.0", bodies, warm, learners=on) for on in (True, False))
    except RuntimeUnavailable as error:
        pytest.skip(f"the real runtime can't be had: {error}")
    runs = [
        msgspec.convert(
            {
                "id": str(i),
                "agent_id": "a",
                "started_at": "2026-01-01T00:00:00Z",
                "calls": [
                    {"kind": "llm", "name": "n", "started_at": "2026-01-01T00:00:00Z", "annotated_request": body}
                ],
            },
            RunRecord,
        )
        for i, body in enumerate(bodies)
    ]
    learner, backend, hot_cache = AcgLearner("a"), acg.MemoryBackend(), HotCache()
    for run in runs[:warm]:
        learner.process_run(run, backend, hot_cache)
    timed = iter(runs[warm:])
    benchmark.pedantic(lambda: learner.process_run(next(timed), backend, hot_cache), rounds=len(runs) - warm - 1)
    assert len(hot_cache.acg_profiles) == 1
    # The median: the mean of a noisy machine says more of its neighbours than of the learner.
    ratio = benchmark.stats.stats.median / (with_learner - without)
    benchmark.extra_info.update(runtime_ms=(with_learner - without) * 1e3, ratio=ratio)
    print(f"\nprocess_run / nemo-relay 0.3.0: 1/{1 / ratio:.0f} (at most 1/10)")
    assert ratio <= 1 / 10


def test_import(benchmark):
    """Importing the core takes at most 100 ms more than bare Python."""

    def start(statement):
        subprocess.run([sys.executable, "-c", statement], check=True, cwd=ROOT)

    bare = seconds(lambda: start("pass"), 9)
    benchmark.pedantic(lambda: start("import acg_lab.core"), rounds=9)
    extra = (benchmark.stats.stats.min - bare) * 1e3
    print(f"\nimport acg_lab.core: {extra:.0f} ms over bare Python (at most 100)")
    assert extra <= 100
