"""Explain what breaks stable prefixes, why, and how much fixing it saves.

===================== ===========================================================================
module                what it does
===================== ===========================================================================
``explain``           `explain`; ``agent_findings``: what is looked for, and what is worth reporting
``finding``           the parts of a finding; ``findings``: how findings look
``finding_changes``   what a change does to findings
``build_findings``    findings from what was found
``edit_findings``     findings of edits inside conversations
``history_edits``     what happened to an earlier message
``stable_starts``     stable text at the start of a message that varies
``sent_forms``        in which respects forms of one content differ
``prefix_breaks``     what ends the prefix of one profile: a fault, or the conversation
``profile_splits``    what splits an agent's requests into several profiles
``roles``             several prompts of one agent that are meant to be apart
``planner_refusals``  why production plans nothing for a stable prefix
``raw_differences``   blocks that are equal to the learner but not to the provider
``detectors``         the table of kinds of change, each a small test
``block_history``     the contents of one block over time, which detectors look at
``context``           results, tokens and codes of one snapshot under one setting
``text_patterns``     dates, identifiers, paths and numbers in a text
``structure``         blocks missing and shifted, and lists of tools
``slot_history``      one slot over time; ``slot_kinds``: what varies in it
``suggestions``       which repairs fit, tried; ``repair_words``: what the application must change
``threshold_plateau`` which threshold to recommend
``loss_check``        what agents lose, against limits; ``loss_baseline``: what they lost before
``phrases``           the words of the sentences; ``break_reason``: those of a breaking block
===================== ===========================================================================
"""

from acg_lab.diagnosis.explain import Causes, explain, find_causes
from acg_lab.diagnosis.finding import Evidence, Finding, Kind, Timing
from acg_lab.diagnosis.findings import Findings

__all__ = ["Causes", "Evidence", "Finding", "Findings", "Kind", "Timing", "explain", "find_causes"]
