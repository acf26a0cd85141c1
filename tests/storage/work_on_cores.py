"""Functions that workers run."""

import os
import time

import acg_lab as acg
from acg_lab.storage.cores import run_on_cores


def slower_first(number):
    """Return the number and the process; early tasks take longest."""
    time.sleep(0.02 * (6 - number))
    return number, os.getpid()


def fail_from_two(number):
    """Return the number, below two."""
    if number >= 2:
        msg = f"expected less, got {number}"
        raise acg.RecordError(msg, key="k", path="$.id")
    return number


def die(_number):
    """End the process."""
    os._exit(9)


def spread_inside(_number):
    """Return the processes that do work which a worker spreads."""
    with run_on_cores(_pid, range(3), 2) as found:
        return set(found) | {os.getpid()}


def nap(number):
    """Return the number, after a while."""
    time.sleep(0.02)
    return number


def _pid(_number):
    return os.getpid()
