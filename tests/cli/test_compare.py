"""The command acg-lab compare: a table of what changed, in 100 columns, and the same as JSON."""

import json

import pytest

import acg_lab as acg
from acg_lab.cli import main
from acg_lab.cli._app import out

SALES = ("data/sample", "--agent", "sales-analyst", "--at", "2026-11-16T09:40:00Z")


@pytest.fixture
def run(capsys):
    """Run the command; return exit status, standard output and standard error."""

    def call(*arguments):
        out.width = 100
        with pytest.raises(SystemExit) as ended:
            main(("compare", *arguments))
        printed, err = capsys.readouterr()
        assert "Traceback" not in err
        assert "--json" in arguments or all(len(line) <= 100 for line in printed.splitlines())
        return ended.value.code or 0, printed, err

    return call


def test_the_table(run):
    """The headline comes first, then the agent with what changed; how it was judged comes last."""
    status, printed, _ = run(*SALES)
    assert status == 0
    assert printed.startswith("No change of cost beyond chance")
    assert "tools changed" in " ".join(printed.split())
    assert "drawn again" in printed


def test_json_has_the_same_figures(run):
    """The JSON has what acg.compare returns."""
    found = acg.compare(acg.load("data/sample", agent_id="sales-analyst"), at=SALES[-1])
    status, printed, _ = run(*SALES, "--json")
    (agent,) = json.loads(printed)["agents"]
    assert status == 0
    assert agent["change"] == found.agents[0].change._asdict()
    assert agent["changed_parts"] == ["tools"]


@pytest.mark.slow
def test_two_sources(run, tmp_path):
    """A second source is what was recorded after."""
    path = str(tmp_path / "later")
    acg.load("data/sample", agent_id="field-notes", since="2026-11-16").to_parquet(path)
    status, printed, _ = run("data/sample", path, "--agent", "field-notes")
    assert status == 0
    assert "too few runs" in printed


@pytest.mark.parametrize("options", [(), ("other", "--at", "2026-11-16")])
def test_wrong_use(run, options):
    """Without a time or a second source, or with both, the status is 2 and the message says what to pass."""
    status, _, err = run("data/sample", *options)
    assert status == 2
    assert "--at TIME" in err
