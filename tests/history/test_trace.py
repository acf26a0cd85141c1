"""The trace: its views, the errors of wrong use, its caveats and its frame."""

import gc

import numpy as np
import pytest
from history.histories import at, run_id, snapshot_of
from learned_backend import SECRET, learned_backend
from strategies import make_call, make_request, make_run

import acg_lab as acg
from acg_lab.core import RunRecord, StabilityThresholds
from acg_lab.history import merge
from acg_lab.history.build_history import build_from_runs


@pytest.fixture(scope="module")
def snap():
    backend = learned_backend("a", rules="nemo-relay-0.8")
    learned_backend("b", rules="nemo-relay-0.8", backend=backend)
    return acg.load(backend, progress=False)


@pytest.fixture(scope="module")
def trace(snap):
    return acg.replay(snap, progress=False)


def test_thresholds_in_every_form(trace):
    """One number, several in any order, an array, and a StabilityThresholds return the same columns."""
    several = trace.prefix_lengths([0.95, 0.1, 2.0])
    assert several.shape == (len(trace), 3)
    assert (several[:, [0]] == trace.prefix_lengths(0.95)).all()
    assert (several == trace.prefix_lengths(np.array([0.95, 0.1, 2.0]))).all()
    assert (several[:, [1]] == trace.prefix_lengths(StabilityThresholds(stable_threshold=0.1))).all()
    extremes = [2**64 - 1, 1e308, -(2**63), -1e308]
    last = [trace.results_at(-1, StabilityThresholds(stable_threshold=n)).stable_prefix_length for n in extremes]
    assert trace.prefix_lengths(extremes)[-1].tolist() == last
    assert trace.prefix_lengths([]).shape == (len(trace), 0)


REFUSED = {
    "negative window": (lambda snap: acg.replay(snap, window=-1), "'window' option must be a non-negative integer"),
    "window that is not an integer": (
        lambda snap: acg.replay(snap, window=True),
        "'window' option must be a non-negative integer",
    ),
    "window as a text": (lambda snap: acg.replay(snap, window="20"), "'window' option must be a non-negative integer"),
    "no windows": (lambda snap: acg.replay(snap, window=[]), "at least one observation window"),
    "unknown rules": (lambda snap: acg.replay(snap, rules="0.8"), "'rules' setting must be one of"),
    "unknown agent": (
        lambda snap: acg.replay(snap, agent_id="c"),
        "no profile of agent 'c'; the nearest of 2: 'b', 'a'",
    ),
    "nothing at all": (lambda _: acg.replay(acg.load(acg.MemoryBackend(), progress=False)), "nothing to replay"),
    "threshold as a text": (lambda snap: acg.replay(snap).prefix_lengths("0.9"), "must be numbers; got '0.9'"),
    "thresholds as texts": (
        lambda snap: acg.replay(snap).prefix_lengths(["0.9"]),
        "must be a finite number; got '0.9'",
    ),
    "NaN": (lambda snap: acg.replay(snap).prefix_lengths([float("nan")]), "must be a finite number; got nan"),
    "NaN in an array": (lambda snap: acg.replay(snap).prefix_lengths(np.array([np.nan])), "finite number; got nan"),
    "infinity": (lambda snap: acg.replay(snap).prefix_lengths(float("inf")), "must be a finite number; got inf"),
    "no such step": (lambda snap: acg.replay(snap).results_at(999), "position of one of .* steps; got 999"),
    "another window": (lambda snap: acg.replay(snap).results_at(0, window=7), "one of the trace's, 100; got 7"),
    "no window of two": (lambda snap: acg.replay(snap, window=[1, 2]).prefix_lengths(1), "trace's, 1, 2; got None"),
    "unknown key": (lambda snap: acg.replay(snap).select(learning_key="k"), "There is no profile 'k'; the nearest"),
    "no time": (lambda snap: acg.replay(snap).select(until="noon"), "'until' option must be a date.*'noon'"),
    "nothing to merge": (lambda _: merge([]), "at least one"),
    "an agent twice": (lambda snap: merge([acg.replay(snap), acg.replay(snap)]), "twice 'a', 'b'"),
    "other windows": (lambda snap: merge([acg.replay(snap, 1), acg.replay(snap, 2)]), r"windows \(1,\) and \(2,\)"),
    "other windows of other agents": (
        lambda snap: merge([acg.replay(snap, window, agent_id=agent) for window, agent in ((1, "a"), (2, "b"))]),
        "twice no agent",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(snap, name):
    """Wrong use raises UsageError with one sentence that says what was expected and what came."""
    ask, message = REFUSED[name]
    with pytest.raises(acg.UsageError, match=message) as caught:
        ask(snap)
    assert SECRET not in str(caught.value)


def test_select(trace):
    """Steps selected by agent, profile or time know what they know in the whole trace."""
    lengths = trace.prefix_lengths(0.9)
    of_agent = trace.select(agent_id="b")
    assert set(of_agent.agent_ids) == {"b"}
    assert (of_agent.prefix_lengths(0.9) == lengths[np.array(trace.agent_ids) == "b"]).all()
    days = trace.select(since="2026-11-02", until="2026-11-04T00:00:00Z")
    assert {str(day)[:10] for day in days.started} == {"2026-11-02", "2026-11-03"}
    assert days.results_at(0) == trace.results_at(int(np.flatnonzero(trace.started == days.started[0])[0]))
    (key,) = set(of_agent.learning_keys)
    assert len(trace.select(learning_key=key)) == len(of_agent)
    assert len(trace.select(since="2027-01-01")) == 0
    assert trace.select(since="2027-01-01").prefix_tokens([0.5, 1.0]).shape == (0, 2)
    assert "0 steps" in repr(trace.select(since="2027-01-01"))


def test_traces_are_frozen(trace):
    """A trace cannot be changed, and equals only itself: arrays are not compared."""
    with pytest.raises(AttributeError):
        trace.windows = (1,)
    assert trace == trace  # noqa: PLR0124
    assert trace != trace.select()


def test_repr_shows_what_is_inside_and_no_text(trace):
    """The repr counts steps, agents and profiles, and holds no prompt text."""
    assert repr(trace).startswith("<Trace: 16 steps, 2 agents, 2 profiles, window 100, from 2026-11-01 to 2026-11-04")
    assert "<b>Trace</b>" in trace._repr_html_()
    assert SECRET not in repr(trace) + trace._repr_html_()


# --- caveats ---


def test_windows_only():
    """Without runs each stored observation counts as a run of its own, and a caveat says so."""
    whole = learned_backend("a")
    backend = acg.MemoryBackend()
    (key,) = set(whole._windows) - {"a"}
    backend.store_observations(key, whole.load_observations(key))
    trace = acg.replay(acg.load(backend, progress=False), progress=False)
    assert "each stored observation counts as a run of its own" in trace.caveats[0]
    assert trace.caveats[0] in repr(trace)
    assert trace.n_runs.tolist() == [0, 0, 2, 2, 4, 4, 6, 6]
    assert trace.prefix_lengths(0.9)[:, 0].tolist() == [0, 0, 1, 1, 1, 1, 1, 1]


def test_runs_and_windows_in_one_source():
    """An agent without recorded requests is replayed from its windows, beside the others."""
    backend = learned_backend("a")
    only_windows = learned_backend("b")
    for key, window in only_windows._windows.items():
        backend.store_observations(key, window)
    trace = acg.replay(acg.load(backend, progress=False), progress=False)
    assert sorted(set(trace.agent_ids)) == ["a", "b"]
    assert len(trace.parts) == 2
    lengths = dict.fromkeys(trace.agent_ids, 0)
    for agent_id in lengths:
        alone = acg.replay(acg.load(backend, progress=False), agent_id=agent_id, progress=False)
        assert (trace.select(agent_id=agent_id).prefix_tokens(0.5) == alone.prefix_tokens(0.5)).all()
    assert (np.diff(trace.started).astype(int) >= 0).all()


def make_truncated_run(number):
    whole = make_request({"role": "system", "content": "s"}, "first", {"role": "assistant", "content": "a"}, "second")
    turn = make_request({"role": "system", "content": "s"}, "second")
    calls = [make_call(request, started_at=at(number)) for request in (whole, turn)]
    calls.append(make_call(turn, started_at=at(number), prompt_tokens=500))
    calls.append(make_call(turn, started_at=at(number), annotated_response={"usage": {"prompt_tokens": 600}}))
    return RunRecord(
        id=run_id(number), agent_id="a", calls=tuple(calls), started_at=at(number), ended_at=at(number + 1)
    )


def test_truncated_requests_are_counted():
    """A caveat counts truncated requests, and the provider's own token count is kept."""
    snap = snapshot_of([make_truncated_run(0), make_truncated_run(2)])
    trace = acg.replay(snap, rules="nemo-relay-0.8", progress=False)
    assert "6 of 8 recorded requests seem to be truncated to one turn" in "".join(trace.caveats)
    assert trace.is_truncated.tolist() == [False, True, True, True] * 2
    assert "3 of 4" in trace.select(since=at(2)).caveats[0]
    assert trace.usage_tokens.tolist() == [-1, -1, 500, 600] * 2
    assert acg.replay(snap, rules="nemo-flow-0.2", progress=False).caveats == ()


def test_requests_that_are_not_truncated():
    """Requests that open as their run does, or that have several turns or none, do not count as truncated."""
    system, answer = {"role": "system", "content": "s"}, {"role": "assistant", "content": "a"}
    calls = [
        make_call(make_request(*messages), started_at=at(1))
        for messages in ([system, "x"], [system, "x", answer, "y"], [system, "y", answer, "z"], [system], [answer, "y"])
    ]
    run = RunRecord(id=run_id(0), agent_id="a", calls=tuple(calls), started_at=at(0))
    trace = acg.replay(snapshot_of([run]), rules="nemo-relay-0.8", progress=False)
    assert len(trace) == 5
    assert not trace.is_truncated.any()


def test_other_caveats():
    """Caveats name a filtered history, unreadable requests, and a guessed rules version."""
    backend = acg.MemoryBackend()
    backend.store_run(make_run(make_request({"role": "narrator", "content": "x"}), make_request("x")))
    caveats = " | ".join(acg.replay(acg.load(backend, since="1970-01-01", progress=False), progress=False).caveats)
    for caveat in ("filtered (since, limit)", "1 recorded request left out", "a guess, since nothing stored shows"):
        assert caveat in caveats


def test_nothing_readable():
    """If no request can be read, the trace has no steps, and a caveat says why."""
    snap = snapshot_of([make_run(make_request({"role": "narrator", "content": "x"}))])
    trace = acg.replay(snap, rules="nemo-relay-0.8", progress=False)
    assert len(trace) == 0
    assert trace.prefix_lengths([0.5, 1.0]).shape == trace.matched_tokens([0.5, 1.0]).shape == (0, 2)
    assert "1 recorded request left out" in repr(trace)


def test_mixed_rules_versions():
    """An agent with profiles of two rules versions is replayed by the newer one, and a caveat says so."""
    backend = learned_backend("a", rules="nemo-relay-0.6")
    learned_backend("a", rules="nemo-relay-0.8", backend=backend)
    trace = acg.replay(acg.load(backend, progress=False), progress=False)
    assert {profile.rules for profile in trace.profiles} == {"nemo-relay-0.8"}
    assert "profiles of nemo-relay-0.6 and nemo-relay-0.8, and is replayed by the newest" in trace.caveats[0]


# --- progress ---


def test_progress(snap):
    """A progress callable gets every step; an exception that it raises ends the replay and leaves nothing behind."""
    reported = []
    acg.replay(snap, progress=lambda done, total: reported.append((done, total)))
    assert sum(done for done, _ in reported) == 16
    assert {total for _, total in reported} == {16}

    def interrupt(_done, _total):
        raise KeyboardInterrupt

    before = {name: id(value) for name, value in vars(snap).items()}
    with pytest.raises(KeyboardInterrupt):
        acg.replay(snap, progress=interrupt)
    assert {name: id(value) for name, value in vars(snap).items()} == before
    assert len(acg.replay(snap, progress=False)) == 16


def test_progress_of_reading(snap):
    """The reader reports progress for each run."""
    reported = []
    rules = dict.fromkeys(snap.agent_ids, "nemo-relay-0.8")
    build_from_runs(snap.runs, rules, lambda done, total: reported.append((done, total)))
    assert reported == [(1, len(snap.runs))] * len(snap.runs)


# --- its frame ---


def test_frame(snap):
    """The frame has one row per step and setting with the trace's numbers; an empty one has the same dtypes."""
    trace = acg.replay(snap, window=[1, 100], progress=False)
    frame = trace.to_frame([0.5, StabilityThresholds(stable_threshold=1.5)])
    assert len(frame) == len(trace) * 4
    for window in trace.windows:
        for column, number in enumerate((0.5, 1.5)):
            rows = frame[(frame["window"] == window) & (frame["stable_threshold"] == number)]
            assert rows["step"].tolist() == list(range(len(trace)))
            for name, answer in (
                ("prefix_blocks", trace.prefix_lengths),
                ("prefix_tokens", trace.prefix_tokens),
                ("matched_tokens", trace.matched_tokens),
                ("requests", trace.n_observations),
            ):
                assert rows[name].tolist() == answer([0.5, 1.5], window=window)[:, column].tolist()
            assert rows["agent_id"].tolist() == trace.agent_ids
            assert rows["learning_key"].tolist() == trace.learning_keys
            assert rows["run_id"].tolist() == trace.run_ids
            assert [None if isna else e for e, isna in zip(rows["entry"], rows["entry"].isna(), strict=True)] == [
                entry or None for entry in trace.entry.tolist()
            ]
    assert frame["usage_tokens"].isna().all()
    with pytest.raises(acg.UsageError, match="'stable_threshold'"):
        trace.to_frame(["x"])
    assert set(trace.to_frame(0.5, window=1)["window"]) == {1}
    empty = trace.select(since="2027-01-01").to_frame([0.5])
    assert len(empty) == 0
    assert (empty.dtypes.astype(str) == frame.dtypes.astype(str)).all()


def test_the_garbage_collector_rests(snap):
    """During a replay the garbage collector does not run: a replay makes no cycles, and a notebook may hold much."""
    phases = []
    gc.collect()
    gc.callbacks.append(lambda phase, _info: phases.append(phase))
    thresholds = gc.get_threshold()
    gc.set_threshold(1)
    try:
        acg.replay(snap, progress=lambda *_: phases.append("step"))
    finally:
        gc.set_threshold(*thresholds)
        gc.callbacks.pop()
    first, last = phases.index("step"), len(phases) - 1 - phases[::-1].index("step")
    assert set(phases[first : last + 1]) == {"step"}
