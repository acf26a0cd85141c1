"""The sample (``data/sample``) is what the real runtime would have stored: it is made to learn the sample's runs anew.

Agents of rules 0.8 are learned by 0.10.4, those of 0.2 by 0.3.0, with the default settings and whole requests recorded:
those of the sample are cut already.
"""

import json
from pathlib import Path

import pytest
from conformance.compare import RESULT, WINDOW, compare_results, compare_windows, rules_of
from conformance.generate import DEFAULTS, Case
from conformance.live import Laboratory, Tally
from conformance.runtime import VERSIONS, Call, Runtime, RuntimeUnavailable

from acg_lab.core import RULES
from acg_lab.core.prompt_ir import request_to_json

pytestmark = pytest.mark.slow

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
VERSION_OF = {rules_of(version): version for version in reversed(VERSIONS)}  # the oldest of each rules
AGENTS = (
    *("claims-triage", "claims-triage-next", "code-review", "coder", "field-notes"),
    *("field-notes-fixed", "handbook-search"),
    *("sales-analyst", "support-chat", "support-legacy", "support-mail"),
)


def test_agents(sample):
    """All agents of the sample are learned here."""
    assert tuple(sample.agent_ids) == AGENTS


def profiles_of(sample, agent_id):
    return {key: sample.rules[key].rules for key in sample.windows if sample.owners[key].agent_id == agent_id}


@pytest.mark.parametrize("agent_id", AGENTS)
def test_sample(sample, agent_id, redis_url, tallies):
    """Of every agent the real runtime makes the same windows, results and seed entry."""
    profiles = profiles_of(sample, agent_id)
    (rules,) = set(profiles.values())
    runs = [run for run in sample.runs if run.agent_id == agent_id]
    try:
        with (
            Runtime(VERSION_OF[rules]) as runtime,
            Laboratory(runtime, redis_url, Tally(runtime.version, 0)) as laboratory,
        ):
            stored = learn(laboratory, runtime, agent_id, runs)
    except RuntimeUnavailable as error:
        pytest.skip(f"no runtime {VERSION_OF[rules]} here: {error.reason}")
    assert {key.removeprefix(WINDOW) for key in stored if key.startswith(WINDOW)} == {*profiles, agent_id}
    seed = sample.seeds[agent_id]
    expected = {key: (sample.windows[key], sample.stability[key]) for key in profiles}
    for key, (window, result) in (expected | {agent_id: (seed.window, seed.result)}).items():
        assert compare_windows(key, window, stored[WINDOW + key]) is None
        assert compare_results(key, result, stored[RESULT + key], window, is_exact=RULES[rules].exact_prefix) is None
    n_requests = sum(call.annotated_request is not None for run in runs for call in run.calls)
    told = f"{len(runs)} runs, {n_requests} requests, {len(profiles)} profiles"
    tallies.append(f"{VERSION_OF[rules]}: sample, {agent_id}: {told}: as stored")


def learn(laboratory, runtime, agent_id, runs):
    """Have the runtime learn the runs; return what it stored."""
    laboratory.start(Case(agent_id, 100, DEFAULTS, full_payloads=True, runs=()))
    for run in runs:
        requests = [call.annotated_request for call in run.calls if call.annotated_request is not None]
        outcomes = runtime.run(None, [Call(dict(request_to_json(request)), "annotated") for request in requests])
        assert [outcome.error for outcome in outcomes] == [None] * len(requests)
        recorded = json.loads(laboratory.newest_run(agent_id))["calls"]
        assert [call["annotated_request"] for call in recorded] == json.loads(json.dumps(list(map(plain, requests))))
    return laboratory.stored()


def plain(request):
    return dict(request_to_json(request))
