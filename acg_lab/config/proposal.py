"""What an export would do to a file, as a value: to look at first, and to write.

Belongs here: files, from reading to replacing. How a text changes is in `render`, how a file is replaced in `files`.
"""

import difflib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from acg_lab.config.document import find_component, read_settings
from acg_lab.config.files import ConfigFile, read_file, replace_file
from acg_lab.config.parse import BOM, parse_json, parse_toml
from acg_lab.config.render import render_json, render_toml
from acg_lab.config.settings import AcgSettings
from acg_lab.core.errors import RecordError, SourceError, UsageError

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
