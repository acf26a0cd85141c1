"""Snapshots: one immutable read of a source, and the analysis of it.

Belongs here: loading with its filters, telling seed entries from profiles and generations of the rules apart, and
judging windows that are columns of codes by the core's rules. Everything downstream is a pure function of a snapshot
and settings. Imports the core, storage and numpy.
"""

from acg_lab.snapshot.analysis import Results, analyze
from acg_lab.snapshot.learn import learn
from acg_lab.snapshot.load import load
from acg_lab.snapshot.load_log import LoadWarning, from_requests
from acg_lab.snapshot.rules_detection import DetectedRules
from acg_lab.snapshot.snapshot import Seed, Snapshot
from acg_lab.snapshot.summary import ProfileSummary, Totals, summarize, total
from acg_lab.snapshot.verdicts import Status, Verdict, Verification
from acg_lab.snapshot.verify import verify

__all__ = [
    "DetectedRules",
    "LoadWarning",
    "ProfileSummary",
    "Results",
    "Seed",
    "Snapshot",
    "Status",
    "Totals",
    "Verdict",
    "Verification",
    "analyze",
    "from_requests",
    "learn",
    "load",
    "summarize",
    "total",
    "verify",
]
