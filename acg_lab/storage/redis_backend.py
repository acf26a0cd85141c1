"""Production's Redis as a backend, for reading and, if asked, for writing; blocking and asyncio.

Belongs here: the two shells that carry out the steps of `acg_lab.storage.redis_steps`.
"""

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Self, TypeVar

from acg_lab.core.records import PromptIR, RunRecord, StabilityAnalysisResult
from acg_lab.storage.base import Entry, Progress, Selection, Window, silent
from acg_lab.storage.columns import Columns
from acg_lab.storage.ingest import bounded, documents, index_ids
from acg_lab.storage.key_layout import INDEX
from acg_lab.storage.redis_client import Failure, delays, describe, open_pool, settle
from acg_lab.storage.redis_scan import Send, Step, groups
from acg_lab.storage.redis_steps import RedisSteps

__all__ = ["AsyncRedisBackend", "RedisBackend"]

T = TypeVar("T")
_IDS_AT_ONCE = 5000


class _Base(ABC):
    """What both backends are but for their I/O."""

    def __init__(
        self,
        url: str,
        *,
        key_prefix: str = "auto",
        writable: bool = False,
        connect_timeout: float = 5.0,
        timeout: float = 30.0,
        retries: int = 2,
    ) -> None:
        client, connections = self._library()
        pool, label = open_pool(connections, url, writable=writable, connect_timeout=connect_timeout, timeout=timeout)
        self._client: Any = client(connection_pool=pool)
        self._steps = RedisSteps(key_prefix, label=label, writable=writable)
        self._retries = retries

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.label!r}, key_prefix={self.key_prefix!r})"

    @staticmethod
    @abstractmethod
    def _library() -> tuple[Any, Any]:
        """Return redis-py's client class and its module of connections."""

    @property
    def label(self) -> str:
        """The address and database, without credentials."""
        return self._steps.label

    @property
    def key_prefix(self) -> str:
        """The key prefix in use; ``"auto"`` until it is found."""
        return self._steps.key_prefix

    @property
    def writable(self) -> bool:
        """Whether this backend may write."""
        return self._steps.writable


class RedisBackend(_Base):
    """A Redis in production's layout.

    Reading never writes and never blocks the server: it uses SCAN, STRLEN, MGET of up to 2 MiB, LLEN and LRANGE of up
    to 5,000 ids, and no command that is not for reading can leave the client. Only a connection that breaks off is
    tried again. A run whose id an index holds twice counts once, where it stands first.

    Parameters
    ----------
    url : str
        ``redis://``, ``rediss://`` or ``unix://``, with redis-py's options in the query.
    key_prefix : str
        Of all keys; ``"auto"`` finds it by looking at the first million keys or so, when it is first needed.
    writable : bool
        Whether to allow the commands that `store_observations`, `store_stability` and `store_run` need.
    connect_timeout, timeout : float
        How many seconds the server has to accept a connection, and to send (the next piece of) an answer. Values in
        the URL go first.
    retries : int
        How often to connect anew after a connection error, with 0.1 s before the first time and four times longer
        before each further. A transaction is never sent twice.

    Raises
    ------
    UsageError
        If the URL can't be used. A server that can't be reached shows at the first command, as a SourceError.

    Examples
    --------
    >>> RedisBackend("redis://reader:secret@cache:6379/2")
    RedisBackend('redis://***@cache:6379/2', key_prefix='auto')
    """

    @staticmethod
    def _library() -> tuple[Any, Any]:
        import redis.connection

        return redis.Redis, redis.connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._client.connection_pool.disconnect()

    def load_observations(self, key: str) -> Window | None:
        """Return the window stored under a learning key or agent id."""
        return self._run(self._steps.load_observations(key))

    def store_observations(self, key: str, window: Sequence[PromptIR]) -> None:
        """Store a window in the place of the former one."""
        self._run(self._steps.store_observations(key, window))

    def load_stability(self, key: str) -> StabilityAnalysisResult | None:
        """Return the result stored under a learning key or agent id."""
        return self._run(self._steps.load_stability(key))

    def store_stability(self, key: str, result: StabilityAnalysisResult) -> None:
        """Store a result in the place of the former one."""
        self._run(self._steps.store_stability(key, result))

    def list_runs(self, agent_id: str) -> tuple[RunRecord, ...]:
        """Return the runs of an agent in the order of its index; ids without a run are passed over."""
        return self._run(self._steps.list_runs(agent_id))

    def store_run(self, run: RunRecord) -> None:
        """Store a run and its place in the index at once; one with the same id takes the place of the former."""
        self._run(self._steps.store_run(run))

    def scan(self, selection: Selection, progress: Progress = silent) -> Iterator[Entry]:
        """Yield every stored document that the selection wants; one bad entry does not hide the others.

        Windows and results come first, then runs: of each agent in the order of its index, and at last those that no
        index holds. What can't be read, such as a key of another type or an id in an index without its run, comes as
        its error. What other learners store is left alone.
        """
        found = self._run(self._steps.survey(selection))
        total = sum(item.size for item in found)
        for group in groups(found):
            entries = self._run(self._steps.entries(group))
            progress(sum(len(entry.raw) for entry in entries if isinstance(entry.raw, bytes)), total)
            yield from entries

    def restore(self, columns: Columns, progress: Progress = silent) -> None:
        """Write all that a source held, if none of its keys is there yet; indexes last.

        Raises
        ------
        UsageError
            If a key is there; then nothing was written.
        SourceError
            If the server fails, perhaps half-way; what was written stays.
        """
        indexes = index_ids(columns)
        names = [name for name, _ in documents(columns)]
        self._run(self._steps.check_absent([*names, *(f"{INDEX}{agent_id}" for agent_id in indexes)]))
        for group in bounded(documents(columns)):
            self._run(self._steps.add(group))
            progress(sum(len(raw) for _, raw in group), 0)
        for agent_id, run_ids in indexes.items():
            for i in range(0, len(run_ids), _IDS_AT_ONCE):
                self._run(self._steps.push(agent_id, run_ids[i : i + _IDS_AT_ONCE]))

    def _run(self, step: Step[T]) -> T:
        replies: Any = None
        while True:
            try:
                send = step.send(replies)
            except StopIteration as done:
                result: T = done.value
                return result
            replies = self._send(send)

    def _send(self, send: Send) -> list[Any]:
        waits = delays(send, self._retries)
        while isinstance(outcome := self._try(send), Failure):
            if not outcome.transient or (delay := next(waits, None)) is None:
                raise outcome.error
            time.sleep(delay)
        return settle(outcome, send, self.label)

    def _try(self, send: Send) -> list[Any] | Failure:
        import redis

        try:
            with self._client.pipeline(transaction=send.atomic) as pipeline:
                for command in send.commands:
                    pipeline.execute_command(*command)
                replies: list[Any] = pipeline.execute(raise_on_error=False)
                return replies
        except (redis.RedisError, OSError, UnicodeError) as error:
            return describe(error, self.label)


class AsyncRedisBackend(_Base):
    """As `RedisBackend`, for asyncio; bulk reads are the blocking backend's.

    Parameters are those of `RedisBackend`.

    Examples
    --------
    >>> AsyncRedisBackend("unix:///run/redis.sock", key_prefix="nemo_flow:")
    AsyncRedisBackend('unix:///run/redis.sock?db=0', key_prefix='nemo_flow:')
    """

    @staticmethod
    def _library() -> tuple[Any, Any]:
        import redis.asyncio.connection

        return redis.asyncio.Redis, redis.asyncio.connection

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        import redis

        # A TLS server may fail to answer the goodbye, which is of no interest.
        with contextlib.suppress(redis.RedisError):
            await self._client.connection_pool.disconnect()

    async def load_observations(self, key: str) -> Window | None:
        """Return the window stored under a learning key or agent id."""
        return await self._run(self._steps.load_observations(key))

    async def store_observations(self, key: str, window: Sequence[PromptIR]) -> None:
        """Store a window in the place of the former one."""
        await self._run(self._steps.store_observations(key, window))

    async def load_stability(self, key: str) -> StabilityAnalysisResult | None:
        """Return the result stored under a learning key or agent id."""
        return await self._run(self._steps.load_stability(key))

    async def store_stability(self, key: str, result: StabilityAnalysisResult) -> None:
        """Store a result in the place of the former one."""
        await self._run(self._steps.store_stability(key, result))

    async def list_runs(self, agent_id: str) -> tuple[RunRecord, ...]:
        """Return the runs of an agent in the order of its index; ids without a run are passed over."""
        return await self._run(self._steps.list_runs(agent_id))

    async def store_run(self, run: RunRecord) -> None:
        """Store a run and its place in the index at once; one with the same id takes the place of the former."""
        await self._run(self._steps.store_run(run))

    async def _run(self, step: Step[T]) -> T:
        replies: Any = None
        while True:
            try:
                send = step.send(replies)
            except StopIteration as done:
                result: T = done.value
                return result
            replies = await self._send(send)

    async def _send(self, send: Send) -> list[Any]:
        waits = delays(send, self._retries)
        while isinstance(outcome := await self._try(send), Failure):
            if not outcome.transient or (delay := next(waits, None)) is None:
                raise outcome.error
            await asyncio.sleep(delay)
        return settle(outcome, send, self.label)

    async def _try(self, send: Send) -> list[Any] | Failure:
        import redis

        try:
            async with self._client.pipeline(transaction=send.atomic) as pipeline:
                for command in send.commands:
                    pipeline.execute_command(*command)
                replies: list[Any] = await pipeline.execute(raise_on_error=False)
                return replies
        except (redis.RedisError, OSError, UnicodeError) as error:
            return describe(error, self.label)
