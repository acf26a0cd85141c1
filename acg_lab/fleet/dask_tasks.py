"""Run tasks on a Dask cluster by its own client: workers may come, go and die, and the scheduler may go away.

joblib's own backend for Dask waits for ever for a task whose workers died (joblib 1.6).
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple, TypeVar

from acg_lab._format import counted
from acg_lab.core.errors import SourceError
from acg_lab.fleet.batches import Batches
from acg_lab.storage.masking import mask_credentials

__all__ = ["Workers", "count_threads", "find_client", "run_on_dask"]

Result = TypeVar("Result")
Batch = tuple[str, ...]
_AHEAD: Final = 2  # tasks per worker that a scheduler is given at a time
_FEWEST: Final = 16  # so that an adaptive cluster without workers sees that there is work
_LOOK: Final = 2.0  # seconds after which workers are counted again
_PATIENCE: Final = 600.0  # seconds without any worker
_AGAIN: Final = "call again; with 'out' a survey goes on where it stopped"


class Workers(NamedTuple):
    """How many workers there are from now on."""

    n_workers: int


def find_client() -> Any:
    """Return the Dask client that joblib is configured with; None where it is another backend."""
    from joblib import parallel  # noqa: PLC0415  at call time

    active = getattr(parallel, "get_active_backend", None)
    client = getattr(active()[0], "client", None) if active is not None else None
    distributed = sys.modules.get("distributed")
    return client if distributed is not None and isinstance(client, distributed.Client) else None


def count_threads(client: Any) -> int:
    """Return how many tasks the workers of a cluster run at the same time."""
    return sum(client.nthreads().values())


def run_on_dask(
    client: Any, work: Callable[[Batch], Sequence[Result]], batches: Batches, suspects: list[str]
) -> Iterator[Sequence[Result] | Workers]:
    """Yield results, and how many workers there are when that changes.

    Agents whose task ended with its workers are added to ``suspects``.

    Raises
    ------
    SourceError
        If workers can't run the task at all, there is none for ten minutes, or the scheduler goes away.
    """
    tasks = _Tasks(client, work)
    try:
        yield from tasks.count_workers()
        for batch in batches:
            tasks.submit(batch)
            while tasks.are_enough:
                yield from tasks.take(suspects)
        while tasks.handed:
            yield from tasks.take(suspects)
    finally:
        tasks.cancel()


class _Tasks:
    """Tasks that a scheduler has."""

    def __init__(self, client: Any, work: Callable[[Batch], Sequence[Any]]) -> None:
        self._client, self._work = client, work
        self._ended: SimpleQueue[Any] = SimpleQueue()
        self._n_workers: int | None = None
        self._looked = self._worked = time.monotonic()  # when workers were last counted, and last there
        self.handed: dict[Any, Batch] = {}

    @property
    def are_enough(self) -> bool:
        """Whether every worker has a task, and one to go on with."""
        return len(self.handed) >= max(_FEWEST, _AHEAD * (self._n_workers or 0))

    def submit(self, batch: Batch) -> None:
        """Give the scheduler one more task."""
        with self._watching():
            future = self._client.submit(self._work, batch, pure=False)
            self.handed[future] = batch
            future.add_done_callback(self._ended.put)

    def take(self, suspects: list[str]) -> Iterator[Sequence[Any] | Workers]:
        """Wait some time for a task to end, and yield its result; if its workers died, its agents become suspects."""
        from distributed import KilledWorker  # noqa: PLC0415  at call time

        try:
            future = self._ended.get(timeout=_LOOK)
        except Empty:
            yield from self.count_workers()
            return
        with self._watching():
            batch = self.handed.pop(future)
            error = future.exception() if future.status != "finished" else None
            result: Any = future.result() if error is None else None
            has_workers = error is None or count_threads(self._client) > 0
        if isinstance(error, KilledWorker):
            suspects += batch
        elif isinstance(error, CancelledError):
            raise self._lost() from None
        elif not has_workers:
            msg = f"The Dask scheduler did not wait for workers ({type(error).__name__}): start some, and {_AGAIN}."
            raise SourceError(msg) from error
        elif error is not None:
            msg = f"The workers can't run acg_lab ({type(error).__name__}): install the version of this process there."
            raise SourceError(msg) from error
        else:
            yield result
            yield from self.count_workers()

    def count_workers(self) -> Iterator[Workers]:
        """Yield how many workers there are if that has changed."""
        now = time.monotonic()
        if self._n_workers is not None and now < self._looked + _LOOK:
            return
        with self._watching():
            count = count_threads(self._client)
        self._looked = now
        if count:
            self._worked = now
        elif now > self._worked + _PATIENCE:
            minutes = counted(round(_PATIENCE / 60), "minute")
            msg = f"There was no Dask worker for {minutes}: start some, and {_AGAIN}."
            raise SourceError(msg)
        if count != self._n_workers:
            self._n_workers = count
            yield Workers(count)

    @contextmanager
    def _watching(self) -> Iterator[None]:
        try:
            yield
        except (CancelledError, OSError, RuntimeError) as error:  # connections that end, clients that are closed
            raise self._lost() from error

    def _lost(self) -> SourceError:
        address = mask_credentials(str(self._client.scheduler.address))
        return SourceError(f"The Dask scheduler at {address} went away.")

    def cancel(self) -> None:
        """Take back what was not done."""
        with suppress(CancelledError, OSError, RuntimeError):
            if self.handed and self._client.status == "running":
                self._client.cancel(list(self.handed))
