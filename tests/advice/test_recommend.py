"""Recommendations: chosen on the past, judged on what came after, for all agents of a process at once."""

import pytest

import acg_lab as acg
from acg_lab.advice import Recommendation
from acg_lab.core import UsageError

TRIAGE, NEXT = "claims-triage", "claims-triage-next"


@pytest.fixture(scope="module")
def triage():
    return acg.recommend(acg.load("data/sample", agent_id=TRIAGE), progress=False)


@pytest.fixture(scope="module")
def unchanged():
    return acg.recommend(acg.load("data/sample", agent_id=NEXT), progress=False)


def test_claims_triage_is_advised_what_saves_as_much_as_090(triage):
    """It is advised to lower stable_threshold alone, to a value that costs what 0.9 costs or less."""
    assert triage.is_change
    assert set(triage.changes) == {"stable_threshold"}
    given = [acg.AcgSettings(provider="anthropic").replace(stable_threshold=0.9)]
    snap = acg.load("data/sample", agent_id=TRIAGE)
    asked = acg.sweep(snap, settings=[*given, triage.settings.replace(provider="anthropic")], progress=False)
    assert asked.cost[2] <= 1.01 * asked.cost[1] < 0.9 * asked.cost[0]


def test_it_is_not_at_the_edge(triage):
    """The threshold lies inside the range of thresholds that are as good."""
    low, high = triage.plateau
    stable = triage.settings.thresholds.stable_threshold
    assert min(stable - low, high - stable) >= min((high - low) / 2, 0.05) - 0.01


def test_it_says_how_sure_it_is(triage):
    """The interval lies above nothing, and the estimate within it; the best in hindsight is not worse."""
    assert 0 < triage.saved.low <= triage.saved.value <= triage.saved.high
    assert 0.1 < triage.share.value < 0.5
    assert triage.saved.value <= triage.best + 1e-12
    assert triage.saved_tokens > 0
    assert sum(period.current for period in triage.periods) == pytest.approx(triage.cost)


def test_the_same_agent_under_08_is_advised_nothing(unchanged):
    """Under 0.8 a longer prefix is bound to whole requests: no threshold helps, and repairs are named that do."""
    assert not unchanged.is_change
    assert unchanged.reason == "change nothing"
    assert unchanged.settings == unchanged.current
    assert unchanged.repairs
    assert "More than any setting" in repr(unchanged)


@pytest.mark.parametrize("name", ["triage", "unchanged"])
def test_it_says_so_in_five_lines(name, request):
    """Repr and HTML have at most five lines, and HTML escapes what comes from records."""
    best = request.getfixturevalue(name)
    assert len(repr(best).splitlines()) <= 5
    assert best._repr_html_().count("<br>") <= 4


def test_the_frame(triage, unchanged):
    """One row per agent; none where nothing is to be changed."""
    assert triage.to_frame()["agent_id"].tolist() == [TRIAGE]
    assert triage.to_frame()["saved"].tolist() == [triage.agents[0].saved.value]
    assert unchanged.to_frame().empty


def in_one_process(*agent_ids):
    """Return a snapshot of some agents of the sample."""
    backend = acg.MemoryBackend()
    for agent_id in agent_ids:
        snap = acg.load("data/sample", agent_id=agent_id)
        for record in snap.runs:
            backend.store_run(record)
        for key, window in snap.windows.items():
            backend.store_observations(key, window)
        for key, result in snap.stability.items():
            backend.store_stability(key, result)
    return acg.load(backend)


@pytest.mark.slow
def test_one_setting_holds_for_a_process():
    """Both agents in one process: what is best for the sum is advised, and who would lose is named."""
    both = in_one_process(TRIAGE, NEXT)
    best = acg.recommend(both, progress=False)
    given = [acg.AcgSettings(provider="anthropic").replace(stable_threshold=value) for value in (0.9, 0.95)]
    asked = acg.sweep(both, settings=[*given, best.settings.replace(provider="anthropic")], progress=False)
    assert asked.cost[3] <= asked.cost[:3].min() + 1e-9
    row = asked.cost_by_agent
    assert row[1, asked.agent_ids.index(NEXT)] > 1.1 * row[0, asked.agent_ids.index(NEXT)]
    dearer = {agent for agent, now, then in zip(asked.agent_ids, row[0], row[3], strict=True) if then > 1.005 * now}
    assert {agent.agent_id for agent in best.losers} == dearer


@pytest.mark.slow
def test_one_agent_alone(sample):
    """Asked for one agent of a source, it advises what it advises where only that agent is loaded, to a percent."""
    now = acg.AcgSettings(provider="passthrough")
    alone = acg.recommend(acg.load("data/sample", agent_id="coder"), current=now, progress=False)
    assert alone.is_change
    found = acg.recommend(sample, agent_id="coder", current=now, progress=False)
    assert found.lines[0] == alone.lines[0]
    assert found.cost == pytest.approx(alone.cost)
    assert found.saved.value == pytest.approx(alone.saved.value, abs=0.01 * alone.cost)
    assert [agent.agent_id for agent in found.agents] == ["coder"]
    with pytest.raises(UsageError, match="nobody"):
        acg.recommend(sample, agent_id="nobody", progress=False)


def test_where_no_governor_acts_only_repairs_are_offered():
    """A log of a proxy shows no governor: settings are not spoken of, repairs are."""
    best = acg.recommend(acg.load("data/requests.jsonl.gz"), progress=False)
    assert best.reason == "no governor"
    assert best.sweep is None
    assert not best.is_change
    assert best.repairs
    assert "no setting" in repr(best).lower()


def test_few_runs_are_not_judged():
    """A handful of runs is too little to judge a change on runs that were held out."""
    snap = acg.load("data/sample", agent_id=TRIAGE, since="2026-11-20")
    best = acg.recommend(snap, progress=False)
    assert isinstance(best, Recommendation)
    assert not best.is_change
    assert best.reason == "too few runs"


def test_current_settings_come_from_a_file(tmp_path):
    """The settings of a plugins.toml are the current ones; where they are as good, nothing is to be changed."""
    path = tmp_path / "plugins.toml"
    acg.export_config(path, acg.AcgSettings(provider="anthropic").replace(stable_threshold=0.8))
    best = acg.recommend(acg.load("data/sample", agent_id=NEXT), current=path, progress=False)
    assert best.current.thresholds.stable_threshold == 0.8
    assert best.settings.thresholds.stable_threshold == (0.8 if not best.is_change else pytest.approx(0.95, abs=0.06))


@pytest.mark.slow
def test_tokens_can_be_the_objective():
    """Without regard to prices, uncached tokens are counted."""
    best = acg.recommend(acg.load("data/sample", agent_id=TRIAGE), objective="tokens", progress=False)
    assert best.is_change
    assert best.currency == "uncached tokens"
    assert best.saved.value == pytest.approx(best.saved_tokens)


@pytest.mark.slow
def test_repairs_are_compared_in_dollars_whatever_the_objective():
    """A repair that saves more dollars than the setting is named, though the setting saves more tokens than that."""
    snap = in_one_process(TRIAGE, "support-mail")
    by_cost, by_tokens = (acg.recommend(snap, objective=name, progress=False) for name in ("cost", "tokens"))
    assert by_tokens.is_change
    assert by_tokens.repairs
    assert by_cost.repairs == by_tokens.repairs


@pytest.mark.parametrize(
    ("options", "message"),
    [({"objective": "money"}, "'objective' option"), ({"current": 95}, "stable_threshold.*95")],
)
def test_wrong_use_is_named(options, message):
    """Wrong options raise UsageError with their names."""
    with pytest.raises(acg.UsageError, match=message):
        acg.recommend(acg.load("data/sample", agent_id=NEXT), **options)
