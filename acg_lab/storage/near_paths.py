"""What a path that does not exist may have meant. Only the names in its folder are read."""

import os
import re

from acg_lab._format import suggest

__all__ = ["suggest_path"]

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SAMPLES = "sample", "sample-log"


def suggest_path(path: str) -> str:
    """Return a question after what has nearly the name of a local path that does not exist; nothing if nothing has.

    Nor is there one after a path that exists: then something inside it is missing.
    """
    folder, name = os.path.split(path.rstrip("/"))
    try:
        there = [] if _SCHEME.match(path) else os.listdir(folder or ".")  # noqa: PTH208
    except OSError:
        there = []
    if name in there:
        return ""
    near = suggest(name, [*there, *(() if folder else _SAMPLES)])
    return near.replace("'", f"'{folder}/", 1) if folder else near
