"""What memory a load of many large profiles takes, from a Redis and from an export."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.measuring import ROOT, tell
from strategies import make_ir

import acg_lab as acg
from acg_lab.core.codec import encode_window

N_PROFILES, N_OBSERVATIONS, SIZE, AT_MOST = 100, 10, 100_000, 2.0
# See PEAK in test_claims.py; here the snapshot is analysed, too.
LOAD = """
import sys
import acg_lab as acg

def status(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name + ":"))

acg.analyze(acg.load(sys.argv[2], progress=False))  # imports all that is needed
before = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # the peak counts from here
acg.analyze(acg.load(sys.argv[1], progress=False))
print(status("VmHWM") - before)
"""


def window(rng):
    """Return a window of 1 MB that shares no text."""
    texts = (f"{rng.randbytes(SIZE // 2).hex()}" for _ in range(N_OBSERVATIONS))
    return tuple(make_ir(("system-0", "You answer."), ("user-0", text)) for text in texts)


def test_many_profiles_of_a_megabyte(benchmark, redis_url, redis_client, tmp_path):
    """Loaded and analysed they take at most twice their size, from either source."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of a process can be measured on Linux only")
    rng, size = random.Random(7), 0
    for i in range(N_PROFILES):
        raw = encode_window(window(rng))
        redis_client.set(f"p:acg_observations:agent-{i}", raw)
        size += len(raw)
    acg.load(redis_url, progress=False).to_parquet(tmp_path / "export")
    acg.load(redis_url, progress=False, keys=["none"]).to_parquet(tmp_path / "empty")

    def peak(source):
        command = [sys.executable, "-c", LOAD, str(source), str(tmp_path / "empty")]
        return int(subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout) * 1024 / size

    redis, parquet = benchmark.pedantic(lambda: (peak(redis_url), peak(tmp_path / "export")), rounds=1)
    tell(benchmark, data_mb=size / 1e6, redis_times=redis, parquet_times=parquet, at_most=AT_MOST)
    assert max(redis, parquet) <= AT_MOST
