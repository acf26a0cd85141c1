"""Bodies of three APIs, learned, and read again after a repair: `what_if` equals learning the repaired bodies."""

from msgspec.structs import replace
from sent_requests import CLAUDE, GPT, sent

import acg_lab as acg


def body(api, system, *messages, in_turn=False):
    """Return a body of an API, of texts or lists of parts; messages are the user's, or the assistant's in turn."""
    told = [
        {"role": ("user", "assistant")[i % 2 if in_turn else 0], "content": text} for i, text in enumerate(messages)
    ]
    if api == "anthropic":
        return {"model": CLAUDE, "max_tokens": 50, "system": system, "messages": told}
    if api == "openai-chat":
        return {"model": GPT, "messages": [{"role": "system", "content": system}, *told]}
    return {"model": GPT, "instructions": system, "input": told}


SPAN = {"anthropic": "system-0-instructions", "openai-chat": "system-0", "openai-responses": "system-0-instructions"}


def learned(bodies, rules="nemo-relay-0.8", **how):
    return acg.from_requests(sent(bodies, run=lambda i: i), agent_id="desk", rules=rules, **how)


def bodies_of(snap):
    calls = [call for run in snap.runs for call in run.calls]
    return [call.exchange.request for call in sorted(calls, key=lambda call: call.started_at)]


def system_of(request):
    found = request.get("system", request.get("instructions")) or request["messages"][0]["content"]
    return found if isinstance(found, str) else "\n".join(part["text"] for part in found)


def last_of(request):
    return request.get("messages", request.get("input"))[-1]


def comparable(snap):
    return {
        key: [replace(observation, ir_id="", source_request_hash=None) for observation in window]
        for key, window in snap.windows.items()
    }


def told(request):
    """Return the contents of the messages after the system prompt."""
    items = request.get("messages", request.get("input"))
    return [item["content"] for item in items if item["role"] != "system"]
