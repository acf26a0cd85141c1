"""Generated requests, put to the real runtime and to our learner: nothing may differ.

See README.md for the options and for what has been found so far.
"""

import contextlib
import json
import time

import pytest
from conformance.compare import rules_of
from conformance.generate import DEFAULTS, Case, Run, cases
from conformance.live import Laboratory, Tally
from conformance.planned import PlanLaboratory, planned_cases
from conformance.runtime import Call

pytestmark = pytest.mark.slow


def is_modern(version):
    """Tell whether the runtime reads what came with 0.6."""
    return rules_of(version) != "nemo-flow-0.2"


@contextlib.contextmanager
def opened(kind, runtime, redis_url, seed, tallies):
    tally = Tally(runtime.version, seed)
    tallies.append(tally)
    started = time.perf_counter()
    with kind(runtime, redis_url, tally) as laboratory:
        yield laboratory
    tally.seconds = time.perf_counter() - started


@pytest.fixture
def laboratory(runtime, redis_url, seed, tallies):
    with opened(Laboratory, runtime, redis_url, seed, tallies) as laboratory:
        yield laboratory


@pytest.fixture
def plan_laboratory(runtime, redis_url, seed, tallies):
    with opened(PlanLaboratory, runtime, redis_url, seed, tallies) as laboratory:
        yield laboratory


def test_generated_requests(laboratory, version, seed, n_requests):
    """After each run keys, windows, results and the seed entry are what the runtime stored."""
    for case in cases(seed, n_requests, modern=is_modern(version)):
        difference = laboratory.report(case)
        assert difference is None, difference


def test_planned_requests(plan_laboratory, version, seed, n_requests, tallies):
    """The body sent, and the plan that the runtime prints, are what our plan says; it is learned as it came."""
    for case in planned_cases(seed, n_requests, modern=is_modern(version)):
        difference = plan_laboratory.report(case)
        assert difference is None, difference
    told = ", ".join(f"{n} {reason}" for reason, n in sorted(plan_laboratory.reasons.items()))
    printed = f"{plan_laboratory.n_plans} printed plans, {plan_laboratory.n_breakpoints} breakpoints equal"
    tallies.append(f"{version}: {printed}")
    tallies.append(f"{version}: plans of seed {seed}: {told}")


def test_many_profiles(laboratory):
    """More profiles than the learner keeps counted at a time, each come back to: nothing differs."""
    calls = [Call({"messages": [{"role": "user", "content": str(i)}], "model": f"m{i}"}) for i in range(300)]
    runs = tuple(Run(tuple(calls[:150])) for calls in (calls, calls[150:], calls))
    case = Case("agent", 2, DEFAULTS, full_payloads=True, runs=runs)
    assert laboratory.report(case) is None


def _keep_white_space(text):
    return text


def _miss_exact_hits(score, thresholds):
    if score > thresholds.stable_threshold:
        return "stable"
    return "semi_stable" if score > thresholds.semi_stable_threshold else "variable"


@pytest.mark.parametrize(
    ("place", "fault", "most_messages"),
    [
        ("acg_lab.core.prompt_ir.normalize_whitespace", _keep_white_space, 1),
        ("acg_lab.core.keys._CUT", 17, 1),
        ("acg_lab.core.stability._classify", _miss_exact_hits, 6),
        ("acg_lab.core.learner._rank", lambda result: -result.stable_prefix_length, 4),
    ],
)
def test_planted_faults(runtime, redis_url, monkeypatch, place, fault, most_messages):
    """A fault planted in our core is found within a few hundred requests, and shrunk to a small example."""
    monkeypatch.setattr(place, fault)
    modern = is_modern(runtime.version)
    with Laboratory(runtime, redis_url, Tally(runtime.version, 7)) as laboratory:
        found = next(filter(None, map(laboratory.report, cases(7, 2000, modern=modern))), None)
    assert found is not None
    example = json.loads(found)
    assert {"ours", "stored", "field"} <= example["difference"].keys()
    bodies = [call["request"] for run in example["case"]["runs"] for call in run["calls"]]
    assert sum(len(body.get("messages", body.get("input", ""))) for body in bodies) <= most_messages
