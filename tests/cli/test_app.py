"""The command acg-lab, as its users type it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from learned_backend import learned_backend
from rich.cells import cell_len
from strategies import make_ir

import acg_lab as acg
from acg_lab.cli import main
from acg_lab.diagnosis.agent_costs import summarize_costs

ROOT = Path(__file__).parents[2]
SAMPLE = str(ROOT / "data" / "sample")
PASSWORD = "hunter2"


COMMAND = (sys.executable, "-c", "from acg_lab.cli import main; main()")


def process(*arguments, check=True, **environment):
    """Run the command as a process of its own."""
    known = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, check=check, encoding="utf-8", env=known | environment, cwd=ROOT
    )


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


def test_analyze_prints_a_table_of_100_columns(printed_of_sample):
    """Each agent of the sample has its line, worst loss first; the table fits 100 columns."""
    out = printed_of_sample("analyze")
    rows = out.splitlines()[: out.splitlines().index("")]
    assert " ".join(rows[1].split()) == (
        "support-chat system…65f5 10 0% $0.10 11/12 2,230 98% user-11 0.10 conversation"
    )
    assert max(map(len, rows)) <= 100
    assert "204 profiles, 1,855 observations" in out


@pytest.mark.slow
@pytest.mark.parametrize("command", ["analyze", "explain", "verify"])
def test_lines_fit_the_terminal(command, printed_of_sample):
    """Of the sample no line is wider than the terminal, what stands below the tables included."""
    assert max(map(cell_len, printed_of_sample(command).splitlines())) <= 100


@pytest.mark.parametrize("columns", ["0", "1", "40"])
@pytest.mark.slow
def test_narrow_terminals(columns):
    """Where there is no room for the table its lines are longer than the terminal, and no number is cut."""
    row = process("analyze", SAMPLE, "--agent", "claims-triage", COLUMNS=columns).stdout.splitlines()[1]
    assert " 100  " in row
    assert "10/" in row


def test_thresholds_change_the_answer(run):
    """A threshold of 0.9 mends claims-triage, as data/README.md says."""
    blocks = []
    for threshold in ("0.95", "0.9"):
        _, out, _ = run("analyze", SAMPLE, "--agent", "claims-triage", "--stable-threshold", threshold, "--json")
        (profile,) = json.loads(out)["profiles"]
        blocks.append(profile["prefix_blocks"])
    assert blocks == [10, 16]


def test_a_window_larger_than_what_is_stored(run):
    """It is said that a window larger than all that are stored changes nothing; of a smaller one nothing is said."""
    for window, lines in (("500", 1), ("100", 0), ("10", 0)):
        _, out, _ = run("analyze", SAMPLE, "--window", window, "--agent", "claims-triage")
        assert out.count(f"No window holds more than 100 observations: --window {window} changes nothing") == lines


def test_json_holds_what_the_table_shows(run):
    """Profiles, totals, thresholds and problems, and the same numbers as in Python."""
    _, out, _ = run("analyze", SAMPLE, "--json", "--window", "10")
    printed = json.loads(out)
    snap = acg.load(SAMPLE, limit=10)
    assert printed["totals"]["profiles"] == len(printed["profiles"]) == len(snap.windows)
    results = acg.analyze(snap)
    for profile in printed["profiles"]:
        assert profile["prefix_blocks"] == results[profile["learning_key"]].stable_prefix_length
    listed = dict.fromkeys(profile["agent_id"] for profile in printed["profiles"])
    assert list(listed) == [cost.agent_id for cost in summarize_costs(acg.simulate(snap))]


def test_verify_of_the_sample(run):
    """The sample is as its learners left it: status 0."""
    status, out, _ = run("verify", SAMPLE, "--agent", "claims-triage")
    assert (status, out.splitlines()[-1]) == (0, "Nothing differs.")
    status, out, _ = run("verify", SAMPLE, "--agent", "claims-triage", "--stable-threshold", "0.9", "--json")
    assert (status, json.loads(out)["ok"]) == (1, False)


@pytest.mark.slow
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
        (["analyze", SAMPLE, "--window", "0"], 2, "--window"),
        (["analyze", SAMPLE, "--rows", "-1"], 2, "--rows"),
        (["analyze", SAMPLE, "--stable-threshold", "1e999"], 2, "must be a finite number; got inf"),
        (["analyze", SAMPLE, "--agent"], 2, "--agent"),
        (["analyze", SAMPLE, "--frobnicate"], 2, "--frobnicate"),
        (["analyze", ""], 2, "an empty text"),
        (
            ["analyze", f"nosuch://u:{PASSWORD}@host/x"],
            1,
            "nosuch://***@host/x: neither pyarrow nor fsspec knows nosuch://",
        ),
        (["analyze", f"u:{PASSWORD}@127.0.0.1:1/0"], 2, "must begin with redis://"),
        (["export", SAMPLE, f"u:{PASSWORD}@127.0.0.1:1/0"], 2, "must begin with redis://"),
        (["analyze", "a\x1b[31m\u202eb"], 1, "a\\x1b[31m\\u202eb: there is no such file or folder."),
        (["analyze", f"redis+other://u:{PASSWORD}@host/x"], 2, "got redis+other://"),
        (["analyze", f"redis://u:{PASSWORD}@127.0.0.1/zero"], 2, "must end in a database number"),
        (["analyze", SAMPLE, f"redis://u:{PASSWORD}@host"], 2, "redis://***@host"),
        ([f"redis://u:{PASSWORD}@host"], 2, "redis://***@host"),
        (["verify", "nowhere"], 1, "nowhere: there is no such file or folder."),
        (["verify", SAMPLE, "--stable-threshold", "nan"], 2, "'stable_threshold'"),
        (["verify", SAMPLE, "--window", "0"], 2, "--window"),
        (["export", "nowhere", "somewhere"], 1, "nowhere: there is no such file or folder."),
        (["export", SAMPLE], 2, "DEST"),
        (["export", SAMPLE, ""], 2, "must not be empty"),
        (["export", SAMPLE, SAMPLE], 2, "overwrite=True (--overwrite)"),
        (["export", SAMPLE, __file__, "--overwrite"], 2, "exists already; choose another path."),
        (["export", SAMPLE, f"{__file__}/x"], 1, "Not a directory"),
        (["export", SAMPLE, "out", "--limit", "0"], 2, "--limit"),
        (["export", SAMPLE, f"redis://u:{PASSWORD}@127.0.0.1:1/0"], 2, "add --allow-write"),
        (["export", SAMPLE, f"redis://u:{PASSWORD}@127.0.0.1:1/0", "--allow-write"], 2, "(--dest-prefix)"),
        (
            ["export", SAMPLE, f"redis://u:{PASSWORD}@127.0.0.1:1/0", "--allow-write", "--dest-prefix", "p:"],
            1,
            "redis://***@127.0.0.1:1/0 can't be reached",
        ),
        (["export", SAMPLE, f"nosuch://u:{PASSWORD}@host/x"], 1, "nosuch://***@host/x"),
        (["analyze"], 2, "SOURCE"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_foreseeable_errors(run, arguments, status, complaint):
    """Each ends with its status and a line that names what is wrong, without a traceback."""
    ended, _, err = run(*arguments)
    assert (ended, complaint in err) == (status, True), err


@pytest.fixture
def table(tmp_path):
    """Return a function that writes a plain table of keys and values."""

    def write(**rows):
        path = tmp_path / "kv.parquet"
        keys = [f"nemo_relay:acg_stability:{key}" for key in rows]
        pq.write_table(pa.table({"key": keys, "value": list(rows.values())}), path)
        return str(path)

    return write


def test_strict_fails_at_a_bad_entry(run, table):
    """Without --strict a bad entry is a warning, and counted; with it, status 1."""
    good = '{"scores":[],"stable_prefix_length":0,"total_observations":0}'
    path = table(a="{", b=good, c="[]")
    for command in ("analyze", "verify"):
        status, out, err = run(command, path)
        assert (status, "warning" in err, "2 entries can't be read" in err) == (command == "verify", True, True)
        status, out, err = run(command, path, "--strict")
        assert (status, out) == (1, "")
        assert err == f"acg-lab: {path}, key 'nemo_relay:acg_stability:a', at $: not JSON: it ends too early\n"
    status, out, _ = run("analyze", path, "--json")
    assert json.loads(out)["problems"] == [
        f"{path}, key 'nemo_relay:acg_stability:a', at $: not JSON: it ends too early",
        f"{path}, key 'nemo_relay:acg_stability:c', at $: expected object, got array",
    ]
    assert status == 0
    folder = f"{path}.export"
    assert run("export", path, folder, "--strict")[0] == 1
    assert not Path(folder).exists()
    assert run("export", path, folder)[0] == 0
    assert list(acg.load(folder).seeds) == ["b"]


def test_two_prefixes_ask_which(run, tmp_path):
    """Where two deployments share a source, both prefixes and the option are named; with it, one is read."""
    result = '{"scores":[],"stable_prefix_length":0,"total_observations":0}'
    keys = ["nemo_flow:acg_stability:a", "nemo_relay:acg_stability:b"]
    pq.write_table(pa.table({"key": keys, "value": [result] * 2}), tmp_path / "kv")
    status, _, err = run("analyze", str(tmp_path / "kv"))
    assert status == 2
    assert "'nemo_flow:' and 'nemo_relay:'; choose one with key_prefix=... (--key-prefix)" in err
    assert run("analyze", str(tmp_path / "kv"), "--key-prefix", "nemo_flow:")[0] == 0


@pytest.mark.parametrize("command", [["analyze", "--json"], ["analyze"], ["verify"], ["export", "out"]])
def test_an_agent_that_is_not_there(run, command, tmp_path, monkeypatch):
    """A mistyped agent is wrong use, not "nothing differs"; the agents that there are are named, the nearest first."""
    monkeypatch.chdir(tmp_path)
    status, out, err = run(command[0], SAMPLE, *command[1:], "--agent", "codr")
    assert (status, out) == (2, "")
    assert "There is no agent 'codr' in " in err
    assert "; it holds 'coder', " in err
    assert "'handbook-search'" in err
    assert list(tmp_path.iterdir()) == []


def test_an_agent_with_nothing_new(run):
    """One that is there, but did nothing since, is no mistake."""
    later = ["--agent", "coder", "--since", "2027-01-01"]
    assert run("analyze", SAMPLE, *later)[0] == 0


def test_many_agents(run, tmp_path):
    """Of many agents the nearest are named, the others counted; of none it is said."""
    backend = acg.MemoryBackend()
    for i in range(30):
        learned_backend(f"agent-{i:02}", n_runs=1, backend=backend)
    acg.load(backend).to_parquet(tmp_path / "many")
    assert "it holds 'agent-07', " in (err := run("verify", str(tmp_path / "many"), "--agent", "agnt-07")[2])
    assert "and 10 more." in err
    acg.load(acg.MemoryBackend()).to_parquet(tmp_path / "none")
    assert "it holds no agents." in run("verify", str(tmp_path / "none"), "--agent", "x")[2]


def test_json_schema(run):
    """The fields of the JSON, for scripts."""
    printed = json.loads(run("analyze", SAMPLE, "--agent", "coder", "--json", "--min-observations", "7")[1])
    assert printed["source"] == SAMPLE
    assert printed["thresholds"] == {
        "stable_threshold": 0.95,
        "semi_stable_threshold": 0.5,
        "min_observations_for_full_confidence": 7,
    }
    assert set(printed) == {"source", "thresholds", "profiles", "splits", "totals", "caveats", "problems"}
    (profile,) = printed["profiles"]
    assert set(profile) == {
        *("learning_key", "agent_id", "model", "observations", "blocks", "prefix_blocks"),
        *("prompt_tokens", "prefix_tokens", "lost_tokens", "share", "breaks", "cause"),
        *("read_share", "cost", "lost"),
    }
    assert set(profile["breaks"]) == {"span_id", "classification", "score", "confidence", "observation_count"}
    assert set(printed["totals"]) == {
        *("profiles", "single", "observations", "prompt_tokens", "prefix_tokens", "share"),
    }
    verified = json.loads(run("verify", SAMPLE, "--agent", "coder", "--json")[1])
    assert set(verified) == {"ok", "settings", "verdicts", "caveats", "problems", "notes"}


def test_filters_and_rules(run):
    """Time, window and rules change what is analysed."""
    sums = []
    for options in ([], ["--since", "2026-11-16"], ["--window", "5"], ["--rules", "nemo-flow-0.2"]):
        _, out, _ = run("analyze", SAMPLE, "--agent", "sales-analyst", "--json", *options)
        totals = json.loads(out)["totals"]
        sums.append((totals["observations"], round(totals["share"], 4)))
    assert sums[0] == sums[3]  # both generations find the same prefix here
    assert sums[1][0] < sums[0][0]
    assert sums[2][0] == 10


def test_rows(run):
    """The number of profiles listed of each agent; 0 lists all."""
    lengths = {n: len(run("analyze", SAMPLE, "--agent", "support-legacy", "--rows", n)[1].splitlines()) for n in "025"}
    assert lengths == {"0": 1 + 70 + 1 + 4, "2": 1 + 2 + 1 + 4, "5": 1 + 5 + 1 + 4}


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Return an export of agents whose names are long, wide, empty, or obeyed by terminals."""
    backend = learned_backend("x" * 99 + "\x1b[31m\x9b\u202ered\n\r<b>[bold]", model="m" * 60)
    learned_backend("日本語" * 20, model="模型" * 20, backend=backend)
    learned_backend("", model="", backend=backend)
    span = "tool\x1b]0;title\x07" + "日本語" * 9
    backend.store_observations(
        "s::model=m::seed=no-seed::system=no-system::tools=no-tools",
        [make_ir((span, str(i % 1000))) for i in range(3000)],
    )
    folder = tmp_path_factory.mktemp("exports") / "odd"
    acg.load(backend).to_parquet(folder)
    return str(folder)


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.slow
def test_odd_names_leave_the_table_whole(odd, columns):
    """Whatever agents and models are called, a row is one line that fits, and numbers are not cut."""
    out = process("analyze", odd, COLUMNS=str(columns)).stdout
    rows = out.splitlines()[: out.splitlines().index("")]
    assert len(rows) == 1 + 4
    assert max(map(cell_len, rows)) <= columns
    assert ("model" in rows[0], "  3,000  " in "".join(rows)) == (columns > 80, True)
    assert all(char.isprintable() or char == "\n" for char in out)
    assert all(char.isprintable() or char == "\n" for char in process("verify", odd, check=False).stdout)


@pytest.mark.slow
def test_a_terminal_without_unicode(odd):
    """What it can't show is escaped; JSON is UTF-8 everywhere."""
    for command in ("analyze", "verify"):
        ended = process(command, odd, check=False, PYTHONIOENCODING="ascii")
        assert (ended.stderr, ended.stdout.isascii()) == ("", True)
    printed = process("analyze", odd, "--json", PYTHONIOENCODING="ascii").stdout
    assert "日本語" * 20 in {profile["agent_id"] for profile in json.loads(printed)["profiles"]}
    assert all(char.isprintable() or char == "\n" for char in printed)


@pytest.mark.slow
def test_a_full_disk(odd):
    """If the output can't be written, that is said in one line."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    for options in ([], ["--json"]):
        with Path("/dev/full").open("w") as full:
            ended = subprocess.run(
                [*COMMAND, "analyze", odd, *options], stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        assert (ended.returncode, ended.stderr) == (
            1,
            "acg-lab: the output can't be written: No space left on device\n",
        )


def test_interrupting():
    """Ctrl-C ends it with status 130 and one line."""
    stop = "def load(*_, **__): raise KeyboardInterrupt"
    script = f"from acg_lab.cli import main, _app\n{stop}\n_app.load = load\nmain()"
    ended = subprocess.run(
        [sys.executable, "-c", script, "analyze", SAMPLE], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "acg-lab: interrupted\n")


def test_interrupting_while_it_loads():
    """Ctrl-C before the command line is there ends it with status 130 and no traceback."""
    script = (
        "import builtins\nfrom acg_lab.__main__ import main\nload = builtins.__import__\n"
        "def stop(name, *args):\n    if name == 'typer': raise KeyboardInterrupt\n    return load(name, *args)\n"
        "builtins.__import__ = stop\nmain()"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_run_as_a_module():
    """``python -m acg_lab`` is the command, and tells its version."""
    ended = subprocess.run(
        [sys.executable, "-m", "acg_lab", "--version"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ended.stdout.startswith("acg-lab ")


@pytest.mark.parametrize("command", [[], ["analyze"], ["verify"], ["export"]])
def test_help(run, command):
    """Every command says what it does."""
    status, out, _ = run(*command, "--help")
    assert (status, "Usage: acg-lab" in out) == (0, True)


def test_a_pipe_may_close(table):
    """As a process of its own it writes tables to standard output only, and survives a reader that goes away."""
    result = '{"scores":[],"stable_prefix_length":0,"total_observations":0}'
    path = table(**{f"agent-{i}": result for i in range(1000)})  # far more output than a pipe holds
    with subprocess.Popen(
        [*COMMAND, "analyze", path, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout.readline() == "{\n"
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.slow
def test_a_pipe_that_is_closed_from_the_start(options):
    """What nobody could hear is no success, however short it is: 'verify' would say that nothing differs."""
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [*COMMAND, "verify", SAMPLE, "--agent", "coder", *options],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        cwd=ROOT,
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, "")


@pytest.mark.parametrize("option", ["--since", "--rules", "--agent", "--key-prefix"])
def test_a_misplaced_address_keeps_its_password(run, odd, option):
    """Whatever option an address is given to by mistake, its password is not repeated."""
    run("analyze", odd, option, f"redis://u:{PASSWORD}@host/0")  # the fixture looks for the password


def test_a_closed_output(odd):
    """With standard output closed by the caller it works for nobody, without a traceback."""
    command = f"'{sys.executable}' -c 'from acg_lab.cli import main; main()' analyze '{odd}' >&-"
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
