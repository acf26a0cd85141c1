"""The command acg-lab config, as its users type it."""

import json
import subprocess

import pytest
from config.documents import DOCUMENTS, EXAMPLE

import acg_lab as acg
from acg_lab.cli import main

SETS = ("--set", "stable_threshold=0.9", "--set", "observation_window = 30")


@pytest.fixture
def run(capfdbinary):
    """Run the command; return exit status, standard output and standard error."""

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(("config", *map(str, arguments)))
        out, err = (text.decode() for text in capfdbinary.readouterr())
        assert "Traceback" not in err
        assert "hunter2" not in out + err
        return ended.value.code or 0, out, err

    return call


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "plugins.toml"
    path.write_text(EXAMPLE.replace("redis://", "redis://me:hunter2@"), encoding="utf-8")
    return path


def test_show(run, file):
    """Each setting has its line; one that is not production's default says so."""
    status, out, err = run("show", file)
    assert (status, err) == (0, "")
    assert [line.split(None, 1) for line in out.splitlines()] == [
        ["stable_threshold", "0.95"],
        ["semi_stable_threshold", "0.5"],
        ["min_observations_for_full_confidence", "20"],
        ["observation_window", "100"],
        ["provider", "anthropic  (default passthrough)"],
        ["priority", "50"],
    ]


def test_show_json(run, file):
    """JSON has the settings, and why production would learn nothing with them."""
    file.write_text(DOCUMENTS["no acg table"].replace("enabled = true", "enabled = false"), encoding="utf-8")
    _, out, _ = run("show", file, "--json")
    shown = json.loads(out)
    assert shown["settings"] == acg.AcgSettings().values() | {"provider": "passthrough", "priority": 50}
    assert len(shown["idle"]) == 2
    _, out, _ = run("show", file)
    assert "Production learns nothing with this file: The component is disabled." in out


def test_diff_is_a_patch(run, file):
    """The difference leaves the file alone, ends with status 1 as diff does, and patch makes of it what set does."""
    file.write_text(DOCUMENTS["CRLF"], encoding="utf-8", newline="")
    status, out, _ = run("diff", file, *SETS, "--note", "why")
    assert status == 1
    assert file.read_bytes() == DOCUMENTS["CRLF"].encode()
    patched = file.with_name("patched.toml")
    command = ["patch", "--binary", "--quiet", "--output", patched, file]
    try:
        subprocess.run(command, input=out.encode(), check=True, timeout=30)
    except FileNotFoundError:
        pytest.skip("there is no patch(1)")
    assert run("set", file, *SETS, "--note", "why")[0] == 0
    assert patched.read_bytes() == file.read_bytes()
    assert run("diff", file, *SETS) == (0, "", "")


def test_diff_hides_credentials(run, file):
    """An address with a password is masked in the lines around a change."""
    file.write_text(
        file.read_text(encoding="utf-8").replace("provider", "# redis://me:hunter2@x\nprovider"), encoding="utf-8"
    )
    _, out, _ = run("diff", file, "--set", "provider=openai")
    assert "***" in out


KEEPS_ITS_SIZE = (
    "Stored windows larger than the new observation_window never shrink: they lose one observation for each that is "
    "added, so they keep their size."
)


def test_set(run, file):
    """Values are set, with what follows for production; a second time there is nothing to change."""
    status, out, err = run("set", file, *SETS, "--note", "why")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        f"{file}: wrote stable_threshold = 0.9, observation_window = 30.",
        "Restart the process that reads this file to use it.",
        KEEPS_ITS_SIZE,
    ]
    expected = EXAMPLE.replace("redis://", "redis://me:hunter2@").replace("0.95", "0.9")
    expected = expected.replace("observation_window = 100", "# acg-lab: why\nobservation_window = 30")
    assert file.read_text(encoding="utf-8") == expected
    assert run("set", file, *SETS) == (0, f"{file}: nothing to change.\n", "")


def test_set_makes_a_file(run, tmp_path):
    """A file that is not there is made, with defaults for the rest; so is a component that is not there."""
    path = tmp_path / "plugins.toml"
    assert run("set", path, *SETS)[0] == 0
    assert acg.load_config(path) == acg.AcgSettings().replace(stable_threshold=0.9, observation_window=30)
    path.write_text(DOCUMENTS["no component"], encoding="utf-8")
    assert run("set", path, *SETS)[0] == 0
    assert acg.load_config(path).observation_window == 30


def test_set_mends(run, file):
    """Where production refuses the file's values, all of them have to be given, and then they are replaced."""
    file.write_text(DOCUMENTS["refused values"], encoding="utf-8")
    status, _, err = run("set", file, *SETS)
    assert status == 1
    assert "min_observations_for_full_confidence" in err or "stable_threshold" in err
    rest = ("--set", "semi_stable_threshold=0.5", "--set", "min_observations_for_full_confidence=20")
    assert run("set", file, *SETS, *rest)[0] == 0
    assert acg.load_config(file).thresholds == acg.StabilityThresholds(stable_threshold=0.9)


def test_set_warns_of_a_disabled_component(run, file):
    """Settings in a disabled component are written, and it is told that production will not use them."""
    file.write_text(DOCUMENTS["disabled"], encoding="utf-8")
    status, _, err = run("set", file, *SETS)
    assert status == 0
    assert "production learns nothing with this file: The component is disabled." in err.replace("\n", " ")


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        (["--set", "stable_threshold=high"], 2, "--set stable_threshold=high: expected a number; got 'high'."),
        (["--set", "observation_window=3.5"], 2, "--set observation_window=3.5: expected an integer; got '3.5'."),
        (["--set", "stable_threshold"], 2, "--set stable_threshold: expected NAME=VALUE."),
        (["--set", "window=3"], 2, "There is no setting 'window'; expected one of stable_threshold,"),
        (["--set", "priority=1", "--set", "priority=2"], 2, "--set priority is given twice."),
        (["--set", "stable_threshold=1.5"], 2, "must be a number in [0, 1]; got 1.5."),
        (["--set", "stable_threshold=nan"], 2, "must be a finite number; got nan."),
        (["--set", "provider=acme"], 2, "must be one of passthrough, anthropic, openai; got 'acme'."),
        ([], 2, "Missing option '--set'"),
    ],
)
def test_wrong_use(run, file, given, status, message):
    """Wrong values end with status 2 and a line that says what was expected; the file is as it was."""
    before = file.read_bytes()
    for command in ("set", "diff"):
        ended, out, err = run(command, file, *given)
        assert (ended, out) == (status, "")
        assert message in err
    assert file.read_bytes() == before


def test_bad_files(run, tmp_path):
    """A file that can't be read or understood ends with status 1, for diff with 2, and is told by name."""
    path = tmp_path / "plugins.toml"
    assert run("show", path)[0] == 1
    path.write_text("x = ", encoding="utf-8")
    for status, arguments in [(1, ("show", path)), (1, ("set", path, *SETS)), (2, ("diff", path, *SETS))]:
        ended, _, err = run(*arguments)
        assert ended == status
        assert "plugins.toml, at $: expected TOML: " in err
