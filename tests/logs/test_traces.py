"""OTLP JSON traces in every dialect: calls, whose they are, and what a trace lacks."""

import json
from random import Random

import pytest
from logs.reading import FIXTURES, Read, documents, lines, whole

from acg_lab.logs import rebuild_body, span_prompts
from acg_lab.logs.atof import SORTED_KEYS
from acg_lab.logs.formats import detect_format
from acg_lab.logs.traces import read_traces

SYSTEM = "You are X. " * 5
RELAY = "relay-0.11.0rc3-full/otlp-"


def value_of(value):
    """Return a value as OTLP packs it."""
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [value_of(item) for item in value]}}
    return {"kvlistValue": {"values": [{"key": k, "value": value_of(v)} for k, v in value.items()]}}


def span(attributes, *, span_id="s1", parent="", trace="t1", start=10**18, end=10**18 + 10**9, **more):
    """Return a span."""
    return {
        "traceId": trace,
        "spanId": span_id,
        "parentSpanId": parent,
        "name": "call",
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(end),
        "attributes": [{"key": key, "value": value_of(value)} for key, value in attributes.items()],
        **more,
    }


def export(*spans, service="shop"):
    """Return one export of spans."""
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "x"}, "spans": list(spans)}]}]}


def genai(messages, **more):
    """Return the attributes of a GenAI chat span."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5.1",
        "gen_ai.input.messages": json.dumps(messages),
        **more,
    }


def text(role, content):
    """Return a message of one text."""
    return {"role": role, "parts": [{"type": "text", "content": content}]}


def read(*spans, options=None):
    return Read(read_traces, documents([export(*spans)]), options)


# --- the fixtures ---


def test_openinference():
    """Its instrumentations keep the body as sent: order of keys and cache marks are there."""
    found = Read(read_traces, lines("otlp-openinference.jsonl"))
    assert not found.problems
    first, second, chat = found.bodies
    assert list(first) == ["model", "max_tokens", "system", "tools", "messages"]
    assert first["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert second["messages"][:1] == first["messages"]
    assert chat["prompt_cache_key"] == "k"
    assert json.loads(found.calls[0].response)["usage"]["cache_read_input_tokens"] == 2048
    assert not found.notes
    (run,) = found.runs
    assert {(call.run_id, call.session_id, call.agent_id) for call in found.calls} == {(run.id, "c1", "handle request")}


def test_openllmetry():
    """GenAI attributes make a body of the same texts, calls and tools; the client's own spans are no calls."""
    found = Read(read_traces, lines("otlp-openllmetry.jsonl"))
    assert not found.problems
    first, second, chat = found.bodies
    assert first["system"] == SYSTEM
    assert first["tools"][0]["input_schema"]["properties"] == {"q": {"type": "string"}}
    assert second["messages"][1]["content"][1] == {
        "type": "tool_use",
        "id": "tu_1",
        "name": "search",
        "input": {"q": "x"},
    }
    assert second["messages"][2]["content"][0]["content"] == "found"
    assert chat["messages"] == [{"role": "system", "content": "S"}, {"role": "user", "content": "hi"}]
    assert found.notes == {rebuild_body.REBUILT.text}
    usage = found.calls[0].usage
    assert (usage.prompt_tokens, usage.cache_read_tokens, usage.cache_write_tokens) == (2155, 2048, 100)
    assert {call.agent_id for call in found.calls} == {"shop"}


@pytest.mark.parametrize("names", [["genai", "genai-logs"], ["genai-events-logs", "genai-events"]])
def test_genai(names):
    """Messages stand on the span, in the details event, or in a log record each, of another file before or after."""
    found = Read(read_traces, lines(*(f"otlp-{name}.jsonl" for name in names)))
    assert not found.problems
    (body,) = found.bodies
    assert body["messages"] == [{"role": "system", "content": "S"}, {"role": "user", "content": "hi"}]
    assert found.calls[0].usage.prompt_tokens == 2007
    assert span_prompts.FEW_TOOLS.text in found.notes


def test_genai_details_event_alone():
    """The details event is enough, in structured form."""
    spans = [json.loads(one) for one in (FIXTURES / "otlp-genai.jsonl").read_text().splitlines()]
    for one in spans[0]["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        one["attributes"] = [pair for pair in one["attributes"] if pair["key"] != "gen_ai.input.messages"]
    found = Read(read_traces, [*documents(spans), *lines("otlp-genai-logs.jsonl")])
    assert [m["content"] for m in found.bodies[0]["messages"]] == ["S", "hi"]


def test_relay_full():
    """The runtime's own dialect holds raw bodies; its runs are the agent scopes of its event file."""
    found = Read(read_traces, lines(f"{RELAY}full.jsonl"))
    events = [json.loads(one) for one in (FIXTURES / "relay-0.11.0rc3-full/events.jsonl").read_text().splitlines()]
    agents = {e["uuid"] for e in events if e["category"] == "agent"}
    assert {run.id for run in found.runs} == agents
    assert {call.run_id for call in found.calls} - {None} == agents
    assert found.bodies[0]["messages"] == [{"role": "user", "content": "last of 0"}]
    assert SORTED_KEYS.text in found.notes
    assert all("usage" in json.loads(call.response) for call in found.calls if call.response)


@pytest.mark.parametrize(
    ("dialect", "note"), [("gen_ai", rebuild_body.REBUILT), ("openinference", rebuild_body.REBUILT)]
)
def test_relay_other_dialects(dialect, note):
    """The runtime's other dialects are read like everybody's, and say what they lack."""
    found = Read(read_traces, lines(f"{RELAY}{dialect}.jsonl"))
    assert [m["content"] for m in found.bodies[1]["messages"]][-1] == "last of 2"
    assert note.text in found.notes


def test_single_document():
    """A file that is one export of many spans is read as well."""
    spans = [
        one
        for line in (FIXTURES / "otlp-openinference.jsonl").read_text().splitlines()
        for one in json.loads(line)["resourceSpans"]
    ]
    assert len(Read(read_traces, documents([{"resourceSpans": spans}])).calls) == 3


def test_any_order():
    """The order of the lines makes no difference."""
    given = lines("otlp-openinference.jsonl", "otlp-openllmetry.jsonl", f"{RELAY}full.jsonl")
    expected = Read(read_traces, given).calls
    shuffled = Random(7).sample(given, len(given))
    assert Read(read_traces, shuffled).calls == expected


def test_detection():
    """OTLP is recognised by its outermost field."""
    assert detect_format([json.loads(lines("otlp-genai.jsonl")[0].raw)]).name == "otlp"
    assert detect_format([json.loads(lines("otlp-genai-logs.jsonl")[0].raw)]).name == "otlp"


# --- what traces lack ---


def test_no_prompt():
    """A call without content is a problem that says what to turn on."""
    found = read(span({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}))
    assert not found.calls
    assert "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT" in found.problems[0].reason


@pytest.mark.parametrize(
    ("attributes", "word"),
    [
        (genai([text("user", "[REDACTED]")]), "redacted"),
        (genai([text("user", "a" * 64)]), "hash"),
        ({"openinference.span.kind": "LLM", "input.value": "__REDACTED__"}, "redacted"),
        (genai([]) | {"gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "ab'}, "cut"),
        (genai([{"role": "user"}, 3]), "cut"),
        (genai([{"role": "user", "parts": ["x"]}]), "parts"),
        (
            {
                "openinference.span.kind": "LLM",
                "llm.input_messages.0.message.role": "user",
                "llm.input_messages.2.message.role": "user",
            },
            "missing",
        ),
    ],
)
def test_unusable_prompts(attributes, word):
    """Redacted, hashed, cut and broken prompts are refused, each with the reason."""
    found = read(span(attributes))
    assert not found.calls
    assert word in found.problems[0].reason


def test_dropped_attributes():
    """Flattened messages are refused where the SDK dropped attributes; a raw body beside them is whole."""
    flat = {"openinference.span.kind": "LLM", "llm.input_messages.0.message.role": "user"}
    assert "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" in read(span(flat, droppedAttributesCount=3)).problems[0].reason
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "u"}]})
    assert len(read(span(flat | {"input.value": body}, droppedAttributesCount=3)).calls) == 1


def test_names_of_tools_only():
    """Tools that are names only are flagged; so are tool calls without any definition."""
    user = text("user", "u")
    names = {"gen_ai.tool.definitions": json.dumps([{"type": "function", "name": "f"}])}
    assert rebuild_body.NAMES_ONLY.text in read(span(genai([user], **names))).notes
    call = {"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "f", "arguments": {"a": 1}}]}
    assert rebuild_body.NO_TOOLS.text in read(span(genai([user, call]))).notes


# --- bodies ---


def test_roles_and_parts():
    """Each kind of part gets its place in the body of either API."""
    messages = [
        text("system", "S"),
        {
            "role": "user",
            "parts": [{"type": "text", "content": "look"}, {"type": "uri", "uri": "http://i", "modality": "image"}],
        },
        {"role": "assistant", "parts": [{"type": "tool_call", "id": "1", "name": "f", "arguments": {"a": 1}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": {"b": 2}}]},
        {"role": "user", "parts": [{"type": "blob", "modality": "image", "mime_type": "image/png", "content": "QUJD"}]},
    ]
    (chat,) = read(span(genai(messages))).bodies
    assert [m["role"] for m in chat["messages"]] == ["system", "user", "assistant", "tool", "user"]
    assert chat["messages"][1]["content"][1] == {"type": "image_url", "image_url": {"url": "http://i"}}
    assert chat["messages"][2]["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}
    assert chat["messages"][3] == {"role": "tool", "tool_call_id": "1", "content": '{"b":2}'}
    assert chat["messages"][4]["content"][0]["image_url"]["url"] == "data:image/png;base64,QUJD"
    (claude,) = read(span(genai(messages) | {"gen_ai.provider.name": "anthropic"})).bodies
    assert claude["system"] == "S"
    assert [m["role"] for m in claude["messages"]] == ["user", "assistant", "user", "user"]
    assert claude["messages"][1]["content"][0]["input"] == {"a": 1}
    assert claude["messages"][2]["content"][0]["tool_use_id"] == "1"
    assert claude["messages"][3]["content"][0]["source"]["media_type"] == "image/png"


def test_parameters_and_system():
    """Request parameters get the names of the API; system instructions come first."""
    more = {
        "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "S"}]),
        "gen_ai.request.max_tokens": 5,
        "gen_ai.request.stop_sequences": ["a"],
    }
    (body,) = read(span(genai([text("user", "u")], **more))).bodies
    assert body["messages"][0] == {"role": "system", "content": "S"}
    assert (body["max_tokens"], body["stop"]) == (5, ["a"])


def test_message_events_of_a_span():
    """Events of one message each are taken in their order, tool calls included."""
    contents = [
        ("system", {"content": "S"}),
        ("user", {"content": "u"}),
        ("assistant", {"tool_calls": json.dumps([{"id": "1", "function": {"name": "f", "arguments": "{}"}}])}),
        ("tool", {"id": "1", "content": "r"}),
    ]
    events = [
        {
            "name": f"gen_ai.{role}.message",
            "timeUnixNano": str(10**18 + i),
            "attributes": [{"key": key, "value": value_of(value)} for key, value in body.items()],
        }
        for i, (role, body) in enumerate(contents)
    ]
    attributes = {"gen_ai.system": "openai", "gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
    (body,) = read(span(attributes, events=events)).bodies
    assert [m["role"] for m in body["messages"]] == ["system", "user", "assistant", "tool"]
    assert body["messages"][3] == {"role": "tool", "tool_call_id": "1", "content": "r"}


def test_indexed_prompts():
    """``gen_ai.prompt.0.content`` and the like, of older instrumentations, are read."""
    attributes = {
        "gen_ai.system": "OpenAI",
        "gen_ai.request.model": "m",
        "gen_ai.operation.name": "chat",
        "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": "u",
        "gen_ai.prompt.1.role": "assistant",
        "gen_ai.prompt.1.tool_calls.0.id": "1",
        "gen_ai.prompt.1.tool_calls.0.name": "f",
        "gen_ai.prompt.1.tool_calls.0.arguments": "{}",
        "llm.request.functions.0.name": "f",
        "llm.request.functions.0.parameters": '{"type": "object"}',
    }
    (body,) = read(span(attributes)).bodies
    assert body["messages"][1]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    assert body["tools"][0]["function"]["parameters"] == {"type": "object"}


def test_megabytes_of_image():
    """An image of megabytes in base64 is kept as it is."""
    part = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "A" * 4_000_000}
    (body,) = read(span(genai([{"role": "user", "parts": [part]}]))).bodies
    assert len(body["messages"][0]["content"][0]["image_url"]["url"]) > 4_000_000


# --- usage ---


@pytest.mark.parametrize("written", ["cache_creation", "cache_write"])
def test_names_of_usage(written):
    """Both names of what was written are known, and the prompt is the whole."""
    usage = {
        "gen_ai.usage.input_tokens": 2155,
        "gen_ai.usage.cache_read.input_tokens": 2048,
        f"gen_ai.usage.{written}.input_tokens": 100,
        "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 40,
        "gen_ai.usage.output_tokens": "2",
    }
    (call,) = read(span(genai([text("user", "u")], **usage))).calls
    assert (call.usage.prompt_tokens, call.usage.cache_read_tokens, call.usage.cache_write_tokens) == (2155, 2048, 100)
    assert (call.usage.output_tokens, call.usage.cache_writes_by_ttl) == (2, {"1h": 40})


def test_usage_of_the_rest():
    """Where more was read than the prompt has, the number is Anthropic's uncached rest."""
    usage = {"gen_ai.usage.input_tokens": 7, "gen_ai.usage.cache_read_input_tokens": 2048}
    (call,) = read(span(genai([text("user", "u")], **usage))).calls
    assert call.usage.prompt_tokens == 2055


# --- times, runs, nesting ---


def test_times():
    """Times are exact; one that is missing or wrong is absent; the first token is an event or an attribute."""
    more = {"gen_ai.response.time_to_first_chunk": 0.25}
    (call,) = read(span(genai([text("user", "u")], **more))).calls
    assert (call.started_at, call.first_token_at) == ("2001-09-09T01:46:40Z", "2001-09-09T01:46:40.250Z")
    event = {"name": "First Token Stream Event", "timeUnixNano": str(10**18 + 5)}
    (call,) = read(span(genai([text("user", "u")]), events=[event])).calls
    assert call.first_token_at == "2001-09-09T01:46:40.000000005Z"
    (call,) = read(span(genai([text("user", "u")]), start="noon", end=-1)).calls
    assert (call.started_at, call.ended_at) == (None, None)


def test_runs():
    """A run is the agent span around the call; else the session's; else the trace, unless the call is all of it."""
    one = genai([text("user", "u")])
    agent = span({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper"}, span_id="a")
    found = read(span(one, parent="a"), agent)
    assert (found.calls[0].run_id, found.calls[0].agent_id) == ("t1-a", "helper")
    assert read(span(one, parent="b"), span({"session.id": "c"}, span_id="b")).calls[0].run_id is None
    assert read(span(one, parent="missing")).calls[0].run_id == "t1"
    assert read(span(one)).calls[0].run_id is None


def test_circular_parents():
    """Spans that are each other's parents end the search."""
    found = read(span(genai([text("user", "u")]), span_id="a", parent="b"), span({}, span_id="b", parent="a"))
    assert len(found.calls) == 1


def test_nested_calls():
    """Of nested spans of one call the innermost with a prompt counts, unless an outer one has the raw body."""
    inner = genai([text("user", "inner")])
    outer = genai([text("user", "outer")])
    found = read(span(outer, span_id="o"), span(inner, span_id="i", parent="o"))
    assert [body["messages"][0]["content"] for body in found.bodies] == ["inner"]
    raw = {
        "openinference.span.kind": "LLM",
        "input.value": json.dumps({"model": "m", "messages": [{"role": "user", "content": "raw"}]}),
    }
    usage = {"gen_ai.usage.input_tokens": 9}
    found = read(span(raw, span_id="o"), span(inner | usage, span_id="i", parent="o"))
    assert [body["messages"][0]["content"] for body in found.bodies] == ["raw"]
    assert found.calls[0].usage.prompt_tokens == 9
    two = read(span(outer, span_id="o"), *(span(inner, span_id=i, parent="o") for i in "ab"))
    assert len(two.calls) == 2


def test_errors():
    """A failed call has the type of its error, never the message."""
    event = {"name": "exception", "attributes": [{"key": "exception.type", "value": value_of("RateLimitError")}]}
    failed = span(genai([text("user", "u")]), status={"code": 2, "message": "private"}, events=[event])
    assert read(failed).calls[0].error == "RateLimitError"


def test_other_spans():
    """Spans of other kinds are no calls and no problems."""
    others = [
        {},
        {"openinference.span.kind": "TOOL"},
        {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "m"},
    ]
    found = read(*(span(attributes, span_id=str(i)) for i, attributes in enumerate(others)))
    assert not found.calls
    assert not found.problems


def test_bad_documents():
    """What is no OTLP is a problem with its line and path; the rest is read."""
    good = export(span(genai([text("user", "u")])))
    bad = export(span({}), 3, span({}) | {"attributes": [{"key": "a", "value": {"intValue": "many"}}]})
    given = documents(["{", "[]", {"a": 1}, {"resourceSpans": [3]}, bad, good])
    found = Read(read_traces, given)
    assert [problem.line for problem in found.problems] == [1, 2, 3, 4, 5]
    assert found.problems[-1].path == "$.resourceSpans[0].scopeSpans[0].spans[1]"
    assert len(found.calls) == 1


def test_snake_case_and_plain_attributes():
    """The names of the proto itself, and attributes as a plain object, are read."""
    one = {
        "trace_id": "t",
        "span_id": "s",
        "start_time_unix_nano": 10**18,
        "attributes": genai([text("user", "u")]),
    }
    found = Read(read_traces, documents([{"resource_spans": [{"scope_spans": [{"spans": [one]}]}]}]))
    assert found.calls[0].started_at == "2001-09-09T01:46:40Z"


def test_whole_file():
    """A document may come as a whole file."""
    assert Read(read_traces, whole("otlp-genai-logs.jsonl")).problems == []
