"""Importing the core is light: production pays for it in every process."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def loaded_by(statement):
    command = [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, check=True, text=True, cwd=ROOT).stdout.split())


def test_import_loads_few_modules():
    """The core loads msgspec, hashlib, json, threading and lazy_loader, with their dependencies, and nothing else."""
    found = {name for name in loaded_by("import acg_lab.core") if name.partition(".")[0] != "acg_lab"}
    assert found <= loaded_by("import msgspec, hashlib, json, threading, lazy_loader")
