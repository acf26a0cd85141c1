"""What real logs hold that a reader did not expect: said in words, with the line; what is good is used."""

import gzip
import json
import re

import numpy as np
import pandas as pd
import pytest

import acg_lab as acg

BODY = {"model": "gpt-5.1", "messages": [{"role": "user", "content": "the private question"}]}
UNUSED = "the usage is not used"
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def load(tmp_path, *lines, name="log.jsonl"):
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path = tmp_path / name
    path.write_text("\n".join(texts))
    with pytest.warns(acg.LoadWarning):
        return acg.load(path, progress=False)


def only_problem(snap):
    (problem,) = snap.problems
    assert "private" not in str(problem) + repr(problem)
    return str(problem)


@pytest.mark.parametrize("n", [1, 120])
def test_lines_before_the_first_object_do_not_hide_the_log(tmp_path, n):
    """A banner of any length is one problem, and all requests after it are read."""
    snap = load(tmp_path, *["Listening, private"] * n, *[BODY] * 60)
    assert "line 1, at $: not JSON" in only_problem(snap)
    assert snap.facts.startswith("1 profile, 60 observations")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"model": "m", "messages": [], "top_p": NaN}', r"no JSON objects \(not JSON: "),
        ({"data": [BODY]}, r"The list in 'data' looks like one: .*jq -c '\.data\[\]'"),
        ({"call": {"sent": json.dumps(BODY)}}, r"fields=\{'request': 'call\.sent'\}"),
        ({"request": repr(BODY)}, r"'request' is a printed Python dict, not JSON: write it with json\.dumps"),
    ],
)
def test_what_is_no_log_is_refused_with_a_reason(tmp_path, line, words):
    """The problem says why, and what to do."""
    assert re.search(words, only_problem(load(tmp_path, line)))


def test_request_in_a_text_is_read_by_its_path(tmp_path):
    """The path that the problem proposes works."""
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"call": {"sent": json.dumps(BODY)}}))
    assert acg.load(path, fields={"request": "call.sent"}).problems == ()


@pytest.mark.parametrize("content", ["[REDACTED]", HASH, "x (litellm_truncated skipped 9 chars)"])
def test_redacted_bodies_are_refused(content):
    """A raw body whose prompt was redacted, hashed or cut teaches nothing, and its line is named."""
    redacted = BODY | {"messages": [{"role": "user", "content": content}]}
    with pytest.warns(acg.LoadWarning):
        snap = acg.from_requests([BODY, redacted])
    assert "line 2, at $.messages[0]: a text of the prompt was" in only_problem(snap)
    assert snap.facts.startswith("1 profile, 1 observation,")


def test_tools_may_answer_with_a_hash():
    """What a tool returned was sent as it stands."""
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    answered = [{"role": "assistant", "tool_calls": calls}, {"role": "tool", "tool_call_id": "c", "content": HASH}]
    assert acg.from_requests([BODY | {"messages": BODY["messages"] + answered}]).problems == ()


def test_files_that_are_hashed_are_said():
    """An image of 100 kB or more is kept as its hash, and a caveat counts the messages."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUJD" * 40_000}}
    body = BODY | {"messages": [{"role": "user", "content": [image]}]}
    assert any("1 distinct message with files" in caveat for caveat in acg.from_requests([body, body]).caveats)


def test_stored_conversations_are_not_whole():
    """A body that continues what the provider keeps is not all of a prompt: said, and not counted as recorded."""
    usage = {"input_tokens": 5_000, "output_tokens": 1, "total_tokens": 5_001}
    body = {"model": "gpt-5", "instructions": "Be brief.", "input": "And now?", "previous_response_id": "resp_1"}
    snap = acg.from_requests([{"request": body, "response": {"usage": usage}, "ts": 1_772_355_600}])
    assert any("continued what the provider keeps" in caveat for caveat in snap.caveats)
    parts = acg.simulate(snap).parts
    assert parts.not_recorded[0] > parts.new[0]
    assert sum(part[0] for part in parts) == 5_000


@pytest.mark.parametrize(
    ("count", "words"), [("-5", "a negative number"), (-5, "a negative number"), ("5 tokens", "str")]
)
def test_counts_that_are_none_name_their_field(count, words):
    """The problem has the path of the count, and says that the usage is not used."""
    row = {"request": BODY, "response": {"usage": {"prompt_tokens": count, "completion_tokens": 1}}}
    with pytest.warns(acg.LoadWarning):
        snap = acg.from_requests([row])
    assert only_problem(snap).endswith(f"$.usage.prompt_tokens: expected a count of tokens, got {words}; {UNUSED}")


def test_counts_as_texts_are_read():
    """Tables and traces keep counts as texts."""
    usage = {"prompt_tokens": "2000", "completion_tokens": "1", "prompt_tokens_details": {"cached_tokens": "1024"}}
    snap = acg.from_requests([{"request": BODY, "response": {"usage": usage}, "ts": 1_772_355_600}])
    assert (snap.problems, acg.simulate(snap).recorded_read.tolist()) == ((), [1024])


def test_cut_archive_keeps_its_whole_lines(tmp_path):
    """What can be unpacked before the cut is used."""
    path = tmp_path / "log.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join([json.dumps(BODY)] * 3 + ["x" * 99]).encode())[:-8])
    with pytest.warns(acg.LoadWarning):
        assert acg.load(path).facts.startswith("1 profile, 3 observations")


def test_frames_with_missing_cells():
    """NaN, NaT, None and arrays in the cells of a DataFrame are absent values and lists."""
    frame = pd.DataFrame({"messages": [np.array(BODY["messages"], object)] * 2, "model": ["m", None]})
    frame["temperature"], frame["seed"], frame["user"] = float("nan"), pd.NaT, None
    assert acg.from_requests(frame).problems == ()


@pytest.mark.parametrize(
    ("option", "value"), [("fields", "agent"), ("fields", ["agent"]), ("settings", {"provider": "x"}), ("settings", 3)]
)
def test_options_of_other_types_are_refused(option, value):
    """The message names the option and the type."""
    with pytest.raises(acg.UsageError, match=f"The '{option}' option must be .*; got {type(value).__name__}"):
        acg.from_requests([BODY], **{option: value})


def test_a_single_request_belongs_into_a_list():
    """The message says so."""
    with pytest.raises(acg.UsageError, match=r"A single request stands in a list: \[request\]"):
        acg.from_requests(BODY)


def test_keys_of_an_unknown_format_are_named_only_where_they_are_names():
    """A key may be data like any text: what is no name of a field stands in no message, however long it is."""
    rows = [{"alice@example.com owes 5 EUR": [BODY, BODY], "k" * 100_000: 1, "verdict": 2}]
    with pytest.warns(acg.snapshot.LoadWarning):
        (problem,) = acg.from_requests(rows).problems
    assert "got objects with verdict. Name one" in str(problem)
    assert "alice" not in str(problem)
    assert "kkk" not in str(problem)
