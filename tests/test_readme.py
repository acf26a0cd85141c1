"""What README.md shows is what its reader gets."""

import re
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

import acg_lab as acg
from acg_lab.diagnosis.agent_costs import summarize_costs
from acg_lab.docs.stored_notebooks import is_same_picture
from acg_lab.plots.short_svg import shorten_svg

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("start", "command"),
    [
        ("agent   ", "acg-lab cost data/sample"),
        pytest.param("agent and profile", "acg-lab analyze data/sample", marks=pytest.mark.slow),
        pytest.param("$ acg-lab explain", "acg-lab explain data/sample", marks=pytest.mark.slow),
        pytest.param(
            "$ acg-lab tune",
            "acg-lab tune data/sample --agent claims-triage --out data/plugins.toml --dry-run",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_printed(start, command, printed_of_sample):
    """Tables are as the commands print them, up to the lines that are left out."""
    (shown,) = [text for _, text in BLOCKS if text.startswith(start)]
    expected = [line.rstrip() for line in shown.splitlines() if not line.startswith(("$", "..."))]
    _, name, source, *options = command.split()
    assert source == "data/sample"
    printed = (line.rstrip() for line in printed_of_sample(name, *options).splitlines())
    assert [line for line in expected if line not in printed] == []


@pytest.mark.slow
def test_python(tmp_path, monkeypatch):
    """Its Python runs from top to bottom, as written."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    acg.export_config("plugins.toml", acg.AcgSettings())
    names = {}
    with mpl.rc_context({"backend": "agg"}):
        for code in [text for language, text in BLOCKS if language == "python"]:
            exec(compile(code, "README.md", "exec"), names)
        mpl.pyplot.close("all")
    assert acg.load("history", progress=False) == names["snap"]
    assert acg.load_config("plugins.toml").observation_window == 50


@pytest.fixture(scope="module")
def sim():
    return acg.simulate(acg.load(ROOT / "data" / "sample", progress=False))


def test_the_line_to_quote(sim):
    """The figures of the quoted line are the sample's, and its two causes make up most of the loss."""
    (line,) = re.findall(r"^> (.*)\n> (.*)$", TEXT, re.MULTILINE)
    cost, lost = (sum(getattr(agent, name) for agent in summarize_costs(sim)) for name in ("cost", "lost"))
    assert len(sim.by_agent()) == 11
    said = (
        f"Eleven agents, ${cost:.2f} of input in two weeks, {lost / cost:.0%} of it for nothing: one clock in a system "
    )
    assert " ".join(line).startswith(said)
    misses = acg.frames.misses(sim)
    clock = misses[(misses["cause"] == "system_changed") & (misses["kind"] == "datetime")]
    assert set(clock["agent_id"]) == {"support-chat"}
    early = misses[misses["cause"] == "breakpoint_short"]
    assert clock["lost"].sum() + early["lost"].sum() > 0.85 * lost


def test_the_picture(sim, tmp_path):
    """The picture is the plot of the sample, as drawn now, and its alternative text says what it says."""
    axes = acg.plots.misses(sim, ax=Figure(figsize=(7.5, 1)))
    acg.plots.save(axes, tmp_path / "misses.svg")
    drawn = shorten_svg((tmp_path / "misses.svg").read_text(encoding="utf-8"))
    assert is_same_picture((ROOT / "data" / "misses.svg").read_text(encoding="utf-8"), drawn)
    assert f"![{acg.plots.alt_text(axes)}](data/misses.svg)" in TEXT
