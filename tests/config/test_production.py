"""What the real runtime says of exported files, and what it learns with them."""

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
