"""Which values a plugin document lacks for settings to hold, and a copy of it that has them.

Belongs here: the difference between settings and document. Text is changed in `edit`.
"""

import copy
from collections.abc import Mapping
from typing import Any, Final

from acg_lab.config.document import ACG, KIND, THRESHOLDS, Names, find_component, tables_of
from acg_lab.config.settings import DEFAULT_PRIORITY, DEFAULT_PROVIDER, AcgSettings
from acg_lab.core.stability import StabilityThresholds

__all__ = ["PATHS", "merge", "values_to_set"]

_DEFAULTS: Final = {"observation_window": 100, "provider": DEFAULT_PROVIDER, "priority": DEFAULT_PRIORITY}
_NUMBERS: Final = ("stable_threshold", "semi_stable_threshold")
_FIELDS: Final = StabilityThresholds.__struct_fields__
# Where the settings stand within the component, in the order in which they are written.
PATHS: Final[tuple[Names, ...]] = (*((*ACG, name) for name in _DEFAULTS), *((*THRESHOLDS, name) for name in _FIELDS))
# What a component gets that has neither the learner's table nor a state, without which that table is off: all that
# learning needs, in memory, since nobody told where a Redis is.
_COMPLETION: Final[Mapping[Names, Any]] = {
    ("config", "version"): 1,
    ("config", "state", "backend", "kind"): "in_memory",
    ("config", "telemetry", "learners"): ["acg"],
}


def values_to_set(document: Mapping[str, Any], index: int, settings: AcgSettings) -> dict[Names, Any]:
    """Return what must be set in the component for the settings to hold, by path within it; what is so is left out."""
    tables = tables_of(document, index)
    config, acg, thresholds = tables[ACG[:1]] or {}, tables[ACG], tables[THRESHOLDS]
    found: dict[Names, Any] = {}
    if acg is None and not config.get("state"):
        found = {path: value for path, value in _COMPLETION.items() if not config.get(path[1])}
    wanted = settings.values()
    numbers = {name: wanted.pop(name) for name in _FIELDS}
    found |= {(*ACG, name): value for name, value in wanted.items() if not _is_so(name, value, acg)}
    if acg is None or thresholds is not None or settings.thresholds != StabilityThresholds():
        here = thresholds or {}
        found |= {
            (*THRESHOLDS, name): value for name, value in numbers.items() if not _same(name, value, here.get(name))
        }
    return {path: float(value) if path[-1] in _NUMBERS else value for path, value in found.items()}


def merge(document: Mapping[str, Any], settings: AcgSettings) -> dict[str, Any]:
    """Return a copy of a plugin document with the settings in it."""
    merged: dict[str, Any] = copy.deepcopy(dict(document)) or {"version": 1}
    index = find_component(merged)
    if index is None:
        merged["components"] = [*merged.get("components", ()), {"kind": KIND}]
        index = len(merged["components"]) - 1
    for path, value in values_to_set(merged, index, settings).items():
        table = merged["components"][index]
        for name in path[:-1]:
            if table.get(name) is None:
                table[name] = {}
            table = table[name]
        table[path[-1]] = copy.copy(value)
    return merged


def _is_so(name: str, value: Any, acg: Mapping[str, Any] | None) -> bool:
    return acg is not None and _same(name, value, acg.get(name, _DEFAULTS[name]))


def _same(name: str, wanted: Any, found: Any) -> bool:
    """Whether production reads the same: a threshold may be an integer, but 20.0 is no count, and true no number."""
    if isinstance(found, bool) or (isinstance(found, float) and name not in _NUMBERS):
        return False
    return bool(wanted == found)
