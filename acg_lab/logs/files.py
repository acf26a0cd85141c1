"""Where the files of a log are: a file, a folder, a glob, standard input, or any URI that fsspec opens.

A file is opened when it is its turn. Names that begin with ``_`` or ``.`` are not part of a log, nor are files of other
kinds in a folder.
"""

import glob
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path, PurePosixPath
from stat import S_ISDIR, S_ISREG
from typing import IO, Any, Final, NamedTuple

from acg_lab.core.errors import MissingExtraError, SourceError
from acg_lab.storage.masking import mask_credentials
from acg_lab.storage.near_paths import suggest_path
from acg_lab.storage.times import render_time

__all__ = ["LogFile", "find_log_files", "is_log_name", "is_pipe", "looks_like_log", "source_name"]

_KINDS: Final = (".jsonl", ".ndjson", ".json", ".log", ".txt")
_PACKED: Final = (".gz", ".zst", ".zstd", ".bz2", ".xz")
_BEGINNINGS: Final = (b"{", b"[", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
_HEAD: Final = 64
_scheme = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://").match


class LogFile(NamedTuple):
    """One file of a log: how it is called in messages, its size in bytes (0: not known), and what opens it.

    ``modified`` is when it was last written, RFC 3339, where that is known. ``is_shared`` says that other processes of
    this machine can open it too.
    """

    label: str
    size: int
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    modified: str | None = None
    is_shared: bool = False


def is_log_name(name: str) -> bool:
    """Whether a file of this name may be part of a log."""
    path = PurePosixPath(name.replace(os.sep, "/"))
    if path.name.startswith(("_", ".")):
        return False
    stem = path.name.lower()
    for ending in _PACKED:
        stem = stem.removesuffix(ending)
    return stem.endswith(_KINDS)


def looks_like_log(path: str) -> bool:
    """Whether a local file that its name does not place begins like a log: JSON, or packed. A pipe is taken for one."""
    try:
        if is_pipe(path):
            return True
        with Path(path).open("rb") as opened:
            return opened.read(_HEAD).lstrip().startswith(_BEGINNINGS)
    except OSError:
        return False


def is_pipe(path: str) -> bool:
    """Whether a path is something that can be read only once, such as what a shell makes of ``<(command)``."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except (OSError, ValueError):
        return False
    return not S_ISREG(mode) and not S_ISDIR(mode)


def source_name(source: str) -> str:
    """Return what an agent is called after that a log does not name: its file or folder, without endings."""
    if source == "-":
        return "stdin"
    path = PurePosixPath(source.rstrip("/"))
    while glob.has_magic(path.name):
        path = path.parent
    # A pattern without a folder, and paths such as ".." name the folder that they lead to.
    name = path.name if path.name not in ("", "..") or "://" in source else Path(path).resolve().name
    for ending in (*_PACKED, *_KINDS):
        if name.lower().endswith(ending) and len(name) > len(ending):
            name = name[: -len(ending)]
    return name or "log"


def find_log_files(source: str) -> list[LogFile]:
    """Return the files of a log, by name.

    Raises
    ------
    SourceError
        If there is nothing, or it can't be reached.
    """
    if source == "-":
        return [LogFile("standard input", 0, lambda: nullcontext(sys.stdin.buffer))]
    if _scheme(source):
        return list(_remote(source))
    if glob.has_magic(source) and not os.path.lexists(source):
        found = (Path(path) for path in glob.glob(source, recursive=True) if os.path.isfile(path))  # noqa: PTH113, PTH207
        paths = sorted(path for path in found if not path.name.startswith(("_", ".")))
    elif os.path.isdir(source):  # noqa: PTH112  a path by name, as the user gave it
        paths = [path for path in sorted(Path(source).rglob("*")) if path.is_file() and _is_wanted(path, source)]
    else:
        paths = [Path(source)]
    if not paths:
        msg = f"{source}: expected a log (files that end in {', '.join(_KINDS)}, also packed), found none."
        raise SourceError(msg)
    return [_local(path) for path in paths]


def _is_wanted(path: Path, folder: str) -> bool:
    inside = path.relative_to(folder).parts
    return is_log_name(path.name) and not any(part.startswith(("_", ".")) for part in inside)


def _local(path: Path) -> LogFile:
    try:
        status = path.stat()
    except FileNotFoundError:
        msg = f"{path}: there is no such file or folder.{suggest_path(str(path))}"
        raise SourceError(msg) from None
    except OSError as error:
        msg = f"{path}: {error.strerror or error}"
        raise SourceError(msg) from None
    is_file = S_ISREG(status.st_mode)  # a pipe has no size
    modified = render_time(status.st_mtime_ns) if is_file else None
    return LogFile(str(path), status.st_size if is_file else 0, partial(_opened, path), modified, is_file)


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        msg = f"{path}: {error.strerror or error}"
        raise SourceError(msg) from None


def _remote(source: str) -> Iterator[LogFile]:
    import fsspec  # noqa: PLC0415  only where it is needed

    label = mask_credentials(source)
    try:
        system, path = fsspec.core.url_to_fs(source)
        names = _names(system, path)
    except ImportError as error:
        msg = f"{label}: a package for this kind of address is missing ({error.name or error})."
        raise MissingExtraError(msg) from None
    except (OSError, ValueError) as error:
        reason = type(error).__name__ if isinstance(error, FileNotFoundError) else mask_credentials(str(error))
        msg = f"{label}: can't be reached: {reason}"
        raise SourceError(msg) from None
    if not names:
        msg = f"{label}: expected a log (files that end in {', '.join(_KINDS)}, also packed), found none."
        raise SourceError(msg)
    for name in names:
        address = mask_credentials(system.unstrip_protocol(name))
        yield LogFile(address, _remote_size(system, name, address), partial(system.open, name))


def _remote_size(system: Any, name: str, address: str) -> int:
    try:
        return int(system.size(name) or 0)
    except FileNotFoundError:
        msg = f"{address}: there is no such file or folder."
        raise SourceError(msg) from None
    except Exception as error:  # noqa: BLE001  clients of remote file systems raise errors without a common base
        msg = f"{address}: can't be reached: {mask_credentials(str(error)) or type(error).__name__}"
        raise SourceError(msg) from None


def _names(system: Any, path: str) -> Collection[str]:
    if glob.has_magic(path):
        return sorted(name for name in system.glob(path) if system.isfile(name))
    if system.isdir(path):
        return sorted(name for name in system.find(path) if is_log_name(name))
    return [path]
