"""What the rules versions from 0.6 on read differently (`acg_lab/docs/rules/learner.md`, 8)."""

import msgspec
import pytest
from learned_backend import learned_backend

from acg_lab.core import AnnotatedLlmRequest, RecordError, build_prompt_ir, canonical_json, hash_text, learning_key

NEWER = ["nemo-relay-0.6", "nemo-relay-0.8"]
NATIVE = {"type": "provider_native", "provider": "p", "kind": "k", "value": {"b": 1, "a": 2.0}}
CALL = {"role": "tool_call", "call_id": "c", "name": "f", "arguments": "{}"}
TOOL = {"type": "function", "function": {"name": "f"}}


def request(*messages, **fields):
    return msgspec.convert({"messages": list(messages), **fields}, AnnotatedLlmRequest)


def with_unknown(made, **unknown):
    return msgspec.structs.replace(made, unknown=unknown)


def blocks_of(made, rules):
    ir = build_prompt_ir(made, ir_id="i", created_at="t", rules=rules)
    return [(b.span_id, b.role, b.provenance, b.content_type, b.content) for b in ir.blocks]


def seed_of(message, rules="nemo-relay-0.6"):
    return learning_key("a", request(message), rules=rules).split("::seed=")[1].split("::system")[0]


@pytest.mark.parametrize("rules", NEWER)
@pytest.mark.parametrize(
    ("part", "text"),
    [
        ({"type": "refusal", "refusal": "no"}, "no"),
        ({"type": "image", "image": {"x": 1}}, ""),
        ({"type": "audio", "audio": {"b": 1.0, "a": 2}}, '{"type":"audio","audio":{"a":2,"b":1.0}}'),
        ({"zz": 1, "file": {}, "type": "file"}, '{"type":"file","file":{},"zz":1}'),
        (
            {"input": {}, "name": "n", "type": "tool_use", "id": "i"},
            '{"type":"tool_use","id":"i","name":"n","input":{}}',
        ),
        (
            {"a": 1, "is_error": True, "content": "c", "type": "tool_result", "tool_use_id": "i"},
            '{"type":"tool_result","tool_use_id":"i","content":"c","is_error":true,"a":1}',
        ),
        (NATIVE, '{"type":"provider_native","provider":"p","kind":"k","value":{"a":2.0,"b":1}}'),
    ],
)
def test_parts(rules, part, text):
    """Refusals contribute their text, images nothing, other parts their compact JSON with their own fields first."""
    made = request({"role": "user", "content": [{"type": "text", "text": "x"}, part, {"type": "text", "text": ""}]})
    assert blocks_of(made, rules)[0][4] == (f"x\n{text}" if text else "x")


@pytest.mark.parametrize("rules", NEWER)
@pytest.mark.parametrize(
    ("message", "block"),
    [
        ({"role": "developer", "content": "d"}, ("system-0-developer", "system", "developer", "text", "d")),
        ({"role": "function", "name": "f", "content": " r "}, ("tool-0-f", "tool", "tool", "text", "r")),
        ({"role": "function", "name": "f"}, ("tool-0-f", "tool", "tool", "text", "")),
    ],
)
def test_messages(rules, message, block):
    """Developer messages count as system; functions make a block of their result, which may be absent."""
    assert blocks_of(request(message), rules) == [block]


@pytest.mark.parametrize("rules", NEWER)
@pytest.mark.parametrize(
    ("message", "place"),
    [
        (CALL, ("assistant-0-f", "assistant", "developer")),
        ({"role": "tool_result", "call_id": "c", "output": 1.0}, ("tool-0-c", "tool", "tool")),
        ({"role": "provider_native", "provider": "p", "kind": "k", "value": 1}, ("user-0-k", "user", "developer")),
    ],
)  # fmt: skip
def test_items(rules, message, place):
    """Items make a block of the canonical JSON of the whole message."""
    assert blocks_of(request(message), rules) == [(*place, "text", canonical_json(message))]


def test_seeds():
    """Calls and results are hashed without their ids, natives whole; 0.6 cuts to 16 characters."""
    assert seed_of(CALL) == seed_of({**CALL, "call_id": "d"}) == "tool-call:sha256"
    assert seed_of({"role": "tool_result", "call_id": "c", "output": 1.0}) == "tool-result:sha2"
    native = {"role": "provider_native", "provider": "p", "kind": "k", "value": 1}
    digest = hash_text(canonical_json({"provider": "p", "kind": "k", "value": 1}))
    assert seed_of(native) == f"native:{digest}"[:16]
    nothing = hash_text(canonical_json({"name": "f", "content": None}))
    assert seed_of({"role": "function", "name": "f"}) == f"function:{nothing}"[:16]


def test_instructions_lead():
    """Top-level instructions are the first block and part of the system fingerprint from 0.6 on."""
    made = with_unknown(request({"role": "user", "content": "u"}), instructions="be brief")
    first = ("system-0-instructions", "system", "system", "text", "be brief")
    assert blocks_of(made, "nemo-relay-0.6")[0] == first
    items = [{"source": "instructions", "content": "be brief"}]
    assert f"::system={hash_text(canonical_json(items))}::" in learning_key("a", made, rules="nemo-relay-0.8")
    assert "::system=no-system::" in learning_key("a", made, rules="nemo-flow-0.2")


def system_of(made):
    return learning_key("a", made, rules="nemo-relay-0.8").split("::system=")[1].split("::tools=")[0]


def test_system_items():
    """From 0.6 on instructions, system and developer messages are hashed as a list, an empty text too, not joined."""
    parts = [{"type": "text", "text": "d"}]
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    made = with_unknown(request(*messages, {"role": "developer", "content": parts}), instructions="i")
    items = [
        {"source": "instructions", "content": "i"},
        {"source": "message", "role": "system", "content": "s"},
        {"source": "message", "role": "developer", "content": parts},
    ]
    assert system_of(made) == hash_text(canonical_json(items))
    empty = [{"source": "message", "role": "system", "content": ""}]
    assert system_of(request({"role": "system", "content": ""})) == hash_text(canonical_json(empty))
    assert system_of(request(messages[1])) == "no-system"


def test_response_format():
    """0.8 gives it a block after the tools and a part of the key; null counts as absent."""
    made = request({"role": "user", "content": "u"}, tools=[TOOL, NATIVE])
    made = with_unknown(made, response_format={"b": 1, "a": "  "})
    spans = [block[0] for block in blocks_of(made, "nemo-relay-0.8")]
    assert spans == ["system-0-f", "system-1-k", "system-2-structured-output", "user-3"]
    schema = '{"a":"  ","b":1}'
    assert blocks_of(made, "nemo-relay-0.8")[2][3:] == ("structured_output", schema)
    key = learning_key("a", made, rules="nemo-relay-0.8")
    assert key.endswith(f"::response_format={hash_text(schema)}")
    ir = build_prompt_ir(made, ir_id="i", created_at="t", rules="nemo-relay-0.8")
    assert ir.structured_output_schema_id == hash_text(schema)
    absent = with_unknown(request({"role": "user", "content": "u"}), response_format=None)
    assert "stable-scaffold" not in learning_key("a", absent, rules="nemo-relay-0.8")
    assert len(blocks_of(made, "nemo-relay-0.6")) == 3


@pytest.mark.parametrize(
    "message", [{"role": "king"}, {"role": 1}, {"role": "user", "content": [{"type": "hologram"}]}]
)
@pytest.mark.parametrize("rules", NEWER)
def test_what_no_codec_makes_is_refused(rules, message):
    """Roles and parts that production's records never hold are refused with their place."""
    with pytest.raises(RecordError, match=r"\$\.messages\[0\]\."):
        build_prompt_ir(request(message), ir_id="i", created_at="t", rules=rules)


def test_fingerprints_are_left_by_0_8_only():
    """A result of 0.8 has a fingerprint, one of the older rules none."""
    for rules in ("nemo-flow-0.2", *NEWER):
        results = learned_backend(rules=rules)._results.values()
        assert {result.stable_prefix_fingerprint is not None for result in results} == {rules == "nemo-relay-0.8"}
