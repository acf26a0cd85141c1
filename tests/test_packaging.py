"""What is in the wheel, and what stands at the top of the repository."""

import importlib.util
import os
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import acg_lab

ROOT = Path(__file__).parents[1]
TOP = {"pyproject.toml", "README.md", "LICENSE", "acg_lab", "notebooks", "tests", "data"}


def run(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from the tree; without hatchling only where CI is set, since that fetches it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", str(folder)]
    if importlib.util.find_spec("hatchling") is not None:
        command.append("--no-build-isolation")
    elif not os.environ.get("CI"):
        pytest.skip("hatchling is not installed, and CI is not set: building would fetch it")
    status, _, stderr = run(*command, str(ROOT))
    assert status == 0, stderr
    (path,) = folder.iterdir()
    with zipfile.ZipFile(path) as opened:
        yield opened


def test_wheel_holds_the_package(wheel):
    """The wheel has the whole package, its type marker, change notes and licence."""
    names = set(wheel.namelist())
    assert {"acg_lab/py.typed", "acg_lab/CHANGES.md"} <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    source = {str(path.relative_to(ROOT)) for path in (ROOT / "acg_lab").rglob("*.py")}
    assert source == {name for name in names if name.endswith(".py")}


def test_wheel_holds_nothing_else(wheel):
    """The wheel has no tests, caches, or data but the samples."""
    assert {name.split("/")[0].removesuffix(".dist-info").split("-")[0] for name in wheel.namelist()} == {"acg_lab"}
    assert not [name for name in wheel.namelist() if "test" in name or "__pycache__" in name]


def test_wheel_holds_notebooks_and_samples(wheel, tmp_path):
    """The wheel has the notebooks and the samples, and they are found in it by name."""
    names = set(wheel.namelist())
    assert "acg_lab/requests.jsonl.gz" in names
    for folder, place in [("notebooks", "acg_lab/notebooks"), ("data/sample", "acg_lab/sample")]:
        files = [path for path in (ROOT / folder).glob("*") if path.is_file()]
        assert {f"{place}/{path.name}" for path in files} <= names
    wheel.extractall(tmp_path)
    code = "import acg_lab as acg; print(acg.load('sample').source, acg.load('sample-log').source, sep='\\n')"
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    export, log = subprocess.check_output(command, cwd=tmp_path, env=environment, text=True, timeout=60).splitlines()
    assert export == str(tmp_path / "acg_lab" / "sample")
    assert log.startswith(str(tmp_path / "acg_lab" / "requests.jsonl.gz"))


def test_wheel_metadata(wheel):
    """The metadata has the version, the licence, and the lowest Python of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(wheel.read(name).decode())
    assert metadata["Name"] == project["name"]
    assert metadata["Version"] == acg_lab.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == project["requires-python"]
    required = {line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line}
    assert len(required) == len(project["dependencies"])


def test_top_of_the_repository():
    """The repository's top level holds the agreed files and folders, and files whose names begin with a dot."""
    status, listed, stderr = run("git", "-c", f"safe.directory={ROOT}", "ls-files", "-z")
    if status != 0:
        pytest.skip(f"not a git checkout: {stderr.strip()}")
    top = {name.split("/")[0] for name in listed.split("\0") if name}
    assert {name for name in top if not name.startswith(".")} <= TOP
    assert {"pyproject.toml", "LICENSE", "acg_lab", "tests"} <= top
