"""The learner's settings in the file that production reads: reading, checking and writing them.

Nothing else in a file is ever changed: only the values in question are replaced, where they are. See
``acg_lab/docs/rules/config.md``.
"""

from acg_lab.config.export import (
    Proposal,
    export_config,
    inactive_reasons,
    load_config,
    propose_changes,
    propose_config,
    render_config,
)
from acg_lab.config.settings import AcgSettings, check_writable

__all__ = [
    "AcgSettings",
    "Proposal",
    "check_writable",
    "export_config",
    "inactive_reasons",
    "load_config",
    "propose_changes",
    "propose_config",
    "render_config",
]
