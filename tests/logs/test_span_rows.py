"""Rows of Langfuse, MLflow and Phoenix: read as the spans that they were."""

import json

import pytest
from logs.reading import FIXTURES, Read, documents, lines

from acg_lab.logs import rebuild_body
from acg_lab.logs.formats import detect_format
from acg_lab.logs.span_rows import read_langfuse, read_mlflow, read_phoenix


def rows(name):
    return [json.loads(line) for line in (FIXTURES / f"{name}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", ["langfuse", "mlflow", "phoenix"])
def test_detection(name):
    """Each is recognised by its first row."""
    assert detect_format(rows(name)[:1]).name == name


def test_phoenix():
    """Phoenix keeps the body as sent, and usage in OpenInference's terms."""
    found = Read(read_phoenix, lines("phoenix.jsonl"))
    assert not found.problems
    first, second, chat = found.bodies
    assert list(first) == ["model", "max_tokens", "system", "tools", "messages"]
    assert len(second["messages"]) == 3
    assert chat["prompt_cache_key"] == "k"
    assert not found.notes


def test_phoenix_without_raw_body():
    """Without the body, Phoenix's lists of messages and tools are enough."""
    stripped = [{name: value for name, value in row.items() if ".value" not in name} for row in rows("phoenix")]
    found = Read(read_phoenix, documents(stripped))
    first, second, chat = found.bodies
    assert first["system"].startswith("You are X.")
    assert second["messages"][1]["content"][1]["input"] == {"q": "x"}
    assert second["messages"][2]["content"][0] == {"type": "tool_result", "tool_use_id": "tu_1", "content": "found"}
    assert chat["tools"][0]["function"]["name"] == "f"
    usage = found.calls[0].usage
    assert (usage.prompt_tokens, usage.cache_read_tokens, usage.cache_write_tokens) == (2155, 2048, 100)
    assert found.notes == {rebuild_body.REBUILT.text}


def test_nested_phoenix_spans():
    """Phoenix's own JSON nests context and attributes."""
    row = rows("phoenix")[0]
    value = row["attributes.input.value"]
    nested = {
        "name": "n",
        "span_kind": "LLM",
        "parent_id": None,
        "context": {"trace_id": "t", "span_id": "s"},
        "attributes": {"input": {"value": value}, "llm": {"token_count": {"prompt": 9}}},
        "start_time": row["start_time"],
    }
    (call,) = Read(read_phoenix, documents([nested])).calls
    assert (call.call_id, call.usage.prompt_tokens) == ("t-s", 9)


def test_mlflow():
    """MLflow keeps the arguments of the call, which are the body."""
    found = Read(read_mlflow, lines("mlflow.jsonl"))
    assert not found.problems
    assert [len(body["messages"]) for body in found.bodies] == [1, 3]
    assert found.bodies[0]["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert json.loads(found.calls[0].response)["usage"]["cache_creation"]["ephemeral_1h_input_tokens"] == 40


def test_mlflow_spans_and_traces():
    """A bare span, a trace of nested data, and spans as text are the same calls."""
    trace = rows("mlflow")[0]
    expected = [call._replace(line=1) for call in Read(read_mlflow, documents([trace])).calls]
    for given in (
        trace["spans"][0],
        {"info": {}, "data": {"spans": trace["spans"]}},
        {"spans": json.dumps(trace["spans"])},
    ):
        assert Read(read_mlflow, documents([given])).calls == expected


def test_mlflow_usage():
    """Without a usage in the answer MLflow's own is taken: its input is the whole prompt."""
    (trace, _) = rows("mlflow")
    del trace["spans"][0]["attributes"]["mlflow.spanOutputs"]
    (call,) = Read(read_mlflow, documents([trace])).calls
    assert (call.usage.prompt_tokens, call.usage.cache_read_tokens, call.usage.output_tokens) == (2155, 2048, 2)


def test_langfuse():
    """Langfuse keeps messages and tools, or messages alone, and says what is missing."""
    found = Read(read_langfuse, lines("langfuse.jsonl"))
    assert not found.problems
    with_tools, without = found.bodies
    assert with_tools["model"] == "gpt-5.1"
    assert with_tools["tools"][0]["function"]["name"] == "f"
    assert without["messages"] == with_tools["messages"]
    assert found.calls[0].usage.prompt_tokens == 2007
    assert found.calls[0].usage.cache_read_tokens == 1024
    (run,) = found.runs
    assert {(call.run_id, call.session_id) for call in found.calls} == {(run.id, "s1")}
    assert {rebuild_body.PARTS.text, rebuild_body.REBUILT.text} <= found.notes


@pytest.mark.parametrize(
    ("usage", "prompt"),
    [
        ({"input": 10, "output": 2, "total": 112, "input_cached_tokens": 100}, 110),
        ({"input": 110, "output": 2, "total": 112, "input_cached_tokens": 100}, 110),
        ({"input": 7, "output": 2, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 50}, 157),
        ({"input": 7, "output": 2}, 7),
        ({"prompt_tokens": 110, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 100}}, 110),
        ({"input_tokens": "many"}, None),
    ],
)
def test_langfuse_usage(usage, prompt):
    """The parts of a usage add up to its total; the provider's own is read by its API."""
    one = rows("langfuse")[0] | {"usageDetails": usage}
    (call,) = Read(read_langfuse, documents([one])).calls
    assert (call.usage.prompt_tokens if call.usage else None) == prompt


def test_nested_langfuse_traces():
    """A trace that holds its observations gives them its session."""
    observations = [{name: row[name] for name in row if name != "sessionId"} for row in rows("langfuse")]
    trace = {"id": "t", "sessionId": "s2", "observations": [*observations, 3]}
    assert detect_format([trace]).name == "langfuse"
    found = Read(read_langfuse, documents([trace]))
    assert [call.session_id for call in found.calls] == ["s2", "s2"]
    assert found.problems[0].path == "$.observations[3]"


def test_snake_case_langfuse_rows():
    """Blob exports name their fields otherwise."""
    names = {"traceId": "trace_id", "startTime": "start_time", "endTime": "end_time", "sessionId": "session_id"}
    names |= {"parentObservationId": "parent_observation_id", "completionStartTime": "completion_start_time"}
    row = rows("langfuse")[0] | {"completionStartTime": "2026-11-30T01:47:23.250Z"}
    renamed = {names.get(name, name): value for name, value in row.items()}
    ours, theirs = (Read(read_langfuse, documents([one])).calls for one in (row, renamed))
    assert ours == theirs
    assert ours[0].first_token_at == "2026-11-30T01:47:23.250Z"


@pytest.mark.parametrize("given", ["hello", None, [{"text": "no role"}], ["x"], {"question": "?"}])
def test_other_inputs(given):
    """An input in another form is refused."""
    found = Read(read_langfuse, documents([rows("langfuse")[0] | {"input": given}]))
    assert not found.calls
    assert len(found.problems) == 1


def test_bad_rows():
    """Bad rows are problems with their line; a wrong time is absent."""
    good = rows("langfuse")[0]
    found = Read(read_langfuse, documents(["{", "3", good | {"startTime": "noon"}]))
    assert [problem.line for problem in found.problems] == [1, 2, 3]
    assert found.calls[0].started_at is None
    assert Read(read_mlflow, documents([{"spans": [3]}])).problems[0].path == "$.spans[0]"
