"""PNG of pixels, fast."""

import zlib
from struct import pack

import numpy as np
from numpy.typing import NDArray

__all__ = ["encode_png"]


def encode_png(pixels: NDArray[np.uint8], words: str = "") -> bytes:
    """Return pixels as a PNG.

    Parameters
    ----------
    pixels : array of uint8, shape (height, width, 3)
        Red, green and blue, upper row first.
    words : str
        What the picture says, for those who can't see it; kept as ``Description``.

    Notes
    -----
    Rows are left unfiltered and packed at the lowest level: of figures, which are flat areas, that takes a third of the
    time of Pillow's best guess at each row, and fewer bytes.
    """
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each begins with the number of its filter, none
    rows[:, 1:] = pixels.reshape(height, -1)
    chunks = [(b"IHDR", pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))]
    if words:
        # Keyword, then: not compressed, no language, no translated keyword.
        chunks.append((b"iTXt", b"Description\0\0\0\0\0" + words.encode()))
    chunks += [(b"IDAT", zlib.compress(rows.data, 1)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))
