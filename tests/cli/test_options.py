"""What no option accepts: each command refuses it before it does any work, names it, and ends with status 2."""

import re

import pytest

from acg_lab.cli import main

NOT_SHARES = ("-0.1", "1.5", "95", "nan", "inf", "1e999", "high")
NOT_COUNTS = ("-1", "1.5", "many")
# What is refused, by option; what a message calls it, where that is not its name.
REFUSED = {
    "--stable-threshold": NOT_SHARES,
    "--semi-stable-threshold": (*NOT_SHARES, "0.99"),  # above the stable threshold
    "--min-observations": (*NOT_COUNTS, str(2**32)),
    "--window": ("0", *NOT_COUNTS),
    "--rows": NOT_COUNTS,
    "--limit": ("0", *NOT_COUNTS),
    "--since": ("yesterday", "2026-13-01", "5", ""),
    "--until": ("never", "2026-02-30", ""),
    "--at": ("never", ""),
    "--rules": ("0.9", "nemo", ""),
    "--format": ("xml", ""),
    "--api": ("gemini", ""),
    "--sample-rate": ("0", "-1", "2", "nan", "a tenth"),
    "--field": ("x", "agent=", "=x", "foo=bar", "agent=a..b"),
    "--agent-from": ("", "a..b"),
    "--session-from": ("", "a..b"),
    "--cache-provider": ("antropic", "5", ""),
    "--scope": ("world", ""),
    "--max-lost-share": NOT_SHARES,
    "--tolerance": NOT_SHARES,
    "--mode": ("999", "x", "-1", "77777"),
    "--max": ("blocks", "blocks=many", "blocks=-1", "blocks=0", "depth=500", "bytes=5", "=5", ""),
    "--jobs": ("0", "1.5", "many"),
    "--port": ("-1", "70000", "http"),
}
CALLED = {
    "--window": "limit",
    "--agent-from": "'agent'",
    "--session-from": "'session'",
    "--field": "field",
    "--max": "limit",
}
# Names, paths and texts, of which any may be right: what is wrong shows when they are used.
FREE = {
    *("--agent", "--key", "--run", "--key-prefix", "--dest-prefix", "--out", "--save", "--baseline", "--config"),
    *("--password-file", "--salt", "--host", "--into", "--set", "--note", "--dask"),
}
COMMANDS = {
    "analyze": ("sample-log",),
    "check": ("sample-log",),
    "compare": ("sample-log", "--at", "2026-11-10"),
    "cost": ("sample-log",),
    "explain": ("sample-log",),
    "export": ("sample-log", "out"),
    "misses": ("sample-log",),
    "report": ("sample-log", "--out", "out.html"),
    "tune": ("sample-log",),
    "verify": ("sample-log",),
    "app": ("sample-log", "--no-browser"),
    "notebook": (),
    "config set": ("plugins.toml",),
}
QUICK = {"explain", "export", "notebook"}
# Verification asks what production may have run with, and production takes any finite number.
TAKEN = {("verify", "--stable-threshold"), ("verify", "--semi-stable-threshold")}


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    """Run the command in an empty folder; return exit status, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return run


@pytest.fixture
def options(call):
    """Return the options with a value that the help of a command lists."""

    def read(command):
        out = call(*command.split(), "--help")[1]
        return re.findall(r"^\s+(--[\w-]+)(?: [A-Z]\S*|\s+<)", out, re.MULTILINE)

    return read


@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in COMMANDS]
)
def test_wrong_values_are_refused(call, options, command, tmp_path):
    """Each is wrong use, and the message says of which option, without a traceback; nothing is written."""
    given = options(command)
    assert given, "the help lists no options"
    assert set(given) <= REFUSED.keys() | FREE, "a new option needs its row"
    for option in given:
        for value in REFUSED.get(option, ()):
            if (command, option) in TAKEN and value in {"-0.1", "1.5", "0.99"}:
                continue
            status, out, err = call(*command.split(), *COMMANDS[command], option, value)
            assert (status, out) == (2, ""), (option, value, err)
            names = (option, option[2:].replace("-", "_"), CALLED.get(option, option))
            assert any(name in err for name in names), (option, value, err)
            assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_password_file_that_is_not_there(call):
    """A file that can't be read is a problem of the source, named by its path."""
    status, out, err = call("analyze", "redis://127.0.0.1:1/0", "--password-file", "none.txt")
    assert (status, out) == (1, "")
    assert "none.txt" in err
