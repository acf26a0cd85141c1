"""What breaks a prefix, why, and what mending it wins.

Belongs here: detectors of what changes, repairs as values, and snapshots as they would be with a repair. Pure functions
of a snapshot and settings. Imports core, storage's columns, snapshot and numpy, and at call time dateutil (dates) and
rapidfuzz (differences).

=============== ==================================================================================
module          what it holds
=============== ==================================================================================
``explaining``  `explain`: what is worth saying; ``telling``: findings of what was found
``finding``     what findings are; ``findings``: what they look like
``breaks``      what ends one profile's prefix: a fault, or a conversation that goes its way
``groups``      what keeps several profiles of an agent apart
``planning``    what production refuses to plan; ``bytes``: what only the provider sees to differ
``detectors``   the table of kinds of change, each a small test
``change``      the history of one block, which they look at; ``case``: all that is looked up
``patterns``    identifiers, paths, numbers in a text; ``dates``: dates; ``texts``: where texts differ
``structure``   blocks missing and shifted; ``tools``: lists of tools; ``timing``: when it changes
``remedies``    which repairs fit, tried; ``words``: the sentences
``repairs``     repairs as values; ``edits``: what each does to blocks
``what_if``     a snapshot mended; ``effects``: what that wins, in a few numbers
``windows``     windows on their way through repairs; ``table``, ``rekey``, ``heads``, ``headers``: their parts
=============== ==================================================================================
"""

from acg_lab.diagnosis.explain import Causes, explain, find_causes
from acg_lab.diagnosis.finding import Evidence, Finding, Kind, Timing
from acg_lab.diagnosis.findings import Findings

__all__ = ["Causes", "Evidence", "Finding", "Findings", "Kind", "Timing", "explain", "find_causes"]
