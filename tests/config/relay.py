"""Run by the Python of a real runtime (0.10 and later), which reads the file itself.

``relay.py validate FILE...`` prints a list of [level, code] a file, as JSON, or what it was refused for.
``relay.py learn FILE BODIES`` activates the file's components and makes one run for each body of a JSON list.
"""

import asyncio
import importlib
import json
import os
import sys

NOTHING = {"version": 1, "components": []}
ANSWER = {
    "id": "r",
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
}


def validate(nemo_relay, path):
    """Return what the runtime says of a file."""
    try:
        report = nemo_relay.plugin.validate(NOTHING, additional_plugins_toml=path)
    except ValueError as error:
        return str(error)
    return [[diagnostic["level"], diagnostic["code"]] for diagnostic in report["config"]["diagnostics"]]


async def provide(_request):
    """Answer as a provider would."""
    return ANSWER


async def learn(nemo_relay, path, bodies):
    """Make a run for each body."""
    codec = nemo_relay.codecs.OpenAIChatCodec()
    async with nemo_relay.plugin.activate(NOTHING, additional_plugins_toml=path):
        for body in bodies:
            scope = nemo_relay.scope.push("support", nemo_relay.ScopeType.Agent)
            request = nemo_relay.LLMRequest({}, body)
            await nemo_relay.llm.execute("openai", request, provide, codec=codec, response_codec=codec)
            nemo_relay.scope.pop(scope)
            await nemo_relay.subscribers.flush_async()
        await asyncio.sleep(1)  # the learner's own queue can't be waited for from outside


if __name__ == "__main__":
    runtime = importlib.import_module("nemo_relay")
    if sys.argv[1] == "validate":
        sys.stdout.write(json.dumps([validate(runtime, path) for path in sys.argv[2:]]))
    else:
        asyncio.run(learn(runtime, sys.argv[2], json.loads(sys.argv[3])))
    sys.stdout.flush()
    os._exit(0)  # native threads outlive the loop
