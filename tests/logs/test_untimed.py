"""A log without times: everything works on it, and no time is invented."""

import warnings

import numpy as np
import pytest

import acg_lab as acg

TEXT = "The rules of the house, at length. " * 200


def bodies(n):
    return [
        {
            "model": "claude-sonnet-4-5",
            "max_tokens": 10,
            "system": [{"type": "text", "text": TEXT, "cache_control": {"type": "ephemeral"}}],
            "messages": [{"role": "user", "content": f"question {i}"}],
        }
        for i in range(n)
    ]


@pytest.fixture(scope="module")
def snap():
    return acg.from_requests(bodies(3))


def test_requests_are_simulated_in_their_order(snap):
    """The first one writes, the later ones read; which times that needs is said, and none is shown."""
    sim = acg.simulate(snap)
    assert (sim.simulated_written[0] > 0, (sim.simulated_read[1:] > 0).all()) == (True, True)
    assert np.isnat(sim.started).all()
    assert acg.frames.requests(sim)["started_at"].isna().all()
    assert acg.frames.misses(sim)["first_seen"].isna().all()
    assert any(caveat.startswith("3 requests without a time: simulated run by run") for caveat in sim.caveats)


def test_requests_with_and_without_times_mix():
    """Those without a time come first, and those with one keep it."""
    rows = [{"request": body} for body in bodies(4)]
    rows[1]["timestamp"] = "2026-03-01T09:00:00Z"
    sim = acg.simulate(acg.from_requests(rows))
    assert np.isnat(sim.started).sum() == 3
    assert str(sim.started[~np.isnat(sim.started)][0])[:10] == "2026-03-01"


def test_no_time_is_printed(snap):
    """Neither a trace nor a simulation names the least time of 64 bits."""
    trace = acg.replay(snap)
    assert "1677" not in repr(trace) + trace._repr_html_() + repr(acg.simulate(snap))
    assert " from " not in trace._summary()


@pytest.mark.parametrize("draw", ["requests_over_time", "misses", "cost_breakdown"])
def test_plots_of_simulations(snap, draw):
    """Plots draw requests in their order, without warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "NaT" not in acg.plots.alt_text(getattr(acg.plots, draw)(acg.simulate(snap)))


def test_plot_of_many_requests():
    """Over 120 requests are drawn one by one, since there are no hours to put them in."""
    axes = acg.plots.requests_over_time(acg.simulate(acg.from_requests(bodies(121))))
    assert axes.get_xlim()[1] == 121


def test_window_is_drawn(snap):
    """A window's requests stand in their order, without a time beside them."""
    axes = acg.plots.window_heatmap(snap, next(iter(snap.windows)))
    assert not [text for text in axes.figure.findobj() if str(text.get_gid()).startswith("time-")]


def test_export_is_loaded_again(snap, tmp_path):
    """An export holds no times either, and gives the same snapshot and simulation."""
    snap.to_parquet(tmp_path / "export")
    loaded = acg.load(tmp_path / "export")
    assert loaded.facts == snap.facts
    assert [ir.created_at for window in loaded.windows.values() for ir in window] == [""] * 3
    assert acg.frames.requests(acg.simulate(loaded)).equals(acg.frames.requests(acg.simulate(snap)))
