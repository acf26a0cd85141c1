"""Event files of NeMo Relay: calls, their runs, and what the files lack."""

import json

import pytest
from logs.reading import FIXTURES, Read, documents, lines, whole

from acg_lab.logs import atof
from acg_lab.logs.atof import read_atif, read_atof
from acg_lab.logs.formats import detect_format
from acg_lab.logs.turns import is_last_turn, lacks_its_tool_call

VERSIONS = ("0.10.4", "0.11.0rc3")


def events(name="relay-0.10.4-full"):
    """Return the events of a fixture."""
    return [json.loads(line) for line in (FIXTURES / name / "events.jsonl").read_text().splitlines()]


def body_of(call):
    return json.loads(call.request)


@pytest.fixture(params=VERSIONS)
def read(request):
    return Read(read_atof, lines(f"relay-{request.param}-full/events.jsonl"))


def test_calls(read):
    """Every call is read once, with its body, the annotated request of its codec, the answer and its times."""
    assert not read.problems
    assert len(read.calls) == 8
    first = read.calls[0]
    assert body_of(first)["messages"] == [{"role": "user", "content": "last of 0"}]
    assert json.loads(first.annotated)["instructions"] == body_of(first)["system"] == "You are X."
    assert json.loads(first.response)["usage"]["cache_read_input_tokens"] == 2048
    assert first.started_at < first.ended_at
    assert first.started_at.endswith("Z")
    assert {call.api for call in read.calls if call.annotated} == {"anthropic", "openai-chat", "openai-responses"}


def test_runs(read):
    """A run is the nearest agent scope, whatever stands between; outside of all of them there is none."""
    outer, inner = sorted(read.runs, key=lambda run: run.started_at)
    assert (outer.agent_id, inner.agent_id) == ("outer", "inner")
    assert inner.ended_at < outer.ended_at
    by_run = [call.run_id for call in read.calls]
    assert by_run.count(outer.id) == 5
    assert by_run.count(inner.id) == 1
    outside = [call for call in read.calls if call.run_id is None]
    assert len(outside) == 2
    assert all(atof.NO_SCOPE in call.notes for call in outside)


def test_streamed_failed_and_open_calls(read):
    """The first chunk is the first token; a failure is known by its type; a call without an end has no answer."""
    (streamed,) = [call for call in read.calls if call.first_token_at is not None]
    assert streamed.started_at < streamed.first_token_at < streamed.ended_at
    (failed,) = [call for call in read.calls if call.error]
    assert (failed.error, failed.response) == ("RuntimeError", None)
    (never,) = [call for call in read.calls if call.ended_at is None]
    assert body_of(never)["messages"][0]["content"] == "never ended"


def test_calls_without_codec(read):
    """Where other calls have a codec, the runtime learned nothing from one without, and so does the lab."""
    without = [call for call in read.calls if call.annotated is None]
    assert len(without) == 2
    assert all(not call.is_learned and atof.UNLEARNED in call.notes for call in without)


def test_no_codec_at_all():
    """Where no call has a codec, they are learned from their bodies, and it is said."""
    plain = [event | {"category_profile": {}} if event["category"] == "llm" else event for event in events()]
    read = Read(read_atof, documents(plain))
    assert len(read.calls) == 8
    assert all(call.is_learned and atof.NO_CODECS in call.notes for call in read.calls)


def test_order_of_keys_is_noted(read):
    """The runtime sorts keys, so every call says that their order is not recorded."""
    assert all(atof.SORTED_KEYS in call.notes for call in read.calls)


@pytest.mark.parametrize("version", VERSIONS)
def test_cut_payloads(version):
    """Without full payloads later calls may be cut, and say so; with them none does."""
    cut = Read(read_atof, lines(f"relay-{version}-cut/events.jsonl"))
    full = Read(read_atof, lines(f"relay-{version}-full/events.jsonl"))
    assert {atof.PERHAPS_CUT.text} == cut.notes - full.notes
    doubted = [call for call in cut.calls if atof.PERHAPS_CUT in call.notes]
    assert [body_of(call)["messages"][0]["content"] for call in doubted] == ["last of 2", "last of 1", "last of 1"]


def test_surely_cut_payload():
    """A request that answers a tool call which it does not hold was cut: its body is not kept as what was sent."""
    several = events("relay-0.10.4-cut")
    starts = [e for e in several if e["category"] == "llm" and e["scope_category"] == "start" and e["category_profile"]]
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "found"}]}
    starts[1]["category_profile"]["annotated_request"]["messages"] = [result]
    read = Read(read_atof, documents(several))
    (cut,) = [call for call in read.calls if atof.CUT in call.notes]
    assert cut.request is None
    assert json.loads(cut.annotated)["messages"] == [result]


@pytest.mark.parametrize("version", VERSIONS)
def test_atif(version):
    """A trajectory that embeds its events is read as these."""
    embedded = Read(read_atif, whole(f"relay-{version}-full/atif.json"))
    from_file = Read(read_atof, lines(f"relay-{version}-full/events.jsonl"))
    ids = {call.call_id for call in embedded.calls}
    assert len(ids) == 6  # a trajectory holds what happened inside its agent
    assert ids <= {call.call_id for call in from_file.calls}
    assert not embedded.problems


def test_atif_without_events():
    """A trajectory without events is refused with the reason."""
    read = Read(read_atif, documents([{"schema_version": "ATIF-v1.7", "steps": [], "extra": {}}]))
    assert not read.calls
    assert read.problems[0].path == "$.extra.observed_events"


def test_any_order():
    """Calls are the same if every end stands before its start, but for those whose scopes come later."""
    back, forth = Read(read_atof, documents(events()[::-1])), Read(read_atof, documents(events()))
    assert {call.call_id for call in back.calls} == {call.call_id for call in forth.calls}
    assert all(call.ended_at for call in back.calls if call.response)


def test_bad_lines():
    """Each bad line is a problem with its line and path; the good ones are all used."""
    texts = [json.dumps(event) for event in events()]
    broken = [
        texts[0],
        texts[1][:200],
        "[]",
        '{"kind": "scope"}',
        json.dumps(events()[1] | {"atof_version": "0.9", "uuid": "other"}),
        json.dumps(events()[2] | {"uuid": "unknown"}),
        json.dumps(events()[1] | {"timestamp": "noon", "uuid": "timeless"}),
        *texts[1:],
    ]
    read = Read(read_atof, documents(broken))
    assert [problem.line for problem in read.problems] == [2, 3, 4, 5, 7, 6]
    assert read.problems[3].path == "$.atof_version"
    assert read.problems[4].path == "$.timestamp"
    assert "start is not in the log" in read.problems[5].reason
    assert len(read.calls) == 9
    assert next(call for call in read.calls if call.call_id == "timeless").started_at is None


def test_bad_payloads():
    """A start without a request, or with another type in a place, is a problem of that call alone."""
    start = events()[1]
    for change in (
        {"data": None, "category_profile": None},
        {"data": 3},
        {"category_profile": {"annotated_request": 3}},
    ):
        read = Read(read_atof, documents([start | change]))
        assert not read.calls
        assert len(read.problems) == 1, change


def test_own_codec():
    """A call with a codec of the application's own is learned from; its body is in no known form, and not kept."""
    several = events()
    del several[1]["category_profile"]["annotated_request"]["api_specific"]
    read = Read(read_atof, documents(several))
    assert len(read.calls) == 8
    (own,) = [call for call in read.calls if atof.OWN_CODEC in call.notes]
    assert own.request is None
    assert own.annotated
    assert own.is_learned


def test_redacted_payloads():
    """A prompt that was redacted before it was written is refused; the rest is read."""
    several = events()
    several[1]["data"]["content"]["messages"][0]["content"] = "[REDACTED]"
    read = Read(read_atof, documents(several))
    assert len(read.calls) == 7
    assert "redacted" in read.problems[0].reason
    assert read.problems[0].path == "$.data.content"


def test_circular_scopes():
    """Scopes that are each other's parents end the search for a run."""
    a = events()[0] | {"category": "function", "uuid": "a", "parent_uuid": "b"}
    b = a | {"uuid": "b", "parent_uuid": "a"}
    read = Read(read_atof, documents([a, b, events()[1] | {"parent_uuid": "a"}]))
    assert read.calls[0].run_id is None


def test_usage_of_the_runtime():
    """Without a usage in the raw answer the runtime's own is taken: for Anthropic its prompt is the uncached rest."""
    start, end = events()[1], events()[2]
    end["data"] = {"text": "in a form of its own"}
    (call,) = Read(read_atof, documents([start, end])).calls
    assert (call.usage.prompt_tokens, call.usage.cache_read_tokens, call.usage.cache_write_tokens) == (2155, 2048, 100)
    end["category_profile"]["annotated_response"]["api_specific"]["api"] = "openai_chat"
    (call,) = Read(read_atof, documents([start, end])).calls
    assert call.usage.prompt_tokens == 7


def test_detection():
    """Event files are recognised by their first line."""
    assert detect_format(events()[:1]).name == "atof"
    assert detect_format([json.loads((FIXTURES / "relay-0.10.4-full/atif.json").read_text())]).name == "atif"


def test_turns():
    """What stands before the last user message makes more than a turn; tool answers need their calls."""
    user, answer = {"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}
    system = {"role": "system", "content": "s"}
    assert is_last_turn([system, user, answer])
    assert is_last_turn([answer])
    assert not is_last_turn([system, user, answer, user])
    call = {"role": "assistant", "tool_calls": [{"id": "1"}]}
    assert not lacks_its_tool_call([user, call, {"role": "tool", "tool_call_id": "1"}])
    assert lacks_its_tool_call([{"role": "tool", "tool_call_id": "1"}, call])
    assert lacks_its_tool_call([{"role": "tool_result", "call_id": "1"}])
    assert not lacks_its_tool_call([{"role": "tool_call", "call_id": "1"}, {"role": "tool_result", "call_id": "1"}])
    assert not lacks_its_tool_call([{"role": "tool", "tool_call_id": ["not", "a", "text"]}])
