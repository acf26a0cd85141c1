"""Options that name a place or its permissions: what is neither is refused before anything is opened.

An integer would be the number of an open file, and be written to.
"""

import os
from typing import Any

from acg_lab.core.errors import UsageError

__all__ = ["check_mode", "path_text"]

_MOST = 0o7777


def path_text(path: Any, option: str = "path") -> str:
    """Return a path as text; raise UsageError for what is none.

    Examples
    --------
    >>> from pathlib import Path
    >>> path_text(Path("exports") / "june")
    'exports/june'
    """
    if not isinstance(path, str | os.PathLike):
        msg = f"The {option!r} option must be a path, such as 'exports/june'; got {type(path).__name__}."
        raise UsageError(msg)
    return os.fsdecode(path)


def check_mode(mode: Any) -> int | None:
    """Return permissions of a file or folder, or None; raise UsageError for anything else."""
    if mode is not None and (isinstance(mode, bool) or not isinstance(mode, int) or not 0 <= mode <= _MOST):
        msg = f"The 'mode' option must be permissions such as 0o750; got {mode!r}."
        raise UsageError(msg)
    return mode
