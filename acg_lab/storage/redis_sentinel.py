"""A Redis whose primary the Sentinels name: they are asked at first, and again whenever it fails."""

import re
from typing import Any, Final
from urllib.parse import urlsplit

from acg_lab.core.errors import AcgLabError, SourceError, UsageError
from acg_lab.storage.masking import mask_credentials
from acg_lab.storage.redis_backend import RedisBackend
from acg_lab.storage.redis_client import Failure, explain_error, open_pool
from acg_lab.storage.redis_scan import Send

__all__ = ["SENTINEL_SCHEMES", "RedisSentinelBackend"]

SENTINEL_SCHEMES: Final = ("redis+sentinel", "rediss+sentinel")
_DEFAULT_PORT: Final = 26379
_ASK: Final = "SENTINEL GET-MASTER-ADDR-BY-NAME"
_SECONDS: Final = 1.0
_parse_path = re.compile(r"/(?P<service>[^/]+)(?P<database>/[0-9]*)?").fullmatch


class RedisSentinelBackend(RedisBackend):
    """A Redis in production's layout, found by its Sentinels.

    Parameters
    ----------
    url : str
        ``redis+sentinel://user:password@host:port,host:port/service/0``: the Sentinels, the name of the service, and
        the database; user and password are those of the Redis. ``rediss+sentinel://`` if all speak TLS.
    key_prefix, **options
        As of `RedisBackend`.

    Raises
    ------
    UsageError
        If the URL is invalid.

    Examples
    --------
    >>> RedisSentinelBackend("redis+sentinel://reader:secret@one:26379,two:26379/main/0")
    RedisSentinelBackend('redis+sentinel://***@one:26379,two:26379/main/0', key_prefix='auto')
    """

    def __init__(self, url: str, *, key_prefix: str = "auto", **options: Any) -> None:
        try:
            url, self._sentinels, self._service, label = _parse(url)
            super().__init__(url, key_prefix=key_prefix, **options)
        except UsageError as error:
            url = ""  # a password in it must not show in a traceback with locals
            raise error.with_traceback(None) from None
        self._steps.label = label
        self._scheme = label.partition("+")[0]
        self._is_found = False

    def _try(self, send: Send) -> list[Any] | Failure:
        if not self._is_found and (failure := self._find_primary()) is not None:
            return failure
        outcome = super()._try(send)
        if isinstance(outcome, Failure) and outcome.transient:
            self._is_found = False  # another server may be the primary by now
        return outcome

    def _find_primary(self) -> Failure | None:
        """Ask the Sentinels, one after the other, for the address of the primary."""
        failure = None
        for sentinel in self._sentinels:
            try:
                address = self._ask(sentinel)
            except AcgLabError:
                raise
            except Exception as error:  # noqa: BLE001  # a hostile server makes redis-py raise anything
                failure = explain_error(error, f"Sentinel {sentinel}")
                continue
            if address is None:
                msg = f"Sentinel {sentinel} knows no service {self._service!r}; give its name after the addresses."
                failure = Failure(SourceError(msg))
                continue
            pool = self._client.connection_pool
            pool.disconnect()
            options = {**pool.connection_kwargs, "host": address[0], "port": address[1]}
            new = type(pool)(connection_class=pool.connection_class, **options)  # connections keep their address
            self._client = type(self._client)(connection_pool=new)
            self._is_found = True
            return None
        return failure

    def _ask(self, sentinel: str) -> tuple[str, int] | None:
        client, connections = self._library()
        # An empty password: that of the environment belongs to the Redis.
        pool, _ = open_pool(
            connections,
            f"redis://:@{sentinel}",
            writable=False,
            connect_timeout=_SECONDS,
            timeout=_SECONDS,
            also=frozenset({_ASK}),
        )
        asked = client(connection_pool=pool)
        try:
            address = asked.execute_command(*_ASK.split(), self._service)
        finally:
            pool.disconnect()
        if not address:
            return None
        host, port = address
        return (host.decode() if isinstance(host, bytes) else str(host)), int(port)


def _parse(url: str) -> tuple[str, list[str], str, str]:
    """Return the URL of a Redis in place of the primary, the Sentinels, the service, and a name for messages."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    path = _parse_path(parts.path)
    sentinels = [host if re.search(r":[0-9]+\Z", host) else f"{host}:{_DEFAULT_PORT}" for host in hosts.split(",")]
    if path is None or "" in hosts.split(","):
        msg = "The address of Sentinels must have the form redis+sentinel://host:port,host:port/service/0."
        raise UsageError(msg)
    scheme, database = parts.scheme.partition("+")[0], path["database"] or "/0"
    query = f"?{parts.query}" if parts.query else ""
    label = mask_credentials(f"{parts.scheme}://{user}{at}{hosts}/{path['service']}{database}")
    return f"{scheme}://{user}{at}{sentinels[0]}{database}{query}", sentinels, path["service"], label
