"""A fleet's requests as columns: conversations of many agents, made without a snapshot."""

import time
from pathlib import Path

import numpy as np

from acg_lab.providers import AUTOMATIC_BY_DEFAULT, PieceKind
from acg_lab.providers.prices import PriceList
from acg_lab.simulation.bodies import Parameters
from acg_lab.simulation.history import PreparedHistory, read_settings
from acg_lab.simulation.judged_history import JudgedHistory
from acg_lab.simulation.requests import RecordedRequests, number_prefixes

SECOND = 10**9


def make_fleet(n_agents, n_runs=50, n_calls=10):
    """Requests of agents whose runs grow by two messages a call; breakpoints at the system prompt and at the end."""
    n = n_agents * n_runs * n_calls
    agent, run, call = (index.reshape(-1) for index in np.indices((n_agents, n_runs, n_calls)))
    started = run * 400 + call * 20 + agent % 97
    order = np.argsort(started, kind="stable")
    agent, run, call, started = agent[order], run[order], call[order], started[order]
    lengths = 2 + 1 + 2 * call  # tool, system, messages
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    owner = np.repeat(np.arange(n, dtype=np.int32), lengths)
    at = np.arange(offsets[-1], dtype=np.int64) - offsets[owner]
    is_message = at >= 2
    number = (agent * n_runs + run)[owner] * (2 * n_calls + 1) + at
    contents = np.where(is_message, 2 + 2 * n_agents + number, 2 + 2 * agent[owner] + at)
    _, contents = np.unique(contents, return_inverse=True)
    contents = contents.reshape(-1) + 2
    n_contents = int(contents.max()) + 1
    system, message = b"x" * 6000, b"x" * 400
    sizes = np.where(is_message, 100, 1500)
    ends = np.add.reduceat(sizes, offsets[:-1])
    texts = [message] * n_contents
    for code in np.unique(contents[~is_message]).tolist():
        texts[code] = system
    kinds = np.where(at == 0, PieceKind.TOOL, np.where(at == 1, PieceKind.SYSTEM, PieceKind.USER)).astype(np.uint8)
    last = at == lengths[owner] - 1
    none = np.full(n, -1, np.int64)
    read = np.where(call > 0, ends - 200, np.where(run > 0, 0, 0))
    return RecordedRequests(
        agent_ids=tuple(f"agent-{i}" for i in range(n_agents)),
        run_ids=tuple(f"run-{i}" for i in range(n_agents * n_runs)),
        model_names=("claude-sonnet-4-5",),
        scope_names=tuple(f"agent-{i}" for i in range(n_agents)),
        parameter_values=(Parameters(automatic_ttl=0),),
        agents=agent,
        runs=agent * n_runs + run,
        positions=agent * n_runs + run,
        calls=call,
        models=np.zeros(n, np.int64),
        scopes=agent,
        apis=np.zeros(n, np.int64),
        parameters=np.zeros(n, np.int64),
        steps=none,
        started=started * SECOND + 1_794_000_000 * SECOND,
        first_token=(started + 1) * SECOND + 1_794_000_000 * SECOND,
        ended=(started + 3) * SECOND + 1_794_000_000 * SECOND,
        prompt=ends,
        read=read,
        write=ends - read,
        write_long=np.zeros(n, np.int64),
        output=none,
        timed=np.ones(n, bool),
        recorded=np.ones(n, bool),
        raw=np.ones(n, bool),
        cut=np.zeros(n, bool),
        failed=np.zeros(n, bool),
        disbelieved=np.zeros(n, bool),
        flags=np.zeros(n, np.uint8),
        automatic_ttls=np.full(n, AUTOMATIC_BY_DEFAULT * 0),
        piece_offsets=offsets,
        contents=contents.astype(np.int32),
        kinds=kinds,
        messages=np.where(is_message, at - 2, -1).astype(np.int32),
        allows_breakpoint=np.ones(len(owner), bool),
        own_breakpoints=np.where(last | (at == 1), 0, -1).astype(np.int32),
        nodes=number_prefixes(agent, contents, offsets),
        texts=texts,
        vendor_diagnoses=("",) * n,
    )


def simulate_fleet(n_agents):
    """Simulate a fleet with costs, limit, parts and verdicts; return seconds, and bytes of memory at the most.

    The memory is that of the whole process: interpreter, libraries and the fleet's columns are in it.
    """
    fleet = make_fleet(n_agents)
    started = time.perf_counter()
    judge(fleet)
    return time.perf_counter() - started, _peak_memory()


def judge(fleet):
    """Simulate a fleet with costs, limit, parts and verdicts."""
    sim = judged(fleet)
    sim.cost(sim.tokens, money=True)
    _ = sim.verdicts, sim.at_limit


def judged(fleet):
    """Return a fleet's simulation as it was."""
    history, config = PreparedHistory((), fleet, "auto"), read_settings(None, 100, "config")
    sizes = history.sizes(config)
    runs = history.run(config, "sent", config, sizes)
    return JudgedHistory(history, sizes, runs, runs, config, config, PriceList())


def _peak_memory():
    """Bytes that this process held at the most; of Linux's account, since others count what a parent held too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
