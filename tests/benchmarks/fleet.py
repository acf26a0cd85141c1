"""Replay a fleet's history, generated and coded; print the seconds of processor time and the peak of memory in bytes.

Started by ``test_replay.py`` in a process of its own: ``python fleet.py N_OBSERVATIONS RULES``.
"""

import sys
import time
from pathlib import Path

import numpy as np

import acg_lab as acg
from acg_lab.core.keys import Owner
from acg_lab.snapshot import Snapshot
from acg_lab.storage.columns import Columns
from acg_lab.storage.observation_columns import Form, Header, ObservationColumns, offsets
from acg_lab.storage.recorded_runs import Runs
from acg_lab.storage.times import Times

N_PROFILES, N_BLOCKS, N_STABLE = 2_000, 30, 12


def fleet(n, rules):
    """Make a snapshot of n observations: a scaffold, then a prefix that is mostly shared, then what varies."""
    rng = np.random.default_rng(7)
    keys = tuple(f"agent::model=m{i:05}::seed=no-seed::system=no-system::tools=no-tools" for i in range(N_PROFILES))
    contents = np.tile(np.arange(N_BLOCKS, dtype=np.int32), (n, 1))
    # From the stable blocks on each is, ever more often, another one of a few.
    share = np.linspace(0.02, 0.9, N_BLOCKS - N_STABLE)
    changed = rng.random((n, N_BLOCKS - N_STABLE), np.float32) < share
    contents[:, N_STABLE:][changed] = rng.integers(N_BLOCKS, 5_000, changed.sum(), np.int32)
    columns = ObservationColumns(
        keys=keys,
        window_offsets=offsets(np.full(N_PROFILES, n // N_PROFILES)),
        block_offsets=np.arange(0, n * N_BLOCKS + 1, N_BLOCKS),
        ir_ids=[""] * n,
        request_hashes=[None] * n,
        created=Times(np.sort(rng.integers(0, 10**15, n)), {}),
        headers=np.zeros(n, np.int32),
        spans=np.tile(np.arange(N_BLOCKS, dtype=np.int32), n),
        contents=contents.ravel(),
        forms=np.zeros(n * N_BLOCKS, np.int32),
        indexes=np.tile(np.arange(N_BLOCKS, dtype=np.uint32), n),
        span_pool=[f"user-{i}" for i in range(N_BLOCKS)],
        content_pool=[f"text {i}" for i in range(5_000)],
        form_pool=[Form("user", "text", "user", "public", None, None)],
        header_pool=[Header(None, None, None)],
    )
    return Snapshot(
        source="generated",
        columns=Columns(observations=columns, results={}, runs=Runs()),
        owners={key: Owner("agent", False) for key in keys},
        rules_setting=rules,
    )


def peak():
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    snap = fleet(int(sys.argv[1]), sys.argv[2])
    started = time.process_time()
    trace = acg.replay(snap, progress=False)
    seconds = time.process_time() - started
    trace.prefix_lengths([0.5, 0.95])
    print(seconds, peak())
