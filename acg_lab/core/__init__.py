"""The learner core, shared with production: what the governor computes, as values in and values out.

The core reads no network, file, clock or random source unless the caller passes one in, and needs only the standard
library, msgspec and an RFC 8785 library, so that a production service can run the same learner as the notebooks.

================ ========================================================== ==================================
module           contents                                                   rules (``acg_lab/docs/rules/``)
================ ========================================================== ==================================
``records``      what production stores, as frozen values                   learner.md, 1, 2 and 4
``codec``        JSON to records and back                                   learner.md, 1
``rules``        rules versions, and how they differ                        learner.md, 8
``messages``     how messages and content parts become blocks and seeds     learner.md, 2, 3 and 8
``canonical``    canonical JSON and hashing                                 learner.md, 2
``prompt_ir``    request to observation                                     learner.md, 2
``keys``         learning keys                                              learner.md, 3
``stability``    scores, classes, stable prefix                             learner.md, 4
``window``       the bounded window and its counts                          learner.md, 4 and 5
``exact_prefix`` the majority prefix of 0.8 and its fingerprint             learner.md, 8.4
``learner``      one step after a run, and the hot cache                    learner.md, 5
``breakpoints``  which prefix ends get a cache breakpoint                   planner.md, 4
``cache_marks``  where in a request body a breakpoint is marked             planner.md, 1 and 5
``planner``      what production does to a live request, and why            planner.md, 2, 3 and 6
================ ========================================================== ==================================
"""

from acg_lab.core.breakpoints import MINIMUM_TOKENS, BreakpointSegment, Multipliers, plan_breakpoints
from acg_lab.core.cache_marks import Target, mark_paths, surface_of
from acg_lab.core.canonical import canonical_json, hash_text
from acg_lab.core.codec import decode, decode_window, encode, encode_window
from acg_lab.core.errors import AcgLabError, MissingExtraError, RecordError, SourceError, UsageError
from acg_lab.core.keys import LearningKey, learning_key, parse_learning_key
from acg_lab.core.learner import AcgLearner, HotCache, system_stamp
from acg_lab.core.learner_backend import LearnerUpdate
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
    "decode",
    "decode_window",
    "encode",
    "encode_window",
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
