"""Loading: filters, bad entries, seed entries, and what a snapshot shows of itself."""

import re
import traceback
import warnings
from datetime import UTC, date, datetime, timedelta

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from learned_backend import SECRET, learned_backend
from strategies import ID, TIME

import acg_lab as acg
from acg_lab.core import analyze_stability
from acg_lab.core.codec import encode, encode_window
from acg_lab.storage.base import Entry
from acg_lab.storage.memory import MemoryBackend


def entries(backend):
    """Return what a Redis would hold of a backend's windows and results."""
    found = {f"nemo_relay:acg_observations:{key}": encode_window(w).decode() for key, w in backend._windows.items()}
    return found | {f"nemo_relay:acg_stability:{key}": encode(r).decode() for key, r in backend._results.items()}


def table(tmp_path, rows):
    """Write a plain table of keys and values."""
    path = tmp_path / "kv.parquet"
    keys, values = zip(*rows, strict=True)
    pq.write_table(pa.table({"key": list(keys), "value": pa.array(values, pa.string())}), path)
    return path


def test_a_snapshot_holds_what_was_stored():
    """Windows, results and runs are those of the backend; seed entries are no profiles."""
    backend = learned_backend()
    snap = acg.load(backend)
    (key,) = snap.windows
    assert snap.agent_ids == ("a",)
    assert snap.windows[key] == backend.load_observations(key)
    assert snap.stability[key] == backend.load_stability(key)
    assert tuple(snap.runs) == backend.list_runs("a")
    assert dict(snap.seeds) == {"a": (backend.load_observations("a"), backend.load_stability("a"))}
    assert acg.load(snap) is snap


@pytest.mark.parametrize("rules", ["nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8"])
def test_analyze_is_the_learners_analysis(rules):
    """Columns of codes are judged as windows are, and the rules version is found out."""
    snap = acg.load(learned_backend(rules=rules))
    for key, result in acg.analyze(snap).items():
        assert snap.rules[key].rules == rules
        assert result == snap.stability[key]
        assert result == analyze_stability(snap.windows[key], rules=rules, learning_key=key)


@pytest.mark.parametrize(
    "agent_id", ["a", "a:b::c", "a::model=x", "a::model=m::seed=no-seed::system=no-system::tools=no-tools"]
)
@pytest.mark.parametrize("model", ["m", "x::y", "q::seed=z"])
def test_seed_entries_are_recognised(agent_id, model):
    """Whatever is in agent ids and models, the plain agent's entry is no profile, and profiles have their agent."""
    snap = acg.load(learned_backend(agent_id, model=model))
    assert set(snap.seeds) == {agent_id}
    assert {snap.owners[key].agent_id for key in snap.windows} == {agent_id}


def test_filters():
    """Agent, keys, time and number each leave what they should."""
    backend = learned_backend("b", backend=learned_backend("a"))
    assert acg.load(backend, agent_id="a").agent_ids == ("a",)
    assert len(acg.load(backend, agent_id="a").runs) == 4
    (key,) = acg.load(backend, agent_id="b").windows
    assert list(acg.load(backend, keys=[key]).windows) == [key]
    late = acg.load(backend, since="2026-11-03", agent_id="b")
    assert (len(late.windows[key]), len(late.runs)) == (4, 2)
    assert late.windows[key] == backend.load_observations(key)[-4:]
    newest = acg.load(backend, limit=3, agent_id="b")
    assert (len(newest.windows[key]), len(newest.runs)) == (3, 3)


SENSELESS = [
    ("since", "yesterday", "must be a date, an RFC 3339 time or a datetime; got 'yesterday'"),
    ("since", "", "got ''"),
    ("since", 5, "got 5"),
    ("limit", 0, "must be a positive integer; got 0"),
    ("limit", -3, "got -3"),
    ("limit", True, "got True"),
    ("limit", 2.0, "got 2.0"),
    ("keys", "a", "must be a collection of str, such as a list; got 'a'"),
    ("keys", [5], "got [5]"),
    ("keys", 5, "got 5"),
    ("agent_id", 5, "must be a str; got 5"),
    ("rules", "x", "must be one of 'nemo-flow-0.2', 'nemo-relay-0.6', 'nemo-relay-0.8'; got 'x'"),
]


@pytest.mark.parametrize(("option", "value", "message"), SENSELESS)
def test_senseless_filters_are_refused(option, value, message):
    """An option that makes no sense is named, with what it may be, before anything is read."""
    for source in (learned_backend(), "redis://127.0.0.1:1/0"):
        with pytest.raises(acg.UsageError) as caught:
            acg.load(source, **{option: value})
        assert str(caught.value).startswith(f"The {option!r} ")
        assert message in str(caught.value)


DAY = datetime(2026, 11, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "n_runs"),
    [
        *((since, 2) for since in ("2026-11-03", "20261103", date(2026, 11, 3), DAY, DAY.replace(tzinfo=None))),
        *((since, 2) for since in ("2026-11-03T08:00:00Z", "2026-11-03T10:00+02:00", "2026-11-03T08:00:00")),
        ("2026-11-03T08:00:00.000000001Z", 1),
        (DAY + timedelta(hours=9), 1),
        ("1969-07-20", 4),
        ("9999-12-31T23:59:59Z", 0),
    ],
)
def test_since(since, n_runs):
    """What began before a date or time is dropped, to the nanosecond; without a zone it is UTC."""
    snap = acg.load(learned_backend(), since=since)
    assert (len(snap.runs), len(*snap.windows.values())) == (n_runs, 2 * n_runs)


@pytest.mark.parametrize("kind", ["memory", "export", "table", "redis"])
def test_filters_of_every_source(tmp_path, request, kind):
    """Agents whose ids continue one another are reported apart, and filters leave the same, wherever it is read."""
    backend = MemoryBackend()
    agents = ("a", "a:b", "a::model=x", "a::model=m::seed=no-seed::system=no-system::tools=no-tools", "ab")
    for agent_id in agents:
        learned_backend(agent_id, n_runs=3, backend=backend)
    whole = acg.load(backend)
    source = backend
    if kind == "redis":
        source = request.getfixturevalue("redis_url")
        whole.to_redis(source, key_prefix="p:")
    elif kind == "export":
        source = tmp_path / "export"
        whole.to_parquet(source)
    elif kind == "table":
        rows = entries(backend)
        rows |= {f"nemo_relay:runs:{run.agent_id}:{run.id}": encode(run).decode() for run in whole.runs}
        source = table(tmp_path, rows.items())
    assert acg.load(source) == whole
    for agent_id in agents:
        snap = acg.load(source, agent_id=agent_id)
        assert snap == acg.load(learned_backend(agent_id, n_runs=3))
        assert snap.agent_ids == (agent_id,)
        (key,) = snap.windows
        assert list(acg.load(source, keys={key}, agent_id=agent_id, limit=2).windows) == [key]
        assert list(acg.load(source, keys=[key]).windows) == [key]
    with pytest.raises(acg.UsageError, match=f"There is no agent 'none' in .*; it holds .*'{agents[0]}'"):
        acg.load(source, agent_id="none")


def test_filters_leave_stored_results_alone():
    """Results are those that were stored, of whole windows, however windows are cut."""
    snap = acg.load(learned_backend(), limit=1)
    assert dict(snap.stability) == dict(acg.load(learned_backend()).stability)
    assert snap.is_filtered
    assert not acg.load(learned_backend()).is_filtered


class Foreign:
    """A backend that is none of ours."""

    label = "my own store"

    def __init__(self, *documents):
        self.documents = documents

    def _refuse(self, *_):
        raise AssertionError

    load_observations = load_stability = list_runs = store_observations = store_stability = store_run = _refuse

    def scan(self, selection, progress):
        for document in self.documents:
            if selection.wants_key(document.key):
                progress(1, 0)
                yield document


def test_any_backend():
    """Whatever keeps the protocol is read, by its scan alone."""
    snap = acg.load(Foreign(Entry("observations", "x", text([GOOD_IR]).encode())))
    assert (snap.source, len(snap.seeds["x"].window)) == ("my own store", 1)
    with pytest.warns(
        acg.LoadWarning, match=r"^my own store: 1 entry can't be read; see \.problems\. First: my own store"
    ):
        acg.load(Foreign(Entry("observations", "x", b"{")))


@pytest.mark.parametrize("source", [None, 5, b"redis://h", [], "", "redis+sentinel://h", "http+unix://"])
def test_what_is_no_source(source):
    """What is no source is refused; the message says what may be one."""
    with pytest.raises((acg.UsageError, acg.SourceError)) as caught:
        acg.load(source)
    assert isinstance(caught.value, acg.AcgLabError)


@pytest.mark.parametrize(
    "url",
    [
        *(
            f"{scheme}://{user}127.0.0.1:1/{rest}"
            for scheme in ("redis", "rediss")
            for user in ("u:hunter2@", ":hunter2@", "u:hunter%402@", "u:hunter2/@")
            for rest in ("zero", "0?nonsense=1", "0?socket_timeout=hunter2", "0?password=hunter2#x")
        ),
        "redis://u:hunter2@127.0.0.1:1/0",
        "rediss://u:hunter2@no-such-host.invalid/0",
        "unix://u:hunter2@/no/such/redis.sock",
        "nosuch://u:hunter2@host/x",
        "memory://u:hunter2@host/x",
    ],
)
def test_passwords_are_never_shown(url):
    """Not in messages, reprs, causes or tracebacks, whatever goes wrong with the address."""
    with pytest.raises((acg.SourceError, acg.UsageError)) as caught:
        acg.load(url)
    assert "hunter" not in "".join(traceback.format_exception(caught.value)).replace(__file__, "")
    assert "hunter" not in repr(caught.value) + repr(caught.value.args)


def test_bad_entries_of_a_redis(redis_url, redis_client):
    """Each is one problem, and the good ones are all loaded."""
    snap = acg.load(learned_backend())
    snap.to_redis(redis_url, key_prefix="p:")
    redis_client.lpush("p:acg_observations:list", "x")
    redis_client.set("p:acg_stability:cut", '{"scores":[{"span_id":"user-0"')
    redis_client.set("p:runs_index:text", "x")
    redis_client.rpush("p:runs_index:a", "gone", "run-1")
    redis_client.set(b"p:acg_stability:\xff", "{}")
    redis_client.set("p:runs:b:orphan", text({**RUN, "agent_id": "b", "id": "orphan"}))
    redis_client.set("p:plan:a", "not ours")
    redis_client.set("other:runs:a:x", "not ours")
    with pytest.warns(acg.LoadWarning, match="5 entries can't be read"):
        again = acg.load(redis_url)
    assert sorted((problem.key, problem.reason) for problem in again.problems) == [
        ("p:acg_observations:list", "expected a string, got a list"),
        ("p:acg_stability:\\xff", "expected a key in UTF-8, got other bytes"),
        ("p:acg_stability:cut", "not JSON: it ends too early"),
        ("p:runs:a:gone", "expected the run of an id in the index, got none"),
        ("p:runs_index:text", "expected a list of run ids, got a key of another type"),
    ]
    assert {problem.source for problem in again.problems} == {redis_url}
    assert dict(again.windows) == dict(snap.windows)
    assert dict(again.seeds) == dict(snap.seeds)
    assert [run for run in again.runs if run.agent_id == "a"] == list(snap.runs)
    assert [run.id for run in again.runs if run.agent_id == "b"] == ["orphan"]
    with pytest.raises(acg.RecordError, match=re.escape(redis_url)):
        acg.load(redis_url, strict=True)
    assert acg.load(redis_url, agent_id="b").problems == ()


def test_the_warning_points_at_the_caller(tmp_path):
    """It is raised once, at the line that loads, whatever the number of problems."""
    path = table(tmp_path, [("nemo_relay:acg_stability:a", "{"), ("nemo_relay:acg_stability:b", "[")])
    with pytest.warns(acg.LoadWarning, match="2 entries can't be read") as caught:
        snap = acg.load(path)
    assert [warning.filename for warning in caught] == [__file__]
    assert "2 problems (see .problems)" in repr(snap)


def test_reprs_hide_prompts_and_escape():
    """What a notebook shows holds counts and ids, escaped, and no prompt text."""
    snap = acg.load(learned_backend("<script>alert(1)</script>"))
    assert "1 profile, 8 observations" in repr(snap)
    assert SECRET not in repr(snap) + snap._repr_html_()
    assert "<script>" not in snap._repr_html_()
    assert "&lt;script&gt;" in snap._repr_html_()


GOOD_BLOCK = {
    "span_id": "user-0",
    "sequence_index": 0,
    "role": "user",
    "content": SECRET,
    "content_type": "text",
    "provenance": "user",
}
GOOD_IR = {"ir_id": ID, "blocks": [GOOD_BLOCK], "created_at": TIME}
RESULT = {"scores": [], "stable_prefix_length": 0, "total_observations": 0}
RUN = {"id": "r", "agent_id": "a", "calls": [], "started_at": "2026-01-01T00:00:00Z"}
OBSERVATIONS, STABILITY, RUNS = "acg_observations:x", "acg_stability:x", "runs:a:r"


def text(value, *changes):
    raw = msgspec.json.encode(value).decode()
    for old, new in changes:
        assert old in raw
        raw = raw.replace(old, new)
    return raw


@pytest.mark.parametrize(
    ("key", "raw", "message"),
    [
        (OBSERVATIONS, text([GOOD_IR])[:-9], r"at \$"),
        (OBSERVATIONS, "", r"at \$: "),
        (OBSERVATIONS, text({}), r"at \$: expected array, got object"),
        (OBSERVATIONS, text([GOOD_IR], ('"user-0"', "null")), r"\[0\]\.span_id: expected str, got null"),
        (OBSERVATIONS, text([GOOD_IR], ('"sequence_index":0', '"sequence_index":-1')), r"blocks\[0\]\.sequence_index"),
        (OBSERVATIONS, text([GOOD_IR], ('"sequence_index":0', '"sequence_index":NaN')), "not JSON"),
        (OBSERVATIONS, text([GOOD_IR], ('"role":"user"', '"role":"king"')), r"blocks\[0\]\.role: "),
        (OBSERVATIONS, text([GOOD_IR], ('"role":"user"', '"role":"user","role":"user"')), r"'role' twice"),
        (OBSERVATIONS, text([GOOD_IR], (f'"ir_id":"{ID}"', '"ir_id":"i","ir_id":"j"')), r"\$\[0\]: expected each"),
        (OBSERVATIONS, text([GOOD_IR], ("2026-01-01T", "2026-13-01T")), r"\[0\]\.created_at: expected an RFC"),
        (OBSERVATIONS, text([GOOD_IR], (SECRET, "\\ud800")), "not JSON"),
        (OBSERVATIONS, text([GOOD_IR], ('"ir_id":', '"z":' + "[" * 10_000 + "]" * 10_000 + ',"ir_id":')), "nested"),
        (STABILITY, text(RESULT, ('"total_observations":0', '"total_observations":-1')), r"at \$\.total_observations"),
        (STABILITY, text(RESULT, ('"total_observations":0', '"total_observations":18446744073709551616')), r"2\*\*64"),
        (RUNS, text(RUN, ('"calls":[]', '"calls":[{"kind":"llm"}]')), r"\$\.calls\[0\]: "),
        (RUNS, text(RUN, ('"calls":[]', '"calls":{}')), r"\$\.calls: expected array, got object"),
        (
            RUNS,
            text({**RUN, "calls": [{"kind": "llm", "name": "n", "started_at": RUN["started_at"],
                 "annotated_request": {"messages": [{"role": "user", "content": 1}, 5]}}]}),
            r"\$\.calls\[0\]\.annotated_request\.messages\[1\]: expected an object",
        ),
        (RUNS, text(RUN, ("2026-01-01T00", "soon")), r"at \$\.started_at: expected an RFC 3339 time"),
    ],
)  # fmt: skip
def test_one_bad_entry_does_not_hide_the_good_ones(tmp_path, key, raw, message):
    """It is reported with source, key and path, and raised in strict mode; no text of the document is shown."""
    good = entries(learned_backend())
    path = table(tmp_path, [*good.items(), (f"nemo_relay:{key}", raw)])
    with pytest.warns(acg.LoadWarning, match="1 entry can't be read"):
        snap = acg.load(path)
    (problem,) = snap.problems
    assert str(problem).startswith(f"{path}, key ")
    assert SECRET not in str(problem)
    with pytest.raises(acg.RecordError, match=message) as caught:
        acg.load(path, strict=True)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert len(snap.windows) == 1
    assert snap.seeds["a"].window


def test_a_key_that_stands_twice_is_reported(tmp_path):
    """The first of two equal keys is kept, the second told."""
    good = list(entries(learned_backend()).items())
    path = table(tmp_path, [*good, good[0]])
    with pytest.warns(acg.LoadWarning):
        snap = acg.load(path)
    assert "each key once" in str(snap.problems[0])


def test_empty_windows_and_runs_without_calls_are_no_problem(tmp_path):
    """They are read as what they are."""
    path = table(tmp_path, [(f"nemo_relay:{OBSERVATIONS}", "[]"), (f"nemo_relay:{RUNS}", text(RUN))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        snap = acg.load(path)
    assert (snap.problems, len(snap.runs)) == ((), 1)
    assert snap.seeds["x"] == ((), None)
    assert acg.analyze(snap) == {}


def test_every_source_gives_the_same(tmp_path, redis_url):
    """Memory, its Parquet export, a Redis that it was written to, and the export of that are equal."""
    snap = acg.load(learned_backend())
    snap.to_parquet(tmp_path / "export")
    snap.to_redis(redis_url, key_prefix="nemo_relay:")
    acg.load(redis_url).to_parquet(tmp_path / "again")
    assert acg.load(tmp_path / "export") == snap
    assert acg.load(redis_url) == snap
    assert acg.load(tmp_path / "again") == snap
    assert acg.load(tmp_path / "again").columns.key_prefix == "nemo_relay:"


def test_a_redis_is_never_overwritten(redis_url, redis_client):
    """If one key is there already, nothing at all is written."""
    snap = acg.load(learned_backend())
    redis_client.set("nemo_relay:acg_stability:a", "theirs")
    with pytest.raises(acg.UsageError, match="nothing is ever overwritten"):
        snap.to_redis(redis_url, key_prefix="nemo_relay:")
    assert redis_client.keys() == [b"nemo_relay:acg_stability:a"]
    with pytest.raises(acg.UsageError, match="key_prefix"):
        snap.to_redis(redis_url)
