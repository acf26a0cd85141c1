"""A plugin document as a mapping: where the learner's settings stand in it, and what they are (spec/config.md).

Belongs here: the path to the settings, reading them, and what keeps production from using them.
"""

from collections.abc import Mapping
from typing import Any, Final

from acg_lab.config.settings import AcgSettings
from acg_lab.core.errors import RecordError, UsageError
from acg_lab.core.stability import StabilityThresholds

__all__ = [
    "ACG",
    "KIND",
    "THRESHOLDS",
    "Names",
    "find_component",
    "read_settings",
    "reasons_to_idle",
    "tables_of",
    "where",
]

Names = tuple[str, ...]
KIND: Final = "adaptive"
ACG: Final = ("config", "acg")
THRESHOLDS: Final = (*ACG, "stability_thresholds")
_OWN: Final = ("observation_window", "provider", "priority")
_NAMES: Final = {bool: "a boolean", str: "a string", list: "an array", dict: "a table"}


def find_component(document: Mapping[str, Any]) -> int | None:
    """Return the position of the component of kind ``adaptive`` among the document's components; None without one.

    Raises
    ------
    RecordError
        If there are two, which production refuses, or if what stands there is no array of tables.
    """
    components = document.get("components", [])
    if not isinstance(components, list | tuple):
        raise _unexpected(components, "an array of tables", "$.components")
    tables = [_expect_table(item, f"$.components[{i}]") for i, item in enumerate(components)]
    found = [i for i, table in enumerate(tables) if table.get("kind") == KIND]
    if len(found) > 1:
        msg = f"expected one component of kind 'adaptive', got another one ($.components[{found[0]}] is the first)"
        raise RecordError(msg, path=f"$.components[{found[1]}]")
    return found[0] if found else None


def read_settings(document: Mapping[str, Any]) -> AcgSettings:
    """Read the settings; see `load_config`."""
    index = find_component(document)
    if index is None:
        msg = "expected a component of kind 'adaptive', got none; export_config adds one"
        raise RecordError(msg, path="$.components")
    tables = tables_of(document, index)
    acg, thresholds = tables[ACG] or {}, tables[THRESHOLDS]
    known: dict[str, Any] = {}
    if thresholds is not None:
        if missing := [name for name in StabilityThresholds.__struct_fields__ if name not in thresholds]:
            msg = f"expected all three thresholds, got none of name {' and '.join(map(repr, missing))}"
            raise RecordError(msg, path=where(index, THRESHOLDS))
        known = {name: thresholds[name] for name in StabilityThresholds.__struct_fields__}
    settings = AcgSettings()
    for name, value in [*known.items(), *((name, acg[name]) for name in _OWN if name in acg)]:
        path = f"{where(index, THRESHOLDS if name in known else ACG)}.{name}"
        if value is None:
            raise _unexpected(value, "a value", path)
        try:
            settings = settings.replace(**{name: value})
        except UsageError as error:
            raise RecordError(str(error), path=path) from None
    return settings


def reasons_to_idle(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return why production would learn nothing; see `why_idle`."""
    index = find_component(document)
    if index is None:
        return ("There is no component of kind 'adaptive'.",)
    component = document["components"][index]
    config = component.get("config") or {}
    telemetry = config.get("telemetry") or {}
    faults = {
        "The component is disabled.": component.get("enabled", True) is False,
        "It has no 'state': windows are kept nowhere, and all that needs them is off.": not config.get("state"),
        "It has no 'acg' table: cache planning is off.": config.get("acg") is None,
        "'acg' is not among telemetry.learners.": "acg" not in (telemetry.get("learners") or ()),
    }
    return tuple(text for text, is_so in faults.items() if is_so)


def tables_of(document: Mapping[str, Any], index: int) -> dict[Names, Mapping[str, Any] | None]:
    """Return the tables on the way to the settings, None for those that are not there."""
    table: Mapping[str, Any] | None = document["components"][index]
    tables: dict[Names, Mapping[str, Any] | None] = {}
    for depth, name in enumerate(THRESHOLDS, 1):
        path = THRESHOLDS[:depth]
        value = table.get(name, ...) if table else ...
        absent = value is ... or (
            value is None and path != THRESHOLDS
        )  # null, as JSON has it, is absence to production
        table = None if absent else _expect_table(value, where(index, path))
        tables[path] = table
    return tables


def where(index: int, path: Names) -> str:
    """Return the place of what stands in the component, for an error."""
    return f"$.components[{index}].{'.'.join(path)}"


def _expect_table(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _unexpected(value, "a table", path)
    return value


def _unexpected(value: Any, expected: str, path: str) -> RecordError:
    # The kind only: what stands in a place where it does not belong may be anything.
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    got = repr(value) if numeric else "null" if value is None else _NAMES.get(type(value), type(value).__name__)
    return RecordError(f"expected {expected}, got {got}", path=path)
