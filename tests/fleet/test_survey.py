"""A survey equals the sum of single calls, whatever engine, task and order; agents that can't be surveyed are named."""

import itertools
import json
import random

import joblib
import pandas as pd
import pytest
from fleet.fleets import TABLES, assert_equals_single_calls
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import make_request, make_run

import acg_lab as acg
from acg_lab.fleet.address import Address
from acg_lab.fleet.agent_survey import Questions, survey_agents
from acg_lab.fleet.batches import Batches
from acg_lab.fleet.result import Survey, sort_agents


@pytest.mark.slow
@settings(max_examples=8)
@given(seed=st.integers(0, 3), shuffle=st.randoms(use_true_random=False), size=st.integers(1, 6))
def test_a_survey_equals_single_calls(fleets, seed, shuffle, size):
    """Agents in tasks of any size and in any order have the tables that single calls return for each."""
    path, expected = fleets(seed)
    agent_ids = list(expected)
    shuffle.shuffle(agent_ids)
    tasks = [agent_ids[at : at + size] for at in range(0, len(agent_ids), size)]
    answers = itertools.chain(*(survey_agents(Address.of(path, {}), Questions(), task) for task in tasks))
    assert_equals_single_calls(Survey(source=path, agents=sort_agents(answers)), expected)


def test_in_this_process(fleets):
    """With one process the answers are those of single calls, dearest loss first."""
    path, expected = fleets(0)
    found = acg.survey(path, progress=False)
    assert_equals_single_calls(found, expected)
    assert found.cost["lost"].dropna().is_monotonic_decreasing
    assert found.problems == found.unsurveyed == ()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_on_cores(fleets, seed):
    """Two processes of this machine return the same tables, to the last bit."""
    path, expected = fleets(seed)
    assert_equals_single_calls(acg.survey(path, n_jobs=2, progress=False), expected)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_on_a_cluster(fleets, cluster, seed):
    """A Dask cluster that joblib is configured for returns the same tables, to the last bit."""
    path, expected = fleets(seed)
    with joblib.parallel_config("dask", client=cluster):
        assert_equals_single_calls(acg.survey(path, progress=False), expected)


def test_sources_in_memory_and_logs(fleets):
    """A snapshot and a log are surveyed here as single calls do; other processes can't have what is in memory."""
    path, expected = fleets(1)
    assert_equals_single_calls(acg.survey(acg.load(path, progress=False), progress=False), expected)
    log = acg.survey("sample-log", findings=False, progress=False)
    one = acg.frames.agent_costs(acg.simulate(acg.load("sample-log", agent_id="support-mail", progress=False)))
    row = log.cost[log.cost["agent_id"] == "support-mail"]
    assert row.iloc[0].astype(object).tolist() == one.iloc[0].astype(object).tolist()
    with pytest.raises(acg.UsageError, match="only in this process"):
        acg.survey(acg.load(path, progress=False), n_jobs=2)


def test_nothing_recorded():
    """A source without agents has empty tables with all columns."""
    found = acg.survey(acg.MemoryBackend(), progress=False)
    assert [getattr(found, name).shape[0] for name in TABLES] == [0, 0, 0]
    assert found.cost.columns.tolist() == acg.frames.agent_costs([]).columns.tolist()
    assert repr(found).startswith("<Survey: no recorded requests")


def test_how_it_looks(fleets):
    """The first line is what is lost and paid; names are escaped in HTML, and problems are counted by sentence."""
    path, _ = fleets(1)
    found = acg.survey(path, findings=False, progress=False)
    first = repr(found).splitlines()[0]
    assert first.startswith("<Survey: $")
    assert " lost of $" in first
    assert "<b>" not in found._repr_html_().replace("<b>$", "")
    assert max(map(len, repr(found).splitlines()[:6])) <= 100


@pytest.mark.parametrize("wrong", [{"n_jobs": 0}, {"n_jobs": True}, {"n_jobs": "2"}, {"on_error": "ignore"}])
def test_wrong_options(fleets, wrong):
    """Options that make no sense are refused by name."""
    with pytest.raises(acg.UsageError, match=next(iter(wrong))):
        acg.survey(fleets(0)[0], **wrong)


@given(n_agents=st.integers(0, 60), n_workers=st.integers(1, 8), seconds=st.lists(st.floats(0, 30), max_size=70))
def test_tasks_hold_every_agent_once(n_agents, n_workers, seconds):
    """Whatever agents take, each is in one task; tasks grow towards ten seconds and shrink towards the end."""
    batches, taken = Batches(dict.fromkeys(map(str, range(n_agents)), 0), n_workers), []
    spent = itertools.chain(seconds, itertools.repeat(0.1))
    for batch in batches:
        left = n_agents - len(taken)
        assert len(batch) == 1 or len(batch) <= left / (4 * n_workers)
        taken += batch
        batches.learn(batch, next(spent))
    assert taken == [str(number) for number in range(n_agents)]


@given(
    sizes=st.dictionaries(st.text(max_size=3), st.one_of(st.integers(0, 9), st.integers(0, 10**9)), max_size=60),
    n_workers=st.integers(1, 8),
    rate=st.floats(1e-9, 1),
)
def test_the_largest_come_first(sizes, n_workers, rate):
    """Agents come largest first, those of one size in their order; a task of several takes no more than its time."""
    batches, taken = Batches(sizes, n_workers), []
    for batch in batches:
        left, size = batches.total - batches.size_of(taken), batches.size_of(batch)
        assert len(batch) == 1 or size <= left / (4 * n_workers)
        assert len(batch) == 1 or size * rate <= 10 * (1 + 1e-9)
        taken += batch
        batches.learn(batch, size * rate)
    assert taken == sorted(sizes, key=lambda agent_id: -sizes[agent_id])
    assert batches.size_of(taken) == batches.total


def test_small_agents_after_a_giant():
    """What tasks take is learned from the latest: small agents, which take long for their size, make short tasks."""
    sizes = {"giant": 100_000} | dict.fromkeys(map(str, range(3000)), 1)
    batches = Batches(sizes, 1)
    longest = 0.0
    for batch in batches:
        seconds = 100.0 if batch == ("giant",) else 0.02 * len(batch)
        longest = max(longest, 0 if batch == ("giant",) else seconds)
        batches.learn(batch, seconds)
    assert longest < 11


@pytest.mark.parametrize("kind", ["history", "export", "redis", "log", "snapshot"])
def test_sizes_of_agents(kind, tmp_path, request):
    """Every kind of source says which agents are larger, by what it lists; agents are those that a load finds."""
    n_runs = {"a": 2, "b": 40, "c": 9}
    backend = acg.MemoryBackend()
    for agent_id, number in n_runs.items():
        for run in range(number):
            message = make_request(f"question {run} " + "word " * 30)
            backend.store_run(make_run(message, agent_id=agent_id, run_id=f"{agent_id}-{run}"))
    snap = acg.load(backend)
    source = tmp_path / "source"
    if kind == "history":
        snap.to_parquet(source, partition_by="agent")
        late = acg.MemoryBackend()
        late.store_run(make_run(make_request("late"), agent_id="d", run_id="late"))
        acg.load(late).to_parquet(source, append=True)
    elif kind == "export":
        snap.to_parquet(source)
    elif kind == "redis":
        source = request.getfixturevalue("redis_url")
        snap.to_redis(source, key_prefix="nemo_relay:")
    elif kind == "log":
        write_log(source.with_suffix(".jsonl"), n_runs)
        source = source.with_suffix(".jsonl")
    else:
        source = snap
    sizes = Address.of(source, {}).measure_agents()
    assert tuple(sizes) == acg.load(source, progress=False).agent_ids
    assert sorted("abc", key=sizes.get) == ["a", "c", "b"]
    assert set(sizes) - set("abc") == ({"d"} if kind == "history" else set())


def write_log(path, n_runs):
    """Write a log of requests, so many of each agent."""
    lines = [
        {"agent": agent_id, "session": str(run), "timestamp": f"2026-11-01T00:{run:02}:00Z",
         "request": {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": f"question {run}"}]}}
        for agent_id, number in n_runs.items()
        for run in range(number)
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")


def test_columns_join_as_frames(fleets):
    """Frames that go through plain columns come back with the same values and types."""
    path, expected = fleets(2)
    found = acg.survey(path, progress=False)
    for number, name in enumerate(TABLES):
        of_one = next(iter(expected.values()))[number]
        pd.testing.assert_series_equal(getattr(found, name).dtypes.astype(str), of_one.dtypes.astype(str))
    assert random.Random(0).choice(list(expected)) in set(found.cost["agent_id"])
