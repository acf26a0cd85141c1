"""Plans against recordings of what the real runtime sent, where they are at hand.

The recordings are no part of the repository: a folder ``shared`` beside it, or the one that ACG_LAB_SHARED names, holds
them. Where they are absent these tests are skipped.
"""

import gzip
import os
from collections import Counter
from itertools import groupby
from pathlib import Path

import msgspec
import pytest
from strategies import make_run

from acg_lab.core import (
    AcgLearner,
    AnnotatedLlmRequest,
    HotCache,
    LearnerUpdate,
    StabilityThresholds,
    mark_paths,
    plan_request,
    surface_of,
)
from acg_lab.core.cache_marks import body_of
from acg_lab.core.codec import decode
from acg_lab.storage.memory import MemoryBackend

SHARED = Path(os.environ.get("ACG_LAB_SHARED") or Path(__file__).parents[3] / "shared")
PLANS = SHARED / "data" / "plans"
GENERATIONS = {"0.3.0": "nemo-flow-0.2", "0.7.3": "nemo-relay-0.6", "0.10.4": "nemo-relay-0.8"}
MARK = {"type": "ephemeral"}
# Two runs of the runtime may learn differently here (tied spans below 0.8), though both then send the same.
TIED = {("0.7.3", "random/2/117", 15)}
# For these the recordings tell an entry; for the others that could be told apart it is no part of the derivation.
ENTRY_TOLD = ("planned", "canonical", "fingerprint")


class Line(msgspec.Struct):
    """One live call."""

    scenario: str
    agent_id: str
    config: dict
    run: int
    call: int
    history: int
    request: dict
    surface: str
    live: msgspec.Raw
    recorded: msgspec.Raw
    received: list[tuple[str, dict]] = []  # msgspec copies it
    ends: list[int] = []
    why: str = ""
    entry: str = ""
    lossy: bool = False
    restart: bool = False
    ambiguous: bool = False


@pytest.fixture(params=GENERATIONS)
def version(request):
    if not PLANS.is_dir():
        pytest.skip("no recordings of plans: neither ACG_LAB_SHARED nor a folder 'shared' beside the repository")
    if not (PLANS / f"plans-{request.param}.jsonl.gz").exists():
        pytest.skip(f"no recording plans-{request.param}.jsonl.gz")
    return request.param


def read_lines(version):
    decoder = msgspec.json.Decoder(Line)
    with gzip.open(PLANS / f"plans-{version}.jsonl.gz") as lines:
        yield from map(decoder.decode, lines)


def request_of(raw):
    return None if bytes(raw) == b"null" else decode(AnnotatedLlmRequest, bytes(raw))


def marks(value, path="$"):
    """Yield where a body is marked, and with what."""
    items = value.items() if isinstance(value, dict) else ()
    if "cache_control" in dict(items):
        yield path, value["cache_control"]
    for name, item in items:
        yield from marks(item, f"{path}.{name}")
    for i, item in enumerate(value if isinstance(value, list) else ()):
        yield from marks(item, f"{path}[{i}]")


class Runtime:
    """What one scenario's runtime knows: it learns a run when it ends, and forgets all but its store at a restart."""

    def __init__(self, line, rules):
        limits = StabilityThresholds(**line.config["stability_thresholds"])
        self.learner = AcgLearner(line.agent_id, line.config["observation_window"], limits, rules=rules)
        self.backend, self.hot_cache, self.n_learned = MemoryBackend(), HotCache(), 0

    def restart(self):
        self.hot_cache = HotCache()
        self.hot_cache.apply(LearnerUpdate(seed=self.backend.load_stability(self.learner.agent_id)))

    def learn(self, lines):
        requests = [request for line in lines if (request := request_of(line.recorded)) is not None]
        self.learner.process_run(make_run(*requests, agent_id=self.learner.agent_id), self.backend, self.hot_cache)
        self.n_learned += len(lines)


def plan_of(line, runtime):
    rules = runtime.learner.rules
    return plan_request(
        request_of(line.live),
        runtime.hot_cache,
        agent_id=line.agent_id,
        provider=line.config["provider"],
        rules=rules,
        surface=line.surface,
        body=None if rules == "nemo-flow-0.2" else line.request,
    )


def expected_marks(line, plan):
    """Put the planned marks over the user's own; a codec of 0.2 that wrote the body anew has dropped those."""
    return ({} if line.lossy else dict(marks(line.request))) | {path: MARK for path in plan.paths if path is not None}


def same_why(line, plan):
    """Whether the reasons agree; a Responses body that 0.2 can't read (not examined) has two good ones."""
    ours = f"planned {len(plan.ends)}" if plan.ends else plan.reason.value
    unread = line.surface == "responses" and bytes(line.live) == b"null"
    return ours == line.why or (unread and (ours, line.why) == ("unreadable", "surface"))


def same_entry(line, plan):
    """Whether the entries agree; where nothing came of it the recordings say ``profile`` for any."""
    if line.entry == "agent" or line.why.startswith(ENTRY_TOLD):
        return plan.entry == line.entry
    return True


def differences(line, plan, version):
    """Yield what differs between our plan and the runtime's."""
    if list(plan.ends) != line.ends:
        yield "ends", plan.ends, line.ends
    if (marked := expected_marks(line, plan)) != dict(line.received):
        yield "marks", marked, line.received
    if surface_of(line.request) != line.surface:
        yield "surface", surface_of(line.request), line.surface
    if (version, line.scenario, line.call) in TIED:
        return
    if not same_why(line, plan):
        yield "why", plan.reason.value, line.why
    if not same_entry(line, plan):
        yield "entry", plan.entry, line.entry


def walk(version):
    """Yield each line that has an answer, with our plan."""
    for _, lines in groupby(read_lines(version), lambda line: line.scenario):
        runtime = None
        for _, calls in groupby(lines, lambda line: line.run):
            run = list(calls)
            runtime = runtime or Runtime(run[0], GENERATIONS[version])
            if run[0].restart:
                runtime.restart()
            assert {line.history for line in run} == {runtime.n_learned}
            yield from ((line, plan_of(line, runtime)) for line in run if not line.ambiguous)
            runtime.learn(run)


def test_plans(version):
    """For each live call the ends, the marks in the body, the reason and the result that was met are the runtime's."""
    different, seen = [], Counter()
    for line, plan in walk(version):
        seen[line.why] += 1
        different += [(line.scenario, line.call, *found) for found in differences(line, plan, version)]
        if plan.segments:  # without the body the marks are told all the same
            body = body_of(request_of(line.live), rules=GENERATIONS[version])
            if mark_paths([segment.target for segment in plan.segments], body) != plan.paths:
                different.append((line.scenario, line.call, "paths without body", plan.paths))
    assert different == []
    assert seen.total() > 4880
    assert seen["planned 1"] > 600
