"""What an export would do to a file, as a value: to look at first, and to write.

Belongs here: files, from reading to replacing. How a text changes is in `render`, how a file is replaced in `files`.


Loading settings from a plugin document, and writing them back into it.

Belongs here: the public functions, whatever the document is: a file, a mapping, or text.
"""

import difflib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, overload

from msgspec import Struct

from acg_lab.config.document import (
    BOM,
    find_component,
    find_inactive_reasons,
    merge,
    parse_json,
    parse_toml,
    read_settings,
)
from acg_lab.config.files import ConfigFile, read_file, replace_file
from acg_lab.config.render import render_json, render_toml
from acg_lab.config.settings import AcgSettings, check_writable
from acg_lab.core.errors import RecordError, SourceError, UsageError

__all__ = [
    "Proposal",
    "export_config",
    "inactive_reasons",
    "load_config",
    "open_document",
    "propose_changes",
    "propose_config",
    "render_config",
]


class Proposal(Struct, frozen=True):
    """What an export would do to a file; nothing is written before `write`.

    Attributes
    ----------
    path : Path
        As it was given.
    settings : AcgSettings
        As production will read them, with what the file itself says of provider and priority.
    before, after : str
        The file's text; ``before`` is empty where there is no file.
    """

    path: Path
    settings: AcgSettings
    before: str
    after: str
    _file: ConfigFile

    @property
    def is_change(self) -> bool:
        """Whether there is anything to write."""
        return self._file.content is None or self.before != self.after

    def diff(self) -> str:
        """Return the change as a unified diff; empty if there is none.

        It shows lines around the change, and so what stands in them, addresses included.
        """
        before, after = (text.removeprefix(BOM).splitlines(keepends=True) for text in (self.before, self.after))
        name = str(self.path)
        lines = difflib.unified_diff(before, after, name if before else os.devnull, name)
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)

    def write(self) -> Path:
        """Write the file, if there is anything to write.

        Returns
        -------
        Path
            ``path``.

        Raises
        ------
        SourceError
            If it can't be written, or was changed since the proposal was made; the file is then as it was.
        """
        if self.is_change:
            replace_file(self._file, self.after.encode())
        return self.path


def propose_config(path: str | os.PathLike[str], settings: AcgSettings, *, note: str | None = None) -> Proposal:
    """Return what `export_config` would do, for looking at it first; parameters and errors are the same."""
    render = render_json if _is_json(path) else render_toml
    with _open(path) as file:
        after, found = render(file.text, settings, note)
    return Proposal(Path(path), found, file.text, after, file)


def propose_changes(path: str | os.PathLike[str], changes: Mapping[str, Any], *, note: str | None = None) -> Proposal:
    """Return what `export_config` would do with the file's own settings, some of them changed.

    Parameters
    ----------
    path : path
        Where there is no file yet, or no component in it, production's defaults are changed.
    changes : mapping
        Values by production's names. With all of ``AcgSettings().values()``, it does not matter what the file has.
    note : str, optional
        As for `export_config`.

    Raises
    ------
    UsageError, RecordError, SourceError
        As `load_config` and `export_config`.
    """
    settings = AcgSettings()
    with _open(path) as file:
        if settings.values().keys() - changes.keys() and file.content is not None:
            document = _parse(file)
            if find_component(document) is not None:
                settings = read_settings(document)
    return propose_config(path, settings.replace(**changes), note=note)


@contextmanager
def open_document(source: str | os.PathLike[str] | Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Give a document as a mapping; what goes wrong with it meanwhile gets the file's name."""
    if isinstance(source, Mapping):
        yield source
        return
    with _open(source) as file:
        if file.content is None:
            msg = f"{file.label}: there is no such file."
            raise SourceError(msg)
        yield _parse(file)


@contextmanager
def _open(path: str | os.PathLike[str]) -> Iterator[ConfigFile]:
    if not isinstance(path, str | os.PathLike):
        msg = f"A config is a path or a mapping; got {type(path).__name__}."
        raise UsageError(msg)
    file = read_file(path)
    try:
        yield file
    except RecordError as error:
        raise error.at(source=file.label) from None


def _parse(file: ConfigFile) -> dict[str, Any]:
    return (parse_json if _is_json(file.label) else parse_toml)(file.text)


def _is_json(path: str | os.PathLike[str]) -> bool:
    return os.fspath(path).lower().endswith(".json")


def load_config(source: str | os.PathLike[str] | Mapping[str, Any]) -> AcgSettings:
    """Read the learner's settings from a plugin document.

    Parameters
    ----------
    source : path or mapping
        A ``plugins.toml``, the same as JSON (by its suffix ``.json``), or the mapping that the bindings take.

    Returns
    -------
    AcgSettings
        What is not there is production's default, all of it where there is no ``acg`` table; `inactive_reasons` tells.

    Raises
    ------
    SourceError
        If the file can't be read.
    RecordError
        If production would refuse what is there (spec/config.md), or there is no component of kind ``adaptive``.

    Examples
    --------
    >>> component = {"kind": "adaptive", "config": {"acg": {"observation_window": 30}}}
    >>> load_config({"version": 1, "components": [component]}).observation_window
    30
    """
    with open_document(source) as document:
        return read_settings(document)


def inactive_reasons(source: str | os.PathLike[str] | Mapping[str, Any]) -> tuple[str, ...]:
    """Say why production would learn nothing with a plugin document; empty if it would.

    Parameters
    ----------
    source : path or mapping
        As for `load_config`, which must be able to read it.

    Returns
    -------
    tuple of str
        A sentence a reason.
    """
    with open_document(source) as document:
        return find_inactive_reasons(document)


@overload
def export_config(target: str | os.PathLike[str], settings: AcgSettings, *, note: str | None = None) -> Path: ...
@overload
def export_config(target: Mapping[str, Any], settings: AcgSettings) -> dict[str, Any]: ...


def export_config(
    target: str | os.PathLike[str] | Mapping[str, Any], settings: AcgSettings, *, note: str | None = None
) -> Path | dict[str, Any]:
    """Write settings into the file that production reads, and change nothing else in it.

    Only values that differ are replaced, where they stand; the rest is kept byte for byte. The file is replaced as a
    whole or not at all. A new file, or a new component of kind ``adaptive``, is minimal and complete: it keeps its
    windows in memory, until a Redis is put in.

    Parameters
    ----------
    target : path or mapping
        A ``plugins.toml``; the same as JSON (by its suffix ``.json``), which is written anew in its own indent; or the
        mapping that the bindings take, for those who configure in code: it is copied.
    settings : AcgSettings
        A provider or priority of None is left as it is.
    note : str, optional
        What to remember, such as what was tuned on which data. It goes as comments above the first changed value, and
        replaces the note of an earlier export; without one, that goes too once a value changes. An empty table takes
        none, and JSON and mappings don't either.

    Returns
    -------
    Path or dict
        The path as it was given, or the new mapping; `load_config` takes both.

    Raises
    ------
    UsageError
        If the settings should not be written: unless 0 <= semi_stable_threshold <= stable_threshold <= 1 and
        observation_window >= 1.
    RecordError
        If the document is not what production reads: no TOML, two components of kind ``adaptive``, a wrong type.
    SourceError
        If the file can't be read or written, or was changed in between; it is then as it was.
    """
    if not isinstance(target, Mapping):
        return propose_config(target, settings, note=note).write()
    if note:
        msg = "A mapping has no comments, so it can't take a note."
        raise UsageError(msg)
    check_writable(settings)
    merged = merge(target, settings)
    read_settings(merged)
    return merged


def render_config(settings: AcgSettings, document: str = "", *, note: str | None = None) -> str:
    """Return TOML text with settings in it, as `export_config` writes it.

    Parameters
    ----------
    settings : AcgSettings
    document : str
        The text to change; a minimal complete one is made from an empty one.
    note : str, optional
        See `export_config`.

    Returns
    -------
    str
        The document itself if it says so already.

    Raises
    ------
    UsageError, RecordError
        As `export_config`.

    Examples
    --------
    >>> print(render_config(AcgSettings(observation_window=30)).partition("telemetry]")[2])
    <BLANKLINE>
    learners = ["acg"]
    <BLANKLINE>
    [components.config.acg]
    observation_window = 30
    <BLANKLINE>
    [components.config.acg.stability_thresholds]
    stable_threshold = 0.95
    semi_stable_threshold = 0.5
    min_observations_for_full_confidence = 20
    <BLANKLINE>
    """
    return render_toml(document, settings, note)[0]
