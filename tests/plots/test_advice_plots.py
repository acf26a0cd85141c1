"""Plots of advice: titles and marks are those of the recommendation, and every text has room."""

import pytest
from matplotlib.figure import Figure
from plot_snapshots import gids, nameless, outside, overlapping, text_of

import acg_lab as acg
from acg_lab import plots
from acg_lab._format import setting
from acg_lab.core import UsageError

NAMES = ("cost_curve", "threshold_surface")


@pytest.fixture(scope="module")
def advised():
    return acg.recommend(acg.load("data/sample", agent_id="claims-triage"), progress=False)


@pytest.fixture(scope="module")
def unchanged():
    return acg.recommend(acg.load("data/sample", agent_id="claims-triage-next"), progress=False)


@pytest.mark.usefixtures("theme")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", ["advised", "unchanged"])
def test_sound(name, case, request):
    """Every artist has a gid, and all texts are inside and apart, in both themes, from 6 to 10 inches."""
    best = request.getfixturevalue(case)
    for width in (6, 7.5, 10):
        axes = getattr(plots, name)(best, ax=Figure(figsize=(width, 1)))
        assert nameless(axes) == []
        assert outside(axes) == []
        assert overlapping(axes) == []


def test_titles_state_the_answer(advised, unchanged):
    """Titles name the recommended setting and what it costs, or say that none is better."""
    stable = setting(advised.settings.thresholds.stable_threshold)
    assert text_of(plots.cost_curve(advised), "title").startswith(f"stable_threshold {stable}: $")
    assert "on held-out requests" in text_of(plots.threshold_surface(advised), "title")
    assert text_of(plots.cost_curve(unchanged), "title").startswith("No stable_threshold is 1% cheaper")
    assert text_of(plots.threshold_surface(unchanged), "title").startswith("No setting beats the current one")


@pytest.mark.parametrize("name", NAMES)
def test_only_a_recommendation_is_marked(name, advised, unchanged):
    """The recommended mark and its plateau are drawn where a change is recommended, and nowhere else."""
    draw = getattr(plots, name)
    for best in (advised, unchanged):
        axes = draw(best)
        assert bool(gids(axes, "recommended-mark")) == bool(gids(axes, "plateau")) == best.is_change


def test_a_governor_that_plans_nothing_is_dashed(unchanged):
    """Where no breakpoint is planned the line is dashed, and the legend says why."""
    axes = plots.cost_curve(unchanged)
    assert gids(axes, "cost-idle")
    assert "bound to whole requests" in text_of(axes, "legend-text-1")


def test_a_sweep_has_a_curve(advised):
    """A sweep alone is drawn without a recommendation."""
    axes = plots.cost_curve(advised.sweep)
    assert "in hindsight" in text_of(axes, "title")
    assert not gids(axes, "recommended-mark")


@pytest.mark.parametrize("name", NAMES)
def test_refused(name):
    """What is no recommendation is refused, and so is one without settings."""
    with pytest.raises(acg.UsageError, match="Expected a"):
        getattr(plots, name)(0.9)
    with pytest.raises(acg.UsageError, match="no settings to draw"):
        getattr(plots, name)(acg.recommend(acg.load("data/requests.jsonl.gz"), progress=False))


@pytest.mark.parametrize("stable", [0.0, 0.3, 0.93, 0.95, 1.0])
def test_what_is_tried_is_marked(advised, unchanged, stable):
    """A tried setting has a mark with its cost, orange where it is dearer, and names stay apart; others are refused."""
    tried = acg.AcgSettings().replace(stable_threshold=stable, semi_stable_threshold=0.0)
    for best in (advised, unchanged):
        axes = plots.cost_curve(best.sweep, tried=tried)
        assert {"current-mark", "tried-mark"} <= set(gids(axes))
        assert f"tried {setting(stable)}: $" in text_of(axes, "tried-name")
        assert text_of(axes, "title").startswith(f"stable_threshold {setting(stable)}: $")
        assert outside(axes) == []
        assert overlapping(axes) == []
    with pytest.raises(UsageError, match="no setting with observation_window 77"):
        plots.cost_curve(advised.sweep, tried=tried.replace(observation_window=77))
