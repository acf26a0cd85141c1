"""Footers of Parquet files, checked before pyarrow reads them.

A damaged footer can end the process inside pyarrow, and a few kilobytes can stand for gigabytes. Our own exports have a
checksum in front of the footer, where the format leaves room. Other footers are read in a process of their own first.
"""

import struct
import subprocess
import sys
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from acg_lab.core.errors import SourceError
from acg_lab.storage.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    import pyarrow.parquet as pq

__all__ = ["SealedFile", "check_footers", "check_size"]

_MAGIC: Final = b"PAR1"
_TAIL: Final = 8  # the length of the footer, and the magic
_MARK: Final = b"ACGF"
_SEAL: Final = 8  # the mark, and the checksum
_SECONDS: Final = 60
_DAMAGED: Final = "its footer is damaged; copy it again from where it came"
_LARGE: Final = 1 << 28  # bytes of a table that must not come from a much smaller file
_good: set[bytes] = set()  # digests of the footers that a process has read

# Reads every footer as a load does: schema, sizes, statistics. Prints a line before and after each.
_READER: Final = """
import struct, sys
import pyarrow as pa
import pyarrow.parquet as pq

while head := sys.stdin.buffer.read(4):
    footer = sys.stdin.buffer.read(struct.unpack("<I", head)[0])
    print("begin", flush=True)
    try:
        data = pa.BufferReader(b"PAR1" + footer + head + b"PAR1")
        metadata = pq.read_metadata(data)
        metadata.schema.to_arrow_schema()
        pq.ParquetFile(data, metadata=metadata)
        for i in range(metadata.num_row_groups):
            group = metadata.row_group(i)
            for j in range(group.num_columns):
                column = group.column(j)
                str(column)
                if column.statistics is not None and column.statistics.has_min_max:
                    column.statistics.min, column.statistics.max
    except Exception:
        print("error", flush=True)
    else:
        print("good", flush=True)
"""


class SealedFile:
    """A file for a Parquet writer, which puts a checksum in front of the footer.

    Parameters
    ----------
    file : file
        Open for writing.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._held = bytearray()
        self._holds = False
        self.closed = False

    def write(self, data: Any) -> int:
        """Write bytes; from `hold` on they are kept back."""
        if self._holds:
            self._held += data
        else:
            self._file.write(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: the file below is flushed when it is closed."""

    def close(self) -> None:
        """Do nothing: the file below belongs to the caller."""

    def hold(self) -> None:
        """Keep back what follows, which ends with the footer."""
        self._holds = True

    def seal(self) -> None:
        """Write what was kept back, with the checksum."""
        held = bytes(self._held)
        start = len(held) - _TAIL - struct.unpack("<I", held[-_TAIL:-4])[0]
        footer = held[start:-_TAIL]
        self._file.write(held[:start] + _MARK + struct.pack("<I", crc32(footer)) + held[start:])


def check_footers(files: Mapping[str, Any]) -> None:
    """Raise unless pyarrow can read the footers of open files, by their names in messages.

    Raises
    ------
    SourceError
        If a footer is damaged, or its checksum differs.
    """
    foreign: dict[str, bytes] = {}
    for name, file in files.items():
        seal, footer = _read_footer(file)
        if not footer:
            continue  # no Parquet, or cut off: pyarrow says so
        if seal[:4] != _MARK:
            foreign[name] = footer
        elif struct.unpack("<I", seal[4:])[0] != crc32(footer):
            raise _error(name)
    unknown = {name: footer for name, footer in foreign.items() if sha256(footer).digest() not in _good}
    if unknown and sys.executable:
        _read_apart(unknown)


def _read_footer(file: Any) -> tuple[bytes, bytes]:
    """Return the eight bytes before the footer, and the footer; empty if there is none."""
    size = file.size()
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    length = struct.unpack("<I", tail[:4])[0] if tail[4:] == _MAGIC else 0
    if not 0 < length <= size - _TAIL - len(_MAGIC):
        file.seek(0)
        return b"", b""
    first = max(0, size - _TAIL - length - _SEAL)
    file.seek(first)
    found = file.read(size - _TAIL - first)
    file.seek(0)
    return found[:-length], found[-length:]


def _read_apart(footers: Mapping[str, bytes]) -> None:
    """Let another process read footers, so that none can end this one."""
    data = b"".join(struct.pack("<I", len(footer)) + footer for footer in footers.values())
    paths = f"import sys; sys.path[:] = {sys.path!r}\n"
    command = [sys.executable, "-I", "-c", paths + _READER]
    try:
        done = subprocess.run(  # noqa: S603  # our own code in our own interpreter
            command,
            input=data,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _error(next(iter(footers))) from None
    lines = done.stdout.decode(errors="replace").split()
    for i, (name, footer) in enumerate(footers.items()):
        if lines[2 * i : 2 * i + 2] != ["begin", "good"]:
            raise _error(name)
        if len(_good) < 1 << 14:
            _good.add(sha256(footer).digest())


def _error(name: str) -> SourceError:
    return SourceError(f"{name}: {_DAMAGED}.")


def check_size(
    name: str, metadata: "pq.FileMetaData", groups: Iterable[int], n_bytes: int, limits: Limits = DEFAULT_LIMITS
) -> None:
    """Raise if a table takes more memory than the limits allow.

    Parameters
    ----------
    name : str
        In the message.
    metadata : FileMetaData
    groups : iterable of int
        The row groups that will be read.
    n_bytes : int
        Size of the file.
    limits : Limits
        The memory of a table, and how many times its file that may be above 256 MiB.

    Raises
    ------
    SourceError
        Before anything is read.
    """
    needed = 0
    for i in groups:
        group = metadata.row_group(i)
        sizes = (group.column(j) for j in range(group.num_columns))
        needed += sum(max(column.total_uncompressed_size, 4 * column.num_values) for column in sizes)
    if needed > limits.table_bytes:
        msg = f"{name}: {limits.word('table_bytes', 'a table', needed)}."
        raise SourceError(msg)
    if needed > max(_LARGE, limits.table_ratio * n_bytes):
        msg = (
            f"{name}: {n_bytes:,} bytes would become {needed:,} in memory, more than {limits.table_ratio:,} times as "
            f"many. That is no recorded history; it was not read{limits.raised_by('table_ratio')}."
        )
        raise SourceError(msg)
