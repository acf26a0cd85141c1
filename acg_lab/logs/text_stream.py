"""Bytes of a log file to its JSON texts: lines, the items of an array, or objects over several lines.

Compression and encoding are recognised from the bytes, not from the name. Memory is bounded by the longest text; one
longer than `MAX_TEXT` is passed over. What is wrong does not end the reading, unless nothing can follow it.
"""

import bz2
import codecs
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final, NamedTuple

import msgspec

__all__ = ["MAX_TEXT", "Fault", "Text", "read_texts"]

MAX_TEXT: Final = 64 * 2**20
_CHUNK: Final = 2**20
_GZIP, _ZSTD, _BZIP2, _XZ = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\x00"
_BOMS: Final = ((codecs.BOM_UTF8, ""), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# A whole text, a bracket, or the quotation mark of a text that has no end here.
_token = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}"]', re.DOTALL).finditer
_OPENING: Final = (b"{", b"[")
_CLOSING: Final = (b"}", b"]")
_SPACE: Final = b" \t\r\n"


class Text(NamedTuple):
    """One JSON text, and the line on which it begins; of an array the number of the item."""

    raw: bytes
    line: int


class Fault(NamedTuple):
    """What is wrong at a line; 0 for the whole file."""

    reason: str
    line: int


def read_texts(file: IO[bytes]) -> Iterator[Text | Fault]:
    """Yield the JSON texts of a file, and what is wrong with it.

    Parameters
    ----------
    file : binary file
        Read from where it stands; seeking is not needed.
    """
    chunks = _decoded(_chunks(file))
    faults: list[Fault] = []
    lines = _Lines(_without_faults(chunks, faults))
    first = lines.peek()
    if not first.strip(_SPACE):
        yield faults[0] if faults else Fault("expected at least one request, got an empty file", 0)
        return
    if b"\0" in first[:4096]:
        yield Fault("expected JSON lines, got binary data", 0)
        return
    if first.lstrip(_SPACE)[:1] == b"[":
        yield from _items(lines.chunks(), 1)
    elif _is_spread(first):
        yield from _items(lines.chunks(), 0)
    else:
        yield from lines
    yield from faults


def _without_faults(chunks: Iterable[bytes | Fault], faults: list[Fault]) -> Iterator[bytes]:
    for chunk in chunks:
        if isinstance(chunk, Fault):
            faults.append(chunk)
        else:
            yield chunk


# --- bytes ---


class _Peeked(io.RawIOBase):
    """A file whose first bytes were read already; closing it leaves the file open."""

    def __init__(self, head: bytes, file: IO[bytes]) -> None:
        super().__init__()
        self._head, self._file = head, file

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not self._head:
            return self._file.read(size)
        head, self._head = (self._head, b"") if size < 0 else (self._head[:size], self._head[size:])
        return head + self._file.read() if size < 0 else head


def _chunks(file: IO[bytes]) -> Iterator[bytes | Fault]:
    """Yield the bytes of a file, unpacked."""
    head = file.read(8)
    source: Any = _Peeked(head, file)
    if head.startswith(_GZIP):
        source = gzip.GzipFile(fileobj=source)
    elif head.startswith(_ZSTD):
        import pyarrow as pa  # noqa: PLC0415  only where it is needed

        source = pa.CompressedInputStream(pa.PythonFile(source, mode="r"), "zstd")
    elif head.startswith(_BZIP2):
        source = bz2.BZ2File(source)
    elif head.startswith(_XZ):
        source = lzma.LZMAFile(source)  # noqa: SIM115  the file is the caller's
    # pyarrow returns nothing of a read that meets a cut, so little is asked for at once.
    size = _CHUNK // 16 if head.startswith(_ZSTD) else _CHUNK
    while True:
        try:
            chunk = source.read1(size) if hasattr(source, "read1") else source.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError) as error:
            yield _cut(error)
            return
        except OSError as error:
            if source.__class__.__module__ in ("gzip", "bz2", "lzma", "pyarrow.lib"):
                yield _cut(error)
                return
            raise
        if not chunk:
            return
        yield chunk


def _cut(error: Exception) -> Fault:
    return Fault(f"expected a whole compressed file, got one that is cut or damaged ({type(error).__name__})", 0)


def _decoded(chunks: Iterator[bytes | Fault]) -> Iterator[bytes | Fault]:
    """Yield the text as UTF-8, without a byte order mark."""
    first = next(chunks, b"")
    if isinstance(first, Fault):
        yield first
        return
    encoding = ""
    for bom, name in _BOMS:
        if first.startswith(bom):
            first, encoding = first[len(bom) :], name
            break
    else:
        if first[1:2] == b"\0" and first[:1] in (b"{", b"["):
            encoding = "utf-16-le"
    if not encoding:
        yield first
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    yield decoder.decode(first).encode()
    for chunk in chunks:
        yield chunk if isinstance(chunk, Fault) else decoder.decode(chunk).encode()


# --- lines ---


class _Lines:
    """Lines of chunks of bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._first: list[bytes] = []

    def peek(self) -> bytes:
        """Return the first chunk that is not empty."""
        for chunk in self._chunks:
            self._first.append(chunk)
            if chunk.strip(_SPACE):
                break
        return b"".join(self._first)

    def chunks(self) -> Iterator[bytes]:
        """Yield all chunks."""
        yield from self._first
        self._first = []
        yield from self._chunks

    def __iter__(self) -> Iterator[Text | Fault]:
        number, parts, size = 1, list[bytes](), 0
        for chunk in self.chunks():
            *ends, rest = chunk.split(b"\n")
            for end in ends:
                yield from _line(parts, end, size + len(end), number)
                number, parts, size = number + 1, [], 0
            if size + len(rest) <= MAX_TEXT:
                parts.append(rest)
            size += len(rest)
        yield from _line(parts, b"", size, number)


def _line(parts: list[bytes], end: bytes, size: int, number: int) -> Iterator[Text | Fault]:
    if size > MAX_TEXT:
        yield Fault(f"expected a line of at most {MAX_TEXT // 2**20} MiB, got one of {size // 2**20:,} MiB", number)
        return
    line = (b"".join(parts) + end if parts else end).strip(_SPACE)
    if line:
        yield Text(line, number)


def _is_spread(first: bytes) -> bool:
    """Whether a file is one JSON object over several lines: no line is a whole one."""
    lines = first.lstrip(_SPACE).split(b"\n")[:50]
    return len(lines) > 1 and lines[0][:1] == b"{" and not any(map(_is_object, lines))


def _is_object(line: bytes) -> bool:
    line = line.strip(_SPACE)
    if line[:1] != b"{" or len(line) <= len(b"{}"):
        return False
    try:
        msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


# --- items of an array, and objects over several lines ---


def _items(chunks: Iterable[bytes], item_depth: int) -> Iterator[Text | Fault]:
    """Yield the objects that stand at a depth: 1 for the items of an array, 0 for objects one after the other."""
    buffer, position, depth, start, number, line = b"", 0, 0, -1, 0, 1
    for chunk in chunks:
        buffer += chunk
        for found in _token(buffer, position):
            token = found.group()
            if token == b'"':
                position = found.start()  # the text goes on in the next chunk
                break
            if token in _OPENING:
                start = found.start() if depth == item_depth else start
                depth += 1
            elif token in _CLOSING:
                depth -= 1
                if depth == item_depth and start >= 0:
                    number += 1
                    yield Text(
                        buffer[start : found.end()], number if item_depth else line + buffer.count(b"\n", 0, start)
                    )
                    start = -1
            position = found.end()
        kept = start if start >= 0 else position
        line += buffer.count(b"\n", 0, kept)
        buffer, position, start = buffer[kept:], position - kept, 0 if start >= 0 else -1
        if len(buffer) > MAX_TEXT:
            yield Fault(f"expected an item of at most {MAX_TEXT // 2**20} MiB, got a longer one", number + 1)
            return
    if start >= 0 or depth > 0:
        yield Fault("expected a whole JSON document, got one that ends too early", number + 1 if item_depth else line)
