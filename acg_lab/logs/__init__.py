"""Request logs to run records: raw provider bodies, batch files, traces and event files; one reader per format.

Readers yield `LoggedCall` values and problems; `acg_lab.logs.runs` makes runs of them. Nothing here learns or analyses.
"""

from acg_lab.logs.entries import Document, LoggedCall, LoggedRun, LogProblem, ReadOptions

__all__ = ["Document", "LogProblem", "LoggedCall", "LoggedRun", "ReadOptions"]
