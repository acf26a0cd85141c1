"""The schema of every frame: names and dtypes of columns, and making a frame of columns.

Invariant: a frame has its columns in the order of its schema and with its dtypes, however many rows it has.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from acg_lab.core.records import PromptBlock, StabilityClass
from acg_lab.core.stability import CLASS_ORDER
from acg_lab.diagnosis import Kind, Timing
from acg_lab.simulation import Verdict
from acg_lab.snapshot.window_cells import CellContent

__all__ = [
    "BLOCKS",
    "CALLS",
    "CELLS",
    "COSTS",
    "COST_CHANGES",
    "CURVE",
    "FINDINGS",
    "MISSES",
    "PROFILES",
    "REQUESTS",
    "SAVINGS",
    "SCORES",
    "SETTING_COSTS",
    "SHIFTS",
    "STEPS",
    "VARIANTS",
    "WINDOWS",
    "category",
    "compact",
    "counts_of",
    "make_frame",
    "times_of",
]

_TIME: Final = "datetime64[ns, UTC]"
_NAMES: Final = "names"  # a categorical of the names that occur
_hints = PromptBlock.__annotations__
_FIXED: Final[Mapping[str, pd.CategoricalDtype]] = {
    "role": pd.CategoricalDtype([*get_args(_hints["role"])]),
    "content_type": pd.CategoricalDtype([*get_args(_hints["content_type"])]),
    "provenance": pd.CategoricalDtype([*get_args(_hints["provenance"])]),
    "content": pd.CategoricalDtype([kind.name for kind in CellContent]),
    "entry": pd.CategoricalDtype(["profile", "agent"]),
    "change": pd.CategoricalDtype([kind.value for kind in Kind]),
    "verdict": pd.CategoricalDtype([verdict.value for verdict in Verdict]),
    "timing": pd.CategoricalDtype([timing.value for timing in Timing]),
    "class": pd.CategoricalDtype(sorted(get_args(StabilityClass), key=CLASS_ORDER.__getitem__), ordered=True),
}

WINDOWS: Final = {
    "learning_key": _NAMES,
    "agent_id": _NAMES,
    "request": "int64",
    "created_at": _TIME,
    "blocks": "int64",
    "tokens": "int64",
    "request_hash": "str",
}
BLOCKS: Final = {
    "learning_key": _NAMES,
    "agent_id": _NAMES,
    "request": "int64",
    "position": "int64",
    "span_id": _NAMES,
    "sequence_index": "int64",
    "role": "role",
    "content_type": "content_type",
    "provenance": "provenance",
    "hash": "str",
    "tokens": "int64",
    "created_at": _TIME,
}
VARIANTS: Final = {
    "span_id": _NAMES,
    "position": "int64",
    "hash": "str",
    "count": "int64",
    "first_seen": _TIME,
    "last_seen": _TIME,
    "tokens": "int64",
}
PROFILES: Final = {
    "learning_key": _NAMES,
    "profile": _NAMES,
    "agent_id": _NAMES,
    "model": "str",
    "rules": "str",
    "requests": "int64",
    "blocks": "int64",
    "prefix_blocks": "int64",
    "prompt_tokens": "float64",
    "prefix_tokens": "float64",
    "share": "float64",
    "lost_tokens": "float64",
    "confidence": "float64",
    "breaking_span": "str",
    "breaking_class": "class",
    "breaking_score": "float64",
    "first_seen": _TIME,
    "last_seen": _TIME,
}
SCORES: Final = {
    "learning_key": _NAMES,
    "profile": _NAMES,
    "agent_id": _NAMES,
    "model": "str",
    "position": "int64",
    "span_id": _NAMES,
    "score": "float64",
    "classification": "class",
    "confidence": "float64",
    "present": "int64",
    "requests": "int64",
    "in_prefix": "bool",
    "breaks": "bool",
    "role": "role",
    "content_type": "content_type",
    "tokens": "Float64",
    "contents": "Int64",
    "n_dominant": "Int64",
    "changes": "Int64",
    "last_change": "Int64",
    "first_position": "Int64",
    "n_sharing_prefix": "Int64",
    "tools": "Int64",
    "tool_orders": "Int64",
}
FINDINGS: Final = {
    "learning_key": _NAMES,
    "agent_id": _NAMES,
    "span_id": "str",
    "kind": "change",
    "timing": "timing",
    "tokens_lost": "float64",
    "requests": "int64",
    "total_lost": "float64",
    "money_lost": "float64",
    "agent_cost": "float64",
    "money_saved": "float64",
    "profiles": "int64",
    "present": "int64",
    "contents": "int64",
    "changes": "int64",
    "last_change": _TIME,
    "stable_tokens_after": "float64",
    "unchanging": "float64",
    "threshold": "float64",
    "repair": "str",
    "profiles_after": "Int64",
    "prefix_blocks": "Float64",
    "prefix_blocks_after": "Float64",
    "prefix_tokens": "Float64",
    "prefix_tokens_after": "Float64",
    "sentence": "str",
}
CELLS: Final = {
    "learning_key": _NAMES,
    "agent_id": _NAMES,
    "request": "int64",
    "created_at": _TIME,
    "position": "int64",
    "span_id": _NAMES,
    "content": "content",
    "first_difference": "bool",
}
CURVE: Final = {
    "learning_key": _NAMES,
    "profile": _NAMES,
    "agent_id": _NAMES,
    "model": "str",
    "above": "float64",
    "upto": "float64",
    "prefix_blocks": "int64",
    "prefix_tokens": "float64",
    "matching": "int64",
    "requests": "int64",
    "read_tokens": "float64",
    "breaking_span": "str",
    "breaking_score": "float64",
}
CALLS: Final = {
    "agent_id": _NAMES,
    "run_id": "str",
    "call": "int64",
    "started_at": _TIME,
    "ended_at": _TIME,
    "model": "str",
    "learning_key": _NAMES,
    "prompt_tokens": "Int64",
    "output_tokens": "Int64",
    "cache_read_tokens": "Int64",
    "cache_write_tokens": "Int64",
}
STEPS: Final = {
    "step": "int64",
    "agent_id": _NAMES,
    "learning_key": _NAMES,
    "profile": _NAMES,
    "run_id": "str",
    "call": "int64",
    "started_at": _TIME,
    "window": "int64",
    "stable_threshold": "float64",
    "known_runs": "int64",
    "entry": "entry",
    "requests": "int64",
    "blocks": "int64",
    "tokens": "int64",
    "prefix_blocks": "int64",
    "prefix_tokens": "int64",
    "matched_tokens": "int64",
    "usage_tokens": "Int64",
}
REQUESTS: Final = {
    "agent_id": _NAMES,
    "learning_key": _NAMES,
    "run_id": "str",
    "call": "int64",
    "started_at": _TIME,
    "model": _NAMES,
    "cache_provider": _NAMES,
    "billed": "bool",
    "failed": "bool",
    "tokens": "int64",
    "token_source": _NAMES,
    "recorded_read": "Int64",
    "recorded_write": "Int64",
    "simulated_read": "int64",
    "simulated_write": "int64",
    "read": "int64",
    "missed_live": "int64",
    "missed_expired": "int64",
    "changed": "int64",
    "new": "int64",
    "not_recorded": "int64",
    "verdict": "verdict",
    "also": "verdict",
    "caused_by": "verdict",
    "plan_reason": _NAMES,
    "idle_seconds": "float64",
    "reference_run": "str",
    "reference_call": "Int64",
    "block": _NAMES,
    "path": "str",
    "byte_offset": "Int64",
    "length": "Int64",
    "other_length": "Int64",
    "cost": "float64",
    "cost_without_cache": "float64",
    "cost_at_limit": "float64",
    "avoidable": "float64",
    "lost": "float64",
    "cost_tokens": "float64",
    "avoidable_tokens": "float64",
    "lost_tokens": "float64",
    "vendor_diagnosis": "str",
}
MISSES: Final = {
    "agent_id": _NAMES,
    "cause": "verdict",
    "verdict": "verdict",
    "block": "str",
    "kind": "change",
    "requests": "int64",
    "tokens": "int64",
    "lost": "float64",
    "avoidable": "float64",
    "lost_tokens": "float64",
    "avoidable_tokens": "float64",
    "first_seen": _TIME,
    "last_seen": _TIME,
    "words": "str",
}
COSTS: Final = {
    "policy": _NAMES,
    "agent_id": _NAMES,
    "requests": "int64",
    "tokens": "int64",
    "read": "int64",
    "written": "int64",
    "uncached": "int64",
    "read_cost": "float64",
    "written_cost": "float64",
    "uncached_cost": "float64",
    "cost": "float64",
    "currency": _NAMES,
    "share": "float64",
}
SAVINGS: Final = {
    "agent_id": _NAMES,
    "cost": "float64",
    "saved": "float64",
    "low": "float64",
    "high": "float64",
    "share": "float64",
    "currency": _NAMES,
}
COST_CHANGES: Final = {
    "agent_id": _NAMES,
    "outcome": _NAMES,
    "runs_before": "int64",
    "runs_after": "int64",
    "requests_before": "int64",
    "requests_after": "int64",
    "cost_before": "float64",
    "cost_after": "float64",
    "currency": _NAMES,
    "change": "float64",
    "low": "float64",
    "high": "float64",
    "saved": "float64",
    "matched": "float64",
    "read_before": "float64",
    "read_after": "float64",
    "prefix_before": "float64",
    "prefix_after": "float64",
    "profiles_before": "int64",
    "profiles_after": "int64",
    "words": "str",
}
SHIFTS: Final = {
    "agent_id": _NAMES,
    "kind": _NAMES,
    "name": "str",
    "before": "float64",
    "after": "float64",
    "difference": "float64",
    "low": "float64",
    "high": "float64",
    "beyond_chance": "bool",
}
SETTING_COSTS: Final = {
    "setting": "int64",
    "agent_id": _NAMES,
    "stable_threshold": "float64",
    "above": "float64",
    "upto": "float64",
    "semi_stable_threshold": "float64",
    "min_observations_for_full_confidence": "int64",
    "observation_window": "int64",
    "provider": _NAMES,
    "plan": "int64",
    "is_current": "bool",
    "cost": "float64",
    "currency": _NAMES,
    "share": "float64",
}


def make_frame(columns: Mapping[str, str], values: Mapping[str, Any]) -> pd.DataFrame:
    """Return a frame of all columns of a schema, in its order and with its dtypes, with a plain index."""
    return pd.DataFrame({name: _typed(values[name], kind) for name, kind in columns.items()})


def _typed(values: Any, kind: str) -> Any:
    if isinstance(values, pd.api.extensions.ExtensionArray):
        return values
    if kind == _NAMES:
        names = dict.fromkeys(name for name in values if name is not None)
        return pd.Categorical(values, categories=pd.Index(list(names), dtype="str"))
    if kind in _FIXED:
        return pd.Categorical(values, dtype=_FIXED[kind])
    if kind == _TIME:
        return values if isinstance(values, pd.DatetimeIndex) else times_of(values)
    return pd.array(values, dtype=kind)


def category(codes: NDArray[Any], pool: Sequence[str], kind: str = _NAMES) -> pd.Categorical:
    """Return a categorical of codes into a pool of texts: of the texts in use, or of the categories of a fixed kind."""
    used, inverse = compact(codes, len(pool))
    names = [pool[code] for code in used.tolist()]
    if kind == _NAMES:
        return pd.Categorical.from_codes(inverse, categories=pd.Index(names, dtype="str"))
    fixed = _FIXED[kind]
    return pd.Categorical.from_codes(fixed.categories.get_indexer(pd.Index(names, dtype="str"))[inverse], dtype=fixed)


def compact(codes: NDArray[Any], n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the codes below ``n`` that are in use, ascending, and the position of each code among them."""
    used = np.flatnonzero(np.bincount(codes, minlength=n))
    position = np.zeros(n, np.int64)
    position[used] = np.arange(len(used))
    return used, position[codes]


def counts_of(values: NDArray[Any], missing: NDArray[np.bool_]) -> pd.arrays.IntegerArray:
    """Return a column of whole numbers, some of them missing."""
    return pd.arrays.IntegerArray(values.astype(np.int64), missing)


def times_of(nanoseconds: Any) -> pd.DatetimeIndex:
    """Return a column of times from nanoseconds since 1970; the smallest number stands for a missing time."""
    return pd.DatetimeIndex(np.asarray(nanoseconds, np.int64).view("datetime64[ns]")).tz_localize("UTC")
