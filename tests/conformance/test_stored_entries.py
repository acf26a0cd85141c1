"""``acg-lab verify`` on stored entries: recorded ones where they are at hand, and always on some made here.

The recordings are no part of the repository: a folder ``shared`` beside it, or the one that ACG_LAB_SHARED names, holds
them.
"""

import contextlib
import gzip
import json
import os
from itertools import product
from pathlib import Path

import pytest
from strategies import make_request, make_run

import acg_lab as acg
from acg_lab.cli import main
from acg_lab.core import RULES, AcgLearner, HotCache, learning_key
from acg_lab.storage.redis_backend import RedisBackend

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
RECORDED = Path(os.environ.get("ACG_LAB_SHARED") or ROOT.parent / "shared") / "data" / "tau_airline"
PREFIXES = {"0.3.0": "nemo_flow:", "0.10.4": "nemo_relay:"}


# --- sources ---


def read_lines(name):
    if not RECORDED.is_dir():
        pytest.skip("no recordings: neither ACG_LAB_SHARED nor a folder 'shared' beside the repository")
    with gzip.open(RECORDED / name) as lines:
        return [json.loads(line) for line in lines]


def put(client, key, value):
    client.set(key, json.dumps(value, ensure_ascii=False, separators=(",", ":")))


@pytest.fixture(params=PREFIXES)
def recorded(request, redis_url, redis_client):
    """Return a Redis as that version of the runtime left it after 200 conversations."""
    for entry in read_lines(f"redis-{request.param}.jsonl.gz"):
        put(redis_client, entry["key"], entry["value"])
    return redis_url


@pytest.fixture
def recorded_with_runs(redis_url, redis_client):
    """Return the Redis of 0.3.0 with its runs; the other version's own are not recorded."""
    for entry in read_lines("redis-0.3.0.jsonl.gz"):
        put(redis_client, entry["key"], entry["value"])
    for run in read_lines("runs.jsonl.gz"):
        put(redis_client, f"nemo_flow:runs:airline:{run['id']}", run)
        redis_client.rpush("nemo_flow:runs_index:airline", run["id"])
    return redis_url


@pytest.fixture(params=["nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8"])
def made(request, redis_url):
    """Return a Redis as learners of three agents leave it, each with a profile of six requests."""
    prefix, scaffold = RULES[request.param].key_prefix, {"role": "system", "content": "s"}
    with contextlib.closing(RedisBackend(redis_url, key_prefix=prefix, writable=True)) as backend:
        for agent_id, number in product("abc", range(6)):
            question = make_request(scaffold, "hello", f"question {number}", model="m")
            run = make_run(question, agent_id=agent_id, run_id=f"{agent_id}{number}")
            backend.store_run(run)
            AcgLearner(agent_id, rules=request.param).process_run(run, backend, HotCache())
    return redis_url


# --- changes ---


def change(client, key, how):
    """Change what is stored under a key, told without its prefix."""
    (name,) = (name for name in client.scan_iter() if name.partition(b":")[2] == key.encode())
    value = json.loads(client.get(name))
    how(value)
    put(client, name, value)


def halve_score(result):
    result["scores"][0]["score"] /= 2


def change_entry(window):
    window[-1]["blocks"][-1]["content"] += "!"


def change_last_message(run):
    run["calls"][-1]["annotated_request"]["messages"][-1]["content"] += "!"


def key_of(run, snap):
    """Return the profile that the last call of a run belongs to."""
    rules = {found.rules for key, found in snap.rules.items() if snap.owners[key].agent_id == run.agent_id}
    return learning_key(run.agent_id, run.calls[-1].annotated_request, rules=rules.pop())


def change_three(client, runs, snap):
    """Change a score, a window entry, and a run, of a profile each; return the profiles in this order."""
    keys = [key_of(run, snap) for run in runs]
    assert len(set(keys)) == 3
    change(client, f"acg_stability:{keys[0]}", halve_score)
    change(client, f"acg_observations:{keys[1]}", change_entry)
    change(client, f"runs:{runs[2].agent_id}:{runs[2].id}", change_last_message)
    return keys


def check_named(url, keys, *, but=()):
    """Make sure that the changed profiles are named, each with what was changed, and no other entry but those given."""
    wrong = {v.key: v for v in acg.verify(acg.load(url, progress=False)).verdicts if not v.status.is_fine}
    assert wrong.keys() - set(but) == set(keys)
    by_score, by_entry, by_run = (wrong[key] for key in keys)
    assert by_score.difference.field == "score"
    assert by_score.difference.stored == by_score.difference.ours / 2
    assert "window" not in by_score.detail
    assert "window, observation " in by_entry.detail
    assert "content: ours 'sha256:" in by_entry.detail
    assert by_run.difference.place.startswith("window, observation ")
    assert by_run.difference.field == "content"


def verify(url, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["verify", url])
    return ended.value.code or 0, capsys.readouterr().out


# --- what is found ---


def test_recorded_entries(recorded, capsys):
    """All that either version of the runtime left of 200 conversations is equal."""
    status, out = verify(recorded, capsys)
    assert (status, "Nothing differs." in out) == (0, True)


def test_changes_in_recorded_entries(recorded_with_runs, redis_client, capsys):
    """With runs all is equal, too; on a copy with a score, a window entry and a run changed just those are named."""
    assert verify(recorded_with_runs, capsys)[0] == 0
    snap = acg.load(recorded_with_runs, progress=False)
    seed = snap.seeds["airline"].result
    runs = [run for run in snap.runs if snap.stability[key_of(run, snap)] != seed][5:20:5]
    keys = change_three(redis_client, runs, snap)
    check_named(recorded_with_runs, keys)


def test_changes_in_made_entries(made, redis_client, capsys):
    """So it is with what our learner left; a seed entry that is no copy of a changed profile any more is named, too."""
    assert verify(made, capsys)[0] == 0
    snap = acg.load(made, progress=False)
    runs = [next(run for run in snap.runs if run.agent_id == agent_id) for agent_id in "abc"]
    keys = change_three(redis_client, runs, snap)
    check_named(made, keys, but="ab")
    assert verify(made, capsys)[0] == 1
