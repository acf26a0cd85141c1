"""The command ``acg-lab``: parse arguments, call, print, exit status; a module a command.

Nothing here that a notebook could not call as a function.
"""

from acg_lab.cli import (  # noqa: F401  # each adds its command
    analyze,
    app,
    check,
    compact,
    compare,
    config,
    cost,
    explain,
    export,
    misses,
    notebook,
    report,
    tune,
    verify,
)
from acg_lab.cli._app import main

__all__ = ["main"]
