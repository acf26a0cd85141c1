"""LiteLLM's payloads: bodies put together again, usage of the whole prompt, and the system prompts that it drops."""

import json

import pytest
from logs.reading import FIXTURES, Read, documents, lines

from acg_lab.logs import litellm, rebuild_body
from acg_lab.logs.entries import ReadOptions
from acg_lab.logs.formats import detect_format
from acg_lab.logs.litellm import read_litellm


def payloads():
    """Return the payloads of the fixture: four Anthropic Messages calls, two completions, a failure."""
    return [json.loads(line) for line in (FIXTURES / "litellm.jsonl").read_text().splitlines()]


def read(*given, options=None):
    return Read(read_litellm, documents(given), options)


@pytest.fixture(scope="module")
def found():
    return Read(read_litellm, lines("litellm.jsonl"))


def test_dropped_system(found):
    """A system prompt that is a list is missing; where the usage proves it the call is refused, and it is said why."""
    assert [problem.line for problem in found.problems] == [1, 2, 4]
    assert all("36402" in problem.reason for problem in found.problems)


def test_perhaps_dropped_system():
    """Where nothing proves it, an Anthropic call without a system prompt says that it may have had one."""
    one = payloads()[3]
    one["metadata"]["usage_object"] |= {"prompt_tokens": 50}
    found = read(one)
    assert litellm.PERHAPS_NO_SYSTEM in found.calls[0].notes
    assert "system" not in found.bodies[0]


def test_bodies(found):
    """Messages, tools and parameters are together again, in the form of the API that was called."""
    claude, chat, translated, failed = found.bodies
    assert claude["system"] == "You are X."
    assert claude["tools"][0]["input_schema"]["type"] == "object"
    assert claude["messages"] == [{"role": "user", "content": "find x"}]
    assert chat["model"] == "gpt-5.1"
    assert chat["temperature"] == 0.1
    assert chat["tools"][0]["function"]["name"] == "f"
    assert translated["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert failed["messages"][-1]["content"] == "hi"
    assert [call.api for call in found.calls] == ["anthropic", *["openai-chat"] * 3]


def test_notes(found):
    """The order of keys is not recorded; a request that LiteLLM translated is not what the provider saw."""
    assert all(rebuild_body.PARTS in call.notes for call in found.calls)
    assert [litellm.TRANSLATED in call.notes for call in found.calls] == [False, False, True, False]


def test_usage(found):
    """LiteLLM's prompt tokens are the whole prompt for every provider; writes are divided by lifetime."""
    claude, chat, _, failed = (call.usage for call in found.calls)
    assert (claude.prompt_tokens, claude.cache_read_tokens, claude.cache_write_tokens) == (2155, 2048, 100)
    assert claude.cache_writes_by_ttl == {"5m": 60, "1h": 40}
    assert (chat.prompt_tokens, chat.cache_read_tokens, chat.output_tokens) == (2007, 1024, 2)
    assert failed is None


USAGES = {
    "beside the details": {
        "prompt_tokens": 4010,
        "prompt_tokens_details": {"cached_tokens": None},
        "cache_read_input_tokens": 4000,
        "cache_creation_input_tokens": 0,
    },
    "of Messages": {"input_tokens": 10, "cache_read_input_tokens": 4000, "cache_creation_input_tokens": 0},
    "of Responses": {"input_tokens": 4010, "input_tokens_details": {"cached_tokens": 4000, "cache_write_tokens": 0}},
}


@pytest.mark.parametrize("usage", USAGES.values(), ids=USAGES)
def test_usage_in_other_forms(usage):
    """Reads and writes are found beside the details too; input tokens count as their provider's API has them."""
    one = payloads()[4]
    one["metadata"]["usage_object"] = usage
    (call,) = read(one).calls
    counts = call.usage.prompt_tokens, call.usage.cache_read_tokens, call.usage.cache_write_tokens
    assert counts == (4010, 4000, 0)


def test_usage_that_contradicts_itself():
    """Usage that reads more than the prompt has is a problem of its line, and the call is kept without it."""
    one = payloads()[4]
    one["metadata"]["usage_object"] = {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 4000}}
    found = read(one)
    assert [call.usage for call in found.calls] == [None]
    assert "the usage is not used" in found.problems[0].reason


def test_answers_and_errors(found):
    """An answer is kept in its own API's form only; a failure is known by its class."""
    assert [call.response is None for call in found.calls] == [True, False, False, True]
    assert [call.error for call in found.calls] == [None, None, None, "500 InternalServerError"]
    assert all(call.first_token_at is None for call in found.calls)
    assert all(call.started_at < call.ended_at for call in found.calls)


def test_sessions(found):
    """A trace is a session where the application named it; LiteLLM's own, one per call, are none."""
    assert [call.session_id for call in found.calls] == ["s1", "s1", None, None]


def test_agent():
    """An option says where the agent stands."""
    one = payloads()[4]
    one["metadata"]["user_api_key_alias"] = "support"
    options = ReadOptions(fields={"agent": "metadata.user_api_key_alias"})
    assert read(one, options=options).calls[0].agent_id == "support"
    assert read(one, options=ReadOptions(fields={"agent": "metadata.a.b"})).calls[0].agent_id is None
    assert read(one).calls[0].agent_id is None


def test_streamed_call():
    """Only a streamed call has a first token."""
    one = payloads()[4] | {"stream": True}
    assert read(one).calls[0].first_token_at is not None


def test_wrapped_payload():
    """A payload may stand in ``standard_logging_object``."""
    assert len(read({"standard_logging_object": payloads()[4]}).calls) == 1


def test_responses():
    """Calls of the Responses API hold their input."""
    one = payloads()[4] | {"call_type": "aresponses", "messages": "hi"}
    assert read(one).bodies[0]["input"] == "hi"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"messages": "redacted-by-litellm"}, "redacted"),
        ({"messages": [{"role": "user", "content": "redacted-by-litellm"}]}, "redacted"),
        ({"messages": [{"role": "user", "content": "ab... (litellm_truncated skipped 9 chars. x)"}]}, "cut"),
        ({"messages": None}, "list of messages"),
        ({"messages": [3]}, "list of messages"),
        ({"cache_hit": True}, "own cache"),
    ],
)
def test_refused_payloads(change, word):
    """What was redacted, cut, or never reached a provider is a problem with the reason."""
    found = read(payloads()[4] | change)
    assert not found.calls
    assert word in found.problems[0].reason


def test_bad_lines():
    """Bad lines are problems; embeddings are neither calls nor problems; a wrong time is absent."""
    good = payloads()[4]
    found = read("{", "[]", {"a": 1}, good | {"call_type": "aembedding"}, good | {"startTime": "noon"}, good)
    assert [problem.line for problem in found.problems] == [1, 2, 3, 5]
    assert found.problems[-1].path == "$.startTime"
    assert [call.started_at is None for call in found.calls] == [True, False]


def test_detection():
    """A payload is recognised by its fields, and not taken for a row of the spend logs."""
    assert detect_format(payloads()[:1]).name == "litellm"
    assert detect_format([{"standard_logging_object": payloads()[0]}]).name == "litellm"
