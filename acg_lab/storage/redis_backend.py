"""Production's Redis as a backend, blocking and asyncio: read-only unless opened ``writable``.

Both backends carry out the steps of `acg_lab.storage.redis_steps`.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self, TypeVar, cast

from acg_lab.core.errors import AcgLabError
from acg_lab.core.records import PromptIR, RunRecord, StabilityAnalysisResult
from acg_lab.storage.base import Entry, Progress, Selection, Window, ignore_progress
from acg_lab.storage.columns import Columns
from acg_lab.storage.key_layout import INDEX
from acg_lab.storage.redis_base import RedisBase
from acg_lab.storage.redis_client import Failure, check_replies, explain_error, retry_delays
from acg_lab.storage.redis_learning import Ask, Attempt, Commit, LearnerStep, Watch, conflict, waits_between_attempts
from acg_lab.storage.redis_new_runs import FindKnown
from acg_lab.storage.redis_pace import Pace
from acg_lab.storage.redis_scan import GENTLE_PIECE, PIECE, Send, Step, group_by_size
from acg_lab.storage.redis_steps import group_documents, list_documents, list_run_ids

__all__ = ["AsyncRedisBackend", "RedisBackend"]

logger = logging.getLogger(__name__)

T = TypeVar("T")
_IDS_AT_ONCE = 5000


class RedisBackend(RedisBase):
    """A Redis in production's layout.

    Reading never writes and never blocks the server: it uses SCAN, STRLEN, GET and MGET of up to 512 KiB, GETRANGE for
    more, LLEN, and LRANGE of up to 5,000 ids, and the client refuses all other commands. Only connection errors are
    retried. A run id that occurs twice in an index counts once, at its first position. `AcgLearner` learns each run in
    one transaction here.

    Parameters
    ----------
    url : str
        ``redis://``, ``rediss://`` or ``unix://``, with redis-py's options in the query.
    key_prefix : str
        Prefix of all keys; ``"auto"`` detects it when it is first needed: among all keys to read everything, else among
        the first million or so, with a warning if there are more.
    writable : bool
        Whether to allow the commands of `store_observations`, `store_stability` and `store_run`.
    connect_timeout, timeout : float
        Seconds for the server to accept a connection, and to send (the next part of) a reply. Values in the URL take
        precedence.
    retry_seconds : float
        How long to try again if a server was reached before, or loads its data; else half a second. Each retry is
        logged as a warning. A transaction is never sent twice.
    gentle : bool, optional
        Whether `scan` and `list_agents` rest after each reply as long as it took, so that they take at most half of the
        server's time. By default they do, unless the server is on this machine: a unix socket or a loopback address.

    Raises
    ------
    UsageError
        If the URL is invalid. A server that cannot be reached raises SourceError at the first command.

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
        """Store a window, replacing the former one."""
        self._run(self._steps.store_observations(key, window))

    def load_stability(self, key: str) -> StabilityAnalysisResult | None:
        """Return the result stored under a learning key or agent id."""
        return self._run(self._steps.load_stability(key))

    def store_stability(self, key: str, result: StabilityAnalysisResult) -> None:
        """Store a result, replacing the former one."""
        self._run(self._steps.store_stability(key, result))

    def list_runs(self, agent_id: str) -> tuple[RunRecord, ...]:
        """Return the runs of an agent in the order of its index; ids without a run are skipped."""
        return self._run(self._steps.list_runs(agent_id))

    def store_run(self, run: RunRecord) -> None:
        """Store a run and append it to the index in one transaction, replacing a run with the same id."""
        self._run(self._steps.store_run(run))

    def transact(self, start: Callable[[], LearnerStep[T]]) -> T:
        """Carry out a learner's step in one transaction; see `acg_lab.storage.redis_learning`.

        Parameters
        ----------
        start : callable
            Returns the step, from its beginning. It is called again if another process stored a window of the step.

        Raises
        ------
        SourceError
            If the server fails, or other processes keep changing the windows. Nothing was stored then.
        """
        prefix = self._run(self._steps.prefix_to_write())
        waits = waits_between_attempts()
        while True:
            attempt = Attempt(start, prefix, self.label)
            failure = self._attempt(attempt)
            if failure is None:
                return cast("T", attempt.result)
            if attempt.is_uncertain(failure) and attempt.is_in(self.load_observations(attempt.first_key)):
                return cast("T", attempt.result)
            if not failure.transient or (wait := next(waits, None)) is None:
                raise failure.error
            time.sleep(wait)

    def _attempt(self, attempt: Attempt[Any]) -> Failure | None:
        reply: Any = None
        with self._client.pipeline() as pipeline:
            while (ask := attempt.ask(reply)) is not None:
                reply = ask if isinstance(ask, Failure) else self._carry_out(pipeline, ask)
                if isinstance(reply, Failure):
                    return reply
        return None

    def _carry_out(self, pipeline: Any, ask: Watch | Ask | Commit) -> Any:
        import redis

        try:
            if isinstance(ask, Watch):
                return pipeline.watch(ask.key)
            if isinstance(ask, Ask):
                return pipeline.execute_command(*ask.command)
            pipeline.multi()
            for command in ask.commands:
                pipeline.execute_command(*command)
            pipeline.execute()
        except redis.WatchError:
            return conflict(self.label)
        except redis.ResponseError as error:
            return error if isinstance(ask, Ask) else explain_error(error, self.label)
        except Exception as error:  # noqa: BLE001  # a hostile server makes redis-py raise anything
            return explain_error(error, self.label)
        return None

    def leave_out(self, find_known: FindKnown | None) -> None:
        """Let `scan` leave out the runs that are known elsewhere, by the indexes of the agents; None for none.

        ``find_known`` gets run ids by agent and returns the pairs of both that it knows. Runs without an index entry
        are left out, too.
        """
        self._steps.find_known = find_known

    def scan(self, selection: Selection, progress: Progress = ignore_progress) -> Iterator[Entry]:
        """Yield every selected document; an entry that cannot be read is yielded with its error.

        Windows and results come first, then the runs of each agent in the order of its index, and last the runs without
        an index entry. A key of the wrong type, or an index entry without a run, is an error. Keys of other learners
        are ignored.
        """
        pace = Pace()
        found = self._run(self._steps.survey(selection), pace)
        logger.debug("%s: found %d documents under %r", self.label, len(found), self.key_prefix)
        total = sum(item.size for item in found)
        piece = GENTLE_PIECE if self.gentle else PIECE
        for group in group_by_size(found, piece):
            entries = self._run(self._steps.entries(group, piece), pace)
            progress(sum(len(entry.raw) for entry in entries if isinstance(entry.raw, bytes)), total)
            yield from entries
        if self.gentle:
            logger.debug("%s: replies took %.1f s, rests %.1f s", self.label, pace.replying, pace.resting)

    def list_agents(self) -> set[str]:
        """Return the ids of all agents, by the names of the keys: no value is read."""
        return self._run(self._steps.list_agents(), Pace())

    def measure_agents(self) -> dict[str, int]:
        """Return the ids of all agents with their sizes: how many runs their indexes name."""
        return self._run(self._steps.measure_agents(), Pace())

    def restore(self, columns: Columns, progress: Progress = ignore_progress) -> None:
        """Write a whole source, indexes last, if none of its keys exists.

        Raises
        ------
        UsageError
            If a key exists; then nothing was written.
        SourceError
            If the server fails. What was written until then is kept.
        """
        indexes = list_run_ids(columns)
        names = [name for name, _ in list_documents(columns)]
        self._run(self._steps.check_absent([*names, *(f"{INDEX}{agent_id}" for agent_id in indexes)]))
        for group in group_documents(list_documents(columns)):
            self._run(self._steps.add(group))
            progress(sum(len(raw) for _, raw in group), 0)
        for agent_id, run_ids in indexes.items():
            for i in range(0, len(run_ids), _IDS_AT_ONCE):
                self._run(self._steps.push(agent_id, run_ids[i : i + _IDS_AT_ONCE]))

    def _run(self, step: Step[T], pace: Pace | None = None) -> T:
        replies: Any = None
        while True:
            try:
                send = step.send(replies)
            except StopIteration as done:
                result: T = done.value
                return result
            replies = self._send(send, pace)

    def _send(self, send: Send, pace: Pace | None) -> list[Any]:
        waits = None
        while isinstance(outcome := self._try_paced(send, pace), Failure):
            waits = waits or retry_delays(send, self._retry_seconds, reached=self._is_reached or outcome.is_loading)
            if not outcome.transient or (delay := next(waits, None)) is None:
                raise outcome.error
            logger.warning("%s; trying again in %.1f s", outcome.error, delay)
            time.sleep(delay)
        return check_replies(outcome, send, self.label)

    def _try_paced(self, send: Send, pace: Pace | None) -> list[Any] | Failure:
        start = time.perf_counter()
        outcome = self._try(send)
        if pace is not None and self.gentle and not isinstance(outcome, Failure):
            pace.rest(time.perf_counter() - start)
        return outcome

    def _try(self, send: Send) -> list[Any] | Failure:
        try:
            with self._client.pipeline(transaction=send.atomic) as pipeline:
                for command in send.commands:
                    pipeline.execute_command(*command)
                replies: list[Any] = pipeline.execute(raise_on_error=False)
        except AcgLabError:
            raise
        except Exception as error:  # noqa: BLE001  # a hostile server makes redis-py raise anything
            return explain_error(error, self.label)
        self._is_reached = True
        return replies


class AsyncRedisBackend(RedisBase):
    """`RedisBackend` for asyncio, without bulk reads; its parameters are the same.

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

        # A TLS server may fail while the connection is closed, which does no harm.
        with contextlib.suppress(redis.RedisError):
            await self._client.connection_pool.disconnect()

    async def load_observations(self, key: str) -> Window | None:
        """Return the window stored under a learning key or agent id."""
        return await self._run(self._steps.load_observations(key))

    async def store_observations(self, key: str, window: Sequence[PromptIR]) -> None:
        """Store a window, replacing the former one."""
        await self._run(self._steps.store_observations(key, window))

    async def load_stability(self, key: str) -> StabilityAnalysisResult | None:
        """Return the result stored under a learning key or agent id."""
        return await self._run(self._steps.load_stability(key))

    async def store_stability(self, key: str, result: StabilityAnalysisResult) -> None:
        """Store a result, replacing the former one."""
        await self._run(self._steps.store_stability(key, result))

    async def list_runs(self, agent_id: str) -> tuple[RunRecord, ...]:
        """Return the runs of an agent in the order of its index; ids without a run are skipped."""
        return await self._run(self._steps.list_runs(agent_id))

    async def store_run(self, run: RunRecord) -> None:
        """Store a run and append it to the index in one transaction, replacing a run with the same id."""
        await self._run(self._steps.store_run(run))

    async def transact(self, start: Callable[[], LearnerStep[T]]) -> T:
        """Do as `RedisBackend.transact`."""
        prefix = await self._run(self._steps.prefix_to_write())
        waits = waits_between_attempts()
        while True:
            attempt = Attempt(start, prefix, self.label)
            failure = await self._attempt(attempt)
            if failure is None:
                return cast("T", attempt.result)
            if attempt.is_uncertain(failure) and attempt.is_in(await self.load_observations(attempt.first_key)):
                return cast("T", attempt.result)
            if not failure.transient or (wait := next(waits, None)) is None:
                raise failure.error
            await asyncio.sleep(wait)

    async def _attempt(self, attempt: Attempt[Any]) -> Failure | None:
        reply: Any = None
        async with self._client.pipeline() as pipeline:
            while (ask := attempt.ask(reply)) is not None:
                reply = ask if isinstance(ask, Failure) else await self._carry_out(pipeline, ask)
                if isinstance(reply, Failure):
                    return reply
        return None

    async def _carry_out(self, pipeline: Any, ask: Watch | Ask | Commit) -> Any:
        import redis

        try:
            if isinstance(ask, Watch):
                return await pipeline.watch(ask.key)
            if isinstance(ask, Ask):
                return await pipeline.execute_command(*ask.command)
            pipeline.multi()
            for command in ask.commands:
                pipeline.execute_command(*command)
            await pipeline.execute()
        except redis.WatchError:
            return conflict(self.label)
        except redis.ResponseError as error:
            return error if isinstance(ask, Ask) else explain_error(error, self.label)
        except Exception as error:  # noqa: BLE001  # a hostile server makes redis-py raise anything
            return explain_error(error, self.label)
        return None

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
        waits = None
        while isinstance(outcome := await self._try(send), Failure):
            waits = waits or retry_delays(send, self._retry_seconds, reached=self._is_reached or outcome.is_loading)
            if not outcome.transient or (delay := next(waits, None)) is None:
                raise outcome.error
            logger.warning("%s; trying again in %.1f s", outcome.error, delay)
            await asyncio.sleep(delay)
        return check_replies(outcome, send, self.label)

    async def _try(self, send: Send) -> list[Any] | Failure:
        try:
            async with self._client.pipeline(transaction=send.atomic) as pipeline:
                for command in send.commands:
                    pipeline.execute_command(*command)
                replies: list[Any] = await pipeline.execute(raise_on_error=False)
        except AcgLabError:
            raise
        except Exception as error:  # noqa: BLE001  # a hostile server makes redis-py raise anything
            return explain_error(error, self.label)
        self._is_reached = True
        return replies
