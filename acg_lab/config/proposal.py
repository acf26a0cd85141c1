"""What an export would do to a file, as a value: to look at first, and to write.

Belongs here: files, from reading to replacing. How a text changes is in `render`, how a file is replaced in `files`.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from acg_lab.config.document import find_component, read_settings
from acg_lab.config.files import ConfigFile, read_file, replace_file
from acg_lab.config.parse import BOM, parse_json, parse_toml
from acg_lab.config.render import render_json, render_toml
from acg_lab.config.settings import AcgSettings
from acg_lab.core.errors import SourceError, UsageError

__all__ = ["Proposal", "open_document", "propose_changes", "propose_config"]


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


def _is_json(path: str | os.PathLike[str]) -> bool:
    return os.fspath(path).lower().endswith(".json")


def open_document(source: str | os.PathLike[str] | Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return a document as a mapping, and what errors call it; a mapping is one already."""
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
