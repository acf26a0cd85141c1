"""The state without a view: settings as one value, refusals, and windows replayed in the background."""

import time

import pytest
from learned_backend import learned_backend

import acg_lab as acg
from acg_lab.core import UsageError
from acg_lab.widgets import TunerState
from acg_lab.widgets.background import BackgroundTask


@pytest.fixture(scope="module")
def snap():
    return acg.load(learned_backend(n_runs=6), progress=False)


@pytest.fixture
def state(snap):
    return TunerState(snap)


def test_it_begins_with_the_defaults(state):
    """Without a config the settings are production's defaults, and the profile is the worst one."""
    assert state.settings == state.current == acg.AcgSettings()
    assert state.learning_key == state.keys[0]


def test_a_snapshot_and_its_trace(sample, triage):
    """Anything but a snapshot and a trace of it is a UsageError."""
    snap, trace = triage
    with pytest.raises(UsageError, match="Expected a Snapshot"):
        TunerState("data/sample")
    with pytest.raises(UsageError, match=r"a Trace, as acg_lab.replay returns; got StabilityThresholds"):
        TunerState(snap, acg.StabilityThresholds())
    other = acg.load(sample.source, agent_id="coder", progress=False)
    with pytest.raises(UsageError, match="an agent that the snapshot lacks: 'claims-triage'"):
        TunerState(other, trace)
    TunerState(sample, trace)


def test_a_proposal_replaces_the_settings(state):
    """An accepted proposal is in force at once and notifies once."""
    seen = []
    state.observe(lambda change: seen.append(change["new"]), "settings")
    assert state.propose(stable_threshold=0.9)
    assert state.propose(stable_threshold=0.9)
    assert seen == [acg.AcgSettings().replace(stable_threshold=0.9)]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"stable_threshold": 1.2}, "'stable_threshold' setting must be a number in [0, 1]"),
        ({"semi_stable_threshold": 0.97}, "must be at most stable_threshold (0.95); got 0.97"),
        ({"stable_threshold": 0.4}, "must be at most stable_threshold (0.4)"),
        ({"observation_window": 0}, "must be at least 1"),
        ({"min_observations_for_full_confidence": -1}, "'min_observations_for_full_confidence' setting must be an"),
        ({"stable_threshold": float("nan")}, "must be a finite number"),
    ],
)
def test_what_cannot_be_tried_is_refused_in_a_line(state, values, said):
    """A refusal keeps the settings and says why; snapping the control back does not erase the message."""
    before = state.settings
    assert not state.propose(**values)
    assert state.settings is before
    assert said in state.problem
    assert "\n" not in state.problem
    state.propose(stable_threshold=before.thresholds.stable_threshold)
    assert said in state.problem
    state.propose(stable_threshold=0.8)
    assert not state.problem


def test_settings_from_code_are_checked(state):
    """Setting the trait to settings that can't be tried raises and changes nothing."""
    before = state.settings
    with pytest.raises(UsageError, match="semi_stable_threshold"):
        state.settings = before.replace(semi_stable_threshold=0.99)
    assert state.settings is before


def test_semi_may_equal_stable(state):
    """Equal thresholds are legal: no block is semi-stable then."""
    assert state.propose(semi_stable_threshold=0.95)


def test_a_config_that_cannot_be_tried(snap):
    """If production has settings that can't be tried, the defaults are tried, and `problem` says so."""
    odd = acg.AcgSettings().replace(semi_stable_threshold=0.99)
    state = TunerState(snap, current=odd)
    assert state.current == odd
    assert state.settings == acg.AcgSettings()
    assert "can't be tried" in state.problem


def test_unknown_agents_and_profiles(state, snap):
    """An unknown agent or profile is refused by name."""
    with pytest.raises(UsageError, match="'nobody'"):
        TunerState(snap, agent_id="nobody")
    with pytest.raises(UsageError, match="'nothing'"):
        state.learning_key = "nothing"


def test_results_are_those_of_the_analysis(sample):
    """The results of all profiles equal analyze, worst loss first."""
    state = TunerState(sample, agent_id="sales-analyst")
    state.propose(stable_threshold=0.8)
    expected = acg.analyze(sample, state.settings.thresholds)
    assert dict(state.results) == {key: expected[key] for key in state.results}
    losses = {summary.learning_key: summary.lost_tokens for summary in acg.summarize(sample, acg.analyze(sample))}
    assert sorted(state.results, key=lambda key: -losses[key]) == list(state.results)


def test_an_empty_source():
    """Without profiles nothing is shown and nothing fails."""
    state = TunerState(acg.load(acg.MemoryBackend()))
    assert state.learning_key == ""
    assert dict(state.results) == {}
    state.follow()
    assert state.progress == ""


def test_windows_are_replayed_in_the_background(triage):
    """A window that no trace holds is replayed in a thread; then its numbers are those of the replay."""
    snap, _ = triage
    state = TunerState(snap)
    state.propose(observation_window=40)
    assert state.matched(state.settings) is None
    state.follow()
    assert "observation_window" in state.progress
    assert state.propose(stable_threshold=0.9), "the sliders go on"
    state.join()
    assert state.progress == ""
    again = acg.replay(snap, window=40, progress=False)
    known = again.prefix_lengths(0.9)[:, 0]
    assert state.matched(state.settings).requests == len(again)
    assert 0 < state.matched(state.settings).matched <= (known > 0).sum()


def test_nothing_is_replayed_after_closing(triage):
    """Closing while a replay is ending starts no other, even if another window is missing."""
    state = TunerState(triage[0])
    state.propose(observation_window=40)
    state.observe(lambda _change: state.close(), "n_replays")  # told by the walk that has ended
    state.follow()
    state.join()
    state.follow()
    state.join()
    assert state.n_replays == 1
    assert state.progress == ""


def test_a_failing_replay_is_reported(sample, monkeypatch):
    """An error in the background is shown in the problem line, and the replay is tried again when asked for."""
    tries = []

    def fail(*_args):
        tries.append(1)
        msg = "the disk is full"
        raise OSError(msg)

    monkeypatch.setattr("acg_lab.widgets.background.replay_window", fail)
    state = TunerState(sample)
    state.follow()
    state.join()
    assert "the disk is full" in state.problem
    state.follow()
    state.join()
    assert len(tries) == 2


def test_a_cancelled_task_stops():
    """Cancelling stops the work at its next step, and its end is not reported."""
    told = []

    def work(tell):
        while True:
            tell(1, 1000)
            time.sleep(0.001)

    task = BackgroundTask(work, told.append, told.append)
    task.start()
    time.sleep(0.1)
    task.cancel()
    task.join(20)
    assert not task.is_alive
    assert all(0 <= share <= 1 for share in told)
