"""Load settings from a plugin document, and write them back: a file, a mapping or a text.

A `Proposal` is a change that can be looked at before it is written.
"""

import difflib
import logging
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
from acg_lab.config.production import check_plain
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


logger = logging.getLogger(__name__)

_WINDOWS_KEEP_THEIR_SIZE = (
    "Stored windows larger than the new observation_window never shrink: they lose one observation for each that is "
    "added, so they keep their size."
)


class Proposal(Struct, frozen=True):
    """The change that an export would make to a file. Nothing is written before `write`.

    Attributes
    ----------
    path : Path
        The path that was passed in.
    settings : AcgSettings
        The settings that production will read, with provider and priority of the file.
    before, after : str
        The text of the file; ``before`` is empty if there is no file.
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

    @property
    def caveats(self) -> tuple[str, ...]:
        """Consequences of the change that the file does not show, one sentence each."""
        try:
            former = read_settings(_parse(self._file)) if self._file.content is not None else AcgSettings()
        except RecordError:
            former = AcgSettings()
        return (_WINDOWS_KEEP_THEIR_SIZE,) if self.settings.observation_window < former.observation_window else ()

    def diff(self) -> str:
        """Return the change as a unified diff; empty if there is none.

        The diff shows the lines around the change, with any addresses in them.
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
            If the file cannot be written, or was modified since the proposal was made. It is then unchanged.
        """
        if self.is_change:
            replace_file(self._file, self.after.encode())
            logger.info("wrote %s", self.path)
        return self.path


def propose_config(path: str | os.PathLike[str], settings: AcgSettings, *, note: str | None = None) -> Proposal:
    """Return what `export_config` would write; parameters and errors are the same."""
    with _open(path) as file:
        render = render_json if _is_json(path) else render_toml
        after, found = render(file.text, settings, note)
    return Proposal(Path(path), found, file.text, after, file)


def propose_changes(path: str | os.PathLike[str], changes: Mapping[str, Any], *, note: str | None = None) -> Proposal:
    """Return what `export_config` would write to change some of the file's own settings.

    Parameters
    ----------
    path : path
        Without a file, or a component in it, production's defaults are changed.
    changes : mapping
        Values by production's names. If it has all of ``AcgSettings().values()``, the file's own are not read.
    note : str, optional
        As in `export_config`.

    Raises
    ------
    UsageError, RecordError, SourceError
        As in `load_config` and `export_config`.
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
    """Yield a document as a mapping; errors raised meanwhile are extended by the file's name."""
    if isinstance(source, Mapping):
        check_plain(source)
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
        A ``plugins.toml``, a JSON file (with suffix ``.json``) of the same content, or the mapping that the bindings
        take.

    Returns
    -------
    AcgSettings
        Absent settings have production's defaults, also if there is no ``acg`` table; see `inactive_reasons`.

    Raises
    ------
    SourceError
        If the file cannot be read.
    RecordError
        If production would refuse the document (``acg_lab/docs/rules/config.md``, 3), or it has no component of kind
        ``adaptive``.

    Examples
    --------
    >>> component = {"kind": "adaptive", "config": {"acg": {"observation_window": 30}}}
    >>> load_config({"version": 1, "components": [component]}).observation_window
    30
    """
    with open_document(source) as document:
        return read_settings(document)


def inactive_reasons(source: str | os.PathLike[str] | Mapping[str, Any]) -> tuple[str, ...]:
    """Return why production would not learn with a plugin document; empty if it would.

    Parameters
    ----------
    source : path or mapping
        As in `load_config`, which must be able to read it.

    Returns
    -------
    tuple of str
        One sentence per reason.

    Raises
    ------
    SourceError, RecordError
        As in `load_config`.

    Examples
    --------
    >>> inactive_reasons({"version": 1})
    ("There is no component of kind 'adaptive'.",)
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

    Only values that differ are replaced; the rest is kept byte for byte. The file is replaced as a whole or not at all.
    A new file, or a new component of kind ``adaptive``, is minimal and complete, with its windows in memory. Lowering
    ``observation_window`` never shrinks windows that are already stored.

    Parameters
    ----------
    target : path or mapping
        A ``plugins.toml``; a JSON file (with suffix ``.json``), which is rewritten in its own indentation; or the
        mapping that the bindings take, which is copied.
    settings : AcgSettings
        A provider or priority of None keeps the document's value.
    note : str, optional
        A remark, for example what was tuned on which data. It is written as comments above the first changed value,
        and replaces the note of an earlier export, which is removed in any case once a value changes. JSON, mappings
        and empty tables take no note.

    Returns
    -------
    Path or dict
        The path that was passed in, or the new mapping; `load_config` takes both.

    Raises
    ------
    UsageError
        Unless 0 <= semi_stable_threshold <= stable_threshold <= 1 and observation_window >= 1.
    RecordError
        If production could not read the document: not TOML, two components of kind ``adaptive``, a wrong type.
    SourceError
        If the file cannot be read or written, or was modified by another process. It is then unchanged.

    Examples
    --------
    >>> document = export_config({}, AcgSettings(observation_window=30))
    >>> load_config(document).observation_window
    30
    """
    if not isinstance(target, Mapping):
        return propose_config(target, settings, note=note).write()
    if note:
        msg = "A mapping has no comments, so it cannot take a note."
        raise UsageError(msg)
    check_writable(settings)
    merged = merge(target, settings)
    read_settings(merged)
    return merged


def render_config(settings: AcgSettings, document: str = "", *, note: str | None = None) -> str:
    """Return a TOML text with the settings put in, as `export_config` writes it.

    Parameters
    ----------
    settings : AcgSettings
    document : str
        The text to change. An empty one becomes a minimal complete document.
    note : str, optional
        As in `export_config`.

    Returns
    -------
    str
        The document unchanged if it has these settings already.

    Raises
    ------
    UsageError, RecordError
        As in `export_config`.

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
