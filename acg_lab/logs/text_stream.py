"""Bytes of a log file to its JSON texts: lines, the items of an array, or objects over several lines.

Compression and encoding are recognised from the bytes, not from the name. Memory is bounded by the longest text; one
longer than a limit is passed over. What is wrong does not end the reading, unless nothing can follow it.
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

from acg_lab.storage.limits import DEFAULT_LIMITS, Limits

__all__ = ["Fault", "Text", "read_texts"]

_CHUNK: Final = 2**20
_GZIP, _ZSTD, _BZIP2, _XZ = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\x00"
_BOMS: Final = ((codecs.BOM_UTF8, ""), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# A whole text, a bracket, or the quotation mark of a text that has no end here.
_token = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}"]', re.DOTALL).finditer
_rest_of_text = re.compile(rb'(?:[^"\\]|\\.)*+"', re.DOTALL).match
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


def read_texts(file: IO[bytes], limits: Limits = DEFAULT_LIMITS) -> Iterator[Text | Fault]:
    """Yield the JSON texts of a file, and what is wrong with it.

    Parameters
    ----------
    file : binary file
        Read from where it stands; seeking is not needed.
    limits : Limits
        Of the bytes of a text.
    """
    chunks = _decoded(_chunks(file))
    faults: list[Fault] = []
    lines = _Lines(_without_faults(chunks, faults), limits)
    first = lines.peek()
    if not first.strip(_SPACE):
        yield faults[0] if faults else Fault("expected at least one request, got an empty file", 0)
        return
    if b"\0" in first[:4096]:
        yield Fault("expected JSON lines, got binary data", 0)
        return
    if first.lstrip(_SPACE)[:1] == b"[":
        yield from _Items(1, limits).split(lines.chunks())
    elif _is_spread(first):
        yield from _Items(0, limits).split(lines.chunks())
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

    def __init__(self, chunks: Iterator[bytes], limits: Limits) -> None:
        self._chunks, self._limits = chunks, limits
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
                yield from self._line(parts, end, size + len(end), number)
                number, parts, size = number + 1, [], 0
            if size + len(rest) <= self._limits.line_bytes:
                parts.append(rest)
            size += len(rest)
        yield from self._line(parts, b"", size, number)

    def _line(self, parts: list[bytes], end: bytes, size: int, number: int) -> Iterator[Text | Fault]:
        if size > self._limits.line_bytes:
            yield Fault(self._limits.word("line_bytes", "a line", size), number)
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


class _Items:
    """Where the objects of a JSON text begin and end, chunk by chunk; each byte is looked at once.

    Parameters
    ----------
    depth : int
        At which the objects stand: 1 for the items of an array, 0 for objects one after the other.
    """

    def __init__(self, depth: int, limits: Limits) -> None:
        self._of_items, self._limits = depth, limits
        self._depth = self._number = self._size = 0
        self._line = self._first_line = 1
        self._parts: list[bytes] = []  # of the item so far, unless it is too long
        self._is_open = self._in_text = False
        self._held = b""  # a backslash at the end of a chunk, which escapes what follows

    def split(self, chunks: Iterable[bytes]) -> Iterator[Text | Fault]:
        """Yield all objects; one that is too long is a fault."""
        for chunk in chunks:
            yield from self._split(self._hold_back(self._held + chunk))
        if self._is_open or self._depth > 0:
            place = self._number + 1 if self._of_items else self._first_line if self._is_open else self._line
            yield Fault("expected a whole JSON document, got one that ends too early", place)

    def _hold_back(self, chunk: bytes) -> bytes:
        self._held = b"\\" if (len(chunk) - len(chunk.rstrip(b"\\"))) % 2 else b""
        return chunk[:-1] if self._held else chunk

    def _split(self, chunk: bytes) -> Iterator[Text | Fault]:
        start = counted = 0
        for found in _token(chunk, self._end_text(chunk)):
            token = found.group()
            if token == b'"':
                self._in_text = True  # and goes on in the next chunk
                break
            if token in _OPENING:
                if self._depth == self._of_items:
                    start, self._is_open = found.start(), True
                    self._line += chunk.count(b"\n", counted, start)
                    counted, self._first_line = start, self._line
                self._depth += 1
            elif token in _CLOSING:
                self._depth -= 1
                if self._depth == self._of_items and self._is_open:
                    yield self._close(chunk[start : found.end()])
        self._line += chunk.count(b"\n", counted)
        if self._is_open:
            self._keep(chunk[start:])

    def _end_text(self, chunk: bytes) -> int:
        """Return where a text that began in an earlier chunk ends."""
        if not self._in_text:
            return 0
        found = _rest_of_text(chunk)
        self._in_text = found is None
        return len(chunk) if found is None else found.end()

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= self._limits.line_bytes:
            self._parts.append(part)
        else:
            self._parts = []

    def _close(self, part: bytes) -> Text | Fault:
        self._keep(part)
        self._number += 1
        place = self._number if self._of_items else self._first_line
        raw, size = b"".join(self._parts), self._size
        self._parts, self._size, self._is_open = [], 0, False
        is_whole = size <= self._limits.line_bytes
        return Text(raw, place) if is_whole else Fault(self._limits.word("line_bytes", "an item", size), place)
