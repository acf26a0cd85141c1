"""The learner core, shared with production.

Belongs here: what the governor computes, as values in and values out. No network, files, clocks or randomness but
those that a caller passes in, and nothing beyond the standard library, msgspec and an RFC 8785 library, so that a
production service can run the same learner as the notebooks.

Numbers are sections of the specification of the learner, ``p`` before them those of the request time planner.

================ ================================================== ========
module           what it holds                                      spec
================ ================================================== ========
``records``      what production stores, as frozen values           1, 2, 4, 6
``rules``        the generations, and what differs between them     8
``canonical``    canonical JSON and hashing                         2
``prompt_ir``    request to observation                             2
``keys``         learning keys                                      3
``stability``    scores, classes, stable prefix                     4
``window``       the bounded window                                 5
``learner``      the step, its two shells, the hot cache            5
``economics``    which prefix ends can take a cache breakpoint      p4
``selection``    which of them are worth one                        p4
``placement``    where in a body a breakpoint is marked             p1, p5
``request_time`` what a live request meets, and what comes of it    p2, p3, p6
================ ================================================== ========
"""

from acg_lab.core.breakpoints import MINIMUM_TOKENS, BreakpointSegment, Multipliers, plan_breakpoints
from acg_lab.core.cache_marks import Target, mark_paths, surface_of
from acg_lab.core.canonical import canonical_json, hash_text
from acg_lab.core.errors import AcgLabError, MissingExtraError, RecordError, SourceError, UsageError
from acg_lab.core.keys import LearningKey, learning_key, parse_learning_key
from acg_lab.core.learner import AcgLearner, HotCache, LearnerUpdate, system_stamp
from acg_lab.core.planner import BreakpointPlan, PlanReason, plan_request
from acg_lab.core.prompt_ir import build_prompt_ir, normalize_whitespace
from acg_lab.core.records import (
    AnnotatedLlmRequest,
    BlockStability,
    CallRecord,
    Exchange,
    PromptBlock,
    PromptIR,
    RunRecord,
    StabilityAnalysisResult,
    TokenMetadata,
    ToolSchemaHash,
    Usage,
)
from acg_lab.core.rules import RULES
from acg_lab.core.stability import StabilityThresholds, analyze_stability

__all__ = [
    "MINIMUM_TOKENS",
    "RULES",
    "AcgLabError",
    "AcgLearner",
    "AnnotatedLlmRequest",
    "BlockStability",
    "BreakpointPlan",
    "BreakpointSegment",
    "CallRecord",
    "Exchange",
    "HotCache",
    "LearnerUpdate",
    "LearningKey",
    "MissingExtraError",
    "Multipliers",
    "PlanReason",
    "PromptBlock",
    "PromptIR",
    "RecordError",
    "RunRecord",
    "SourceError",
    "StabilityAnalysisResult",
    "StabilityThresholds",
    "Target",
    "TokenMetadata",
    "ToolSchemaHash",
    "Usage",
    "UsageError",
    "analyze_stability",
    "build_prompt_ir",
    "canonical_json",
    "hash_text",
    "learning_key",
    "mark_paths",
    "normalize_whitespace",
    "parse_learning_key",
    "plan_breakpoints",
    "plan_request",
    "surface_of",
    "system_stamp",
]
