"""Logs that are recognised and refused, and Redis dumps, which are stored data rather than logs."""

import json
import os
from pathlib import Path

import pytest

import acg_lab as acg
from acg_lab.core.errors import RecordError, SourceError, UsageError
from acg_lab.logs.formats import FORMATS, detect_format
from acg_lab.logs.redactions import find_redaction

SHARED = Path(os.environ.get("ACG_LAB_SHARED", Path(__file__).parents[2].parent / "shared"))
A, B = (f"{agent}::model=m::seed=no-seed::system=no-system::tools=no-tools" for agent in "ab")
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


def write(path, *entries):
    """Write a dump; texts are lines as they are."""
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in entries))
    return path


def entry(key, value, prefix="nemo_relay:"):
    return {"key": prefix + key, "value": value}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "dump.jsonl"


def test_detection_of_dumps():
    """A dump is recognised by production's keys; other pairs of key and value are not one."""
    assert detect_format([entry(f"acg_stability:{A}", RESULT)]).name == "redis-dump"
    assert getattr(detect_format([{"key": "other", "value": {}}]), "name", "") != "redis-dump"


def test_values(path):
    """A value may be JSON, or the text that Redis holds; nothing is learned of it."""
    snap = acg.load(write(path, entry(f"acg_stability:{A}", RESULT), entry(f"acg_stability:{B}", json.dumps(RESULT))))
    assert set(snap.stability) == {A, B}
    assert not snap.learned_here
    assert snap.source == str(path)


def test_order_of_runs(path):
    """Runs come in the order of their index, wherever it stands; those that are not in it come last."""
    run = {"agent_id": "a", "calls": [], "started_at": "2026-11-30T00:00:00Z"}
    runs = [entry(f"runs:a:{name}", run | {"id": name}) for name in "xyz"]
    snap = acg.load(write(path, *runs, entry("runs_index:a", ["z", "gone", "x"])))
    assert [found.id for found in snap.runs] == ["z", "x", "y"]


def test_selection(path):
    """Only the wanted agent is read."""
    write(path, entry(f"acg_stability:{A}", RESULT), entry(f"acg_stability:{B}", RESULT))
    assert set(acg.load(path, agent_id="b").stability) == {B}


def test_bad_entries(path):
    """Bad lines and values are problems with their line; the others are read; of a key twice the later one counts."""
    good = entry(f"acg_stability:{A}", RESULT)
    lines = [good, "{", {"key": 3}, entry("runs_index:a", 3), good, {"key": "other", "value": 1}]
    with pytest.warns(acg.LoadWarning, match="5 entries"):
        snap = acg.load(write(path, *lines, entry(f"acg_stability:{B}", "{")))
    assert set(snap.stability) == {A}
    assert sorted(getattr(problem, "line", 0) for problem in snap.problems) == [0, 2, 3, 4, 5]
    assert "secret" not in str(snap.problems)
    with pytest.raises(RecordError):
        acg.load(path, strict=True)


def test_prefixes(path):
    """Several prefixes need a choice; none is no dump."""
    write(path, *(entry(f"acg_stability:{A}", RESULT, prefix) for prefix in ("p:", "q:")))
    with pytest.raises(UsageError, match="'p:' and 'q:'"):
        acg.load(path)
    assert acg.load(path, key_prefix="q:").columns.key_prefix == "q:"
    with pytest.raises(SourceError):
        acg.load(write(path, {"key": "other", "value": 1}), format="redis-dump")


@pytest.mark.parametrize(("name", "n_keys"), [("redis-0.3.0", 194), ("redis-0.10.4", 2)])
def test_recorded_dumps(name, n_keys):
    """Dumps of real runs load whole, packed as they are."""
    path = SHARED / "data/tau_airline" / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip("the recorded conversations are not here")
    snap = acg.load(path, progress=False)
    assert len(snap.columns.observations.keys) == len(snap.columns.results) == n_keys
    assert not snap.problems
