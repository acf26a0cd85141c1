"""The command acg-lab tune: it recommends, shows, writes, and exits with 3 where nothing is to be changed."""

import json

import pytest

import acg_lab as acg
from acg_lab.cli import main
from acg_lab.cli._app import out

TRIAGE = ("data/sample", "--agent", "claims-triage")


@pytest.fixture
def run(capsys):
    """Run the command; return exit status and standard output."""

    def call(*arguments):
        out.width = 100
        with pytest.raises(SystemExit) as ended:
            main(("tune", *arguments))
        printed, err = capsys.readouterr()
        assert "Traceback" not in err
        assert all(len(line) <= 100 for line in printed.splitlines() if "plugins.toml" not in line)
        return ended.value.code or 0, printed

    return call


@pytest.fixture
def config(tmp_path):
    """Return the path of a plugins.toml with production's defaults and a governor that acts."""
    path = tmp_path / "plugins.toml"
    acg.export_config(path, acg.AcgSettings(provider="anthropic"))
    return path


def test_it_writes_what_it_recommends(run, config):
    """The file gets the recommended settings, and nothing else in it changes."""
    before = config.read_text()
    status, printed = run(*TRIAGE, "--out", str(config))
    assert status == 0
    assert "on unseen requests" in printed
    assert "Restart the process" in printed
    changed = [
        pair for pair in zip(before.splitlines(), config.read_text().splitlines(), strict=True) if len({*pair}) > 1
    ]
    assert [line.split(" = ")[0] for pair in changed for line in pair] == ["stable_threshold"] * 2
    assert acg.load_config(config).thresholds.stable_threshold < 0.92


@pytest.mark.slow
def test_a_dry_run_shows_the_difference(run, config):
    """With --dry-run the difference is shown, and the file stays as it is."""
    before = config.read_bytes()
    status, printed = run(*TRIAGE, "--out", str(config), "--dry-run")
    assert status == 0
    assert "-stable_threshold = 0.95" in printed
    assert config.read_bytes() == before


@pytest.mark.slow
def test_nothing_to_change(run, config):
    """Where nothing wins the exit status is 3, and the file stays as it is."""
    before = config.read_bytes()
    status, printed = run("data/sample", "--agent", "claims-triage-next", "--out", str(config))
    assert status == 3
    assert printed.startswith("Change nothing")
    assert config.read_bytes() == before


@pytest.mark.slow
def test_json(run):
    """JSON holds settings, saving, interval, agents and repairs; a log without a governor gets repairs alone."""
    status, printed = run("sample-log", "--json")
    found = json.loads(printed)
    assert status == 3
    assert (found["change"], found["reason"]) == (False, "no governor")
    assert found["repairs"][0]["saved"] > 0


def test_a_file_with_per_cents_is_refused(config, capsys):
    """A threshold of 95 in the file is refused by name."""
    config.write_text(config.read_text().replace("stable_threshold = 0.95", "stable_threshold = 95", 1))
    with pytest.raises(SystemExit) as ended:
        main(("tune", *TRIAGE, "--out", str(config)))
    assert ended.value.code == 2
    assert "'stable_threshold'" in capsys.readouterr().err
