"""The command acg-lab explain, and the causes in the table of acg-lab analyze."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from acg_lab.cli import main
from acg_lab.cli._app import out

ROOT = Path(__file__).parents[2]
SAMPLE = str(ROOT / "data" / "sample")


@pytest.fixture
def run(capsys):
    """Run the command in 100 columns; return exit status, standard output and standard error."""

    def call(*arguments):
        out.width = 100
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed, err = capsys.readouterr()
        assert "Traceback" not in err
        return ended.value.code or 0, printed, err

    return call


@pytest.mark.slow
def test_explain_prints_what_python_says(printed_of_sample, explained_sample):
    """The command prints the findings of `acg.explain`, costliest first, within 100 columns."""
    out = printed_of_sample("explain")
    assert out.rstrip("\n") == explained_sample.to_text(width=100)
    assert max(map(len, out.splitlines())) <= 100
    assert out.splitlines()[1].startswith(" 1. support-chat loses $3.03 of $4.82 in 14 days (63%): A date or time")


@pytest.mark.slow
def test_a_narrow_terminal():
    """A terminal of 60 columns gets lines of at most 60."""
    command = [sys.executable, "-c", "from acg_lab.cli import main; main()", "explain", SAMPLE]
    environment = os.environ | {"COLUMNS": "60"}
    ended = subprocess.run(
        [*command, "--agent", "handbook-search"],
        capture_output=True,
        check=True,
        encoding="utf-8",
        env=environment,
        cwd=ROOT,
    )
    assert max(map(len, ended.stdout.splitlines())) <= 60


def test_json(run):
    """JSON holds every finding with its evidence and repairs, the healthy profiles, and no text."""
    printed = json.loads(run("explain", SAMPLE, "--agent", "claims-triage", "--json")[1])
    finding = printed["findings"][0]
    assert (finding["kind"], finding["span_id"], finding["evidence"]["threshold"]) == ("variants", "user-10", 0.74)
    assert finding["money_lost"] == finding["evidence"]["threshold_saved"]
    assert finding["total_lost"] == finding["tokens_lost"] * 100
    assert finding["repairs"][0]["repairs"][0]["repair"] == "MoveToSystemPrompt"
    assert finding["repairs"][0]["after"]["prefix_blocks"] == 16
    assert {place["text"] for place in finding["evidence"]["places"]} == {None}
    assert printed["healthy"] == []


def test_text_is_shown_when_asked_for(run):
    """Excerpts come with --text and not without."""
    plain, told = (run("explain", SAMPLE, "--agent", "handbook-search", *o)[1] for o in ((), ("--text",)))
    assert "Carrying leave over" not in plain
    assert "Carrying leave over" in told


def test_text_shows_values_of_slots(run):
    """With --text each slot shows its values with the number of requests that have them, the most frequent first."""
    printed = run("explain", SAMPLE, "--agent", "claims-triage", "--text")[1].splitlines()
    assert "    at 35: 'autumn 2026' (92), 'coastal pilot' (8)" in printed
    assert max(map(len, printed)) <= 100


def test_options_of_analyze(run):
    """Thresholds and the newest observations are chosen as in analyze; each option of it that fits is there."""
    options = ["--agent", "handbook-search", "--window", "20", "--semi-stable-threshold", "0.4", "--json"]
    explained, analyzed = (json.loads(run(command, SAMPLE, *options)[1]) for command in ("explain", "analyze"))
    assert explained["thresholds"] == analyzed["thresholds"]
    assert explained["thresholds"]["semi_stable_threshold"] == 0.4
    assert explained["findings"][0]["requests"] == 20
    assert sum(profile["observations"] for profile in analyzed["profiles"]) == 20


def test_a_window_larger_than_any(run):
    """As in analyze, that a larger window shows no more is said in a line; of one that cuts, nothing is."""
    larger, cut = (run("explain", SAMPLE, "--agent", "handbook-search", "--window", n)[1] for n in ("101", "99"))
    assert larger.splitlines()[-1] == ("No window holds more than 100 observations: --window 101 changes nothing.")
    assert "No window holds more" not in cut


def test_one_profile(run, sample):
    """With --key one profile is explained; one that there is not is refused, with status 2."""
    (key,) = [key for key in sample.windows if key.startswith("coder::")]
    assert run("explain", SAMPLE, "--key", key)[1] == "No findings; 1 healthy profile\n"
    status, printed, err = run("explain", SAMPLE, "--key", "nobody")
    assert (status, printed) == (2, "")
    assert "There is no profile 'nobody'" in err


def test_nobody(run):
    """An agent that there is not is wrong use; those that there are are named."""
    status, _, err = run("explain", SAMPLE, "--agent", "nobody")
    assert status == 2
    assert "'support-mail'" in err


@pytest.mark.parametrize(
    "line",
    [
        "handbook-search 100 17% $0.33 6/29 880 48% user-6 0.02 retrieved text",
        "claims-triage 100 59% $0.60 10/17 1,796 74% user-10 0.92 alternates",
        "support-mail 100 33% $2.04 11/12 2,215 97% user-11 0.02 conversation",
        "and 120 more profiles 483 <1% $4.57 97% split: date or time",
        "and 67 more profiles 225 79% $0.48 94% split: first message",
        "all 2 of them 200 35% $4.05 97% split: tools reordered",
        "all 2 of them 200 33% $2.05 91% split: model changed",
    ],
)
def test_causes_in_the_table_of_analyze(line, analyzed):
    """Beside the breaking block stands what happens there; below profiles that one could be, what keeps them apart."""
    assert line.split() in [row.split() for row in analyzed]


@pytest.fixture(scope="module")
def analyzed(printed_of_sample):
    return printed_of_sample("analyze").splitlines()


def test_analyze_tells_causes_in_json(run):
    """JSON has the cause of each profile, and what splits each agent."""
    one, other = (
        json.loads(run("analyze", SAMPLE, "--agent", agent_id, "--json")[1])
        for agent_id in ("handbook-search", "support-chat")
    )
    assert [profile["cause"] for profile in one["profiles"]] == ["retrieved text"]
    assert other["splits"]["support-chat"] == "date or time"
