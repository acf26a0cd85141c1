"""Logs that are recognised and refused, and Redis dumps, which are stored data rather than logs."""

import gzip
import json
import os
from pathlib import Path

import pytest
from logs.reading import Read, documents

from acg_lab.core.errors import SourceError, UsageError
from acg_lab.logs.entries import LogProblem
from acg_lab.logs.formats import FORMATS, detect_format
from acg_lab.logs.redactions import find_redaction
from acg_lab.logs.redis_dump import read_redis_dump
from acg_lab.storage.base import Entry, Selection
from acg_lab.storage.ingest import ingest

SHARED = Path(os.environ.get("ACG_LAB_SHARED", Path(__file__).parents[2].parent / "shared"))
RESULT = {"scores": [], "stable_prefix_length": 0, "total_observations": 0}

# Row of LiteLLM_SpendLogs as its schema.prisma of 1.110 defines it.
SPEND = {
    "request_id": "r",
    "call_type": "acompletion",
    "api_key": "hash",
    "spend": 0.1,
    "total_tokens": 9,
    "prompt_tokens": 7,
    "completion_tokens": 2,
    "startTime": "2026-11-30T00:00:00Z",
    "endTime": "2026-11-30T00:00:01Z",
    "model": "gpt-5.1",
    "metadata": "{}",
    "messages": [{"role": "user", "content": "hi"}],
    "response": {},
    "proxy_server_request": "{}",
    "status": "success",
}
# Lines of Claude Code 2's files below ~/.claude/projects.
TRANSCRIPT = [
    {"type": "summary", "summary": "s", "leafUuid": "u"},
    {
        "parentUuid": None,
        "isSidechain": False,
        "userType": "external",
        "cwd": "/",
        "sessionId": "s",
        "version": "2.0.0",
        "type": "user",
        "message": {"role": "user", "content": "hi"},
        "uuid": "u",
        "timestamp": "2026-11-30T00:00:00Z",
    },
]


@pytest.mark.parametrize(
    ("first", "name", "word"),
    [
        ([SPEND], "litellm-spend", "2,048"),
        ([SPEND | {"messages": "{}"}], "litellm-spend", "standard logging payload"),
        (TRANSCRIPT, "claude-code", "OTEL_LOG_RAW_API_BODIES"),
        (TRANSCRIPT[1:], "claude-code", "no system prompt"),
    ],
)
def test_refused_logs(first, name, word):
    """Logs that lack what was sent are recognised, and refused with what to log instead."""
    found = detect_format(first)
    assert (found.name, found.read) == (name, None)
    assert word in found.refusal


def test_every_format_says_what_it_is():
    """Each format has a name of its own, a description, and a reader or a refusal."""
    assert len({one.name for one in FORMATS}) == len(FORMATS)
    assert all(one.description and (one.read is None) == bool(one.refusal) for one in FORMATS)


@pytest.mark.parametrize(
    ("content", "is_redacted"),
    [
        ("[REDACTED]", True),
        ("<redacted>", True),
        ("***", True),
        ("redacted-by-litellm", True),
        ("sha256:" + "0f" * 32, True),
        ("0f" * 32, True),
        ("call [REDACTED] back", False),
        ("the hash is " + "0f" * 32, False),
        ("redacted_thinking", False),
        ("*", False),
    ],
)
def test_redactions(content, is_redacted):
    """A text that is nothing but a mark of redaction, or a hash, was not what was sent."""
    body = json.dumps({"messages": [{"role": "user", "content": content}]}).encode()
    assert (find_redaction(body) is not None) == is_redacted


# --- Redis dumps ---


def dump(**values):
    return documents([{"key": f"nemo_relay:{key}", "value": value} for key, value in values.items()])


def test_detection_of_dumps():
    """A dump is recognised by production's keys; other pairs of key and value are not one."""
    assert detect_format([{"key": "nemo_relay:acg_stability:a", "value": RESULT}]).name == "redis-dump"
    assert getattr(detect_format([{"key": "other", "value": {}}]), "name", "") != "redis-dump"


def test_values():
    """A value may be JSON, or the text that Redis holds."""
    given = dump(**{"acg_stability:a": RESULT, "acg_stability:b": json.dumps(RESULT)})
    entries = list(read_redis_dump(given))
    assert [entry.key for entry in entries] == ["a", "b"]
    assert [json.loads(entry.raw) for entry in entries] == [RESULT, RESULT]


def test_order_of_runs():
    """Runs come in the order of their index, wherever it stands; those that are not in it come last."""
    run = {"id": "", "agent_id": "a", "calls": [], "started_at": "2026-11-30T00:00:00Z"}
    runs = {f"runs:a:{i}": run | {"id": i} for i in "xyz"}
    entries = list(read_redis_dump(dump(**runs, **{"runs_index:a": ["z", "gone", "x"]})))
    assert [entry.key for entry in entries] == ["a:z", "a:x", "a:y"]
    assert [found.id for found in ingest(entries, pytest.fail).runs] == ["z", "x", "y"]


def test_selection():
    """Only what is wanted is read."""
    given = {"acg_stability:a": RESULT, "acg_stability:b": RESULT}
    assert [e.key for e in read_redis_dump(dump(**given), selection=Selection(agent_id="b"))] == ["b"]


def test_bad_entries():
    """Bad lines and values are problems; the others are read; of a key that comes twice the later one counts."""
    good = {"key": "p:acg_stability:a", "value": RESULT}
    bad = {"key": "p:acg_stability:b", "value": '"'}
    given = documents(
        ["{", {"key": 3}, good, {"key": "p:runs_index:a", "value": 3}, good, {"key": "other", "value": 1}]
    )
    found = list(read_redis_dump(given))
    assert [one.line for one in found if isinstance(one, LogProblem)] == [1, 2, 5, 4]
    assert [one.key for one in found if isinstance(one, Entry)] == ["a"]
    problems = []
    ingest((one for one in read_redis_dump(documents([good, bad])) if isinstance(one, Entry)), problems.append)
    assert [problem.key for problem in problems] == ["p:acg_stability:b"]


def test_prefixes():
    """Several prefixes need a choice; none is no dump."""
    two = documents([{"key": f"{prefix}acg_stability:a", "value": RESULT} for prefix in ("p:", "q:")])
    with pytest.raises(UsageError, match="'p:' and 'q:'"):
        list(read_redis_dump(two))
    assert len(list(read_redis_dump(two, key_prefix="q:"))) == 1
    with pytest.raises(SourceError):
        list(read_redis_dump(documents([{"key": "other", "value": 1}])))


@pytest.mark.parametrize(("name", "n_keys"), [("redis-0.3.0", 194), ("redis-0.10.4", 2)])
def test_recorded_dumps(name, n_keys):
    """Dumps of real runs load whole."""
    path = SHARED / "data/tau_airline" / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip("the recorded conversations are not here")
    with gzip.open(path, "rt") as file:
        entries = list(read_redis_dump(documents(file)))
    columns = ingest(entries, pytest.fail)
    assert len(columns.observations.keys) == len(columns.results) == n_keys


def test_refusals_hold_no_prompt_text():
    """No problem quotes what was asked."""
    found = Read(
        lambda given, _: read_redis_dump(given),
        [*documents(['{"key": "secret question"']), *dump(**{"acg_stability:a": RESULT})],
    )
    assert "secret" not in str(found.problems[0])
