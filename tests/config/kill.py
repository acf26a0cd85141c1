"""Run as a script: export a config again and again, each time killed one line of `files` later.

A child process a line, forked, so that each dies by a real SIGKILL. Prints how often the old and the new file were
found, as JSON; anything else is an error.
"""

import json
import os
import signal
import sys
from pathlib import Path

import acg_lab as acg

OLD = acg.render_config(acg.AcgSettings(observation_window=100), note="x" * 100_000)
TUNED = acg.AcgSettings(observation_window=30)


def export(path, survive, source):
    """Export; die before a line of the source when so many were survived."""
    left = survive

    def trace(frame, event, _argument):
        nonlocal left
        if frame.f_code.co_filename != source:
            return None
        if event == "line":
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
        return trace

    sys.settrace(trace)
    acg.export_config(path, TUNED)
    sys.settrace(None)
    os._exit(0)


def main(folder, kind, source):
    """Kill at line 0, 1, 2, ... until an export lives to its end."""
    path = Path(folder) / "plugins.toml"
    old = OLD if kind == "existing" else None
    new = acg.render_config(TUNED, old or "")
    seen = {"steps": 0, "old": 0, "new": 0}
    while True:
        path.unlink(missing_ok=True)
        if old is not None:
            path.write_text(old, encoding="utf-8")
        child = os.fork()
        if child == 0:
            export(path, seen["steps"], source)
        _, status = os.waitpid(child, 0)
        found = path.read_text(encoding="utf-8") if path.exists() else None
        if status == 0:
            assert found == new, "an export that was not killed wrote something else"
            sys.stdout.write(json.dumps(seen))
            return
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        assert found in (old, new), f"killed at step {seen['steps']}: the file is neither old nor new"
        seen["old" if found == old else "new"] += 1
        seen["steps"] += 1


if __name__ == "__main__":
    main(*sys.argv[1:])
