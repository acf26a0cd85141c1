"""tau_airline as Messages traffic: its requests rewritten for claude-sonnet-4-5, with usage of the slow simulator.

The slow simulator takes minutes for all 200 conversations. Of more than a few, usage comes from the fast one, which
`tests/providers/test_slow_agrees.py` holds equal to it.
"""

import gzip
import json
import os
from functools import lru_cache
from pathlib import Path

import pytest
from providers import slow
from providers.histories import EPOCH, Piece, Prompt, make_table
from simulation.histories import MARKER, START, sent, snapshot_of

from acg_lab.providers import PieceKind, find_provider, run_cache
from acg_lab.storage.times import parse_time, render_time

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("ACG_LAB_SHARED") or ROOT.parent / "shared") / "data" / "tau_airline"
MODEL, MINIMUM, FEW = "claude-sonnet-4-5", 1024, 20


def lines(name):
    path = DATA / name
    if not path.exists():
        pytest.skip("no recordings: neither ACG_LAB_SHARED nor a folder 'shared' beside the repository")
    with gzip.open(path) as file:
        return [json.loads(line) for line in file]


def rewrite(chat):
    """A Chat body as the Messages body that asks the same; breakpoints at its system prompt and its last message."""
    system = [{"type": "text", "text": chat["messages"][0]["content"], "cache_control": MARKER}]
    messages = []
    for message in chat["messages"][1:]:
        role, blocks = converted(message)
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] += blocks
        else:
            messages.append({"role": role, "content": blocks})
    messages[-1]["content"][-1] = {**messages[-1]["content"][-1], "cache_control": MARKER}
    tools = [
        {"name": f["name"], "description": f["description"], "input_schema": f["parameters"]}
        for f in (tool["function"] for tool in chat["tools"])
    ]
    return {"model": MODEL, "max_tokens": 1024, "tools": tools, "system": system, "messages": messages}


def converted(message):
    """The role and blocks of one Chat message."""
    if message["role"] == "tool":
        result = {"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": message["content"] or "-"}
        return "user", [result]
    blocks = [{"type": "text", "text": message["content"]}] if message.get("content") else []
    for call in message.get("tool_calls") or ():
        arguments = json.loads(call["function"]["arguments"])
        blocks.append({"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": arguments})
    return message["role"], blocks or [{"type": "text", "text": "-"}]


def prompt_of(body, at, took):
    """The same for the slow simulator: pieces of five tokens and one for every four bytes, framing of 496."""
    pieces, markers = [], {}

    def add(block, kind, message=-1, lead=""):
        bare = {key: value for key, value in block.items() if key != "cache_control"}
        if "cache_control" in block:
            markers[len(pieces)] = 0
        text = lead + json.dumps(bare)
        pieces.append(Piece(text, len(text) // 4 + 5, kind, message))

    for one in body["tools"]:
        add(one, PieceKind.TOOL)
    pieces.append(Piece("framing", 496, PieceKind.FRAMING, allows_breakpoint=False))
    for one in body["system"]:
        add(one, PieceKind.SYSTEM)
    kinds = {"tool_use": PieceKind.TOOL_USE, "tool_result": PieceKind.TOOL_RESULT}
    for number, message in enumerate(body["messages"]):
        usual = PieceKind.USER if message["role"] == "user" else PieceKind.ASSISTANT
        for k, one in enumerate(message["content"]):
            add(one, kinds.get(one["type"], usual), number, "" if k else message["role"])
    return Prompt(tuple(pieces), at - EPOCH / 1e9, markers, first_token=0.4 * took, took=took, model=MODEL, automatic=0)


def slow_usage(prompts):
    """Tokens read and written by each, by the slow simulator."""
    results = slow.run_breakpoints(prompts, find_provider("anthropic").settings, MINIMUM)
    return [(result.read, sum(tokens for _, tokens in result.writes)) for result in results]


def fast_usage(prompts):
    """The same by the fast one."""
    outcome = run_cache(make_table(prompts), find_provider("anthropic"))
    return list(zip(outcome.read_tokens.tolist(), outcome.written_tokens.sum(axis=1).tolist(), strict=True))


@lru_cache
def calls_of(n_conversations=200):
    """The calls of the first conversations, with usage."""
    requests = []
    conversations = zip(lines("requests.jsonl.gz"), lines("runs.jsonl.gz"), strict=True)
    for number, (conversation, run) in zip(range(n_conversations), conversations, strict=False):
        timed = [call for call in run["calls"] if call["kind"] == "llm"]
        for chat, call in zip(conversation["calls"], timed, strict=True):
            start, end = (parse_time(call[name]) / 1e9 for name in ("started_at", "ended_at"))
            requests.append((start, end - start, f"c{number}", rewrite(chat)))
    requests.sort(key=lambda request: request[0])
    prompts = [prompt_of(body, start, took) for start, took, _, body in requests]
    usage = slow_usage(prompts) if n_conversations <= FEW else fast_usage(prompts)
    return [
        sent(
            body,
            start - START,
            (prompt.tokens, *cached),
            run=run,
            agent="airline",
            took=took,
            first=0.4 * took,
        )
        for (start, took, run, body), prompt, cached in zip(requests, prompts, usage, strict=True)
    ]


@lru_cache
def traffic(n_conversations=200):
    """The snapshot of those calls."""
    return snapshot_of(*calls_of(n_conversations))


def log_rows(n_conversations=200):
    """Those calls as the lines of a log: bodies, usage, times and sessions."""
    rows = []
    for _, run, at, took, body, _, (prompt, read, written), *_ in calls_of(n_conversations):
        usage = {"cache_read_input_tokens": read, "cache_creation_input_tokens": written}
        rows.append(
            {
                "request": body,
                "response": {"type": "message", "usage": {"input_tokens": prompt - read - written, **usage}},
                "start_time": render_time(round((START + at) * 10**9)),
                "end_time": render_time(round((START + at + took) * 10**9)),
                "session_id": run,
            }
        )
    return rows
