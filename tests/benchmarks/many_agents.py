"""A fleet of any size, generated, and what a survey of it takes; by hand for ten million requests.

::

    python tests/benchmarks/many_agents.py make FOLDER --agents 5000 --requests 2000 --jobs 2
    python tests/benchmarks/many_agents.py survey FOLDER --jobs 2 [--findings] [--sweep]

Agents have conversations of ten requests with recorded usage, in an export with a folder per agent. Every second one
has a system prompt that begins with a number, another one in each conversation.
"""

import argparse
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import joblib
import psutil
from simulation.histories import MARKER, SONNET, run_id, stamp

import acg_lab as acg
from acg_lab.core import AnnotatedLlmRequest, CallRecord, RunRecord
from acg_lab.core.records import Exchange, Usage

N_CALLS = 10  # of a conversation
SYSTEM = "policy " * 850
_TOGETHER = 20  # agents that are written at once


def make_agents(folder, first, n_agents, n_requests):
    """Export agents, each into a folder of its own below the tables of an export."""
    runs = [
        RunRecord(
            id=run_id(f"{agent:x}.{number:x}"),
            agent_id=f"agent-{agent:05}",
            calls=(calls := _conversation(number, is_varying=bool(agent % 2))),
            started_at=calls[0].started_at,
            ended_at=calls[-1].ended_at,
        )
        for agent in range(first, first + n_agents)
        for number in range(n_requests // N_CALLS)
    ]
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        acg.learn(runs).to_parquet(Path(temporary, "piece"), partition_by="agent")
        for path in Path(temporary, "piece").rglob("*"):
            if path.is_file():
                target = folder / path.relative_to(Path(temporary, "piece"))
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(path, target)


def _conversation(number, *, is_varying):
    system = f"now {number} {SYSTEM}" if is_varying else SYSTEM
    calls, messages = [], []
    for call in range(N_CALLS):
        messages.append({"role": "user", "content": f"question {number} {call} " + "word " * 40})
        parts = [{"type": "text", "text": system, "cache_control": MARKER}]
        body = {"model": SONNET, "max_tokens": 100, "system": parts, "messages": list(messages)}
        read = 1500 if call or (number and not is_varying) else 0
        usage = Usage(prompt_tokens=1500 + 60 * (2 * call + 1), cache_read_tokens=read, cache_write_tokens=1500 - read)
        at = number * 400 + call * 20
        calls.append(
            CallRecord(
                kind="llm",
                name="anthropic",
                started_at=stamp(at),
                ended_at=stamp(at + 2),
                model_name=SONNET,
                annotated_request=AnnotatedLlmRequest(
                    messages=({"role": "system", "content": system}, *messages), model=SONNET
                ),
                exchange=Exchange(api="anthropic", request=body, usage=usage),
            )
        )
        messages.append({"role": "assistant", "content": f"answer {number} {call} " + "word " * 20})
    return tuple(calls)


def make_fleet(folder, n_agents, n_requests, n_jobs=1):
    """Export a fleet."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    tasks = (
        joblib.delayed(make_agents)(folder, first, min(_TOGETHER, n_agents - first), n_requests)
        for first in range(0, n_agents, _TOGETHER)
    )
    joblib.Parallel(n_jobs=n_jobs)(tasks)
    return str(folder)


def _watch(peaks, spent, ended):
    """Keep the largest resident memory and the processor time of this process and of each that it started."""
    while not ended.wait(0.2):
        for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
            try:
                peaks[process.pid] = max(peaks.get(process.pid, 0), process.memory_info().rss)
                spent[process.pid] = sum(process.cpu_times()[:2])
            except psutil.Error:
                continue


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("make", "survey"))
    parser.add_argument("folder")
    parser.add_argument("--agents", type=int, default=100)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--findings", action="store_true")
    parser.add_argument("--sweep", action="store_true")
    given = parser.parse_args()
    begin = time.perf_counter()
    if given.what == "make":
        make_fleet(given.folder, given.agents, given.requests, given.jobs)
        print(f"{given.agents * given.requests:,} requests in {time.perf_counter() - begin:.1f} s")
        return
    peaks, spent, ended = {}, {}, threading.Event()
    watcher = threading.Thread(target=_watch, args=(peaks, spent, ended), daemon=True)
    watcher.start()
    found = acg.survey(given.folder, findings=given.findings, sweep=given.sweep, n_jobs=given.jobs)
    ended.set()
    watcher.join()
    own = peaks.pop(psutil.Process().pid, 0)
    workers = max(peaks.values(), default=0)
    print(found)
    print(
        f"{found.n_requests:,} requests of {len(found):,} agents in {found.seconds:.1f} s; processor time of each "
        f"process {', '.join(f'{seconds:.1f}' for seconds in spent.values())} s; "
        f"at most {workers / 2**20:,.0f} MB in a worker, {own / 2**20:,.0f} MB here"
    )


if __name__ == "__main__":
    main()
