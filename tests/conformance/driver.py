"""Drive the real runtime: commands in on stdin, answers out on stdout, one JSON object a line.

Runs inside the runtime's own virtual environment, so it imports the standard library and ``nemo_relay`` only. It is
meant to be started by ``runtime.py`` beside it. The first line out is ``{"ok": true, "version": ...}``; after that each
command gets one answer: ``{"ok": true, ...}``, or ``{"ok": false, "error": ...}`` when the command as a whole failed.

========================  ==========================================================================================
command                   meaning, and what its answer holds
========================  ==========================================================================================
``{"op": "configure"}``   start the adaptive component anew. Keys, all optional: ``agent_id`` ("agent"), ``backend``
                          ("in_memory" | "redis"), ``redis_url``, ``key_prefix`` ("nemo_relay:"),
                          ``observation_window`` (100), ``thresholds`` (all three keys, or null for the defaults),
                          ``provider`` ("passthrough" | "anthropic" | "openai"), ``learners`` (true), and
                          ``full_payloads`` (false), ``events`` (a folder: events.jsonl in it is appended to; from 0.10
                          on). Answers nothing more.
``{"op": "run"}``         one agent run: ``calls`` is a list of {"codec", "request", "response"?}; ``codec`` is
                          "openai", "anthropic", "responses", "annotated" (a body that is the runtime's own form of a
                          request already), "none" (the runtime is not told how to read it), "agent" (an agent inside,
                          which makes the ``calls`` of the body) or "tool" (no LLM call, but
                          a tool's, the body its arguments); ``response`` (of the call, else of the run) is laid over a
                          small default answer. Answers, once the run is learned and stored, ``calls``: a list
                          of {"received": body or null, "error": text or null}.
``{"op": "drive"}``       ``runs``: a list of runs, each a list of bodies; ``codec`` ("openai"); ``wait`` ("run": until
                          each run is learned, "end": only once, after the last). Answers ``run_ns`` (one number a run),
                          ``wall_ns`` and ``cpu_ns`` (all threads of the process), both including the last wait.
``{"op": "validate"}``    ``document``: a plugin document. Answers ``diagnostics``, a list.
``{"op": "close"}``       shut down and end the process.
========================  ==========================================================================================

``run`` and ``drive`` take an optional ``agent_id``. The runtime has one agent id for all its runs (the name of a scope
is not used), so another one than configured starts the component anew, with an empty store if that is in memory.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import itertools
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

Json = dict[str, Any]

CODECS = {"openai": "OpenAIChatCodec", "anthropic": "AnthropicMessagesCodec", "responses": "OpenAIResponsesCodec"}
ANNOTATED, NO_CODEC, TOOL, AGENT = "annotated", "none", "tool", "agent"

RESPONSES: dict[str, Json] = {
    "openai": {
        "id": "r",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
    },
    "anthropic": {
        "id": "r",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "ok"}],
        "stop_reason": "end_turn",
    },
    "responses": {
        "id": "r",
        "object": "response",
        "model": "m",
        "status": "completed",
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]}],
    },
}


RESPONSES |= dict.fromkeys((ANNOTATED, NO_CODEC, TOOL, AGENT), RESPONSES["openai"])


class AnnotatedCodec:
    """What an application may write itself: reads bodies that are the runtime's own form of a request already.

    Parameters
    ----------
    relay : module
        The imported ``nemo_relay``, any version.
    """

    def __init__(self, relay: ModuleType) -> None:
        self._make = relay.AnnotatedLLMRequest
        self._known = ["model", "params", "tools", "tool_choice"]
        if hasattr(self._make, "instructions"):  # 0.3 has none of these: there they are fields like any other
            self._known += ["instructions", "api_specific"]

    def decode(self, request: Any) -> object:
        """Return the request in the runtime's own form; what it has no name for goes into its extra fields."""
        rest = dict(request.content)
        messages = rest.pop("messages")
        known = {name: rest.pop(name) for name in self._known if name in rest}
        return self._make(messages, **known, extra=rest)

    def encode(self, _annotated: object, original: object) -> object:
        """Return the request as it was."""
        return original


def adaptive_config(settings: Json) -> Json:
    """Build the config of the adaptive component.

    Parameters
    ----------
    settings : dict
        What came with ``configure``.

    Returns
    -------
    dict
        As the runtime takes it.
    """
    state: Json = {"kind": settings.get("backend", "in_memory"), "config": {}}
    if state["kind"] == "redis":
        state["config"] = {"url": settings["redis_url"], "key_prefix": settings.get("key_prefix", "nemo_relay:")}
    acg: Json = {
        "provider": settings.get("provider", "passthrough"),
        "observation_window": settings.get("observation_window", 100),
    }
    if settings.get("thresholds") is not None:
        acg["stability_thresholds"] = settings["thresholds"]
    return {
        "version": 1,
        "agent_id": settings.get("agent_id", "agent"),
        "state": {"backend": state},
        # Without learners the component stays, and records runs: a difference in time is the learner's alone.
        "telemetry": {"learners": ["acg"] if settings.get("learners", True) else []},
        "acg": acg,
    }


class Driver:
    """One runtime in this process, and what it was told last.

    Parameters
    ----------
    relay : module
        The imported ``nemo_relay``, any version.
    """

    def __init__(self, relay: ModuleType) -> None:
        self._relay = relay
        self._codecs = {name: getattr(relay.codecs, kind)() for name, kind in CODECS.items()}
        self._answers = self._codecs | {ANNOTATED: self._codecs["openai"], NO_CODEC: None}
        self._codecs |= {ANNOTATED: AnnotatedCodec(relay), NO_CODEC: None}
        self._settings: Json = {}
        self._runtime: Any = None
        self._payloads: Any = None

    async def handle(self, command: Json) -> Json:
        """Carry out one command.

        Parameters
        ----------
        command : dict
            As described at the top of this module.

        Returns
        -------
        dict
            What the answer holds besides ``ok``.
        """
        handlers = {
            "configure": self._configure,
            "run": self._run,
            "drive": self._drive,
            "validate": self._validate,
            "close": self._close,
        }
        return await handlers[command["op"]](command)

    async def _configure(self, settings: Json) -> Json:
        await self._close({})
        if settings.get("full_payloads", False) or settings.get("events"):
            await self._observe(full=settings.get("full_payloads", False), events=settings.get("events"))
        # The class, not the plugin host, because only it can tell when everything is learned. It reads no files either.
        runtime = self._relay.adaptive.AdaptiveRuntime(adaptive_config(settings))
        await runtime.register()
        self._runtime, self._settings = runtime, settings
        return {}

    async def _observe(self, *, full: bool, events: str | None) -> None:
        observability = self._relay.observability
        more = {}
        if events:
            sink = observability.AtofFileSinkConfig(output_directory=events, filename="events.jsonl")
            more["atof"] = observability.AtofConfig(enabled=True, sinks=[sink])
        try:
            config = observability.ObservabilityConfig(enable_full_payloads=full, **more)
        except TypeError:
            return  # 0.3: whole requests are always recorded
        document = {"version": 1, "components": [observability.ComponentSpec(config).to_dict()]}
        self._payloads = await self._relay.plugin.initialize(document)

    async def _close(self, _command: Json) -> Json:
        if self._runtime is not None:
            await self._runtime.shutdown()
        if hasattr(self._payloads, "close"):
            await self._payloads.close()
        elif self._payloads is not None:  # before 0.10 what was initialised belongs to the process
            await self._relay.plugin.clear_async()
        self._runtime = self._payloads = None
        return {}

    async def _require_agent(self, command: Json) -> str:
        if self._runtime is None:
            msg = "nothing is configured yet; send configure first"
            raise RuntimeError(msg)
        current = str(self._settings.get("agent_id", "agent"))
        agent_id = str(command.get("agent_id") or current)
        if agent_id != current:
            await self._configure(self._settings | {"agent_id": agent_id})
        return agent_id

    async def _settle(self) -> None:
        # In this order: events reach the component's own queue by the first, and leave it, learned, by the second.
        subscribers = self._relay.subscribers
        if hasattr(subscribers, "flush_async"):
            await subscribers.flush_async()
        else:
            subscribers.flush()
        self._runtime.wait_for_idle()

    async def _run(self, command: Json) -> Json:
        agent_id = await self._require_agent(command)
        scope = self._relay.scope.push(agent_id, self._relay.ScopeType.Agent)
        try:
            default = command.get("response") or {}
            calls = [await self._call(call, call.get("response") or default) for call in command["calls"]]
        finally:
            self._relay.scope.pop(scope)
        await self._settle()
        return {"calls": calls}

    async def _call(self, call: Json, response: Json) -> Json:
        outcome: Json = {"received": None, "error": None}
        codec = call["codec"]
        answer = RESPONSES[codec] | response
        if os.environ.get("NEMO_RELAY_ACG_DEBUG"):
            os.write(2, b"driver: call\n")  # so that what the runtime prints can be told apart by call

        async def provide(request: Any) -> Json:
            outcome["received"] = request.content
            return answer

        try:
            if codec == AGENT:
                with self._relay.scope.scope("inner", self._relay.ScopeType.Agent):
                    for inner in call["request"]["calls"]:
                        await self._call(inner, response)
            elif codec == TOOL:
                await self._relay.tools.execute("tool", call["request"], self._provide_nothing)
            else:
                await self._execute(codec, self._relay.LLMRequest({}, call["request"]), provide)
        except Exception as error:  # noqa: BLE001  whatever the runtime raises is the answer
            outcome["error"] = f"{type(error).__name__}: {error}"
        return outcome

    async def _provide_nothing(self, _arguments: object) -> object:
        result = getattr(self._relay, "ToolExecutionResult", dict)  # 0.10 wants its own kind
        return result({})

    async def _execute(self, codec: str, request: object, provide: object) -> None:
        chosen, answers = self._codecs[codec], self._answers[codec]
        await self._relay.llm.execute(codec, request, provide, codec=chosen, response_codec=answers)

    async def _drive(self, command: Json) -> Json:
        agent_id = await self._require_agent(command)
        # Made beforehand: turning Python objects into the runtime's is no part of what is timed.
        runs = [[self._relay.LLMRequest({}, body) for body in bodies] for bodies in command["runs"]]
        codec, wait = command.get("codec", "openai"), command.get("wait", "run")
        await self._settle()
        cpu, start = time.process_time_ns(), time.perf_counter_ns()
        marks = [start]
        for requests in runs:
            await self._timed_run(agent_id, codec, requests)
            if wait == "run":
                await self._settle()
            marks.append(time.perf_counter_ns())
        await self._settle()
        wall, cpu = time.perf_counter_ns() - start, time.process_time_ns() - cpu
        run_ns = [after - before for before, after in itertools.pairwise(marks)]
        return {"run_ns": run_ns, "wall_ns": wall, "cpu_ns": cpu}

    async def _timed_run(self, agent_id: str, codec: str, requests: list[object]) -> None:
        answer = RESPONSES[codec]

        async def provide(_request: object) -> Json:
            return answer

        scope = self._relay.scope.push(agent_id, self._relay.ScopeType.Agent)
        try:
            for request in requests:
                await self._execute(codec, request, provide)
        finally:
            self._relay.scope.pop(scope)

    async def _validate(self, command: Json) -> Json:
        plugin = self._relay.plugin
        # From 0.10 on plain validate also reads the user's own files.
        report = getattr(plugin, "validate_exact", plugin.validate)(command["document"])
        return {"diagnostics": report.get("config", report)["diagnostics"]}


async def answer_line(driver: Driver, line: str) -> tuple[Json, bool]:
    """Carry out one line of input.

    Parameters
    ----------
    driver : Driver
        Changed by the command.
    line : str
        One command, as JSON.

    Returns
    -------
    tuple of (dict, bool)
        The answer, and whether it is the last one.
    """
    try:
        command = json.loads(line)
        return {"ok": True, **await driver.handle(command)}, command["op"] == "close"
    except Exception as error:  # noqa: BLE001  a failed command must not end the conversation
        return {"ok": False, "error": f"{type(error).__name__}: {error}"}, False


async def serve(answers: int) -> None:
    """Answer commands until told to close, or until the input ends.

    Parameters
    ----------
    answers : int
        File descriptor that answers are written to.
    """
    with os.fdopen(answers, "w", encoding="ascii") as out:

        def tell(answer: Json) -> None:
            out.write(json.dumps(answer) + "\n")
            out.flush()

        driver = Driver(importlib.import_module("nemo_relay"))
        tell({"ok": True, "version": importlib.metadata.version("nemo-relay")})
        for line in sys.stdin.buffer:
            answer, last = await answer_line(driver, line.decode())
            tell(answer)
            if last:
                return


def main() -> None:
    """Serve, then end without the interpreter's teardown."""
    # The extension may print: what it prints must not get between the answers.
    answers = os.dup(1)
    os.dup2(2, 1)
    asyncio.run(serve(answers))
    # Native threads outlive the loop: now and then 0.7 and 0.10 crash when the interpreter is finalised.
    os._exit(0)


if __name__ == "__main__":
    main()
