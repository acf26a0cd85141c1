"""The salt of redacted exports: a private file, made once, that stands beside an export and is never part of it.

Exports with one salt have one pseudonym for one text, so that they can be compared, and pieces be appended. Who has the
salt can find out whether a text that he guesses is in an export.
"""

import os
import re
import secrets
from pathlib import Path
from typing import Final

from acg_lab.core.errors import SourceError, UsageError
from acg_lab.storage.masking import mask_credentials
from acg_lab.storage.path_options import path_text

__all__ = ["find_salt", "salt_beside"]

_SUFFIX: Final = ".salt"
_HEAD: Final = "acg_lab salt: "
_BYTES: Final = 32
_PRIVATE: Final = 0o600
_read: Final = re.compile(rf"{_HEAD}([0-9a-f]{{{2 * _BYTES}}})\n?").fullmatch
_is_remote: Final = re.compile(r"(?!file:)[a-zA-Z][a-zA-Z0-9+.-]+://").match


def find_salt(dest: "str | os.PathLike[str]", file: "str | os.PathLike[str] | None" = None) -> bytes:
    """Return the salt of an export; make its file, for its owner alone, if there is none.

    Parameters
    ----------
    dest : str or path
        Where the export stands or shall stand.
    file : str or path, optional
        The salt's file. If omitted, it has the name of the export with ``.salt`` behind it.

    Raises
    ------
    UsageError
        If the file would be inside of the export, or the export is remote and no file is given.
    SourceError
        If the file cannot be read or written, or is none of a salt.
    """
    place = path_text(dest)
    if file is None:
        if _is_remote(place):
            msg = f"{mask_credentials(place)}: name a local file for the salt of a remote export: salt=... (--salt)."
            raise UsageError(msg)
        file = salt_beside(place)
    path = Path(path_text(file, "salt"))
    if not _is_remote(place) and Path(os.path.realpath(_local(place))) in (
        real := Path(os.path.realpath(path)),
        *real.parents,
    ):
        msg = f"{path}: a salt must not be inside of the export that it is for; choose another path."
        raise UsageError(msg)
    try:
        return _read_file(path) if path.exists() else _make(path)
    except OSError as error:
        if isinstance(error, SourceError):
            raise
        msg = f"{path}: the salt: {os.strerror(error.errno) if error.errno else type(error).__name__}"
        raise SourceError(msg) from None


def salt_beside(dest: str) -> str:
    """Return the path of the salt that stands beside a local export."""
    return f"{_local(dest)}{_SUFFIX}"


def _local(dest: str) -> str:
    return dest.removeprefix("file://").rstrip("/")


def _read_file(path: Path) -> bytes:
    found = _read(path.read_bytes().decode("ascii", errors="replace"))
    if found is None:
        msg = f"{path}: expected a salt, as --redact makes it, got another file."
        raise SourceError(msg)
    return bytes.fromhex(found[1])


def _make(path: Path) -> bytes:
    """Write a new salt; whole or not at all, and the first of several writers wins."""
    salt = secrets.token_bytes(_BYTES)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "w") as file:  # noqa: PTH123
            file.write(f"{_HEAD}{salt.hex()}\n")
        try:
            os.link(temporary, path)
        except FileExistsError:
            return _read_file(path)
    finally:
        temporary.unlink(missing_ok=True)
    return salt
