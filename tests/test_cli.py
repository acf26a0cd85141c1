"""The command acg-lab, as its users type it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import acg_lab as acg
from acg_lab.cli import main

ROOT = Path(__file__).parents[1]
SAMPLE = str(ROOT / "data" / "sample")
PASSWORD = "hunter2"


@pytest.fixture
def run(capsys):
    """Run the command; return exit status, standard output and standard error."""

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert PASSWORD not in out + err
        return ended.value.code or 0, out, err

    return call


def test_analyze_prints_a_table_of_100_columns():
    """Each agent of the sample has its line, worst loss first; the table fits 100 columns."""
    command = [sys.executable, "-c", "from acg_lab.cli import main; main()", "analyze", SAMPLE]
    environment = os.environ | {"COLUMNS": "100"}
    out = subprocess.run(command, capture_output=True, check=True, text=True, env=environment, cwd=ROOT).stdout
    rows = out.splitlines()[: out.splitlines().index("")]
    assert rows[1].split() == ["coder", "claude…250929", "100", "13/88", "2,655", "53%", "user-13", "variable", "0.38"]
    assert max(map(len, rows)) <= 100
    assert "202 profiles, 1,655 observations" in out


def test_thresholds_change_the_answer(run):
    """A threshold of 0.9 mends claims-triage, as data/README.md says."""
    blocks = []
    for threshold in ("0.95", "0.9"):
        _, out, _ = run("analyze", SAMPLE, "--agent", "claims-triage", "--stable-threshold", threshold, "--json")
        (profile,) = json.loads(out)["profiles"]
        blocks.append(profile["prefix_blocks"])
    assert blocks == [10, 16]


def test_json_holds_what_the_table_shows(run):
    """Profiles, totals, thresholds and problems, and the same numbers as in Python."""
    _, out, _ = run("analyze", SAMPLE, "--json", "--window", "10")
    printed = json.loads(out)
    snap = acg.load(SAMPLE, limit=10)
    assert printed["totals"]["profiles"] == len(printed["profiles"]) == len(snap.windows)
    results = acg.analyze(snap)
    for profile in printed["profiles"]:
        assert profile["prefix_blocks"] == results[profile["learning_key"]].stable_prefix_length
    lost = [profile["lost_tokens"] for profile in printed["profiles"]]
    assert lost == sorted(lost, reverse=True)


def test_verify_of_the_sample(run):
    """The sample is as its learners left it: status 0."""
    status, out, _ = run("verify", SAMPLE, "--agent", "claims-triage")
    assert (status, out.splitlines()[-1]) == (0, "Nothing differs.")
    status, out, _ = run("verify", SAMPLE, "--agent", "claims-triage", "--stable-threshold", "0.9", "--json")
    assert (status, json.loads(out)["ok"]) == (1, False)


def test_export_there_and_back(run, tmp_path, redis_url):
    """A source goes to Parquet, from there to a Redis only if allowed, and nothing is ever overwritten."""
    folder = str(tmp_path / "export")
    assert run("export", SAMPLE, folder, "--agent", "coder")[0] == 0
    status, _, err = run("export", SAMPLE, folder)
    assert status == 2
    assert "exists already" in err
    assert run("export", SAMPLE, folder, "--agent", "coder", "--overwrite")[0] == 0
    status, _, err = run("export", folder, redis_url)
    assert status == 2
    assert "--allow-write" in err
    assert run("export", folder, redis_url, "--allow-write", "--dest-prefix", "nemo_relay:")[0] == 0
    assert acg.load(redis_url) == acg.load(folder)
    status, _, err = run("export", folder, redis_url, "--allow-write", "--dest-prefix", "nemo_relay:")
    assert status == 2
    assert "nothing is ever overwritten" in err


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (["analyze", "nowhere"], 1, "no such file or folder"),
        (["analyze", __file__], 1, "neither an export nor a table"),
        (["analyze", f"redis://u:{PASSWORD}@127.0.0.1:1/0"], 1, "redis://***@127.0.0.1:1/0"),
        (["analyze", SAMPLE, "--min-observations", "-1"], 2, "'min_observations_for_full_confidence'"),
        (["analyze", SAMPLE, "--stable-threshold", "nan"], 2, "'stable_threshold'"),
        (["analyze", SAMPLE, "--stable-threshold", "high"], 2, "--stable-threshold"),
        (["analyze", SAMPLE, "--window", "-3"], 2, "--window"),
        (["analyze", SAMPLE, "--since", "never"], 2, "'since'"),
        (["analyze", SAMPLE, "--rules", "9"], 2, "'rules'"),
        (["analyze"], 2, "SOURCE"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_foreseeable_errors(run, arguments, status, complaint):
    """Each ends with its status and a line that names what is wrong, without a traceback."""
    ended, _, err = run(*arguments)
    assert (ended, complaint in err) == (status, True), err


def test_strict_fails_at_a_bad_entry(run, tmp_path):
    """Without --strict a bad entry is a warning; with it, status 1."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    path = str(tmp_path / "kv.parquet")
    pq.write_table(pa.table({"key": ["nemo_relay:acg_stability:a"], "value": ["{"]}), path)
    status, _, err = run("analyze", path)
    assert (status, "1 entry can't be read" in err) == (0, True)
    assert run("analyze", path, "--strict")[0] == 1


@pytest.mark.parametrize("command", [[], ["analyze"], ["verify"], ["export"]])
def test_help(run, command):
    """Every command says what it does."""
    status, out, _ = run(*command, "--help")
    assert (status, "Usage: acg-lab" in out) == (0, True)


def test_a_pipe_may_close():
    """As a process of its own it writes tables to standard output only, and survives a reader that goes away."""
    command = [sys.executable, "-c", "from acg_lab.cli import main; main()", "analyze", SAMPLE, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout.readline() == "{\n"
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
