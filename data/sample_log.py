"""The sample log: four days of three agents, as a proxy in front of the providers logged their requests.

A line holds the request body as sent, the answer with its usage, times, ids and labels. Two agents send Anthropic
Messages, one OpenAI Chat Completions. One of the two replicas of ``support-mail`` prints the definitions of its tools
with their keys sorted: the governor can't see that, since it compares tools in canonical form; a provider compares what
was sent.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import NamedTuple

from sample_cache import PromptCache, chain_prefixes
from sample_runs import Call, draw_runs, to_messages_tool
from sample_scenes import AGENTS, Agent
from sample_texts import Json

from acg_lab.storage.times import render_time

__all__ = ["write_log"]

_FIRST, _LAST = "2026-11-09", "2026-11-12"  # Monday to Thursday
_LOGGED = ("support-mail", "handbook-search", "code-review")
_REPLICAS = {"support-mail": ("mail-1", "mail-2")}
_SORTS_KEYS = "mail-2"
_ANTHROPIC = "anthropic_messages"
_MARK = {"cache_control": {"type": "ephemeral"}}


class _Sent(NamedTuple):
    """One request on its way: its run, what is sent, and by which replica."""

    agent: Agent
    session: str
    call: Call
    body: Json
    replica: str | None


def write_log(path: Path, seed: int) -> None:
    """Write the log, packed by gzip; the same seed gives the same lines."""
    lines = (json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in _lines(seed))
    path.write_bytes(gzip.compress("".join(lines).encode(), mtime=0))


def _lines(seed: int) -> Iterator[Json]:
    """Yield the lines in the order in which the answers came."""
    by_end = sorted(
        ((call.ended, line) for agent in AGENTS if agent.agent_id in _LOGGED for call, line in _of_agent(agent, seed)),
        key=lambda item: item[0],
    )
    yield from (line for _, line in by_end)


def _of_agent(agent: Agent, seed: int) -> Iterator[tuple[Call, Json]]:
    """Yield the requests of one agent in the order in which they were sent, with what the provider answered."""
    rng = Random(f"{seed} {agent.agent_id} log")
    cache = PromptCache(agent.api)
    for sent in sorted(_requests(agent, rng, seed), key=lambda sent: sent.call.started):
        yield sent.call, _line(sent, cache, rng)


def _requests(agent: Agent, rng: Random, seed: int) -> Iterator[_Sent]:
    for run in draw_runs(agent, Random(f"{seed} {agent.agent_id}")):
        if not _FIRST <= render_time(run.started)[:10] <= _LAST:
            continue
        session = f"s-{rng.getrandbits(40):010x}"
        for call in run.calls:
            replica = rng.choice(_REPLICAS[agent.agent_id]) if agent.agent_id in _REPLICAS else None
            yield _Sent(agent, session, call, _body(agent, call, replica), replica)


# --- requests ---


def _body(agent: Agent, call: Call, replica: str | None) -> Json:
    """Write the body as the application sends it."""
    request = call.exchange.live
    if agent.api != _ANTHROPIC:
        return {
            "model": request.model,
            "messages": list(request.messages),
            "tools": list(request.tools or ()),
            "max_completion_tokens": request.params["max_tokens"],
        }
    tools = [to_messages_tool(tool["function"]) for tool in request.tools or ()]
    return {
        "model": request.model,
        **request.params,
        **_MARK,  # up to the last message
        "system": [{"type": "text", "text": request.unknown["instructions"], **_MARK}],
        "tools": [_sort_keys(tool) for tool in tools] if replica == _SORTS_KEYS else tools,
        "messages": list(request.messages),
    }


def _sort_keys(value: Json) -> Json:
    return json.loads(json.dumps(value, sort_keys=True))


def _cached(agent: Agent, body: Json, cache: PromptCache, now: int) -> tuple[int, int, int]:
    """Return the tokens of the prompt, and of these what was read from the cache and written to it."""
    is_anthropic = agent.api == _ANTHROPIC
    messages = body["messages"] if is_anthropic else body["messages"][1:]
    system = body["system"][0]["text"] if is_anthropic else body["messages"][0]["content"]
    tools = [json.dumps(tool) for tool in body["tools"]]
    prefixes = chain_prefixes(
        agent.api, body["model"], tools=tools, system=system, messages=[json.dumps(message) for message in messages]
    )
    read, written = cache.read_and_write(prefixes, [len(tools), len(prefixes.ids) - 1], now)
    return prefixes.tokens[-1], read, written or 0


# --- answers ---


def _line(sent: _Sent, cache: PromptCache, rng: Random) -> Json:
    call, agent = sent.call, sent.agent
    prompt, read, written = _cached(agent, sent.body, cache, call.started)
    answer = _messages_answer if agent.api == _ANTHROPIC else _chat_answer
    labels = {"app": agent.agent_id} | ({"replica": sent.replica} if sent.replica else {})
    return {
        "request_id": f"req_{rng.getrandbits(64):016x}",
        "started_at": _milliseconds(call.started),
        "ended_at": _milliseconds(call.ended),
        "session_id": sent.session,
        "metadata": labels,
        "request": sent.body,
        "response": answer(sent.body["model"], call, (prompt, read, written), rng),
    }


def _milliseconds(nanoseconds: int) -> str:
    moment = datetime.fromtimestamp(nanoseconds // 10**6 / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _messages_answer(model: str, call: Call, cached: Sequence[int], rng: Random) -> Json:
    exchange, (prompt, read, written) = call.exchange, cached
    content: list[Json] = [{"type": "text", "text": exchange.text}] if exchange.text else []
    if tool := exchange.tool:
        content.append({"type": "tool_use", "id": tool.call_id, "name": tool.step.tool, "input": tool.step.args})
    return {
        "id": f"msg_{rng.getrandbits(64):016x}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "tool_use" if exchange.tool else "end_turn",
        "usage": {
            "input_tokens": prompt - read - written,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": read,
            "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
            "output_tokens": call.output_tokens,
        },
    }


def _chat_answer(model: str, call: Call, cached: Sequence[int], rng: Random) -> Json:
    exchange, (prompt, read, _) = call.exchange, cached
    message: Json = {"role": "assistant", "content": exchange.text or None}
    if tool := exchange.tool:
        function = {"name": tool.step.tool, "arguments": json.dumps(tool.step.args)}
        message["tool_calls"] = [{"id": tool.call_id, "type": "function", "function": function}]
    return {
        "id": f"chatcmpl-{rng.getrandbits(64):016x}",
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if exchange.tool else "stop"}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": call.output_tokens,
            "total_tokens": prompt + call.output_tokens,
            "prompt_tokens_details": {"cached_tokens": read},
        },
    }
