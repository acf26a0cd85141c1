"""From a request to an observation (`acg_lab/docs/rules/learner.md`, 2)."""

import copy
import sys
from hashlib import sha256

import pytest
from hypothesis import given
from strategies import NEARLY_WHITE, TIME, WHITE_SPACE, make_request, make_tool, odd_texts, requests, texts

from acg_lab.core import (
    RULES,
    RecordError,
    UsageError,
    build_prompt_ir,
    canonical_json,
    hash_text,
    normalize_whitespace,
)
from acg_lab.core.prompt_ir import hash_request, make_block, request_to_json, tool_drafts


def build(request):
    return build_prompt_ir(request, ir_id="i", created_at=TIME)


def spans(*messages, **fields):
    return [block.span_id for block in build(make_request(*messages, **fields)).blocks]


def contents(*messages, **fields):
    return [block.content for block in build(make_request(*messages, **fields)).blocks]


def text_part(text):
    return {"type": "text", "text": text}


def tool_call(name="f", **fields):
    return {"id": "c", "type": "function", "function": {"name": name, "arguments": "{}"}, **fields}


IMAGE = {"type": "image_url", "image_url": {"url": "data:,x", "detail": "low"}}
SYSTEM = {"role": "system", "content": "s"}
ASSISTANT = {"role": "assistant", "content": "a"}
TOOL = {"role": "tool", "content": "t", "tool_call_id": "c1"}

# --- white space ---

NORMALISED = [
    ("", ""),
    ("a", "a"),
    (" \t\n a b \n\n ", "a b"),
    ("a  \t b", "a b"),
    ("a\nb", "a\nb"),
    ("a\n\n\nb", "a\n\n\nb"),
    ("a \t\nb", "a\nb"),
    ("a\n \t b", "a\n b"),
    ("a \n b", "a\n b"),
    ("a\n \n b", "a\n\n b"),
    ("a\r\nb", "a\nb"),
    ("a\n\rb", "a\n b"),
    ("a\rb", "a b"),
    ("a\u2028b\u2029c", "a b c"),
    ("\xa0a\u3000\u2003b\x85", "a b"),
    (WHITE_SPACE, ""),
]


def reference(text):
    """Normalise white space by the written rule, letter by letter."""
    start, end = 0, len(text)
    while start < end and text[start] in WHITE_SPACE:
        start += 1
    while end > start and text[end - 1] in WHITE_SPACE:
        end -= 1
    written, owed = "", False
    for character in text[start:end]:
        if character == "\n":
            written, owed = written + "\n", False
        elif character in WHITE_SPACE:
            owed = True
        else:
            written, owed = written + " " * owed + character, False
    return written


@pytest.mark.parametrize(("text", "expected"), NORMALISED)
def test_normalize(text, expected):
    """Ends are trimmed, runs become one space, line feeds stay, and nothing is before a line feed."""
    assert normalize_whitespace(text) == expected
    assert reference(text) == expected


def test_white_space_is_unicodes():
    """White space is the Unicode property: Python's own has U+001C to U+001F as well."""
    characters = [chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000]
    assert {c for c in characters if not normalize_whitespace(c)} == set(WHITE_SPACE)
    assert {c for c in characters if c.isspace()} - set(WHITE_SPACE) == set("\x1c\x1d\x1e\x1f")
    assert {c for c in characters if normalize_whitespace(f"a{c}b") in {"a b", "a\nb"}} == set(WHITE_SPACE)


@pytest.mark.parametrize("character", NEARLY_WHITE)
def test_near_white_space_stays(character):
    """Characters that only look or sound like white space are text: neither trimmed nor joined."""
    text = f"{character}{character}a{character}{character}"
    assert normalize_whitespace(text) == text


@given(texts(30) | odd_texts())
def test_normalize_agrees_with_the_reference(text):
    """The result equals that of the written rule, applied character by character."""
    assert normalize_whitespace(text) == reference(text)


@given(texts(30))
def test_normalize_is_idempotent(text):
    """Text that is normalised already stays as it is."""
    assert normalize_whitespace(normalize_whitespace(text)) == normalize_whitespace(text)


# --- blocks ---

KINDS = [
    (SYSTEM, "system-0", "system", "system", "text", "s"),
    ({"role": "user", "content": " u\t u "}, "user-0", "user", "user", "text", "u u"),
    (ASSISTANT, "assistant-0", "assistant", "developer", "text", "a"),
    (TOOL, "tool-0-c1", "tool", "tool", "tool_result", "t"),
    ({**TOOL, "tool_call_id": ""}, "tool-0-", "tool", "tool", "tool_result", "t"),
    (
        {"role": "assistant", "tool_calls": [tool_call("look up")]},
        "assistant-0-look up",
        "assistant",
        "developer",
        "text",
        '{"function":{"arguments":"{}","name":"look up"},"id":"c","type":"function"}',
    ),
]


@pytest.mark.parametrize(("message", "span_id", "role", "provenance", "content_type", "content"), KINDS)
def test_kinds_of_messages(message, span_id, role, provenance, content_type, content):
    """Each role has its own block role, provenance, type and span id; every block is public."""
    (block,) = build(make_request(message)).blocks
    assert (block.span_id, block.role, block.provenance) == (span_id, role, provenance)
    assert (block.content_type, block.content, block.sequence_index) == (content_type, content, 0)
    assert (block.sensitivity, block.token_metadata) == ("public", None)


def test_tool_schema_block():
    """The block of a tool is the canonical JSON of its whole definition, normalised."""
    tool = {**make_tool("f", description="a  \xa0b", parameters={"z": 1.0, "y": [2**63]}), "strict": True}
    (block,) = build(make_request(tools=(tool,))).blocks
    assert (block.span_id, block.role, block.provenance) == ("system-0-f", "system", "system")
    assert block.content_type == "tool_schema"
    assert block.content == (
        '{"function":{"description":"a b","name":"f","parameters":{"y":[9223372036854776000],"z":1}},'
        '"strict":true,"type":"function"}'
    )


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ((), ["system-0-f", "system-1-g"]),
        ((SYSTEM,), ["system-0", "system-1-f", "system-2-g"]),
        ((SYSTEM, SYSTEM), ["system-0", "system-1", "system-2-f", "system-3-g"]),
        (("u",), ["system-0-f", "system-1-g", "user-2"]),
        ((SYSTEM, "u", SYSTEM), ["system-0", "system-1-f", "system-2-g", "user-3", "system-4"]),
        ((ASSISTANT, SYSTEM), ["system-0-f", "system-1-g", "assistant-2", "system-3"]),
        ((TOOL,), ["system-0-f", "system-1-g", "tool-2-c1"]),
        (({"role": "assistant"}, SYSTEM), ["system-0-f", "system-1-g", "system-2"]),
    ],
)
def test_tools_stand_before_the_first_other_message(messages, expected):
    """Tools are before the first message that is not system, even one without a block; else they come last."""
    assert spans(*messages, tools=(make_tool("f"), make_tool("g"))) == expected


def test_one_index_numbers_all_blocks():
    """One running index numbers messages, calls and tools alike, from 0."""
    calls = {"role": "assistant", "content": "", "tool_calls": [tool_call("f"), tool_call("f"), tool_call("")]}
    observation = build(make_request(SYSTEM, "u", calls, TOOL, "v", tools=(make_tool(),)))
    assert [block.sequence_index for block in observation.blocks] == list(range(9))
    assert [block.span_id for block in observation.blocks] == [
        "system-0",
        "system-1-f",
        "user-2",
        "assistant-3",
        "assistant-4-f",
        "assistant-5-f",
        "assistant-6-",
        "tool-7-c1",
        "user-8",
    ]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"role": "assistant"}, []),
        ({"role": "assistant", "content": None}, []),
        ({"role": "assistant", "content": None, "tool_calls": None}, []),
        ({"role": "assistant", "tool_calls": []}, []),
        ({"role": "assistant", "content": ""}, [""]),
        ({"role": "assistant", "content": []}, [""]),
        ({"role": "assistant", "content": "x", "tool_calls": []}, ["x"]),
    ],
)
def test_assistant_without_content(message, expected):
    """An assistant message makes a text block if it has content, even an empty one, and none if it has neither."""
    assert contents(message) == expected


def test_tool_call_is_normalised_json():
    """The block of a tool call is the canonical JSON of the whole call, unknown keys included, normalised."""
    call = tool_call("f", index=0.0)
    call["function"]["arguments"] = '{"a":  "x\u2003\u2003y\n"}'
    assert contents({"role": "assistant", "tool_calls": [call]}) == [
        '{"function":{"arguments":"{\\"a\\": \\"x y\\n\\"}","name":"f"},"id":"c","index":0,"type":"function"}'
    ]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], ""),
        ([text_part("a")], "a"),
        ([text_part("a"), text_part("b")], "a\nb"),
        ([text_part("a "), IMAGE, text_part(" b")], "a\n b"),
        ([IMAGE], ""),
        ([IMAGE, text_part("a"), IMAGE], "a"),
        ([{**text_part("a"), "cache_control": {"type": "ephemeral"}}], "a"),
    ],
)
@pytest.mark.parametrize("role", ["system", "user", "assistant", "tool"])
def test_parts(role, parts, expected):
    """Text parts are joined by line feeds and images dropped, before white space is normalised."""
    assert contents({"role": role, "content": parts, "tool_call_id": "c"}) == [expected]


def test_empty_text_parts_make_lines():
    """A text part without text still makes a line."""
    assert contents({"role": "user", "content": [text_part("a"), text_part(""), text_part("b")]}) == ["a\n\nb"]


# --- the observation ---


def test_tool_schema_hashes():
    """Hashes are those of the canonical JSON as it is before white space is normalised."""
    tool = make_tool("f", description="a  b")
    (schema,) = build(make_request(tools=(tool,))).tool_schema_hashes
    text = '{"function":{"description":"a  b","name":"f"},"type":"function"}'
    assert (schema.tool_name, schema.schema_hash) == ("f", "sha256:" + sha256(text.encode()).hexdigest())


@pytest.mark.parametrize(("tools", "expected"), [(None, None), ((), ())])
def test_no_tools(tools, expected):
    """Hashes are absent when tools are absent; an empty list stays an empty list."""
    assert build(make_request("u", tools=tools)).tool_schema_hashes == expected


def test_request_hash():
    """The request hash is that of the canonical JSON of the whole request, unknown keys among the others."""
    request = make_request(
        "u", model="m", params={"temperature": 1.0}, tools=(make_tool(),), tool_choice="auto", unknown={"seed": 2**63}
    )
    text = (
        '{"messages":[{"content":"u","role":"user"}],"model":"m","params":{"temperature":1},"seed":9223372036854776000,'
        '"tool_choice":"auto","tools":[{"function":{"name":"f"},"type":"function"}]}'
    )
    assert build(request).source_request_hash == "sha256:" + sha256(text.encode()).hexdigest()


@given(requests())
def test_request_hash_is_of_the_stored_request(request):
    """The request hash is that of the request as production stores it, absent fields left out."""
    assert build(request).source_request_hash == hash_text(canonical_json(request_to_json(request)))


def test_request_hash_sorts_fields_by_utf_16():
    """The request's own fields are in the order of RFC 8785, which beyond the basic plane is not that of Python."""
    request = make_request(unknown={"\uffff": 1, "\U00010000": 2, "a": 3})
    text = '{"a":3,"messages":[],"\U00010000":2,"\uffff":1}'
    assert build(request).source_request_hash == hash_text(text)


@given(requests())
def test_parts_are_those_of_the_whole(request):
    """The hash of a request and the blocks of its tools, each made by itself, are those of its observation."""
    observation = build(request)
    assert hash_request(request) == observation.source_request_hash
    schemas = [block for block in observation.blocks if block.content_type == "tool_schema"]
    drafts = tool_drafts(RULES["nemo-flow-0.2"], request)
    assert [make_block(draft, block.sequence_index) for draft, block in zip(drafts, schemas, strict=True)] == schemas


def test_identity_is_the_callers():
    """Id and time are those passed in; nothing is read from a clock or made at random."""
    observation = build_prompt_ir(make_request("u"), ir_id="me", created_at="then")
    assert (observation.ir_id, observation.created_at) == ("me", "then")
    assert observation.structured_output_schema_id is None


@given(requests())
def test_arguments_stay_unchanged(request):
    """Building an observation leaves the request unchanged, and repeating it returns an equal one."""
    before = copy.deepcopy(request)
    assert build(request) == build(before)
    assert request == before


@given(requests())
def test_blocks_are_numbered_and_normalised(request):
    """Every block's index is its place, its span id holds role and index, and its content is normalised."""
    for place, block in enumerate(build(request).blocks):
        assert block.sequence_index == place
        assert block.span_id.startswith(f"{block.role}-{place}")
        assert block.content == reference(block.content)


UNREADABLE = {
    "no role": (make_request({"content": "x"}), "$.messages[0].role"),
    "unknown role": (make_request("u", {"role": "narrator", "content": "x"}), "$.messages[1].role"),
    "role that is no text": (make_request({"role": 1, "content": "x"}), "$.messages[0].role"),
    "no content": (make_request({"role": "user"}), "$.messages[0].content"),
    "null content": (make_request({"role": "user", "content": None}), "$.messages[0].content"),
    "content of another type": (make_request({"role": "tool", "tool_call_id": "c", "content": 5}), "$.messages[0].c"),
    "part that is no object": (make_request({"role": "user", "content": ["x"]}), "$.messages[0]"),
    "part without a type": (make_request({"role": "user", "content": [{"text": "x"}]}), "$.messages[0]"),
    "part of unknown type": (make_request({"role": "user", "content": [{"type": "hologram"}]}), "$.messages[0]"),
    "text part without text": (make_request({"role": "user", "content": [{"type": "text"}]}), "$.messages[0]"),
    "tool without a call id": (make_request({"role": "tool", "content": "x"}), "$.messages[0].tool_call_id"),
    "call without a name": (
        make_request({"role": "assistant", "tool_calls": [{"function": {}}]}),
        "$.messages[0]",
    ),
    "call without a function": (make_request({"role": "assistant", "tool_calls": [{}]}), "$.messages[0]"),
    "call that is no object": (make_request({"role": "assistant", "tool_calls": ["f"]}), "$.messages[0]"),
    "calls that are no list": (make_request({"role": "assistant", "tool_calls": "f"}), "$.messages[0].tool_calls"),
    "tool that has no name": (make_request(tools=(make_tool(), {"type": "function", "function": {}})), "$.tools[1]"),
    "tool that has no function": (make_request(tools=({"type": "function"},)), "$.tools[0]"),
    "number out of range": (make_request("u", params={"seed": 2**64}), "$"),
    "NaN in a tool": (make_request("u", tools=(make_tool(parameters=float("nan")),)), "$"),
    "lone surrogate": (make_request("\ud800"), "$"),
}


@pytest.mark.parametrize(("request_", "path"), UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_requests(request_, path):
    """A request that production can't read is refused with the path in it, and without its text."""
    with pytest.raises(RecordError, match="expected") as caught:
        build(request_)
    assert caught.value.path.startswith(path)


def test_unknown_rules():
    """An unknown rules version raises UsageError, which lists the known ones."""
    with pytest.raises(UsageError, match=r"The 'rules' setting must be one of 'nemo-flow-0\.2'.*; got 'nemo'\."):
        build_prompt_ir(make_request("u"), ir_id="i", created_at=TIME, rules="nemo")
