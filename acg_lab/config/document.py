"""A plugin document as a mapping: parsing it, reading the settings, and merging settings into it.

See ``acg_lab/docs/rules/config.md``. Texts are edited in `acg_lab.config.toml_edit`.
"""

import copy
import json
import tomllib
from collections.abc import Mapping
from typing import Any, Final

from tomlkit import parse as parse_with_tomlkit
from tomlkit.exceptions import TOMLKitError

from acg_lab.config.production import KIND, check_document, check_plain, expect_table, unexpected
from acg_lab.config.settings import DEFAULT_PRIORITY, DEFAULT_PROVIDER, AcgSettings
from acg_lab.core.errors import RecordError, UsageError
from acg_lab.core.stability import StabilityThresholds

__all__ = [
    "ACG",
    "BOM",
    "KIND",
    "PATHS",
    "THRESHOLDS",
    "Names",
    "find_component",
    "find_inactive_reasons",
    "merge",
    "parse_json",
    "parse_toml",
    "read_settings",
    "tables_of",
    "values_to_set",
    "where",
]

BOM: Final = "\ufeff"


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML, with or without a byte order mark.

    tomllib is seven times as fast as tomlkit; only tomlkit reads TOML 1.1, as production does from 0.10 on.
    """
    text = text.removeprefix(BOM)
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise RecordError("expected TOML, got tables nested too deep") from None  # noqa: EM101, TRY003
    except ValueError as error:  # TOMLDecodeError, or an integer of thousands of digits
        try:
            document = dict(parse_with_tomlkit(text).unwrap())
        except (TOMLKitError, ValueError, RecursionError):
            msg = f"expected TOML: {error}"
            raise RecordError(msg) from None
    check_plain(document, 2**63)
    return document


def parse_json(text: str) -> dict[str, Any]:
    """Parse a plugin document in JSON."""
    try:
        document = json.loads(text.removeprefix(BOM))
    except (ValueError, RecursionError) as error:
        msg = f"expected JSON: {error}"
        raise RecordError(msg) from None
    if not isinstance(document, dict):
        msg = f"expected an object, got {type(document).__name__}"
        raise RecordError(msg)
    check_plain(document)
    return document


Names = tuple[str, ...]
ACG: Final = ("config", "acg")
THRESHOLDS: Final = (*ACG, "stability_thresholds")
_OWN: Final = ("observation_window", "provider", "priority")


def find_component(document: Mapping[str, Any]) -> int | None:
    """Return the index of the component of kind ``adaptive``, or None if there is none.

    Raises
    ------
    RecordError
        If production refuses the document or can't start with it: see `check_document`; or if there are two.
    """
    check_document(document)
    found = [i for i, table in enumerate(document.get("components") or ()) if table["kind"] == KIND]
    if len(found) > 1:
        msg = f"expected one component of kind 'adaptive', got another one ($.components[{found[0]}] is the first)"
        raise RecordError(msg, path=f"$.components[{found[1]}]")
    return found[0] if found else None


def read_settings(document: Mapping[str, Any]) -> AcgSettings:
    """Return the settings in a document; see `load_config`."""
    index = find_component(document)
    if index is None:
        msg = "expected a component of kind 'adaptive', got none; export_config adds one"
        raise RecordError(msg, path="$.components")
    tables = tables_of(document, index)
    acg, thresholds = tables[ACG] or {}, tables[THRESHOLDS]
    known: dict[str, Any] = {}
    if thresholds is not None:
        if missing := [name for name in StabilityThresholds.__struct_fields__ if name not in thresholds]:
            msg = f"expected all three thresholds, got no {' and '.join(map(repr, missing))}"
            raise RecordError(msg, path=where(index, THRESHOLDS))
        known = {name: thresholds[name] for name in StabilityThresholds.__struct_fields__}
    settings = AcgSettings()
    for name, value in [*known.items(), *((name, acg[name]) for name in _OWN if name in acg)]:
        path = f"{where(index, THRESHOLDS if name in known else ACG)}.{name}"
        if value is None:
            raise unexpected(value, "a value", path)
        try:
            settings = settings.replace(**{name: value})
        except UsageError as error:
            raise RecordError(str(error), path=path) from None
    return settings


def find_inactive_reasons(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return why production would not learn; see `inactive_reasons`."""
    index = find_component(document)
    if index is None:
        return ("There is no component of kind 'adaptive'.",)
    component = document["components"][index]
    config = component.get("config") or {}
    telemetry = config.get("telemetry") or {}
    faults = {
        "The component is disabled.": component.get("enabled", True) is False,
        "It has no 'state': windows are not kept, and everything that needs them is off.": not config.get("state"),
        "It has no 'acg' table: cache planning is off.": config.get("acg") is None,
        "'acg' is not among telemetry.learners.": "acg" not in (telemetry.get("learners") or ()),
    }
    return tuple(text for text, is_so in faults.items() if is_so)


def tables_of(document: Mapping[str, Any], index: int) -> dict[Names, Mapping[str, Any] | None]:
    """Return the tables on the path to the settings, None for those that are absent."""
    table: Mapping[str, Any] | None = document["components"][index]
    tables: dict[Names, Mapping[str, Any] | None] = {}
    for depth, name in enumerate(THRESHOLDS, 1):
        path = THRESHOLDS[:depth]
        value = table.get(name, ...) if table else ...
        absent = value is ... or (value is None and path != THRESHOLDS)  # production treats null in JSON as absent
        table = None if absent else expect_table(value, where(index, path))
        tables[path] = table
    return tables


def where(index: int, path: Names) -> str:
    """Return the JSON path of a value in the component, for an error."""
    return f"$.components[{index}].{'.'.join(path)}"


_DEFAULTS: Final = {"observation_window": 100, "provider": DEFAULT_PROVIDER, "priority": DEFAULT_PRIORITY}
_NUMBERS: Final = ("stable_threshold", "semi_stable_threshold")
_FIELDS: Final = StabilityThresholds.__struct_fields__
# The paths of the settings within the component, in the order in which they are written.
PATHS: Final[tuple[Names, ...]] = (*((*ACG, name) for name in _DEFAULTS), *((*THRESHOLDS, name) for name in _FIELDS))
# Added to a component that has neither the learner's table nor a state: all that learning needs, with the state in
# memory, since the address of a Redis is unknown.
_COMPLETION: Final[Mapping[Names, Any]] = {
    ("config", "version"): 1,
    ("config", "state", "backend", "kind"): "in_memory",
    ("config", "telemetry", "learners"): ["acg"],
}


def values_to_set(document: Mapping[str, Any], index: int, settings: AcgSettings) -> dict[Names, Any]:
    """Return the values that must change in the component for the settings to hold, by path within it."""
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
    index = find_component(document)
    merged: dict[str, Any] = copy.deepcopy(dict(document)) or {"version": 1}
    if index is None:
        merged["components"] = [*(merged.get("components") or ()), {"kind": KIND}]
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
    """Return whether production reads the same: a threshold may be an integer, but 20.0 is no count, true no number."""
    if isinstance(found, bool) or (isinstance(found, float) and name not in _NUMBERS):
        return False
    return bool(wanted == found)
