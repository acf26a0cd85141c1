"""Request logs on the command line, as a newcomer types it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import acg_lab as acg
from acg_lab.cli import main
from acg_lab.snapshot import LoadWarning

LOG = Path(__file__).parents[2] / "data" / "requests.jsonl.gz"
COMMAND = (sys.executable, "-c", "from acg_lab.cli import main; main()")
SECRET = "hunter2"


def line(number, app="shop"):
    messages = [{"role": "system", "content": SECRET * 300}, {"role": "user", "content": str(number)}]
    body = {"model": "gpt-5.1", "messages": messages}
    return json.dumps({"request": body, "labels": {"app": app}, "started_at": f"2026-11-{number + 1:02}T10:00:00Z"})


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "requests.jsonl"
    path.write_text("".join(line(i) + "\n" for i in range(20)))
    return path


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, arguments)))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert SECRET not in out + err
        return ended.value.code or 0, out, err

    return call


@pytest.mark.parametrize("command", ["analyze", "explain", "verify"])
def test_commands_take_a_log(run, log, command):
    """Each command reads a log, says what it was taken for, and what was inferred."""
    status, _, err = run(command, log, "--agent-from", "labels.app")
    assert status == 0
    assert "(raw), learned here from a log" in err
    assert "note: all 20 requests named no run or session" in err


def test_analyze_and_verify_say_that_it_was_learned_here(run, log):
    """Nobody takes what was learned here for what production stored."""
    assert "Learned here from a log, not stored by production." in run("analyze", log)[1]
    assert "Learned here from runs, not stored by production." in run("verify", log)[1]


def test_times_and_agents(run, log):
    """Options choose requests by time, and name where the agent stands."""
    options = ("--agent-from", "labels.app", "--since", "2026-11-05", "--until", "2026-11-10")
    _, out, _ = run("analyze", log, *options, "--json")
    (profile,) = json.loads(out)["profiles"]
    assert (profile["agent_id"], profile["observations"]) == ("shop", 5)


def test_standard_input(log):
    """A dash reads standard input."""
    done = subprocess.run([*COMMAND, "analyze", "-"], input=log.read_bytes(), capture_output=True, check=True)
    assert b"standard input (raw)" in done.stderr
    assert b"stdin" in done.stdout


def test_export_of_a_log(run, log, tmp_path):
    """An export of a log holds what the log held, bodies included."""
    assert run("export", log, tmp_path / "history", "--field", "agent=labels.app")[0] == 0
    exported, read = acg.load(tmp_path / "history").runs, acg.load(log, fields={"agent": "labels.app"}).runs
    assert [exported[i] for i in range(20)] == [read[i] for i in range(20)]
    assert SECRET in exported[0].calls[0].exchange.request["messages"][0]["content"]


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (["--agent-from", "labels.ap"], 2, "labels.app"),
        (["--format", "rw"], 2, "Did you mean 'raw'"),
        (["--api", "openai"], 2, "Did you mean 'openai-chat'"),
        (["--field", "agent"], 2, "expected NAME=PATH"),
        (["--field", "agnt=labels.app"], 2, "Did you mean 'agent'"),
        (["--field", "agent=a", "--agent-from", "b"], 2, "given twice"),
        (["--sample-rate", "0"], 2, "above 0"),
        (["--agent-from", "labels.app", "--agent", "shp"], 2, "it holds 'shop'"),
    ],
)
def test_wrong_use(run, log, options, status, says):
    """A mistake ends with status 2 and names the nearest that is right."""
    found, out, err = run("analyze", log, *options)
    assert (found, out) == (status, "")
    assert says in err


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\0\1\2\3" * 99, b'{"a": 1}\n'])
def test_nothing_to_read(run, tmp_path, content):
    """A log without one request that can be read is an error of the source."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    status, out, err = run("explain", path)
    assert (status, out) == (1, "")
    assert err.startswith("acg-lab: no request can be read:")


def test_bad_lines_are_counted(run, log):
    """A half-written last line is counted, and the others are used; with --strict it is an error."""
    log.write_text(log.read_text()[:-60])
    status, out, _ = run("analyze", log)
    assert (status, "19 observations" in out, "1 entry can't be read" in out) == (0, True, True)
    assert run("analyze", log, "--strict")[0] == 1


def test_help_lists_options_of_logs_apart():
    """The options of logs stand in a group of their own, in at most 80 columns."""
    help_text = subprocess.run([*COMMAND, "explain", "--help"], capture_output=True, check=True, text=True).stdout
    options, of_logs = help_text.split("Options of request logs:")
    assert "--agent-from" in of_logs
    assert "--agent-from" not in options
    assert "--strict" in options
    assert max(map(len, help_text.splitlines())) <= 80


def test_samples_by_name(run, tmp_path, monkeypatch):
    """The samples are there by name in any folder; the log shows a fault that only raw bytes show."""
    monkeypatch.chdir(tmp_path)
    _, out, _ = run("explain", "sample-log")
    assert out.startswith("3 findings")
    assert "had expired" in out
    assert "every breakpoint has a TTL of 1h: saves $0.08" in out
    assert "key order" in out
    assert acg.load("sample-log").agent_ids == ("code-review", "handbook-search", "support-mail")
    assert acg.load("sample") == acg.load(LOG.parent / "sample")


def test_a_file_with_the_name_of_a_sample_wins(log, monkeypatch):
    """In a folder that holds such a name, what is there is read, and it is said."""
    monkeypatch.chdir(log.parent)
    log.rename("sample-log")
    with pytest.warns(LoadWarning, match="not the sample that comes with acg_lab"):
        assert acg.load("sample-log").agent_ids == ("sample-log",)


def test_the_sample_log_is_small():
    """It is below 300 kB, as it ships in the wheel."""
    assert LOG.stat().st_size < 300_000


def test_a_pipe(log):
    """What a shell makes of a process substitution is read whole, though it can be read only once."""
    reader, writer = os.pipe()
    assert os.write(writer, log.read_bytes()) == log.stat().st_size
    os.close(writer)
    try:
        assert len(acg.load(f"/dev/fd/{reader}").runs) == 20
    finally:
        os.close(reader)
