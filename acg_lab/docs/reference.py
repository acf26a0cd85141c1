"""The API reference: one page per public package, made of its ``__all__`` and docstrings.

A name that is public in two places is described once, under `acg_lab` itself.
"""

import importlib
import inspect
from pathlib import Path
from types import ModuleType

import acg_lab

__all__ = ["find_packages", "write_reference"]

_ALSO_PUBLIC = ("acg_lab.core", "acg_lab.config")  # packages with public names that acg_lab.__all__ does not list


def find_packages() -> dict[str, ModuleType]:
    """Return the public packages by their names: `acg_lab`, those in ``acg_lab.__all__``, and a few more."""
    named = [value for value in (getattr(acg_lab, name) for name in _names(acg_lab)) if inspect.ismodule(value)]
    more = [importlib.import_module(name) for name in _ALSO_PUBLIC]
    return {module.__name__: module for module in [acg_lab, *named, *more]}


def write_reference(folder: Path) -> None:
    """Write ``index.rst`` and one page per package; Sphinx makes the pages of the single names."""
    folder.mkdir(parents=True)
    packages = find_packages()
    described: dict[int, str] = {}
    for name, package in packages.items():
        (folder / f"{name}.rst").write_text(_package_page(name, package, described), encoding="utf-8")
    lines = [
        *_heading("API reference", "="),
        ".. toctree::",
        "   :maxdepth: 1",
        "",
        *(f"   {name}" for name in packages),
    ]
    (folder / "index.rst").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _package_page(name: str, package: ModuleType, described: dict[int, str]) -> str:
    public = [child for child in _names(package) if not inspect.ismodule(getattr(package, child))]
    new = [child for child in public if id(getattr(package, child)) not in described]
    known = sorted(described[id(getattr(package, child))] for child in public if child not in new)
    described.update({id(getattr(package, child)): f"{name}.{child}" for child in new})
    lines = [*_heading(name, "="), inspect.cleandoc(package.__doc__ or ""), "", f".. currentmodule:: {name}", ""]
    for title, children in _by_kind(package, new).items():
        lines += [*_heading(title, "-"), ".. autosummary::", "   :toctree: names", "   :nosignatures:", ""]
        lines += [*(f"   {child}" for child in children), ""]
    if known:
        lines += [*_heading("Also here", "-"), f"Described with :doc:`acg_lab <acg_lab>`: {_links(known)}.", ""]
    return "\n".join(lines) + "\n"


def _names(package: ModuleType) -> list[str]:
    return list(package.__all__)


def _by_kind(package: ModuleType, names: list[str]) -> dict[str, list[str]]:
    """Group names, in the order in which readers look for them; a group without names is left out."""
    groups: dict[str, list[str]] = {"Functions": [], "Classes": [], "Errors and warnings": [], "Data": []}
    for name in names:
        value = getattr(package, name)
        if inspect.isclass(value):
            groups["Errors and warnings" if issubclass(value, BaseException) else "Classes"].append(name)
        else:
            groups["Functions" if inspect.isroutine(value) else "Data"].append(name)
    return {title: children for title, children in groups.items() if children}


def _links(names: list[str]) -> str:
    return ", ".join(f":py:obj:`~{name}`" for name in names)


def _heading(title: str, line: str) -> list[str]:
    return [title, line * len(title), ""]
