"""What the tests of widgets share: the sample, its trace, and tuners that are closed."""

from pathlib import Path

import pytest
from ipywidgets.widgets import widget as registry

import acg_lab as acg

SAMPLE = Path(__file__).parents[2] / "data" / "sample"


@pytest.fixture(scope="session")
def trace(sample):
    return acg.replay(sample, window=[30, 100], progress=False)


@pytest.fixture(scope="session")
def triage():
    """One agent, and its trace: quickly replayed in another window."""
    snap = acg.load(SAMPLE, agent_id="claims-triage", progress=False)
    return snap, acg.replay(snap, window=100, progress=False)


@pytest.fixture
def make_tuner():
    """Make tuners, and close them afterwards; nothing of them may stay registered."""
    before, made = set(registry._instances), []

    def make(*args, **kw):
        made.append(acg.ThresholdTuner(*args, **kw))
        return made[-1]

    yield make
    for tuner in made:
        tuner.state.join()
        tuner.close()
    assert set(registry._instances) <= before


@pytest.fixture
def tuner(make_tuner, sample, trace):
    return make_tuner(sample, trace, agent_id="claims-triage")
