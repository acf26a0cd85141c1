"""Choose the backend for a source by its form. Nothing is opened."""

import os
import re
from typing import Any

from acg_lab.core.errors import UsageError
from acg_lab.storage.base import Backend
from acg_lab.storage.masking import mask_credentials

__all__ = ["check_path", "is_redis", "mask_credentials", "open_source"]

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_PLAIN = ("redis", "rediss", "unix")
_REDIS = (*_PLAIN, "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel")
# The address of a Redis without "redis://". It may contain a password, so it is not taken for a path.
_BARE_ADDRESS = re.compile(r"rediss?:.*|[^\s/\\]*:\S*@.*|[^\s/\\@]+:\d+(/\d*)?", re.IGNORECASE | re.DOTALL)


def is_redis(source: str) -> bool:
    """Return whether a source is the URL of a Redis."""
    return bool((found := _SCHEME.match(source)) and found[1] in _REDIS)


def check_path(path: str) -> None:
    """Raise unless a text can be a path and is not the address of a Redis without its scheme.

    Raises
    ------
    UsageError
        If the text is empty, or looks like an address and no such path exists. The message does not repeat it.
    """
    if not path:
        msg = "The path of an export must not be empty."
        raise UsageError(msg)
    if not _SCHEME.match(path) and _BARE_ADDRESS.fullmatch(path) and not os.path.exists(path):  # noqa: PTH110
        msg = "What looks like the address of a Redis must begin with redis://, rediss:// or unix://."
        raise UsageError(msg)


def open_source(
    source: Any, *, key_prefix: str = "auto", writable: bool = False, gentle: bool | None = None
) -> Backend:
    """Return the backend for a source.

    Parameters
    ----------
    source : str, path, or Backend
        ``redis://``, ``rediss://`` or ``unix://`` for a Redis, ``redis+cluster://`` for a whole cluster,
        ``redis+sentinel://`` for one that Sentinels name; any other text or path is a Parquet export. A backend is
        returned unchanged, regardless of the other parameters.
    key_prefix : str
        Production's key prefix; ``"auto"`` detects it.
    writable : bool
        Whether the Redis may be written to.
    gentle : bool, optional
        Whether bulk reads leave a Redis half of its time; by default unless it is on this machine.

    Raises
    ------
    UsageError
        If the source is none of these.

    Examples
    --------
    >>> open_source("redis://reader:secret@cache/0")
    RedisBackend('redis://***@cache:6379/0', key_prefix='auto')
    """
    from acg_lab.storage.parquet_backend import ParquetExport
    from acg_lab.storage.redis_backend import RedisBackend
    from acg_lab.storage.redis_cluster import CLUSTER_SCHEMES, RedisClusterBackend
    from acg_lab.storage.redis_sentinel import SENTINEL_SCHEMES, RedisSentinelBackend

    if isinstance(source, str | os.PathLike):
        path = os.fsdecode(source)
        scheme = found[1] if (found := _SCHEME.match(path)) else ""
        if scheme in CLUSTER_SCHEMES:
            return RedisClusterBackend(path, key_prefix=key_prefix, writable=writable, gentle=gentle)
        if scheme in SENTINEL_SCHEMES:
            return RedisSentinelBackend(path, key_prefix=key_prefix, writable=writable, gentle=gentle)
        if is_redis(path):
            return RedisBackend(path, key_prefix=key_prefix, writable=writable, gentle=gentle)
        if path and not scheme.lower().startswith(_REDIS):
            check_path(path)
            return ParquetExport(path, key_prefix=key_prefix)
        came = f"{scheme}://" if scheme else "an empty text"
    elif isinstance(source, Backend):
        return source
    else:
        came = type(source).__name__
    msg = (
        "The source must be the URL of a Redis (redis://, rediss:// or unix://), the path or URI of a Parquet export "
        f"or a request log (acg_lab.from_requests reads one in memory), or a storage backend such as MemoryBackend; "
        f"got {came}."
    )
    raise UsageError(msg)
