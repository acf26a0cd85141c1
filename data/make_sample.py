"""Make the samples: two weeks of believable agents, what the governor learned of them, and what a provider cached.

    python data/make_sample.py [--out data/sample] [--seed 7]

The same seed gives the same records. The request log is written beside the export, as ``requests.jsonl.gz``.
`README.md` describes each agent. The agents and their words are in `sample_scenes` and `sample_texts`, their
conversations in `sample_runs`, the provider in `sample_cache`, the log in `sample_log`. Two agents, recorded with what
passed between them and the provider, are in `sample_sessions` and `sample_field_texts`.
"""

import argparse
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from sample_cache import Billed, BreakpointCache, PromptCache
from sample_log import write_log
from sample_runs import Call, Run, draw_runs
from sample_scenes import AGENTS, Agent
from sample_sessions import FIELD_AGENTS, FieldAgent, Request, Session, draw_sessions, render

import acg_lab as acg
from acg_lab.core import (
    AcgLearner,
    CallRecord,
    Exchange,
    HotCache,
    PromptIR,
    RunRecord,
    StabilityAnalysisResult,
    Usage,
    build_prompt_ir,
    learning_key,
)
from acg_lab.storage.memory import MemoryBackend
from acg_lab.storage.times import render_time

_GATED = "nemo-relay-0.8"  # these plan only where the stored fingerprint is the request's own
_MINIMUM = 1024  # tokens that a planned prefix has at least


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


# --- records ---


def _llm_record(call: Call, cached: tuple[int, int | None]) -> CallRecord:
    exchange, prompt_tokens = call.exchange, call.prefixes.tokens[-1]
    total = prompt_tokens + call.output_tokens
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": call.output_tokens, "total_tokens": total}
    usage["cache_read_tokens"] = cached[0]
    if cached[1] is not None:
        usage["cache_write_tokens"] = cached[1]
    response: dict[str, Any] = {"model": exchange.live.model}
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


def _records(call: Call, cached: tuple[int, int | None]) -> Iterator[CallRecord]:
    yield _llm_record(call, cached)
    if tool := call.exchange.tool:
        ended = call.ended + tool.nanoseconds
        yield CallRecord(
            kind="tool", name=tool.step.tool, started_at=render_time(call.ended), ended_at=render_time(ended)
        )


def _field_records(request: Request, billed: Billed) -> Iterator[CallRecord]:
    """Yield the records of a request of the field agents: with its body, its first token and its whole usage."""
    written, output = billed.written_5m + billed.written_1h, request.output_tokens
    counts = {"prompt_tokens": billed.prompt, "completion_tokens": output, "total_tokens": billed.prompt + output}
    model = request.body["model"]
    calls = [{"id": tool.call_id, "name": tool.name, "arguments": tool.args} for tool in request.tools]
    yield CallRecord(
        kind="llm",
        name="anthropic",
        started_at=render_time(request.started),
        ended_at=render_time(request.ended),
        output_tokens=output,
        prompt_tokens=billed.prompt,
        total_tokens=billed.prompt + output,
        model_name=model,
        tool_call_count=len(calls),
        annotated_request=request.recorded,
        annotated_response={
            "model": model,
            "message": request.text,
            **({"tool_calls": calls} if calls else {}),
            "finish_reason": "tool_use" if calls else "complete",
            "usage": counts | {"cache_read_tokens": billed.read, "cache_write_tokens": written},
        },
        exchange=Exchange(
            api="anthropic",
            request=request.body,
            usage=Usage(
                prompt_tokens=billed.prompt,
                cache_read_tokens=billed.read,
                cache_write_tokens=written,
                cache_writes_by_ttl={"5m": billed.written_5m, "1h": billed.written_1h},
                output_tokens=output,
            ),
            first_token_at=render_time(request.first_token),
        ),
    )
    for tool in request.tools:
        ended = render_time(request.ended + tool.nanoseconds)
        yield CallRecord(kind="tool", name=tool.name, started_at=render_time(request.ended), ended_at=ended)


# --- production ---


class _Production:
    """One agent in production: requests are planned and cached as they come, runs are learned when they end."""

    def __init__(self, agent: Agent | FieldAgent, backend: MemoryBackend, rng: Random) -> None:
        self._agent = agent
        self._backend = backend
        self._rng = rng
        self._learner = AcgLearner(agent.agent_id, rules=agent.rules)
        self._hot_cache = HotCache()
        self._prompt_cache = PromptCache(agent.api)
        self._breakpoint_cache = BreakpointCache()

    def live_through(self, runs: Sequence[Run] | Sequence[Session]) -> None:
        """Take all requests and ends of runs in the order of time."""
        sent = [(call.started, i, call) for i, run in enumerate(runs) for call in run.calls]
        ended = [(run.ended, i, None) for i, run in enumerate(runs)]
        records: list[list[CallRecord]] = [[] for _ in runs]
        for _, i, call in sorted([*sent, *ended], key=lambda event: event[:2]):
            if call is None:
                self._learn(runs[i], records[i])
            elif isinstance(call, Request):
                records[i] += _field_records(call, self._send_marked(call))
            else:
                records[i] += _records(call, self._send(call))

    def _send_marked(self, request: Request) -> Billed:
        """Send a request with breakpoints of its own; the governor does not know the model, so it adds none."""
        model, pieces = request.body["model"], render(request.body)
        return self._breakpoint_cache.bill(model, pieces, request.started, request.first_token)

    def _send(self, call: Call) -> tuple[int, int | None]:
        agent, live = self._agent, call.exchange.live
        observation = build_prompt_ir(live, ir_id="", created_at="", rules=agent.rules)
        known = self._hot_cache.acg_profiles.get(learning_key(agent.agent_id, live, rules=agent.rules))
        ends = _planned_ends(agent, known, observation)
        marks = _places(observation, ends, call.prefixes.n_tools)
        if agent.marks_itself:
            marks = sorted({*marks, len(call.prefixes.ids) - 1})
        return self._prompt_cache.read_and_write(call.prefixes, marks, call.started)

    def _learn(self, run: Run | Session, calls: Sequence[CallRecord]) -> None:
        started, ended = render_time(run.started), render_time(run.ended)
        record = RunRecord(
            id=self._run_id(run.started),
            agent_id=self._agent.agent_id,
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
        runs = draw_runs(agent, rng)
        _Production(agent, backend, rng).live_through(runs)
    for field_agent in FIELD_AGENTS:
        rng = Random(f"{seed} {field_agent.agent_id}")
        _Production(field_agent, backend, rng).live_through(draw_sessions(field_agent, seed))
    return backend


def export(backend: MemoryBackend, out: str) -> None:
    """Write the sample as a Parquet export."""
    acg.load(backend).to_parquet(out)


def main() -> None:
    """Make the samples and write them."""
    parser = argparse.ArgumentParser(description="Make the sample of acg_lab.")
    parser.add_argument("--out", default="data/sample", help="folder to write; default %(default)s")
    parser.add_argument("--seed", type=int, default=7, help="seed of all that is random; default %(default)s")
    options = parser.parse_args()
    export(build(options.seed), options.out)
    write_log(Path(options.out).parent / "requests.jsonl.gz", options.seed)


if __name__ == "__main__":
    main()
