"""What the blocking and the asyncio backend for a Redis share: everything but I/O."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from acg_lab.core.errors import UsageError
from acg_lab.storage.redis_client import open_pool
from acg_lab.storage.redis_pace import is_local
from acg_lab.storage.redis_steps import RedisSteps

__all__ = ["RedisBase"]


class RedisBase(ABC):
    """A Redis in production's layout, without I/O. Its parameters are those of `RedisBackend`."""

    def __init__(
        self,
        url: str,
        *,
        key_prefix: str = "auto",
        writable: bool = False,
        connect_timeout: float = 5.0,
        timeout: float = 30.0,
        retry_seconds: float = 30.0,
        gentle: bool | None = None,
    ) -> None:
        client, connections = self._library()
        try:
            pool, label = open_pool(
                connections, url, writable=writable, connect_timeout=connect_timeout, timeout=timeout
            )
        except UsageError as error:
            url = ""  # neither here nor in the frames below may a traceback with locals show it
            raise error.with_traceback(None) from None
        self._client: Any = client(connection_pool=pool)
        self._steps = RedisSteps(key_prefix, label=label, writable=writable)
        self._retry_seconds = retry_seconds
        self._is_reached = False
        self._gentle = gentle

    def __repr__(self) -> str:
        if not hasattr(self, "_steps"):
            return f"<{type(self).__name__} that was not opened>"
        return f"{type(self).__name__}({self.label!r}, key_prefix={self.key_prefix!r})"

    @staticmethod
    @abstractmethod
    def _library() -> tuple[Any, Any]:
        """Return redis-py's client class and connection module."""

    @property
    def label(self) -> str:
        """The address and database, without credentials."""
        return self._steps.label

    @property
    def key_prefix(self) -> str:
        """The key prefix in use; ``"auto"`` until it is detected."""
        return self._steps.key_prefix

    @property
    def gentle(self) -> bool:
        """Whether bulk reads rest after each reply; see `acg_lab.storage.redis_pace`."""
        return not all(map(is_local, self._connection_options())) if self._gentle is None else self._gentle

    def _connection_options(self) -> list[Mapping[str, Any]]:
        """Return redis-py's options of the connections to each server known so far."""
        return [self._client.connection_pool.connection_kwargs]

    @property
    def writable(self) -> bool:
        """Whether the backend may write."""
        return self._steps.writable
