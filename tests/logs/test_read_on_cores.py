"""A log of several files that is read on several cores: the same snapshot, the same problems, the same errors."""

import gzip
import json
import os
import subprocess
import sys
import time
import warnings

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from interrupting import assert_ends_at_ctrl_c
from logs.reading import FIXTURES

import acg_lab as acg

IDS = st.sampled_from([None, "a", "b", "c"])
TEXTS = st.sampled_from(["hello", "good day", "what now"])
MARK = {"cache_control": {"type": "ephemeral"}}
TIMES = st.sampled_from([None, 1764460800, 1764460801.5, "2025-11-30T00:00:03"])


@st.composite
def messages(draw):
    """Return the messages of one request; some are marked, or a list of one part, which says the same as a text."""
    parts = []
    for role in ("user", "assistant", "user")[: draw(st.sampled_from([1, 3]))]:
        text, form = draw(TEXTS), draw(st.integers(0, 2))
        part = {"type": "text", "text": text} | (MARK if form == 2 else {})
        parts.append({"role": role, "content": [part] if form else text})
    return parts


@st.composite
def raw_line(draw):
    """Return one line of a log of raw bodies: a request in an envelope, a bare body, an answer, or damage."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(st.sampled_from(["{", "[1,", "null", '{"n": 1}', '{"messages": 3}', "\x00", '{"response": {}}']))
    body = {"model": draw(st.sampled_from(["claude-sonnet-4-5", "gpt-5.1"])), "messages": draw(messages())}
    if draw(st.booleans()):
        body["system"] = draw(TEXTS)
    if draw(st.booleans()):
        body["tools"] = [{"name": draw(TEXTS), "input_schema": {"type": "object"}}]
    if kind == 1:
        return json.dumps(body)
    usage = {"input_tokens": draw(st.sampled_from([7, -1])), "cache_read_input_tokens": 3, "output_tokens": 1}
    answer = {"id": draw(IDS), "type": "message", "role": "assistant", "usage": usage}
    if kind == 2:
        return json.dumps({"custom_id": draw(IDS) or "d", "result": {"type": "succeeded", "message": answer}})
    if kind == 3:
        return json.dumps({"custom_id": draw(IDS) or "d", "params": body})
    line = {"timestamp": draw(TIMES), "call_id": draw(IDS), "session_id": draw(IDS), "agent": draw(IDS)}
    return json.dumps(line | {"request": body} | ({"response": answer} if draw(st.booleans()) else {}))


RAW = st.lists(raw_line(), max_size=5).map("\n".join)
OTHERS = st.sampled_from(
    [(FIXTURES / name).read_text() for name in ("litellm.jsonl", "relay-0.10.4-full/events.jsonl")] + ["", "banner\n"]
)
FILES = st.lists(st.tuples(st.one_of(RAW, RAW, RAW, OTHERS), st.booleans()), min_size=2, max_size=6)
OPTIONS = st.sampled_from(
    [{}, {}, {"strict": True}, {"since": "2025-11-30T00:00:01Z"}, {"fields": {"agent": "who"}}, {"format": "raw"}]
)


def outcome(path, **options):
    """Return all that a load says: the snapshot, or the error that it ends with, and its warnings."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            snap = acg.load(path, progress=False, **options)
        except acg.AcgLabError as error:
            return type(error), str(error)
    pools = snap.runs.messages.texts, sorted(snap.runs.values.texts)
    windows = {key: list(window) for key, window in snap.windows.items()}
    told = list(map(str, snap.problems)), snap.caveats, snap.source, [str(one.message) for one in warned]
    return list(snap.runs), pools, windows, told


@given(FILES, OPTIONS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_law_of_several_cores(tmp_path_factory, files, options):
    """Whatever files hold, packed or not, damaged or not: two processes read what one reads, and say the same of it."""
    folder = tmp_path_factory.mktemp("log")
    for number, (text, is_packed) in enumerate(files):
        data = text.encode()
        packed = gzip.compress(data)
        name = f"{number}.jsonl{'.gz' if is_packed else ''}"
        (folder / name).write_bytes(packed[: len(packed) - number % 2] if is_packed else data)
    assert outcome(folder, n_jobs=2, **options) == outcome(folder, **options)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_interrupting(tmp_path):
    """Ctrl-C while workers parse ends the command and them with one line, within two seconds."""
    body = {"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": "word " * 40}] * 9}
    for day in range(8):
        lines = (json.dumps({"session_id": f"{day}-{line}", "request": body}) for line in range(25_000))
        (tmp_path / f"{day}.jsonl").write_text("\n".join(lines))
    command = [sys.executable, "-m", "acg_lab", "explain", str(tmp_path), "--jobs", "2"]
    started = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    workers = []
    while started.poll() is None and not any(one.cpu_times().user > 0.8 for one in workers):
        time.sleep(0.05)
        workers = psutil.Process(started.pid).children(recursive=True)
    assert_ends_at_ctrl_c(started)
