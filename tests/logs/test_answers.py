"""Usage of each API in common terms, from whole answers and from streams."""

import json

import pytest

from acg_lab.core import RecordError
from acg_lab.logs.answers import read_answer, read_usage

ANTHROPIC = {
    "input_tokens": 7,
    "output_tokens": 2,
    "cache_read_input_tokens": 2048,
    "cache_creation_input_tokens": 100,
    "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40},
}
CHAT = {"prompt_tokens": 2007, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 1024}}
RESPONSES = {
    "input_tokens": 2007,
    "output_tokens": 2,
    "total_tokens": 2009,
    "input_tokens_details": {
        "cached_tokens": 1024,
        "cache_write_tokens": 500,
        "cache_write_tokens_details": {"ttl_30m_tokens": 300, "ttl_12h_tokens": 200},
    },
}
PROXY = {
    "prompt_tokens": 2155,
    "completion_tokens": 2,
    "cache_read_input_tokens": 2048,
    "cache_creation_input_tokens": 100,
}


@pytest.mark.parametrize(
    ("raw", "counts", "by_ttl"),
    [
        (ANTHROPIC, (2155, 2048, 100, 2), {"5m": 60, "1h": 40}),
        ({"input_tokens": 7, "output_tokens": 2}, (7, None, None, 2), {}),
        (CHAT, (2007, 1024, None, 2), {}),
        (RESPONSES, (2007, 1024, 500, 2), {"30m": 300, "12h": 200}),
        (PROXY, (2155, 2048, 100, 2), {}),
        ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 4}, (9, 4, None, 1), {}),
        ({"inputTokens": 7, "outputTokens": 2, "cacheReadInputTokens": 10}, (17, 10, None, 2), {}),
        ({}, (None, None, None, None), {}),
    ],
)
def test_usage_means_the_same_for_every_api(raw, counts, by_ttl):
    """The prompt is the whole of it; reads, writes and lifetimes are apart; the raw fields stay."""
    usage = read_usage(raw)
    found = usage.prompt_tokens, usage.cache_read_tokens, usage.cache_write_tokens, usage.output_tokens
    assert found == counts
    assert usage.cache_writes_by_ttl == by_ttl
    assert usage.raw == raw


@pytest.mark.parametrize(
    "raw",
    [
        {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}},
        {"input_tokens": -1, "output_tokens": 2},
        {"prompt_tokens": "many"},
        {"prompt_tokens": True},
        {"input_tokens": 2**62, "cache_read_input_tokens": 2**62, "cache_creation_input_tokens": 2**62},
    ],
)
def test_usage_that_cannot_be_is_refused(raw):
    """More read than the prompt has, and counts that are none, are refused."""
    with pytest.raises(RecordError, match="expected"):
        read_usage(raw)


STREAMS = {
    "anthropic": [
        {"type": "message_start", "message": {"id": "m", "model": "c", "usage": ANTHROPIC | {"output_tokens": 1}}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "secret"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    ],
    "openai-chat": [
        {"id": "m", "choices": [{"delta": {"content": "secret"}}], "usage": None},
        {"id": "m", "choices": [], "usage": CHAT},
    ],
    "openai-responses": [
        {"type": "response.created", "response": {"id": "m", "usage": None}},
        {"type": "response.output_text.delta", "delta": "secret"},
        {"type": "response.completed", "response": {"id": "m", "usage": RESPONSES}},
    ],
}
USAGES = {"anthropic": ANTHROPIC, "openai-chat": CHAT, "openai-responses": RESPONSES}


@pytest.mark.parametrize("api", STREAMS)
@pytest.mark.parametrize(
    "logged",
    [
        lambda events: events,
        lambda events: [{"event": "e", "data": event} for event in events],
        lambda events: [json.dumps(event) for event in events],
        lambda events: [f"data: {json.dumps(event)}" for event in events] + ["data: [DONE]"],
        lambda events: "".join(f"event: e\ndata: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n",
        lambda events: "\n".join(map(json.dumps, events)),
    ],
    ids=["events", "named events", "texts", "data lines", "stream", "lines"],
)
def test_streams_give_the_usage_of_the_whole_answer(api, logged):
    """The usage of a stream is that of the same answer in one piece; its texts are not kept."""
    answer = read_answer(logged(STREAMS[api]))
    assert answer.usage == read_usage(USAGES[api])
    assert answer.response["id"] == "m"
    assert "secret" not in str(answer)


def test_errors_are_named_without_their_message():
    """Of an error its type is kept; messages may quote prompts."""
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "secret"}}
    assert read_answer(error).error == "overloaded_error"
    assert read_answer({"error": "secret"}).error == "error"
    assert read_answer([{"type": "message_start", "message": {}}, error]).error == "overloaded_error"


@pytest.mark.parametrize("junk", [None, 5, "", "x", [], [1, None, "y"], {}, {"usage": 5}, {"usage": None}])
def test_what_is_no_answer_gives_nothing(junk):
    """Junk in the place of an answer has neither usage nor error."""
    answer = read_answer(junk)
    assert answer.usage is None
    assert answer.error is None
