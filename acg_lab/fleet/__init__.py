"""Many agents over many cores or machines: `survey`.

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
``kept``             the folder ``out``: where a survey goes on after it was interrupted
==================== ==================================================================
"""

from acg_lab.fleet.result import Survey
from acg_lab.fleet.survey import survey

__all__ = ["Survey", "survey"]
