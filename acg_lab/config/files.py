"""Read a config file, and replace it atomically: at every moment the old or the new file is there, whole."""

import contextlib
import errno
import glob
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from acg_lab.core.errors import RecordError, SourceError

__all__ = ["ConfigFile", "read_file", "replace_file"]


_OURS, _PARTIAL = ".acg-lab-", ".partial"


class ConfigFile(NamedTuple):
    """A file as read: its name, its path with links resolved, and its content, None if it does not exist."""

    label: str
    place: Path
    content: bytes | None

    @property
    def text(self) -> str:
        """The content as text, with line ends and byte order mark as they are.

        Raises
        ------
        RecordError
            If the content is not UTF-8.
        """
        try:
            return (self.content or b"").decode()
        except UnicodeDecodeError as error:
            msg = f"expected UTF-8, got byte {self.content[error.start]:#04x} at position {error.start}"  # type: ignore[index]
            raise RecordError(msg) from None


def read_file(path: str | os.PathLike[str]) -> ConfigFile:
    """Read a file that may not exist.

    Raises
    ------
    SourceError
        If the file cannot be read, or is not a regular file.
    """
    label = os.fspath(path)
    place = Path(os.path.realpath(label))
    with _errors(label, "it can't be read"):
        try:
            mode = place.stat().st_mode
        except FileNotFoundError:
            return ConfigFile(label, place, None)
        if not stat.S_ISREG(mode):
            msg = f"{label}: expected a file, got a {'folder' if stat.S_ISDIR(mode) else 'device'}."
            raise SourceError(msg)
        return ConfigFile(label, place, place.read_bytes())


def replace_file(file: ConfigFile, content: bytes) -> None:
    """Write new content to a temporary file, read it back, and replace the file.

    Mode, owner, access control lists and other extended attributes, and symbolic links are kept.

    Raises
    ------
    SourceError
        If the file cannot be replaced, or was modified since it was read. It is then unchanged.
    """
    with _errors(file.label, "it was not changed"):
        if file.content is not None and not os.access(file.place, os.W_OK):
            msg = f"{file.label}: it was not changed: it is read-only."
            raise SourceError(msg)
        if file.content is not None and (n_names := file.place.stat().st_nlink) > 1:
            msg = (
                f"{file.label}: it was not changed: it has {n_names - 1} more name{'s' * (n_names > 2)} (hard links), "  # noqa: PLR2004
                "which would keep the old content; make them symbolic links, or remove them."
            )
            raise SourceError(msg)
        if not file.place.parent.is_dir():
            msg = f"{file.label}: there is no folder {file.place.parent}; create it first."
            raise SourceError(msg)
        with _only_one_in(file.place):
            _write_and_replace(file, content)


def _write_and_replace(file: ConfigFile, content: bytes) -> None:
    prefix = f".{file.place.name}{_OURS}"
    descriptor, name = tempfile.mkstemp(prefix=prefix, suffix=_PARTIAL, dir=file.place.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            _keep_owner_and_mode(file, temporary)
            _keep_attributes(file, temporary)
            opened.write(content)
            opened.flush()
            os.fsync(descriptor)
        _check(file, temporary, content)
        _take_place(file, temporary)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _keep_owner_and_mode(file: ConfigFile, temporary: Path) -> None:
    if file.content is None:
        return  # readable by its owner only, like temporary files: it may later contain the password of a store
    old, new = file.place.stat(), temporary.stat()
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        try:
            os.chown(temporary, old.st_uid, old.st_gid)
        except PermissionError:
            msg = f"{file.label}: it was not changed: it belongs to another user or group ({old.st_uid}:{old.st_gid})."
            raise SourceError(msg) from None
    temporary.chmod(stat.S_IMODE(old.st_mode))


def _keep_attributes(file: ConfigFile, temporary: Path) -> None:
    """Copy access control lists and other extended attributes, where the system has them."""
    if file.content is None or not hasattr(os, "listxattr"):
        return
    names: list[str] = []
    with contextlib.suppress(OSError):  # a file system without them
        names = os.listxattr(file.place)
    for name in names:
        value = os.getxattr(file.place, name)
        try:
            if name not in os.listxattr(temporary) or os.getxattr(temporary, name) != value:
                os.setxattr(temporary, name, value)
        except OSError:
            msg = f"{file.label}: it was not changed: its extended attribute {name!r} can't be kept."
            raise SourceError(msg) from None


def _take_place(file: ConfigFile, temporary: Path) -> None:
    try:
        temporary.replace(file.place)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        msg = (
            f"{file.label}: it was not changed: it is mounted there by itself, as files are in containers, so it can't "
            "be replaced; change the file that it is mounted from."
        )
        raise SourceError(msg) from None


def _check(file: ConfigFile, temporary: Path, content: bytes) -> None:
    """Raise if the content was not written correctly, or the file was modified in the meantime."""
    if temporary.read_bytes() != content:
        msg = f"{file.label}: it was not changed: the new content could not be read back."
        raise SourceError(msg)
    if read_file(file.label)[1:] != file[1:]:
        msg = f"{file.label}: it was not changed: it was modified by another process; check it and try again."
        raise SourceError(msg)


@contextlib.contextmanager
def _only_one_in(place: Path) -> Iterator[None]:
    """Lock a file's folder, remove what killed exports left, and sync the folder at the end.

    The lock of a folder ends with its process, so that temporary files found by its holder are stale. Not all systems
    can lock or open a folder; the file is replaced atomically in any case.
    """
    with contextlib.ExitStack() as stack:
        descriptor = None
        with contextlib.suppress(OSError, ImportError):
            import fcntl  # noqa: PLC0415  # not everywhere

            descriptor = os.open(place.parent, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _remove_stale(place)
        yield
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.fsync(descriptor)


def _remove_stale(place: Path) -> None:
    for left in place.parent.glob(f"{glob.escape(f'.{place.name}{_OURS}')}*{_PARTIAL}"):
        left.unlink()


@contextlib.contextmanager
def _errors(label: str, what: str) -> Iterator[None]:
    try:
        yield
    except SourceError:
        raise
    except OSError as error:
        msg = f"{label}: {what}: {error.strerror or error}."
        raise SourceError(msg) from None
