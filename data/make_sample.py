"""Make the sample: two weeks of believable agents, what the governor learned of them, and what a provider cached.

    python data/make_sample.py [--out data/sample] [--seed 7]

Deterministic: the same seed gives the same records. `README.md` tells the story of each agent. Belongs here: times,
tokens, the provider's cache, and the order in which requests are sent and runs are learned. The agents and their words
are in `sample_scenes` and `sample_texts`.
"""

import argparse
import json
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import accumulate
from random import Random
from typing import NamedTuple

from sample_scenes import AGENTS, END, START, Agent, Scene, to_text
from sample_texts import Json, Step, Turn

import acg_lab as acg
from acg_lab.core import (
    AcgLearner,
    AnnotatedLlmRequest,
    CallRecord,
    HotCache,
    PromptIR,
    RunRecord,
    StabilityAnalysisResult,
    build_prompt_ir,
    learning_key,
)
from acg_lab.storage.memory import MemoryBackend
from acg_lab.storage.times import render_time

_SECOND = 10**9
_MODEL_NAMES = {"anthropic_messages": "anthropic", "openai_chat": "openai"}
_WHOLE = "nemo-flow-0.2"  # these rules record every request whole
_GATED = "nemo-relay-0.8"  # these plan only where the stored fingerprint is the request's own


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
        whole = is_first or self._agent.full_payloads or self._agent.rules == _WHOLE
        return Exchange(live, live if whole else self._request(_current_turn(self._messages)), text, tool, pause)

    def _request(self, messages: Sequence[Json]) -> AnnotatedLlmRequest:
        """Normalise a body as the runtime's codec for this API does."""
        system, unknown = self._scene.system, {}
        if self._agent.rules == _WHOLE or self._is_chat:
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


def _current_turn(messages: Sequence[Json]) -> Sequence[Json]:
    """Return the messages from the last user message on; one that holds a tool's result only counts as one."""
    last = max(i for i, message in enumerate(messages) if message["role"] == "user")
    return messages[last:]


# --- tokens and the provider's cache ---

_FRAMING = 5  # tokens around every tool and message
_TOOL_SYSTEM = {"anthropic_messages": 496, "openai_chat": 0}  # what the provider adds when there are tools
_MINIMUM, _LOOK_BACK, _GRAIN = 1024, 20, 128
_TTL = {"anthropic_messages": 300 * _SECOND, "openai_chat": 1800 * _SECOND}


@lru_cache(maxsize=1 << 16)
def _measure(text: str) -> tuple[int, bytes]:
    raw = text.encode()
    return len(raw) // 4 + _FRAMING, sha256(raw).digest()


class Prefixes(NamedTuple):
    """A request as the provider sees it: tools, system, messages; tokens and identity up to the end of each.

    ``n_tools`` tools lead, then the system stands, then the messages.
    """

    tokens: list[int]
    ids: list[bytes]
    n_tools: int


def _prefixes(api: str, request: AnnotatedLlmRequest) -> Prefixes:
    has_system = request.messages[0]["role"] == "system"
    system = request.messages[0]["content"] if has_system else request.unknown["instructions"]
    tools = request.tools or ()
    pieces = [*map(json.dumps, tools), system, *map(json.dumps, request.messages[1 if has_system else 0 :])]
    measured = [_measure(piece) for piece in pieces]
    tokens = [n for n, _ in measured]
    tokens[len(tools)] += _TOOL_SYSTEM[api]
    chained = accumulate(measured, lambda so_far, item: sha256(so_far + item[1]).digest(), initial=_model_id(request))
    return Prefixes(list(accumulate(tokens)), list(chained)[1:], len(tools))


def _model_id(request: AnnotatedLlmRequest) -> bytes:
    return (request.model or "").encode()


class PromptCache:
    """A provider's cache of one agent: which prefixes it holds, and until when."""

    def __init__(self, api: str) -> None:
        self._api = api
        self._until: dict[bytes, int] = {}

    def read_and_write(self, prefixes: Prefixes, marks: Sequence[int], now: int) -> tuple[int, int | None]:
        """Return the tokens read from the cache and written to it; no write count where it is free."""
        return (
            self._marked(prefixes, marks, now) if self._api == "anthropic_messages" else self._automatic(prefixes, now)
        )

    def _is_live(self, prefix: bytes, now: int) -> bool:
        return self._until.get(prefix, 0) > now

    def _keep(self, prefix: bytes, now: int) -> None:
        self._until[prefix] = now + _TTL[self._api]

    def _marked(self, prefixes: Prefixes, marks: Sequence[int], now: int) -> tuple[int, int]:
        """Read where an earlier request wrote, at a mark or a little before; write at marks above the minimum."""
        near = (i for mark in reversed(marks) for i in range(mark, max(mark - _LOOK_BACK, -1), -1))
        hit = next((i for i in near if self._is_live(prefixes.ids[i], now)), -1)
        for prefix in prefixes.ids[: hit + 1]:
            if self._is_live(prefix, now):
                self._keep(prefix, now)
        written = [mark for mark in marks if prefixes.tokens[mark] >= _MINIMUM]
        for mark in written:
            self._keep(prefixes.ids[mark], now)
        read = prefixes.tokens[hit] if hit >= 0 else 0
        return read, max(prefixes.tokens[written[-1]] - read, 0) if written else 0

    def _automatic(self, prefixes: Prefixes, now: int) -> tuple[int, None]:
        live = [n for n, prefix in zip(prefixes.tokens, prefixes.ids, strict=True) if self._is_live(prefix, now)]
        for prefix in prefixes.ids:
            self._keep(prefix, now)
        longest = live[-1] if live else 0
        return (longest // _GRAIN * _GRAIN if longest >= _MINIMUM else 0), None


# --- what the governor plans ---

_MAX_MARKS, _READ_GAIN, _WRITE_COST = 4, 0.9, 0.25


def _planned_ends(agent: Agent, result: StabilityAnalysisResult | None, observation: PromptIR) -> list[int]:
    """Return the blocks whose ends get a mark: the last one of each level of expected reads that is worth its write."""
    if result is None or agent.api != "anthropic_messages":
        return []
    if agent.rules == _GATED and result.stable_prefix_length != _scaffold(observation):
        return []  # a deeper prefix is bound to whole requests, and no two are the same
    tokens, weight, ends = 0, 1.0, {}
    leading = zip(observation.blocks[: result.stable_prefix_length], result.scores, strict=False)
    for i, (block, score) in enumerate(leading):
        if score.classification != "stable":
            break
        tokens += len(block.content.encode()) // 4
        weight = min(weight, score.score * score.confidence)
        reads = (result.total_observations - 1) * weight
        if tokens >= _MINIMUM and _READ_GAIN * reads > _WRITE_COST:
            ends[reads] = i
    return sorted(ends.values())[-_MAX_MARKS:]


def _scaffold(observation: PromptIR) -> int:
    return next((i for i, b in enumerate(observation.blocks) if b.role != "system"), len(observation.blocks))


def _places(observation: PromptIR, ends: Sequence[int], n_tools: int) -> list[int]:
    """Return where the provider sees the marks: tools stand before the system there, and behind it in a prompt IR."""
    places = []
    for end in ends:
        kinds = [(b.content_type == "tool_schema", b.role == "system") for b in observation.blocks[: end + 1]]
        is_tool, is_system = kinds[-1]
        n_messages = sum(not system for _, system in kinds)
        n_leading = sum(tool for tool, _ in kinds)
        places.append(n_leading - 1 if is_tool else n_tools if is_system else n_tools + n_messages)
    return sorted(set(places))


# --- runs ---


class _Call(NamedTuple):
    exchange: Exchange
    started: int
    ended: int
    prefixes: Prefixes
    output_tokens: int


class _Run(NamedTuple):
    agent: Agent
    started: int
    ended: int
    calls: list[_Call]


def _run(agent: Agent, scene: Scene, when: datetime, rng: Random) -> _Run:
    """Lay a conversation out in time."""
    started = now = _nanoseconds(when) + rng.randrange(1000)
    calls: list[_Call] = []
    for exchange in _Dialogue(agent, scene, when, rng).exchanges():
        begin = now + rng.randint(2, 60) * 1_000_000 + rng.randrange(1_000_000)
        prefixes = _prefixes(agent.api, exchange.live)
        said = exchange.text + (json.dumps(exchange.tool.step.args) if exchange.tool else "")
        output_tokens = len(said) // 4 + rng.randint(8, 40)
        seconds = (0.6 + prefixes.tokens[-1] / 15_000 + output_tokens / 70) * rng.lognormvariate(0, 0.25)
        ended = begin + int(seconds * _SECOND)
        calls.append(_Call(exchange, begin, ended, prefixes, output_tokens))
        now = ended + exchange.pause + (exchange.tool.nanoseconds if exchange.tool else 0)
    last = calls[-1]
    ended = last.ended + (last.exchange.tool.nanoseconds if last.exchange.tool else 0)
    return _Run(agent, started, ended + rng.randint(1_000_000, 9_000_000), calls)


def _llm_record(call: _Call, cached: tuple[int, int | None]) -> CallRecord:
    exchange, prompt_tokens = call.exchange, call.prefixes.tokens[-1]
    total = prompt_tokens + call.output_tokens
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": call.output_tokens, "total_tokens": total}
    usage["cache_read_tokens"] = cached[0]
    if cached[1] is not None:
        usage["cache_write_tokens"] = cached[1]
    response: dict[str, Json] = {"model": exchange.live.model}
    if exchange.text:
        response["message"] = exchange.text
    if tool := exchange.tool:
        response["tool_calls"] = [{"id": tool.call_id, "name": tool.step.tool, "arguments": tool.step.args}]
    response |= {"finish_reason": "tool_use" if tool else "complete", "usage": usage}
    return CallRecord(
        kind="llm",
        name="openai" if "gpt" in (exchange.live.model or "") else "anthropic",
        started_at=render_time(call.started),
        ended_at=render_time(call.ended),
        output_tokens=call.output_tokens,
        prompt_tokens=prompt_tokens,
        total_tokens=total,
        model_name=exchange.live.model,
        tool_call_count=1 if tool else 0,
        annotated_request=exchange.recorded,
        annotated_response=response,
    )


def _records(call: _Call, cached: tuple[int, int | None]) -> Iterator[CallRecord]:
    yield _llm_record(call, cached)
    if tool := call.exchange.tool:
        ended = call.ended + tool.nanoseconds
        yield CallRecord(
            kind="tool", name=tool.step.tool, started_at=render_time(call.ended), ended_at=render_time(ended)
        )


# --- production ---


class _Production:
    """One agent in production: requests are planned and cached as they come, runs are learned when they end."""

    def __init__(self, agent: Agent, backend: MemoryBackend, rng: Random) -> None:
        self._agent = agent
        self._backend = backend
        self._rng = rng
        self._learner = AcgLearner(agent.agent_id, rules=agent.rules)
        self._hot_cache = HotCache()
        self._prompt_cache = PromptCache(agent.api)

    def live_through(self, runs: Sequence[_Run]) -> None:
        """Take all requests and ends of runs in the order of time."""
        sent = [(call.started, i, call) for i, run in enumerate(runs) for call in run.calls]
        ended = [(run.ended, i, None) for i, run in enumerate(runs)]
        records: list[list[CallRecord]] = [[] for _ in runs]
        for _, i, call in sorted([*sent, *ended], key=lambda event: event[:2]):
            if call is None:
                self._learn(runs[i], records[i])
            else:
                records[i] += _records(call, self._send(call))

    def _send(self, call: _Call) -> tuple[int, int | None]:
        agent, live = self._agent, call.exchange.live
        observation = build_prompt_ir(live, ir_id="", created_at="", rules=agent.rules)
        known = self._hot_cache.acg_profiles.get(learning_key(agent.agent_id, live, rules=agent.rules))
        ends = _planned_ends(agent, known, observation)
        marks = _places(observation, ends, call.prefixes.n_tools)
        if agent.marks_itself:
            marks = sorted({*marks, len(call.prefixes.ids) - 1})
        return self._prompt_cache.read_and_write(call.prefixes, marks, call.started)

    def _learn(self, run: _Run, calls: Sequence[CallRecord]) -> None:
        started, ended = render_time(run.started), render_time(run.ended)
        record = RunRecord(
            id=self._run_id(run.started),
            agent_id=run.agent.agent_id,
            calls=tuple(calls),
            started_at=started,
            ended_at=ended,
        )
        self._backend.store_run(record)
        self._learner.process_run(record, self._backend, self._hot_cache, stamp=lambda: (self._ir_id(), ended))

    def _ir_id(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def _run_id(self, started: int) -> str:
        """Return a UUID of version 7: it begins with the time in milliseconds."""
        milliseconds, tail = started // 1_000_000, self._rng.getrandbits(74)
        number = milliseconds << 80 | 7 << 76 | tail >> 62 << 64 | 2 << 62 | tail & (1 << 62) - 1
        return str(uuid.UUID(int=number))


def build(seed: int = 7) -> MemoryBackend:
    """Return what production would have stored.

    Parameters
    ----------
    seed : int
        The same seed gives the same records.

    Returns
    -------
    MemoryBackend
        Runs in the order in which they ended, agent by agent; windows and results as the learner left them.
    """
    backend = MemoryBackend()
    for agent in AGENTS:
        # One generator an agent, so that a change to one leaves the others as they are.
        rng = Random(f"{seed} {agent.agent_id}")
        starts = _starts(rng, agent)
        runs = [_run(agent, agent.scene(rng, when, n), when, rng) for n, when in enumerate(starts)]
        _Production(agent, backend, rng).live_through(runs)
    return backend


def export(backend: MemoryBackend, out: str) -> None:
    """Write the sample as a Parquet export."""
    acg.load(backend).to_parquet(out)


def main() -> None:
    """Make the sample and write it."""
    parser = argparse.ArgumentParser(description="Make the sample of acg_lab.")
    parser.add_argument("--out", default="data/sample", help="folder to write; default %(default)s")
    parser.add_argument("--seed", type=int, default=7, help="seed of all that is random; default %(default)s")
    options = parser.parse_args()
    export(build(options.seed), options.out)


if __name__ == "__main__":
    main()
