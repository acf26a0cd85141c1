"""Agents that are explained on several cores: the same findings, in the same order, with the same words."""

import gc

import pytest
from fleet.fleets import make_fleet

import acg_lab as acg
from acg_lab.diagnosis import agent_findings, repair_costs

IMPOSSIBLE = acg.StabilityThresholds(stable_threshold=1.5)


def told(snap, **options):
    """Return everything that an explanation says."""
    found = acg.explain(snap, progress=False, **options)
    return list(found), found.healthy, found.unknown, found.notes, found.unread, found.to_text(width=100)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"text": True, "thresholds": acg.StabilityThresholds(stable_threshold=0.7)},
        {"money": False},
        {"thresholds": IMPOSSIBLE},
    ],
    ids=["all", "text", "no money", "impossible"],
)
def test_findings_on_cores(tmp_path, options):
    """Findings, healthy profiles, notes and words do not depend on the number of cores, whatever is asked."""
    snap = acg.load(make_fleet(tmp_path / "export", 11), progress=False)
    assert len(snap.agent_ids) > 2
    found = told(snap, n_jobs=2, **options)
    assert found == told(snap, **options)
    assert bool(found[0]) == (options.get("thresholds") != IMPOSSIBLE)


def test_one_agent_and_repaired_snapshots(tmp_path):
    """One agent, one profile, or a repaired snapshot is explained by this process, to the same findings."""
    snap = acg.load(make_fleet(tmp_path / "export", 12), progress=False)
    agent_id = snap.agent_ids[0]
    key = next(key for key in snap.windows if snap.owners[key].agent_id == agent_id)
    assert told(snap, agent_id=agent_id, n_jobs=2) == told(snap, agent_id=agent_id)
    assert told(snap, learning_key=key, n_jobs=2) == told(snap, learning_key=key)
    repaired = acg.what_if(snap, acg.repairs.SortTools())
    assert told(repaired, n_jobs=2) == told(repaired)


@pytest.mark.slow
def test_the_sample_on_cores(sample):
    """The findings of the sample, with more repairs to try than are tried, are the same on two cores and on three."""
    expected = told(sample)
    assert told(acg.load("data/sample", progress=False), n_jobs=2) == expected
    assert told(acg.load("data/sample", progress=False), n_jobs=3) == expected


def test_a_worker_keeps_nothing(sample):
    """A part that a worker has explained, repairs tried, is freed: workers explain one snapshot after the other."""
    keys = list(sample.profile_names.of_agent("support-chat"))
    (packed,) = agent_findings._take_parts(sample, [["support-chat"]], {"support-chat": keys}, set(keys))
    gc.collect()
    before = len(repair_costs._known)
    question = agent_findings.Question(acg.StabilityThresholds(), text=False, money=True)
    assert agent_findings._find_apart(question, packed).drafted.drafts
    gc.collect()
    assert len(repair_costs._known) == before
