"""What is claimed of reading request logs: speed against parsing alone, memory, growth, and that it can be stopped.

The recordings are no part of the repository; see ``measuring.py``.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import textwrap
import time
from functools import partial

import msgspec
import pytest
from benchmarks.measuring import ROOT, best_in_turns, cpu_seconds, interleaved, lines, tell, worker_seconds

import acg_lab as acg

TIMES_PARSING = 4
SPEED_UP = 1.15  # of two workers and the process that asks
ABOVE_TEXT_MB = 64
AGENTS = 2_000
MOST_MB = 2_048
SECONDS = 3_000
MB = 2**20
MEASURED = """
    import resource, sys, warnings
    import acg_lab as acg
    acg.from_requests([{"model": "m", "messages": [{"role": "user", "content": "x"}]}])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    snap = acg.load(sys.argv[1], progress=False)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    texts = sum(map(len, (*snap.runs.messages.texts, *snap.runs.values.texts)))
    print(before * 1024, after * 1024, texts, len(snap.runs))
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Return the log of all recorded requests, a bare Chat body a line."""
    path = tmp_path_factory.mktemp("logs") / "tau_airline.jsonl"
    with path.open("w") as log:
        for conversation in lines("requests.jsonl.gz"):
            log.writelines(json.dumps(body) + "\n" for body in conversation["calls"])
    return path


def write_short(path, n):
    """Write short requests of many agents, as a proxy logs them."""
    usage = {"prompt_tokens": 60, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 0}}
    with path.open("w") as log:
        for i in range(n):
            system = {"role": "system", "content": f"You are agent {i % AGENTS}. Be helpful, kind and exact."}
            user = {"role": "user", "content": f"Question {i}: what about item {i * 7919 % 100_003}?"}
            line = {
                "timestamp": 1764460800 + i * 0.05,
                "agent": f"agent-{i % AGENTS}",
                "request": {"model": "gpt-5.1", "messages": [system, user]},
                "response": {"id": f"r{i}", "usage": usage},
            }
            log.write(json.dumps(line) + "\n")
    return path


def measure(path):
    """Load a log in a process of its own; return bytes before and after, bytes of distinct text, and runs."""
    command = [sys.executable, "-c", textwrap.dedent(MEASURED), str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=SECONDS)
    return map(int, done.stdout.split())


def parse(path):
    decode = msgspec.json.Decoder(dict).decode
    with path.open("rb") as log:
        for line in log:
            decode(line)


def test_loading_and_learning_take_four_times_parsing(benchmark, recorded):
    """Loading a log of raw bodies, learning included, takes at most four times parsing its lines into dicts."""
    acg.load(recorded, progress=False)
    bases = interleaved(benchmark, lambda: acg.load(recorded, progress=False), lambda: parse(recorded), 7)
    ratio = statistics.median(benchmark.stats.stats.data) / statistics.median(bases)
    tell(benchmark, times_parsing=ratio)
    assert ratio < TIMES_PARSING


def test_memory_is_that_of_distinct_text(benchmark, recorded):
    """Loading takes 64 MB above the interpreter and the distinct text, though the file holds far more."""
    before, after, texts, _ = benchmark.pedantic(measure, args=(recorded,), rounds=1)
    tell(benchmark, above_mb=(after - before - texts) / MB, text_mb=texts / MB, file_mb=recorded.stat().st_size / MB)
    assert after - before < texts + ABOVE_TEXT_MB * MB


def test_time_grows_with_the_number_of_requests(benchmark, tmp_path):
    """Four times the requests take about four times as long."""
    sizes = (5_000, 10_000, 20_000, 40_000)
    paths = [write_short(tmp_path / f"{n}.jsonl", n) for n in sizes]
    times = best_in_turns(benchmark, [partial(acg.load, path, progress=False) for path in paths], 2)
    tell(benchmark, **{f"seconds_{n}": found for n, found in zip(sizes, times, strict=True)})
    assert times[2] < 6 * times[0]
    assert times[3] < 6 * times[1]


def write_conversations(path, n):
    """Write conversations of ten requests with a system prompt of 6 kB, as a proxy logs them."""
    system = [{"type": "text", "text": "policy " * 850, "cache_control": {"type": "ephemeral"}}]
    with path.open("w") as log:
        for i in range(n // 10):
            messages = []
            for call in range(10):
                messages.append({"role": "user", "content": f"question {path.stem} {i} {call} " + "word " * 40})
                body = {"model": "claude-sonnet-4-5", "max_tokens": 100, "system": system, "messages": messages}
                usage = {"input_tokens": 60 * call + 60, "cache_read_input_tokens": 1500, "output_tokens": 20}
                answer = {"id": f"r{i}.{call}", "usage": usage}
                line = {"session_id": f"{path.stem} {i}", "request": body, "response": answer}
                log.write(json.dumps(line) + "\n")
                messages.append({"role": "assistant", "content": f"answer {i} {call} " + "word " * 20})


def test_two_workers_against_one(benchmark, tmp_path):
    """Of eight files half of what two workers do, and then all that is left here, is at most 1/1.15 of one process.

    That is processor time, which neighbours hardly change; on a quiet machine the two overlap in part.
    """
    for day in range(8):
        write_conversations(tmp_path / f"{day}.jsonl", 1_500)
    load = partial(acg.load, tmp_path, progress=False)
    load(n_jobs=2)  # starts the workers
    alone = min(cpu_seconds(load) for _ in range(2))
    before = worker_seconds()
    here = benchmark.pedantic(cpu_seconds, (lambda: load(n_jobs=2),), rounds=1)
    spent = [seconds - before.get(pid, 0) for pid, seconds in worker_seconds().items()]
    ratio = alone / (sum(spent) / 2 + here)
    tell(benchmark, ratio=ratio, limit=SPEED_UP, alone=alone, workers=sum(spent), here=here)
    assert ratio >= SPEED_UP


@pytest.mark.skipif(not os.environ.get("ACG_LAB_LONG"), reason="takes minutes: set ACG_LAB_LONG=1")
def test_a_million_short_requests_fit_into_two_gigabytes(benchmark, tmp_path):
    """A million short requests of 2,000 agents load and are learned in less than 2 GB."""
    path = write_short(tmp_path / "million.jsonl", 1_000_000)
    _, after, texts, runs = benchmark.pedantic(measure, args=(path,), rounds=1)
    tell(benchmark, peak_mb=after / MB, text_mb=texts / MB, seconds=benchmark.stats.stats.max)
    assert runs == 1_000_000
    assert after < MOST_MB * MB


def test_reading_can_be_interrupted(benchmark, tmp_path):
    """Ctrl-C ends the reading of a long log within a second."""
    path = write_short(tmp_path / "long.jsonl", 200_000)
    program = (
        "import signal, sys, acg_lab as acg; acg.load; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "print('go', flush=True); acg.load(sys.argv[1], progress=False)"
    )  # a shell starts what runs in the background deaf to Ctrl-C
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        time.sleep(2)
        assert process.poll() is None

        def interrupt():
            process.send_signal(signal.SIGINT)
            process.wait(10)

        benchmark.pedantic(interrupt, rounds=1)
        assert b"KeyboardInterrupt" in process.stderr.read()
    tell(benchmark, seconds=benchmark.stats.stats.max)
    assert benchmark.stats.stats.max < 1
