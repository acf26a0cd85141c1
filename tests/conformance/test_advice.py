"""The recommended settings in the real runtime: it plans the breakpoints that the simulation predicted.

An agent of rules 0.8 is advised on the first part of its requests. The real 0.10.4 runs with that on all of them, and
what it sends of the rest is compared with the simulation, request by request.
"""

import numpy as np
import pytest
from advice.agents import MENDED, N_RUNS
from conformance.generate import Case
from conformance.live import Laboratory, Tally
from conformance.planned import marks
from conformance.runtime import Call, Runtime, RuntimeUnavailable
from simulation.histories import START

import acg_lab as acg
from acg_lab.core.cache_marks import mark_paths
from acg_lab.simulation.plans import plan_history
from acg_lab.storage.times import render_time

pytestmark = pytest.mark.slow

VERSION, SEEN = "0.10.4", int(N_RUNS * 0.7)


def rows_of(kind, seed):
    """Messages bodies, one request a run, a minute apart."""
    draw = np.random.default_rng(seed)
    for i in range(N_RUNS):
        system, *messages = kind.prompt(i, draw)
        body = {"model": kind.model, "max_tokens": 100, "system": system["content"], "messages": messages}
        times = (render_time((START + 60 * i + extra) * 10**9) for extra in (0, 2))
        yield {"request": body, "session_id": f"s{i}", **dict(zip(("start_time", "end_time"), times, strict=True))}


@pytest.mark.parametrize("name", ["confidence that comes late", "a window of two"])
def test_recommended_settings_plan_what_was_predicted(name, redis_url, tallies):
    """Every request of the held-back part is sent with the breakpoints that the simulation predicted."""
    kind = MENDED[name]
    rows = list(rows_of(kind, 1))
    seen, whole = (acg.from_requests(part, api="anthropic", rules=kind.rules) for part in (rows[:SEEN], rows))
    best = acg.recommend(seen, current=kind.current, progress=False)
    assert best.is_change
    window, thresholds = best.settings.observation_window, best.settings.thresholds
    trace = acg.replay(whole, window=window, progress=False)
    (part,) = trace.parts
    plans = plan_history(part, thresholds, window)
    predicted = [plans[row].targets for row in trace.row.tolist()]
    values = {name: getattr(thresholds, name) for name in thresholds.__struct_fields__}
    try:
        with Runtime(VERSION) as runtime, Laboratory(runtime, redis_url, Tally(runtime.version, 0)) as laboratory:
            laboratory.start(Case("requests", window, values, full_payloads=True, runs=(), provider="anthropic"))
            outcomes = [runtime.run(None, [Call(row["request"], "anthropic")])[0] for row in rows]
    except RuntimeUnavailable as error:
        pytest.skip(f"no runtime {VERSION} here: {error.reason}")
    sent = [[path for path, _ in marks(outcome.received)] for outcome in outcomes]
    expected = [mark_paths(targets, row["request"]) for targets, row in zip(predicted, rows, strict=True)]
    assert [sorted(paths) for paths in sent[SEEN:]] == [sorted(paths) for paths in expected[SEEN:]]
    n_marked = sum(map(bool, sent[SEEN:]))
    assert n_marked
    tallies.append(f"{VERSION}: advice, {name}: {len(rows) - SEEN} requests, {n_marked} with breakpoints: as predicted")
