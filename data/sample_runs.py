"""Conversations as runs: when they start, which requests they send, and how long each takes."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

from sample_cache import Prefixes, chain_prefixes
from sample_scenes import END, START, Agent, Scene, to_text
from sample_texts import Json, Step, Turn

from acg_lab.core import AnnotatedLlmRequest

__all__ = ["WHOLE", "Call", "Exchange", "Run", "current_turn", "draw_runs", "to_messages_tool"]

_SECOND = 10**9
WHOLE = "nemo-flow-0.2"  # these rules record every request whole


# --- when ---

# Requests per hour of the day, UTC: two peaks, a lunch, and a few people at night.
_HOURS = (*[1] * 6, 4, 14, 40, 62, 66, 58, 38, 52, 64, 60, 44, 24, 14, 10, 7, 4, 0, 0)
_WEEKDAYS = (1.0, 1.05, 1.0, 0.95, 0.8, 0.16, 0.1)


def _starts(rng: Random, agent: Agent) -> list[datetime]:
    """Draw when runs start: in working hours, fewer at weekends, some shortly after another, oldest first."""
    days = [START + timedelta(days=i) for i in range((END - START).days)]
    weights = [_WEEKDAYS[day.weekday()] for day in days]
    starts: list[datetime] = []
    while len(starts) < agent.n_runs:
        if starts and rng.random() < agent.burst:
            start = starts[-1] + timedelta(seconds=rng.expovariate(1 / agent.burst_seconds))
        else:
            hour = rng.choices(range(24), _HOURS)[0]
            start = rng.choices(days, weights)[0] + timedelta(hours=hour, seconds=rng.uniform(0, 3600))
        starts.append(start)
    return sorted(starts)


def _nanoseconds(when: datetime) -> int:
    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


# --- what is said ---


class ToolUse(NamedTuple):
    """One tool call: its id, what is called, and how long it takes."""

    call_id: str
    step: Step
    nanoseconds: int


class Exchange(NamedTuple):
    """One request with its answer; ``pause`` is the time until the next one that no tool accounts for."""

    live: AnnotatedLlmRequest
    recorded: AnnotatedLlmRequest
    text: str
    tool: ToolUse | None
    pause: int


class _Dialogue:
    """Turns a scene into requests, in the shape of the agent's API."""

    def __init__(self, agent: Agent, scene: Scene, when: datetime, rng: Random) -> None:
        self._agent = agent
        self._scene = scene
        self._model = agent.model(when)
        self._rng = rng
        self._is_chat = agent.api == "openai_chat"
        self._messages: list[Json] = list(scene.primer)

    def exchanges(self) -> Iterator[Exchange]:
        for turn in self._scene.script:
            self._messages.append({"role": "user", "content": turn.asks[0]})
            yield from self._turn(turn)

    def _turn(self, turn: Turn) -> Iterator[Exchange]:
        for step in turn.steps:
            tool = self._use(step)
            yield self._exchange(step.say, tool, pause=self._rng.randint(5, 90) * _SECOND // 1000)
            self._messages += self._tool_messages(step, tool)
        for answer in turn.answers:
            think = self._rng.lognormvariate(0, 1.1) * self._agent.think_seconds
            yield self._exchange(answer, None, pause=int(think * _SECOND))
            self._messages.append({"role": "assistant", "content": answer})

    def _use(self, step: Step) -> ToolUse:
        call_id = "".join(self._rng.choices("abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=12))
        prefix = "call_" if self._is_chat else "toolu_01"
        slow = 8.0 if step.tool == "run_tests" else 0.35
        return ToolUse(prefix + call_id, step, int(self._rng.lognormvariate(0, 0.9) * slow * _SECOND))

    def _tool_messages(self, step: Step, tool: ToolUse) -> list[Json]:
        result = to_text(step.result)
        if self._is_chat:
            function = {"name": step.tool, "arguments": json.dumps(step.args)}
            calls = [{"id": tool.call_id, "type": "function", "function": function}]
            said = {"content": step.say} if step.say else {}
            answer = {"role": "tool", "content": result, "tool_call_id": tool.call_id}
            return [{"role": "assistant", **said, "tool_calls": calls}, answer]
        use = {"type": "tool_use", "id": tool.call_id, "name": step.tool, "input": step.args}
        said_parts = [{"type": "text", "text": step.say}] if step.say else []
        part = {"type": "tool_result", "tool_use_id": tool.call_id, "content": result}
        return [{"role": "assistant", "content": [*said_parts, use]}, {"role": "user", "content": [part]}]

    def _exchange(self, text: str, tool: ToolUse | None, *, pause: int) -> Exchange:
        live = self._request(self._messages)
        is_first = not any(m["role"] == "assistant" for m in self._messages[len(self._scene.primer) :])
        whole = is_first or self._agent.full_payloads or self._agent.rules == WHOLE
        return Exchange(live, live if whole else self._request(current_turn(self._messages)), text, tool, pause)

    def _request(self, messages: Sequence[Json]) -> AnnotatedLlmRequest:
        """Normalise a body as the runtime's codec for this API does."""
        system, unknown = self._scene.system, {}
        if self._agent.rules == WHOLE or self._is_chat:
            messages = [{"role": "system", "content": system}, *messages]
        else:
            unknown = {"instructions": system, "api_specific": {"api": self._agent.api}}
            if self._agent.marks_itself:
                unknown["cache_control"] = {"type": "ephemeral"}
        return AnnotatedLlmRequest(
            messages=tuple(messages),
            model=self._model,
            params={"max_tokens": 4096, "temperature": 0.2},
            tools=self._scene.tools,
            unknown=unknown,
        )


def current_turn(messages: Sequence[Json]) -> Sequence[Json]:
    """Return the messages from the last user message on; one that holds a tool's result only counts as one."""
    last = max(i for i, message in enumerate(messages) if message["role"] == "user")
    return messages[last:]


def to_messages_tool(function: Json) -> Json:
    """Return a tool as a Messages body has it."""
    return {
        "name": function["name"],
        "description": function["description"],
        "input_schema": function["parameters"],
    }


# --- runs ---


class Call(NamedTuple):
    """One request in time; nanoseconds since 1970."""

    exchange: Exchange
    started: int
    ended: int
    prefixes: Prefixes
    output_tokens: int


class Run(NamedTuple):
    """One conversation in time; nanoseconds since 1970."""

    agent: Agent
    started: int
    ended: int
    calls: list[Call]


def _run(agent: Agent, scene: Scene, when: datetime, rng: Random) -> Run:
    """Lay a conversation out in time."""
    started = now = _nanoseconds(when) + rng.randrange(1000)
    calls: list[Call] = []
    for exchange in _Dialogue(agent, scene, when, rng).exchanges():
        begin = now + rng.randint(2, 60) * 1_000_000 + rng.randrange(1_000_000)
        prefixes = _prefixes(agent.api, exchange.live)
        said = exchange.text + (json.dumps(exchange.tool.step.args) if exchange.tool else "")
        output_tokens = len(said) // 4 + rng.randint(8, 40)
        seconds = (0.6 + prefixes.tokens[-1] / 15_000 + output_tokens / 70) * rng.lognormvariate(0, 0.25)
        ended = begin + int(seconds * _SECOND)
        calls.append(Call(exchange, begin, ended, prefixes, output_tokens))
        now = ended + exchange.pause + (exchange.tool.nanoseconds if exchange.tool else 0)
    last = calls[-1]
    ended = last.ended + (last.exchange.tool.nanoseconds if last.exchange.tool else 0)
    return Run(agent, started, ended + rng.randint(1_000_000, 9_000_000), calls)


def draw_runs(agent: Agent, rng: Random) -> list[Run]:
    """Draw the runs of an agent, oldest first."""
    starts = _starts(rng, agent)
    return [_run(agent, agent.scene(rng, when, n), when, rng) for n, when in enumerate(starts)]


def _prefixes(api: str, request: AnnotatedLlmRequest) -> Prefixes:
    has_system = request.messages[0]["role"] == "system"
    system = request.messages[0]["content"] if has_system else request.unknown["instructions"]
    messages = map(json.dumps, request.messages[1 if has_system else 0 :])
    tools = [json.dumps(tool) for tool in request.tools or ()]
    return chain_prefixes(api, request.model or "", tools=tools, system=system, messages=messages)
