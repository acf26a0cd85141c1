"""What production refuses, as tables: requests, stored windows, settings.

``test_refusals.py`` puts each entry to the real runtime and to us. Where the two part the entry stands in a table of
its own, so that nothing is hidden.
"""

import json

SECRET = "nobody may see this"
USER = {"role": "user", "content": SECRET}
FUNCTION = {"name": "f", "arguments": "{}"}


# --- requests, in the runtime's own form ---


def _message(**fields):
    return {"messages": [fields]}


def _user(content):
    return _message(role="user", content=content)


def _part(**fields):
    return _user([fields])


def _tool(definition):
    return {"messages": [USER], "tools": [definition]}


def _call(**fields):
    return _message(role="assistant", tool_calls=[{"id": "c", "type": "function", **fields}])


REQUESTS = {
    "no messages": {"model": "m"},
    "messages null": {"messages": None},
    "messages a text": {"messages": SECRET},
    "messages an object": {"messages": {}},
    "message a text": {"messages": [SECRET]},
    "message null": {"messages": [None]},
    "no role": _message(content=SECRET),
    "role null": _message(role=None, content=SECRET),
    "role unknown": _message(role="narrator", content=SECRET),
    "content absent": _message(role="user"),
    "content null": _user(None),
    "content a number": _user(5),
    "content an object": _user({}),
    "content texts without parts": _user([SECRET]),
    "assistant content a number": _message(role="assistant", content=5),
    "tool calls an object": _message(role="assistant", tool_calls={}),
    "tool call a text": _message(role="assistant", tool_calls=[SECRET]),
    "tool call without function": _call(),
    "tool call without name": _call(function={"arguments": SECRET}),
    "tool call's name a number": _call(function={"name": 5, "arguments": SECRET}),
    "tool result without id": _message(role="tool", content=SECRET),
    "tool result's id null": _message(role="tool", content=SECRET, tool_call_id=None),
    "tool result's id a number": _message(role="tool", content=SECRET, tool_call_id=5),
    "tool result without content": _message(role="tool", tool_call_id="c"),
    "part without type": _part(text=SECRET),
    "part of an unknown type": _part(type="hologram"),
    "text part without text": _part(type="text"),
    "text part's text a number": _part(type="text", text=5),
    "image part without image": _part(type="image_url"),
    "image part's image a text": _part(type="image_url", image_url=SECRET),
    "image part without url": _part(type="image_url", image_url={}),
    "image part's detail a number": _part(type="image_url", image_url={"url": SECRET, "detail": 5}),
    "refusal part without refusal": _part(type="refusal"),
    "developer without content": _message(role="developer"),
    "function without name": _message(role="function", content=SECRET),
    "tool call item without name": _message(role="tool_call", call_id="c", arguments={}),
    "tool result item without id": _message(role="tool_result", output=SECRET),
    "native item without kind": _message(role="provider_native", provider="p", value=SECRET),
    "tool a text": _tool(SECRET),
    "tool without function": _tool({"type": "function"}),
    "tool without name": _tool({"type": "function", "function": {}}),
    "tool's name a number": _tool({"type": "function", "function": {"name": 5}}),
    "native tool without kind": _tool({"type": "provider_native", "provider": "p", "value": 1}),
    "tools an object": {"messages": [USER], "tools": {}},
    "model a number": {"messages": [USER], "model": 5},
    "integer above 2**64 - 1": {"messages": [USER], "zz": 2**64},
    "integer below -2**63": {"messages": [USER], "zz": -(2**63) - 1},
    "lone surrogate": _user("\ud800"),
    "lone surrogate in a key": {"messages": [USER], "\ud800": 1},
}

# The runtime refuses these too. We build an observation all the same: the core looks at no field that it has no use
# for, and no runtime can have stored such a record.
ONLY_PRODUCTION_REFUSES_REQUEST = {
    "name a number": _message(role="user", content="u", name=5),
    "tool call without id": _message(role="assistant", tool_calls=[{"type": "function", "function": FUNCTION}]),
    "tool call without type": _message(role="assistant", tool_calls=[{"id": "c", "function": FUNCTION}]),
    "tool call without arguments": _call(function={"name": "f"}),
    "tool call's arguments an object": _call(function={"name": "f", "arguments": {}}),
    "tool without type": _tool({"function": {"name": "f"}}),
    "tool's description a number": _tool({"type": "function", "function": {"name": "f", "description": 5}}),
    "params a text": {"messages": [USER], "params": "x"},
    "tool choice a number": {"messages": [USER], "tool_choice": 5},
}

# Learned by the runtime, but its own reader could not read the record that it stores, and no more can we.
# (body, codec, versions, what is wrong with the record)
ALL = ("0.3.0", "0.7.3", "0.10.4")
UNREADABLE_RECORDS = {
    "too many levels": ({"messages": [USER], "zz": json.loads("[" * 200 + "]" * 200)}, "annotated", ALL, "levels"),
    "a key twice": ({"model": "m", "input": "u", "messages": []}, "responses", ("0.3.0",), "each key once"),
    "a key twice, from params": (
        {"messages": [USER], "params": {"a": 1}, "temperature": 1},
        "openai",
        ALL,
        "each key once",
    ),
}


# --- windows ---

OBSERVATION = {
    "ir_id": "6f0c2f3e-6d5a-4f5e-9d53-0d3a1c2b4e5f",
    "blocks": [
        {
            "span_id": "user-0",
            "sequence_index": 0,
            "role": "user",
            "content": SECRET,
            "content_type": "text",
            "provenance": "user",
            "sensitivity": "public",
        }
    ],
    "created_at": "2026-01-01T00:00:00Z",
}
GOOD = json.dumps([OBSERVATION])


def _observation(**fields):
    return json.dumps([{**OBSERVATION, **fields}])


def _without(name):
    return json.dumps([{key: value for key, value in OBSERVATION.items() if key != name}])


def _block(**fields):
    return _observation(blocks=[{**OBSERVATION["blocks"][0], **fields}])


def _tokens(count):
    return _block(token_metadata={"model_family": "x", "token_count": count})


WINDOWS = {
    "empty text": "",
    "no JSON": SECRET,
    "cut off": GOOD[:-9],
    "more behind it": GOOD + "x",
    "trailing comma": GOOD[:-1] + ",]",
    "byte order mark": "\ufeff" + GOOD,
    "not UTF-8": GOOD.encode().replace(b"nobody", b"\xff"),
    "bare line feed in a text": GOOD.replace("nobody", "\n"),
    "lone surrogate": GOOD.replace("nobody", "\\ud800"),
    "NaN": GOOD.replace(": 0,", ": NaN,"),
    "null": "null",
    "a number": "5",
    "an object": json.dumps(OBSERVATION),
    "a list of texts": json.dumps([SECRET]),
    "a list of null": "[null]",
    "a bad observation behind a good one": json.dumps([OBSERVATION, {}]),
    "no id": _without("ir_id"),
    "id null": _observation(ir_id=None),
    "id a number": _observation(ir_id=5),
    "no blocks": _without("blocks"),
    "blocks null": _observation(blocks=None),
    "no time": _without("created_at"),
    "time a number": _observation(created_at=5),
    "id no UUID": _observation(ir_id="x"),
    "id empty": _observation(ir_id=""),
    "id in spaces": _observation(ir_id=f" {OBSERVATION['ir_id']} "),
    "id without hyphens in braces": _observation(ir_id=f"{{{OBSERVATION['ir_id'].replace('-', '')}}}"),
    "id as a URN in upper case": _observation(ir_id=f"URN:UUID:{OBSERVATION['ir_id']}"),
    "id with a hyphen elsewhere": _observation(ir_id="6f0c2f3e6-d5a-4f5e-9d53-0d3a1c2b4e5f"),
    "time no time": _observation(created_at="x"),
    "time without zone": _observation(created_at="2026-01-01T00:00:00"),
    "time without seconds": _observation(created_at="2026-01-01T00:00Z"),
    "time a date": _observation(created_at="2026-01-01"),
    "time of no day": _observation(created_at="2026-02-30T00:00:00Z"),
    "time of hour 24": _observation(created_at="2026-01-01T24:00:00Z"),
    "time of second 61": _observation(created_at="2026-06-30T23:59:61Z"),
    "time with a point and no digits": _observation(created_at="2026-01-01T00:00:00.Z"),
    "time of a zone of 24 hours": _observation(created_at="2026-01-01T00:00:00+24:00"),
    "request hash a number": _observation(source_request_hash=5),
    "tool hash without hash": _observation(tool_schema_hashes=[{"tool_name": "f"}]),
    "index negative": _block(sequence_index=-1),
    "index 2**32": _block(sequence_index=2**32),
    "index 1.0": _block(sequence_index=1.0),
    "index null": _block(sequence_index=None),
    "role unknown": _block(role="developer"),
    "role null": _block(role=None),
    "content type unknown": _block(content_type="audio"),
    "provenance unknown": _block(provenance="assistant"),
    "sensitivity a number": _block(sensitivity=5),
    "sensitivity null": _block(sensitivity=None),
    "sensitivity unknown": _block(sensitivity="secret"),
    "sensitivity in upper case": _block(sensitivity="PUBLIC"),
    "content null": _block(content=None),
    "content a number": _block(content=5),
    "span id null": _block(span_id=None),
    "token count negative": _tokens(-1),
    "token count 2**32": _tokens(2**32),
    "token count without model family": _block(token_metadata={"token_count": 1}),
    "a key twice": GOOD.replace('"role"', '"content": "v", "role"'),
}

# Odd, but production reads them, and so do we.
READABLE_WINDOWS = {
    "empty list": "[]",
    "time with a space": _observation(created_at="2026-01-01 00:00:00Z"),
    "time in lower case": _observation(created_at="2026-01-01t00:00:00z"),
    "time of another zone": _observation(created_at="2026-01-01T00:00:00+05:30"),
    "time of a leap second": _observation(created_at="2026-06-30T23:59:60Z"),
    "time of year 0": _observation(created_at="0000-02-29T00:00:00Z"),
    "time with many digits": _observation(created_at="2026-01-01T00:00:00.1234567891234Z"),
    "id in upper case": _observation(ir_id=OBSERVATION["ir_id"].upper()),
    "id without hyphens": _observation(ir_id=OBSERVATION["ir_id"].replace("-", "")),
    "id in braces": _observation(ir_id=f"{{{OBSERVATION['ir_id']}}}"),
    "id as a URN": _observation(ir_id=f"urn:uuid:{OBSERVATION['ir_id']}"),
    "id of zeros": _observation(ir_id="00000000-0000-0000-0000-000000000000"),
    "optional fields null": _observation(source_request_hash=None, tool_schema_hashes=None),
    "token count null": _block(token_metadata=None),
    "unknown fields": _observation(zz={"a": 1}),
    "no sensitivity": _observation(blocks=[{k: v for k, v in OBSERVATION["blocks"][0].items() if k != "sensitivity"}]),
    "sensitivity private": _block(sensitivity="private"),
    "sensitivity restricted": _block(sensitivity="restricted"),
    "NUL in a content": _block(content="\0"),
    "largest index": _block(sequence_index=2**32 - 1),
    "largest token count": _tokens(2**32 - 1),
}

ONLY_WE_REFUSE_WINDOW = {
    "an unknown key twice": GOOD.replace('"role"', '"zz": 1, "zz": 2, "role"'),
    "unknown field too deep": _observation(zz="Q").replace('"Q"', "[" * 130 + "]" * 130),
    "unknown number out of range": _observation(zz="Q").replace('"Q"', "1e999"),
    "unknown integer out of range": _observation(zz="Q").replace('"Q"', str(2**64)),
    # Spellings of a time that are not RFC 3339, nor written by the runtime itself.
    "time without leading zeros": _observation(created_at="2026-1-1T0:0:0Z"),
    "time with spaces": _observation(created_at=" 2026 - 01 - 01T00 : 00 : 00 Z "),
    "time of a zone without a colon": _observation(created_at="2026-01-01T00:00:00+0530"),
    "time of a zone by name": _observation(created_at="2026-01-01T00:00:00UTC"),
    "time of a year of five digits": _observation(created_at="+10000-01-01T00:00:00Z"),
    "sensitivity as an object": _block(sensitivity={"public": None}),
    "an observation as an array": json.dumps([[OBSERVATION["ir_id"], [], None, None, None, OBSERVATION["created_at"]]]),
}


# --- settings: (name, value) ---

WINDOW, MINIMUM = "observation_window", "min_observations_for_full_confidence"
LIMITS = ("stable_threshold", "semi_stable_threshold")
NO_COUNTS = (-1, 1.5, 20.0, None, "5", True)
NO_NUMBERS = (None, "0.5", True, float("nan"), float("inf"), float("-inf"))

SETTINGS = [(name, value) for name in (WINDOW, MINIMUM) for value in NO_COUNTS]
SETTINGS += [(name, value) for name in LIMITS for value in NO_NUMBERS]
SETTINGS += [(MINIMUM, 2**32), (WINDOW, 2**64)]
SETTINGS += [(name, value) for name in LIMITS for value in (2**64, -(2**63) - 1)]

ACCEPTED_SETTINGS = [(WINDOW, value) for value in (0, 2**32, 2**64 - 1)]
ACCEPTED_SETTINGS += [(MINIMUM, value) for value in (0, 2**32 - 1)]
ACCEPTED_SETTINGS += [
    (name, value) for name in LIMITS for value in (1, -1, 0.0, 1.5, 1e308, 2**64 - 1, -(2**63), 2.0**64)
]
