"""What a request knows of overlapping runs, equal times, runs without an end, and clocks that jump."""

import numpy as np
import pytest
from history.histories import at, run_id, snapshot_of
from strategies import make_call, make_request, make_tool

import acg_lab as acg
from acg_lab.core import RunRecord
from acg_lab.history.visibility import count_known_runs

DOCUMENTED = {  # ends of runs in the order of the index; start of a call, and the position of its run; known runs
    "the first call knows nothing": ([5], 1, 0, 0),
    "what ended before is known": ([5, 9], 6, 1, 1),
    "what began earlier but has not ended is not": ([9, 12], 8, 1, 0),
    "what ended at the very time is not": ([5, 9], 5, 1, 0),
    "a run never knows itself, though its call began after its end": ([5, 9], 20, 1, 1),
    "a run behind it in the index is not known, though it ended before": ([30, 5], 20, 0, 0),
    "a run waits for those ahead of it in the index": ([9, 5, 12], 7, 2, 0),
    "and is known when they have ended": ([9, 5, 12], 10, 2, 2),
    "a time in the past hides nothing": ([5, 9, 0, 12], 11, 3, 3),
    "after a clock was set back, what ended before it is known, the rest when it is that late again": (
        [10, 20, 30, 8, 12],
        12,
        4,
        1,
    ),
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_known_runs(name):
    """Each unusual case has the documented answer."""
    ends, start, own, known = DOCUMENTED[name]
    assert count_known_runs(np.array(ends), np.array([start]), np.array([own])).tolist() == [known]


def run(number, start, end, *requests, agent_id="a"):
    calls = tuple(make_call(request, started_at=at(start)) for request in requests)
    ended = None if end is None else at(end)
    return RunRecord(id=run_id(number), agent_id=agent_id, calls=calls, started_at=at(start), ended_at=ended)


def replayed(*runs, **options):
    return acg.replay(snapshot_of(runs), progress=False, **{"rules": "nemo-flow-0.2", **options})


def test_steps_are_in_the_order_of_their_starts():
    """Steps are sorted by start, then agent, run and call."""
    first, second = make_request("x"), make_request("y")
    trace = replayed(
        run(0, 5, 6, first, second), run(1, 3, 4, first), run(2, 5, 6, first, agent_id="b"), run(3, 5, 6, first)
    )
    assert trace.run_ids == [run_id(number) for number in (1, 0, 0, 3, 2)]
    assert trace.calls.tolist() == [0, 0, 1, 0, 0]
    assert trace.agent_ids == ["a", "a", "a", "a", "b"]
    assert (np.diff(trace.started).astype(int) >= 0).all()


def test_a_run_without_an_end_ends_with_its_last_call():
    """A run without an end counts as ended at the latest time recorded in it."""
    calls = (make_call(make_request("x"), started_at=at(1), ended_at=at(7)),)
    endless = RunRecord(id=run_id(0), agent_id="a", calls=calls, started_at=at(0))
    before, after = run(1, 7, 20, make_request("x")), run(2, 8, 21, make_request("x"))
    assert replayed(endless, before, after).n_runs.tolist() == [0, 0, 1]


def test_profile_then_seed():
    """A request meets its own profile even if others were learned since, else the best one of the last known run."""
    known, other, new = make_request("x"), make_request("y"), make_request("z")
    long = make_request("w", "1", "2", tools=(make_tool("f"),))
    trace = replayed(
        run(0, 0, 1, known), run(1, 2, 3, other, long), run(2, 4, 5, known), run(3, 4, 5, new), run(4, 4, 5, other)
    )
    assert trace.entry.tolist() == ["", "agent", "agent", "profile", "agent", "profile"]
    lengths, n = trace.prefix_lengths([1.0, 2.0]), trace.n_observations([1.0, 2.0])
    assert lengths[:, 0].tolist() == [0, 1, 1, 1, 4, 1]
    assert lengths[:, 1].tolist() == [0, 0, 0, 0, 0, 0]
    assert n.tolist() == [[0, 0], [1, 1], [1, 1], [1, 1], [1, 1], [1, 1]]


def test_a_longer_prefix_beats_more_observations():
    """The seed entry is the profile of the last run with the longest prefix, even if it has fewer requests."""
    short, long = make_request("y"), make_request("w", "1", "2")
    trace = replayed(run(0, 0, 1, short, short), run(1, 2, 3, long, short), run(2, 4, 5, make_request("z")))
    assert trace.entry.tolist()[-1] == "agent"
    assert (trace.prefix_lengths(1.0)[-1, 0], trace.n_observations(1.0)[-1, 0]) == (3, 1)


def test_runs_that_wait_are_counted():
    """A caveat counts the runs that stand in the index behind one that ended later."""
    (caveat,) = replayed(run(0, 0, 9, make_request("x")), run(1, 1, 5, make_request("x")), run(2, 3, 12)).caveats
    assert caveat.startswith("1 run in the index behind one that ended later")


def test_a_run_that_taught_nothing_leaves_the_seed_entry():
    """A run without a readable request changes nothing that later requests know."""
    trace = replayed(run(0, 0, 1, make_request("x")), run(1, 2, 3), run(2, 4, 5, make_request("y")))
    assert trace.entry.tolist() == ["", "agent"]
    assert trace.n_runs.tolist() == [0, 2]


def test_agents_know_nothing_of_each_other():
    """A request never meets the seed entry of another agent."""
    trace = replayed(run(0, 0, 1, make_request("x"), agent_id="b"), run(1, 2, 3, make_request("x")))
    assert trace.entry.tolist() == ["", ""]
