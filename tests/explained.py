"""One window, stored and explained."""

import msgspec

import acg_lab as acg
from acg_lab.storage.memory import MemoryBackend

KEY = "a::model=m::seed=no-seed::system=no-system::tools=no-tools"
STEADY = "The guide to good answers, which never changes. " * 12


def stored(window, rules="nemo-flow-0.2", key=KEY):
    """Return a snapshot of one window."""
    backend = MemoryBackend()
    backend.store_observations(key, window)
    return acg.load(backend, rules=rules)


def timed(window):
    """Return observations a minute apart."""
    return [
        msgspec.structs.replace(ir, created_at=f"2026-11-20T10:{i:02}:00Z", ir_id=str(i)) for i, ir in enumerate(window)
    ]


def kind_of(window, rules="nemo-flow-0.2"):
    """Return the kind of the one finding, None if there is none."""
    findings = acg.explain(stored(timed(window), rules))
    assert len(findings) <= 1
    return findings[0].kind if findings else None
