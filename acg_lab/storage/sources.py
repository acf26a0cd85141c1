"""From what the user calls a source to the backend that reads it.

Belongs here: telling sources apart by their looks. Nothing is opened.
"""

import os
import re
from typing import Any

from acg_lab.core.errors import UsageError
from acg_lab.storage.base import Backend
from acg_lab.storage.masking import mask_credentials

__all__ = ["check_path", "is_redis", "mask_credentials", "open_source"]

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_REDIS = ("redis", "rediss", "unix")
# Of a Redis, but without "redis://": a path that looks so is worth a question, and may hold a password.
_BARE_ADDRESS = re.compile(r"rediss?:.*|[^\s/\\]*:\S*@.*|[^\s/\\@]+:\d+(/\d*)?", re.IGNORECASE | re.DOTALL)


def is_redis(source: str) -> bool:
    """Whether this is the address of a Redis."""
    return bool((found := _SCHEME.match(source)) and found[1] in _REDIS)


def check_path(path: str) -> None:
    """Make sure that what is taken for a path is one, and not meant to be the address of a Redis.

    Raises
    ------
    UsageError
        If it is empty, or looks like an address and nothing stands there. The message does not repeat it.
    """
    if not path:
        msg = "The path of an export must not be empty."
        raise UsageError(msg)
    if not _SCHEME.match(path) and _BARE_ADDRESS.fullmatch(path) and not os.path.exists(path):  # noqa: PTH110
        msg = (
            "What looks like the address of a Redis must begin with redis://, rediss:// or unix://; got none of these."
        )
        raise UsageError(msg)


def open_source(source: Any, *, key_prefix: str = "auto", writable: bool = False) -> Backend:
    """Return the backend for a source.

    Parameters
    ----------
    source : str, path, or Backend
        ``redis://``, ``rediss://`` or ``unix://`` for a Redis; any other text or path is a Parquet export. A backend
        is handed back unchanged, and the other parameters are not looked at.
    key_prefix : str
        Production's key prefix; ``"auto"`` finds the one in use.
    writable : bool
        Whether a Redis may be written.

    Raises
    ------
    UsageError
        If it is nothing of this kind.

    Examples
    --------
    >>> open_source("redis://reader:secret@cache/0")
    RedisBackend('redis://***@cache:6379/0', key_prefix='auto')
    """
    from acg_lab.storage.parquet_backend import ParquetExport
    from acg_lab.storage.redis_backend import RedisBackend

    if isinstance(source, str | os.PathLike):
        path = os.fsdecode(source)
        scheme = found[1] if (found := _SCHEME.match(path)) else ""
        if is_redis(path):
            return RedisBackend(path, key_prefix=key_prefix, writable=writable)
        if path and not scheme.lower().startswith(_REDIS):
            check_path(path)
            return ParquetExport(path, key_prefix=key_prefix)
        came = f"{scheme}://" if scheme else "an empty text"
    elif isinstance(source, Backend):
        return source
    else:
        came = f"a {type(source).__name__}"
    msg = (
        "The source must be the URL of a Redis (redis://, rediss:// or unix://), the path or URI of a Parquet export, "
        f"or a storage backend such as MemoryBackend; got {came}."
    )
    raise UsageError(msg)
