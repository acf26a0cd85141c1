"""Frames of simulations: every number is one of the simulation, and an empty frame is typed as a full one."""

import numpy as np
import pandas as pd
import pytest
from simulation.spending import clock, growing, reordered, simulated, unpriced

import acg_lab as acg
from acg_lab import frames
from acg_lab.diagnosis.misses import find_misses

NUMBERS = {
    "tokens": "tokens",
    "simulated_read": "simulated_read",
    "cost": "cost",
    "cost_at_limit": "cost_at_limit",
    "avoidable": "avoidable",
    "lost": "lost",
    "lost_tokens": "lost_tokens",
    "idle_seconds": "idle_seconds",
}
SECRET = "wordword"


@pytest.fixture(scope="module")
def sim():
    return simulated(*clock(), *growing(), *reordered())


def test_requests(sim):
    """A row says what the simulation says of its request, in order of start; its parts add up to its tokens."""
    frame = frames.requests(sim)
    for column, name in NUMBERS.items():
        np.testing.assert_array_equal(frame[column].to_numpy(float), getattr(sim, name).astype(float))
    assert list(frame["agent_id"]) == sim.agent_ids
    assert list(frame["verdict"]) == list(map(str, sim.verdicts))
    assert list(frame["caused_by"]) == list(map(str, sim.caused_by))
    assert frame["started_at"].is_monotonic_increasing
    parts = ["read", "missed_live", "missed_expired", "changed", "new", "not_recorded"]
    assert (frame[parts].sum(axis=1) == frame["tokens"]).all()
    for i, place in enumerate(map(sim.place, range(len(sim)))):
        row = frame.iloc[i]
        assert (None if pd.isna(row["path"]) else row["path"]) == (place and place.path)
        assert (None if pd.isna(row["length"]) else row["length"]) == (place and place.length)


def test_text_only_when_asked_for(sim):
    """No frame holds text of a prompt, but ``requests`` with ``text=True`` those of the place that decided."""
    for frame in (frames.requests(sim), frames.misses(sim), frames.costs(sim)):
        assert SECRET not in frame.to_csv()
    shown = frames.requests(sim, text=True)
    assert list(shown.columns[-2:]) == ["text", "other_text"]
    changed = shown[shown["verdict"] == "system_changed"]
    assert changed["text"].str.contains("2026-11-06 12:").all()
    assert (changed["text"] != changed["other_text"]).all()


def test_misses(sim):
    """A row is a group of misses in their order, and says what its value says."""
    frame, found = frames.misses(sim), find_misses(sim)
    assert list(frame["agent_id"]) == [miss.agent_id for miss in found]
    assert list(frame["requests"]) == [len(miss.requests) for miss in found]
    assert list(frame["lost"]) == [miss.lost for miss in found]
    for row, miss in zip(frame.itertuples(), found, strict=True):
        assert row.first_seen == pd.Timestamp(miss.first_seen, tz="UTC")
        assert row.last_seen == pd.Timestamp(miss.last_seen, tz="UTC")
        assert (None if pd.isna(row.kind) else row.kind) == miss.kind


def test_costs(sim):
    """Policies of every agent cost what the simulation's totals say; parts add up to tokens and cost."""
    frame = frames.costs(sim)
    assert list(frame["policy"].cat.categories) == ["no caching", "as it was", "limit"]
    assert (frame[["read", "written", "uncached"]].sum(axis=1) == frame["tokens"]).all()
    np.testing.assert_allclose(frame[["read_cost", "written_cost", "uncached_cost"]].sum(axis=1), frame["cost"])
    names = {"no caching": "without_cache", "as it was": "as_was", "limit": "limit"}
    for row in frame.itertuples():
        totals = sim.select(agent_id=row.agent_id).totals()
        assert row.cost == pytest.approx(getattr(totals, names[row.policy]))
        assert row.share == pytest.approx(row.cost / totals.without_cache)
    assert set(frame["currency"]) == {"USD"}


def test_costs_of_changes():
    """Simulations of changes add rows under their names; what they have in common comes once."""
    calls = clock()
    none, sent = simulated(*calls, breakpoints="none"), simulated(*calls)
    frame = frames.costs({"as sent": sent, "no breakpoints": none})
    assert list(frame["policy"]) == ["no caching", "as it was", "no breakpoints", "limit"]
    assert frame.set_index("policy").loc["no breakpoints", "cost"] == pytest.approx(none.totals().simulated)
    assert list(frames.costs([none])["policy"]) == ["no caching", "as it was", "tried", "limit"]
    assert list(frames.costs([none, none])["policy"]) == ["no caching", "as it was", "tried 1", "tried 2", "limit"]


def test_costs_of_repairs():
    """A repaired history adds its own cost, beside that of what was recorded."""
    snap = acg.load("data/requests.jsonl.gz", agent_id="support-mail", progress=False)
    repaired = acg.simulate(acg.what_if(snap, acg.repairs.SetTtl("1h")))
    costs = frames.costs({"an hour": repaired}).set_index("policy")["cost"]
    assert list(costs.index) == ["no caching", "as it was", "an hour", "limit"]
    assert costs["an hour"] == pytest.approx(repaired.totals().simulated)
    assert costs["an hour"] < costs["as it was"] == pytest.approx(acg.simulate(snap).totals().as_was)


def test_without_prices():
    """Without a price, amounts in dollars are missing, costs are in uncached tokens, and nothing is zero."""
    sim = simulated(*unpriced(), *clock(n=2))
    requests = frames.requests(sim)
    assert requests.loc[requests["agent_id"] == "unpriced", "cost"].isna().all()
    costs = frames.costs(sim).set_index(["agent_id", "policy"])
    assert costs.loc[("unpriced", "no caching"), "currency"] == "uncached tokens"
    assert costs.loc[("clock", "no caching"), "currency"] == "USD"
    assert set(frames.costs(sim, money=False)["currency"]) == {"uncached tokens"}
    misses = frames.misses(sim).set_index("agent_id")
    assert np.isnan(misses.loc["unpriced", "lost"])
    assert list(misses.index) == ["clock", "unpriced"]


@pytest.mark.parametrize("make", [frames.requests, frames.misses, frames.costs])
def test_empty(make, sim):
    """A frame of no requests has the columns and dtypes of a full one."""
    empty, full = make(sim.select(until="2000-01-01")), make(sim)
    assert empty.empty
    assert list(empty) == list(full)
    assert [dtype.name for dtype in empty.dtypes] == [dtype.name for dtype in full.dtypes]


@pytest.mark.parametrize("make", [frames.requests, frames.misses, frames.costs])
@pytest.mark.parametrize("given", [None, "data/sample", 3])
def test_refused(make, given):
    """What is no simulation is refused with what was expected."""
    with pytest.raises(acg.UsageError, match="Expected a CacheSimulation"):
        make(given)
