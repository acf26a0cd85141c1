"""The learner's settings in the file that production reads: reading, checking and writing them.

Belongs here: `AcgSettings`, and the way from and to a plugin document (spec/config.md). May import core and tomlkit.
Nothing else of a file is ever touched: it is cut at its own tables and keys, and only values in question are replaced.
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
