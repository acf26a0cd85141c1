"""Work whose process dies, for real: once, or every time."""

import os
import time
from pathlib import Path


def die_on(folder, deadly, agent_ids):
    """Return the agents; the process ends at each that is deadly: ``always``, or ``once`` as a file remembers."""
    for agent_id in agent_ids:
        time.sleep(0.02)
        how = deadly.get(agent_id)
        before = Path(folder, agent_id)
        if how == "always" or (how == "once" and not before.exists()):
            before.touch()
            os._exit(9)
    return list(agent_ids)
