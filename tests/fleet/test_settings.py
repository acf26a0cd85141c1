"""What settings cost adds up over agents: a survey's sums are those of single sweeps, and recommend takes them."""

import numpy as np
import pytest
from advice.agents import MENDED, snapshot_of

import acg_lab as acg

CURRENT = acg.AcgSettings(provider="anthropic")
TRIED = [CURRENT.replace(stable_threshold=stable, observation_window=30) for stable in (0.5, 0.8, 1.0)]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Three agents with a fault that settings mend, in one export."""
    names = ("another digest in one of nine", "a notice that is sometimes missing", "another digest in one of five")
    runs = []
    for number, name in enumerate(names):
        snap, _ = snapshot_of(MENDED[name], number, 60)
        runs += [acg_run(run, f"agent {number}", number) for run in snap.runs]
    path = tmp_path_factory.mktemp("settings") / "export"
    acg.learn(runs, rules="nemo-flow-0.2").to_parquet(path)
    return str(path)


def acg_run(run, agent_id, number):
    """The same run of another agent."""
    ids = {"id": f"{number:08}{run.id[8:]}", "agent_id": agent_id}
    return type(run)(**ids, calls=run.calls, started_at=run.started_at, ended_at=run.ended_at)


@pytest.fixture(scope="module")
def found(source):
    return acg.survey(source, settings=TRIED, current=CURRENT, sweep=True, findings=False, progress=False)


def test_sums_are_those_of_single_sweeps(source, found):
    """For each agent and all together, in money and full price; the current setting is the first."""
    singles = [
        acg.sweep(acg.load(source, agent_id=one, progress=False), settings=TRIED, current=CURRENT, progress=False)
        for one in sorted(found.cost["agent_id"])
    ]
    whole = found.to_sweep()
    assert whole.agent_ids == ("agent 0", "agent 1", "agent 2")
    for column, single in enumerate(singles):
        np.testing.assert_allclose(whole.cost_by_agent[:, column], single.cost, rtol=1e-12)
        alone = found.to_sweep([single.agent_ids[0]])
        np.testing.assert_allclose(alone.cost, single.cost, rtol=1e-12)
        assert alone.plans.tolist() == single.plans.tolist()
    np.testing.assert_allclose(whole.cost, sum(single.cost for single in singles), rtol=1e-12)
    assert whole.cost_without_cache == pytest.approx(sum(single.cost_without_cache for single in singles))
    assert found.setting_costs["cost"].tolist() == whole.cost.tolist()
    assert found.tables.keys() == {"cost", "misses", "findings", "setting_costs"}


@pytest.mark.slow
def test_a_recommendation_from_a_survey():
    """It finds the fault of an agent that the history itself shows, and changes nothing where nothing helps."""
    survey = acg.survey("data/sample", findings=False, sweep=True, progress=False)
    best = acg.recommend(survey.to_sweep(["claims-triage"]))
    assert best.is_change
    assert 0.5 < best.settings.thresholds.stable_threshold < 0.92
    assert best.saved.low > 0
    assert any("groups of neighbouring runs" in remark for remark in best.remarks)
    own = acg.recommend(acg.load("data/sample", agent_id="claims-triage", progress=False), progress=False)
    assert best.share.value == pytest.approx(own.share.value, abs=0.1)
    assert not acg.recommend(survey.to_sweep(["support-mail"])).is_change
    assert acg.recommend(survey.to_sweep()).sweep.agent_ids == tuple(sorted(survey.cost["agent_id"]))


def test_what_has_no_sums(source, found):
    """Settings that were not priced, agents that were not surveyed, and options that a sweep settles are refused."""
    with pytest.raises(acg.UsageError, match="sweep=True"):
        acg.survey(source, findings=False, progress=False).to_sweep()
    with pytest.raises(acg.UsageError, match="sweep=True"):
        acg.survey(source, settings=TRIED)
    with pytest.raises(acg.UsageError, match="no surveyed agent 'agent 9'"):
        found.to_sweep(["agent 9"])
    with pytest.raises(acg.UsageError, match="'agent_id' option is settled"):
        acg.recommend(found.to_sweep(), agent_id="agent 0")
    with pytest.raises(acg.UsageError, match="no agent has requests"):
        acg.survey(acg.MemoryBackend(), sweep=True, progress=False).to_sweep()
