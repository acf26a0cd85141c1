"""Loading settings from a plugin document, and writing them back into it.

Belongs here: the public functions. What a document means is in `document`, how its text changes in `render`, how a file
is replaced in `files`.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from acg_lab.config.document import find_component, read_settings, reasons_to_idle
from acg_lab.config.files import ConfigFile, read_file, replace_file
from acg_lab.config.merging import merge
from acg_lab.config.parse import BOM, parse_json, parse_toml
from acg_lab.config.render import render_json, render_toml
from acg_lab.config.settings import AcgSettings, check_writable
from acg_lab.core.errors import SourceError, UsageError

__all__ = [
    "Proposal",
    "export_config",
    "load_config",
    "merge_config",
    "propose_changes",
    "propose_config",
    "render_config",
    "why_idle",
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


def load_config(source: str | os.PathLike[str] | Mapping[str, Any]) -> AcgSettings:
    """Read the learner's settings from a plugin document.

    Parameters
    ----------
    source : path or mapping
        A ``plugins.toml``, the same as JSON (by its suffix ``.json``), or the mapping that the bindings take.

    Returns
    -------
    AcgSettings
        What is not there is production's default, all of it where there is no ``acg`` table; `why_idle` tells.

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
    return read_settings(*_open(source))


def why_idle(source: str | os.PathLike[str] | Mapping[str, Any]) -> tuple[str, ...]:
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
    return reasons_to_idle(*_open(source))


def export_config(path: str | os.PathLike[str], settings: AcgSettings, *, note: str | None = None) -> Path:
    """Write settings into the file that production reads, and change nothing else in it.

    Only values that differ are replaced, where they stand; the rest is kept byte for byte. The file is replaced as a
    whole or not at all. A new file is minimal and complete. `merge_config` does the same to a mapping.

    Parameters
    ----------
    path : path
        A ``plugins.toml``, or the same as JSON (by its suffix ``.json``), which is written anew in its own indent.
    settings : AcgSettings
        A provider or priority of None is left as it is.
    note : str, optional
        What to remember, such as what was tuned on which data. It goes as comments above the first changed value, and
        replaces the note of an earlier export; without one, that goes too once a value changes. An empty table takes
        none.

    Returns
    -------
    Path
        ``path``, for `load_config`.

    Raises
    ------
    UsageError
        If the settings should not be written: see `check_writable`.
    RecordError
        If the file is not what production reads: no TOML, two components of kind ``adaptive``, a value of wrong type.
    SourceError
        If the file can't be read or written, or was changed in between; it is then as it was.
    """
    return propose_config(path, settings, note=note).write()


def propose_config(path: str | os.PathLike[str], settings: AcgSettings, *, note: str | None = None) -> Proposal:
    """Return what `export_config` would do, for looking at it first; parameters and errors are the same."""
    file = _read(path)
    render = render_json if _is_json(path) else render_toml
    after, found = render(file.text, settings, note, file.label)
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
    file, settings = _read(path), AcgSettings()
    if settings.values().keys() - changes.keys() and file.content is not None:
        document = _parse(file)
        if find_component(document, file.label) is not None:
            settings = read_settings(document, file.label)
    return propose_config(path, settings.replace(**changes), note=note)


def merge_config(settings: AcgSettings, document: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a plugin document with settings in it, for those who configure in code or keep it as JSON.

    Parameters
    ----------
    settings : AcgSettings
    document : mapping, optional
        Copied, never changed. A minimal complete one is made when left out.

    Returns
    -------
    dict
        As the bindings take it.

    Raises
    ------
    UsageError, RecordError
        As `export_config`.
    """
    check_writable(settings)
    merged = merge(document or {}, settings)
    read_settings(merged)
    return merged


def render_config(settings: AcgSettings, document: str = "", *, note: str | None = None, source: str = "") -> str:
    """Return TOML text with settings in it, as `export_config` writes it.

    Parameters
    ----------
    settings : AcgSettings
    document : str
        The text to change; a minimal complete one is made from an empty one.
    note : str, optional
        See `export_config`.
    source : str
        What errors call the document.

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
    return render_toml(document, settings, note, source)[0]


def _is_json(path: str | os.PathLike[str]) -> bool:
    return os.fspath(path).lower().endswith(".json")


def _open(source: str | os.PathLike[str] | Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return a document, and what errors call it."""
    if isinstance(source, Mapping):
        return source, ""
    file = _read(source)
    if file.content is None:
        msg = f"{file.label}: there is no such file."
        raise SourceError(msg)
    return _parse(file), file.label


def _read(path: str | os.PathLike[str]) -> ConfigFile:
    if not isinstance(path, str | os.PathLike):
        msg = f"A config is a path or a mapping; got {type(path).__name__}."
        raise UsageError(msg)
    return read_file(path)


def _parse(file: ConfigFile) -> dict[str, Any]:
    return (parse_json if _is_json(file.label) else parse_toml)(file.text, file.label)
