"""Histories in pieces: what is added piece by piece is what one export holds, and joining them changes nothing."""

import json
import os
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import duckdb
import msgspec
import pandas as pd
import polars as pl
import pytest
from examples import scaled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from learned_backend import SECRET, learned_backend
from odd_records import KEYS, backend_of, odd_results, odd_runs, odd_windows
from strategies import make_ir, make_request, make_run

import acg_lab as acg
from acg_lab.cli import main
from acg_lab.fleet import append_history, compact_history
from acg_lab.snapshot.agent_names import measure_agents
from acg_lab.storage import parquet_history, parquet_pieces
from acg_lab.storage.memory import MemoryBackend

KINDS = (None, "agent")
SURE = [key for key in KEYS if not key.startswith("a::")]  # whose key it is does not depend on other agents


def day(number, agents=("a", "b")):
    """Return the source after some days: each has the run of each agent."""
    backend = MemoryBackend()
    for agent_id in agents:
        learned_backend(agent_id, n_runs=number, backend=backend)
    return acg.load(backend)


def run_ids(snapshot):
    return [(run.agent_id, run.id) for run in snapshot.runs]


def content(folder):
    """Return every file of a folder with its bytes and its time."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def documents():
    return st.tuples(
        st.dictionaries(st.sampled_from(SURE), odd_windows(), max_size=3),
        st.dictionaries(st.sampled_from(SURE), odd_results(), max_size=2),
        st.lists(odd_runs(), max_size=3),
    )


@settings(max_examples=scaled(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(documents(), min_size=1, max_size=3), st.sampled_from(KINDS))
def test_pieces_add_up(days, kind):
    """All runs are there as in one export; windows and results are an agent's newest; joining changes nothing."""
    runs, newest = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "history"
        for windows, results, recorded in days:
            snap = acg.load(backend_of(windows, results, recorded), include_private=True)
            snap.to_parquet(place, append=True, partition_by=kind)
            for run in snap.runs:
                runs.setdefault(run.agent_id, {}).setdefault(run.id, run)
            newest |= dict.fromkeys((owner.agent_id for owner in snap.owners.values()), snap)
        if not list(place.glob("_pieces/*.json")):
            assert not any(any(day) for day in days)
            return
        whole = acg.load(place)
        assert list(whole.runs) == [run for agent_id in sorted(runs) for run in runs[agent_id].values()]
        stored, judged = whole.columns.observations, whole.columns.results
        found = {key: (stored.window(i), judged.get(key)) for key, i in stored.number.items()}
        for agent_id, snap in newest.items():
            own = [key for key, owner in snap.owners.items() if owner.agent_id == agent_id]
            observations = snap.columns.observations
            for key in own:
                assert judged.get(key) == snap.columns.results.get(key)
                if key in observations.number:
                    assert found[key] == (observations.window(observations.number[key]), judged.get(key))
        joined = compact_history(place)
        assert acg.load(place) == whole
        assert len(list(place.glob("_pieces/*.json"))) == 1
        assert (joined.piece is None) == (len(joined.pieces) == 1)


@pytest.mark.parametrize("kind", KINDS)
def test_day_by_day(tmp_path, kind):
    """Three days added one by one load as one export; each piece holds its day; what is there keeps its bytes."""
    before = {}
    for number in (1, 2, 3):
        added = append_history(day(number), tmp_path / "history", partition_by=kind)
        assert run_ids(added.snapshot) == [("a", f"run-{number - 1}"), ("b", f"run-{number - 1}")]
        after = content(tmp_path / "history")
        assert before.items() <= after.items()
        before = after
    day(3).to_parquet(tmp_path / "whole", partition_by=kind)
    assert acg.load(tmp_path / "history") == acg.load(tmp_path / "whole")
    assert acg.load(tmp_path / "history", agent_id="b") == acg.load(tmp_path / "whole", agent_id="b")
    assert tuple(measure_agents(tmp_path / "history")) == ("a", "b")
    table = f"{tmp_path}/history/runs/**/*.parquet"
    counts = duckdb.sql(f"select count(*), count(distinct piece), count(distinct agent_id) from '{table}'")
    assert counts.fetchall() == [(6, 3, 2)]
    assert pl.scan_parquet(table, hive_partitioning=True).collect().height == 6
    assert len(pd.read_parquet(tmp_path / "history" / "runs")) == 6


@settings(max_examples=scaled(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(documents(), min_size=1, max_size=4), st.sampled_from(KINDS), st.data())
def test_pieces_that_end_before_since(days, kind, data):
    """What is not opened since it is too old changes nothing: as of pieces that don't say when their runs started."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "history"
        for number, (windows, results, recorded) in enumerate(days):
            snap = acg.load(backend_of(windows, results, recorded), include_private=True)
            origin = snap.columns.origin._replace(caveats=(f"of day {number % 2}",))
            replace(snap, columns=replace(snap.columns, origin=origin)).to_parquet(
                place, append=True, partition_by=kind
            )
        markers = list(place.glob("_pieces/*.json"))
        if not markers:
            return
        starts = [run.started_at for run in acg.load(place).runs] or ["2026-11-01T00:00:00Z"]
        asked = {"since": data.draw(st.sampled_from([*starts, "9999-01-01"])), "include_private": True}
        if data.draw(st.booleans()):
            asked["agent_id"] = data.draw(st.sampled_from(sorted(measure_agents(place)) or [None]))
        skipping = acg.load(place, **asked)
        for marker in markers:
            told = json.loads(marker.read_bytes())
            marker.write_text(json.dumps({name: value for name, value in told.items() if name != "last_start"}))
        whole = acg.load(place, **asked)
        assert skipping == whole
        assert skipping.columns.rules == whole.columns.rules
        assert skipping.columns.origin == whole.columns.origin


@pytest.mark.parametrize("kind", KINDS)
def test_old_pieces_are_not_opened(tmp_path, kind):
    """Of a history of days the last one opens no file of those before, but for agents that are gone since."""
    place = tmp_path / "history"
    for number in range(1, 4):
        backend = MemoryBackend()
        for agent_id in ("a", "b") if number > 1 else ("a", "b", "gone"):
            learned_backend(agent_id, n_runs=1, backend=backend)
            run = make_run(make_request("x"), agent_id=agent_id, run_id=f"{agent_id}-{number}")
            backend.store_run(msgspec.structs.replace(run, started_at=f"2026-11-{number:02}T10:00:00Z"))
            backend._runs[agent_id].pop("run-0")
        append_history(backend, place, partition_by=kind)
    asked = {"since": "2026-11-03"}
    expected, gone = acg.load(place, **asked), acg.load(place, agent_id="gone", **asked)
    assert run_ids(expected) == [("a", "a-3"), ("b", "b-3")]
    assert gone.windows
    second = sorted(place.glob("_pieces/*.json"))[1].stem
    for path in place.glob(f"*/piece={second}/**/*.parquet"):
        path.write_bytes(b"not Parquet")
    assert acg.load(place, **asked) == expected
    assert acg.load(place, agent_id="gone", **asked) == gone
    with pytest.raises(acg.SourceError, match="not everything can be read"):
        compact_history(place)


def test_large_histories_are_cut_agent_by_agent(tmp_path, monkeypatch):
    """A large history without partitions is partitioned in the memory of one agent, with the same contents."""
    place = tmp_path / "history"
    for number in (1, 2, 3):
        append_history(day(number, agents=("a", "a-b", "b")), place)
    whole, read = acg.load(place), []
    read_pieces = parquet_history.read_pieces
    monkeypatch.setattr(parquet_history, "_LARGE", 0)
    monkeypatch.setattr(
        parquet_history, "read_pieces", lambda *given: (read.append(given[1].agent_id), read_pieces(*given))[1]
    )
    compact_history(place, partition_by="agent")
    assert read == ["a", "a-b", "b"]
    assert acg.load(place) == whole
    assert len(list(place.glob("calls/*/*"))) == 3


def test_what_production_trims_history_keeps(tmp_path):
    """Runs that the source dropped, and an agent that is gone from it, stay; a profile that expired goes."""
    append_history(day(3), tmp_path / "history")
    backend = learned_backend("a", n_runs=5, model="other")
    for run_id in ("run-0", "run-1", "run-2", "run-3"):
        backend._runs["a"].pop(run_id)
    added = append_history(backend, tmp_path / "history")
    assert run_ids(added.snapshot) == [("a", "run-4")]
    snap = acg.load(tmp_path / "history")
    assert Counter(run.agent_id for run in snap.runs) == {"a": 4, "b": 3}
    assert {"model=other" in key for key in snap.windows if snap.owners[key].agent_id == "a"} == {True}
    assert acg.load(tmp_path / "history", agent_id="b") == acg.load(learned_backend("b", n_runs=3))


def test_nothing_new(tmp_path):
    """Without a new run or another window nothing is written; windows alone are a piece, too."""
    place = tmp_path / "history"
    append_history(day(2), place)
    before = content(place)
    again = append_history(day(2), place)
    assert (again.piece, len(again.snapshot.runs), str(again)) == ("", 0, f"nothing new for {place}")
    assert content(place) == before
    learned = day(3)
    windows_alone = replace(learned, columns=replace(learned.columns, runs=learned.runs.take([])))
    assert append_history(windows_alone, place).piece
    assert dict(acg.load(place).windows) == dict(learned.windows)
    assert len(acg.load(place).runs) == 4


def test_an_export_is_the_first_piece(tmp_path):
    """To a plain export pieces are added beside it; it stays as it is, until they are joined."""
    place = tmp_path / "export"
    day(1).to_parquet(place)
    before = content(place)
    append_history(day(2), place)
    assert before.items() <= content(place).items()
    assert acg.load(place) == day(2)
    assert tuple(measure_agents(place)) == ("a", "b")
    joined = compact_history(place, partition_by="agent")
    assert joined.pieces[0].name == ""
    assert acg.load(place) == day(2)
    assert not list(place.glob("*.parquet"))
    assert len(list(place.glob("calls/*/agent_id=*"))) == 2


def test_a_log_is_added_once(tmp_path):
    """A log adds the runs that it holds, and nothing the second time, though its windows are learned anew."""
    place = tmp_path / "history"
    first = append_history("sample-log", place)
    assert len(first.snapshot.runs) == len(acg.load(place).runs) == len(acg.load("sample-log").runs)
    assert acg.load(place).learned_here
    assert not append_history("sample-log", place).piece


def test_shares_of_traffic_add_up(tmp_path):
    """Pieces of a log of a tenth of the traffic, and of one of all, hold together what lies between, and say so."""
    place = tmp_path / "history"
    columns = day(1).columns
    columns = replace(columns, origin=columns.origin._replace(sample_rate=0.1))
    append_history(replace(day(1), columns=columns), place)
    append_history(day(2), place)
    whole = acg.load(place)
    assert whole.sample_rate == pytest.approx(8 / (4 / 0.1 + 4))
    assert any("different shares" in caveat for caveat in whole.caveats)


def test_joining(tmp_path):
    """It says what it did; a second time there is nothing to do."""
    place = tmp_path / "history"
    for number in (1, 2):
        append_history(day(number), place, partition_by="agent")
    whole = acg.load(place)
    joined = compact_history(place)
    assert str(joined).startswith(f"{place}: joined 2 pieces into {joined.piece.name}, 0.")
    assert acg.load(place) == whole
    before = content(place)
    assert str(compact_history(place)) == f"{place} is one piece already; nothing changed"
    assert content(place) == before
    append_history(day(3), place)
    assert acg.load(place) == day(3)
    assert not append_history(day(3), place).piece


def test_messages_and_texts_are_held_once(tmp_path):
    """Equal messages of several pieces are one message of the snapshot, and equal texts one text."""
    place = tmp_path / "history"
    for number in (1, 2, 3):
        append_history(day(number), place)
    snap = acg.load(place)
    runs, observations = snap.runs, snap.columns.observations
    for texts in (runs.messages.texts, observations.content_pool, observations.span_pool):
        assert len(set(texts)) == len(texts)


def test_a_new_piece_has_the_permissions_of_the_history(tmp_path):
    """Whoever may read the history may read what is added."""
    place = tmp_path / "history"
    append_history(day(1), place, mode=0o750, partition_by="agent")
    append_history(day(2), place)
    assert {oct(path.stat().st_mode & 0o777) for path in (place, *place.rglob("*"))} == {"0o750", "0o640"}


def test_remote_places():
    """In an object store pieces are added and joined, too."""
    place = "memory://pieces/history"
    for number in (1, 2):
        append_history(day(number), place, partition_by="agent")
    assert acg.load(place) == day(2)
    assert len(compact_history(place).pieces) == 2
    assert acg.load(place) == day(2)
    assert tuple(measure_agents(place)) == ("a", "b")


def test_other_options_load_as_of_an_export(tmp_path):
    """Keys, times and numbers select from all pieces as from one export."""
    for number in (1, 2, 3):
        append_history(day(number), tmp_path / "history")
    day(3).to_parquet(tmp_path / "whole")
    key = next(iter(day(3).windows))
    for options in ({"keys": [key]}, {"since": "2026-11-02"}, {"limit": 2}, {"limit": 1, "agent_id": "b"}):
        assert acg.load(tmp_path / "history", **options) == acg.load(tmp_path / "whole", **options)


# --- what can't be read ---


def damage(path, how):
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    elif how == "lost":
        path.unlink()
    else:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"version": "99"}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("table", "how", "says"),
    [("calls", "cut", "'calls'"), ("observations", "lost", "'observations'"), ("_pieces", "cut", "got no version in"),
     ("_pieces", "lost", "expected a file in _pieces"), ("_pieces", "newer", "got version '99'")],
)  # fmt: skip
def test_a_piece_that_cannot_be_read_is_reported(tmp_path, kind, table, how, says):
    """The problem names the piece; the others are read, with the windows of the newest of them; nothing is joined."""
    place = tmp_path / "history"
    for number in (1, 2, 3):
        append_history(day(number, ["a"]), place, partition_by=kind)
    newest = max(path.stem for path in place.glob("_pieces/*.json"))
    pattern = f"_pieces/{newest}.json" if table == "_pieces" else f"{table}/piece={newest}/**/part-0.parquet"
    damage(next(place.glob(pattern)), how)
    with pytest.warns(acg.LoadWarning, match="1 entry can't be read"):
        snap = acg.load(place)
    assert snap == day(2, ["a"])
    assert newest in str(snap.problems[0])
    assert says in str(snap.problems[0])
    with pytest.raises((acg.SourceError, acg.RecordError)):
        acg.load(place, strict=True)
    before = content(place)
    with pytest.raises(acg.SourceError, match="nothing was joined, since not everything can be read"):
        compact_history(place)
    assert content(place) == before


def test_runs_are_known_by_few_files(tmp_path):
    """However many pieces there are, few files list their runs; every run is in one of them."""
    place = tmp_path / "history"
    for number in range(1, 17):
        append_history(day(number, ["a"]), place)
    markers = {path.stem: json.loads(path.read_text()) for path in place.glob("_pieces/*.json")}
    covered = {name for marker in markers.values() for name in marker.get("covers", ())}
    listing = [f"{place}/_pieces/{name}.parquet" for name in markers if name not in covered]
    assert len(listing) <= 2
    assert duckdb.sql(f"select count(distinct run_id), count(*) from read_parquet({listing})").fetchall() == [(16, 16)]
    assert not append_history(day(16, ["a"]), place).piece


def test_a_list_of_runs_that_cannot_be_read(tmp_path):
    """Then its runs are added again, and count once."""
    place = tmp_path / "history"
    append_history(day(1, ["a"]), place)
    damage(next(place.glob("_pieces/*.parquet")), "cut")
    assert run_ids(append_history(day(2, ["a"]), place).snapshot) == [("a", "run-0"), ("a", "run-1")]
    assert acg.load(place) == day(2, ["a"])


def test_runs_of_two_pieces_count_once(tmp_path):
    """Where there are no locks, two appends may both add a run: it counts once, and is held once when joined."""
    place = tmp_path / "history"
    append_history(day(2), place)
    day(3).to_parquet(tmp_path / "other", append=True)
    for path in (tmp_path / "other").rglob("*"):
        if path.is_file():
            (place / path.relative_to(tmp_path / "other")).parent.mkdir(parents=True, exist_ok=True)
            path.rename(place / path.relative_to(tmp_path / "other"))
    assert acg.load(place) == day(3)
    compact_history(place)
    assert acg.load(place) == day(3)
    assert duckdb.sql(f"select count(*) from '{place}/runs/**/*.parquet'").fetchall() == [(6,)]


def test_pieces_that_are_joined_while_they_are_read(tmp_path, monkeypatch):
    """A reader whose files go since others took their place begins again."""
    place = tmp_path / "history"
    for number in (1, 2, 3):
        append_history(day(number), place, partition_by="agent")
    read, joined = parquet_pieces._read_piece, []

    def join_then_read(*arguments):
        if not joined:
            joined.append(True)
            compact_history(place)
        return read(*arguments)

    monkeypatch.setattr(parquet_pieces, "_read_piece", join_then_read)
    assert acg.load(place) == day(3)


def test_a_history_without_a_piece(tmp_path):
    """An append that found nothing leaves no folder; in one without pieces there is nothing to read."""
    append_history(MemoryBackend(), tmp_path / "history")
    assert not (tmp_path / "history").exists()
    (tmp_path / "history" / "_pieces").mkdir(parents=True)
    with pytest.raises(acg.SourceError, match="holds no piece yet"):
        acg.load(tmp_path / "history")


# --- wrong use ---


def test_wrong_use(tmp_path):
    """What can't be added is refused by what it is, and nothing is written."""
    place, snap = tmp_path / "history", day(2)
    append_history(snap, place)
    before = content(place)
    for options, says in [
        ({"partition_by": "agent"}, "not partitioned by agent; first join them so"),
        ({"partition_by": "day"}, "must be 'agent' or None"),
        ({"overwrite": True}, "'overwrite' or 'append'"),
    ]:
        with pytest.raises(acg.UsageError, match=says):
            snap.to_parquet(place, append=True, **options)
    for part in (acg.load(learned_backend(), limit=1), acg.load(learned_backend(), since="2026-11-02")):
        with pytest.raises(acg.UsageError, match="whole windows"):
            append_history(part, place)
    with pytest.raises(acg.UsageError, match="leave out the 'limit' option"):
        append_history(learned_backend(), place, limit=1)
    with pytest.raises(acg.SourceError, match="there is no export and no history"):
        compact_history(tmp_path / "nowhere")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for other in (tmp_path / "mine", tmp_path / "mine" / "notes.txt"):
        with pytest.raises(acg.UsageError, match="something else than an export"):
            append_history(snap, other)
    assert content(place) == before
    assert not (tmp_path / "nowhere").exists()


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, arguments)))
    return ended.value.code or 0


def test_commands(tmp_path, capsys):
    """export --append and compact say in a line what they did; options that contradict them are refused."""
    place = tmp_path / "history"
    day(1).to_parquet(tmp_path / "first")
    day(2).to_parquet(tmp_path / "second")
    for source in ("first", "second"):
        assert run("export", tmp_path / source, place, "--append") == 0
        assert "added 2 runs of 2 agents to" in capsys.readouterr().err
    assert run("export", tmp_path / "second", place, "--append") == 0
    assert "nothing new for" in capsys.readouterr().err
    assert run("compact", place) == 0
    assert "joined 2 pieces into" in capsys.readouterr().err
    for options, says in [
        (["--overwrite"], "--overwrite can't be combined with --append"),
        (["--limit", "3"], "--limit can't be combined with --append"),
        (["--since", "2026-11-02"], "--since can't be combined with --append"),
    ]:
        assert run("export", tmp_path / "second", place, "--append", *options) == 2
        assert says in capsys.readouterr().err
    assert run("export", tmp_path / "second", "redis://nowhere:1/0", "--append") == 2
    assert "a Redis is never changed" in capsys.readouterr().err
    assert run("compact", tmp_path / "nowhere") == 1
    assert run("export", tmp_path / "nowhere", tmp_path / "other", "--append") == 1
    assert os.listdir(place)  # noqa: PTH208
    assert acg.load(place) == day(2)


def test_an_agent_alone(tmp_path):
    """With an agent only its runs and windows are added; those of the others stay as they were."""
    place = tmp_path / "history"
    append_history(day(1), place)
    day(3).to_parquet(tmp_path / "source")
    append_history(tmp_path / "source", place, agent_id="b")
    snap = acg.load(place)
    assert Counter(run.agent_id for run in snap.runs) == {"a": 1, "b": 3}
    assert acg.load(place, agent_id="a") == acg.load(learned_backend("a", n_runs=1))
    assert acg.load(place, agent_id="b") == acg.load(learned_backend("b", n_runs=3))


def test_a_key_that_changes_hands(tmp_path):
    """A key may belong to another agent once that is known: the window counts once, as it was last."""
    key = "a::model=m::model=m::seed=no-seed::system=no-system::tools=no-tools"
    for number, kind in enumerate(KINDS):
        for known in ("a", "a::model=m"):
            backend = MemoryBackend()
            backend.store_run(make_run(make_request("x"), agent_id=known, run_id=known))
            backend.store_observations(key, [make_ir(("user-0", known))])
            append_history(backend, tmp_path / str(number), partition_by=kind)
        snap = acg.load(tmp_path / str(number))
        assert [[ir.blocks[0].content for ir in window] for window in snap.windows.values()] == [["a::model=m"]]


def test_a_run_without_windows(tmp_path):
    """An agent of which there are runs alone is a part of the history, too."""
    backend = MemoryBackend()
    backend.store_run(make_run(make_request("x"), agent_id="lone"))
    append_history(backend, tmp_path / "history", partition_by="agent")
    assert run_ids(acg.load(tmp_path / "history", agent_id="lone")) == [("lone", "r")]


@pytest.mark.parametrize("names", [False, True])
def test_a_redacted_history(tmp_path, names):
    """Pieces that are redacted with one salt add up; a piece of texts, or of another salt, is refused."""
    place, options = tmp_path / "history", {"redact": True, "redact_names": names}
    for number in (1, 2):
        assert len(append_history(day(number), place, partition_by="agent", **options).snapshot.runs) == 2
    assert not append_history(day(2), place, **options).piece
    snap = acg.load(place)
    assert snap.is_redacted
    assert SECRET not in str(list(snap.runs))
    day(2).to_parquet(tmp_path / "whole", salt=tmp_path / "history.salt", **options)
    assert snap == acg.load(tmp_path / "whole")
    with pytest.raises(acg.UsageError, match="is redacted; what is added must be, too"):
        append_history(day(3), place)
    with pytest.raises(acg.UsageError, match="redacted with another salt"):
        append_history(day(3), place, salt=tmp_path / "other.salt", **options)
    compact_history(place)
    assert acg.load(place) == snap
    assert acg.load(place).is_redacted
    append_history(day(3), tmp_path / "whole", salt=tmp_path / "history.salt", **options)
    day(1).to_parquet(tmp_path / "texts")
    with pytest.raises(acg.UsageError, match="holds texts"):
        append_history(day(3), tmp_path / "texts", **options)
