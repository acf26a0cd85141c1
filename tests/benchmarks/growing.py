"""A request log of any size: agents with a prompt of their own each, in which a date changes from run to run."""

import json

import acg_lab as acg

__all__ = ["bodies", "write_sources"]

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
