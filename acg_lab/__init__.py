"""Explore and tune the Adaptive Cache Governor's learner on your own history.

Names load on first use, so that ``import acg_lab`` is cheap; ``import acg_lab.core`` is the learner alone.

>>> import acg_lab as acg
>>> acg.StabilityThresholds().stable_threshold
0.95
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from acg_lab import frames, plots
    from acg_lab.config import AcgSettings, export_config, load_config, render_config
    from acg_lab.core import (
        AcgLabError,
        AcgLearner,
        HotCache,
        MissingExtraError,
        RecordError,
        SourceError,
        StabilityThresholds,
        UsageError,
        analyze_stability,
        build_prompt_ir,
        learning_key,
        parse_learning_key,
        plan_breakpoints,
        plan_request,
    )
    from acg_lab.explain import repairs
    from acg_lab.explain.explaining import explain
    from acg_lab.explain.what_if import what_if
    from acg_lab.replay import Trace, replay
    from acg_lab.snapshot import LoadWarning, Snapshot, analyze, from_requests, learn, load, summarize, verify
    from acg_lab.storage.memory import MemoryBackend
    from acg_lab.storage.parquet_backend import ParquetExport
    from acg_lab.storage.redis_backend import AsyncRedisBackend, RedisBackend
    from acg_lab.widgets import ThresholdTuner

_HOMES = {
    "acg_lab.config": ("AcgSettings", "export_config", "load_config", "render_config"),
    "acg_lab.core": (
        "AcgLabError",
        "AcgLearner",
        "HotCache",
        "MissingExtraError",
        "RecordError",
        "SourceError",
        "StabilityThresholds",
        "UsageError",
        "analyze_stability",
        "build_prompt_ir",
        "learning_key",
        "parse_learning_key",
        "plan_breakpoints",
        "plan_request",
    ),
    "acg_lab.explain": ("explain", "repairs", "what_if"),
    "acg_lab.replay": ("Trace", "replay"),
    "acg_lab.snapshot": ("LoadWarning", "Snapshot", "analyze", "from_requests", "learn", "load", "summarize", "verify"),
    "acg_lab.storage.memory": ("MemoryBackend",),
    "acg_lab.storage.parquet_backend": ("ParquetExport",),
    "acg_lab.storage.redis_backend": ("AsyncRedisBackend", "RedisBackend"),
    "acg_lab.widgets": ("ThresholdTuner",),
}
_ROOMS = ("frames", "plots")  # reached by their own names: acg.frames.blocks
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AcgLabError",
    "AcgLearner",
    "AcgSettings",
    "AsyncRedisBackend",
    "HotCache",
    "LoadWarning",
    "MemoryBackend",
    "MissingExtraError",
    "ParquetExport",
    "RecordError",
    "RedisBackend",
    "Snapshot",
    "SourceError",
    "StabilityThresholds",
    "ThresholdTuner",
    "Trace",
    "UsageError",
    "analyze",
    "analyze_stability",
    "build_prompt_ir",
    "explain",
    "export_config",
    "frames",
    "from_requests",
    "learn",
    "learning_key",
    "load",
    "load_config",
    "parse_learning_key",
    "plan_breakpoints",
    "plan_request",
    "plots",
    "render_config",
    "repairs",
    "replay",
    "summarize",
    "verify",
    "what_if",
]


if not TYPE_CHECKING:  # else a checker takes every name, mistyped ones too

    def __getattr__(name: str) -> Any:
        if name in _ROOMS:
            return import_module(f"acg_lab.{name}")
        if name not in _HOME:
            msg = f"module 'acg_lab' has no attribute {name!r}"
            raise AttributeError(msg)
        return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """Offer the public names to completion, and no helper."""
    return [name for name in globals() if name.startswith("__")] + __all__
