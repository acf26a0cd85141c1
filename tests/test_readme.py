"""What README.md shows is what its reader gets."""

import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest

import acg_lab as acg

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def lines_of(command):
    """Run a command in a terminal of 100 columns; return the lines that it prints."""
    process = [sys.executable, "-m", "acg_lab", *command.split()[1:]]
    environment = os.environ | {"COLUMNS": "100"}
    ended = subprocess.run(process, capture_output=True, check=True, encoding="utf-8", env=environment, cwd=ROOT)
    return [line.rstrip() for line in ended.stdout.splitlines()]


@pytest.mark.parametrize(
    ("start", "command"),
    [
        ("agent   ", "acg-lab cost data/sample"),
        ("agent and profile", "acg-lab analyze data/sample"),
        ("$ acg-lab explain", "acg-lab explain data/sample"),
    ],
)
def test_printed(start, command):
    """Tables are as the commands print them, up to the lines that are left out."""
    (shown,) = [text for _, text in BLOCKS if text.startswith(start)]
    expected = [line.rstrip() for line in shown.splitlines() if not line.startswith(("$", "..."))]
    printed = iter(lines_of(command))
    assert [line for line in expected if line not in printed] == []


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
