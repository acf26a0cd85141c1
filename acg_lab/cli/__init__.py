"""The command ``acg-lab``: parse arguments, call, print, exit status; a module a command.

Nothing here that a notebook could not call as a function.
"""

from acg_lab.cli import analyze, config, explain, export, verify  # noqa: F401  # each registers its command
from acg_lab.cli.shell import app, main

__all__ = ["app", "main"]
