"""Ctrl-C for a command with workers: what a terminal sends, and what must come of it."""

import os
import signal
import time

import psutil


def assert_ends_at_ctrl_c(started):
    """Interrupt a command and its workers, as a terminal does: they end with one line, within two seconds."""
    workers = psutil.Process(started.pid).children(recursive=True)
    begin = time.monotonic()
    os.killpg(started.pid, signal.SIGINT)
    said = started.communicate(timeout=60)
    took = time.monotonic() - begin
    assert (started.returncode, *said) == (130, "", "acg-lab: interrupted\n")
    assert psutil.wait_procs(workers, timeout=10)[1] == []
    assert took < 2
