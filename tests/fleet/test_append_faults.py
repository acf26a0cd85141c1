"""Appends and joins that are killed, meet each other, or find a full disk: whole pieces only, and nothing is lost."""

import logging
import os
import re
import signal
import subprocess
import sys
import time

import duckdb
import pytest
from learned_backend import learned_backend

import acg_lab as acg
from acg_lab.fleet import append_history, compact_history

pytestmark = pytest.mark.slow

KILLED = """
import os, shutil, signal, sys
from acg_lab.fleet import append_history, compact_history
from acg_lab.storage import parquet_output
from acg_lab.storage.parquet_files import Files

kind, step, source, place = sys.argv[1:]
done = [0]

def dying(work):
    def count(*arguments, **options):
        done[0] += 1
        if done[0] == int(step):
            os.kill(os.getpid(), signal.SIGKILL)
        return work(*arguments, **options)
    return count

if kind == "writing":
    parquet_output.write_table = dying(parquet_output.write_table)
elif kind == "moving":
    os.replace = dying(os.replace)
elif kind == "cleaning":
    shutil.rmtree = dying(shutil.rmtree)
else:
    delete = Files.delete
    def one_by_one(self, names):
        for name in names:
            dying_delete(self, [name])
    dying_delete = dying(delete)
    Files.delete = one_by_one
if source:
    append_history(source, place)
else:
    compact_history(place)
"""


def snap(n_runs):
    return acg.load(learned_backend("b", n_runs, backend=learned_backend("a", n_runs)))


@pytest.fixture(params=[None, "agent"])
def place(request, tmp_path):
    """Return a history of two days, beside an export of three."""
    place = tmp_path / "there" / "history"
    snap(3).to_parquet(tmp_path / "source")
    for n_runs in (1, 2):
        append_history(snap(n_runs), place, partition_by=request.param)
    return place


def kill(place, kind, step, source=""):
    command = [sys.executable, "-c", KILLED, kind, str(step), str(source), str(place)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL


def count_runs(place):
    """Return the runs that an engine counts."""
    return duckdb.sql(f"select count(*) from '{place}/runs/**/*.parquet'").fetchall()[0][0]


@pytest.mark.parametrize(
    ("kind", "step", "is_new"),
    [("writing", 1, False), ("writing", 5, False), ("moving", 1, False), ("moving", 4, False), ("moving", 8, False),
     ("cleaning", 1, True)],
)  # fmt: skip
def test_killed_appends_leave_whole_pieces(place, tmp_path, caplog, kind, step, is_new):
    """Whenever it is killed, the piece is there or it is not; the next append says so, cleans, and adds what lacks."""
    kill(place, kind, step, tmp_path / "source")
    assert acg.load(place) == snap(3 if is_new else 2)
    with caplog.at_level(logging.WARNING, logger="acg_lab"):
        added = append_history(snap(3), place)
    assert "removed what an export that was killed left there" in caplog.text
    assert bool(added.piece) == (not is_new)
    assert acg.load(place) == snap(3)
    assert count_runs(place) == 6
    assert not list(place.glob(".*"))
    assert list(place.parent.iterdir()) == [place]


@pytest.mark.parametrize(
    ("kind", "step"), [("writing", 3), ("moving", 3), ("deleting", 1), ("deleting", 4), ("deleting", 12)]
)
def test_killed_joins_lose_nothing(place, kind, step):
    """Whenever it is killed, the history loads as before; what was left to do is done by the next one."""
    whole = acg.load(place)
    kill(place, kind, step)
    assert acg.load(place) == whole
    assert acg.load(place, agent_id="b") == acg.load(learned_backend("b", 2))
    append_history(snap(3), place)
    assert acg.load(place) == snap(3)
    compact_history(place)
    assert acg.load(place) == snap(3)
    assert count_runs(place) == 6
    assert len(list(place.glob("_pieces/*.json"))) == len(list(place.glob("runs/piece=*"))) == 1


def test_kills_at_any_moment(tmp_path):
    """Appends that are killed at some time or other leave what loads, and the last one makes it whole."""
    snap(3).to_parquet(tmp_path / "source")
    place = tmp_path / "history"
    command = [sys.executable, "-m", "acg_lab", "export", str(tmp_path / "source"), str(place), "--append"]
    started = time.monotonic()
    assert subprocess.run([*command, "--agent", "a"], check=False).returncode == 0
    usual = time.monotonic() - started
    for share in (0.7, 0.85, 0.95, 1.0):
        with subprocess.Popen(command) as process:
            time.sleep(usual * share)
            process.kill()
        assert len(acg.load(place).runs) in (3, 6)
    assert subprocess.run(command, check=False).returncode == 0
    assert acg.load(place) == snap(3)
    assert count_runs(place) == 6


AT_ONCE = """
import sys, time
from pathlib import Path
from acg_lab.cli import main
from acg_lab.storage.parquet_history import ParquetHistory
add = ParquetHistory.find_known

def wait(self, runs):
    Path(sys.argv[1]).touch()
    while not Path(sys.argv[2]).exists():
        time.sleep(0.02)
    return add(self, runs)

ParquetHistory.find_known = wait
main(["export", sys.argv[3], sys.argv[4], "--append"])
"""


def test_two_appends_at_once(tmp_path):
    """The second waits for the first, and says so; each run is added once, also to a folder that is new to both."""
    snap(3).to_parquet(tmp_path / "source")
    place, ready, go = tmp_path / "history", tmp_path / "ready", tmp_path / "go"
    source, first_command = str(tmp_path / "source"), [sys.executable, "-c", AT_ONCE, str(ready), str(go)]
    with subprocess.Popen([*first_command, source, str(place)], stderr=subprocess.PIPE, text=True) as first:
        deadline = time.monotonic() + 60
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        second_command = [sys.executable, "-m", "acg_lab", "export", source, str(place), "--append"]
        with subprocess.Popen(second_command, stderr=subprocess.PIPE, text=True) as second:
            waiting = second.stderr.readline()
            go.touch()
            errors = [process.communicate(timeout=60)[1] for process in (first, second)]
    assert "another process is writing there; waiting for it" in waiting
    assert first.returncode == second.returncode == 0
    assert "added 6 runs of 2 agents" in errors[0]
    assert "nothing new" in errors[1]
    assert acg.load(place) == snap(3)
    assert count_runs(place) == 6


FULL = """
import resource, sys
from acg_lab.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
main(sys.argv[2:])
"""


@pytest.mark.parametrize("limit", ["100", "4000"])
def test_a_full_disk(place, tmp_path, limit):
    """An append or join that can't write everything says so in a line, and leaves what was there."""
    whole, before = acg.load(place), sorted(place.rglob("*"))
    for arguments in (["export", str(tmp_path / "source"), str(place), "--append"], ["compact", str(place)]):
        done = subprocess.run(
            [sys.executable, "-c", FULL, limit, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert re.fullmatch(r"acg-lab: .*File too large\.?\n", done.stderr)
        assert sorted(place.rglob("*")) == before
        assert acg.load(place) == whole


def test_a_history_that_is_replaced_while_an_append_waits(tmp_path, monkeypatch):
    """An append does not write into a folder that another export put in the place of the history."""
    from acg_lab.storage import export_folder  # noqa: PLC0415

    place = tmp_path / "history"
    append_history(snap(1), place)
    locked = export_folder._locked

    def replace_first(folder, **options):
        if options.get("says_so"):
            os.rename(place, tmp_path / "old")  # noqa: PTH104
            snap(2).to_parquet(place)
        return locked(folder, **options)

    monkeypatch.setattr(export_folder, "_locked", replace_first)
    with pytest.raises(acg.SourceError, match="took its place while this one waited"):
        append_history(snap(3), place)
    assert acg.load(place) == snap(2)
