"""The commands acg-lab cost and misses: their numbers are the simulation's, in terminals of every width."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len
from simulation.histories import MARKER, block, body, sent, snapshot_of, user
from simulation.spending import clock, growing, unpriced

import acg_lab as acg
from acg_lab.cli import main
from acg_lab.cli._app import out
from acg_lab.diagnosis.agent_costs import summarize_costs
from acg_lab.diagnosis.misses import find_misses

ROOT = Path(__file__).parents[2]
_WIDE = 100
ODD = "bot \x1b[2J[bold]<b>"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Return the path of an export with three agents; one has a name that terminals obey, one no price."""
    path = tmp_path_factory.mktemp("spending") / "export"
    snap = snapshot_of(*clock(ODD), *growing(), *unpriced())
    snap.to_parquet(path)
    return str(path)


@pytest.fixture
def run(capsys):
    """Run the command in a terminal of some width; return exit status, standard output and standard error."""

    def call(*arguments, columns=100):
        out.width = columns
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed, err = capsys.readouterr()
        assert "Traceback" not in err
        return ended.value.code or 0, printed, err

    return call


@pytest.mark.parametrize("columns", [100, 80])
@pytest.mark.parametrize("command", ["cost", "misses"])
def test_widths(run, source, command, columns):
    """Tables fit their terminal, and escape what a terminal obeys."""
    status, printed, _ = run(command, source, columns=columns)
    table = printed[: printed.index("\n\n")]
    assert status == 0
    assert max(map(cell_len, table.splitlines())) <= columns
    assert "\x1b[2J" not in printed
    assert "[b" in printed
    assert all(cell_len(line) <= _WIDE for line in printed.splitlines() if line.startswith("lost:"))


def test_a_sample_of_the_traffic(run):
    """Of a log that holds a tenth, cost also says what all of it costs and loses; of a whole log it does not."""
    log = str(ROOT / "data" / "requests.jsonl.gz")
    total = json.loads(run("cost", log, "--json")[1])["total"]
    sampled = json.loads(run("cost", log, "--json", "--sample-rate", "0.1")[1])
    assert sampled["sample_rate"] == 0.1
    assert sampled["total"] == total
    printed = run("cost", log, "--sample-rate", "0.1")[1]
    assert f"costs about ${10 * total['cost']:.2f} and loses about ${10 * total['lost']:.2f}" in " ".join(
        printed.split()
    )
    assert "of the traffic" not in run("cost", log)[1]


def test_cost_is_the_simulation(run, source):
    """JSON holds the costs of every agent in their order, and what is not known as null."""
    printed = json.loads(run("cost", source, "--json")[1])
    costs = summarize_costs(acg.simulate(acg.load(source)))
    assert [agent["agent_id"] for agent in printed["agents"]] == [cost.agent_id for cost in costs]
    assert [agent["lost"] for agent in printed["agents"][:-1]] == [cost.lost for cost in costs[:-1]]
    assert printed["agents"][-1] | {"agent_id": "unpriced", "cost": None, "lost": None} == printed["agents"][-1]
    assert printed["total"]["n_without_price"] == 6
    assert "genai-prices" in printed["prices"]


def test_cost_says_what_it_leaves_out(run, source):
    """Requests without a price are counted, and their cost is a share or unknown, never zero."""
    printed = run("cost", source)[1]
    (line,) = [line for line in printed.splitlines() if line.startswith("unpriced")]
    assert "$" not in line
    assert "6 requests of models without a price" in printed


def test_misses_are_those_of_python(run, source):
    """JSON holds the misses of `find_misses`, dearest first, and no text unless asked for."""
    printed = run("misses", source, "--json")[1]
    found = find_misses(acg.simulate(acg.load(source)))
    listed = json.loads(printed)["misses"]
    assert [miss["requests"] for miss in listed] == [len(miss.requests) for miss in found]
    assert "2026-11-06 12:" not in printed
    shown = json.loads(run("misses", source, "--text", "--json")[1])["misses"]
    (pair,) = next(miss["texts"] for miss in shown if miss["kind"] == "datetime")
    assert pair["path"] == "$.system[0]"
    assert pair["text"] != pair["other_text"]


def test_one_run(run, source):
    """With --run each request of a conversation has a line; the parts of its prompt add up."""
    snap = acg.load(source)
    (run_id,) = [record.id for record in snap.runs if record.agent_id == "growing"]
    printed = json.loads(run("misses", source, "--run", run_id, "--json")[1])
    assert printed["requests"][0]["verdict"] == "first_seen"
    for request in printed["requests"]:
        parts = ("read", "missed_live", "missed_expired", "changed", "new", "not_recorded")
        assert sum(request[name] for name in parts) == request["tokens"]
    assert len(run("misses", source, "--run", run_id)[1].splitlines()) >= 2 + len(printed["requests"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["misses", "--run", "ffff"], "there is none"),
        (["misses", "--run", "0000"], "several runs begin with it"),
        (["cost", "--scope", "planet"], "must be one of agent, workspace, account"),
        (["cost", "--agent", "nobody"], "nobody"),
        (["cost", "--since", "yesterday"], "since"),
        (["cost", "--cache-provider", "nobody"], "nobody"),
    ],
)
def test_wrong_use(run, source, arguments, message):
    """Wrong options exit with 2 and say what was expected."""
    status, printed, err = run(arguments[0], source, *arguments[1:])
    assert (status, printed) == (2, "")
    assert message in err


def test_since_and_until(run, source):
    """Only requests of the time asked for are counted; what the cache held before counts."""
    whole = json.loads(run("cost", source, "--json")[1])["total"]
    late = json.loads(run("cost", source, "--since", "2026-11-06T21:21:30Z", "--json")[1])["total"]
    early = json.loads(run("cost", source, "--until", "2026-11-06T21:21:30Z", "--json")[1])["total"]
    assert late["n_requests"] + early["n_requests"] == whole["n_requests"]
    assert late["lost"] + early["lost"] == pytest.approx(whole["lost"])


def test_no_requests(run, source):
    """Without recorded requests that is said, with status 0."""
    status, printed, _ = run("cost", source, "--until", "2000-01-01")
    assert (status, "no recorded requests" in printed) == (0, True)


def test_what_is_wrong_with_a_log(run, tmp_path):
    """Lines that can't be read are counted below the table, and listed with their numbers by --json."""
    body = {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
    log = tmp_path / "log.jsonl"
    log.write_text(f"{json.dumps(body)}\nnot JSON\n{json.dumps(body)}\n[]\n", encoding="utf-8")
    for command in ("cost", "verify"):
        assert "2 entries can't be read; --json lists them." in run(command, str(log))[1]
    problems = json.loads(run("cost", str(log), "--json")[1])["problems"]
    assert [problem.split(", ")[1] for problem in problems] == ["line 2", "line 4"]


def test_writes_that_nothing_reads_are_a_cause(run, tmp_path):
    """Where requests lose without missing, what they wrote is named; without a cause there is no next step."""
    documents = [block(f"{name} " * 1500, MARKER) for name in ("contract", "invoices", "minutes,", "timesheet")]
    asked = [
        sent(body(user("a question"), system=[one]), 60 * i, (3010, 0, 3000), run=f"r{i}")
        for i, one in enumerate(documents)
    ]
    lines = []
    for calls in (asked, growing(n=1)):
        path = str(tmp_path / f"{len(lines)}")
        snapshot_of(*calls).to_parquet(path)
        lines.append(run("cost", path)[1].splitlines())
        lines[-1].insert(0, run("misses", path)[1].strip())
    assert lines[0][2].endswith("writes that nothing read")
    assert [found[0].endswith("writes that nothing read.") for found in lines] == [True, False]
    assert [found[-1].startswith("Next: ") for found in lines] == [True, False]


def test_what_no_bill_and_no_rule_speaks_of_is_unknown(run, tmp_path):
    """Of a model that nobody has rules for, whose bills do not mention reads, no command says that nothing is read."""
    calls = [
        sent(body(user("a question"), system="the rules " * 900, model="my-own-model"), 60 * i, (3010, None, None))
        for i in range(4)
    ]
    path = str(tmp_path / "export")
    snapshot_of(*calls, *growing()).to_parquet(path)
    printed = run("cost", path)[1]
    shares = {line.split()[0]: line.split()[3] for line in printed.splitlines()[1:4]}
    assert shares == {"growing": "73%", "a": "unknown", "total": "73%"}
    assert "4 requests of models whose cache has no known rules: --cache-provider names one." in printed
    assert "nan" not in run("analyze", path)[1]
    assert run("misses", path, "--agent", "a")[1] == (
        "What the cache read is not known: no bill says so, and the cache of these models has no known rules "
        "(cache_provider names one).\n"
    )


def test_where_all_requests_failed_no_command_says_that_all_is_well(run, tmp_path):
    """Of requests that were not answered, misses and analyze say that they failed."""
    path = str(tmp_path / "requests.jsonl")
    line = {"request": body(user("q")), "status_code": 529, "error": "overloaded"}
    Path(path).write_text("".join(json.dumps(line | {"id": f"{i}", "time": i + 1}) + "\n" for i in range(3)))
    assert run("misses", path)[1].startswith("No request was answered: 3 requests failed")
    assert "read and cost: of 3 requests, 3 failed;" in run("analyze", path)[1]


def test_misses_say_why_they_add_up_to_another_amount_than_cost_says(run, tmp_path):
    """What a first request would have to write is no miss, but no loss either: where sums differ, misses say why."""
    path = str(tmp_path / "export")
    calls = [
        sent(body(user(f"question {i}"), system="the rules " * 2000), 60 * i, (4000, 0, 0), run=f"r{i}")
        for i in range(10)
    ]
    snapshot_of(*calls).to_parquet(path)
    lost = [run("cost", path)[1].splitlines()[1].split()[4], run("misses", path)[1].splitlines()[1].split()[0]]
    assert lost == ["$0.09", "$0.10"]
    assert run("misses", path)[1].splitlines()[-1] == (
        "'acg-lab cost' says $0.09: at the limit the other requests write what these read, which costs <$0.01 more."
    )


@pytest.mark.parametrize("columns", ["60", None])
def test_notes_are_wrapped_at_words_where_the_width_is_known(source, columns):
    """In 60 columns no note is longer, and words stay whole; a pipe gets the same words, a line for each note."""
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    environment |= {"COLUMNS": columns} if columns else {}
    ended = subprocess.run(
        [sys.executable, "-m", "acg_lab", "cost", source],
        capture_output=True,
        check=True,
        encoding="utf-8",
        env=environment,
    )
    notes = ended.stdout[ended.stdout.index("lost: cost as billed") :].splitlines()
    assert (max(map(cell_len, notes)) <= 60) == (columns is not None)
    assert "lost: cost as billed less the least it could be, with every prefix that was sent again cached." in (
        " ".join(notes) if columns else notes
    )
