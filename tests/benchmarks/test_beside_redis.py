"""What another client of a Redis notices of a load: its commands wait hardly longer."""

import statistics
import subprocess
import sys

import pytest
from benchmarks.measuring import ROOT, tell
from strategies import make_ir

from acg_lab.core.codec import encode_window

TURNS, SECONDS, AT_MOST = 7, 1.0, 1.5
# Another client, in a process of its own: gets a small value again and again, and prints the 99th percentile.
CLIENT = """
import sys, time
import redis
client = redis.Redis.from_url(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    took, end = [], time.perf_counter() + float(line)
    while (start := time.perf_counter()) < end:
        client.get("small")
        took.append(time.perf_counter() - start)
        time.sleep(0.0005)
    print(sorted(took)[len(took) * 99 // 100], flush=True)
"""
# Loads in turns: as gently as from another machine, or the same values from memory, which leaves the server alone.
LOADER = """
import sys, time
import acg_lab as acg
from acg_lab.storage.base import EVERYTHING
with acg.RedisBackend(sys.argv[1], key_prefix="p:", gentle=True) as backend:
    kept = list(backend.scan(EVERYTHING))

class Kept(acg.MemoryBackend):
    def scan(self, selection, progress):
        yield from kept

sources = {"alone": Kept(), "beside": backend}
print("ready", flush=True)
for line in sys.stdin:
    end = time.perf_counter() + float(line.split()[1])
    while time.perf_counter() < end:
        acg.load(sources[line.split()[0]], progress=False)
    print("done", flush=True)
"""


def start(code, url):
    process = subprocess.Popen(
        [sys.executable, "-c", code, url], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    return process


def ask(process, line):
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


@pytest.mark.parametrize(("n", "size"), [(6, 10_000_000), (100, 200_000)], ids=["large windows", "many windows"])
def test_another_client_beside_a_load(benchmark, redis_url, redis_client, n, size):
    """The 99th percentile of another client's commands is at most 1.5 times that without the load.

    The loading process is as busy meanwhile, with the same values from memory. Medians of turns.
    """
    redis_client.set("small", b"x" * 100)
    for i in range(n):
        redis_client.set(f"p:acg_observations:{i}", encode_window((make_ir(("user-0", f"{i} " + "x" * size)),)))
    client, loader = start(CLIENT, redis_url), start(LOADER, redis_url)
    found = {"alone": [], "beside": []}

    def turn():
        for name, times in found.items():
            ask(loader, f"{name} {SECONDS + 0.1}")
            ask(client, SECONDS)
            times.append(float(client.stdout.readline()))
            assert loader.stdout.readline() == "done\n"

    try:
        benchmark.pedantic(turn, rounds=TURNS)
    finally:
        for process in (client, loader):
            process.stdin.close()
            process.wait(timeout=60)
            process.stdout.close()
    alone, beside = (1000 * statistics.median(times) for times in found.values())
    tell(benchmark, alone_ms=alone, beside_ms=beside, ratio=beside / alone, at_most=AT_MOST)
    assert beside <= AT_MOST * alone
