"""Lists of objects out of flattened attributes: ``llm.tools.0.tool.name`` is the name of the tool of the first item."""

from typing import Any

from acg_lab.core.records import JsonObject

__all__ = ["unflatten"]


def unflatten(attributes: JsonObject, prefix: str) -> list[dict[str, Any]]:
    """Return the list that is flattened under a prefix, or that stands there whole; empty where there is none.

    Raises
    ------
    ValueError
        If an item is missing: what is left would be another prompt.
    """
    whole = attributes.get(prefix)
    if isinstance(whole, list):
        return [_nested(item) for item in whole if isinstance(item, dict)]
    start = f"{prefix}."
    tree: dict[str, Any] = {}
    for name, value in attributes.items():
        if name.startswith(start):
            _put(tree, name[len(start) :].split("."), value)
    items = _listed(tree)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _nested(item: JsonObject) -> dict[str, Any]:
    """Return an item whose names may be dotted paths as nested objects."""
    tree: dict[str, Any] = {}
    for name, value in item.items():
        inner = [_nested(one) if isinstance(one, dict) else one for one in value] if isinstance(value, list) else value
        _put(tree, name.split("."), inner)
    return {name: _listed(value) for name, value in tree.items()}


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        inner = tree.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        tree = inner
    tree.setdefault(path[-1], value)


def _listed(tree: Any) -> Any:
    """Turn objects whose names are 0, 1, 2, ... into lists, all the way down."""
    if not isinstance(tree, dict):
        return tree
    inner = {name: _listed(value) for name, value in tree.items()}
    if not any(name.isdecimal() for name in inner):
        return inner
    numbers = [name for name in inner if name.isdecimal()]
    if any(str(i) not in inner for i in range(len(numbers))):
        msg = "flattened items are missing, so the list is cut"
        raise ValueError(msg)
    return [inner[str(i)] for i in range(len(numbers))]
