"""What a step of the learner costs under the newer rules, beside the oldest.

Run by ``pytest tests/benchmarks --benchmark-only``. The requests are made here; all of them belong to one profile in
every generation, and its window is full.
"""

import time

import pytest
from strategies import make_request, make_run, make_tool

from acg_lab.core import RULES, AcgLearner, HotCache
from acg_lab.storage.memory import MemoryBackend

N_WARM, N_TIMED, TURNS = 100, 100, 7
# Generation 0.8 looks for the exact prefix of the whole window and hashes it; 0.6 only reads requests otherwise.
AT_MOST = {"nemo-relay-0.6": 1.5, "nemo-relay-0.8": 2.5}


def conversation(number):
    """Return a request of 24 messages and 12 tools, of which the last six messages are like no other's."""
    messages = [{"role": "system", "content": "You support customers of an outdoor shop. " * 50}]
    for turn in range(23):
        late = f" of conversation {number}" if turn > 16 else ""
        role = "assistant" if turn % 2 else "user"
        messages.append({"role": role, "content": f"What is said in turn {turn}{late}. " * 12})
    tools = tuple(make_tool(f"tool_{i}", description="Looks something up. " * 10, parameters={}) for i in range(12))
    return make_request(*messages, tools=tools, model="m")


@pytest.fixture(scope="module")
def runs():
    return [make_run(conversation(number), run_id=str(number)) for number in range(N_WARM + N_TIMED)]


def step_ms(rules, runs):
    """Return the processor time of a step with the window of 100 full."""
    learner, backend, hot_cache = AcgLearner("a", rules=rules), MemoryBackend(), HotCache()
    for run in runs[:N_WARM]:
        learner.process_run(run, backend, hot_cache)
    started = time.process_time_ns()
    for run in runs[N_WARM:]:
        learner.process_run(run, backend, hot_cache)
    spent = time.process_time_ns() - started
    assert hot_cache.acg_stability.total_observations == N_WARM
    assert len(hot_cache.acg_profiles) == 1
    return spent / 1e6 / N_TIMED


def test_newer_rules(benchmark, runs):
    """A step costs at most 1.5 times as much under the rules of 0.6 as under those of 0.2, and 2.5 times under 0.8."""
    times = {rules: [] for rules in RULES}
    for _ in range(TURNS):  # in turns, so that a busy neighbour meets all
        for rules, found in times.items():
            found.append(step_ms(rules, runs))
    benchmark.pedantic(step_ms, ("nemo-relay-0.8", runs))
    best = {rules: min(found) for rules, found in times.items()}
    ratios = {rules: best[rules] / best["nemo-flow-0.2"] for rules in AT_MOST}
    print(f"\n{benchmark.name}: {best['nemo-flow-0.2']:.3g} ms a step under 0.2; times as much: {ratios}")
    benchmark.extra_info.update(ratios)
    assert {rules: ratios[rules] <= most for rules, most in AT_MOST.items()} == dict.fromkeys(AT_MOST, True)
