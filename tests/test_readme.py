"""What README.md shows is what its reader gets."""

import re
from pathlib import Path

import matplotlib as mpl
import pytest

import acg_lab as acg

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("start", "command"),
    [
        ("agent   ", "cost"),
        ("agent and profile", "analyze"),
        ("$ acg-lab explain", "explain"),
    ],
)
def test_printed(start, command, printed_of_sample):
    """Tables are as the commands print them, up to the lines that are left out."""
    (shown,) = [text for _, text in BLOCKS if text.startswith(start)]
    expected = [line.rstrip() for line in shown.splitlines() if not line.startswith(("$", "..."))]
    printed = (line.rstrip() for line in printed_of_sample(command).splitlines())
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
