"""Raw bodies: bare or beside their answers, in files of every kind, and what is wrong with them."""

import bz2
import gzip
import json
import os
import sys

import pandas as pd
import pyarrow as pa
import pytest

import acg_lab as acg
from acg_lab.storage.limits import DEFAULT_LIMITS

SYSTEM = {"role": "system", "content": "You are helpful."}
CHAT = {"model": "gpt-5.1", "messages": [SYSTEM, {"role": "user", "content": "größer"}]}
MESSAGES = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 9,
    "system": [{"type": "text", "text": "S", "cache_control": {"type": "ephemeral"}}],
    "tools": [{"name": "find", "input_schema": {"type": "object"}}],
    "messages": [{"role": "user", "content": "hi"}],
}
RESPONSES = {"model": "gpt-5.6", "instructions": "S", "input": "hi"}


def lines(*documents):
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


def load(path, **options):
    return acg.load(path, progress=False, **options)


def calls(snap):
    return [call for run in snap.runs for call in run.calls]


@pytest.fixture
def log(tmp_path):
    """Return what writes a log and hands back its path."""

    def write(data, name="requests.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    return write


def test_bare_bodies_of_three_apis_are_told_apart(log):
    """Each bare body is read as that of its own API, kept as it was sent, and learned."""
    snap = load(log(lines(CHAT, MESSAGES, RESPONSES)))
    assert {call.exchange.api: call.exchange.request for call in calls(snap)} == {
        "openai-chat": CHAT,
        "anthropic": MESSAGES,
        "openai-responses": RESPONSES,
    }
    kept = next(call.exchange.request for call in calls(snap) if call.exchange.api == "anthropic")
    assert list(kept) == list(MESSAGES)
    assert snap.agent_ids == ("requests",)
    assert len(snap.windows) == 3
    assert not snap.problems
    assert all("cache_control" not in str(call.annotated_request.tools) for call in calls(snap))


@pytest.mark.parametrize("body", [CHAT, MESSAGES, {"model": "gpt-5.1", "input": "hello"}])
def test_null_in_a_body_counts_as_absent(log, body):
    """A client that logs null for what it did not send has the requests of one that logs nothing."""
    names = ("system", "tools", "tool_choice", "stop", "stop_sequences", "input", "previous_response_id", "n")
    nulls = dict.fromkeys(name for name in names if name not in body)
    dumped, bare = (load(log(lines({"request": one}))) for one in (body | nulls, body))
    assert dumped.problems == ()
    assert dumped.runs[0].calls[0].exchange.api == bare.runs[0].calls[0].exchange.api
    assert [*dumped.windows] == [*bare.windows]


@pytest.mark.parametrize(
    "pack",
    [
        bytes,
        gzip.compress,
        bz2.compress,
        lambda data: bytes(pa.compress(data, codec="zstd", asbytes=True)),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.decode().encode("utf-16"),
        lambda data: b"[" + b",\n ".join(data.splitlines()) + b"]",
        lambda data: json.dumps(json.loads(b"[" + b",".join(data.splitlines()) + b"]"), indent=2).encode(),
        lambda data: b"\n\n" + data + b"\n  \n",
    ],
    ids=["plain", "gzip", "bzip2", "zstd", "bom", "crlf", "utf-16", "array", "indented array", "blank lines"],
)
def test_packing_and_encoding_do_not_matter(log, pack):
    """A log reads the same whatever it is packed and encoded in, which its bytes show."""
    snap = load(log(pack(lines(CHAT, MESSAGES))))
    assert not snap.problems
    assert [call.exchange.request for call in calls(snap)] == [CHAT, MESSAGES]


def test_one_indented_object_is_a_document(log):
    """A file that holds one body over several lines is one request."""
    snap = load(log(json.dumps(MESSAGES, indent=2).encode(), "body.json"))
    assert [call.exchange.request for call in calls(snap)] == [MESSAGES]


def test_folders_and_globs_are_one_log(log, tmp_path, monkeypatch):
    """The files of a folder or glob are one log, in order of names, its agent named for the folder."""
    log(lines(CHAT), "proxy/b.jsonl")
    log(gzip.compress(lines(MESSAGES)), "proxy/a.jsonl.gz")
    log(b"x", "proxy/_SUCCESS")
    log(b"x", "proxy/.hidden.jsonl")
    log(b"x", "proxy/notes.md")
    for source in (tmp_path / "proxy", f"{tmp_path}/proxy/*.jsonl*", f"file://{tmp_path}/proxy"):
        snap = load(source)
        assert [call.exchange.api for call in calls(snap)] == ["anthropic", "openai-chat"]
        assert snap.agent_ids == ("proxy",)
    monkeypatch.chdir(tmp_path / "proxy")
    for source in (".", "*.jsonl*", "../proxy/"):
        assert load(source).agent_ids == ("proxy",)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(acg.SourceError, match="no such file"):
        load("none.jsonl")
    with pytest.raises(acg.UsageError, match="must not be after 'until'"):
        load("proxy", since="2026-11-02", until="2026-11-01")


def test_standard_input_is_a_log(log, monkeypatch):
    """A dash is standard input."""
    with log(lines(CHAT)).open("rb") as file:
        monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": file}))
        assert load("-").agent_ids == ("stdin",)


def test_envelopes_hold_times_ids_and_usage(log):
    """Beside a body stand its answer, times, agent and session, under usual names or in metadata."""
    line = {
        "timestamp": 1764460800.5,
        "duration_ms": 1500,
        "request_id": "req-1",
        "metadata": {"session_id": "s", "agent": "support", "tenant": "t"},
        "request": MESSAGES,
        "response": {
            "id": "msg_1",
            "usage": {
                "input_tokens": 7,
                "output_tokens": 2,
                "cache_read_input_tokens": 2048,
                "cache_creation_input_tokens": 100,
                "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40},
            },
        },
    }
    snap = load(log(lines(line)))
    (run,) = snap.runs
    (call,) = run.calls
    assert (run.id, run.agent_id) == ("s", "support")
    assert (call.started_at, call.ended_at) == ("2025-11-30T00:00:00.500Z", "2025-11-30T00:00:02Z")
    exchange = call.exchange
    assert (exchange.request_id, exchange.metadata["tenant"]) == ("req-1", "t")
    usage = exchange.usage
    assert (usage.prompt_tokens, usage.cache_read_tokens, usage.cache_write_tokens) == (2155, 2048, 100)
    assert usage.cache_writes_by_ttl == {"5m": 60, "1h": 40}
    assert usage.raw == line["response"]["usage"]
    assert exchange.response == line["response"]


def test_fields_can_be_named(log):
    """A dotted path names a field that goes by another name, in an envelope and in a bare body."""
    body = CHAT | {"metadata": {"app": {"name": "billing"}}}
    wrapped = {"what": {"body": CHAT}, "metadata": {"app": {"name": "sales"}}, "when": "2026-11-30T00:00:00Z"}
    snap = load(log(lines(body)), fields={"agent": "metadata.app.name"})
    assert snap.agent_ids == ("billing",)
    fields = {"agent": "metadata.app.name", "request": "what.body", "started": "when"}
    snap = load(log(lines(wrapped)), fields=fields, format="raw")
    assert snap.agent_ids == ("sales",)
    assert calls(snap)[0].started_at == wrapped["when"]
    with pytest.raises(acg.UsageError, match="must be dotted"):
        load(log(lines(CHAT)), fields={"agent": "a..b"})
    with pytest.raises(acg.UsageError, match="fields of a line"):
        load(log(lines(CHAT)), fields={"who": "a"})


def test_an_agent_that_lines_name_is_asked_for(log):
    """Lines without an agent are given the one that the caller names, unless other lines are its own."""
    path = log(lines({"request": CHAT, "agent": "sales"}, {"request": MESSAGES, "agent": " "}))
    counts = [len(load(path, agent_id=name).runs.records) for name in ("sales", "billing")]
    assert counts == [1, 1]
    assert load(path).agent_ids == ("requests", "sales")


def test_batch_files_join_requests_and_answers(log, tmp_path):
    """Batch requests and the answers in another file are one call each, whichever comes first."""
    log(lines({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": CHAT}), "batch/in.jsonl")
    answer = {"usage": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 4}}}
    log(lines({"id": "x", "custom_id": "a", "response": {"status_code": 200, "body": answer}}), "batch/out.jsonl")
    log(lines({"custom_id": "b", "params": MESSAGES}), "batch/q.jsonl")
    message = {"id": "m", "usage": {"input_tokens": 3, "output_tokens": 1}}
    log(lines({"custom_id": "b", "result": {"type": "succeeded", "message": message}}), "batch/p.jsonl")
    snap = load(tmp_path / "batch")
    assert not snap.problems
    usage = {call.exchange.request_id: call.exchange.usage for call in calls(snap)}
    assert (usage["a"].prompt_tokens, usage["a"].cache_read_tokens) == (9, 4)
    assert usage["b"].prompt_tokens == 3


@pytest.mark.parametrize("ending", ["embeddings", "moderations", "messages/count_tokens", "responses/input_tokens"])
def test_requests_to_other_endpoints_are_problems(log, ending):
    """A batch or proxy also logs requests that no chat model answers: each is a problem, and the chats are read."""
    body = {"model": "m", "input": "x"} if "messages" not in ending else MESSAGES
    other = {"custom_id": "o", "method": "POST", "url": f"https://gateway/v1/{ending}?v=2", "body": body}
    with pytest.warns(acg.LoadWarning, match="1 problem"):
        snap = load(log(lines(other, {"custom_id": "c", "url": "/v1/chat/completions", "body": CHAT})))
    assert [(problem.line, ending.rpartition("/")[2] in problem.reason) for problem in snap.problems] == [(1, True)]
    assert len(calls(snap)) == 1


@pytest.mark.parametrize("model", ["text-embedding-3-small", "omni-moderation-latest", "voyage-rerank-2"])
def test_bare_bodies_for_other_models_are_problems(log, model):
    """A bare body with an input for a model that embeds, moderates or ranks is not a request of the Responses API."""
    with pytest.warns(acg.LoadWarning, match="1 problem"):
        snap = load(log(lines({"model": model, "input": "x"}, CHAT | {"model": model})))
    assert [(problem.line, problem.path) for problem in snap.problems] == [(1, "$.model")]
    assert len(calls(snap)) == 1


def test_folders_of_body_files_are_joined(log, tmp_path):
    """Of bodies in files of their own, the answer that a later request names is that of the one before it."""

    def request(number, previous, *texts):
        header = f"x: cc_version=2; cc_prev_req={previous};" if previous else "x: cc_version=2;"
        roles = ("user", "assistant")
        body = MESSAGES | {
            "system": [{"type": "text", "text": header}, {"type": "text", "text": "S"}],
            "metadata": {"user_id": json.dumps({"device_id": "d", "session_id": "s-1"})},
            "messages": [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)],
        }
        path = log(json.dumps(body).encode(), f"bodies/{number}f.request.json")
        os.utime(path, (1764460800 + number, 1764460800 + number))

    request(2, None, "a")
    answer = {"type": "message", "role": "assistant", "content": [], "usage": {"input_tokens": 3, "output_tokens": 1}}
    path = log(json.dumps(answer).encode(), "bodies/req_A.response.json")
    os.utime(path, (1764460803, 1764460803))
    request(5, "req_A", "a", "b", "c")
    snap = load(tmp_path / "bodies")
    assert not snap.problems
    (run,) = snap.runs
    assert run.id == "s-1"
    assert [call.exchange.usage and call.exchange.usage.prompt_tokens for call in run.calls] == [3, None]
    assert run.calls[0].started_at == "2025-11-30T00:00:02Z"
    assert run.calls[0].ended_at == "2025-11-30T00:00:03Z"
    assert any("that of its file" in caveat for caveat in snap.caveats)


def test_requests_in_memory_are_learned():
    """Bodies from a list, a generator or a DataFrame, as objects or JSON texts, are learned as those of a file."""
    rows = [CHAT, {"request": MESSAGES, "agent": "other"}]
    for given in (rows, iter(rows), map(json.dumps, rows)):
        snap = acg.from_requests(given, agent_id="support")
        assert snap.agent_ids == ("other", "support")
    frame = pd.DataFrame({"request": [CHAT, MESSAGES], "agent": ["a", None], "n": [1.5, float("nan")]})
    assert acg.from_requests(frame).agent_ids == ("a", "requests")
    with pytest.raises(acg.UsageError, match="iterable of request bodies"):
        acg.from_requests(CHAT)
    with pytest.warns(acg.LoadWarning, match="1 problem"):
        snap = acg.from_requests([CHAT, object()])
    assert snap.problems[0].line == 2


# --- what is wrong ---

GOOD = [CHAT | {"seed": seed} for seed in range(5)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"model": "gpt', "not JSON: it ends too early"),
        (b"\x00\x01\xff", "not JSON"),
        (b'{"model": "m", "model": "n", "messages": []}', "'model' twice"),
        (b'{"model": "m", "messages": [{"role": "user", "content": "a", "content": "b"}]}', "'content' twice"),
        (b'{"model": "m", "messages": [], "temperature": NaN}', "not JSON"),
        (b'{"model": "m", "messages": [{"role": "user"}]}', "expected a text or a list of parts, got nothing"),
        (b'{"model": "m", "messages": [], "seed": 99999999999999999999}', "2**64"),
        (b'{"response": {"usage": {}}}', "expected a request with this answer"),
        (b'{"hello": 1}', "expected a request body, or an object that holds one; got one with hello"),
        (b"[1, 2]", "expected"),
        (b"{}", "got an empty object"),
        (b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}', "expected UTF-8|surrogate|not JSON"),
    ],
)
def test_a_bad_line_is_a_problem_and_the_others_are_used(log, line, reason):
    """What is wrong with a line is said with file and line; all others are read; strict raises."""
    path = log(lines(*GOOD[:3]) + line + b"\n" + lines(*GOOD[3:]))
    with pytest.warns(acg.LoadWarning, match="1 problem"):
        snap = load(path)
    (problem,) = snap.problems
    assert (problem.line, problem.file) == (4, str(path))
    with pytest.raises(acg.RecordError, match="line 4"):
        load(path, strict=True)
    assert any(part in problem.reason for part in reason.split("|"))
    assert [call.exchange.request for call in calls(snap)] == GOOD


def test_the_path_inside_a_body_is_named(log):
    """A problem names the place inside the body, and never its text."""
    bad = {"model": "m", "messages": [SYSTEM, {"role": "user", "content": [{"type": "text", "text": 5}, "secret"]}]}
    with pytest.warns(acg.LoadWarning):
        snap = load(log(lines(CHAT, {"request": bad})))
    assert "line 2, at $.messages[1].content[0].text: expected a text, got int" in str(snap.problems[0])


@pytest.mark.parametrize("data", [b"", b" \n\n", b"\x00\x01\x02" * 1000, b"PNG\x00\x00"])
def test_files_without_requests_are_problems(log, data):
    """An empty or binary file is a problem of the file."""
    with pytest.warns(acg.LoadWarning):
        snap = load(log(data))
    assert len(snap.runs) == 0
    assert snap.problems[0].line == 0


def test_a_cut_file_is_used_to_its_end(log):
    """Of a packed file that is cut, or an array that ends too early, everything before is used."""
    rows = [CHAT | {"user": str(i) * 50, "seed": i} for i in range(2000)]
    for data in (gzip.compress(lines(*rows))[:-2000], json.dumps(rows).encode()[:-100]):
        with pytest.warns(acg.LoadWarning):
            snap = load(log(data))
        found = [call.exchange.request for call in calls(snap)]
        assert 0 < len(found) < 2000
        assert found == rows[: len(found)]
        assert "cut or damaged" in str(snap.problems[-1]) or "too early" in str(snap.problems[-1])


def test_a_line_without_end_is_passed_over(log):
    """A line longer than the limit is a problem; the lines around it are used."""
    long = b'{"model": "m", "messages": [{"role": "user", "content": "' + b"x" * DEFAULT_LIMITS.line_bytes + b'"}]}\n'
    with pytest.warns(acg.LoadWarning, match="line 2.*64 MiB"):
        snap = load(log(lines(GOOD[0]) + long + lines(GOOD[1])))
    assert len(calls(snap)) == 2


def test_large_files_are_held_as_hashes(log):
    """Images of a hundred kilobytes and more are held by hash and size; equal ones stay equal."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0K" * 20_000}}
    body = {"model": "m", "messages": [{"role": "user", "content": [image, {"type": "text", "text": "what"}]}]}
    (call,) = calls(load(log(lines(body))))
    url = call.exchange.request["messages"][0]["content"][0]["image_url"]["url"]
    assert url.startswith("data:image/png;base64,sha256:")
    assert url.endswith("(120,000 bytes)")
    assert len(url) < 150


def test_two_formats_in_one_file(log):
    """Lines of another format than the first ones are problems."""
    event = {"atof_version": "0.1", "kind": "scope", "category": "agent", "uuid": "u"}
    with pytest.warns(acg.LoadWarning):
        snap = load(log(lines(*GOOD) * 12 + lines(event)))
    assert "atof_version" in str(snap.problems[-1])
    assert snap.problems[-1].line == 61


def test_doubtful_lines_are_used(log):
    """Times without zone, an end before the start, usage that can't be: used as far as they go, and said."""
    base = {"request": CHAT, "timestamp": "2026-11-30T10:00:00", "end_time": "2026-11-30T09:00:00Z"}
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 9}}
    with pytest.warns(acg.LoadWarning, match="2 problems"):
        snap = load(log(lines(base, base | {"id": "x", "end_time": None, "response": {"usage": usage}})))
    first, second = calls(snap)
    assert first.started_at == "2026-11-30T10:00:00Z"
    assert first.ended_at is None
    assert second.exchange.usage.prompt_tokens is None
    assert second.exchange.usage.raw == usage
    assert any("without a zone" in caveat for caveat in snap.caveats)
    assert "9" in snap.problems[1].reason


def test_duplicates_retries_and_failures_are_counted(log):
    """The same id with the same request counts once; equal requests within a second are retries; failed ones stay."""
    one = {"id": "a", "request": CHAT, "response": {"usage": {"prompt_tokens": 5, "completion_tokens": 1}}}
    again = {"request": CHAT, "timestamp": "2026-11-30T10:00:00.2Z"}
    soon = again | {"timestamp": "2026-11-30T10:00:00.9Z"}
    failed = {"id": "b", "request": CHAT, "response": {"error": {"type": "overloaded_error", "message": "secret"}}}
    other = {"id": "a", "request": MESSAGES}
    snap = load(log(lines(one, one, again, soon, failed, other)))
    assert len(calls(snap)) == 5
    told = "; ".join(snap.caveats)
    assert "1 duplicate left out" in told
    assert "1 request repeated" in told
    assert "1 of 5 requests failed" in told
    assert "had the id of another one" in told
    assert [call.exchange.error for call in calls(snap) if call.exchange.error] == ["overloaded_error"]


def test_since_and_until_bound_a_log(log):
    """Requests outside the given times are not read; one without a time is not inside any."""
    rows = [{"request": CHAT | {"seed": i}, "timestamp": f"2026-11-{i:02d}T00:00:00Z"} for i in range(1, 11)]
    path = log(lines(*rows, CHAT))
    snap = load(path, since="2026-11-03", until="2026-11-06")
    assert sorted(call.exchange.request["seed"] for call in calls(snap)) == [3, 4, 5]
    assert len(calls(load(path))) == 11


def test_the_sample_rate_is_kept(log):
    """The share of the traffic that a log holds is an attribute of the snapshot, and a caveat."""
    snap = load(log(lines(CHAT)), sample_rate=0.1)
    assert snap.sample_rate == 0.1
    assert any("0.1 of the traffic" in caveat for caveat in snap.caveats)
    with pytest.raises(acg.UsageError, match="above 0 and at most 1"):
        load(log(lines(CHAT)), sample_rate=10)


def test_options_of_logs_are_refused_elsewhere():
    """What says how to read a log makes no sense for a store."""
    with pytest.raises(acg.UsageError, match="'sample_rate' option is for request logs"):
        acg.load(acg.MemoryBackend(), sample_rate=0.5)
    with pytest.raises(acg.UsageError, match="'format' option must be 'auto' or one of 'atof'"):
        acg.load("x.jsonl", format="nonsense")
