"""The same traffic in the runtime's Redis, in its event file, and as raw bodies: the lab learns what it stored.

Observations differ in identity and time alone. Where two profiles of a run are equally good, the runtime makes either
of them the seed entry.
"""

import contextlib
import itertools
import json
import warnings
from dataclasses import asdict, replace

import pytest
import redis
from conformance.compare import RESULT, WINDOW, compare_results, compare_windows, rank
from conformance.generate import DEFAULTS, Case, Run, cases
from conformance.runtime import Call, Runtime, RuntimeUnavailable

import acg_lab as acg
from acg_lab.config.settings import AcgSettings
from acg_lab.core import StabilityAnalysisResult, StabilityThresholds
from acg_lab.core.codec import decode, encode

pytestmark = pytest.mark.slow  # needs the real runtime

EVENT_VERSIONS = ("0.10.4", "0.11.0rc3")
PREFIX = "acg:"
APIS = {"openai": "openai-chat", "anthropic": "anthropic", "responses": "openai-responses"}


@pytest.fixture(scope="module", params=EVENT_VERSIONS)
def runtime(request):
    """Return a process with that version of the runtime; skip where there is none to be had."""
    with contextlib.ExitStack() as stack:
        try:
            started = stack.enter_context(Runtime(request.param))
        except RuntimeUnavailable as error:
            pytest.skip(f"no runtime {request.param} here: {error.reason}")
        yield started


def record(runtime, url, case, folder):
    """Put an agent to the runtime; return what it stored in Redis, by key without prefix, and the refused calls."""
    folder.mkdir()
    settings = {
        "agent_id": case.agent_id,
        "backend": "redis",
        "redis_url": url,
        "key_prefix": PREFIX,
        "observation_window": case.window,
        "thresholds": case.thresholds,
        "full_payloads": case.full_payloads,
        "events": folder,
    }
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        client.flushdb()
        runtime.configure(**settings)
        refused = []
        for run in case.runs:
            if run.restart:
                runtime.configure(**settings)
            refused.append([outcome.error is not None for outcome in runtime.run(None, run.calls)])
        runtime.configure()  # the event file is complete when what wrote it has ended
        stored = {key.decode().removeprefix(PREFIX): key for key in client.keys(f"{PREFIX}*")}
        kinds = {key: client.get(full) for key, full in stored.items() if key.startswith((WINDOW, RESULT, "runs:"))}
    return kinds, refused


def load(path, case, **options):
    """Load a log as that agent's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", acg.LoadWarning)  # what codecs refuse is refused here too
        settings = AcgSettings(StabilityThresholds(**case.thresholds), case.window)
        return acg.load(path, settings=settings, progress=False, **options)


def difference(snapshot, stored, case):
    """Return the first difference between what was learned of a log and what the runtime stored; None for none."""
    windows = {key.removeprefix(WINDOW) for key in stored if key.startswith(WINDOW)}
    if windows != set(snapshot.columns.observations.keys):
        return "keys", sorted(windows ^ set(snapshot.columns.observations.keys))
    for key in windows - {case.agent_id}:
        columns = snapshot.columns.observations
        window, result = columns.window(columns.number[key]), snapshot.columns.results[key]
        found = compare_windows(key, window, stored[WINDOW + key])
        if found := found or compare_results(key, result, stored[RESULT + key], window, is_exact=True):
            return found
    if windows:
        theirs = decode(StabilityAnalysisResult, stored[RESULT + case.agent_id])
        if rank(theirs) != rank(snapshot.columns.results[case.agent_id]):
            return "seed entry", rank(theirs)
    return None


def usable(case):
    """Return the case without what no log has: windows that others changed, and agents without a name."""
    runs = tuple(replace(run, meddle=None) for run in case.runs)
    return replace(case, agent_id=case.agent_id or "agent", runs=runs)


def test_event_file(runtime, redis_url, seed, n_requests, tmp_path, tallies):
    """Windows, results and learning keys of the event file are those in Redis, with full payloads and without."""
    n = 0
    for i, case in enumerate(map(usable, cases(seed, n_requests, modern=True))):
        folder = tmp_path / str(i)
        stored, _ = record(runtime, redis_url, case, folder)
        if not (folder / "events.jsonl").exists():
            continue
        snapshot = load(folder / "events.jsonl", case, full_payloads=case.full_payloads)
        assert difference(snapshot, stored, case) is None, case.to_json()
        n += case.n_requests
    tallies.append(f"{runtime.version}: event files of seed {seed}: {n} requests, no difference")


def test_runs(runtime, redis_url, seed, tmp_path):
    """The runs of the event file are those in Redis but for their ids: times, and the request of each call.

    Only runs with a request: a log is made of requests, so a run without any is not in it.
    """
    case = next(case for case in map(usable, cases(seed, 300, modern=True)) if case.n_requests > 10)
    stored, _ = record(runtime, redis_url, case, tmp_path / "events")
    snapshot = load(tmp_path / "events/events.jsonl", case)
    theirs = sorted(map(json.loads, (stored[key] for key in stored if key.startswith("runs:"))), key=begin)
    theirs = [run for run in theirs if any(call["kind"] == "llm" for call in run["calls"])]
    ours = list(snapshot.runs)
    assert [(run.started_at, run.ended_at) for run in ours] == [(run["started_at"], run["ended_at"]) for run in theirs]
    for run, their_run in zip(ours, theirs, strict=True):
        calls = [call for call in their_run["calls"] if call["kind"] == "llm"]
        assert [call.started_at for call in run.calls] == [call["started_at"] for call in calls]
        requests = [None if call.annotated_request is None else plain(call.annotated_request) for call in run.calls]
        assert requests == [call.get("annotated_request") for call in calls]


def test_nested_agents(runtime, redis_url, tmp_path):
    """An agent inside another has a run of its own, there as in Redis, and ends before the outer one."""
    calls = [Call({"model": "m", "messages": [{"role": "user", "content": f"u{i}"}]}) for i in range(4)]
    inner = {"calls": [asdict(call) for call in calls[1:3]]}
    run = Run((calls[0], Call(inner, "agent"), calls[3]))
    case = Case("inner", 2, DEFAULTS, full_payloads=True, runs=(run, run))
    stored, _ = record(runtime, redis_url, case, tmp_path / "events")
    snapshot = load(tmp_path / "events/events.jsonl", case)
    assert [len(run.calls) for run in snapshot.runs] == [2, 2, 2, 2]
    assert difference(snapshot, stored, case) is None


def begin(run):
    """Return when a run began."""
    return run["started_at"]


def plain(request):
    """Return a request as JSON."""
    return json.loads(encode(request))


def test_raw_bodies(runtime, redis_url, seed, n_requests, tmp_path, tallies):
    """Raw bodies logged beside it, with the ids of their runs, give the same windows, results and learning keys."""
    n = 0
    for i, case in enumerate(map(raw_only, map(usable, cases(seed, n_requests, modern=True)))):
        stored, refused = record(runtime, redis_url, case, tmp_path / str(i))
        path = tmp_path / f"{i}.jsonl"
        path.write_text("".join(raw_lines(case, refused)))
        if not path.stat().st_size:
            continue
        api = next(APIS[call.codec] for run in case.runs for call in run.calls)
        snapshot = load(path, case, full_payloads=case.full_payloads, format="raw", api=api)
        assert difference(snapshot, stored, case) is None, case.to_json()
        n += case.n_requests
    tallies.append(f"{runtime.version}: raw bodies of seed {seed}: {n} requests, no difference")


def raw_only(case):
    """Return the case with the calls whose bodies a log can hold, of one API so that it can be named."""
    apis = [call.codec for run in case.runs for call in run.calls if call.codec in APIS]
    kept = max(APIS, key=apis.count)
    runs = [
        replace(run, calls=tuple(call for call in run.calls if call.codec == kept and is_json(call.request)))
        for run in case.runs
    ]
    return replace(case, runs=tuple(run for run in runs if run.calls))


def is_json(body):
    """Whether a body is JSON; a live one may hold NaN."""
    try:
        json.dumps(body, allow_nan=False)
    except ValueError:
        return False
    return True


def raw_lines(case, refused):
    """Yield a line for each call that the runtime took."""
    clock = itertools.count(1_800_000_000)
    for number, (run, failed) in enumerate(zip(case.runs, refused, strict=True)):
        for call, has_failed in zip(run.calls, failed, strict=True):
            line = {
                "run_id": str(number),
                "agent_id": case.agent_id,
                "started_at": next(clock),
                "request": call.request,
            }
            if not has_failed:
                yield json.dumps(line) + "\n"
