"""Exports that are killed, meet each other, or hold what others must not see."""

import logging
import os
import signal
import stat
import subprocess
import sys
import textwrap

import pyarrow.parquet as pq
import pytest
from learned_backend import SECRET, learned_backend

import acg_lab as acg
from acg_lab.cli import main

KILLED = """
import os, shutil, signal
import acg_lab as acg
from acg_lab.storage import export_folder

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

replaced, replace = [], os.replace

def die_at_the_second(*paths):
    replaced.append(paths)
    if len(replaced) == 2:
        die()
    replace(*paths)

if {step!r} == "written":
    export_folder._give_permissions = die
elif {step!r} == "moved away":
    os.replace = die_at_the_second
else:
    shutil.rmtree = die
acg.load({source!r}).to_parquet({place!r}, overwrite=True)
"""


@pytest.fixture
def exports(tmp_path):
    """Return an export, and another one to replace it with."""
    (tmp_path / "there").mkdir()
    old, new = tmp_path / "there" / "export", tmp_path / "new"
    acg.load(learned_backend(n_runs=2)).to_parquet(old)
    acg.load(learned_backend(n_runs=3)).to_parquet(new)
    return old, new


@pytest.mark.parametrize(
    ("step", "is_new", "says"),
    [("written", False, "removed"), ("moved away", False, "restored"), ("in place", True, "removed")],
)
def test_killed_exports_leave_one_whole_export(exports, caplog, step, is_new, says):
    """Whenever the process is killed, the old or the new export is there; the next run says so and cleans."""
    old, new = exports
    code = KILLED.format(step=step, source=str(new), place=str(old))
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert len(list(old.parent.iterdir())) == 2
    with caplog.at_level(logging.WARNING, logger="acg_lab"):
        assert acg.load(old) == acg.load(learned_backend(n_runs=3 if is_new else 2))
        acg.load(learned_backend(n_runs=1)).to_parquet(old, overwrite=True)
    assert says in caplog.text
    assert [path.name for path in old.parent.iterdir()] == ["export"]
    assert acg.load(old) == acg.load(learned_backend(n_runs=1))


TOGETHER = """
import sys, time
from pathlib import Path
from acg_lab.cli import main
from acg_lab.storage import parquet_output
write = parquet_output.write_table

def wait_for_three(*arguments):
    for _ in range(600):
        if len(list(Path(sys.argv[2]).glob("*.partial*"))) == 3:
            break
        time.sleep(0.05)
    (Path(sys.argv[2]) / sys.argv[1]).touch()
    while len(list(Path(sys.argv[2]).glob("ready-*"))) < 3:
        time.sleep(0.05)
    parquet_output.write_table = write
    write(*arguments)

parquet_output.write_table = wait_for_three
main(["export", sys.argv[3], sys.argv[2] + "/shared"])
"""


def test_exports_at_once_to_a_new_folder(exports, tmp_path):
    """Of three exports to one new folder one ends with 0; the others say that it exists, and leave nothing."""
    place = tmp_path / "place"
    place.mkdir()
    started = [
        subprocess.Popen(
            [sys.executable, "-c", TOGETHER, f"ready-{i}", str(place), str(exports[1])],
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(3)
    ]
    errors = [process.communicate(timeout=120)[1] for process in started]
    assert sorted(process.returncode for process in started) == [0, 2, 2]
    assert sum("exists already" in error for error in errors) == 2
    assert sorted(path.name for path in place.iterdir()) == ["ready-0", "ready-1", "ready-2", "shared"]
    assert acg.load(place / "shared") == acg.load(learned_backend(n_runs=3))


def test_what_a_living_process_writes_is_left_alone(exports):
    """An export that another process is writing is not taken for one that was killed."""
    old, new = exports
    code = f"""
        import sys, acg_lab as acg
        from acg_lab.storage import parquet_output
        write = parquet_output.write_table
        def wait(*arguments):
            parquet_output.write_table = write
            print("writing", flush=True)
            sys.stdin.readline()
            write(*arguments)
        parquet_output.write_table = wait
        acg.load({str(new)!r}).to_parquet({str(old)!r}, overwrite=True)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        acg.load(learned_backend(n_runs=1)).to_parquet(old, overwrite=True)
        assert acg.load(old) == acg.load(learned_backend(n_runs=1))
        process.communicate("\n", timeout=60)
    assert process.returncode == 0
    assert acg.load(old) == acg.load(learned_backend(n_runs=3))
    assert [path.name for path in old.parent.iterdir()] == ["export"]


def modes(folder):
    return stat.S_IMODE(folder.stat().st_mode), {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


@pytest.fixture
def no_umask():
    former = os.umask(0)
    yield
    os.umask(former)


@pytest.mark.usefixtures("no_umask")
def test_exports_are_for_their_owner(tmp_path, monkeypatch):
    """A new export is for its owner alone, while it is written too; --mode shares it; an overwrite keeps the mode."""
    snap, seen = acg.load(learned_backend()), []
    monkeypatch.setattr(
        "acg_lab.storage.export_folder._take_place",
        lambda new, place: (seen.append(modes(new)), new.replace(place)),
    )
    snap.to_parquet(tmp_path / "export")
    monkeypatch.undo()
    assert seen == [(0o700, {0o600})]
    assert modes(tmp_path / "export") == (0o700, {0o600})
    main_ok(["export", str(tmp_path / "export"), str(tmp_path / "shared"), "--mode", "750"])
    assert modes(tmp_path / "shared") == (0o750, {0o640})
    snap.to_parquet(tmp_path / "shared", overwrite=True)
    assert modes(tmp_path / "shared") == (0o750, {0o640})
    (tmp_path / "shared").chmod(0o700)
    snap.to_parquet(tmp_path / "shared", overwrite=True)
    assert modes(tmp_path / "shared") == (0o700, {0o640})


def main_ok(arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert not ended.value.code


def test_a_mode_that_is_none_is_refused(tmp_path, capsys):
    """What is no mode is wrong use."""
    with pytest.raises(SystemExit) as ended:
        main(["export", "sample", str(tmp_path / "x"), "--mode", "rwx"])
    assert ended.value.code == 2
    assert "three octal digits" in capsys.readouterr().err


def test_footers_hold_no_text(tmp_path):
    """Statistics are of numbers, times and names of profiles; no footer holds a word of a prompt."""
    acg.load(learned_backend()).to_parquet(tmp_path / "export")
    for path in (tmp_path / "export").iterdir():
        metadata = pq.read_metadata(path)
        for i in range(metadata.num_row_groups):
            columns = [metadata.row_group(i).column(j) for j in range(metadata.num_columns)]
            texts = {column.path_in_schema for column in columns if column.physical_type == "BYTE_ARRAY"}
            with_statistics = {column.path_in_schema for column in columns if column.statistics is not None}
            assert with_statistics & texts <= {"key", "agent_id"}
        assert SECRET.encode() not in path.read_bytes()[-metadata.serialized_size - 8 :]
