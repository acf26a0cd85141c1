"""Reading a config file, and replacing it so that at every moment the old or the new one is there, whole.

Belongs here: bytes, modes and what the system can say against them. A file's meaning is none of its business.
"""

import contextlib
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
    """A file as it was read: where links lead to, and its content; None if there is no file yet."""

    label: str
    place: Path
    content: bytes | None

    @property
    def text(self) -> str:
        """The content as text, with line ends and byte order mark as they are.

        Raises
        ------
        RecordError
            If it is not UTF-8.
        """
        try:
            return (self.content or b"").decode()
        except UnicodeDecodeError as error:
            msg = f"expected UTF-8, got byte {self.content[error.start]:#04x} at position {error.start}"  # type: ignore[index]
            raise RecordError(msg) from None


def read_file(path: str | os.PathLike[str]) -> ConfigFile:
    """Read a file that may not be there.

    Raises
    ------
    SourceError
        If it can't be read, or is no regular file.
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
    """Write a file's new content beside it, read it back, and let it take the place; mode, owner and links stay.

    Raises
    ------
    SourceError
        If anything is against it: the folder, the disk, or somebody else who changed the file since it was read. What
        was there is then as it was.
    """
    with _errors(file.label, "it was not changed"):
        if file.content is not None and not os.access(file.place, os.W_OK):
            msg = f"{file.label}: it was not changed: it is read-only."
            raise SourceError(msg)
        if not file.place.parent.is_dir():
            msg = f"{file.label}: there is no folder {file.place.parent}; make it first."
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
            opened.write(content)
            opened.flush()
            os.fsync(descriptor)
        _check(file, temporary, content)
        temporary.replace(file.place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _keep_owner_and_mode(file: ConfigFile, temporary: Path) -> None:
    if file.content is None:
        return  # for its owner alone, as temporary files are: it may come to hold the password of a store
    old, new = file.place.stat(), temporary.stat()
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        try:
            os.chown(temporary, old.st_uid, old.st_gid)
        except PermissionError:
            msg = f"{file.label}: it was not changed: it belongs to another user or group ({old.st_uid}:{old.st_gid})."
            raise SourceError(msg) from None
    temporary.chmod(stat.S_IMODE(old.st_mode))


def _check(file: ConfigFile, temporary: Path, content: bytes) -> None:
    """Refuse what was not written as it was meant, and what would undo another's change."""
    if temporary.read_bytes() != content:
        msg = f"{file.label}: it was not changed: what was written beside it could not be read back."
        raise SourceError(msg)
    if read_file(file.label)[1:] != file[1:]:
        msg = f"{file.label}: it was not changed: somebody else changed it in between; look at it and try again."
        raise SourceError(msg)


@contextlib.contextmanager
def _only_one_in(place: Path) -> Iterator[None]:
    """Let one export at a time work beside a file, clear up after killed ones, and bring the folder to the disk.

    A lock of the folder ends with its process, so that whoever holds it knows that what others began is stale. Not all
    systems can lock, or open a folder at all; the file is whole in any case.
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
