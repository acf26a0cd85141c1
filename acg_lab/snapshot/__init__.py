"""Snapshots: one immutable read of a source, and the analysis of its profiles.

A snapshot keeps columns of codes and judges them by the core's functions. Everything downstream is a pure function of a
snapshot and settings.
"""

from acg_lab.snapshot.analysis import Results, analyze
from acg_lab.snapshot.from_requests import from_requests
from acg_lab.snapshot.learn import learn
from acg_lab.snapshot.load import load
from acg_lab.snapshot.load_log import LoadWarning
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
