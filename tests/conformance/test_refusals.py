"""What production refuses, live, and that we refuse it with a clear error. The tables stand in ``refused.py``."""

import contextlib
import json

import pytest
from conformance import refused
from conformance.compare import RESULT, WINDOW, rules_of
from conformance.generate import DEFAULTS, Case
from conformance.live import Laboratory, Tally
from conformance.runtime import Call, RuntimeFailedError
from conformance.twin import Twin

from acg_lab.core import (
    AcgLearner,
    AnnotatedLlmRequest,
    HotCache,
    RecordError,
    RunRecord,
    StabilityThresholds,
    UsageError,
    build_prompt_ir,
    learning_key,
)
from acg_lab.core.codec import decode, encode
from acg_lab.storage.redis_backend import RedisBackend

pytestmark = pytest.mark.slow

CASE = Case("agent", 100, DEFAULTS, full_payloads=True, runs=())
MESSAGES = [{"role": "user", "content": "u"}]
KEY, OTHER_KEY = (f"agent::model={model}::seed=user:sha256:0bfe::system=no-system::tools=no-tools" for model in "mn")
OURS = "ours:"  # key prefix of our learner's own store


@pytest.fixture
def laboratory(runtime, redis_url):
    with Laboratory(runtime, redis_url, Tally(runtime.version, 0)) as laboratory:
        laboratory.start(CASE)
        yield laboratory


@pytest.fixture
def ours(redis_url):
    """Return a writable backend of ours, with another prefix than the runtime's."""
    with contextlib.closing(RedisBackend(redis_url, key_prefix=OURS, writable=True)) as backend:
        yield backend


def named(table):
    return pytest.mark.parametrize("name", table)


# --- requests ---


def refusal(runtime, body):
    """Return why the runtime refuses a request, None if it does not."""
    (outcome,) = runtime.run(None, [Call(body, "annotated")])
    return outcome.error


def observe(body, version):
    request = decode(AnnotatedLlmRequest, json.dumps(body).encode())
    rules = rules_of(version)
    return build_prompt_ir(request, ir_id="i", created_at="t", rules=rules), learning_key("a", request, rules=rules)


@named(refused.REQUESTS)
def test_refused_requests(laboratory, runtime, version, name):
    """The runtime refuses the request and learns nothing; we say where it is wrong, without prompt text."""
    body = refused.REQUESTS[name]
    assert refusal(runtime, body) is not None
    assert laboratory.stored() == {}
    with pytest.raises(RecordError) as caught:
        observe(body, version)
    assert "at $" in str(caught.value)
    assert refused.SECRET not in str(caught.value)


@named(refused.ONLY_PRODUCTION_REFUSES_REQUEST)
def test_requests_of_unused_fields(laboratory, runtime, version, name):
    """The runtime refuses the request for a field that the core has no use for; the core lets it through."""
    body = refused.ONLY_PRODUCTION_REFUSES_REQUEST[name]
    assert refusal(runtime, body) is not None
    assert laboratory.stored() == {}
    observe(body, version)


def test_refused_calls_do_not_stop_a_run(laboratory, runtime):
    """A run learns from the calls that are not refused; the refused ones are not in its record."""
    bad, good = Call(refused.REQUESTS["no role"], "annotated"), Call({"messages": MESSAGES, "model": "m"}, "annotated")
    outcomes = runtime.run(None, [bad, good, bad])
    assert [outcome.error is None for outcome in outcomes] == [False, True, False]
    assert len(json.loads(laboratory.newest_run("agent"))["calls"]) == 1
    assert RESULT + KEY in laboratory.stored()


@named(refused.UNREADABLE_RECORDS)
def test_records_that_no_reader_can_read(laboratory, runtime, version, name):
    """The runtime learns from a request whose record nobody can read back; we say what is wrong with the record."""
    body, codec, versions, reason = refused.UNREADABLE_RECORDS[name]
    if version not in versions:
        pytest.skip(f"{version} can read it")
    (outcome,) = runtime.run(None, [Call(body, codec)])
    assert outcome.error is None
    assert laboratory.stored() != {}
    with pytest.raises(RecordError, match=reason):
        decode(RunRecord, laboratory.newest_run("agent"))


# --- windows ---


def run_with_window(laboratory, runtime, text):
    """Store a window for both learners, let the runtime learn from one request; return the run's record."""
    laboratory.put(WINDOW + KEY, text)
    laboratory.put(WINDOW + KEY, text, prefix=OURS)
    runtime.run(None, [Call({"messages": MESSAGES, "model": "m"})])
    return decode(RunRecord, laboratory.newest_run("agent"))


def learn(runtime, run, ours, hot_cache):
    return AcgLearner("agent", rules=rules_of(runtime.version)).process_run(run, ours, hot_cache)


def warm(hot_cache, runtime, run):
    """Fill a hot cache by another profile."""
    twin = Twin("agent", 100, DEFAULTS, rules_of(runtime.version))
    twin.learner.process_run(run, twin.backend, hot_cache)


@named(refused.WINDOWS)
def test_damaged_windows(laboratory, runtime, ours, name):
    """The runtime leaves a damaged window alone, stores nothing for its key, goes on; we raise and store nothing."""
    run = run_with_window(laboratory, runtime, refused.WINDOWS[name])
    check_left_alone(laboratory, runtime, refused.WINDOWS[name])
    hot_cache = HotCache()
    warm(hot_cache, runtime, run)
    before = dict(vars(hot_cache))
    with pytest.raises(RecordError) as caught:
        learn(runtime, run, ours, hot_cache)
    assert KEY in caught.value.key
    assert "at $" in str(caught.value)
    assert refused.SECRET not in str(caught.value)
    assert vars(hot_cache) == before
    assert ours.load_stability(KEY) is ours.load_stability("agent") is None


def check_left_alone(laboratory, runtime, text):
    stored = laboratory.stored()
    assert stored == {WINDOW + KEY: text if isinstance(text, bytes) else text.encode()}
    runtime.run(None, [Call({"messages": MESSAGES, "model": "n"})])
    assert laboratory.stored().keys() - stored.keys() == {
        f"{kind}{key}" for kind in (WINDOW, RESULT) for key in (OTHER_KEY, "agent")
    }


@named(refused.READABLE_WINDOWS)
def test_odd_windows(laboratory, runtime, ours, name):
    """What is odd but readable both learners go on from, with the same result."""
    run = run_with_window(laboratory, runtime, refused.READABLE_WINDOWS[name])
    update = learn(runtime, run, ours, HotCache())
    stored = laboratory.stored()[RESULT + KEY]
    assert json.loads(stored)["total_observations"] == update.results[KEY].total_observations
    assert json.loads(stored) == json.loads(encode(ours.load_stability(KEY)))


@named(refused.ONLY_WE_REFUSE_WINDOW)
def test_windows_that_only_we_refuse(laboratory, runtime, ours, name):
    """The runtime passes over the oddities of fields that it does not know; we keep such fields, so we refuse them.

    So do we with times that are spelled as production never prints them.
    """
    run = run_with_window(laboratory, runtime, refused.ONLY_WE_REFUSE_WINDOW[name])
    assert json.loads(laboratory.stored()[RESULT + KEY])["total_observations"] == 2
    with pytest.raises(RecordError):
        learn(runtime, run, ours, HotCache())


# --- settings ---


def configured(name, value):
    """Return the settings with one changed, as arguments of ``configure`` and as a plugin document."""
    thresholds = dict(DEFAULTS)
    settings = {refused.WINDOW: 100, "thresholds": thresholds}
    (thresholds if name in thresholds else settings)[name] = value
    acg = {"provider": "passthrough", refused.WINDOW: settings[refused.WINDOW], "stability_thresholds": thresholds}
    state = {"backend": {"kind": "in_memory", "config": {}}}
    config = {"version": 1, "agent_id": "a", "state": state, "telemetry": {"learners": ["acg"]}, "acg": acg}
    return settings, {"version": 1, "components": [{"kind": "adaptive", "config": config}]}


def is_refused(runtime, name, value):
    """Tell whether the runtime refuses a setting, when it starts and when it validates."""
    settings, document = configured(name, value)
    try:
        valid = not [d for d in runtime.validate(document) if d["level"] == "error"]
    except RuntimeFailedError:
        valid = False
    try:
        runtime.configure(**settings)
    except RuntimeFailedError:
        assert not valid or value is None  # 0.3 takes null in a document as absent
        return True
    assert valid
    return False


def make_ours(name, value):
    if name == refused.WINDOW:
        return AcgLearner("a", value)
    return StabilityThresholds(**{name: value})


@pytest.mark.parametrize(("name", "value"), refused.SETTINGS)
def test_refused_settings(runtime, name, value):
    """The runtime refuses the setting in its config and when it starts; we name the setting and the value."""
    assert is_refused(runtime, name, value)
    with pytest.raises(UsageError) as caught:
        make_ours(name, value)
    assert repr(name) in str(caught.value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(("name", "value"), refused.ACCEPTED_SETTINGS)
def test_accepted_settings(runtime, name, value):
    """The runtime takes the setting as it is, and so do we."""
    assert not is_refused(runtime, name, value)
    make_ours(name, value)
