"""One self-contained HTML file for colleagues: what is paid, what could be, why requests miss, and what to change.

Invariant: the file fetches nothing, and holds no text of a prompt unless it was asked for.
"""

from acg_lab.reporting.report import Report, report

__all__ = ["Report", "report"]
