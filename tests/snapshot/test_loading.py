"""Loading: filters, bad entries, seed entries, and what a snapshot shows of itself."""

import traceback
import warnings

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from learned import SECRET, learned

import acg_lab as acg
from acg_lab.core import analyze_stability
from acg_lab.storage.codec import encode, encode_window


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
    backend = learned()
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
    """Columns of codes are judged as windows are, and the generation is found out."""
    snap = acg.load(learned(rules=rules))
    for key, result in acg.analyze(snap).items():
        assert snap.rules[key].rules == rules
        assert result == snap.stability[key]
        assert result == analyze_stability(snap.windows[key], rules=rules, learning_key=key)


@pytest.mark.parametrize(
    "agent_id", ["a", "a:b::c", "a::model=x", "a::model=m::seed=no-seed::system=no-system::tools=no-tools"]
)
@pytest.mark.parametrize("model", ["m", "x::y", "q::seed=z"])
def test_seed_entries_are_recognised(agent_id, model):
    """Whatever stands in agent ids and models, the plain agent's entry is no profile, and profiles have their agent."""
    snap = acg.load(learned(agent_id, model=model))
    assert set(snap.seeds) == {agent_id}
    assert {snap.owners[key].agent_id for key in snap.windows} == {agent_id}


def test_filters():
    """Agent, keys, time and number each leave what they should."""
    backend = learned("b", backend=learned("a"))
    assert acg.load(backend, agent_id="a").agent_ids == ("a",)
    assert len(acg.load(backend, agent_id="a").runs) == 4
    (key,) = acg.load(backend, agent_id="b").windows
    assert list(acg.load(backend, keys=[key]).windows) == [key]
    late = acg.load(backend, since="2026-11-03", agent_id="b")
    assert (len(late.windows[key]), len(late.runs)) == (4, 2)
    assert late.windows[key] == backend.load_observations(key)[-4:]
    newest = acg.load(backend, limit=3, agent_id="b")
    assert (len(newest.windows[key]), len(newest.runs)) == (3, 3)


@pytest.mark.parametrize(("option", "value"), [("since", "yesterday"), ("limit", 0), ("limit", True), ("rules", "x")])
def test_senseless_filters_are_refused(option, value):
    """An option that makes no sense is named."""
    with pytest.raises(acg.UsageError, match=repr(option)):
        acg.load(learned(), **{option: value})


def test_reprs_hide_prompts_and_escape():
    """What a notebook shows holds counts and ids, escaped, and no prompt text."""
    snap = acg.load(learned("<script>alert(1)</script>"))
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
GOOD_IR = {"ir_id": "i", "blocks": [GOOD_BLOCK], "created_at": "2026-01-01T00:00:00Z"}
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
        (OBSERVATIONS, text([GOOD_IR], ('"ir_id":"i"', '"ir_id":"i","ir_id":"j"')), r"\$\[0\]: expected each"),
        (OBSERVATIONS, text([GOOD_IR], ("2026-01-01T", "2026-13-01T")), r"\[0\]\.created_at: expected an RFC"),
        (OBSERVATIONS, text([GOOD_IR], (SECRET, "\\ud800")), "not JSON"),
        (OBSERVATIONS, text([GOOD_IR], ('"ir_id":"i"', '"ir_id":"i","z":' + "[" * 10_000 + "]" * 10_000)), "nested"),
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
    good = entries(learned())
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
    good = list(entries(learned()).items())
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
    snap = acg.load(learned())
    snap.to_parquet(tmp_path / "export")
    snap.to_redis(redis_url, key_prefix="nemo_relay:")
    acg.load(redis_url).to_parquet(tmp_path / "again")
    assert acg.load(tmp_path / "export") == snap
    assert acg.load(redis_url) == snap
    assert acg.load(tmp_path / "again") == snap
    assert acg.load(tmp_path / "again").columns.key_prefix == "nemo_relay:"


def test_a_redis_is_never_overwritten(redis_url, redis_client):
    """If one key is there already, nothing at all is written."""
    snap = acg.load(learned())
    redis_client.set("nemo_relay:acg_stability:a", "theirs")
    with pytest.raises(acg.UsageError, match="nothing is ever overwritten"):
        snap.to_redis(redis_url, key_prefix="nemo_relay:")
    assert redis_client.keys() == [b"nemo_relay:acg_stability:a"]
    with pytest.raises(acg.UsageError, match="key_prefix"):
        snap.to_redis(redis_url)
