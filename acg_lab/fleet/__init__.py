"""Many agents over many cores or machines: `survey`, and histories that grow by pieces.

Agents are independent, so this spreads the calls that a notebook makes for one agent; it computes nothing of its own.

==================== ==================================================================
module               what it does
==================== ==================================================================
``survey``           `survey`: hand out agents, collect what comes back
``result``           `Survey`: tables per agent, and what could not be surveyed
``agent_survey``     what is asked of one agent, and the answers as plain values
``address``          where a source is: what travels to a worker instead of data
``batches``          how many agents make a task of about ten seconds
``engine``           tasks on joblib's backends and on Dask, and workers that die
``append``           `append_history`: what a source has gained, as a new piece
``compact``          `compact_history`: all pieces as one
``kept``             the folder ``out``: where a survey goes on after it was interrupted
==================== ==================================================================
"""

from acg_lab.fleet.append import Appended, append_history
from acg_lab.fleet.compact import Compacted, compact_history
from acg_lab.fleet.result import Survey
from acg_lab.fleet.survey import survey

__all__ = ["Appended", "Compacted", "Survey", "append_history", "compact_history", "survey"]
