"""The command acg-lab check: it names each agent that exceeds a limit, and says what it could not judge."""

import json
import os
from pathlib import Path

import pytest
from simulation.histories import snapshot_of
from simulation.spending import clock, growing, unpriced

import acg_lab as acg
from acg_lab.cli import main
from acg_lab.cli._app import out
from acg_lab.core import UsageError
from acg_lab.diagnosis.agent_costs import summarize_costs
from acg_lab.diagnosis.loss_baseline import KnownLoss, read_baseline
from acg_lab.diagnosis.loss_check import AgentLoss, LossLimits, check_losses

SAMPLE = "data/sample"
SUPPORT = ("--agent", "support-chat")


@pytest.fixture
def run(capsys):
    """Run the command; return exit status, lines of standard output, and standard error."""

    def call(*arguments):
        out.width = 100
        with pytest.raises(SystemExit) as ended:
            main(("check", *arguments))
        printed, err = capsys.readouterr()
        assert "Traceback" not in err
        return ended.value.code or 0, printed.splitlines(), err

    return call


@pytest.fixture
def export(tmp_path):
    """Write requests as an export and return its path."""

    def write(name, *calls):
        snapshot_of(*calls).to_parquet(tmp_path / name)
        return str(tmp_path / name)

    return write


@pytest.mark.slow
def test_one_line_a_breach(run, sample):
    """Exactly the agents whose loss exceeds the limit have a line, and the status is 1."""
    status, lines, _ = run(SAMPLE, "--max-lost-share", "0.1")
    costs = summarize_costs(acg.simulate(sample))
    assert status == 1
    assert [line.partition(":")[0] for line in lines] == [c.agent_id for c in costs if c.lost / c.cost > 0.1]
    assert lines[0] == (
        "support-chat: loses 65% of its input cost, at most 10% allowed (date or time in system prompt)"
    )


def test_ok_says_what_was_checked(run):
    """Below the limit there is one line, with the number of agents and requests, and the status is 0."""
    status, lines, _ = run(SAMPLE, *SUPPORT, "--max-lost-share", "0.7")
    assert (status, lines) == (0, ["ok: 1 agent, 509 requests: at most 65% of the input cost lost, 70% allowed"])


def test_baseline(run, export, tmp_path):
    """Traffic that equals its baseline passes; an agent that no longer reads fails in its cost and in its loss."""
    path = str(tmp_path / "history.json")
    good, bad = export("good", *growing("bot", n=6)), export("bad", *clock("bot"))
    assert run(good, "--max-lost-share", "0.5", "--save", path)[0] == 0
    assert os.name != "posix" or Path(path).stat().st_mode & 0o777 == 0o600
    assert list(read_baseline(path)) == ["bot"]
    status, (line,), _ = run(good, "--max-lost-share", "0.5", "--baseline", path)
    assert (status, line.endswith("1 of them no more than 5% worse than the baseline")) == (0, True)
    status, lines, _ = run(bad, "--max-lost-share", "0.5", "--baseline", path, "--tolerance", "0.02")
    assert status == 1
    assert lines == [
        (
            "bot: loses 20% of its input cost, 16% in the baseline, at most 2 points more allowed "
            "(date or time in system prompt)"
        ),
        (
            "bot: costs $11.43 per 1,000 requests, $3.71 in the baseline: 209% more, at most 2% allowed "
            "(date or time in system prompt)"
        ),
    ]


def test_new_and_missing_agents(run, export, tmp_path):
    """An agent that the baseline lacks is judged by its share only, and one that the traffic lacks is named."""
    path = str(tmp_path / "history.json")
    run(export("before", *growing("old")), "--max-lost-share", "0.5", "--save", path)
    status, lines, err = run(export("after", *clock("new")), "--baseline", path)
    assert (status, len(lines)) == (1, 1)
    assert lines[0].startswith("new: loses ")
    assert "new: not in the baseline" in err
    assert "old: in the baseline, but not in this traffic" in err
    assert "old" not in run(export("again", *clock("new")), "--baseline", path, "--agent", "new")[2]


def test_a_failed_check_saves_nothing(run, export, tmp_path):
    """A breach leaves the baseline as it was, so that a gate that failed does not pass the next time."""
    path = tmp_path / "history.json"
    bad = export("bad", *clock("bot"))
    assert run(bad, "--save", str(path))[0] == 1
    assert not path.exists()
    run(bad, "--save", str(path), "--max-lost-share", "1")
    before = path.read_bytes()
    assert run(bad, "--baseline", str(path), "--save", str(path))[0] == 1
    assert path.read_bytes() == before


def test_without_a_price_tokens_count():
    """An agent of a model without a price is compared in uncached tokens; costs without a common unit are not."""
    loss = AgentLoss("bot", 6, 6, float("nan"), 5000.0, 0.0, "")
    (breach,) = check_losses([loss], baseline={"bot": KnownLoss(6, 0.01, 3000.0, 0.0)}).breaches
    assert (breach.kind, breach.value) == ("cost_over_baseline", 5000)
    assert breach.text == ("bot: costs 5,000 tokens per request, 3,000 in the baseline: 67% more, at most 5% allowed")
    found = check_losses([loss], baseline={"bot": KnownLoss(6, 0.01, None, 0.0)})
    assert (found.breaches, found.notes) == (
        (),
        ("bot: its cost is not compared: no unit in common with the baseline.",),
    )


def test_unknown_shares_are_not_judged(run, export):
    """What has no known rate is a note, never a breach and never among the judged; if that is all, the check fails."""
    status, lines, err = run(export("both", *unpriced("dark"), *clock("bot")))
    assert (status, [line.partition(":")[0] for line in lines]) == (1, ["bot"])
    assert "dark: not judged: what its 6 requests cost is not known." in err
    status, lines, _ = run(export("again", *unpriced("dark"), *clock("bot")), "--max-lost-share", "0.5")
    assert (status, lines[0].startswith("ok: 1 agent, 6 requests")) == (0, True)
    assert run(export("dark", *unpriced("dark")))[:2] == (1, [])


def test_nothing_to_judge(run, tmp_path):
    """Traffic without a request does not pass the gate: the status is 1 and says why."""
    path = tmp_path / "history.json"
    status, lines, err = run(SAMPLE, *SUPPORT, "--until", "2000-01-01", "--save", str(path))
    assert (status, lines, path.exists()) == (1, [], False)
    assert "nothing to judge" in err


def test_json(run):
    """JSON holds the breaches, the limits and every judged agent, and the status is the same."""
    status, lines, _ = run(SAMPLE, *SUPPORT, "--json")
    printed = json.loads("\n".join(lines))
    assert (status, printed["ok"], printed["max_lost_share"]) == (1, False, 0.1)
    (breach,) = printed["breaches"]
    assert (breach["agent_id"], breach["kind"], breach["allowed"]) == ("support-chat", "lost_share", 0.1)
    assert [agent["agent_id"] for agent in printed["agents"]] == ["support-chat"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-lost-share", "95"], "max_lost_share (--max-lost-share) must be from 0 to 1; got 95: write 0.95"),
        (["--max-lost-share", "nan"], "--max-lost-share"),
        (["--tolerance", "-0.1"], "tolerance (--tolerance) must be from 0 to 1; got -0.1."),
        (["--scope", "planet"], "must be one of agent, workspace, account"),
    ],
)
def test_wrong_use(run, arguments, message):
    """Limits that are no shares are refused by name, with status 2."""
    status, lines, err = run(SAMPLE, *arguments)
    assert (status, lines) == (2, [])
    assert message in err


@pytest.mark.parametrize("value", [True, "0.1", None, float("inf"), -1])
def test_limits_of_other_types(value):
    """In Python, too, a limit is a number from 0 to 1."""
    with pytest.raises(UsageError, match="max_lost_share"):
        LossLimits(max_lost_share=value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"agents": {}}',
        b'{"format": "acg-lab check 1", "agents": {"a": {"n_requests": 1, "cost": "1", "lost_share": 0}}}',
        (
            b'{"format": "acg-lab check 1", "agents": {"a": {"n_requests": 1, "cost": 1e999, "cost_tokens": 1, '
            b'"lost_share": 0}}}'
        ),
    ],
)
def test_a_file_that_is_no_baseline(run, tmp_path, content):
    """It is refused with its name, and --save does not overwrite it."""
    path = tmp_path / "other.json"
    path.write_bytes(content)
    status, lines, err = run(SAMPLE, *SUPPORT, "--baseline", str(path))
    assert (status, lines) == (1, [])
    assert "expected a baseline that 'acg-lab check --save' wrote" in err
    if content:
        assert run(SAMPLE, *SUPPORT, "--max-lost-share", "1", "--save", str(path))[0] == 1
        assert path.read_bytes() == content


def test_places_that_are_not_there(run, tmp_path):
    """A baseline, or a folder to save in, that does not exist is said with status 1."""
    status, _, err = run(SAMPLE, *SUPPORT, "--baseline", str(tmp_path / "none.json"))
    assert (status, "there is no such baseline" in err) == (1, True)
    status, _, err = run(SAMPLE, *SUPPORT, "--max-lost-share", "1", "--save", str(tmp_path / "none" / "history.json"))
    assert (status, "there is no folder" in err) == (1, True)
