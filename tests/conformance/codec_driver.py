"""Runs inside the environment of one version of the runtime: raw bodies in, what its codecs make of them out.

One JSON line a body, ``{"api", "body"}``; one line back, ``{"request"}`` or ``{"refused"}``. Fields that are None are
left out, since the runtime's Python objects do not show whether they are absent or null.
"""

import json
import sys

from nemo_relay import LLMRequest, codecs

CODECS = {
    "anthropic": codecs.AnthropicMessagesCodec(),
    "openai-chat": codecs.OpenAIChatCodec(),
    "openai-responses": codecs.OpenAIResponsesCodec(),
}
DERIVED = {"has_tool_calls", "last_user_message", "system_prompt", "extra"}


def decode(api, body):
    try:
        found = CODECS[api].decode(LLMRequest({}, body))
    except Exception as error:  # noqa: BLE001  whatever the runtime raises is its refusal
        return {"refused": f"{type(error).__name__}: {error}"}
    names = [name for name in dir(found) if not name.startswith("_") and name not in DERIVED]
    fields = {name: getattr(found, name) for name in names}
    return {"request": {name: value for name, value in fields.items() if value is not None} | dict(found.extra or {})}


for line in sys.stdin.buffer:
    asked = json.loads(line)
    sys.stdout.write(json.dumps(decode(asked["api"], asked["body"])) + "\n")
