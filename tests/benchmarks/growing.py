"""A request log of any size: agents with a prompt of their own each, in which a date changes from run to run."""

import json

import numpy as np

import acg_lab as acg
from acg_lab.core.keys import Owner
from acg_lab.snapshot import Snapshot
from acg_lab.storage.columns import Columns
from acg_lab.storage.observation_columns import Form, Header, ObservationColumns, offsets
from acg_lab.storage.recorded_runs import Runs
from acg_lab.storage.times import Times

__all__ = ["bodies", "many_agents", "write_sources"]

N_RUNS, N_CALLS = 6, 3


def bodies(n_agents):
    """Return requests as logged, with their bills, in the order in which they were sent."""
    rows = []
    for run in range(N_RUNS):
        day = f"2026-11-{run + 1:02}"
        for agent in range(n_agents):
            system, messages = f"You are agent {agent}. Today is {day}. " + f"Rule {agent} " * 200, []
            for call in range(N_CALLS):
                messages = [*messages, {"role": "user", "content": f"question {agent} {run} {call}"}]
                rows.append(
                    {
                        "agent": f"agent-{agent:05}",
                        "session": f"{agent}-{run}",
                        "started_at": f"{day}T{8 + call:02}:00:00Z",
                        "request": {
                            "model": "claude-sonnet-4-5",
                            "max_tokens": 100,
                            "system": system,
                            "messages": messages,
                        },
                        "response": {
                            "usage": {
                                "input_tokens": (len(system) + sum(len(m["content"]) for m in messages)) // 4,
                                "cache_read_input_tokens": 0,
                                "cache_creation_input_tokens": 0,
                                "output_tokens": 10,
                            }
                        },
                    }
                )
                messages = [*messages, {"role": "assistant", "content": f"answer {agent} {run} {call}"}]
    return rows


def write_sources(folder, n_agents):
    """Write the log and an export of what is learned from it."""
    rows = bodies(n_agents)
    (folder / f"{n_agents}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    acg.from_requests(rows).to_parquet(folder / str(n_agents))


def many_agents(n):
    """Return a snapshot of n agents with a window of four short observations each, made without learning."""
    keys = tuple(f"agent-{i:05}::model=m::seed=no-seed::system=no-system::tools=no-tools" for i in range(n))
    n_observations = 4 * n
    n_blocks = 3 * n_observations
    columns = ObservationColumns(
        keys=keys,
        window_offsets=offsets(np.full(n, 4)),
        block_offsets=np.arange(0, n_blocks + 1, 3),
        ir_ids=[""] * n_observations,
        request_hashes=[None] * n_observations,
        created=Times(np.arange(n_observations) * 10**9, {}),
        headers=np.zeros(n_observations, np.int32),
        spans=np.tile(np.arange(3, dtype=np.int32), n_observations),
        contents=(np.arange(n_blocks) % 977).astype(np.int32),
        forms=np.zeros(n_blocks, np.int32),
        indexes=np.tile(np.arange(3, dtype=np.uint32), n_observations),
        span_pool=["user-0", "user-1", "user-2"],
        content_pool=[f"text {i}" for i in range(977)],
        form_pool=[Form("user", "text", "user", "public", None, None)],
        header_pool=[Header(None, None, None)],
    )
    owners = {key: Owner(key.partition("::")[0], False) for key in keys}
    found = Columns(observations=columns, results={}, runs=Runs())
    return Snapshot(source="generated", columns=found, owners=owners, rules_setting="nemo-relay-0.8")
