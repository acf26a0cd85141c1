"""The command acg-lab explain, and the causes in the table of acg-lab analyze."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import acg_lab as acg

ROOT = Path(__file__).parents[2]
SAMPLE = str(ROOT / "data" / "sample")


def acg_lab(*arguments, check=True, columns="100"):
    """Run the command as its users do."""
    command = [sys.executable, "-c", "from acg_lab.cli import main; main()", *arguments]
    environment = os.environ | {"COLUMNS": columns}
    return subprocess.run(command, capture_output=True, check=check, encoding="utf-8", env=environment, cwd=ROOT)


def test_explain_prints_what_python_says():
    """The command prints the findings of `acg.explain`, costliest first, within 100 columns."""
    out = acg_lab("explain", SAMPLE).stdout
    assert out.rstrip("\n") == acg.explain(acg.load(SAMPLE)).to_text(width=100)
    assert max(map(len, out.splitlines())) <= 100
    assert out.splitlines()[1].startswith(" 1. support-chat loses $3.05 of $4.82 in 14 days (63%): A date or time")


def test_a_narrow_terminal():
    """A terminal of 60 columns gets lines of at most 60."""
    out = acg_lab("explain", SAMPLE, "--agent", "handbook-search", columns="60").stdout
    assert max(map(len, out.splitlines())) <= 60


def test_json():
    """JSON holds every finding with its evidence and repairs, the healthy profiles, and no text."""
    printed = json.loads(acg_lab("explain", SAMPLE, "--agent", "claims-triage", "--json").stdout)
    finding = printed["findings"][0]
    assert (finding["kind"], finding["span_id"], finding["evidence"]["threshold"]) == ("variants", "user-10", 0.74)
    assert finding["money_lost"] == finding["evidence"]["threshold_saved"]
    assert finding["total_lost"] == finding["tokens_lost"] * 100
    assert finding["repairs"][0]["repairs"][0]["repair"] == "MoveToSystemPrompt"
    assert finding["repairs"][0]["after"]["prefix_blocks"] == 16
    assert {place["text"] for place in finding["evidence"]["places"]} == {None}
    assert printed["healthy"] == []


def test_text_is_shown_when_asked_for():
    """Excerpts come with --text and not without."""
    plain, told = (acg_lab("explain", SAMPLE, "--agent", "handbook-search", *o).stdout for o in ((), ("--text",)))
    assert "Carrying leave over" not in plain
    assert "Carrying leave over" in told


def test_options_of_analyze():
    """Thresholds and the newest observations are chosen as in analyze; each option of it that fits is there."""
    options = ["--agent", "handbook-search", "--window", "20", "--semi-stable-threshold", "0.4", "--json"]
    explained, analyzed = (json.loads(acg_lab(command, SAMPLE, *options).stdout) for command in ("explain", "analyze"))
    assert explained["thresholds"] == analyzed["thresholds"]
    assert explained["thresholds"]["semi_stable_threshold"] == 0.4
    assert explained["findings"][0]["requests"] == 20
    assert sum(profile["observations"] for profile in analyzed["profiles"]) == 20


def test_a_window_larger_than_any():
    """As in analyze, that a larger window shows no more is said in a line; of one that cuts, nothing is."""
    larger, cut = (
        acg_lab("explain", SAMPLE, "--agent", "handbook-search", "--window", n).stdout for n in ("101", "99")
    )
    assert larger.splitlines()[-1] == ("No window holds more than 100 observations: --window 101 changes nothing.")
    assert "No window holds more" not in cut


def test_one_profile():
    """With --key one profile is explained; one that there is not is refused, with status 2."""
    (key,) = [key for key in acg.load(SAMPLE).windows if key.startswith("coder::")]
    assert acg_lab("explain", SAMPLE, "--key", key).stdout == "No findings; 1 healthy profile\n"
    done = acg_lab("explain", SAMPLE, "--key", "nobody", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "There is no profile 'nobody'" in done.stderr


def test_nobody():
    """An agent that there is not is wrong use; those that there are are named."""
    ended = acg_lab("explain", SAMPLE, "--agent", "nobody", check=False)
    assert ended.returncode == 2
    assert "'support-mail'" in ended.stderr


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
def analyzed():
    return acg_lab("analyze", SAMPLE).stdout.splitlines()


def test_analyze_tells_causes_in_json():
    """JSON has the cause of each profile, and what splits each agent."""
    printed = json.loads(acg_lab("analyze", SAMPLE, "--json").stdout)
    causes = {profile["agent_id"]: profile["cause"] for profile in printed["profiles"]}
    assert causes["handbook-search"] == "retrieved text"
    assert printed["splits"]["support-chat"] == "date or time"
