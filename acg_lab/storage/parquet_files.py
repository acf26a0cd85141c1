"""The files of an export: a local folder, or any place that pyarrow or fsspec opens.

Errors name the place, without credentials, and say what to do.
"""

import contextlib
import os
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from acg_lab.core.errors import AcgLabError, SourceError
from acg_lab.storage.export_folder import new_folder, new_piece, only_writer, restore
from acg_lab.storage.masking import mask_credentials
from acg_lab.storage.near_paths import suggest_path
from acg_lab.storage.parquet_layout import MARKERS

if TYPE_CHECKING:
    from pyarrow import fs as pafs

__all__ = ["Files", "is_parquet_file"]

_MAGIC = b"PAR1"
_SUFFIXES = ("parquet", "parq", "pq")
_is_delta = re.compile(r"(.*/)?_delta_log(/.*)?", re.DOTALL).fullmatch
_is_iceberg = re.compile(r"(.*/)?metadata/[^/]*\.metadata\.json", re.DOTALL).fullmatch
_is_hudi = re.compile(r"(.*/)?\.hoodie(/.*)?", re.DOTALL).fullmatch
_has_scheme = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://").match


class Files:
    """A folder or file, by path or URI."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.label = mask_credentials(path)

    @cached_property
    def _opened(self) -> "tuple[pafs.FileSystem, str]":
        from pyarrow import fs
        from pyarrow.lib import ArrowException

        if not _has_scheme(self.path):
            return fs.LocalFileSystem(), os.path.abspath(self.path)  # noqa: PTH100  # a path by name, not by links
        with self.errors("address"):
            try:
                system, path = fs.FileSystem.from_uri(self.path)
            except (ArrowException, ValueError, NotImplementedError):
                import fsspec

                scheme = self.path.partition("://")[0]
                try:
                    fsspec.get_filesystem_class(scheme)
                except ValueError:
                    msg = (
                        f"{self.label}: neither pyarrow nor fsspec knows {scheme}://; the URL of a Redis begins with "
                        "redis://, rediss:// or unix://."
                    )
                    raise SourceError(msg) from None
                opened, path = fsspec.core.url_to_fs(self.path)
                system = fs.PyFileSystem(fs.FSSpecHandler(opened))
            return system, path

    @property
    def system(self) -> "pafs.FileSystem":
        """The file system."""
        return self._opened[0]

    @property
    def place(self) -> str:
        """The path within the file system."""
        return self._opened[1].rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return bool(self.system.type_name == "local")

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        with self.errors("address"):
            return bool(self.system.get_file_info(self.place).type.name == "Directory")

    @property
    def size(self) -> int:
        """The bytes of all files in the folder."""
        return sum(self.list_sizes().values())

    def list_sizes(self, folder: str = "") -> dict[str, int]:
        """Return the bytes of all files below the folder, or below one in it, by their paths in the folder."""
        from pyarrow import fs

        with self.errors("address"):
            selector = fs.FileSelector(f"{self.place}/{folder}".rstrip("/"), allow_not_found=True, recursive=True)
            infos = self.system.get_file_info(selector)
        start = len(self.place) + 1
        return {info.path[start:]: info.size for info in infos if info.type == fs.FileType.File}

    def exists(self, name: str = "") -> bool:
        """Return whether the path, or a file in it, exists."""
        with self.errors("address"):
            info = self.system.get_file_info(f"{self.place}/{name}" if name else self.place)
        return str(info.type.name) != "NotFound"

    def source(self) -> list[str]:
        """Return the file, or the Parquet files of the folder in the order of their names.

        Names that begin with ``_`` or ``.`` are ignored, as engines do: they are left over from jobs, or no data.

        Raises
        ------
        SourceError
            If there are none, or the folder is a table of another kind.
        """
        from pyarrow import fs

        if not self.exists():
            msg = f"{self.label}: there is no such file or folder.{suggest_path(self.path)}"
            raise SourceError(msg)
        if self.system.get_file_info(self.place).type == fs.FileType.File:
            return [self.place]
        infos = self.system.get_file_info(fs.FileSelector(self.place, recursive=True))
        files = {info.path[len(self.place) :].lstrip("/"): info for info in infos}
        self._refuse_table_formats(files)
        names = [
            info.path
            for name, info in sorted(files.items())
            if info.type == fs.FileType.File and not _is_hidden(name) and self._is_parquet(info)
        ]
        if not names:
            msg = f"{self.label}: expected an export, Parquet files or a request log; got a folder with none of these."
            raise SourceError(msg)
        return names

    def _refuse_table_formats(self, names: Collection[str]) -> None:
        """Raise for tables whose files are only valid together with a log of the table."""
        kinds = {"a Delta table": _is_delta, "an Iceberg table": _is_iceberg, "a Hudi table": _is_hudi}
        for kind, matches in kinds.items():
            if any(map(matches, names)):
                msg = (
                    f"{self.label}: this is {kind}, whose files hold deleted rows too; copy it into plain Parquet "
                    "files with the engine that wrote it."
                )
                raise SourceError(msg)

    def _is_parquet(self, info: "pafs.FileInfo") -> bool:
        """Return whether a file is Parquet by its name or, without a suffix, by its first bytes."""
        if info.extension:
            return info.extension.lower() in _SUFFIXES
        with self.system.open_input_stream(info.path) as file:
            return bytes(file.read(len(_MAGIC))) == _MAGIC

    def list_names(self, folder: str = "") -> list[str]:
        """Return the names in the folder, or in one in it, sorted; none if it does not exist."""
        from pyarrow import fs

        with self.errors("address"):
            selector = fs.FileSelector(f"{self.place}/{folder}".rstrip("/"), allow_not_found=True)
            infos = self.system.get_file_info(selector)
        return sorted(info.base_name for info in infos)

    def open(self, name: str) -> Any:
        """Open a file of the folder for reading."""
        return self.system.open_input_file(f"{self.place}/{name}")

    def read(self, name: str) -> bytes:
        """Return what a file of the folder holds."""
        with self.errors(name):
            if self.is_local:
                return Path(self.place, name).read_bytes()
            with self.open(name) as file:
                return bytes(file.read())

    def create(self, path: str) -> Any:
        """Open a file for writing, by its path within the file system; a local one is for its owner alone."""
        self.system.create_dir(path.rpartition("/")[0], recursive=True)
        if self.is_local:
            return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")  # noqa: PTH123  descriptor
        return self.system.open_output_stream(path)

    def restore(self) -> None:
        """Restore a local export that a killed writer left moved away."""
        if self.is_local:
            restore(Path(os.path.realpath(self.place)))

    @contextlib.contextmanager
    def replace_atomically(self, *, mode: int | None, check: Callable[[], None]) -> Iterator[str]:
        """Yield a new folder that replaces the path at the end, or is removed after an error.

        A symbolic link is kept; its target is replaced. ``check`` raises if the place was taken meanwhile.
        """
        if self.is_local:
            with new_folder(Path(os.path.realpath(self.place)), mode=mode, check=check) as folder:
                yield str(folder)
            return
        temporary = f"{self.place}.{secrets.token_hex(4)}.partial"
        try:
            self.system.create_dir(temporary, recursive=True)
            yield temporary
            self._take_remote_place(temporary, self.place)
        except BaseException:
            with contextlib.suppress(OSError):
                self.system.delete_dir(temporary)
            raise

    def _take_remote_place(self, temporary: str, place: str) -> None:
        # Object stores cannot rename folders. What an export is recognised by is moved last.
        old, new = self._list_files(place), self._list_files(temporary)
        for name in sorted(new, key=lambda name: (name.startswith(MARKERS), name.startswith("observations"))):
            self.system.create_dir(f"{place}/{name}".rpartition("/")[0], recursive=True)
            self.system.move(f"{temporary}/{name}", f"{place}/{name}")
        self.system.delete_dir(temporary)
        self.delete(sorted(old - new, key=lambda name: not name.startswith(MARKERS)))
        self.delete(self._list_folders(place) - {str(folder) for name in new for folder in PurePosixPath(name).parents})

    def _list_files(self, folder: str) -> set[str]:
        """Return the paths of all files below a folder, without its own."""
        from pyarrow import fs

        infos = self.system.get_file_info(fs.FileSelector(folder, allow_not_found=True, recursive=True))
        return {info.path[len(folder) + 1 :] for info in infos if info.type == fs.FileType.File}

    def _list_folders(self, folder: str) -> set[str]:
        """Return the paths of all folders below one; object stores may have none."""
        from pyarrow import fs

        infos = self.system.get_file_info(fs.FileSelector(folder, allow_not_found=True, recursive=True))
        return {info.path[len(folder) + 1 :] for info in infos if info.type == fs.FileType.Directory}

    def delete(self, names: Iterable[str]) -> None:
        """Delete files, and folders with all in them, by their paths in the folder; those that are gone do no harm."""
        from pyarrow import fs

        for name in names:
            path = f"{self.place}/{name}"
            kind = self.system.get_file_info(path).type
            with contextlib.suppress(FileNotFoundError):
                if kind == fs.FileType.Directory:
                    self.system.delete_dir(path)
                elif kind == fs.FileType.File:
                    self.system.delete_file(path)

    @contextlib.contextmanager
    def writing(self, mode: int | None) -> Iterator[None]:
        """Be the only writer of a history, which is made if nothing is there; wait for another one.

        Where there are no locks, as in object stores, pieces of several writers stand beside each other.
        """
        if self.is_local:
            with only_writer(Path(os.path.realpath(self.place)), mode):
                yield
        else:
            yield

    @contextlib.contextmanager
    def add_piece(self, name: str, paths: Sequence[str]) -> Iterator[str]:
        """Yield a folder for the files of a piece, which all are in place at the end, or none after an error.

        Parameters
        ----------
        name : str
            Hexadecimal digits for a folder of its own.
        paths : sequence of str
            Files and folders of the piece, in the order in which they take their places.
        """
        if self.is_local:
            with new_piece(Path(os.path.realpath(self.place)), name, paths) as folder:
                yield str(folder)
            return
        hidden = f".{name}.partial"
        try:
            yield f"{self.place}/{hidden}"
            for path in paths:
                self._move_all(f"{hidden}/{path}", path)
        except BaseException:
            with contextlib.suppress(OSError):
                self.delete([*reversed(paths), hidden])
            raise
        self.delete([hidden])

    def _move_all(self, source: str, target: str) -> None:
        """Move a file, or all files of a folder, within the folder."""
        from pyarrow import fs

        if self.system.get_file_info(f"{self.place}/{source}").type == fs.FileType.Directory:
            moves = [(f"{source}/{name}", f"{target}/{name}") for name in self._list_files(f"{self.place}/{source}")]
        else:
            moves = [(source, target)]
        for old, new in moves:
            self.system.create_dir(f"{self.place}/{new}".rpartition("/")[0], recursive=True)
            self.system.move(f"{self.place}/{old}", f"{self.place}/{new}")

    @contextlib.contextmanager
    def errors(self, what: str) -> Iterator[None]:
        """Raise errors of pyarrow, fsspec and the system as SourceError, with the path and without credentials."""
        from pyarrow.lib import ArrowException

        try:
            yield
        except AcgLabError:
            raise
        except FileNotFoundError:
            msg = f"{self.label}: {what}: there is no such file or folder.{suggest_path(self.path)}"
            raise SourceError(msg) from None
        except PermissionError:
            msg = f"{self.label}: {what}: permission denied."
            raise SourceError(msg) from None
        except ImportError as error:
            msg = f"{self.label}: {what}: a package for this kind of address is missing ({error.name or error})."
            raise SourceError(msg) from None
        except Exception as error:
            # Clients of remote file systems raise errors without a common base; other errors of local ones are bugs.
            if not (isinstance(error, ArrowException | OSError | ValueError) or _has_scheme(self.path)):
                raise
            reason = mask_credentials(str(error).splitlines()[0] if str(error) else type(error).__name__)
            if number := getattr(error, "errno", None):
                reason = os.strerror(number)
            reason = reason.rpartition("Is this a 'parquet' file?: ")[2]
            msg = f"{self.label}: {what}: {reason.replace(self.path, self.label)}"
            raise SourceError(msg) from None


def is_parquet_file(path: Path) -> bool:
    """Return whether a local file is Parquet: by its suffix or, without one, by its first bytes."""
    if path.suffix:
        return path.suffix[1:].lower() in _SUFFIXES
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC
    return False


def _is_hidden(name: str) -> bool:
    return any(part.startswith(("_", ".")) and "=" not in part for part in name.split("/"))
