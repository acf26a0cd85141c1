"""What the real runtime says of exported files, and what it learns with them."""

import copy
import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from config.documents import DOCUMENTS, EXAMPLE
from config.test_render import TUNED
from conformance.runtime import VERSIONS, Runtime, RuntimeUnavailable, interpreter

import acg_lab as acg
from acg_lab.config import AcgSettings
from acg_lab.config.document import parse_toml

pytestmark = pytest.mark.slow

FILE_READER = "0.10.4"  # the first of these versions that reads files for Python too
START = Path(__file__).with_name("start.py")
RELAY = Path(__file__).with_name("relay.py")


@pytest.fixture(scope="module", params=VERSIONS)
def runtime(request):
    try:
        with Runtime(request.param) as started:
            yield started
    except RuntimeUnavailable as error:
        pytest.skip(f"no runtime {request.param} here: {error.reason}")


@pytest.fixture
def relay(tmp_path):
    """Return a function that runs `relay.py` in the runtime that reads files."""
    try:
        python = interpreter(FILE_READER)
    except RuntimeUnavailable as error:
        pytest.skip(f"no runtime {FILE_READER} here: {error.reason}")

    def run(*arguments):
        environment = os.environ | {"XDG_CONFIG_HOME": str(tmp_path / "no-config"), "HOME": str(tmp_path)}
        command = [str(python), "-I", str(RELAY), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=environment).stdout

    return run


C = ("components", 0, "config")
COMPLETE = {
    "version": 1,
    "components": [
        {
            "kind": "adaptive",
            "enabled": True,
            "config": {
                "version": 1,
                "agent_id": "support",
                "state": {"backend": {"kind": "in_memory", "config": {}}},
                "telemetry": {"subscriber_name": "lab", "learners": ["acg"]},
                "acg": {
                    "provider": "anthropic",
                    "observation_window": 100,
                    "priority": 50,
                    "stability_thresholds": {
                        "stable_threshold": 0.95,
                        "semi_stable_threshold": 0.5,
                        "min_observations_for_full_confidence": 20,
                    },
                },
                "adaptive_hints": {"priority": 100},
                "tool_parallelism": {"mode": "observe_only"},
                "policy": {"unknown_field": "warn", "unsupported_value": "error"},
            },
        }
    ],
    "policy": {"unknown_component": "warn", "unknown_field": "warn", "unsupported_value": "error"},
}
PLACES = [
    *(("version",), ("components",), ("policy",), ("policy", "unknown_component"), ("policy", "unsupported_value")),
    *(("components", 0), ("components", 0, "kind"), ("components", 0, "enabled"), C, ("odd",), (*C, "odd")),
    *((*C, "version"), (*C, "agent_id"), (*C, "state"), (*C, "state", "backend"), (*C, "state", "backend", "kind")),
    *((*C, "state", "backend", "config"), (*C, "telemetry"), (*C, "telemetry", "learners")),
    *((*C, "telemetry", "learners", 0), (*C, "telemetry", "subscriber_name"), (*C, "policy"), (*C, "acg")),
    *((*C, "policy", "unknown_field"), (*C, "policy", "unsupported_value"), (*C, "adaptive_hints")),
    *((*C, "acg", "provider"), (*C, "acg", "observation_window"), (*C, "acg", "priority")),
    *((*C, "acg", "stability_thresholds"), (*C, "acg", "stability_thresholds", "stable_threshold")),
    (*C, "acg", "stability_thresholds", "min_observations_for_full_confidence"),
    *((*C, "adaptive_hints", "priority"), (*C, "tool_parallelism"), (*C, "tool_parallelism", "mode")),
]
ABSENT = object()
VALUES = [ABSENT, True, 0, 2, -1, 1.0, 2.5, "", "acg", "yes", "warn", "error", {}, {"a": 1}, 2**32]


def put(place, value, document=COMPLETE):
    """Return a copy of a document with one value changed or removed."""
    changed = copy.deepcopy(document)
    table = changed
    for name in place[:-1]:
        table = table[name]
    if value is ABSENT:
        del table[place[-1]]
    else:
        table[place[-1]] = value
    return changed


def generate_documents(redis_url):
    """Return documents with one value of another kind, with every backend, and with each policy."""
    there = {(*C, "odd"), ("odd",)}
    found = [put(place, value) for place in PLACES for value in VALUES if value is not ABSENT or place not in there]
    backend = (*C, "state", "backend")
    for kind, config in [
        *(("redis", None), ("redis", {}), ("redis", {"url": 5}), ("redis", {"url": ""}), ("redis", {"url": "cache"})),
        *(("redis", {"url": redis_url}), ("redis", {"url": redis_url, "key_prefix": "p:"}), ("in_memory", {"a": 1})),
        ("Redis", {"url": redis_url}),
    ]:
        value = {"kind": kind} if config is None else {"kind": kind, "config": config}
        found += [put(backend, value), put(("components", 0, "enabled"), False, put(backend, value))]
    for action in ("ignore", "warn", "error"):
        for policy in (("policy", "unsupported_value"), (*C, "policy", "unsupported_value")):
            places = [("version",), (*C, "version"), (*C, "acg", "provider"), (*C, "tool_parallelism", "mode")]
            found += [put(place, 2 if place[-1] == "version" else "x", put(policy, action)) for place in places]
    for start in ({}, {"version": 1}, {"version": 2}, {"version": 1, "components": []}):
        found.append(start)
    found.append(put(("components",), [{"kind": "adaptive"}, {"kind": "adaptive"}]))
    found += [put(("components",), [{"kind": "adaptive", "config": {"version": n}}]) for n in (1, 2, "1")]
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_same_verdict_as_the_runtime(version, redis_url, tmp_path):
    """A document is refused exactly if the runtime refuses it or can't start with it; so with all generated ones.

    Left out: arrays in place of tables, which production reads by position; null, which the versions read differently;
    and kinds of components that other packages register.
    """
    try:
        python = interpreter(version)
    except RuntimeUnavailable as error:
        pytest.skip(f"no runtime {version} here: {error.reason}")
    documents = [document for document in generate_documents(redis_url) if not has_other_kind(document)]
    assert len(documents) >= 200
    exports = [written for document in documents if (written := export_or_none(document)) is not None]
    refusals = ask_whether_it_starts(python, [*documents, *exports], tmp_path)
    for document, refusal in zip(documents, refusals, strict=False):
        error = error_of(document)
        assert bool(error) == bool(refusal), f"{error or 'read as fine'}; runtime: {refusal or 'fine'}; {document}"
    assert len(exports) > 100
    for written, refusal in zip(exports, refusals[len(documents) :], strict=True):
        assert not refusal, f"{refusal}: {written}"


def has_other_kind(document):
    """Return whether a component is of a kind that another package may have registered."""
    components = document.get("components") or ()
    kinds = [item.get("kind") for item in components if isinstance(item, dict)] if isinstance(components, list) else []
    return any(isinstance(kind, str) and kind != "adaptive" for kind in kinds)


def ask_whether_it_starts(python, documents, home):
    """Return for each document why a runtime refuses it, or an empty text."""
    environment = os.environ | {"XDG_CONFIG_HOME": str(home), "HOME": str(home)}
    answer = subprocess.run(
        [str(python), "-I", str(START)],
        input=json.dumps(documents),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        env=environment,
    )
    return json.loads(answer.stdout)


def error_of(document):
    """Return why we refuse to read a document; that it has nothing to read is no reason."""
    try:
        acg.load_config(document)
    except acg.RecordError as error:
        return "" if "expected a component of kind" in str(error) else str(error)
    return ""


def export_or_none(document):
    """Return what we write, or None for a document that we refuse."""
    try:
        return acg.export_config(document, TUNED)
    except acg.RecordError:
        return None


def export(folder, name, settings=TUNED):
    """Export into a copy of a document; return the path."""
    path = folder / "plugins.toml"
    if name is not None:
        path.write_bytes(DOCUMENTS[name].encode())
    return acg.export_config(path, settings, note="tuned\non data")


def as_json(text):
    """Return a document as the bindings take it, who know no dates."""
    return json.loads(json.dumps(parse_toml(text), default=str))


@pytest.mark.parametrize("name", [None, *DOCUMENTS])
def test_validates(runtime, tmp_path, name):
    """Production says nothing of an exported file that it did not say before, and no error of any."""
    path = export(tmp_path, name)
    before = runtime.validate(as_json(DOCUMENTS[name])) if name else []
    after = runtime.validate(as_json(path.read_bytes().decode()))
    assert [said for said in after if said["level"] == "error"] == []
    known = set(map(json.dumps, before))
    assert [said for said in after if json.dumps(said) not in known] == []


def test_validates_the_file(relay, tmp_path):
    """The runtime reads exported files by itself, whatever their form, and finds no more than before."""
    before, after = [], []
    for i, (name, text) in enumerate(DOCUMENTS.items()):
        for folder in (tmp_path / f"before{i}", tmp_path / f"after{i}"):
            folder.mkdir()
        before.append(tmp_path / f"before{i}" / "plugins.toml")
        before[-1].write_bytes(text.encode())
        after.append(export(tmp_path / f"after{i}", name))
    said_before, said_after = (json.loads(relay("validate", *paths)) for paths in (before, after))
    for name, old, new in zip(DOCUMENTS, said_before, said_after, strict=True):
        assert isinstance(new, list), f"{name}: {new}"
        assert not any(level == "error" for level, _ in new), name
        allowed = Counter(map(tuple, old if isinstance(old, list) else [["warning", "plugin.configuration_inherited"]]))
        assert not Counter(map(tuple, new)) - allowed, name


def make_body(i):
    """Make a request whose second block is the dominant one in 9 of 10."""
    messages = [
        {"role": "system", "content": "You are support."},
        {"role": "user", "content": "today" if i % 10 else f"day {i}"},
        {"role": "user", "content": "same"},
        {"role": "user", "content": f"question {i}"},
    ]
    return {"model": "m", "messages": messages}


@pytest.mark.parametrize(
    "settings",
    [
        AcgSettings(acg.StabilityThresholds(stable_threshold=0.9), 10),
        AcgSettings(acg.StabilityThresholds(stable_threshold=0.95, semi_stable_threshold=0.05), 20),
        AcgSettings(
            acg.StabilityThresholds(
                stable_threshold=0.75, semi_stable_threshold=0.75, min_observations_for_full_confidence=40
            ),
            7,
        ),
    ],
)
def test_the_runtime_learns_with_them(relay, redis_url, tmp_path, settings):
    """Started with the exported file over Redis, the runtime stores what we compute under these settings."""
    path = tmp_path / "plugins.toml"
    path.write_text(EXAMPLE.replace("redis://127.0.0.1:6379/0", redis_url), encoding="utf-8")
    acg.export_config(path, settings)
    relay("learn", path, json.dumps([make_body(i) for i in range(25)]))
    snap = acg.load(redis_url)
    assert len(snap.runs) == 25
    (stored,) = snap.stability.values()
    (expected,) = acg.analyze(snap, settings.thresholds).values()
    assert stored == expected
    assert stored.total_observations == min(25, settings.observation_window)
    assert len({score.classification for score in stored.scores}) > 1
    if settings.thresholds != acg.StabilityThresholds():
        (other,) = acg.analyze(snap).values()
        assert stored != other
