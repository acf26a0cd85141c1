"""The command ``acg-lab``: parse arguments, call, print, exit status; a module a command.

Nothing here that a notebook could not call as a function.
"""

from acg_lab.cli import (  # noqa: F401  # each registers its command
    analyze,
    config,
    explain,
    export,
    notebook,
    tuner_app,
    verify,
)
from acg_lab.cli.shell import app, main

__all__ = ["app", "main"]
