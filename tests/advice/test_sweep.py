"""The sweep: every distinct setting is priced, and costs what simulating it alone costs."""

import numpy as np
import pytest

import acg_lab as acg
from acg_lab.advice.evaluation import Evaluation

AGENT = "claims-triage"


@pytest.fixture(
    scope="module", params=[AGENT, pytest.param(None, marks=pytest.mark.slow)], ids=["one agent", "all agents"]
)
def snap(request):
    return acg.load("data/sample", agent_id=request.param)


@pytest.fixture(scope="module")
def sweep(snap):
    return acg.sweep(snap, progress=False)


def test_costs_are_those_of_the_simulation(snap, sweep):
    """The cost of a setting, agent by agent, is what `simulate` returns for it alone."""
    rows = np.random.default_rng(5).choice(len(sweep), 2, replace=False)
    for row in [0, 1, sweep.cheapest, *rows.tolist()]:
        setting = sweep.setting(row)
        window = setting.observation_window
        trace = acg.replay(snap, window=dict.fromkeys((100, window)), progress=False)
        if setting.provider == "passthrough":
            continue
        sim = acg.simulate(trace, setting, config=sweep.current)
        for number, agent_id in enumerate(sweep.agent_ids):
            found = sim.select(agent_id=agent_id).totals().simulated
            assert sweep.cost_by_agent[row, number] == pytest.approx(found, abs=1e-9)


def test_the_bill_is_the_base(sweep):
    """The current setting costs what was billed, and without the governor its reads are gone."""
    assert sweep.setting(0) == sweep.current
    assert sweep.cost[0] == pytest.approx(sweep.evaluation.sim.totals().as_was)
    assert sweep.setting(1).provider == "passthrough"
    assert sweep.cost[1] > sweep.cost[0]


def test_settings_that_plan_the_same_are_simulated_once(sweep):
    """There are far fewer simulations than settings, and equal plans cost the same."""
    assert sweep.n_distinct < len(sweep) / 5
    assert sweep.evaluation.n_simulated < len(sweep) / 5
    for plan in np.unique(sweep.plans)[:50]:
        assert np.ptp(sweep.cost[sweep.plans == plan]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("snap", [None], indirect=True, ids=["all agents"])
def test_thinning_is_reported(sweep):
    """More than 10,000 settings are thinned, and the remarks say how."""
    assert len(sweep) <= 10_002
    assert any("thinned to steps of 0.01" in remark for remark in sweep.remarks)
    assert any("semi_stable_threshold changes no plan" in remark for remark in sweep.remarks)


def test_thresholds_between_settings_plan_the_same():
    """Any threshold of an interval costs the same as the one that stands for it."""
    sweep = acg.sweep(few_runs(), progress=False)
    draw = np.random.default_rng(3)
    rows = draw.choice(np.flatnonzero(sweep.points.windows == 100), 5, replace=False)
    trace = acg.replay(few_runs(), progress=False)
    for row in rows.tolist():
        low, high = sweep.above[row], sweep.upto[row]
        for stable in (high, low + (high - low) * draw.uniform(0.01, 1)):
            minimum = int(sweep.points.minimums[row])
            thresholds = acg.StabilityThresholds(
                stable_threshold=float(stable), min_observations_for_full_confidence=minimum
            )
            sim = acg.simulate(
                trace, acg.AcgSettings(thresholds=thresholds, provider="anthropic"), config=sweep.current
            )
            assert sim.totals().simulated == pytest.approx(sweep.cost[row], abs=1e-9)


def few_runs():
    """A few runs of one agent, so that nothing is thinned."""
    return acg.load("data/sample", agent_id=AGENT, since="2026-11-19")


def test_given_settings():
    """Settings of one's own are priced in their order, after the current one."""
    given = [acg.AcgSettings(provider="anthropic").replace(stable_threshold=value) for value in (0.9, 0.95)]
    sweep = acg.sweep(acg.load("data/sample", agent_id=AGENT), settings=given, progress=False)
    assert len(sweep) == 3
    assert sweep.cost[1] < sweep.cost[2] == sweep.cost[0]


def test_the_frame(sweep):
    """The frame has one row per setting, or one per setting and agent, and the same costs."""
    frame, by_agent = sweep.to_frame(), sweep.to_frame(by_agent=True)
    assert len(frame) == len(sweep)
    assert frame["cost"].tolist() == sweep.cost.tolist()
    assert frame["is_current"].tolist() == [True] + [False] * (len(sweep) - 1)
    assert by_agent.groupby("setting")["cost"].sum().to_numpy() == pytest.approx(sweep.cost)
    assert set(by_agent["agent_id"]) == set(sweep.agent_ids)


def test_it_says_so_in_five_lines(sweep):
    """Repr and HTML say in at most five lines what was priced, and what is cheapest."""
    assert len(repr(sweep).splitlines()) <= 5
    assert "cheapest" in repr(sweep)
    assert sweep._repr_html_().count("<br>") <= 5


def test_an_interrupted_sweep_keeps_what_was_priced():
    """Ctrl-C ends the work; what was priced so far stays, the current setting first."""

    def interrupt(_done, _total):
        calls.append(None)
        if len(calls) == 30:
            raise KeyboardInterrupt

    calls = []
    sweep = acg.sweep(acg.load("data/sample", agent_id=AGENT), progress=interrupt)
    assert not sweep.complete
    assert not np.isnan(sweep.cost[0])
    assert 0 < np.isnan(sweep.cost).sum() < len(sweep)
    assert "Interrupted" in repr(sweep)
    assert "Interrupted: only settings that were priced before are compared." in repr(acg.recommend(sweep))


def test_a_sweep_that_is_interrupted_at_once_says_so():
    """Ctrl-C before the current setting is priced for all agents: the sweep says so, and nothing is recommended."""

    def interrupt(_done, _total):
        raise KeyboardInterrupt

    sweep = acg.sweep(acg.load("sample-log", progress=False), progress=interrupt)
    assert (sweep.cheapest, len(repr(sweep).splitlines())) == (0, 2)
    assert "Interrupted before the current setting was priced." in repr(sweep)
    with pytest.raises(acg.UsageError, match="interrupted before the current setting was priced"):
        acg.recommend(sweep)


@pytest.mark.slow
def test_several_processes_find_the_same():
    """With two processes the costs are the same to the last bit."""
    snap = acg.load("data/sample", agent_id=AGENT)
    one, two = (acg.sweep(snap, n_jobs=n, progress=False) for n in (1, 2))
    assert one.cost.tolist() == two.cost.tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: acg.sweep("data/sample"), "must be a Snapshot or a Trace"),
        (lambda: acg.sweep(acg.load("data/sample", agent_id=AGENT), current=95), "stable_threshold.*95"),
        (lambda: acg.sweep(acg.load("data/sample", agent_id=AGENT), settings=[0.9]), "must be AcgSettings"),
        (lambda: acg.sweep(acg.load("data/sample", agent_id=AGENT), current=object()), "'current' option"),
    ],
)
def test_wrong_use_is_named(call, message):
    """Wrong use raises UsageError with the option's name."""
    with pytest.raises(acg.UsageError, match=message):
        call()


def test_evaluation_needs_no_texts(snap):
    """What is sent to other processes holds no prompt text."""
    evaluation = Evaluation(acg.replay(snap, progress=False), acg.AcgSettings(provider="anthropic"), (100,))
    assert all(agent.requests.texts == () for agent in evaluation._agents)
