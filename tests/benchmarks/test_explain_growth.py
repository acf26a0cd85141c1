"""What is claimed of how `acg.explain` grows: with the profiles of one agent, and with the length of texts."""

import gc
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from benchmarks.measuring import ROOT, tell

import acg_lab as acg
from acg_lab.core.keys import Owner
from acg_lab.diagnosis import Kind
from acg_lab.snapshot import Snapshot
from acg_lab.storage.columns import Columns
from acg_lab.storage.observation_columns import Form, Header, ObservationColumns, offsets
from acg_lab.storage.recorded_runs import Runs
from acg_lab.storage.times import Times

A_DOUBLING = 2.3
TIMES_TEXT = 4
MB = 2**20
SYSTEM = Form("system", "text", "system", "public", None, None)
USER = Form("user", "text", "user", "public", None, None)
TOOL = Form("system", "tool_schema", "developer", "public", None, None)
LONG_TEXTS = """
    import random, sys, time
    from pathlib import Path
    import acg_lab as acg

    def memory(name):
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name))

    size = int(sys.argv[1]) // 4
    rng = random.Random(7)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(5_000)]
    base = " ".join(rng.choices(words, k=size // 6))[: size - 64]
    texts = [f"{base[: size // 2]} It is 08:{minute} in Rome. {base[size // 2 :]}" for minute in range(10, 14)]
    snap = acg.from_requests(
        [{"model": "m", "messages": [{"role": "system", "content": text}, {"role": "user", "content": str(i)}]}
         for text in texts for i in range(2)]
    )
    length = sum(map(len, texts))
    del base, texts
    acg.explain(acg.load(acg.MemoryBackend()))
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the peak of making the texts
    before = memory("VmRSS")
    started = time.process_time()
    (finding,) = acg.explain(snap, money=False)
    seconds = time.process_time() - started
    assert finding.kind.value == "datetime", finding
    print(length, memory("VmHWM") - before, seconds)
"""


def profiles(n, part):
    """Make n profiles of one agent, two requests each, which differ in the first message or in all their tools."""
    keys = [
        f"agent::model=m::seed={f'sha256:{i:016x}' if part == 'seed' else 'no-seed'}::system=sha256:{7:016x}"
        f"::tools={f'sha256:{i:016x}' if part == 'tools' else 'no-tools'}"
        for i in range(n)
    ]
    shared = ["You answer for the shop. " * 240, "Where is my order?"]
    own = [f"Question {i}: where is it?" if part == "seed" else f'{{"name":"lookup_{i}"}}' for i in range(n)]
    spans = [f"system-0-lookup_{i}" for i in range(n)] if part == "tools" else ["user-1"]
    variant = np.repeat(np.arange(n), 2)
    second = variant + 2 if part == "tools" else np.zeros(2 * n, np.int64)
    third = np.ones(2 * n, np.int64) if part == "tools" else variant + 2
    columns = ObservationColumns(
        keys=tuple(keys),
        window_offsets=offsets(np.full(n, 2)),
        block_offsets=np.arange(0, 6 * n + 1, 3),
        ir_ids=[""] * (2 * n),
        request_hashes=[None] * (2 * n),
        created=Times(np.arange(2 * n) * 10**9, {}),
        headers=np.zeros(2 * n, np.int32),
        spans=np.stack([np.zeros(2 * n), second, np.ones(2 * n)], axis=1).astype(np.int32).ravel(),
        contents=np.stack([np.zeros(2 * n), second, third], axis=1).astype(np.int32).ravel(),
        forms=np.tile(np.array([0, 2 if part == "tools" else 0, 1], np.int32), 2 * n),
        indexes=np.tile(np.arange(3, dtype=np.uint32), 2 * n),
        span_pool=["system-0", "user-1", *spans],
        content_pool=[*shared, *own],
        form_pool=[SYSTEM, USER, TOOL],
        header_pool=[Header(None, None, None)],
    )
    return Snapshot(
        source="generated",
        columns=Columns(observations=columns, results={}, runs=Runs()),
        owners={key: Owner("agent", False) for key in keys},
        rules_setting="nemo-flow-0.2" if part == "seed" else "nemo-relay-0.8",
    )


def prompts(n):
    """Make n profiles of one agent, two requests each, whose system prompts hold a clock and the name of a user."""
    steady = "You answer for the shop. " * 60
    clocks = [f"{i // 60 % 24:02}:{i % 60:02}:{i // 1440:02}" for i in range(n)]
    texts = [f"Now: {now}\n{steady}\nUser: {'ABCD'[i % 4]}da\n{steady}" for i, now in enumerate(clocks)]
    keys = [f"agent::model=m::seed=no-seed::system=sha256:{i:016x}::tools=no-tools" for i in range(n)]
    contents = np.stack([np.repeat(np.arange(n), 2), np.full(2 * n, n)], axis=1)
    columns = ObservationColumns(
        keys=tuple(keys),
        window_offsets=offsets(np.full(n, 2)),
        block_offsets=np.arange(0, 4 * n + 1, 2),
        ir_ids=[""] * (2 * n),
        request_hashes=[None] * (2 * n),
        created=Times(np.arange(2 * n) * 10**9, {}),
        headers=np.zeros(2 * n, np.int32),
        spans=np.tile(np.array([0, 1], np.int32), 2 * n),
        contents=contents.astype(np.int32).ravel(),
        forms=np.tile(np.array([0, 1], np.int32), 2 * n),
        indexes=np.tile(np.arange(2, dtype=np.uint32), 2 * n),
        span_pool=["system-0", "user-1"],
        content_pool=[*texts, "Where is my order?"],
        form_pool=[SYSTEM, USER],
        header_pool=[Header(None, None, None)],
    )
    return Snapshot(
        source="generated",
        columns=Columns(observations=columns, results={}, runs=Runs()),
        owners={key: Owner("agent", False) for key in keys},
        rules_setting="nemo-relay-0.8",
    )


def test_time_grows_with_prompts_of_two_causes(benchmark):
    """Four times the profiles take about four times as long where each has a text with two causes of its own."""

    def busy(n):
        snap = prompts(n)
        gc.collect()
        started = time.process_time()
        findings = acg.explain(snap, progress=False)
        assert [finding.kind for finding in findings] == [Kind.DATETIME, Kind.PERSON]
        return time.process_time() - started

    busy(50)
    times = [min(busy(n) for _ in range(2)) for n in (400, 1_600)]
    benchmark.pedantic(lambda: None)
    tell(benchmark, seconds_400=times[0], seconds_1600=times[1])
    assert times[1] < A_DOUBLING**2 * times[0]


@pytest.mark.parametrize(("part", "kind"), [("seed", Kind.FRAGMENTED_BY_FIRST_MESSAGE), ("tools", Kind.TOOLS_REMOVED)])
def test_time_grows_with_the_profiles_of_an_agent(benchmark, part, kind):
    """Twice the profiles of one agent take about twice as long, whatever part of their keys differs."""

    def busy(n):
        snap = profiles(n, part)
        gc.collect()
        started = time.process_time()
        findings = acg.explain(snap, progress=False)
        assert findings[0].kind is kind
        return time.process_time() - started

    busy(100)
    turns = [[busy(n) for n in (5_000, 10_000, 20_000)] for _ in range(3)]
    times = [min(of_size) for of_size in zip(*turns, strict=True)]
    benchmark.pedantic(lambda: None)
    tell(benchmark, **{f"seconds_{n}": found for n, found in zip((5_000, 10_000, 20_000), times, strict=True)})
    assert times[2] < A_DOUBLING**2 * times[0]


def test_time_and_memory_grow_with_texts(benchmark):
    """Twice the text takes about twice as long, within four times its size in memory."""

    def measure(size):
        command = [sys.executable, "-c", textwrap.dedent(LONG_TEXTS), str(size)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=600)
        return [float(figure) for figure in done.stdout.split()]

    found = benchmark.pedantic(lambda: [measure(size * MB) for size in (5, 10, 20)], rounds=1)
    for length, above, seconds in found:
        tell(benchmark, text_mb=length / MB, above_mb=above / MB, seconds=seconds)
        assert above <= TIMES_TEXT * length
    assert found[2][2] < A_DOUBLING**2 * found[0][2]
