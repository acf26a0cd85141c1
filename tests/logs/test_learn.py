"""Learning from logs: the windows, results and seed entries are those of `AcgLearner`, run by run."""

import gzip
import json
import os
import random
from pathlib import Path

import pytest
from msgspec.structs import replace

import acg_lab as acg
from acg_lab.core.codec import decode, decode_window
from acg_lab.core.records import AnnotatedLlmRequest, CallRecord, RunRecord, StabilityAnalysisResult
from acg_lab.core.rules import RULES
from acg_lab.storage.memory import MemoryBackend

SHARED = Path(os.environ.get("ACG_LAB_SHARED", Path(__file__).parents[2].parent / "shared"))


def message(rng, role):
    if role == "assistant" and rng.random() < 0.4:
        call = {"id": "c", "type": "function", "function": {"name": rng.choice("fg"), "arguments": "{}"}}
        return {"role": role, "tool_calls": [call]}
    if role == "tool":
        return {"role": role, "tool_call_id": "c", "content": rng.choice("xyz")}
    return {"role": role, "content": rng.choice(["a", "b", "c  d", "", [{"type": "text", "text": "p"}]])}


def make_request(rng):
    roles = rng.choices(
        ["system", "user", "assistant", "tool", "developer", "critic"], [3, 5, 5, 2, 0.5, 0.1], k=rng.randrange(6)
    )
    unknown = rng.choice([{}, {}, {"instructions": rng.choice("ST")}, {"response_format": {"type": "json_object"}}])
    tool = {"type": "function", "function": {"name": "f", "description": rng.choice("de")}}
    return AnnotatedLlmRequest(
        messages=tuple(message(rng, role) for role in roles),
        model=rng.choice(["m", "n", None]),
        tools=rng.choice([None, (), (tool,), ({"type": "odd"},)]),
        unknown=unknown,
    )


def make_runs(seed, n=60):
    rng = random.Random(seed)
    runs = []
    for i in range(n):
        start = f"2026-11-30T00:{i % 60:02d}:00Z"
        requests = [make_request(rng) if rng.random() < 0.9 else None for _ in range(rng.randrange(4))]
        calls = tuple(CallRecord(kind="llm", name="x", started_at=start, annotated_request=r) for r in requests)
        end = f"2026-11-30T01:{rng.randrange(60):02d}:00Z" if rng.random() < 0.8 else None
        agent = rng.choice(["a", "a::model=b", "b"])
        runs.append(RunRecord(id=f"r{i}", agent_id=agent, calls=calls, started_at=start, ended_at=end))
    return runs


def anonymous(window):
    return tuple(replace(observation, ir_id="", created_at="") for observation in window)


def end_of(run):
    return run.ended_at or run.started_at


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("size", [0, 1, 3, 100])
@pytest.mark.parametrize("seed", range(3))
def test_learning_gives_what_the_learner_stores(rules, size, seed):
    """Windows, results and seed entries equal those of AcgLearner over the runs in the order of their ends."""
    runs, settings = make_runs(seed), acg.AcgSettings(observation_window=size)
    snap = acg.learn(runs, settings=settings, rules=rules, full_payloads=True)
    store, hot, skipped = MemoryBackend(), acg.HotCache(), 0
    learners = {agent: acg.AcgLearner(agent, size, rules=rules) for agent in ("a", "a::model=b", "b")}
    for run in sorted(runs, key=end_of):
        skipped += learners[run.agent_id].process_run(run, store, hot).skipped
        store.store_run(run)
    want = acg.load(store, rules=rules)
    assert {key: anonymous(window) for key, window in snap.windows.items()} == {
        key: anonymous(window) for key, window in want.windows.items()
    }
    assert dict(snap.stability) == dict(want.stability)
    assert {agent: seed.result for agent, seed in snap.seeds.items()} == {
        agent: seed.result for agent, seed in want.seeds.items()
    }
    assert len(snap.windows) > 3
    assert skipped
    assert sum(int(str(problem.reason).split()[0]) for problem in snap.problems) == skipped


def test_learning_of_its_own_runs_changes_nothing():
    """A snapshot's runs, learned again, give the snapshot's windows and results: what is cut stays as it is."""
    snap = acg.learn(make_runs(7))
    again = acg.learn(snap.runs)
    assert {k: anonymous(w) for k, w in again.windows.items()} == {k: anonymous(w) for k, w in snap.windows.items()}
    assert dict(again.stability) == dict(snap.stability)
    assert list(again.runs) == list(snap.runs)


def test_learned_snapshots_are_verified_whole():
    """Verifying finds every learned window in the runs."""
    snap = acg.learn(make_runs(3))
    verification = acg.verify(snap)
    assert verification.ok
    assert len(verification.verdicts) == len(snap.windows) + len(snap.seeds)
    assert "learned here" in snap.source
    assert "learned here" in repr(snap)


def test_later_requests_are_cut_to_the_turn():
    """Of a run's later requests only system messages and what follows the last user message are learned."""
    texts = [
        ("system", "s"),
        ("user", "u1"),
        ("assistant", "a1"),
        ("developer", "d"),
        ("user", "u2"),
        ("assistant", "a2"),
    ]
    messages = tuple({"role": role, "content": text} for role, text in texts)
    calls = tuple(
        CallRecord(kind="llm", name="x", started_at="2026-11-30T00:00:00Z", annotated_request=request)
        for request in (AnnotatedLlmRequest(messages=messages), AnnotatedLlmRequest(messages=messages))
    )
    run = RunRecord(id="r", agent_id="a", calls=calls, started_at="2026-11-30T00:00:00Z")

    def contents(snap):
        """Return the contents of all observations; without the developer message the second has another profile."""
        found = (o for window in snap.windows.values() for o in window)
        return sorted(([block.content for block in o.blocks] for o in found), key=len)

    assert contents(acg.learn([run])) == [["s", "u2", "a2"], ["s", "u1", "a1", "d", "u2", "a2"]]
    assert contents(acg.learn([run], full_payloads=True)) == [["s", "u1", "a1", "d", "u2", "a2"]] * 2
    old = acg.learn([run], rules="nemo-relay-0.6")
    assert contents(old) == contents(acg.learn([run]))


def test_runs_as_json_objects_are_read():
    """A mapping in the place of a run is read as its JSON; anything else is refused in words."""
    run = {"id": "r", "agent_id": "a", "calls": [], "started_at": "2026-11-30T00:00:00Z"}
    assert acg.learn([run]).runs[0].id == "r"
    with pytest.raises(acg.RecordError, match="started_at"):
        acg.learn([{"id": "r", "agent_id": "a", "calls": []}])
    with pytest.raises(acg.UsageError, match="got int at position 0"):
        acg.learn([1])
    with pytest.raises(acg.UsageError, match="iterable of RunRecord"):
        acg.learn(run)


def test_recorded_bodies_give_productions_windows_and_results():
    """Raw Chat bodies alone give the windows, results, keys and seed entry that the runtime 0.10.4 stored in Redis."""
    folder = SHARED / "data/tau_airline"
    if not folder.exists():
        pytest.skip(f"no recorded requests at {folder}")
    with gzip.open(folder / "requests.jsonl.gz") as lines:
        bodies = [body for line in lines for body in json.loads(line)["calls"]]
    with gzip.open(folder / "redis-0.10.4.jsonl.gz") as lines:
        stored = {entry["key"]: entry["value"] for entry in map(json.loads, lines)}
    snap = acg.from_requests(bodies, agent_id="airline")
    assert len(snap.runs) == 200
    compared = 0
    for name, value in stored.items():
        kind, _, key = name.removeprefix("nemo_relay:").partition(":")
        raw = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        seed = snap.seeds.get(key)
        if kind == "acg_observations":
            assert anonymous(decode_window(raw)) == anonymous(seed.window if seed else snap.windows[key])
        elif kind == "acg_stability":
            assert decode(StabilityAnalysisResult, raw) == (seed.result if seed else snap.stability[key])
        else:
            continue
        compared += 1
    assert compared == 4
    assert len(snap.windows) == 1
