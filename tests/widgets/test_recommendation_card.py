"""The recommendation card: asked for by a button, cancelled by it, used by another, and never of other settings."""

import pytest
from plot_snapshots import gids, nameless, outside, overlapping, text_of
from widgets.reading import shown

import acg_lab as acg
from acg_lab import plots
from acg_lab._format import money, percent

TRIAGE, NEXT = "claims-triage", "claims-triage-next"


@pytest.fixture(scope="module")
def both():
    """Two agents in one process."""
    backend = acg.MemoryBackend()
    for one in (TRIAGE, NEXT):
        snap = acg.load("data/sample", agent_id=one, progress=False)
        for key, window in snap.windows.items():
            backend.store_observations(key, window)
        for run in snap.runs:
            backend.store_run(run)
    return acg.load(backend, progress=False)


def ask(tuner):
    tuner._card.ask.click()
    tuner.state.recommender.join(120)


def test_use_recommended(make_tuner, triage):
    """The card says what to run and what that saves; one click tries it, marks it, and reset goes back."""
    tuner = make_tuner(*triage)
    card = tuner._card
    assert "Which settings should run" in shown(card.text.value)
    assert card.use.layout.display == "none"
    ask(tuner)
    expected = tuner.state.recommendation
    assert 0.5 < expected.settings.thresholds.stable_threshold < 0.92
    assert all(line in shown(card.text.value) for line in expected.lines)
    assert "recommended: " in tuner._controls["stable_threshold"]._strip.value
    assert "recommended" not in tuner._controls["observation_window"]._strip.value
    assert card.ask.layout.display == "none"
    card.use.click()
    assert tuner.settings.thresholds == expected.settings.thresholds
    assert tuner.state.is_recommended
    assert card.use.disabled
    tuner._reset.click()
    assert tuner.settings == acg.AcgSettings()
    assert not card.use.disabled
    tuner.state.current = acg.AcgSettings(observation_window=50)
    assert tuner.state.recommendation is None, "it was made against other settings"


@pytest.mark.slow
def test_who_would_lose(make_tuner, both):
    """Advice for one agent alone names who would lose in one process with it; other agents have no advice yet."""
    tuner = make_tuner(both, acg.replay(both, progress=False), agent_id=TRIAGE)
    ask(tuner)
    assert "Recommended for claims-triage alone" in shown(tuner._card.text.value)
    tuner.state.price()
    assert "it is dearer for 1 agent: claims-triage-next" in shown(tuner._card.text.value)
    assert "acg-loss" in tuner._card.text.value
    tuner.state.agent_id = NEXT
    assert "Which settings should run, for claims-triage-next alone?" in shown(tuner._card.text.value)


@pytest.mark.slow
def test_change_nothing(make_tuner, sample, trace):
    """To change nothing is an answer too, and there is nothing to use then."""
    tuner = make_tuner(sample, trace, agent_id="field-notes")
    ask(tuner)
    assert "Change nothing" in shown(tuner._card.text.value)
    assert tuner._card.use.layout.display == "none"
    assert "acg-recommended" not in tuner._controls["stable_threshold"]._strip.value


def test_cancel_and_failure(make_tuner, triage):
    """A search can be cancelled, and one that fails says why in the card."""
    tuner = make_tuner(*triage)
    tuner._card.ask.click()
    assert tuner._card.ask.description == "Cancel"
    tuner._card.ask.click()
    assert tuner._card.ask.description == "Recommend settings"
    tuner.state.recommender.join(120)
    assert tuner.state.recommendation is None
    empty = make_tuner(acg.load(acg.MemoryBackend()))
    ask(empty)
    assert "failed" in shown(empty._card.text.value)


@pytest.mark.slow
def test_the_cost_tab(make_tuner, triage):
    """The tab prices every threshold in the background, marks what is tried, and is dimmed while it is not known."""
    tuner = make_tuner(*triage)
    tuner.view = "Cost"
    tuner.state.curves.join(120)
    frame = tuner.frame()
    assert len(frame) == 103, "current, no governor, and each step of the slider"
    assert "acg-stale" not in tuner._image._dom_classes
    tuner.settings = tuner.settings.replace(stable_threshold=0.9)
    words = shown(tuner._words.value)
    row = frame[(frame["stable_threshold"] == 0.9) & (frame["provider"] == "anthropic")]
    assert words.startswith(f"stable_threshold 0.9: {money(row['cost'].iloc[0])} instead of $0.60")
    tuner.state.price()
    assert row["cost"].iloc[0] == pytest.approx(tuner.state.cost(tuner.settings, TRIAGE).cost)
    tuner.settings = tuner.settings.replace(min_observations_for_full_confidence=7)
    assert "acg-stale" in tuner._image._dom_classes
    tuner.state.curves.join(120)
    assert "acg-stale" not in tuner._image._dom_classes
    ask(tuner)
    tuner.state.reset()
    assert "instead of $0.60" in shown(tuner._words.value), "the recommended setting where none is tried"
    assert "stable_threshold 0.9" not in shown(tuner._words.value)


def test_over_time_has_costs(make_tuner, triage):
    """The tab gets what each request costs, now and as tried, and is dimmed until it is known."""
    tuner = make_tuner(*triage)
    tuner.view = "Over time"
    tuner.settings = tuner.settings.replace(stable_threshold=0.9)
    waited = [tuner.state.curves.join(120) for _ in range(4)]  # one setting after the other
    frame = tuner.frame()
    assert waited
    costs = frame.groupby("stable_threshold")["cost"].sum()
    for stable in (0.9, 0.95):
        settings = acg.AcgSettings().replace(stable_threshold=stable)
        sim = acg.simulate(triage[1], settings, config=acg.AcgSettings())
        assert costs[stable] == pytest.approx(sim.totals().simulated)
    assert "acg-stale" not in tuner._image._dom_classes
    axes = plots.prefix_over_time(frame, current=0.95)
    assert {"cost-current", "cost-tuned", "no-caching"} <= set(gids(axes))
    share = 1 - costs[0.9] / frame[frame["stable_threshold"] == 0.9]["cost_without_cache"].sum()
    assert text_of(axes, "cost-name-tuned") == f"tuned {percent(1 - share)}"
    assert nameless(axes) == outside(axes) == overlapping(axes) == []
