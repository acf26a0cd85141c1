"""The replay of real traffic agrees with recordings of the runtime and with the learner run step by step.

The recordings are not part of the repository; they are read from ACG_LAB_SHARED, else from ``shared`` next to it.
"""

import gzip
import json
import os
from itertools import accumulate
from pathlib import Path

import msgspec
import numpy as np
import pytest

import acg_lab as acg
from acg_lab.core import AcgLearner, HotCache, RunRecord, StabilityThresholds, learning_key
from acg_lab.core.codec import decode
from acg_lab.core.records import StabilityAnalysisResult

pytestmark = pytest.mark.slow  # whole histories, step by step
DATA = Path(os.environ.get("ACG_LAB_SHARED") or Path(__file__).parents[3] / "shared") / "data" / "tau_airline"
NUMBERS = (0.5, 0.8, 0.95, 1.0)


def lines(name):
    if not (DATA / name).exists():
        pytest.skip("no recordings of the runtime: neither ACG_LAB_SHARED nor a folder 'shared' beside the repository")
    with gzip.open(DATA / name) as file:
        return [line.rstrip(b"\n") for line in file]


def truncate_to_turns(run):
    """Return the run as runtimes from 0.6 on record it: later calls keep system messages and the last turn only."""
    calls = list(run.calls)
    for i, call in enumerate(calls[1:], 1):
        messages = call.annotated_request.messages
        last = max(j for j, message in enumerate(messages) if message["role"] == "user")
        kept = tuple(m for j, m in enumerate(messages) if j >= last or m["role"] == "system")
        request = msgspec.structs.replace(call.annotated_request, messages=kept)
        calls[i] = msgspec.structs.replace(call, annotated_request=request)
    return msgspec.structs.replace(run, calls=tuple(calls))


@pytest.fixture(scope="module", params=["nemo-flow-0.2", "nemo-relay-0.8"])
def history(request):
    """The rules version, runs as it records them, and the replay of a snapshot of them."""
    runs = [decode(RunRecord, line) for line in lines("runs.jsonl.gz")]
    if request.param != "nemo-flow-0.2":
        runs = [truncate_to_turns(run) for run in runs]
    backend = acg.MemoryBackend()
    for run in runs:
        backend.store_run(run)
    snap = acg.load(backend, progress=False)
    return request.param, runs, acg.replay(snap, rules=request.param, progress=False)


def learn(runs, rules, number):
    """Return what the hot cache held after each number of runs."""
    learner = AcgLearner("airline", thresholds=StabilityThresholds(stable_threshold=number), rules=rules)
    backend, hot_cache = acg.MemoryBackend(), HotCache()
    held = [({}, None)]
    for run in runs:
        learner.process_run(run, backend, hot_cache)
        held.append((dict(hot_cache.acg_profiles), hot_cache.acg_stability))
    return held


def test_every_step_equals_the_learner(history):
    """At every step and threshold, lengths and whole results are those of the learner run step by step."""
    rules, runs, trace = history
    assert len(trace) == 2454
    number_of = {run.id: i for i, run in enumerate(runs)}
    where = list(zip(trace.run_ids, trace.calls.tolist(), trace.n_runs.tolist(), strict=True))
    keys = [learning_key("airline", runs[number_of[r]].calls[c].annotated_request, rules=rules) for r, c, _ in where]
    assert trace.learning_keys == keys
    starts = [runs[number_of[r]].calls[c].started_at for r, c, _ in where]
    # The index is in the order in which the runtime took them; the simulated times of many overlap.
    learned = list(accumulate((run.ended_at for run in runs), max))
    assert [n for _, _, n in where] == [sum(time < start for time in learned) for start in starts]
    lengths = trace.prefix_lengths(NUMBERS)
    for column, number in enumerate(NUMBERS):
        held, thresholds = learn(runs, rules, number), StabilityThresholds(stable_threshold=number)
        expected = [held[n][0].get(key, held[n][1]) for key, (_, _, n) in zip(keys, where, strict=True)]
        assert lengths[:, column].tolist() == [0 if r is None else r.stable_prefix_length for r in expected]
        for step, result in enumerate(expected):
            assert trace.results_at(step, thresholds) == result


def test_every_run_leaves_what_the_runtime_stored(history):
    """After each run the known results are those that the real runtime stored."""
    rules, _, trace = history
    recorded = lines("steps-0.3.0.jsonl.gz" if rules == "nemo-flow-0.2" else "steps-0.10.4.jsonl.gz")
    (part,) = trace.parts
    results, thresholds = part.results[100], StabilityThresholds()
    keys = [profile.learning_key for profile in trace.profiles]
    n_states = 0
    for number, line in enumerate(recorded):
        stored = {key.split(":", 2)[2]: value for key, value in json.loads(line).items()}
        states = np.flatnonzero(part.states.run == number)
        # The recordings hold the entries that changed; what the next runs met shows the seed entry.
        ours = {}
        for state in states.tolist():
            n = int(results.curves.n[results.curve[state]])
            ours[keys[part.states.profile[state]]] = part.result_builder.build(state, n, thresholds)
        assert stored.keys() - {"airline"} <= ours.keys()
        for key, theirs in stored.items():
            if key != "airline":
                agree(ours[key], msgspec.convert(theirs, StabilityAnalysisResult), exact=rules == "nemo-relay-0.8")
                n_states += 1
    assert n_states > 190


def agree(ours, theirs, *, exact):
    """Assert that two results agree; before 0.8 spans that tie on their index come in random order."""
    if not exact and ours != theirs:
        assert sorted(ours.scores, key=lambda s: s.span_id) == sorted(theirs.scores, key=lambda s: s.span_id)
        classes = [score.classification for score in theirs.scores]
        leading = next((i for i, name in enumerate(classes) if name != "stable"), len(classes))
        assert theirs.stable_prefix_length == leading
        assert ours.total_observations == theirs.total_observations
        assert has_ties(ours)
        return
    assert ours == theirs


def has_ties(result):
    """Return whether two spans of a result have the same index, by their ids."""
    numbers = [score.span_id.split("-")[1] for score in result.scores]
    return len(set(numbers)) < len(numbers)
