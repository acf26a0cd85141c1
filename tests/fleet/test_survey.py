"""A survey equals the sum of single calls, whatever engine, task and order; agents that can't be surveyed are named."""

import itertools
import random

import joblib
import pandas as pd
import pytest
from fleet.fleets import TABLES, assert_equals_single_calls
from hypothesis import given, settings
from hypothesis import strategies as st

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
    batches, taken = Batches(map(str, range(n_agents)), n_workers), []
    spent = itertools.chain(seconds, itertools.repeat(0.1))
    for batch in batches:
        left = n_agents - len(taken)
        assert len(batch) == 1 or len(batch) <= left / (4 * n_workers)
        taken += batch
        batches.learn(len(batch), next(spent))
    assert taken == [str(number) for number in range(n_agents)]


def test_columns_join_as_frames(fleets):
    """Frames that go through plain columns come back with the same values and types."""
    path, expected = fleets(2)
    found = acg.survey(path, progress=False)
    for number, name in enumerate(TABLES):
        of_one = next(iter(expected.values()))[number]
        pd.testing.assert_series_equal(getattr(found, name).dtypes.astype(str), of_one.dtypes.astype(str))
    assert random.Random(0).choice(list(expected)) in set(found.cost["agent_id"])
