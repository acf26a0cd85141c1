"""Generated histories, and a slow replay to compare with: a learner that processes every run."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from strategies import make_call, make_request, make_tool, unreadable_requests

import acg_lab as acg
from acg_lab.core import AcgLearner, HotCache, RecordError, RunRecord, learning_key
from acg_lab.core.rules import RULES

RULE_NAMES = tuple(RULES)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds):
    """Return the time that is some seconds after the beginning."""
    return (BEGIN + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def run_id(number):
    """Return a run id in the form that production uses."""
    return f"00000000-0000-4000-8000-{number:012}"


def snapshot_of(runs, rules="auto"):
    """Return a snapshot of the runs, in this order."""
    backend = acg.MemoryBackend()
    for run in runs:
        backend.store_run(run)
    return acg.load(backend, progress=False, rules=rules)


# --- strategies ---


def requests():
    """Requests of few texts, so that profiles and prefixes coincide; some of them cannot be read."""
    system = st.lists(st.sampled_from(["s", "t"]).map(lambda text: {"role": "system", "content": text}), max_size=1)
    tail = st.lists(
        st.sampled_from(["x", "y", " x", {"role": "assistant", "content": "z"}, {"role": "system", "content": "late"}]),
        max_size=4,
    )
    tools = st.sampled_from([None, (), (make_tool("f"),), (make_tool("f"), make_tool("g"))])
    readable = st.builds(
        lambda system, tail, tools, model: make_request(*system, *tail, tools=tools, model=model),
        system,
        tail,
        tools,
        st.sampled_from(["m", None]),
    )
    return st.one_of(readable, readable, readable, unreadable_requests())


@st.composite
def histories(draw, agent_ids=("a", "b")):
    """Runs of two agents that overlap, tie, have no end, or end before they begin."""
    runs = []
    for number in range(draw(st.integers(1, 9))):
        start = draw(st.integers(0, 12))
        calls = [
            make_call(draw(requests()), started_at=at(start + draw(st.integers(0, 3))), kind=kind)
            for kind in draw(st.lists(st.sampled_from(["llm", "llm", "llm", "tool"]), max_size=4))
        ]
        end = draw(st.sampled_from([None, start + 4, start + 1, start + 8, 40, 0]))
        runs.append(
            RunRecord(
                id=run_id(number),
                agent_id=draw(st.sampled_from(agent_ids)),
                calls=tuple(calls),
                started_at=at(start),
                ended_at=None if end is None else at(end),
            )
        )
    return runs


def stable_thresholds():
    """Thresholds that equal a score or share exactly, and others."""
    exact = sorted({k / n for n in range(1, 8) for k in range(n + 1)})
    products = [(p / n) * (d / p) for n in (3, 5, 6, 7) for p in range(1, n + 1) for d in range(1, p + 1)]
    return st.lists(
        st.sampled_from([*exact, *products, -1.0, 1.5, 0.95]) | st.floats(-0.5, 1.5), min_size=1, max_size=6
    )


# --- the slow replay ---


def _when(run):
    times = [run.started_at, *(time for call in run.calls for time in (call.started_at, call.ended_at) if time)]
    return run.ended_at or max(times)


def steps_of(runs, rules):
    """Return the steps of a history as (start, agent, number of the agent's run, call, number of known runs)."""
    steps = []
    for agent_id in {run.agent_id for run in runs}:
        own = [run for run in runs if run.agent_id == agent_id]
        learned = [max(map(_when, own[: i + 1])) for i in range(len(own))]
        for i, run in enumerate(own):
            known = 0
            for j, call in enumerate(run.calls):
                if call.kind != "llm" or call.annotated_request is None:
                    continue
                try:
                    learning_key(agent_id, call.annotated_request, rules=rules)
                    acg.build_prompt_ir(call.annotated_request, ir_id="", created_at="", rules=rules)
                except RecordError:
                    continue
                known = sum(time < call.started_at for time in learned[:i])
                steps.append((call.started_at, agent_id, i, j, known))
    return sorted(steps)


def process_runs(runs, agent_id, window, thresholds, rules):
    """Return what the hot cache held after each number of runs: results by learning key, and the seed entry."""
    learner, backend, hot_cache = AcgLearner(agent_id, window, thresholds, rules=rules), acg.MemoryBackend(), HotCache()
    held = [({}, None)]
    for run in (run for run in runs if run.agent_id == agent_id):
        learner.process_run(run, backend, hot_cache, stamp=lambda: ("", ""))
        held.append((dict(hot_cache.acg_profiles), hot_cache.acg_stability))
    return held


def expected_results(runs, window, thresholds, rules):
    """Return the result that each step meets, as the learner stored it."""
    agents = {run.agent_id for run in runs}
    held = {agent_id: process_runs(runs, agent_id, window, thresholds, rules) for agent_id in agents}
    own = {agent_id: [run for run in runs if run.agent_id == agent_id] for agent_id in agents}
    results = []
    for _, agent_id, i, j, known in steps_of(runs, rules):
        key = learning_key(agent_id, own[agent_id][i].calls[j].annotated_request, rules=rules)
        profiles, seed = held[agent_id][known]
        results.append(profiles.get(key, seed))
    return results
