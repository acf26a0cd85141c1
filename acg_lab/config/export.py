"""Loading settings from a plugin document, and writing them back into it.

Belongs here: the public functions, whatever the document is: a file, a mapping, or text.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, overload

from acg_lab.config.document import read_settings, reasons_to_idle
from acg_lab.config.merging import merge
from acg_lab.config.proposal import open_document, propose_config
from acg_lab.config.render import render_toml
from acg_lab.config.settings import AcgSettings, check_writable
from acg_lab.core.errors import UsageError

__all__ = ["export_config", "load_config", "render_config", "why_idle"]


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
    with open_document(source) as document:
        return read_settings(document)


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
    with open_document(source) as document:
        return reasons_to_idle(document)


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
